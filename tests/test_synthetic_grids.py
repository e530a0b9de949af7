"""Synthetic grids: water is conserved, the routing follows its closed forms, and the spatial
pattern matters."""

import numpy as np
import pytest
import xarray as xr

from hydronb.data.gridded import SMALLEST, basin_mean
from hydronb.data.synthetic import truth_grid, truth_hbv
from hydronb.data.synthetic.grids import LONGEST, PRESETS, synthetic_grid
from hydronb.errors import ParameterError


@pytest.fixture(scope="module")
def ds() -> xr.Dataset:
    return synthetic_grid((16, 16), 6, 0)


def nse(sim: np.ndarray, obs: np.ndarray) -> float:
    there = np.isfinite(obs)
    return float(
        1 - ((sim - obs)[there] ** 2).sum() / ((obs - obs[there].mean())[there] ** 2).sum()
    )


# Water
# ---


def test_water_is_conserved_every_day(ds):
    change = np.diff(ds["true_storage"])
    balance = (basin_mean(ds, "prcp") - ds["true_et"] - ds["true_streamflow"]).values[1:]
    np.testing.assert_allclose(change, balance, rtol=0, atol=1e-9)


def test_cells_average_to_the_basin(ds):
    for name in ("et", "snow", "soil_moisture", "groundwater"):
        np.testing.assert_allclose(
            basin_mean(ds, f"true_{name}_cells"), ds[f"true_{name}"], rtol=2e-5, atol=1e-5
        )
        assert float(ds[f"true_{name}_cells"].min()) >= 0
    assert ds["true_et_cells"].isnull().any("time").equals(ds["mask"] == 0)


def test_one_cell_is_the_hidden_hbv_itself():
    """A basin of one cell against the model of the lumped catchments, without its routing."""
    rng = np.random.default_rng(0)
    prcp, tmean, pet = (
        rng.gamma(0.3, 10, (400, 1)),
        rng.normal(2, 8, (400, 1)),
        rng.random((400, 1)) * 3,
    )
    p = {name: np.array([(b.low + b.high) / 2]) for name, b in truth_hbv.BOUNDS.items()}
    factors = {name: np.ones((1, 400)) for name in ("BETA", "BETAET")}
    elements = {
        name: value[:, None] if not name.startswith("ROUTE") else value for name, value in p.items()
    }
    want = truth_hbv.simulate(prcp.T, tmean.T, pet.T, elements, factors)
    basin, cells = truth_grid.simulate(prcp, tmean, pet, p, np.ones(1), np.full(1, 1e-6))
    for name in ("et", "snow", "soil_moisture"):
        np.testing.assert_allclose(basin[name], want[name][0], rtol=1e-12)
        np.testing.assert_allclose(cells[name], want[name].T, rtol=1e-6)
    change = np.diff(basin["storage"], prepend=0)
    np.testing.assert_allclose(change, prcp[:, 0] - basin["et"] - basin["streamflow"], atol=1e-9)


def test_travel_times_are_distances():
    inside = np.ones((3, 5), dtype=bool)
    inside[1, 1:4] = False  # a ring: the far side is reached around the hole
    days = truth_grid.travel_time(inside, (1, 0), (10.0, 10.0), 10.0)
    steps = np.array(
        [
            [1, np.sqrt(2), np.sqrt(2) + 1, np.sqrt(2) + 2, np.sqrt(2) + 3],
            [0, np.nan, np.nan, np.nan, 2 * np.sqrt(2) + 2],
            [1, np.sqrt(2), np.sqrt(2) + 1, np.sqrt(2) + 2, np.sqrt(2) + 3],
        ]
    )
    want = 10 * steps + 5
    np.testing.assert_allclose(days, 10 * want / np.nanmax(want))


def test_unit_hydrographs_sum_to_one_and_have_their_mean():
    lags = truth_grid.unit_hydrographs(np.array([0.5, 2.0, 6.0]))
    np.testing.assert_allclose(lags.sum(axis=1), 1)
    middle = np.arange(truth_grid.ROUTING_DAYS) + 0.5
    np.testing.assert_allclose(lags @ middle, [0.5, 2.0, 6.0], atol=0.05)


# What a grid is
# ---


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_have_the_published_shapes_and_climates(preset):
    found = synthetic_grid(preset, 1, cells=False)
    shapes = {"yellow": (41, 77), "yangtze": (34, 71), "lancang": (84, 59)}
    assert (found.sizes["y"], found.sizes["x"]) == shapes[preset]
    heights = [float(found["elevation"].min()), float(found["elevation"].max())]
    assert heights == pytest.approx(PRESETS[preset].elevation)
    assert float(found["prcp"].mean()) * 365.25 == pytest.approx(PRESETS[preset].prcp, rel=0.4)
    assert "true_et_cells" not in found


