"""What all handlers of the API share: access, paging, errors, idempotency, calls to connectors."""
