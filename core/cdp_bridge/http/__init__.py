"""Calling a vendor's HTTP API: the client, the errors that answers mean, access tokens, the way through the network."""
