"""Figures: what they show, that they draw without warnings, and that a saved one stands on its
own."""

import doctest
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from hydronb import plots
from hydronb.analysis.seasons import mean_years
from hydronb.errors import DataError
from hydronb.metrics import METRICS
from hydronb.plots import style
from hydronb.plots.basins import _us_borders


@pytest.fixture(scope="module")
def flows():
    """Three years of one catchment: precipitation, and flow with a gap and dry days."""
    time = pd.date_range("2000-01-01", "2002-12-31")
    day = np.arange(len(time))
    prcp = np.maximum(0, np.sin(day * 0.9) * 8)
    obs = np.maximum(0, 1.5 + 2 * np.cos(2 * np.pi * day / 365.25))
    obs[300:330] = np.nan
    make = lambda x, n: xr.DataArray(  # noqa: E731
        x, dims="time", coords={"time": time}, name=n, attrs={"units": "mm/d", "long_name": n}
    )
    return make(prcp, "precipitation"), make(obs, "streamflow")


@pytest.fixture(scope="module")
def basins():
    rng = np.random.default_rng(0)
    ids = [f"{i:08d}" for i in range(40)]
    place = {
        "lat": ("basin", rng.uniform(30, 48, 40)),
        "lon": ("basin", rng.uniform(-120, -75, 40)),
    }
    data = {
        n: ("basin", rng.uniform(0, 2, 40), {"units": u, "long_name": n.replace("_", " ")})
        for n, u in (("elev_mean", "m"), ("aridity", "1"), ("frac_forest", "1"), ("p_mean", "mm/d"))
    }
    return xr.Dataset(data, coords={"basin": ids} | place)


def models(figure):
    """The bokeh models of a figure, by class name."""
    found: dict[str, list] = {}
    for model in style.render(figure).references():
        found.setdefault(type(model).__name__, []).append(model)
    return found


def test_hydrograph_shows_every_series_and_units(flows):
    prcp, obs = flows
    drawn = models(
        plots.hydrograph(obs, {"EA-LSTM": obs * 0.9, "LSTM": obs * 1.1}, prcp=prcp, title="a river")
    )
    items = [item.label.value for legend in drawn["Legend"] for item in legend.items]
    assert items == ["observed", "EA-LSTM", "LSTM"]
    labels = {axis.axis_label for axis in drawn["LinearAxis"]}
    assert {"streamflow (mm/d)", "P (mm/d)"} <= labels
    line_colours = {
        g.glyph.line_color for g in drawn["GlyphRenderer"] if type(g.glyph).__name__ == "Line"
    }
    assert line_colours == {"#000000", style.BLUE, style.ORANGE}


MANY = [f"delta_n(gamma, beta), network {k}" for k in ("lstm", "both", "attributes", "x", "y", "z")]


@pytest.mark.parametrize("n", [1, 6])
@pytest.mark.parametrize("draw", ["hydrograph", "flow_duration_curve", "regime", "cdf", "series"])
def test_no_legend_lies_over_data_and_each_is_as_wide_as_its_figure(flows, draw, n):
    _, obs = flows
    sims = {label: obs * (1 + k / 10) for k, label in enumerate(MANY[:n])}
    figure = {
        "hydrograph": lambda: plots.hydrograph(obs, sims),
        "flow_duration_curve": lambda: plots.flow_duration_curve(obs, sims),
        "regime": lambda: plots.regime(*mean_years(obs, sims)),
        "cdf": lambda: plots.cdf({k: v.to_series().rename("x") for k, v in sims.items()}),
        "series": lambda: plots.series(sims, label="mm/d"),
    }[draw]()
    drawn = style.render(figure)
    assert not [m for m in drawn.center if type(m).__name__ == "Legend"]
    beside = [m for m in [*drawn.above, *drawn.below] if type(m).__name__ == "Legend"]
    assert len(beside) == (n > 1 or draw != "series")
    for legend in beside:
        text = max(len(item.label.value) for item in legend.items)
        assert legend.ncols == 1 or legend.ncols * text * 6 < drawn.width


