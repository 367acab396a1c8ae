"""Connectors: found among the plugins, loaded, given their settings, called, and watched for faults."""
