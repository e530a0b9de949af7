"""Figures of differences and of a search hold what they are given."""

import holoviews as hv
import numpy as np
import pandas as pd
import xarray as xr

from hydronb import plots


def test_difference_intervals_counts_the_sure_ones():
    ids = [f"{k:08d}" for k in range(5)]
    each = pd.Series([0.1, -0.2, 0.3, np.nan, 0.0], index=ids)
    bounds = xr.DataArray(
        [[0.05, -0.3, -0.1, 0.0, -0.1], [0.2, -0.1, 0.5, 1.0, 0.1]],
        dims=("bound", "basin"),
        coords={"bound": ["low", "high"], "basin": ids},
    )
    figure = plots.difference_intervals(each, bounds, label="difference in NSE (-)")
    dots = {d.label: d for d in figure.values() if isinstance(d, hv.Scatter)}
    assert sorted(dots) == ["interval holds zero: 2", "interval on one side of zero: 2"]
    assert dots["interval on one side of zero: 2"]["basin"].tolist() == [
        "00000001",
        "00000000",
    ], "in order"
    hv.render(figure, backend="bokeh")


def test_one_wide_interval_does_not_blow_the_axis_up():
    basins = [f"b{k:02d}" for k in range(20)]
    each = pd.Series(np.linspace(-0.1, 0.2, 20), basins)
    ends = np.stack([each - 0.05, each + 0.05])
    ends[1, 3] = 25.0
    bounds = xr.DataArray(
        ends, dims=("bound", "basin"), coords={"bound": ["low", "high"], "basin": basins}
    )
    figure = plots.style.render(
        plots.difference_intervals(each, bounds, label="difference", title="A minus B")
    )
    assert figure.y_range.start < -0.15 and 0.25 < figure.y_range.end < 1
    assert figure.title.text == "A minus B; 1 interval reaches beyond the axis"


def test_difference_intervals_of_no_basin_are_an_empty_figure():
    none = pd.Series([np.nan], index=["00000000"])
    bounds = xr.DataArray(
        [[0.0], [1.0]], {"bound": ["low", "high"], "basin": none.index}, ("bound", "basin")
    )
    hv.render(plots.difference_intervals(none, bounds, label="x"), backend="bokeh")


def test_search_scores_has_one_panel_per_setting():
    ranked = pd.DataFrame(
        {
            "hidden": [64, 16, 64, 16],
            "dropout": [0.4, 0.4, 0.0, 0.0],
            "score": [0.6, 0.5, 0.4, 0.3],
        },
        index=pd.Index(list("abcd"), name="settings"),
    )
    figure = plots.search_scores(ranked, ["hidden", "dropout"])
    assert len(figure) == 2
    best = next(e for e in figure.values()[0].values() if isinstance(e, hv.Curve))
    assert best["score"].tolist() == [0.5, 0.6] and best["at"].tolist() == ["16", "64"]
    hv.render(figure, backend="bokeh")
