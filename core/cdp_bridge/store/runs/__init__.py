"""What is to run, what runs and what ran."""
