"""Sources of catchments, one module each. A module that is entered in
`hydronb.vocabulary.SOURCES` offers:

- `open_source(data)`: the catchment dataset that a plan's `data` describes. It need not choose
  among the basins of the source; a source of many files reads those in `data.basins` alone.
- `open_grid_source(data)`: the gridded catchment that `data` describes, where it offers any.

One that reads files (`needs_path`) offers also:

- `recognises(path)`: whether a folder or file is one of its own.
- `describe(path, report)`: what such a path holds, and every problem at which opening it would
  stop. Both run the same readings (`hydronb.data.problems`).
- `LAYOUT`: the files that it looks for, in a few words.
"""
