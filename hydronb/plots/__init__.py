"""HoloViews figures shared by the notebooks and the app; each takes xarray or pandas and returns a
HoloViews object."""

from hydronb.plots.basins import attribute_distributions, attribute_maps, basin_map, budyko
from hydronb.plots.ensembles import difference_intervals, search_scores
from hydronb.plots.grids import grid_maps, storm
from hydronb.plots.probes import probe_scores
from hydronb.plots.rivers import (
    flow_duration_curve,
    forcing,
    hydrograph,
    rain,
    regime,
    series,
    stacked,
)
from hydronb.plots.scenarios import day_by_day, scenario_scores
from hydronb.plots.scores import cdf, loss_curve, one_to_one
from hydronb.plots.style import axis_label, colours, save, start

__all__ = [
    "attribute_distributions",
    "attribute_maps",
    "axis_label",
    "basin_map",
    "budyko",
    "cdf",
    "colours",
    "day_by_day",
    "difference_intervals",
    "flow_duration_curve",
    "forcing",
    "grid_maps",
    "hydrograph",
    "loss_curve",
    "one_to_one",
    "probe_scores",
    "rain",
    "regime",
    "save",
    "scenario_scores",
    "search_scores",
    "series",
    "stacked",
    "start",
    "storm",
]
