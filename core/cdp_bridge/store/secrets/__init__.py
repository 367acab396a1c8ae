"""Secrets in the store, encrypted under a keyring that is a file beside it."""
