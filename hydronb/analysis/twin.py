"""The twin experiment: models trained on the streamflow of synthetic catchments, judged by what was
hidden from them.

The truth is another structure than the model even where both are HBV: eight elements a catchment
with parameters of their own, and beta and gamma that follow the season
(`hydronb.data.synthetic.catchments`).
"""

from collections.abc import Mapping, Sequence

import pandas as pd
import xarray as xr

from hydronb import metrics
from hydronb.analysis.baseflow import baseflow_index
from hydronb.analysis.benchmark import SIMULATED, Group, group_runs
from hydronb.analysis.delta_hbv import read_fluxes, read_hbv_parameters
from hydronb.analysis.fluxes import compare_et, composites
from hydronb.errors import DataError
from hydronb.runs.directory import TrainedRun

SNOWY = 20.0
"""mm of snow that a catchment's mean yearly maximum must reach for its snow to be scored."""
TRUE_NAMES = {"routing_a": "ROUTE_A", "routing_b": "ROUTE_B"}
"""The truth's names of parameters where they are not HBV's."""


def require_truth(ds: xr.Dataset) -> None:
    """Raise unless `ds` carries the hidden truth.

    Raises
    ------
    DataError
        The catchments are not synthetic.
    """
    if "true_streamflow" not in ds or "true_et" not in ds:
        raise DataError(
            "the runs' catchments carry no truth (true_streamflow, true_et); a twin experiment"
            " needs data of kind synthetic"
        )


def by_truth(runs: Sequence[TrainedRun]) -> dict[str, list[Group]]:
    """Groups of runs that differ in their seed alone, by the truth of their synthetic catchments.

    Raises
    ------
    DataError
        A run on other catchments.
    """
    truths: dict[str, list[TrainedRun]] = {}
    for run in runs:
        data = run.parameters["data"]
        if data["kind"] != "synthetic":
            raise DataError(
                f"{run.path} was trained on data of kind {data['kind']!r}, whose truth nobody"
                " knows; a twin experiment needs synthetic catchments"
            )
        truths.setdefault(data["truth"], []).append(run)
    return {truth: group_runs(those) for truth, those in truths.items()}


def true_bfi(ds: xr.Dataset) -> xr.DataArray:
    """Hidden baseflow over hidden streamflow, (basin); where the truth has no baseflow (GR4J), the
    filter's."""
    return baseflow_index(ds["true_streamflow"], ds.get("true_baseflow"))


def score(run: TrainedRun, ds: xr.Dataset) -> pd.DataFrame:
    """A run against the hidden truth on the days that it simulated, basin by basin.

    Parameters
    ----------
    ds
        The synthetic catchments that the run was trained on.

    Returns
    -------
    pandas.DataFrame
        Index `basin`; `nse` (against the true streamflow, without the gauge's errors); `bfi` beside
        `bfi_reference`, of the model's own baseflow or, where it has none, of its filtered
        hydrograph; and for a model with fluxes `et_r`, `et_rmse` (8-day composites, mm/8 d),
        `et_simulated`, `et_reference` (means, mm/8 d), `snow_r`, `snow_bias` (relative, where there
        is snow) and `soil_r` (daily).

    Raises
    ------
    DataError
        The catchments are not synthetic.
    """
    require_truth(ds)
    sim = run.simulation()[SIMULATED]
    truth = ds.sel(basin=sim["basin"], time=sim["time"])
    fluxes = read_fluxes(run)
    scores = metrics.table(sim, truth["true_streamflow"], ["nse"])
    scores["bfi"] = baseflow_index(sim, None if fluxes is None else fluxes["q2"]).to_series()
    scores["bfi_reference"] = true_bfi(truth).to_series()
    if fluxes is None:
        return scores
    scores = scores.join(compared_et(fluxes["et"], truth))
    snow, hidden = fluxes["snowpack"] + fluxes["meltwater"], truth["true_snow"]
    snowy = hidden.groupby("time.year").max().mean("year") >= SNOWY
    scores["snow_r"] = metrics.r(sim=snow, obs=hidden).where(snowy).to_series()
    scores["snow_bias"] = (snow.mean("time") / hidden.mean("time").where(snowy) - 1).to_series()
    scores["soil_r"] = metrics.r(
        sim=fluxes["soil_moisture"], obs=truth["true_soil_moisture"]
    ).to_series()
    return scores


