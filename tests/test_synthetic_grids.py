"""Synthetic grids: water is conserved, the routing follows its closed forms, and the spatial
pattern matters."""

import numpy as np
import pytest
import xarray as xr

from hydronb.data.gridded import SMALLEST, basin_mean
from hydronb.data.synthetic import truth_grid, truth_hbv
from hydronb.data.synthetic.grids import PRESETS, synthetic_grid
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


def test_water_takes_the_lowest_way_out():
    """A winding gorge: its cells are followed one by one, and what lies between falls into the
    lowest cell beside it."""
    z = np.array(
        [
            [1.0, 2.0, 3.0, 4.0],
            [90.0, 91.0, 92.0, 5.0],
            [9.0, 8.0, 7.0, 6.0],
            [10.0, 93.0, 94.0, 95.0],
        ]
    )
    days = truth_grid.travel_time(np.ones((4, 4), bool), (0, 0), (10.0, 10.0), z)
    np.testing.assert_allclose(days * truth_grid.CELERITY, km(z, (0, 0)) + 5, rtol=1e-12)
    # along 9, 8, 7, across the corner to 5 and again to 3, 2, 1
    assert days[2, 0] * truth_grid.CELERITY == pytest.approx(10 * (2 + 2 * np.sqrt(2) + 2) + 5)


def km(z: np.ndarray, outlet: tuple[int, int]) -> np.ndarray:
    """Length of the way down from each cell, always to the lowest of the eight cells around."""
    length = np.zeros(z.shape)
    for cell in np.ndindex(z.shape):
        at = cell
        while at != outlet:
            rows, cols = (
                range(max(i - 1, 0), min(i + 2, n)) for i, n in zip(at, z.shape, strict=True)
            )
            down = min(((r, c) for r in rows for c in cols), key=lambda one: z[one])
            length[cell] += 10 * np.hypot(down[0] - at[0], down[1] - at[1])
            at = down
    return length


@pytest.mark.parametrize("seed", range(5))
def test_where_there_are_no_pits_water_falls_to_the_lowest_neighbour(seed):
    rng = np.random.default_rng(seed)
    y, x = np.indices((9, 12))
    z = np.hypot(y - 2, x) + rng.uniform(0, 0.2, (9, 12))
    z[2, 0] = -1.0
    days = truth_grid.travel_time(np.ones(z.shape, bool), (2, 0), (10.0, 10.0), z)
    np.testing.assert_allclose(days * truth_grid.CELERITY, km(z, (2, 0)) + 5, rtol=1e-12)


def test_a_pit_overflows_where_its_rim_is_lowest():
    z = np.array([[0.0, 50.0, 3.0, 40.0, 9.0]])  # the pit at 3 leaves over 50, whatever lies behind
    days = truth_grid.travel_time(np.ones(z.shape, bool), (0, 0), (10.0, 20.0), z)
    np.testing.assert_allclose(days[0] * truth_grid.CELERITY, 20 * np.arange(5) + 5)
    inside = np.array([[True, True, False], [False, False, True]])
    days = truth_grid.travel_time(inside, (0, 0), (3.0, 4.0), np.array([[1.0, 2, 0], [0, 0, 3]]))
    np.testing.assert_allclose(
        days * truth_grid.CELERITY, [[1.5, 5.5, np.nan], [np.nan, np.nan, 10.5]]
    )


def test_unit_hydrographs_are_diffusive_waves():
    mean = np.array([0.5, 2.0, 6.0, 12.0])
    lags = truth_grid.unit_hydrographs(mean)
    np.testing.assert_allclose(lags.sum(axis=1), 1)
    middle = np.arange(truth_grid.ROUTING_DAYS) + 0.5
    np.testing.assert_allclose(lags @ middle, mean, atol=0.05)
    variance = lags @ middle**2 - (lags @ middle) ** 2 - 1 / 12  # of days, within which all is even
    # Hayami's: 2 D x / c^3, at 1 m/s and 5,000 m2/s, in days
    want = 2 * 5000 * mean * 86400 / 1.0**2 / 86400**2
    np.testing.assert_allclose(variance[1:], want[1:], atol=0.1)


# What a grid is
# ---


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_have_the_published_shapes_and_climates(preset):
    found = synthetic_grid(preset, 1, cells=False)
    shapes = {"yellow": (41, 77), "yangtze": (34, 71), "lancang": (84, 59)}
    assert (found.sizes["y"], found.sizes["x"]) == shapes[preset]
    inside = found["elevation"].where(found["mask"] > 0)
    heights = [float(inside.min()), float(inside.max())]
    assert heights == pytest.approx(PRESETS[preset].elevation)
    assert float(found["prcp"].mean()) * 365.25 == pytest.approx(PRESETS[preset].prcp, rel=0.4)
    assert "true_et_cells" not in found
    areas = {"yellow": 123_000, "yangtze": 139_000, "lancang": 91_000}  # Li et al. (2023), Table 1
    assert float(found["area"]) == pytest.approx(areas[preset], rel=0.04)


