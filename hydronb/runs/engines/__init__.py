"""What executes prepared run directories: one module per engine. Each offers
`start(partial, *, threads, lock)`, which has one prepared directory executed as
`hydronb.runs.execute` does; `lock` is a file descriptor to hold until that has ended. It returns a
job like `local.LocalJob`. Whether a run is complete is read from the disk, never from the engine.
"""
