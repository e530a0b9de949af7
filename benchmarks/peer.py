"""NeuralHydrology, fed with the same data as hydronb. Imported with `--peer` only."""

import sys
from pathlib import Path

import pandas as pd
import xarray as xr
from neuralhydrology.datasetzoo.basedataset import BaseDataset
from neuralhydrology.datasetzoo.camelsus import load_camels_us_discharge, load_camels_us_forcings
from neuralhydrology.modelzoo.ealstm import EALSTM
from neuralhydrology.utils.config import Config
from torch import Tensor, nn


def settings(
    forcings: list[str], attributes: list[str], *, hidden: int, days: int, **more: object
) -> Config:
    return Config(
        {
            "model": "ealstm",
            "head": "regression",
            "loss": "MSE",
            "output_dropout": 0.4,
            "initial_forget_bias": 5,
            "dynamic_inputs": forcings,
            "static_attributes": attributes,
            "target_variables": ["streamflow"],
            "hidden_size": hidden,
            "seq_length": days,
            "predict_last_n": 1,
            "verbose": 0,
            **more,
        }
    )


class PeerEALSTM(nn.Module):
    """NeuralHydrology's EA-LSTM behind the call of hydronb's."""

    def __init__(self, n_dynamic: int, n_static: int, hidden: int, days: int):
        super().__init__()
        self.names = [f"forcing_{k}" for k in range(n_dynamic)]
        self.model = EALSTM(
            settings(
                self.names, [f"attribute_{k}" for k in range(n_static)], hidden=hidden, days=days
            )
        )

    def forward(self, dynamic: Tensor, static: Tensor) -> Tensor:
        series = dict(zip(self.names, dynamic.split(1, dim=-1), strict=True))
        return self.model({"x_d": series, "x_s": static})["y_hat"][:, -1:]


class PeerSamples(BaseDataset):
    """NeuralHydrology's samples of a catchment dataset."""

    def __init__(self, ds: xr.Dataset, cfg: Config):
        self._catchments = ds
        super().__init__(cfg=cfg, is_train=True, period="train")

    def _load_basin_data(self, basin: str) -> pd.DataFrame:
        one = self._catchments.sel(basin=basin).drop_vars("basin")
        return (
            one[[*self.cfg.dynamic_inputs, *self.cfg.target_variables]]
            .to_dataframe()
            .rename_axis("date")
        )

    def _load_attributes(self) -> pd.DataFrame:
        return self._catchments[self.cfg.static_attributes].to_dataframe()


def samples(
    ds: xr.Dataset, forcings: list[str], attributes: list[str], days: int, folder: Path
) -> PeerSamples:
    """All samples of `ds` with an observed last day; `folder` takes the files that NeuralHydrology
    writes."""
    basins = folder / "basins.txt"
    basins.write_text("\n".join(ds["basin"].values))
    first, last = (f"{pd.Timestamp(t):%d/%m/%Y}" for t in ds["time"].values[[days - 1, -1]])
    cfg = settings(
        forcings,
        attributes,
        hidden=1,
        days=days,
        train_basin_file=str(basins),
        train_dir=str(folder),
        train_start_date=first,
        train_end_date=last,
        data_dir=str(folder),
    )
    return PeerSamples(ds, cfg)


def index_bytes(table: dict) -> int:
    """Bytes of the objects that a lookup table consists of, each counted once."""
    seen, size, rest = set(), 0, [table]
    while rest:
        thing = rest.pop()
        if id(thing) not in seen:
            seen.add(id(thing))
            size += sys.getsizeof(thing)
            if isinstance(thing, dict):
                rest += [*thing.keys(), *thing.values()]
            elif isinstance(thing, list | tuple):
                rest += thing
    return size


def read_text(root: Path, basins: list[str], product: str) -> list[pd.DataFrame]:
    """Forcing and streamflow of basins out of CAMELS-US text files."""
    frames = []
    for basin in basins:
        frame, area = load_camels_us_forcings(root, basin, product)
        frames.append(frame.assign(streamflow=load_camels_us_discharge(root, basin, area)))
    return frames
