"""Streamflow, and the fluxes and stores that no model was trained on, against what was observed or
against the hidden truth: the scores of Feng et al. (2022, doi:10.1029/2022WR032404), and more."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
import xarray as xr

from hydronb import metrics
from hydronb.analysis.benchmark import Group
from hydronb.analysis.ensembles import ENSEMBLE, SIMULATED
from hydronb.analysis.evapotranspiration import compare_et, composites, read_et
from hydronb.analysis.published import read_published
from hydronb.data import open_catchments
from hydronb.data.dataset import bare_id
from hydronb.parameters import DataParameters, resolve
from hydronb.runs.directory import TrainedRun
from hydronb.signatures import baseflow_index
from hydronb.vocabulary import model_label

FENG_COLUMNS = ("nse", "kge", "bfi_correlation", "et_r", "et_rmse")
"""Statistics of Table 2 of Feng et al. (2022)."""
SCORED = ("q2", "et", "snowpack", "meltwater", "soil_moisture")
SNOWY = 20.0
"""Mean yearly maximum of snow, in mm, from which the snow of a catchment is scored."""


@dataclass(frozen=True)
class Reference:
    """What runs are scored against, on the basins and days of `streamflow`; None is not scored."""

    streamflow: xr.DataArray
    """(basin, time), mm/d."""
    bfi: xr.DataArray
    """Baseflow index, (basin)."""
    et: xr.DataArray | None = None
    """8-day composites of evapotranspiration, (basin, time), mm/8 d."""
    snow: xr.DataArray | None = None
    """(basin, time), mm; likewise `soil_moisture`."""
    soil_moisture: xr.DataArray | None = None
    metrics: tuple[str, ...] = ("nse", "kge")
    """Of streamflow."""
    filtered_bfi: bool = False
    """Whether a model without fluxes gets the baseflow index of its filtered hydrograph, instead of
    none."""


def open_catchments_of(group: Group) -> xr.Dataset:
    """The catchments that a group was trained on."""
    return open_catchments(
        DataParameters.validate_parameters(group.parameters["data"], where=group.label)
    )


def reference_et(ds: xr.Dataset, path: str | None) -> xr.DataArray | None:
    """8-day composites to compare evapotranspiration with: those of the file at `path`, else the
    hidden truth of synthetic catchments, else None."""
    if path is not None:
        et = read_et(resolve(path))
        ids = {bare_id(str(basin)) for basin in et["basin"].values}
        n = sum(bare_id(str(basin)) in ids for basin in ds["basin"].values)
        name = et.attrs.get("long_name", "observed evapotranspiration")
        return et.assign_attrs(long_name=f"{name}, of {n} of the {ds.sizes['basin']} basins")
    return composites(ds["true_et"]) if "true_et" in ds else None


def reference_bfi(ds: xr.Dataset, observed: xr.DataArray) -> xr.DataArray:
    """Baseflow index to compare with: CAMELS' attribute where `ds` has it, else that of the
    Lyne-Hollick filter of `observed`.

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


def score_fluxes(runs: Sequence[TrainedRun], reference: Reference) -> pd.DataFrame:
    """Scores of the runs' mean, basin by basin: simulations and fluxes are averaged day by day,
    then scored.

    Returns
    -------
    pandas.DataFrame
        Index `basin`; the metrics; `bfi` (mean Q2 / mean Q) and `bfi_reference`; and, for runs with
        fluxes, whatever the reference has of `et_r`, `et_rmse` (8-day composites, mm/8 d),
        `et_simulated`, `et_reference` (means, mm/8 d), `snow_r`, `snow_bias` (relative, where there
        is snow), `soil_r` (daily).

    Raises
    ------
    TrainingError
        A run of HBV without its fluxes.
    """
    observed = reference.streamflow
    sim = _mean([run.simulation()[[SIMULATED]] for run in runs], observed)[SIMULATED]
    scores = metrics.metric_table(sim, observed, reference.metrics)
    of_runs = [run.fluxes() for run in runs]
    if any(ds is None for ds in of_runs):
        if reference.filtered_bfi:
            scores["bfi"] = baseflow_index(sim).to_series()
            scores["bfi_reference"] = reference.bfi.to_series()
        return scores
    fluxes = _mean([ds[list(SCORED)] for ds in of_runs], observed)
    scores["bfi"] = baseflow_index(sim, fluxes["q2"]).to_series()
    scores["bfi_reference"] = reference.bfi.to_series()
    if reference.et is not None:
        scores = scores.join(score_et(fluxes["et"], reference.et))
    if reference.snow is not None:
        snow, hidden = fluxes["snowpack"] + fluxes["meltwater"], reference.snow
        snowy = hidden.groupby("time.year").max().mean("year") >= SNOWY
        scores["snow_r"] = metrics.r(sim=snow, obs=hidden).where(snowy).to_series()
        scores["snow_bias"] = (snow.mean("time") / hidden.mean("time").where(snowy) - 1).to_series()
    if reference.soil_moisture is not None:
        soil = metrics.r(sim=fluxes["soil_moisture"], obs=reference.soil_moisture)
        scores["soil_r"] = soil.to_series()
    return scores


