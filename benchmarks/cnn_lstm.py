"""CNN-LSTM at the size of the Lancang (84 x 59 cells): evaluation with each day encoded once
against every window encoded by itself, at 60, 90 and 120 days; and the memory of a training at 90
days and batches of 32.
"""

import numpy as np
import pandas as pd
import torch
import xarray as xr
from measure import alone, arguments, megabytes, show, take_turns

from hydronb.data.scaling import Scaling
from hydronb.data.windows import GridForcing, grid_samples
from hydronb.losses import Terms, mse
from hydronb.models.cnn_lstm import CNNLSTM
from hydronb.parameters import Period

UNIT = (0.0, 1.0)
SCALING = Scaling({"prcp": UNIT, "tmean": UNIT}, {}, {"streamflow": UNIT}, {})


def grid(shape: tuple[int, int], years: int) -> xr.Dataset:
    """Random numbers in the shape of a gridded catchment."""
    time = pd.date_range("1983-01-01", periods=round(years * 365.25))
    rng = np.random.default_rng(0)
    fields = {
        n: (("time", "y", "x"), rng.random((len(time), *shape), np.float32))
        for n in ("prcp", "tmean")
    }
    flow = ("time", rng.random(len(time), np.float32))
    return xr.Dataset(fields | {"streamflow": flow}, {"time": time}, {"basin": "grid"})


def forcing_of(ds: xr.Dataset) -> GridForcing:
    channels = tuple(torch.from_numpy(ds[n].values) for n in ("prcp", "tmean"))
    return GridForcing(channels, torch.empty(0, *channels[0].shape[1:]))


def model_of(shape: tuple[int, int], days: int) -> CNNLSTM:
    torch.manual_seed(0)
    return CNNLSTM(
        "cnn_lstm",
        SCALING,
        shape=list(shape),
        hidden=32,
        layers=2,
        sequence_length=days,
        predict_last=1,
    )


def evaluate(shape: tuple[int, int], chosen) -> None:
    """ms of a simulated day; and that both ways agree."""
    ds = grid(shape, 2)
    forcing, rows = forcing_of(ds), []
    for days in (60, 90, 120):
        model = model_of(shape, days).eval()
        last = torch.arange(days - 1, days - 1 + chosen.windows)
        few = last[: chosen.naive_windows]
        back = torch.arange(1 - days, 1)

        def encode(model=model, last=last, days=days):
            return model.features(forcing, torch.arange(int(last[0]) - days + 1, int(last[-1]) + 1))

        def recur(known, last, model=model, days=days):
            windows = known.unfold(0, days, 1).transpose(1, 2)
            return model.simulate_windows(windows[last - last[0]])

        def naive(model=model, few=few, back=back, days=days):
            return torch.cat(
                [model.simulate_windows(model.features(forcing, end + back)[None]) for end in few]
            )

        with torch.inference_mode():
            known = encode()
            apart = float((recur(known, last)[: len(few)] - naive()).abs().max())
            seconds = take_turns(
                {
                    "encoder": encode,
                    "LSTM": lambda k=known, e=last, f=recur: f(k, e),
                    "naive": naive,
                },
                chosen.repetitions,
            )
        encoder, lstm = (1000 * seconds[n] / len(last) for n in ("encoder", "LSTM"))
        slow = 1000 * seconds["naive"] / len(few)
        rows.append([days, encoder, lstm, slow, slow / (encoder + lstm), f"{apart:.0e}"])
    show(
        ["days", "encoder", "LSTM", "every window by itself", "speed-up", "largest difference"],
        rows,
        f"ms a simulated day, {shape[0]} x {shape[1]} cells, {chosen.windows} days on end",
    )


def train(shape: tuple[int, int], years: int) -> float:
    """MB at most of a process that trains for three steps, the grid among them."""
    ds = grid(shape, years)
    forcing, model = forcing_of(ds), model_of(shape, 90)
    period = Period(start="1984-01-01", end=str(ds.indexes["time"][-1].date()))
    samples = grid_samples(ds, forcing, ["streamflow"], period, 90, 1)
    optimiser = torch.optim.Adam(model.parameters())
    for index in torch.randperm(len(samples))[:96].split(32):
        batch = samples.gather(index)
        sim = model(batch.forcing, batch.days)
        loss = mse(Terms(sim, batch.target, torch.ones(32, 1), model.targets_std, batch.basin))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return megabytes("VmHWM")


def main() -> None:
    chosen = arguments(__doc__, repetitions=3, windows=240, naive_windows=4, years=32)
    shape, years = ((16, 16), 3) if chosen.quick else ((84, 59), chosen.years)
    if chosen.alone:
        print(train(shape, years))
        return
    evaluate(shape, chosen)
    size = 2 * 4 * shape[0] * shape[1] * round(years * 365.25) / 2**20
    show(
        ["grid, MB", "whole process, MB"],
        [[size, alone("train")]],
        f"training: {years} years of {shape[0]} x {shape[1]} cells in one copy, 90 days, batches of"
        " 32, three steps",
    )


if __name__ == "__main__":
    main()
