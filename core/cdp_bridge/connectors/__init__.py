"""Finds, loads, starts and calls connectors, and reports their faults."""
