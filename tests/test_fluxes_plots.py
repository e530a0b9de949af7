"""Figures of stores, fluxes and parameters: what is drawn is what was given."""

import holoviews as hv
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from hydronb import plots
from hydronb.analysis.seasons import mean_year
from hydronb.plots import fluxes as drawn
from hydronb.plots.style import axis_label

TIME = pd.date_range("2001-01-01", "2002-12-31")


@pytest.fixture
def parameter():
    """Three components of mean 2, 5 and 3."""
    values = np.array([2.0, 5.0, 3.0]) + 0.5 * np.sin(np.arange(len(TIME)) / 58)[:, None]
    return xr.DataArray(
        values,
        {"time": TIME},
        ("time", "component"),
        name="BETA",
        attrs={"units": "1", "long_name": "beta"},
    )


def curves(figure):
    return [e for e in figure.traverse(lambda e: e, [hv.Curve])]


def test_the_median_component_is_bold_and_drawn_last(parameter):
    assert drawn.median_component(parameter) == 2
    assert drawn.median_component(parameter.isel(component=[0, 1])) == 0  # the lower of two
    mean = mean_year(parameter, window=7)
    for figure, n in (
        (drawn.components(parameter), 2 * len(TIME)),
        (drawn.seasonal_components(mean, bold=2), 2 * 365),
    ):
        *thin, bold = curves(figure)
        assert bold.dimension_values(1).mean() == pytest.approx(3, abs=0.2)
        assert sum(np.isfinite(line.dimension_values(1)).sum() for line in thin) == n
        widths = [
            hv.Store.lookup_options("bokeh", line, "style").kwargs["line_width"]
            for line in (*thin, bold)
        ]
        assert max(widths[:-1]) < 1 < widths[-1]


def test_every_component_of_every_run_is_on_the_same_axes(parameter):
    layout = drawn.every_component({"one": parameter, "other": 2 * parameter})
    panels = [hv.render(panel) for panel in layout]
    assert [panel.title.text for panel in panels] == ["one", "other"]
    ranges = {(panel.y_range.start, panel.y_range.end) for panel in panels}
    assert len(ranges) == 1
    ((low, high),) = ranges
    assert low < float(parameter.min()) and float(2 * parameter.max()) < high
    for panel in layout:
        lines = curves(panel)
        means = [line.dimension_values(1).mean() for line in lines]
        assert len(lines) == parameter.sizes["component"] and means == sorted(means)


def test_stacked_panels_share_days_and_only_the_last_shows_them(parameter):
    series = plots.series(
        {"soil": parameter.isel(component=0), "snow": parameter.isel(component=1)}, label="mm"
    )
    other = plots.series({"runoff": parameter.isel(component=2)}, label="mm")
    layout = plots.stacked(
        [plots.rain(parameter.isel(component=0)), drawn.components(parameter), series, other],
        title="a basin",
    )
    figures = hv.render(layout).children
    each = [child for child, *_ in figures]
    assert len({id(p.x_range) for p in each}) == 1
    assert [p.xaxis[0].visible for p in each] == [False, False, False, True]
    assert each[0].title.text == "a basin"
    assert each[2].y_range is not each[3].y_range  # a scale of their own, though both are in mm


def test_against_has_one_colour_per_month(parameter):
    storage = parameter.isel(component=0).assign_attrs(units="mm", long_name="storage")
    figure = drawn.against(storage, parameter.isel(component=1))
    assert [e.label for e in figure][:2] == ["Jan", "Feb"] and len(figure) == 12
    assert len(figure.get(0)) == 62
    assert figure.get(0).kdims[0].label == axis_label(storage) == "storage (mm)"


def test_balance_stacks_to_precipitation_minus_storage():
    table = pd.DataFrame(
        {
            "P": [900.0, 300.0],
            "ET": [400.0, 250.0],
            "q0": [100.0, 5],
            "q1": [150.0, 10],
            "q2": [230.0, 20],
            "storage": [20.0, 15],
            "residual": [0.0, 0],
        },
        pd.Index(["wet", "dry"]),
    )
    upper, lower = drawn.balance(table)
    bars = {e.label: e for e in upper.traverse(lambda e: e, [hv.Rectangles])}
    assert list(bars) == ["evapotranspiration", "baseflow", "interflow", "quick flow"]
    assert bars["quick flow"].dimension_values("y1").tolist() == [285.0, 880.0]  # from dry to wet
    assert upper.traverse(lambda e: e, [hv.Curve])[0].dimension_values(1).tolist() == [
        300,
        300,
        900,
        900,
    ]
    assert lower.traverse(lambda e: e, [hv.Rectangles])[0].dimension_values("y1").tolist() == [
        15.0,
        20.0,
    ]


def test_correlation_stands_in_the_title():
    across = pd.Series([0.1, 0.5, 0.9], list("abc"))
    figure = drawn.correlated(across, 1 - across, x="observed", y="simulated", title="(d)")
    assert hv.render(figure).title.text == "(d) R = -1.000, 3 basins"


def test_boxes_and_maps_render(parameter):
    scores = {"delta_1": pd.Series([0.1, 0.5, np.nan]), "LSTM": pd.Series([0.7, 0.6, 0.9])}
    assert (
        hv.render(drawn.boxes(scores, label="correlation (-)")).yaxis[0].axis_label
        == "correlation (-)"
    )
    places = {"lat": ("basin", [40.0, 41]), "lon": ("basin", [-90.0, -80])}
    index = xr.DataArray([0.2, 0.8], {"basin": ["a", "b"]} | places, "basin")
    layout = drawn.baseflow_maps(
        {"CAMELS": index, "model": index}, index.to_series(), index.to_series(), x="x", y="y"
    )
    assert [hv.render(panel).title.text for panel in layout] == [
        "(a) CAMELS",
        "(b) model",
        "(c) R = 1.000, 2 basins",
    ]
