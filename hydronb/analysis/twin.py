"""The twin experiment: models trained on the streamflow of synthetic catchments, judged by what was
hidden from them.

The truth has another structure than the model even where both are HBV: eight elements per catchment
with parameters of their own, and beta and gamma that follow the season
(`hydronb.data.synthetic.catchments`).
"""

from collections.abc import Sequence

import pandas as pd
import xarray as xr

from hydronb import metrics
from hydronb.analysis.benchmark import Group, group_runs
from hydronb.analysis.ensembles import SIMULATED
from hydronb.analysis.evapotranspiration import composites
from hydronb.analysis.flux_scores import Reference, score_et
from hydronb.errors import DataError
from hydronb.runs.directory import TrainedRun
from hydronb.signatures import baseflow_index

TRUE_NAMES = {"routing_a": "ROUTE_A", "routing_b": "ROUTE_B"}
"""The truth's names of parameters where they are not HBV's."""
TWIN_COLUMNS = (
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
"""The columns of Table 2 of Feng et al. (2022) with a truth, and those that no observation could
add to them, for `flux_table`."""


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
                f"{run.path} was trained on data of kind {data['kind']!r}, whose truth is not"
                " known; a twin experiment needs synthetic catchments"
            )
        truths.setdefault(data["truth"], []).append(run)
    return {truth: group_runs(of_truth) for truth, of_truth in truths.items()}


def hidden_reference(run: TrainedRun, ds: xr.Dataset) -> Reference:
    """The hidden truth on the basins and days that a run simulated: streamflow without the errors
    of the gauge, evapotranspiration, snow, soil moisture and baseflow, of which a model without
    fluxes is asked for its filtered hydrograph.

    Parameters
    ----------
    ds
        The synthetic catchments that the run was trained on.

    Raises
    ------
    DataError
        The catchments are not synthetic.
    """
    sim = run.simulation()[SIMULATED]
    truth = _truth(ds).sel(basin=sim["basin"], time=sim["time"])
    return Reference(
        truth["true_streamflow"],
        true_bfi(truth),
        composites(truth["true_et"]),
        truth["true_snow"],
        truth["true_soil_moisture"],
        metrics=("nse",),
        filtered_bfi=True,
    )


def _truth(ds: xr.Dataset) -> xr.Dataset:
    if "true_streamflow" not in ds or "true_et" not in ds:
        raise DataError(
            "the runs' catchments carry no truth (true_streamflow, true_et); a twin experiment"
            " needs data of kind synthetic"
        )
    return ds


def true_bfi(ds: xr.Dataset) -> xr.DataArray:
    """Hidden baseflow over hidden streamflow, (basin); that of the filter where the truth has no
    baseflow (GR4J)."""
    return baseflow_index(ds["true_streamflow"], ds.get("true_baseflow"))


def pet_alone(ds: xr.Dataset, run: TrainedRun) -> pd.DataFrame:
    """What potential evapotranspiration alone says about the true one, on the days that `run`
    simulated: index (seed, basin), the columns `et_...` of `score_fluxes`."""
    truth = ds.sel(time=run.simulation()["time"])
    scores = score_et(truth["pet"], composites(truth["true_et"]))
    return pd.concat({0: scores}, names=["seed", "basin"])


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
    truth, rows = _truth(ds), {}
    for name, values in (run.hbv_parameters() or {}).items():
        true = f"true_{TRUE_NAMES.get(name, name)}"
        if true not in truth:
            continue
        over = [d for d in ("component", "time") if d in values.dims]
        pair = pd.DataFrame(
            {"estimated": values.mean(over).to_series(), "true": truth[true].to_series()}
        )
        rows[name] = {
            "rank_correlation": pair["estimated"].corr(pair["true"], method="spearman"),
            "bias": (pair["estimated"] - pair["true"]).mean(),
        }
        if "time" in values.dims and f"{true}_daily" in truth:
            daily = values.mean("component") if "component" in values.dims else values
            hidden = truth[f"{true}_daily"].sel(basin=daily["basin"], time=daily["time"])
            rows[name]["temporal_r"] = float(metrics.r(sim=daily, obs=hidden).median())
    columns = ["rank_correlation", "bias", "temporal_r"]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=columns, dtype=float)
    return table.rename_axis("parameter")
