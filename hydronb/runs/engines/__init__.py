"""Who executes prepared run directories: one module an engine."""
