"""HoloViews figures shared by the notebooks and the app; each takes xarray or pandas and returns a
HoloViews object."""

from hydronb.plots.basins import (
    attribute_distributions,
    attribute_maps,
    attribute_percentiles,
    basin_map,
    budyko,
)
from hydronb.plots.grids import (
    day_by_day,
    grid_maps,
    occlusion_maps,
    probe_scores,
    scenario_scores,
)
from hydronb.plots.rivers import (
    flow_duration_curve,
    forcing,
    hydrograph,
    observed_first,
    rain,
    regime,
    river,
    series,
    stacked,
)
from hydronb.plots.scores import (
    cdf,
    difference_intervals,
    loss_curve,
    noise_boxes,
    one_to_one,
    search_scores,
)
from hydronb.plots.style import (
    Figure,
    axis_label,
    colours,
    metric_label,
    save,
    start,
    with_unit,
)

__all__ = [
    "Figure",
    "attribute_distributions",
    "attribute_maps",
    "attribute_percentiles",
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
    "metric_label",
    "noise_boxes",
    "observed_first",
    "occlusion_maps",
    "one_to_one",
    "probe_scores",
    "rain",
    "regime",
    "river",
    "save",
    "scenario_scores",
    "search_scores",
    "series",
    "stacked",
    "start",
    "with_unit",
]
