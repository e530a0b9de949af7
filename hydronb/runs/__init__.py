"""From a plan to run directories, and what `hydronb status` says of them.

plan (which runs, and what makes two of them the same) -> notebook (what it takes) -> directory
(locked, complete by one rename) -> engine (one process per run) -> schedule (what runs when) ->
status. Nothing is imported here, so that `hydronb.runs.directory` is light.
"""
