"""From a plan to run directories, and what `hydronb status` says of them.

plan -> notebook (what it takes) -> identity -> directory (locked, complete by one rename) -> engine
(one process per run) -> schedule (what runs when) -> status. Nothing is imported here, so that
`hydronb.runs.directory` is light.
"""
