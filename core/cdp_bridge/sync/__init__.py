"""One run of a sync: stage the extract of the CDP, compare it with the ledger, deliver the difference."""
