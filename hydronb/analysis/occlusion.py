"""Occlusion: which cells of a grid move the simulated streamflow.

The forcing of a block of cells is replaced by what the season alone tells, and the simulation is
made again (Zeiler and Fergus, 2014, doi:10.1007/978-3-319-10590-1_53, for images). Li et al. (2023)
do not look at this.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
import xarray as xr

from hydronb.analysis.seasons import mean_year_on
from hydronb.data.gridded import FORCING
from hydronb.data.synthetic.grids import true_streamflow
from hydronb.errors import DataError
from hydronb.runs.directory import TrainedRun

SPIN_UP = 730
"""Days before the period from which the hidden truth of a synthetic grid starts, its stores
empty."""


def occlusion_map(
    simulate: Callable[[xr.Dataset], xr.DataArray], ds: xr.Dataset, block: int
) -> xr.DataArray:
    """How much the weather of each block of cells moves a simulation, `(y, x)`, no unit.

    Precipitation and temperature of the block become the means of their calendar days in `ds`,
    smoothed over 31 days: the season stays, the weather is gone. The value of all cells of the
    block is the mean absolute change of the simulation, over the simulation's standard deviation.

    Parameters
    ----------
    simulate
        The simulation, `(time)`, of a grid such as `ds`.
    ds
        In the convention of `hydronb.data.gridded`.
    block
        Rows, and columns, of a block; those at the far edges may be smaller.

    Raises
    ------
    DataError
        The simulation never changes.
    """
    flow = simulate(ds)
    if not (deviation := float(flow.std())):
        raise DataError(f"the simulation of {ds.attrs['basin']} never changes: no cell moves it")
    season = {name: mean_year_on(ds["time"], ds[name], 31).astype("float32") for name in FORCING}
    rows, columns = (xr.DataArray(np.arange(ds.sizes[d]) // block, dims=d) for d in ("y", "x"))
    change = xr.zeros_like(ds["mask"], dtype=float)
    for row, column in np.ndindex(int(rows[-1]) + 1, int(columns[-1]) + 1):
        hidden = (rows == row) & (columns == column)
        occluded = ds.assign({name: ds[name].where(~hidden, season[name]) for name in FORCING})
        moved = float(abs(simulate(occluded) - flow).mean()) / deviation
        change = change.where(~hidden, moved)
    return change.assign_attrs(units="1", long_name="change of streamflow over its deviation")


def occlude(run: TrainedRun, ds: xr.Dataset, *, block: int) -> xr.Dataset:
    """The `occlusion_map` of a run of cnn_lstm_01_train in its test period: `network`, and `truth`,
    that of the hidden model, where the grid is synthetic; `mask` comes along.

    Parameters
    ----------
    ds
        The grid that the run was trained on.
    """
    p = run.fit_parameters
    before = pd.Timedelta(days=max(SPIN_UP, p.sequence_length))
    ds = ds.sel(time=slice(pd.Timestamp(p.test_period.start) - before, str(p.test_period.end)))
    tested = slice(str(p.test_period.start), str(p.test_period.end))

    def network(ds: xr.Dataset) -> xr.DataArray:
        simulation = run.model.simulate(ds, p.test_period, progress=False)
        return simulation["streamflow"].isel(basin=0)

    maps = {"network": network}
    if p.data.kind == "synthetic":
        truth = partial(true_streamflow, seed=p.data.seed)
        maps["truth"] = lambda ds: truth(ds).sel(time=tested)
    changes = {name: occlusion_map(simulate, ds, block) for name, simulate in maps.items()}
    return xr.Dataset(changes).assign(mask=ds["mask"])


def occlusion_summary(maps: xr.Dataset) -> dict[str, float]:
    """Of a dataset of `occlude`: the shares of the network's and the truth's change that come from
    the basin, the share of the grid that the basin fills, and r over the cells between network and
    truth; NaN without a truth."""
    inside = {n: maps[n].weighted(maps["mask"]).sum() / maps[n].sum() for n in maps if n != "mask"}
    return {
        **{f"{name} in basin": float(share) for name, share in inside.items()},
        "basin of grid": float(maps["mask"].mean()),
        "r with truth": float(xr.corr(maps["network"], maps["truth"]))
        if "truth" in maps
        else np.nan,
    }
