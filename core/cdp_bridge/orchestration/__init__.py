"""Who carries out which run, and when: the dispatcher, the workers, and the log of a run."""
