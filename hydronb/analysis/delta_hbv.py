"""Delta-HBV's runs scored as Feng et al. (2022, doi:10.1029/2022WR032404) score theirs: streamflow,
baseflow, ET."""

from collections.abc import Mapping, Sequence

import pandas as pd
import xarray as xr

from hydronb.analysis.baseflow import baseflow_index
from hydronb.analysis.benchmark import (
    SIMULATED,
    SYMBOLS,
    Group,
    Published,
    read_published,
)
from hydronb.analysis.ensembles import ENSEMBLE
from hydronb.analysis.fluxes import STORES, compare_et, composites, read_et
from hydronb.analysis.seasons import calendar_day, mean_year
from hydronb.data import open_catchments
from hydronb.errors import DataError
from hydronb.metrics import r, table
from hydronb.parameters import DataParameters, Period, resolve
from hydronb.runs.directory import TrainedRun

WITHOUT_FLUXES = ("runoff_lstm",)
"""Models that know streamflow alone."""
STATISTICS = ("nse", "kge", "bfi_correlation", "et_r", "et_rmse")

FENG2022 = Published(
    "CAMELS-US, daymet",
    671,
    1,
    (
        "attributes",
        "train_period",
        "test_period",
        "hidden",
        "dropout",
        "warmup_days",
        "target_days",
        "epochs",
        "samples_per_epoch",
        "batch_size",
        "optimiser",
        "learning_rate",
        "clip_norm",
        "loss",
    ),
)


def read_fluxes(run: TrainedRun) -> xr.Dataset | None:
    """`fluxes.nc` of a run: fluxes (mm/d) and stores (mm), means over components, (basin, time);
    None for an LSTM.

    Raises
    ------
    DataError
        A run of HBV without the file.
    """
    return None if run.parameters["model"] in WITHOUT_FLUXES else run.dataset("fluxes.nc")


def read_hbv_parameters(run: TrainedRun) -> xr.Dataset | None:
    """`parameters.nc` of a run: (basin, component), with `time` where dynamic, routing's (basin);
    None for an LSTM.

    Raises
    ------
    DataError
        A run of HBV without the file.
    """
    return None if run.parameters["model"] in WITHOUT_FLUXES else run.dataset("parameters.nc")


def open_catchments_of(group: Group) -> xr.Dataset:
    """The catchments that a group was trained on."""
    return open_catchments(
        DataParameters.validate_parameters(group.parameters["data"], where=group.label)
    )


def reference_et(ds: xr.Dataset, path: str | None) -> xr.DataArray | None:
    """8-day composites to compare evapotranspiration with: the file's at `path`, else the hidden
    truth of synthetic catchments, else None."""
    if path is not None:
        et = read_et(resolve(path))
        return et.assign_attrs(long_name=et.attrs.get("long_name", "observed evapotranspiration"))
    return composites(ds["true_et"]) if "true_et" in ds else None


def reference_bfi(ds: xr.Dataset, observed: xr.DataArray) -> xr.DataArray:
    """Baseflow index to compare with: CAMELS' attribute where `ds` has it, else the Lyne-Hollick
    filter of `observed`.

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


def score(
    run: TrainedRun, observed: xr.DataArray, bfi: xr.DataArray, et: xr.DataArray | None = None
) -> pd.DataFrame:
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
        Index `basin`; `nse`, `kge`; for a model with fluxes `bfi` (mean Q2 / mean Q) beside
        `bfi_reference`, and with `et` also `et_r`, `et_rmse` (mm/8 d), and the means `et_simulated`
        and `et_reference` (mm/8 d).
    """
    return score_ensemble([run], observed, bfi, et)


def score_ensemble(
    runs: Sequence[TrainedRun],
    observed: xr.DataArray,
    bfi: xr.DataArray,
    et: xr.DataArray | None = None,
) -> pd.DataFrame:
    """`score` of the runs' mean: simulations and fluxes are averaged day by day, then scored.
    Without fluxes where one of the runs has none."""
    sim = _mean([run.simulation()[[SIMULATED]] for run in runs], observed)[SIMULATED]
    scores = table(sim, observed, ["nse", "kge"])
    each = [read_fluxes(run) for run in runs]
    if any(one is None for one in each):
        return scores
    fluxes = _mean([one[["et", "q2"]] for one in each], observed)
    scores["bfi"] = baseflow_index(sim, fluxes["q2"]).to_series()
    scores["bfi_reference"] = bfi.to_series()
    if et is not None:
        names = {
            "r": "et_r",
            "rmse": "et_rmse",
            "simulated": "et_simulated",
            "observed": "et_reference",
        }
        scores = scores.join(
            compare_et(fluxes["et"], et).rename(columns=names)[list(names.values())]
        )
    return scores


