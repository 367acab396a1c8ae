"""Secrets that the store keeps, encrypted under a keyring that is not in it."""
