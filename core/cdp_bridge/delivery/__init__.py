"""Sends batches to the platform and records the outcome of each member in the ledger; bound to no kind of run."""
