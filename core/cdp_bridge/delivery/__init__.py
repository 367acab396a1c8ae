"""Batches to the platform, and what became of each member back into the ledger; bound to no kind of run."""