def _mean(each: Sequence[xr.Dataset], observed: xr.DataArray) -> xr.Dataset:
    """Over the members, on the basins and days of `observed`."""
    chosen = [one.sel(basin=observed["basin"], time=observed["time"]) for one in each]
    return sum(chosen[1:], chosen[0]) / len(chosen)


def score_group(
    group: Group,
    observed: xr.DataArray,
    bfi: xr.DataArray,
    et: xr.DataArray | None = None,
) -> pd.DataFrame:
    """`score` of each run of a group: index (seed, basin)."""
    each = {r.parameters["seed"]: score(r, observed, bfi, et) for r in group.runs}
    return pd.concat(each, names=["seed", "basin"])


def score_ensembles(
    groups: Sequence[Group],
    observed: xr.DataArray,
    bfi: xr.DataArray,
    et: xr.DataArray | None = None,
) -> dict[str, pd.DataFrame]:
    """`score_ensemble` of the seeds of each group that has several, by label, in the form of
    `score_group`."""
    each = {
        f"{g.label}, mean of {len(g.runs)}": score_ensemble(g.runs, observed, bfi, et)
        for g in groups
        if len(g.runs) > 1
    }
    return {
        label: pd.concat({ENSEMBLE: scored}, names=["seed", "basin"])
        for label, scored in each.items()
    }


def statistics(scores: pd.DataFrame) -> pd.Series:
    """A row of Table 2: medians over basins, and the spatial correlation of the baseflow index;
    means over seeds."""
    rows = []
    for _, one in scores.groupby(level="seed"):
        row = {name: one[name].median() for name in STATISTICS if name in one}
        if "bfi" in one:
            row["bfi_correlation"] = one["bfi"].corr(one["bfi_reference"])
        rows.append(row)
    return pd.DataFrame(rows, columns=list(STATISTICS), dtype=float).mean()


