"""API keys, the audit log, and answers to repeated requests."""
