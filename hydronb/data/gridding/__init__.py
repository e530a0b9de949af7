"""From products such as MSWEP, ERA5 and GLEAM to the gridded catchment of one basin."""
