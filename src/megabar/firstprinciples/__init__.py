"""First-principles labels: engines behind one interface, the reference level of theory, the label task."""
