"""Bodies that a task can run on."""
