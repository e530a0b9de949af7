"""Where catchments come from: one module a source."""
