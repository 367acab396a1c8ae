"""The control plane: a REST API over the store, and the process that runs API, scheduler and worker."""
