"""Streamflow, and the fluxes and stores that no model was trained on, against what was observed or
against the hidden truth: the scores of Feng et al. (2022, doi:10.1029/2022WR032404), and more.

The twin experiment judges models trained on the streamflow of synthetic catchments by what was
hidden from them. The truth has another structure than the model even where both are HBV: eight
elements per catchment with parameters of their own, and beta and gamma that follow the season
(`hydronb.data.synthetic.catchments`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd
import xarray as xr

from hydronb import metrics
from hydronb.analysis.benchmark import Group, group_runs
from hydronb.analysis.ensembles import ENSEMBLE, SIMULATED
from hydronb.analysis.evapotranspiration import compare_et, composites, read_et
from hydronb.analysis.published import read_published
from hydronb.data import open_catchments
from hydronb.data.dataset import bare_id
from hydronb.errors import DataError
from hydronb.parameters import DataParameters, resolve
from hydronb.runs.directory import TrainedRun
from hydronb.signatures import baseflow_index
from hydronb.vocabulary import model_label

FENG_COLUMNS = ("nse", "kge", "bfi_correlation", "et_r", "et_rmse")
"""Statistics of Table 2 of Feng et al. (2022)."""
SCORED = ("q2", "et", "snowpack", "meltwater", "soil_moisture")
SNOWY = 20.0
"""Mean yearly maximum of snow, in mm, from which the snow of a catchment is scored."""

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

    def of(self, run: TrainedRun) -> "Reference":
        """On the basins of a run's fold, if it has one."""
        if not run.parameters.get("folds"):
            return self
        simulated = set(run.simulation()["basin"].values)
        inside = [basin for basin in self.streamflow["basin"].values if basin in simulated]
        parts = {n: getattr(self, n) for n in ("streamflow", "bfi", "snow", "soil_moisture")}
        return replace(
            self, **{n: da.sel(basin=inside) for n, da in parts.items() if da is not None}
        )


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
        return (
            ds["baseflow_index"]
            .sel(basin=observed["basin"])
            .astype(float)
            .assign_attrs(units="1", long_name="baseflow index, CAMELS")
        )
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
    lacking = any(ds is None for ds in of_runs)
    fluxes = {} if lacking else _mean([ds[list(SCORED)] for ds in of_runs], observed)
    if reference.filtered_bfi or not lacking:
        scores["bfi"] = baseflow_index(sim, fluxes.get("q2")).to_series()
        scores["bfi_reference"] = reference.bfi.to_series()
    if lacking:
        return scores
    if reference.et is not None:
        scores = scores.join(score_et(fluxes["et"], reference.et))
    if reference.snow is not None:
        snow, hidden = fluxes["snowpack"] + fluxes["meltwater"], reference.snow
        snowy = hidden.groupby("time.year").max().mean("year") >= SNOWY
        scores["snow_r"] = metrics.r(sim=snow, obs=hidden).where(snowy).to_series()
        scores["snow_bias"] = (snow.mean("time") / hidden.mean("time").where(snowy) - 1).to_series()
    if reference.soil_moisture is not None:
        scores["soil_r"] = metrics.r(
            sim=fluxes["soil_moisture"], obs=reference.soil_moisture
        ).to_series()
    return scores


def _mean(of_runs: Sequence[xr.Dataset], observed: xr.DataArray) -> xr.Dataset:
    """Over the runs, on the basins and days of `observed`."""
    chosen = [ds.sel(basin=observed["basin"], time=observed["time"]) for ds in of_runs]
    return sum(chosen[1:], chosen[0]) / len(chosen)


def score_et(et: xr.DataArray, reference: xr.DataArray) -> pd.DataFrame:
    """`compare_et`, its columns named as `score_fluxes` names them."""
    return (
        compare_et(et, reference)
        .drop(columns="composites")
        .rename(columns={"observed": "reference"})
        .add_prefix("et_")
    )


def score_seeds(group: Group, reference: Reference) -> pd.DataFrame:
    """`score_fluxes` of each seed of a group, the folds of one seed together: index (seed,
    basin)."""
    scores = {
        seed: pd.concat([score_fluxes([r], reference.of(r)) for r in group.runs if r.seed == seed])
        for seed in group.seeds
    }
    return pd.concat(scores, names=["seed", "basin"])


def score_ensembles(groups: Sequence[Group], reference: Reference) -> dict[str, pd.DataFrame]:
    """`score_fluxes` of the mean of the seeds of each group that has several, by label, in the form
    of `score_seeds`."""
    scores = {}
    for group in [g for g in groups if len(g.seeds) > 1]:
        folds: dict[int | None, list[TrainedRun]] = {}
        for run in group.runs:
            folds.setdefault(run.parameters.get("fold"), []).append(run)
        of_folds = [score_fluxes(runs, reference.of(runs[0])) for runs in folds.values()]
        scores[_ensemble_label(group)] = pd.concat(
            {ENSEMBLE: pd.concat(of_folds)}, names=["seed", "basin"]
        )
    return scores


def _ensemble_label(group: Group) -> str:
    return f"{group.label}, mean of {len(group.seeds)}"


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
    counts = {
        label: {
            "nse_failures": (scored["nse"] <= 0).sum() / scored.index.unique("seed").size,
            "seeds": scored.index.unique("seed").size,
            "basins": scored.index.unique("basin").size,
        }
        for label, scored in scores.items()
    }
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


# The twin experiment
# ---


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
        baseflow_index(truth["true_streamflow"], truth.get("true_baseflow")),
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


def pet_alone(ds: xr.Dataset, run: TrainedRun) -> pd.DataFrame:
    """What potential evapotranspiration alone says about the true one, on the days that `run`
    simulated: index (seed, basin), the columns `et_...` of `score_fluxes`."""
    truth = ds.sel(time=run.simulation()["time"])
    return pd.concat(
        {0: score_et(truth["pet"], composites(truth["true_et"]))}, names=["seed", "basin"]
    )


def parameter_recovery(run: TrainedRun, ds: xr.Dataset) -> pd.DataFrame:
    """How well a run's parameters follow the true ones; means over components and, where dynamic,
    over time.

    Returns
    -------
    pandas.DataFrame
        Index `parameter`, those that run and truth have in common; `rank_correlation` over basins
        (Spearman), `bias` (mean of estimate minus truth, in the parameter's unit), and for dynamic
        ones, medians over basins of the daily means, `temporal_r`, their correlation, and
        `deviation_ratio`, their deviation over the days over that of the truth. Empty for
        an LSTM.
    """
    truth, rows = _truth(ds), {}
    for name, values in (run.hbv_parameters() or {}).items():
        true = f"true_{TRUE_NAMES.get(name, name)}"
        if true not in truth:
            continue
        means = values.mean([d for d in ("component", "time") if d in values.dims])
        pair = pd.DataFrame({"estimated": means.to_series(), "true": truth[true].to_series()})
        rows[name] = {
            "rank_correlation": pair["estimated"].corr(pair["true"], method="spearman"),
            "bias": (pair["estimated"] - pair["true"]).mean(),
        }
        if "time" in values.dims and f"{true}_daily" in truth:
            daily = values.mean("component") if "component" in values.dims else values
            hidden = truth[f"{true}_daily"].sel(basin=daily["basin"], time=daily["time"])
            rows[name]["temporal_r"] = float(metrics.r(sim=daily, obs=hidden).median())
            ratio = daily.std("time") / hidden.std("time")
            rows[name]["deviation_ratio"] = float(ratio.median())
    columns = ["rank_correlation", "bias", "temporal_r", "deviation_ratio"]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=columns, dtype=float)
    return table.rename_axis("parameter")