def test_the_title_of_six_models_has_lines_that_fit(flows):
    prcp, obs = flows
    title = "median: 02081500, TAR RIVER; NSE " + ", ".join(f"0.71 ({label})" for label in MANY)
    for figure in (plots.hydrograph(obs, {}, title=title), plots.rain(prcp, title=title)):
        lines = style.render(figure).title.text.split("\n")
        assert len(lines) > 1 and " ".join(lines) == title
        assert max(map(len, lines)) * 7 < style.WIDTH


def test_a_river_has_its_name_beside_its_id(basins):
    named = basins.assign_coords(gauge_name=("basin", ["Tar River", *[""] * 39]))
    assert plots.river(named, "00000000") == "00000000, Tar River"
    assert plots.river(named, "00000001") == plots.river(basins, "00000001") == "00000001"


def test_a_saved_figure_has_its_caption_as_text(basins, tmp_path):
    figure = plots.basin_map(basins["aridity"])
    saved = plots.save(figure, tmp_path, "map", "Fig. 2: P < PET").read_text()
    assert "Fig. 2: P &lt; PET</p>" in saved and "</p></body>" in saved.replace("\n", "")
    assert "<p " not in plots.save(figure, tmp_path, "bare").read_text().rpartition("<body>")[2]


def test_hydrograph_panels_zoom_together(flows):
    prcp, obs = flows
    page = style.render(plots.hydrograph(obs, {"LSTM": obs}, prcp=prcp))
    upper, lower = (child[0] for child in page.children)
    assert upper.x_range is lower.x_range
    assert upper.y_range.start > upper.y_range.end, "rain hangs from above"


def test_hydrograph_without_observation(flows):
    _, obs = flows
    assert "Legend" in models(
        plots.hydrograph(None, {"LSTM": obs.fillna(0), "EA-LSTM": obs.fillna(0)})
    )


def test_colours_are_fixed_and_never_shared():
    first = plots.colours(["LSTM", "EA-LSTM"])
    again = plots.colours(["EA-LSTM", "delta-HBV", "LSTM"])
    assert first["LSTM"] == again["LSTM"] and first["EA-LSTM"] == again["EA-LSTM"]
    many = plots.colours([f"LSTM, seed {i}" for i in range(9)] + ["observed", "LSTM (no statics)"])
    assert len(set(many.values())) == len(many)
    assert many["observed"] == "#000000"


@pytest.mark.parametrize("name", list(METRICS))
def test_metrics_are_shown_in_the_unit_they_are_computed_in(name):
    obs = xr.DataArray(np.arange(1.0, 101), dims="time", attrs={"units": "mm/d"})
    computed = METRICS[name](sim=obs + 1, obs=obs)
    assert METRICS[name].units == computed.attrs["units"]


def test_relative_biases_have_no_unit():
    labels = [plots.style.metric_label(name) for name in ("bpv", "bmv", "blv", "rmse")]
    assert labels == ["peak-flow bias", "mid-flow bias", "low-flow bias", "RMSE (mm/d)"]


def test_cdf_is_the_share_of_basins_at_most_x():
    scores = pd.Series([0.1, 0.4, np.nan, 0.9], name="NSE")
    figure = plots.cdf({"LSTM": scores})
    curve = next(iter(figure))
    assert curve.label == "LSTM (median 0.40)"
    data = curve.data if isinstance(curve.data, pd.DataFrame) else pd.DataFrame(curve.data)
    for x, share in ((0.1, 1 / 3), (0.4, 2 / 3), (0.9, 1.0)):
        assert data.loc[data["score"] == x, "share"].max() == pytest.approx(share)
    style.render(figure)


def test_cdf_of_no_defined_score():
    style.render(plots.cdf({"LSTM": pd.Series([np.nan, np.nan], name="FLV")}))