def _mean(of_runs: Sequence[xr.Dataset], observed: xr.DataArray) -> xr.Dataset:
    """Over the runs, on the basins and days of `observed`."""
    chosen = [ds.sel(basin=observed["basin"], time=observed["time"]) for ds in of_runs]
    return sum(chosen[1:], chosen[0]) / len(chosen)


def score_et(et: xr.DataArray, reference: xr.DataArray) -> pd.DataFrame:
    """`compare_et`, its columns named as `score_fluxes` names them."""
    columns = {
        "r": "et_r",
        "rmse": "et_rmse",
        "simulated": "et_simulated",
        "observed": "et_reference",
    }
    return compare_et(et, reference)[list(columns)].rename(columns=columns)


def score_seeds(group: Group, reference: Reference) -> pd.DataFrame:
    """`score_fluxes` of each run of a group: index (seed, basin)."""
    scores = {run.parameters["seed"]: score_fluxes([run], reference) for run in group.runs}
    return pd.concat(scores, names=["seed", "basin"])


def score_ensembles(groups: Sequence[Group], reference: Reference) -> dict[str, pd.DataFrame]:
    """`score_fluxes` of the mean of the seeds of each group that has several, by label, in the form
    of `score_seeds`."""
    return {
        _ensemble_label(g): pd.concat(
            {ENSEMBLE: score_fluxes(g.runs, reference)}, names=["seed", "basin"]
        )
        for g in groups
        if len(g.runs) > 1
    }


def _ensemble_label(group: Group) -> str:
    return f"{group.label}, mean of {len(group.runs)}"


def flux_table(scores: Mapping[str, pd.DataFrame], columns: Sequence[str]) -> pd.DataFrame:
    """Statistics over basins of several models.

    Parameters
    ----------
    scores
        By label of the model, from `score_seeds`.
    columns
        Columns of the scores, whose medians over basins are taken; `bfi_correlation` and
        `et_correlation` (of the long-term means) over basins; `bfi_bias`, the mean of simulated
        minus reference; and `et_bias`, relative, over all basins.

    Returns
    -------
    pandas.DataFrame
        Index `model`; means over seeds, NaN where a model says nothing.
    """
    rows = {}
    for label, scored in scores.items():
        of_seeds = []
        for _, one in scored.groupby(level="seed"):
            row = one.median()
            if "bfi" in one:
                row["bfi_correlation"] = one["bfi"].corr(one["bfi_reference"])
                row["bfi_bias"] = (one["bfi"] - one["bfi_reference"]).mean()
            if "et_simulated" in one:
                row["et_correlation"] = one["et_simulated"].corr(one["et_reference"])
                row["et_bias"] = one["et_simulated"].mean() / one["et_reference"].mean() - 1
            of_seeds.append(row)
        rows[label] = pd.DataFrame(of_seeds).mean()
    return pd.DataFrame(rows).T.reindex(columns=list(columns)).rename_axis("model")


def feng_table2(scores: Mapping[str, pd.DataFrame], groups: Sequence[Group]) -> pd.DataFrame:
    """The layout of Table 2 of Feng et al. (2022), with the published numbers of the same model and
    forcing beside ours; those with Daymet where the data are not CAMELS-US.

    Parameters
    ----------
    scores
        By label of the model, from `score_seeds` and `score_ensembles`.
    groups
        Those that were scored.

    Returns
    -------
    pandas.DataFrame
        Index `model`; columns `FENG_COLUMNS`, `nse_failures` (basins with an NSE of 0 or less, mean
        over seeds), `seeds`, `basins`; `paper_*` where the paper has the model.
    """
    counts = {}
    for label, scored in scores.items():
        seeds, basins = (scored.index.unique(level).size for level in ("seed", "basin"))
        failures = (scored["nse"] <= 0).sum() / seeds
        counts[label] = {"nse_failures": failures, "seeds": seeds, "basins": basins}
    table = flux_table(scores, FENG_COLUMNS).join(pd.DataFrame.from_dict(counts, orient="index"))
    published = read_published("feng2022_table2").set_index(["model", "forcing"])
    rows = {}
    for group in groups:
        data = group.parameters["data"]
        forcing = data["forcing"] if data["kind"] == "camels_us" else "daymet"
        key = model_label(group.parameters), forcing.removesuffix("_extended")
        row = published.reindex([key]).iloc[0]
        rows |= {label: row for label in (group.label, _ensemble_label(group))}
    published = pd.DataFrame.from_dict(rows, orient="index", columns=published.columns)
    return table.join(published.add_prefix("paper_"))
