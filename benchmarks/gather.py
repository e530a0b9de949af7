"""What a training sample costs: microseconds to put it into a batch, bytes to know of it."""

import contextlib
import itertools
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import xarray as xr
from measure import arguments, show, take_turns

from hydronb.data.scaling import Scaling
from hydronb.data.windows import training_samples
from hydronb.parameters import Period

FORCINGS = ["prcp", "srad", "tmax", "tmin", "vp"]
ATTRIBUTES = [f"attribute_{k}" for k in range(27)]


def catchments(n_basins: int, years: int) -> xr.Dataset:
    """Random numbers in the shape of a catchment dataset."""
    rng = np.random.default_rng(0)
    time = pd.date_range("1990-01-01", periods=round(years * 365.25))
    series = {
        n: (("basin", "time"), rng.gamma(2, 1, (n_basins, len(time))).astype("f4"))
        for n in (*FORCINGS, "streamflow")
    }
    attributes = {n: ("basin", rng.normal(size=n_basins)) for n in ATTRIBUTES}
    ids = [f"{k:08d}" for k in range(n_basins)]
    return xr.Dataset(series | attributes, coords={"basin": np.array(ids, object), "time": time})


def ours(ds: xr.Dataset, chosen) -> tuple[Callable[[], object], float]:
    """One epoch's worth of batches a call, and bytes a sample."""
    unit = {name: (0.0, 1.0) for name in (*FORCINGS, *ATTRIBUTES, "streamflow")}
    scaling = Scaling(
        {n: unit[n] for n in FORCINGS},
        {n: unit[n] for n in ATTRIBUTES},
        {"streamflow": (0.0, 1.0)},
        {},
    )
    start, end = (str(pd.Timestamp(t).date()) for t in ds["time"].values[[chosen.days - 1, -1]])
    samples = training_samples(ds, scaling, Period(start=start, end=end), chosen.days, 1)

    def batches() -> Iterator[object]:
        while True:
            for index in torch.randperm(len(samples)).split(chosen.batch):
                yield samples.gather(index)

    return drain(batches(), chosen.batches), (samples.basin.nbytes + samples.last.nbytes) / len(
        samples
    )


def theirs(ds: xr.Dataset, chosen, folder: Path) -> tuple[Callable[[], object], float]:
    from peer import index_bytes
    from peer import samples as peer_samples
    from torch.utils.data import DataLoader

    samples = peer_samples(ds, FORCINGS, ATTRIBUTES, chosen.days, folder)
    loader = DataLoader(samples, chosen.batch, shuffle=True, collate_fn=samples.collate_fn)
    endless = itertools.chain.from_iterable(itertools.repeat(loader))
    return drain(endless, chosen.batches), index_bytes(samples.lookup_table) / len(samples)


def drain(batches: Iterator[object], count: int) -> Callable[[], object]:
    next(batches)
    return lambda: [None for _ in itertools.islice(batches, count)]


def main() -> None:
    chosen = arguments(
        __doc__, days=270, batch=256, basins=64, years=12, batches=20, repetitions=15
    )
    if chosen.quick:
        chosen.basins, chosen.years, chosen.repetitions, chosen.batches = 4, 3, 3, 3
    ds = catchments(chosen.basins, chosen.years)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        candidates = {"hydronb": ours(ds, chosen)}
        if chosen.peer:
            candidates["NeuralHydrology"] = theirs(ds, chosen, folder)
        seconds = take_turns(
            {name: run for name, (run, _) in candidates.items()}, chosen.repetitions
        )
    micro = {name: s / (chosen.batches * chosen.batch) * 1e6 for name, s in seconds.items()}
    show(
        ["", "us a window", "ratio", "bytes a window"],
        [
            [name, micro[name], micro[name] / micro["hydronb"], size]
            for name, (_, size) in candidates.items()
        ],
        f"{len(FORCINGS)} forcings, {chosen.days} days, batches of {chosen.batch}, {chosen.basins}"
        " basins",
    )


if __name__ == "__main__":
    main()