def test_map_draws_states_only_where_basins_lie_in_them(basins):
    assert "Line" in {
        type(g.glyph).__name__ for g in models(plots.basin_map(basins["aridity"]))["GlyphRenderer"]
    }
    europe = basins["aridity"].assign_coords(lon=("basin", np.linspace(5, 15, 40)))
    drawn = models(plots.basin_map(europe))["GlyphRenderer"]
    assert {type(g.glyph).__name__ for g in drawn} == {"Scatter"}


def test_map_keeps_basins_without_a_value(basins):
    values = basins["aridity"].where(basins["aridity"] > 1)
    points = [
        g
        for g in models(plots.basin_map(values))["GlyphRenderer"]
        if type(g.glyph).__name__ == "Scatter"
    ]
    assert len(points[0].data_source.data["basin"]) == 40


def test_categories_are_on_the_map_with_how_many_basins_they_have(basins):
    kinds = basins["aridity"].copy(data=np.repeat(["b", "a", "c", "d"], [5, 20, 12, 3]))
    figure = plots.basin_map(kinds, most=2, label="kind")
    assert [e.label for e in figure if e.label] == ["a (20)", "c (12)", "others (8)"]
    (points,) = [e for e in figure if "basin" in e and len(e) == 40]
    of_kind = pd.Series(points["colour"], points["value"])
    assert of_kind.groupby(level=0).nunique().eq(1).all()
    assert set(of_kind[["b", "d"]]) == {style.OTHER} and of_kind["a"].iloc[0] != style.OTHER
    clusters = kinds.copy(data=np.repeat(["10", "2", "1", "3"], 10))
    labels = [e.label for e in plots.basin_map(clusters) if e.label]
    assert labels == ["1 (10)", "2 (10)", "3 (10)", "10 (10)"]


def test_a_map_to_select_in_has_the_tools(basins):
    drawn = models(plots.basin_map(basins["aridity"], select=True))
    assert {"BoxSelectTool", "LassoSelectTool"} <= drawn.keys()
    assert "LassoSelectTool" not in models(plots.basin_map(basins["aridity"]))


def test_map_needs_coordinates(basins):
    with pytest.raises(DataError, match="without the coordinate 'lat'"):
        plots.basin_map(basins["aridity"].drop_vars("lat"))


def test_one_basin_has_a_map(basins):
    style.render(plots.basin_map(basins["aridity"].isel(basin=[3])))


def test_outline_is_the_contiguous_states():
    lon, lat = _us_borders().T
    assert np.nanmin(lon) == pytest.approx(-124.7, abs=0.1)
    assert np.nanmax(lon) == pytest.approx(-66.95, abs=0.1)
    assert np.nanmin(lat) > 24.4 and np.nanmax(lat) < 49.5


def test_attribute_maps_have_the_four_panels_of_fig_2(basins):
    titles = [t.text for t in models(plots.attribute_maps(basins))["Title"] if t.text]
    assert sorted(titles) == [
        "(a) elev mean (m)",
        "(b) aridity",
        "(c) frac forest",
        "(d) p mean (mm/d)",
    ]
    with pytest.raises(DataError, match="none of the attributes"):
        plots.attribute_maps(basins[[]])


def test_flow_duration_curve_is_sorted_and_ends_where_the_river_dries(flows):
    _, obs = flows
    observed = next(iter(plots.flow_duration_curve(obs, {"LSTM": obs * 2})))
    flow, exceeded = observed.dimension_values("flow"), observed.dimension_values("exceeded")
    assert (np.diff(flow) <= 0).all()
    seen = obs.to_numpy()[~np.isnan(obs)]
    assert exceeded.max() == pytest.approx(100 * (seen > 0).mean(), abs=0.1)


