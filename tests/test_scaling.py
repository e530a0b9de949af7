"""Scaling: what it is computed from, what is saved, and which attributes are refused."""

import numpy as np
import pytest
import torch
import xarray as xr
from catchments import period, random_catchments

from hydronb.data.attributes import KRATZERT2019, attribute_list, attribute_matrix, categories
from hydronb.data.scaling import fit_scaling
from hydronb.errors import DataError
from hydronb.models import load
from hydronb.models.weights import save_model
from hydronb.vocabulary import MODELS

FORCINGS, TARGETS = ["prcp", "tmean"], ["streamflow"]
TRAIN = period("2000-03-01", "2000-09-30")
DAYS = slice("2000-03-01", "2000-09-30")


@pytest.fixture
def ds():
    return random_catchments(5)


def fit(ds, attributes=("slope", "forest", "rock"), forcings=FORCINGS, targets=TARGETS, **more):
    return fit_scaling(ds, forcings, attributes, targets, TRAIN, **more)


def model_of(scaling):
    return MODELS["ealstm"].make(
        model="ealstm",
        scaling=scaling,
        hidden=4,
        dropout=0.0,
        forget_bias=3.0,
        sequence_length=10,
        predict_last=1,
    )


def test_statistics_are_of_all_basins_together_ddof_as_in_the_paper(ds):
    scaling = fit(ds)
    for name in FORCINGS + TARGETS:
        values = ds[name].sel(time=DAYS).values.astype(float)
        expected = np.nanmean(values), np.nanstd(values)
        assert (scaling.forcings | scaling.targets)[name] == pytest.approx(expected, rel=1e-12)
    slope = ds["slope"].values
    assert scaling.attributes["slope"] == pytest.approx((slope.mean(), slope.std(ddof=1)))


def test_days_outside_the_training_period_are_not_looked_at(ds):
    expected = fit(ds)
    outside = (ds["time"] < np.datetime64("2000-03-01")) | (
        ds["time"] > np.datetime64("2000-09-30")
    )
    for name in FORCINGS + TARGETS:
        ds[name] = ds[name].where(~outside, 1e6)
    assert fit(ds) == expected


def test_basins_that_are_not_trained_on_are_not_looked_at(ds):
    train, other = ds.isel(basin=[0, 1, 2]), ds.isel(basin=[3, 4])
    scaling = fit(train)
    model = model_of(scaling)
    _, static = model.standardise(
        torch.zeros(2, 1, 2), torch.from_numpy(scaling.static(other)).float()
    )
    slope = train["slope"].values
    expected = (other["slope"].values - slope.mean()) / slope.std(ddof=1)
    np.testing.assert_allclose(static[:, 0], expected, rtol=1e-5)


def test_standardised_series_have_mean_zero_and_unit_deviation(ds):
    model = model_of(fit(ds))
    days = ds.sel(time=DAYS)
    raw = torch.from_numpy(np.stack([days[n].values for n in FORCINGS], -1))
    dynamic, static = model.standardise(raw, torch.from_numpy(model.scaling.static(ds)).float())
    torch.testing.assert_close(dynamic.mean((0, 1)), torch.zeros(2), atol=1e-4, rtol=0)
    torch.testing.assert_close(dynamic.std((0, 1), correction=0), torch.ones(2), atol=1e-4, rtol=0)
    torch.testing.assert_close(static.std(0), torch.ones(3), atol=1e-5, rtol=0)


def test_out_comes_mm_per_day(ds):
    """A network that says 0 means the mean streamflow of the training period, 1 a standard
    deviation more."""
    model = model_of(fit(ds))
    with torch.no_grad():
        model.network.head.weight.zero_()
        for level in (0.0, 1.0):
            model.network.head.bias.fill_(level)
            out = model(
                torch.zeros(2, 10, 2), torch.from_numpy(model.scaling.static(ds)).float()[:2]
            )
            mean, std = model.scaling.targets["streamflow"]
            torch.testing.assert_close(out, torch.full((2, 1, 1), mean + level * std))


def test_saved_with_the_weights_and_restored(ds, tmp_path):
    torch.manual_seed(0)
    model = model_of(fit(ds)).eval()
    save_model(model, tmp_path)
    again = load(tmp_path)
    assert again.scaling.plain() == model.scaling.plain() and again.settings == model.settings
    dynamic = torch.randn(5, 10, 2)
    static = torch.from_numpy(again.scaling.static(ds)).float()
    assert torch.equal(again(dynamic, static), model(dynamic, static))
    np.testing.assert_array_equal(again.scaling.static(ds), model.scaling.static(ds))
    assert not again.training
    assert sorted(f.name for f in tmp_path.iterdir()) == ["model.json", "model.safetensors"]


def test_categories_are_coded_in_alphabetical_order_and_the_codes_travel(ds):
    scaling = fit(ds)
    assert scaling.codes == {"rock": ["basalt", "granite", "shale"]}
    np.testing.assert_array_equal(scaling.static(ds)[:, 2], [0, 1, 2, 0, 1])
    few = ds.isel(basin=[2, 1])  # a subset has other sorted values; the trained codes count
    np.testing.assert_array_equal(scaling.static(few)[:, 2], [2, 1])


def test_a_category_that_was_not_trained_with(ds):
    scaling = fit(ds)
    ds["rock"][3] = "granit"
    with pytest.raises(
        DataError, match=r"rock of basin x_00000004 is 'granit', .* did you mean 'granite'\?"
    ):
        scaling.static(ds)