@pytest.mark.parametrize("shape", [(SMALLEST, SMALLEST), (4, 30), (23, 5)])
def test_any_shape_has_a_basin_of_one_piece(shape):
    found = synthetic_grid(shape, 1, 7)
    inside = (found["mask"] > 0).values
    assert inside.sum() >= 4
    # finite: all cells reach the outlet
    np.testing.assert_array_equal(np.isfinite(found["true_travel_time"]), inside)
    assert float(found["true_streamflow"].min()) > 0


@pytest.mark.parametrize("share", [0.1, 0.17, 0.4, 0.7])
@pytest.mark.parametrize("seed", [0, 3])
def test_the_basin_fills_its_share_of_the_box(share, seed):
    mask = synthetic_grid((24, 30), 1, seed, cells=False, share=share)["mask"].values
    assert mask.mean() == pytest.approx(share, abs=0.03)
    assert ((mask > 0) & (mask < 1)).sum() > 15
    rows, cols = np.nonzero(mask)
    assert np.ptp(rows) >= 19 and np.ptp(cols) >= 24, "it crosses its box from corner to corner"


def test_storms_are_of_the_weather_not_of_the_grid():
    """Rain 200 km apart correlates alike, whatever the cells and the box."""

    def correlation(shape, cell, apart):
        prcp = synthetic_grid(shape, 4, 0, cells=False, cell=cell)["prcp"].values
        pairs = [
            np.corrcoef(prcp[:, row, col], prcp[:, row + apart, col])[0, 1]
            for row in range(shape[0] - apart)
            for col in range(0, shape[1], 3)
        ]
        return np.mean(pairs)

    near, far = correlation((20, 8), 0.1, 9), correlation((20, 24), 0.3, 3)
    assert near == pytest.approx(far, abs=0.1)
    assert correlation((20, 8), 0.1, 2) > near + 0.2


def test_the_mean_of_the_box_knows_a_small_basin_no_better_than_the_papers_does():
    """Lancang's r_ref is 0.79 (Li et al. 2023, Table 5)."""
    ds = synthetic_grid("lancang", 4, 0, cells=False, cell=0.25)
    r_ref = np.corrcoef(ds["prcp"].mean(("y", "x")), basin_mean(ds, "prcp"))[0, 1]
    assert r_ref == pytest.approx(0.79, abs=0.06)


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
    assert near > 0.6 > 0.4 > far
    west, east = prcp[:, :, 3].mean(axis=1), prcp[:, :, 12].mean(axis=1)
    # what falls in the west comes east a day later
    eastwards = np.corrcoef(west[:-1], east[1:])[0, 1]
    assert eastwards > np.corrcoef(west[1:], east[:-1])[0, 1] + 0.1
    assert prcp.max() < 250 and 0.5 < (prcp < 0.1).mean() < 0.9


def test_the_spatial_pattern_matters_to_the_hydrograph(ds):
    """The same truth under the basin's mean forcing misses some of the variance of streamflow, and
    has as much water."""
    truth, lumped = ds["true_streamflow"].values, ds["lumped_streamflow"].values
    assert 0.5 < nse(lumped, truth) < 0.97
    assert lumped.mean() == pytest.approx(truth.mean(), rel=0.2)
    balance = basin_mean(ds, "prcp").mean() - ds["lumped_et"].mean() - lumped.mean()
    assert abs(float(balance)) < 0.1, "what stores keep over six years"


def test_a_basin_of_one_cell_has_nothing_to_lump():
    ds = synthetic_grid((4, 4), 2, 0, share=0.03)
    assert (ds["mask"] > 0).sum() == 1
    for name in ("streamflow", "et"):
        np.testing.assert_allclose(ds[f"lumped_{name}"], ds[f"true_{name}"], rtol=1e-5, atol=1e-6)


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
        (((8, 8), 1, 0, 0.1, 1.5), "share = 1.5"),
        (((8, 8), 1, 0, -0.1), "cell = -0.1"),
    ],
)
def test_arguments_that_cannot_be(arguments, message):
    with pytest.raises(ParameterError, match=message):
        synthetic_grid(*arguments[:3], **dict(zip(("cell", "share"), arguments[3:], strict=False)))
