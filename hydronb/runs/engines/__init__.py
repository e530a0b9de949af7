"""What executes prepared run directories: one module per engine."""
