"""Schedules, run requests, records of runs, and the cursors that runs save."""
