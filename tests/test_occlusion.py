"""Occlusion maps: against encoders that read known cells, and the hidden truth."""

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
import yaml
from catchments import period
from grids import random_grid

from hydronb import plots
from hydronb.analysis import occlusion
from hydronb.data.gridded import cell_weights
from hydronb.data.synthetic import synthetic_grid
from hydronb.data.synthetic.grids import true_streamflow
from hydronb.data.windows import fit_grid_scaling
from hydronb.errors import DataError
from hydronb.models.cnn_lstm import CNNLSTM
from hydronb.models.weights import save_model
from hydronb.parameters import CNNLSTMTrainParameters
from hydronb.runs.directory import TrainedRun

TRAIN, TEST = period("2000-03-01", "2000-10-31"), period("2000-11-01", "2001-01-31")


def network(ds, model="cnn_lstm", train=TRAIN):
    means = model == "mean_lstm"
    torch.manual_seed(0)
    return CNNLSTM(
        model,
        fit_grid_scaling(ds, ["streamflow"], [], train, means=means),
        shape=None if means else [ds.sizes["y"], ds.sizes["x"]],
        hidden=6,
        layers=2,
        sequence_length=12,
        predict_last=1,
    ).eval()


def flow(model, days=TEST):
    return lambda ds: model.simulate(ds, days, progress=False)["streamflow"][0]


class OneCell(torch.nn.Module):
    """The rain of one cell as the first of 64 features."""

    def forward(self, x):
        return torch.nn.functional.pad(x[:, :1, 2, 5], (0, 63))


@pytest.mark.parametrize("block", [1, 2, 3])
def test_an_encoder_that_reads_one_cell_is_moved_by_its_block_alone(block):
    ds = random_grid()
    model = network(ds)
    model.encoder = OneCell()
    found = occlusion.occlusion_map(flow(model), ds, block)
    inside = np.zeros((5, 7), dtype=bool)
    inside[2 // block * block :, 5 // block * block :][:block, :block] = True
    assert found.dims == ("y", "x") and (found.values[inside] > 0.1).all()
    assert not found.values[~inside].any()


def test_weights_set_by_hand_find_their_cell():
    """The convolutions of the model itself, whose only weights lead from the cell in the middle."""
    ds = random_grid((5, 5))
    model = network(ds)
    for weight in model.encoder.parameters():
        weight.data.zero_()
    convolutions = [layer for layer in model.encoder if isinstance(layer, torch.nn.Conv2d)]
    for layer in convolutions:
        layer.weight.data[0, 0, layer.kernel_size[0] // 2, layer.kernel_size[1] // 2] = 1.0
    found = occlusion.occlusion_map(flow(model), ds, 1)
    assert np.argwhere(found.values > 0).tolist() == [[2, 2]]


def test_the_change_of_a_linear_river_by_hand():
    """Flow that is a weighted sum of cells changes by a cell's weight times its rain's departure
    from the season."""
    ds = random_grid(days=800)
    weights = cell_weights(ds).values
    found = occlusion.occlusion_map(lambda d: (d["prcp"] * weights).sum(("y", "x")), ds, 1)
    rain = ds["prcp"].values
    date = ds.indexes["time"]
    # 29 February counts as the day before
    day = (100 * date.month + date.day).where(date.strftime("%m%d") != "0229", 228)
    by_day = pd.Series(rain[:, 2, 3]).groupby(day).mean()
    assert len(by_day) == 365
    around = np.arange(365)[:, None] + np.arange(-15, 16)
    smooth = pd.Series(by_day.to_numpy()[around % 365].mean(1), by_day.index)
    departure = np.abs(rain[:, 2, 3] - smooth[day]).mean()
    deviation = (rain * weights).sum((1, 2)).std()
    assert float(found[2, 3]) == pytest.approx(weights[2, 3] * departure / deviation, rel=1e-4)
    assert not found.values[ds["mask"].values == 0].any()


def test_the_lstm_on_means_sees_the_basin_alone():
    ds = random_grid()
    found = occlusion.occlusion_map(flow(network(ds, "mean_lstm")), ds, 1)
    np.testing.assert_array_equal(found.values > 0, ds["mask"].values > 0)


def test_a_simulation_that_never_changes():
    with pytest.raises(DataError, match="the simulation of brook never changes"):
        occlusion.occlusion_map(lambda ds: ds["prcp"][:, 0, 0] * 0, random_grid(), 2)


def test_the_hidden_truth_runs_again():
    """From empty stores; after years the stores have forgotten it."""
    ds = synthetic_grid((5, 6), 6, 3, cells=False)
    again = true_streamflow(ds, 3)
    last = {"time": slice("1987-01-01", None)}
    np.testing.assert_allclose(again.sel(last), ds["true_streamflow"].sel(last), rtol=0.05)


def test_a_run_beside_the_truth(tmp_path):
    data = {"kind": "synthetic", "shape": [5, 6], "years": 4, "seed": 0}
    ds = synthetic_grid((5, 6), 4, 0, cells=False)
    years = period("1983-03-01", "1985-12-31"), period("1986-01-01", "1986-12-31")
    p = CNNLSTMTrainParameters(
        data=data,
        train_period=years[0],
        validation_period=None,
        test_period=years[1],
        sequence_length=12,
    )
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(p.plain()))
    save_model(network(ds, train=years[0]), tmp_path)
    maps = occlusion.occlude(TrainedRun(tmp_path), ds, block=2)
    outside = maps["mask"].values == 0
    assert set(maps) == {"network", "truth", "mask"} and maps["network"].notnull().all()
    whole = [maps["truth"].values[r : r + 2, c : c + 2] for r in (0, 2, 4) for c in (0, 2, 4)]
    dry = [outside[r : r + 2, c : c + 2].all() for r in (0, 2, 4) for c in (0, 2, 4)]
    assert [not block.any() for block in whole] == dry
    summary = occlusion.occlusion_summary(maps)
    only = xr.Dataset({"network": maps["mask"], "mask": maps["mask"]})
    assert summary["basin of grid"] == pytest.approx(float(ds["mask"].mean()))
    assert summary["truth in basin"] > summary["basin of grid"]
    assert occlusion.occlusion_summary(only)["network in basin"] == pytest.approx(
        float((ds["mask"] ** 2).sum() / ds["mask"].sum())
    )
    figure = plots.occlusion_maps({"one": maps}, {"one": ds})
    assert len(figure) == 2 and plots.save(figure, tmp_path, "maps").stat().st_size > 100_000
