"""Delta-HBV's runs scored as Feng et al. (2022, doi:10.1029/2022WR032404) score theirs: streamflow, baseflow, ET."""

from collections.abc import Mapping

import pandas as pd
import xarray as xr

from hydronb.analysis.baseflow import baseflow_index
from hydronb.analysis.benchmark import SIMULATED, Group, Published, TrainedRun, read_published
from hydronb.analysis.fluxes import compare_et
from hydronb.errors import TrainingError
from hydronb.metrics import table

WITHOUT_FLUXES = ("runoff_lstm",)
"""Models that know streamflow alone."""
STATISTICS = ("nse", "kge", "bfi_correlation", "et_r", "et_rmse")

FENG2022 = Published("CAMELS-US, daymet", 671, 1, (
    "attributes", "train_period", "test_period", "hidden", "dropout", "warmup_days", "target_days", "epochs",
    "samples_per_epoch", "batch_size", "optimiser", "learning_rate", "clip_norm", "loss"))


def read_fluxes(run: TrainedRun) -> xr.Dataset | None:
    """`fluxes.nc` of a run: fluxes (mm/d) and stores (mm), means over components, (basin, time); None for an LSTM.

    Raises
    ------
    TrainingError
        A run of HBV without the file.
    """
    return None if run.parameters["model"] in WITHOUT_FLUXES else _read(run, "fluxes.nc")


def read_hbv_parameters(run: TrainedRun) -> xr.Dataset | None:
    """`parameters.nc` of a run: (basin, component), with `time` where dynamic, routing's (basin); None for an LSTM.

    Raises
    ------
    TrainingError
        A run of HBV without the file.
    """
    return None if run.parameters["model"] in WITHOUT_FLUXES else _read(run, "parameters.nc")


def _read(run: TrainedRun, name: str) -> xr.Dataset:
    try:
        with xr.open_dataset(run.path / name) as ds:
            return ds.load()
    except FileNotFoundError:
        raise TrainingError(f"{run.path} holds no {name}: not a complete run of delta_hbv_01_train") from None


def reference_bfi(ds: xr.Dataset, observed: xr.DataArray) -> xr.DataArray:
    """Baseflow index to compare with: CAMELS' attribute where `ds` has it, else the Lyne-Hollick filter of `observed`.

    Parameters
    ----------
    ds
        Catchments; CAMELS' `baseflow_index` is the mean over 1989-10-01 to 2009-09-30.
    observed
        Streamflow of the test period, (basin, time).
    """
    if "baseflow_index" in ds:
        attrs = {"units": "1", "long_name": "baseflow index, CAMELS"}
        return ds["baseflow_index"].sel(basin=observed["basin"]).astype(float).assign_attrs(attrs)
    return baseflow_index(observed)


def score(run: TrainedRun, observed: xr.DataArray, bfi: xr.DataArray, et: xr.DataArray | None = None) -> pd.DataFrame:
    """What Table 2 summarises, basin by basin, on the basins and days of `observed`.

    Parameters
    ----------
    observed
        Streamflow, (basin, time), mm/d.
    bfi
        Baseflow index to compare with, (basin); from `reference_bfi`.
    et
        8-day composites to compare with, mm/8 d, (basin, time); none where None.

    Returns
    -------
    pandas.DataFrame
        Index `basin`; `nse`, `kge`; for a model with fluxes `bfi` (mean Q2 / mean Q) beside `bfi_reference`, and with
        `et` also `et_r`, `et_rmse` (mm/8 d), and the means `et_simulated` and `et_reference` (mm/8 d).
    """
    sim = run.simulation()[SIMULATED].sel(basin=observed["basin"], time=observed["time"])
    scores = table(sim, observed, ["nse", "kge"])
    fluxes = read_fluxes(run)
    if fluxes is None:
        return scores
    fluxes = fluxes.sel(basin=observed["basin"], time=observed["time"])
    scores["bfi"] = baseflow_index(sim, fluxes["q2"]).to_series()
    scores["bfi_reference"] = bfi.to_series()
    if et is not None:
        names = {"r": "et_r", "rmse": "et_rmse", "simulated": "et_simulated", "observed": "et_reference"}
        scores = scores.join(compare_et(fluxes["et"], et).rename(columns=names)[list(names.values())])
    return scores


def score_group(group: Group, observed: xr.DataArray, bfi: xr.DataArray, et: xr.DataArray | None = None,
                ) -> pd.DataFrame:
    """`score` of each run of a group: index (seed, basin)."""
    each = {r.parameters["seed"]: score(r, observed, bfi, et) for r in group.runs}
    return pd.concat(each, names=["seed", "basin"])


def statistics(scores: pd.DataFrame) -> pd.Series:
    """A row of Table 2: medians over basins, and the spatial correlation of the baseflow index; means over seeds."""
    rows = []
    for _, one in scores.groupby(level="seed"):
        row = {name: one[name].median() for name in STATISTICS if name in one}
        if "bfi" in one:
            row["bfi_correlation"] = one["bfi"].corr(one["bfi_reference"])
        rows.append(row)
    return pd.DataFrame(rows, columns=list(STATISTICS), dtype=float).mean()


def table2(scores: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The layout of Table 2 of Feng et al. (2022), ours and the published numbers beside each other.

    Parameters
    ----------
    scores
        By label of the model, from `score_group`.

    Returns
    -------
    pandas.DataFrame
        Index `model`; columns `STATISTICS` (`nse`, `kge`, `et_r`, `et_rmse` medians over basins), `nse_failures`
        (basins with an NSE of 0 or less, mean over seeds), `seeds`, `basins`; `paper_*` where the paper has the model.
    """
    published = read_published("feng2022_table2").set_index("model").add_prefix("paper_")
    rows = {}
    for label, scored in scores.items():
        seeds = scored.index.unique("seed").size
        rows[label] = {**statistics(scored), "nse_failures": (scored["nse"] <= 0).sum() / seeds, "seeds": seeds,
                       "basins": scored.index.unique("basin").size}
    made = pd.DataFrame.from_dict(rows, orient="index").rename_axis("model")
    return made.join(published)