def test_regime_shows_the_mean_year_of_observed_days(flows):
    _, obs = flows
    means = mean_years(obs, {"LSTM": xr.ones_like(obs)}, window=1)
    drawn = {c.label: c for c in plots.regime(*means)}
    np.testing.assert_allclose(drawn["LSTM"].dimension_values("flow"), 1)
    first_of_june = obs.sel(time=(obs["time"].dt.month == 6) & (obs["time"].dt.day == 1)).mean()
    assert drawn["observed"].dimension_values("flow")[151] == pytest.approx(float(first_of_june))
    assert drawn["observed"].vdims[0].label == "mean streamflow (mm/d)"


def test_simulations_count_only_where_observed(flows):
    _, obs = flows
    sim = xr.ones_like(obs).where(obs.notnull(), 99)
    drawn = plots.flow_duration_curve(obs, {"LSTM": sim}).get(1)
    assert len(drawn) == int(obs.count())
    _, means = mean_years(obs, {"LSTM": sim})
    assert float(means["LSTM"].max()) == 1


@pytest.mark.parametrize("valid", [[np.nan, 0.3, np.nan, 0.5], [np.nan] * 4])
def test_loss_curve(valid):
    progress = pd.DataFrame(
        {
            "epoch": [0.5, 1, 1.5, 2],
            "loss": [3.0, 2.0, 1.5, 1.0],
            "valid": valid,
            "learning_rate": 1e-3,
        }
    )
    titles = {t.text for t in models(plots.loss_curve(progress))["Title"]}
    assert ("validation, best 0.50 after epoch 2" in titles) == (valid[1] == 0.3)


def test_budyko_and_distributions(basins):
    style.render(
        plots.budyko(basins["aridity"], 1 - np.exp(-basins["aridity"]), colour_by=basins["p_mean"])
    )
    drawn = models(plots.attribute_distributions(basins, ["aridity", "p_mean"], "00000003"))
    assert {title.text for title in drawn["Title"]} >= {"aridity", "p mean (mm/d)"}


def test_forcing_panels(flows):
    prcp, obs = flows
    ds = xr.Dataset({"prcp": prcp, "streamflow": obs})
    assert (
        len(style.render(plots.forcing(ds, ["prcp", "streamflow"], title="a river")).children) == 2
    )


def test_a_saved_figure_needs_nothing_else(flows, tmp_path):
    _, obs = flows
    path = plots.save(plots.hydrograph(obs, {"LSTM": obs}), tmp_path / "new", "flow")
    page = path.read_text()
    assert path == tmp_path / "new" / "flow.html"
    assert not re.search(r"<(script|link|img)[^>]*(src|href)=", page), "nothing is fetched"
    assert page.count("BEGIN bokeh.min.js") == 1
    assert path.stat().st_size < 3e6
    assert [p.name for p in path.parent.iterdir()] == ["flow.html"]


def test_a_folder_that_cannot_be_written(flows, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        plots.save(plots.hydrograph(None, {"LSTM": flows[1]}), tmp_path / "file", "flow")


def test_importing_the_figures_loads_neither_data_nor_bokeh():
    code = """
import sys
from hydronb import plots
names = ("bokeh", "panel", "scipy", "torch", "hydronb.data", "hydronb.analysis", "hydronb.models")
print(*[name for name in names if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr


def test_examples_in_the_docstrings():
    assert doctest.testmod(plots).failed == 0


def test_members_of_an_ensemble_are_thin_curves_of_its_colour():
    rng = np.random.default_rng(0)
    scores = {name: pd.Series(rng.uniform(0, 1, 20), name="nse") for name in ("EA-LSTM", "LSTM")}
    seeds = {"EA-LSTM": [scores["EA-LSTM"] - 0.1, scores["EA-LSTM"] - 0.2]}
    figure = style.render(plots.cdf(scores, seeds=seeds, dashes={"LSTM": "dashed"}))
    lines = [r.glyph for r in figure.renderers]
    assert [line.line_color for line in lines] == [style.BLUE, style.BLUE, style.BLUE, style.ORANGE]
    assert [line.line_width for line in lines] == [0.7, 0.7, 2, 2]
    assert [line.line_dash for line in lines] == [[], [], [], [6]]
    assert len(figure.legend[0].items) == 2