def table2(scores: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The layout of Table 2 of Feng et al. (2022), ours and the published numbers beside each
    other.

    Parameters
    ----------
    scores
        By label of the model, from `score_group`.

    Returns
    -------
    pandas.DataFrame
        Index `model`; columns `STATISTICS` (`nse`, `kge`, `et_r`, `et_rmse` medians over basins),
        `nse_failures` (basins with an NSE of 0 or less, mean over seeds), `seeds`, `basins`;
        `paper_*` where the paper has the model.
    """
    published = read_published("feng2022_table2").set_index("model").add_prefix("paper_")
    rows = {}
    for label, scored in scores.items():
        seeds = scored.index.unique("seed").size
        rows[label] = {
            **statistics(scored),
            "nse_failures": (scored["nse"] <= 0).sum() / seeds,
            "seeds": seeds,
            "basins": scored.index.unique("basin").size,
        }
    made = pd.DataFrame.from_dict(rows, orient="index").rename_axis("model")
    return made.join(published)


def near_median(scores: pd.Series, n: int) -> list[str]:
    """The `n` basins whose score is nearest the median, as those of Fig. 3 of the paper."""
    distance = (scores - scores.median()).abs().dropna()
    return distance.sort_values(kind="stable").index[:n].astype(str).tolist()


def days_shown(observed: xr.DataArray, period: Period | None) -> slice:
    """`period`, or the last two years of `observed`, as labels of its `time`.

    Raises
    ------
    DataError
        None of the period's days was simulated.
    """
    last = observed.indexes["time"][-1]
    start, end = (
        (period.start, period.end)
        if period
        else (last - pd.DateOffset(years=2) + pd.Timedelta("1D"), last)
    )
    days = slice(str(start), str(end))
    if not observed.sel(time=days).sizes["time"]:
        raise DataError(
            f"hydrograph_period {period} lies outside of what was simulated, "
            f"{observed.indexes['time'][0].date()} to {last.date()}"
        )
    return days


def total_storage(fluxes: xr.Dataset) -> xr.DataArray:
    """All five stores together, mm."""
    return (
        sum(fluxes[name] for name in STORES)
        .rename("storage")
        .assign_attrs(units="mm", long_name="storage")
    )


def dynamic_sources(groups: Sequence[Group]) -> dict[str, Group]:
    """For each dynamic parameter the group to take it from: of those that have it, the one with the
    fewest besides, then with the most components. Beta and gamma first.

    Raises
    ------
    DataError
        No run has a dynamic parameter.
    """
    hbvs = [g for g in groups if g.parameters["model"] == "delta_hbv"]
    names = sorted(
        {n for g in hbvs for n in g.parameters["dynamic"]}, key=lambda n: (n not in SYMBOLS, n)
    )
    if not names:
        raise DataError(
            "none of the runs has a dynamic parameter; give runs with dynamic: [BETA], [BETAET] or"
            " both"
        )

    def order(group: Group) -> tuple[int, int]:
        return len(group.parameters["dynamic"]), -group.parameters["components"]

    return {n: min((g for g in hbvs if n in g.parameters["dynamic"]), key=order) for n in names}


def richest(groups: Sequence[Group]) -> Group:
    """The delta-HBV with the most dynamic parameters, then components, then epochs; the first of
    equals."""

    def richness(group: Group) -> tuple[bool, int, int, int]:
        p = group.parameters
        return p["model"] == "delta_hbv", len(p["dynamic"]), p["components"], p["epochs"]

    return max(groups, key=richness)


def contrasting_basins(ds: xr.Dataset, run: TrainedRun) -> list[str]:
    """Among the better half of a run's basins (by NSE) the driest, the snowiest and the wettest.

    Dry and wet by mean precipitation over mean PET, snowy by the share of precipitation below 0
    degC.
    """
    simulated = run.simulation()
    nse = table(simulated[SIMULATED], simulated["streamflow_obs"], ["nse"])["nse"]
    days = ds.sel(basin=nse.index[nse >= nse.median()].to_numpy())
    wetness = (days["prcp"].mean("time") / days["pet"].mean("time")).to_series()
    snow = (
        days["prcp"].where(days["tmean"] < 0, 0).mean("time") / days["prcp"].mean("time")
    ).to_series()
    return list(dict.fromkeys(map(str, (wetness.idxmin(), snow.idxmax(), wetness.idxmax()))))


def dynamics(
    parameter: xr.DataArray, storage: xr.DataArray, truth: xr.DataArray | None = None
) -> pd.DataFrame:
    """What the median component of a dynamic parameter goes with, basin by basin.

    Parameters
    ----------
    parameter
        (basin, time, component).
    storage
        mm, (basin, time), the same days.
    truth
        The true parameter, (basin, time), over all of these days, where it is known.

    Returns
    -------
    pandas.DataFrame
        Index `basin`; `mean`; `amplitude`, of the mean year smoothed over a month; `season_share`
        of the variance that the mean year explains; `storage_r`; `storage_r_deseasoned`, with the
        mean years taken off both; and `true_r`, of the components' mean, where the truth is known.
    """
    means = parameter.mean("time")
    rank = means.argsort(axis=means.get_axis_num("component"))
    middle = rank.isel(component=(parameter.sizes["component"] - 1) // 2)
    median = parameter.isel(component=middle.drop_vars("component", errors="ignore"))
    smooth = mean_year(median, window=31)
    day = xr.DataArray(calendar_day(median["time"]), dims="time", coords={"time": median["time"]})
    rest, rest_of_storage = (
        da - mean_year(da, window=31).sel(day=day).drop_vars("day") for da in (median, storage)
    )
    columns = {
        "mean": median.mean("time"),
        "amplitude": smooth.max("day") - smooth.min("day"),
        "season_share": 1 - rest.var("time") / median.var("time"),
        "storage_r": r(sim=median, obs=storage),
        "storage_r_deseasoned": r(sim=rest, obs=rest_of_storage),
    }
    if truth is not None:
        columns["true_r"] = r(
            sim=parameter.mean("component"),
            obs=truth.sel(basin=parameter["basin"], time=parameter["time"]),
        )
    return pd.DataFrame(
        {name: da.to_series().astype(float) for name, da in columns.items()}
    ).rename_axis("basin")