@pytest.mark.parametrize(
    ("name", "missing"), [("slope", np.nan), ("rock", np.nan), ("rock", ""), ("rock", "nan")]
)
def test_a_missing_attribute_is_refused_or_takes_the_mean_of_the_others(ds, name, missing):
    ds[name][1] = missing
    with pytest.raises(
        DataError, match=f"{name} of basin x_00000002 is missing .*missing_attributes: mean"
    ):
        fit(ds)
    scaling = fit(ds, missing_attributes="mean")
    column = list(scaling.attributes).index(name)
    static = scaling.static(ds)
    assert static[1, column] == pytest.approx(np.delete(static[:, column], 1).mean())
    assert np.isfinite(static).all()


def test_missing_in_prediction_is_refused_where_training_refused_it(ds):
    scaling = fit(ds)
    ds["forest"][0] = np.nan
    with pytest.raises(DataError, match="forest of basin x_00000001 is missing"):
        scaling.static(ds)


def test_an_attribute_that_is_missing_everywhere(ds):
    ds["slope"][:] = np.nan
    with pytest.raises(DataError, match="slope is missing in every basin; leave it out"):
        fit(ds, missing_attributes="mean")


def test_a_constant_attribute_warns_and_scales_to_zero(ds):
    ds["slope"][:] = 7.3
    with pytest.warns(UserWarning, match="tell the model nothing: slope"):
        scaling = fit(ds)
    model = model_of(scaling)
    _, static = model.standardise(
        torch.zeros(5, 1, 2), torch.from_numpy(scaling.static(ds)).float()
    )
    assert (static[:, 0] == 0).all() and (static[:, 1] != 0).all()


def test_a_single_basin_can_be_trained(ds):
    one = ds.isel(basin=[0])
    with pytest.warns(UserWarning, match="slope, forest, rock"):
        scaling = fit(one)
    _, static = model_of(scaling).standardise(
        torch.zeros(1, 1, 2), torch.from_numpy(scaling.static(one)).float()
    )
    assert (static == 0).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"forcings": ["precip"]}, "no forcing 'precip'.*prcp"),
        ({"forcings": ["prcp", "streamflow"]}, "no forcing 'streamflow'"),
        ({"forcings": ["slope"]}, "no forcing 'slope'"),
        ({"targets": ["steamflow"]}, "no target 'steamflow'; did you mean 'streamflow'"),
        ({"attributes": ["slop"]}, "no attribute 'slop'; did you mean 'slope'"),
        ({"attributes": ["prcp"]}, "no attribute 'prcp'"),
    ],
)
def test_names_the_data_do_not_have(ds, arguments, message):
    with pytest.raises(DataError, match=message):
        fit(ds, **arguments)


def test_a_basin_without_an_observation_in_the_period(ds):
    ds["streamflow"].loc[{"basin": "x_00000002", "time": DAYS}] = np.nan
    with pytest.raises(
        DataError, match=r"no streamflow in 2000-03-01 to 2000-09-30 in 1 basin \(x_00000002\)"
    ):
        fit(ds)


def test_a_forcing_that_never_changes(ds):
    ds["tmean"][:] = 0.1
    with pytest.raises(DataError, match=r"forcing tmean is 0\.1 on every day"):
        fit(ds)


def test_lists_of_attributes(ds):
    assert attribute_list(ds, "all") == ["slope", "forest", "rock"]
    assert attribute_list(ds, ["rock"]) == ["rock"]
    with pytest.raises(DataError, match="no attribute 'carbonate_rocks_frac'"):
        attribute_list(ds, "kratzert2019")
    assert len(KRATZERT2019) == len(set(KRATZERT2019)) == 27


def test_signatures_of_streamflow_are_no_inputs_unless_named(ds):
    ds["slope"].attrs["group"] = "hydro"
    assert attribute_list(ds, "all") == ["forest", "rock"]
    with pytest.warns(UserWarning, match="slope: made from the streamflow that is to be simulated"):
        assert attribute_list(ds, ["slope", "rock"]) == ["slope", "rock"]


def test_no_attribute_is_an_empty_matrix(ds):
    assert attribute_matrix(ds, [], {}).shape == (5, 0)
    assert categories(ds, ["slope"]) == {}


def test_the_published_scaling_of_attributes(real_data):
    """Means and standard deviations (ddof 1) over the 531 basins of the paper, as its published
    table has them."""
    from hydronb.data import open_camels_attributes, read_basin_list

    basins = read_basin_list(real_data / "published/basins_531.txt")
    attributes = open_camels_attributes(real_data / "camels_us/camels_attributes_v2.0", basins)
    weather = random_catchments(len(basins), 20)[FORCINGS + TARGETS].assign_coords(
        basin=attributes["basin"]
    )
    scaling = fit_scaling(
        xr.merge([weather, attributes]),
        FORCINGS,
        KRATZERT2019,
        TARGETS,
        period("2000-01-01", "2000-01-20"),
    )
    assert list(scaling.attributes) == list(KRATZERT2019)
    for name, mean, std in (
        ("p_mean", 3.3940368166168464, 1.3677675750855731),
        ("elev_mean", 728.0364218455743, 787.7734986702541),
        ("area_gages2", 477.2376271186441, 472.92402020016215),
        ("frac_forest", 0.6665877589453859, 0.36171966803880085),
        ("geol_permeability", -13.94927570621469, 1.1831705016898773),
    ):
        assert scaling.attributes[name] == pytest.approx((mean, std), rel=1e-9)
