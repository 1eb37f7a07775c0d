"""Work that can be killed: settings, run records, content-addressed tasks, the store and its executors."""
