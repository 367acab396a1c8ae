"""The control plane: a REST API over the store, and the process that runs it with scheduler, queue and worker."""