def score_group(group: Group, ds: xr.Dataset) -> pd.DataFrame:
    """`score` of each run of a group: index (seed, basin)."""
    return pd.concat(
        {run.parameters["seed"]: score(run, ds) for run in group.runs}, names=["seed", "basin"]
    )


def pet_alone(ds: xr.Dataset, run: TrainedRun) -> pd.DataFrame:
    """What potential evapotranspiration alone tells of the true one, on the days that `run`
    simulated: index (seed, basin), the columns `et_...` of `score`."""
    truth = ds.sel(time=run.simulation()["time"])
    return pd.concat({0: compared_et(truth["pet"], truth)}, names=["seed", "basin"])


def compared_et(et: xr.DataArray, truth: xr.Dataset) -> pd.DataFrame:
    """`compare_et` with the hidden ET, its columns named as `score` names them."""
    names = {
        "r": "et_r",
        "rmse": "et_rmse",
        "simulated": "et_simulated",
        "observed": "et_reference",
    }
    return compare_et(et, composites(truth["true_et"])).rename(columns=names)[list(names.values())]


COLUMNS = (
    "nse",
    "bfi_correlation",
    "bfi_bias",
    "et_r",
    "et_rmse",
    "et_correlation",
    "et_bias",
    "snow_r",
    "snow_bias",
    "soil_r",
)
"""Of `twin_table`."""


def twin_table(scores: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The columns of Table 2 of Feng et al. (2022), against the truth, and what no observation
    could add to them.

    Parameters
    ----------
    scores
        By model, from `score_group`.

    Returns
    -------
    pandas.DataFrame
        Index `model`, means over seeds; `nse`, `et_r`, `et_rmse`, `snow_r`, `snow_bias`, `soil_r`
        medians over basins; `bfi_correlation` and `et_correlation` (of the long-term means) over
        basins; `bfi_bias` the mean of simulated minus true, `et_bias` relative, over all basins.
        NaN where a model says nothing.
    """
    rows = {
        label: pd.DataFrame([_row(one) for _, one in scored.groupby(level="seed")]).mean()
        for label, scored in scores.items()
    }
    return (
        pd.DataFrame.from_dict(rows, orient="index")
        .reindex(columns=list(COLUMNS))
        .rename_axis("model")
    )


def _row(one: pd.DataFrame) -> dict[str, float]:
    row = {name: one[name].median() for name in COLUMNS if name in one}
    if "bfi" in one:
        row["bfi_correlation"] = one["bfi"].corr(one["bfi_reference"])
        row["bfi_bias"] = (one["bfi"] - one["bfi_reference"]).mean()
    if "et_simulated" in one:
        row["et_correlation"] = one["et_simulated"].corr(one["et_reference"])
        row["et_bias"] = one["et_simulated"].mean() / one["et_reference"].mean() - 1
    return row


def parameter_recovery(run: TrainedRun, ds: xr.Dataset) -> pd.DataFrame:
    """How well a run's parameters follow the true ones; means over components and, where dynamic,
    over time.

    Returns
    -------
    pandas.DataFrame
        Index `parameter`, those that run and truth have in common; `rank_correlation` over basins
        (Spearman), `bias` (mean of estimate minus truth, in the parameter's unit), and for dynamic
        ones `temporal_r`, the median over basins of the correlation of their daily means. Empty for
        an LSTM.
    """
    require_truth(ds)
    estimated = read_hbv_parameters(run)
    rows = {}
    for name in () if estimated is None else estimated.data_vars:
        true = f"true_{TRUE_NAMES.get(name, name)}"
        if true not in ds:
            continue
        mean = (
            estimated[name]
            .mean([d for d in ("component", "time") if d in estimated[name].dims])
            .to_series()
        )
        pair = pd.concat(
            [mean.rename("estimated"), ds[true].to_series().rename("true")], axis=1, join="inner"
        )
        rows[name] = {
            "rank_correlation": pair["estimated"].corr(pair["true"], method="spearman"),
            "bias": (pair["estimated"] - pair["true"]).mean(),
        }
        if "time" in estimated[name].dims and f"{true}_daily" in ds:
            daily = (
                estimated[name].mean("component")
                if "component" in estimated[name].dims
                else estimated[name]
            )
            hidden = ds[f"{true}_daily"].sel(basin=daily["basin"], time=daily["time"])
            rows[name]["temporal_r"] = float(metrics.r(sim=daily, obs=hidden).median())
    columns = ["rank_correlation", "bias", "temporal_r"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns, dtype=float).rename_axis(
        "parameter"
    )
