"""Samples and batches against slices cut out of the dataset by date."""

import numpy as np
import pytest
import torch
import xarray as xr
from catchments import period, random_catchments

from hydronb.data.scaling import fit_scaling
from hydronb.data.windows import prediction_samples, training_samples
from hydronb.errors import DataError
from hydronb.models import standardised
from hydronb.training.predict import predict
from hydronb.vocabulary import MODELS

FORCINGS, ATTRIBUTES = ["prcp", "tmean"], ["slope", "forest", "rock"]
TRAIN = period("2000-03-01", "2000-09-30")


@pytest.fixture
def ds():
    return random_catchments()


def scaling(ds, targets=("streamflow",)):
    return fit_scaling(ds, FORCINGS, ATTRIBUTES, list(targets), TRAIN)


def days_of(ds, samples):
    return [
        (samples.ids[b], ds["time"].values[t])
        for b, t in zip(samples.basin, samples.last, strict=True)
    ]


@pytest.mark.parametrize(("length", "last_days"), [(1, 1), (20, 1), (20, 5), (20, 20), (60, 3)])
def test_a_batch_is_what_slicing_by_date_gives(ds, length, last_days):
    samples = training_samples(ds, scaling(ds), TRAIN, length, last_days)
    index = torch.randperm(len(samples), generator=torch.Generator().manual_seed(0))[:50]
    batch = samples.gather(index)
    assert batch.dynamic.shape == (50, length, 2) and batch.target.shape == (50, last_days, 1)
    for k, (basin, last) in enumerate(np.array(days_of(ds, samples), object)[index]):
        one = ds.sel(basin=basin)
        days = slice(last - np.timedelta64(length - 1, "D"), last)
        for j, name in enumerate(FORCINGS):
            np.testing.assert_array_equal(batch.dynamic[k, :, j], one[name].sel(time=days))
        expected = one["streamflow"].sel(time=days)[-last_days:]
        np.testing.assert_array_equal(batch.target[k, :, 0], expected)
        np.testing.assert_allclose(batch.static[k, :2], [one["slope"], one["forest"]], rtol=1e-6)
        assert samples.ids[batch.basin[k]] == basin


@pytest.mark.parametrize("last_days", [1, 4, 30])
def test_training_samples_are_all_with_an_observation_and_no_other(ds, last_days):
    ds["streamflow"][1, 100:160] = np.nan
    samples = training_samples(ds, scaling(ds), TRAIN, 30, last_days)
    flow = ds["streamflow"].sel(time=slice("2000-03-01", "2000-09-30"))
    expected = [
        (basin, flow["time"].values[k])
        for basin in ds["basin"].values
        for k in range(last_days - 1, flow.sizes["time"])
        if flow.sel(basin=basin)[k - last_days + 1 : k + 1].notnull().any()
    ]
    assert days_of(ds, samples) == expected


def test_targets_of_the_first_sample_begin_with_the_period(ds):
    """The paper's 269 days before the first target: forcing of before the period is seen,
    streamflow is not."""
    ds["streamflow"][:] = 1 + np.arange(ds.sizes["time"], dtype=np.float32)
    samples = training_samples(ds, scaling(ds), TRAIN, 60, 1)
    batch = samples.gather(torch.tensor([0]))
    assert batch.target.item() == 1 + 60  # 1 March is day 60 of a leap year, counted from 0
    np.testing.assert_array_equal(batch.dynamic[0, :, 0], ds["prcp"][0, 1:61])


def test_a_sample_costs_eight_bytes_and_the_data_lie_there_once(ds):
    few = training_samples(ds, scaling(ds), TRAIN, 10, 1)
    many = training_samples(ds, scaling(ds), period("2000-03-01", "2001-01-31"), 300, 300)
    cells = ds.sizes["basin"] * ds.sizes["time"]
    for samples in (few, many):
        size = sum(t.nbytes for t in samples.tensors)
        assert size == 4 * cells * 3 + 4 * 3 * ds.sizes["basin"] + 8 * len(samples)
        storage = {
            t.untyped_storage().data_ptr(): t.untyped_storage().nbytes()
            for v in vars(samples).values()
            for t in (v if isinstance(v, tuple) else [v])
            if isinstance(t, torch.Tensor)
        }
        assert sum(storage.values()) == size  # the windows are views of the data