@pytest.mark.parametrize("shape", [(SMALLEST, SMALLEST), (4, 30), (23, 5)])
def test_any_shape_has_a_basin_of_one_piece(shape):
    found = synthetic_grid(shape, 1, 7)
    inside = (found["mask"] > 0).values
    assert inside.sum() >= 4
    # finite: all cells reach the outlet
    assert float(found["true_travel_time"].max()) == pytest.approx(LONGEST)
    np.testing.assert_array_equal(np.isfinite(found["true_travel_time"]), inside)
    assert float(found["true_streamflow"].min()) > 0


def test_the_basin_is_ragged_and_in_the_box(ds):
    mask = ds["mask"].values
    assert ((mask > 0) & (mask < 1)).sum() > 15 and 0.3 < mask.mean() < 0.8


def test_deterministic_and_years_only_add(ds):
    xr.testing.assert_identical(synthetic_grid((16, 16), 6, 0), ds)
    fewer = synthetic_grid((16, 16), 2, 0)
    for name in ("prcp", "tmean", "true_streamflow", "true_et_cells", "mask", "elevation"):
        same = (
            ds[name].isel(time=slice(0, fewer.sizes["time"]))
            if "time" in ds[name].dims
            else ds[name]
        )
        np.testing.assert_array_equal(fewer[name], same)
    assert not np.allclose(synthetic_grid((16, 16), 1, 1)["mask"], ds["mask"])


def test_temperature_falls_with_height_and_snow_lies_high(ds):
    mean = ds["tmean"].mean("time").values.ravel()
    slope = np.polyfit(ds["elevation"].values.ravel(), mean, 1)[0] * 1000
    assert slope == pytest.approx(-5.5, abs=0.4)
    inside = ds["mask"].values > 0
    snow = ds["true_snow_cells"].mean("time").values[inside]
    assert np.corrcoef(snow, ds["elevation"].values[inside])[0, 1] > 0.7


def test_storms_have_extent_and_move(ds):
    prcp = ds["prcp"].values
    near = np.corrcoef(prcp[:, 8, 8], prcp[:, 8, 9])[0, 1]
    far = np.corrcoef(prcp[:, 8, 1], prcp[:, 8, 15])[0, 1]
    assert near > 0.75 > 0.4 > far
    west, east = prcp[:, :, 3].mean(axis=1), prcp[:, :, 12].mean(axis=1)
    # what falls in the west comes east a day later
    eastwards = np.corrcoef(west[:-1], east[1:])[0, 1]
    assert eastwards > np.corrcoef(west[1:], east[:-1])[0, 1] + 0.1
    assert prcp.max() < 250 and 0.5 < (prcp < 0.1).mean() < 0.9


def test_the_spatial_pattern_matters_to_the_hydrograph(monkeypatch):
    """The same truth under the basin's mean precipitation, spread as in the long run, misses some
    of the variance, and so it does when each day's precipitation falls on other cells."""
    simulate, given = truth_grid.simulate, []

    def overheard(*arguments, cells):
        given.append(arguments)
        return simulate(*arguments, cells=cells)

    monkeypatch.setattr(truth_grid, "simulate", overheard)
    synthetic_grid((16, 16), 3, 0, cells=False)
    prcp, tmean, pet, parameters, weights, days = given[0]

    def flow(prcp: np.ndarray) -> np.ndarray:
        return simulate(prcp, tmean, pet, parameters, weights, days, cells=False)[0]["streamflow"][
            -1096:
        ]

    mean = prcp.astype(float) @ weights
    pattern = prcp.mean(axis=0) / (prcp.mean(axis=0) @ weights)
    assert nse(flow(np.outer(mean, pattern)), flow(prcp)) < 0.95
    shuffled = prcp[:, np.random.default_rng(0).permutation(len(days))].astype(float)
    assert (
        nse(flow(shuffled * (mean / np.maximum(shuffled @ weights, 1e-9))[:, None]), flow(prcp))
        < 0.95
    )


def test_the_gauge_errs_as_gauges_do(ds):
    assert 0.005 < float(ds["streamflow"].isnull().mean()) < 0.06
    assert 0.85 < nse(ds["true_streamflow"].values, ds["streamflow"].values) < 0.99
    assert not ds["et"].isnull().any() and nse(ds["true_et"].values, ds["et"].values) > 0.97


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("yelow",), "preset = 'yelow' is unknown; choose one of yellow"),
        (((3, 8),), "the smallest grid is 4 x 4"),
        (((8,),), "at least 2 items"),
        (((8, 8), 0), "years = 0"),
        (((8, 8), 1, -1), "seed = -1"),
    ],
)
def test_arguments_that_cannot_be(arguments, message):
    with pytest.raises(ParameterError, match=message):
        synthetic_grid(*arguments)
