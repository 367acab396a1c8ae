"""Orders runs and carries them out: the dispatcher, the workers, and the log of a run."""