def test_batches_hold_every_sample_once_in_order(ds):
    samples = training_samples(ds, scaling(ds), TRAIN, 10, 1)
    batches = list(samples.batches(64))
    assert [len(b.basin) for b in batches][:-1] == [64] * (len(samples) // 64)
    assert torch.equal(torch.cat([b.basin for b in batches]), samples.basin.long())
    everything = samples.gather(torch.arange(len(samples)))
    assert torch.equal(torch.cat([b.dynamic for b in batches]), everything.dynamic)


@pytest.mark.parametrize(
    ("length", "last_days", "days"),
    [
        (10, 1, 50),
        (30, 10, 50),
        (30, 7, 50),
        (60, 60, 61),
        (60, 60, 60),
        (30, 10, 10),
        (30, 10, 9),
        (30, 10, 1),
        (60, 50, 3),
    ],
)
@pytest.mark.parametrize("at_the_end", [True, False])
def test_prediction_covers_each_day_of_the_period_and_no_basin_sees_another(
    ds, length, last_days, days, at_the_end
):
    """The forcing spells out basin and day, so that a window that crossed into another basin would
    be seen. Periods begin as early as they may, and periods shorter than `predict_last` are among
    them."""
    n = ds.sizes["time"]
    first = n - days if at_the_end else length - last_days
    ds["prcp"][:] = (np.arange(3)[:, None] * 1000 + np.arange(n)).astype(np.float32)
    asked = period(*(str(ds["time"].values[k])[:10] for k in (first, first + days - 1)))
    samples = prediction_samples(ds, scaling(ds), asked, length, last_days)
    seen = []
    for batch in samples.batches(16):
        expected = torch.arange(length) + (batch.dynamic[:, -1, 0] - length + 1)[:, None]
        assert torch.equal(batch.dynamic[:, :, 0], expected)
        assert torch.equal(batch.dynamic[:, -1, 0] // 1000, batch.basin.float())
        seen += batch.dynamic[:, -last_days:, 0].flatten().tolist()
    wanted = {1000 * b + t for b in range(3) for t in range(first, first + days)}
    assert wanted <= set(seen)
    if days % last_days == 0:
        assert sorted(seen) == sorted(wanted)  # no day is computed twice


def test_a_period_as_long_as_predict_last_is_one_sample_of_each_basin(ds):
    """Its targets are the whole period; with one day less there is none."""
    asked = period("2000-03-01", "2000-03-10")
    samples = training_samples(ds, scaling(ds), asked, 30, 10)
    assert days_of(ds, samples) == [(b, np.datetime64("2000-03-10")) for b in ds["basin"].values]
    expected = ds["streamflow"].sel(time=slice("2000-03-01", "2000-03-10"))
    targets = samples.gather(torch.arange(3)).target[:, :, 0]
    np.testing.assert_array_equal(targets, expected)
    with pytest.raises(DataError, match="is shorter than predict_last"):
        training_samples(ds, scaling(ds), asked, 30, 11)


@pytest.mark.parametrize("last_days", [1, 7])
def test_a_period_may_end_on_the_last_day_of_the_data(ds, last_days):
    """Its last day is a target of training and is simulated; a day later is refused."""
    asked, last = period("2000-12-01", "2001-02-03"), ds["time"].values[-1]
    assert str(last)[:10] == "2001-02-03"
    ds["streamflow"][:, -1] = [5.0, 6.0, 7.0]
    samples = training_samples(ds, scaling(ds), asked, 30, last_days)
    ends = samples.gather(torch.nonzero(samples.last == ds.sizes["time"] - 1)[:, 0])
    assert ends.target[:, -1, 0].tolist() == [5.0, 6.0, 7.0]
    np.testing.assert_array_equal(ends.dynamic[:, -1, 0], ds["prcp"][:, -1])
    simulation = predict(linear_in_today(ds, 30, last_days), ds, asked, progress=False)
    assert simulation["time"].values[-1] == last and simulation.sizes["time"] == 65
    np.testing.assert_allclose(simulation["streamflow"][:, -1], ds["prcp"][:, -1], rtol=1e-4)
    with pytest.raises(DataError, match="not within the data"):
        training_samples(ds, scaling(ds), period("2000-12-01", "2001-02-04"), 30, last_days)


def linear_in_today(ds, length, last_days, model="ealstm"):
    """A trained model's twin whose output is today's precipitation, so that every day's answer is
    known."""
    torch.manual_seed(0)
    scaled = MODELS[model].make(
        model=model,
        scaling=scaling(ds),
        hidden=4,
        dropout=0.3,
        forget_bias=0.0,
        sequence_length=length,
        predict_last=last_days,
    )
    mean, std = scaled.scaling.forcings["prcp"]
    to_mean, to_std = scaled.scaling.targets["streamflow"]

    class Today(torch.nn.Module):
        def forward(self, dynamic, static, last):
            return (dynamic[:, -last:, :1] * std + mean - to_mean) / to_std

    scaled.network = Today()
    return scaled


@pytest.mark.parametrize(
    ("length", "last_days", "days"), [(10, 1, 40), (30, 7, 40), (30, 30, 40), (60, 50, 3)]
)
def test_each_simulated_day_stands_at_its_date(ds, length, last_days, days):
    first = length - last_days
    asked = period(*(str(ds["time"].values[k])[:10] for k in (first, first + days - 1)))
    simulation = predict(linear_in_today(ds, length, last_days), ds, asked, progress=False)
    assert simulation["streamflow"].dims == ("basin", "time")
    np.testing.assert_allclose(
        simulation["streamflow"], ds["prcp"][:, first : first + days], rtol=1e-4, atol=1e-4
    )
    xr.testing.assert_equal(
        simulation["streamflow_obs"].drop_attrs(),
        ds["streamflow"][:, first : first + days].rename("streamflow_obs").drop_attrs(),
    )
    assert simulation["streamflow"].attrs["units"] == "mm/d"
    np.testing.assert_array_equal(simulation["lat"], ds["lat"])


def test_prediction_needs_no_streamflow(ds):
    model = linear_in_today(ds, 30, 5)
    bare = ds.drop_vars("streamflow")
    simulation = predict(model, bare, TRAIN, progress=False)
    assert list(simulation.data_vars) == ["streamflow"]
    xr.testing.assert_equal(
        simulation["streamflow"], predict(model, ds, TRAIN, progress=False)["streamflow"]
    )


def test_a_simulation_below_zero_is_zero_and_the_model_stays_as_it_was(ds):
    model = linear_in_today(ds, 10, 1).train()
    below = ds.assign(prcp=ds["prcp"] - 1)
    simulation = predict(model, below, TRAIN, progress=False)["streamflow"]
    assert float(simulation.min()) == 0 and float(simulation.max()) > 1
    assert model.training


def test_the_number_of_windows_at_once_changes_nothing(ds, monkeypatch):
    torch.manual_seed(0)
    model = MODELS["ealstm"].make(
        model="ealstm",
        scaling=scaling(ds),
        hidden=4,
        dropout=0.3,
        forget_bias=0.0,
        sequence_length=20,
        predict_last=3,
    )
    whole = predict(model, ds, TRAIN, progress=False)
    monkeypatch.setattr(standardised, "WINDOW_DAYS", 7 * 20)
    xr.testing.assert_allclose(predict(model, ds, TRAIN, progress=False), whole, rtol=1e-6)


@pytest.mark.parametrize(
    ("asked", "length", "last_days", "message"),
    [
        (
            ("2000-01-10", "2000-12-31"),
            30,
            1,
            "sequence_length 30 needs 29 days of forcing before 2000-01-10.*2000-01-30",
        ),
        (
            ("2000-03-01", "2001-12-31"),
            30,
            1,
            "the period 2000-03-01 to 2001-12-31 is not within the data.*2001-02-03",
        ),
        (("1999-03-01", "2000-12-31"), 30, 1, "not within the data, which run from 2000-01-01"),
        (("2000-03-01", "2000-03-05"), 30, 10, "shorter than predict_last"),
        (("2000-12-01", "2000-12-31"), 401, 1, "sequence_length 401 is longer than the data"),
    ],
)
def test_what_the_data_cannot_give(ds, asked, length, last_days, message):
    with pytest.raises(DataError, match=message):
        training_samples(ds, scaling(ds), period(*asked), length, last_days)


def test_two_targets(ds):
    """A day counts where one of the targets is observed."""
    ds["et"] = ds["streamflow"].shift(time=1)
    both = scaling(ds, ("streamflow", "et"))
    samples = training_samples(ds, both, TRAIN, 10, 1)
    flow, et = (
        ds[n].sel(time=slice("2000-03-01", "2000-09-30")).notnull() for n in ("streamflow", "et")
    )
    assert len(samples) == int((flow | et).sum())
    assert samples.gather(torch.arange(4)).target.shape == (4, 1, 2)
