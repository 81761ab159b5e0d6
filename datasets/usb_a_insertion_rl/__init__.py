"""A published data set with a name of its own."""
