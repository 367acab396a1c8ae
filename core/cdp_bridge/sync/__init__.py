"""One run of a sync: stage what the CDP says, compare it with the ledger, deliver the difference."""
