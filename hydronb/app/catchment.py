"""One catchment in many runs: labels, hydrograph and metrics, the same on every page."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pandas as pd
import xarray as xr

from hydronb import plots
from hydronb.app.outputs import find_basin, refuse_unless
from hydronb.app.view import Page
from hydronb.data.dataset import bare_id
from hydronb.errors import DataError, HydronbError, ParameterError
from hydronb.vocabulary import model_label

MOST = 4
"""Number of runs compared where the visitor has chosen none."""

PARTS = (
    lambda _: "",
    lambda n: n.split("/")[-1],
    lambda n: f"{n.split('/')[0]}/{n.split('/')[-1]}",
    lambda n: n,
)
"""More and more of a run's folder."""

BY_HAND = "notebooks/"
"""Where notebooks write that were opened by hand, with small smoke configurations."""


def run_labels(page: Page, names: Sequence[str]) -> dict[str, str]:
    """Name of each run by its label in figures: its model, with as much of its folder as tells it
    from other runs of the model."""
    models = {name: _model(page, name) for name in names}
    labels = {}
    for name, model in models.items():
        alike = [n for n in names if n != name and models[n] == model]
        folder = next(part(name) for part in PARTS if part(name) not in map(part, alike))
        label = " · ".join(filter(None, [model, folder])) or name
        labels[label.replace("{", "(").replace("}", ")")] = name  # {} mean fields in figures
    return labels


def run_label(page: Page, name: str) -> str:
    """Label of a run that stands alone."""
    return next(iter(run_labels(page, [name])))


def _model(page: Page, name: str) -> str:
    parameters = page.outputs.parameters(name)
    try:
        return model_label(parameters) if isinstance(parameters.get("model"), str) else ""
    except (ParameterError, KeyError, TypeError):  # parameters of another version
        return str(parameters["model"])


def newest_first(page: Page, names: Sequence[str], file: str) -> list[str]:
    """Runs by the age of one of their files, those made by hand last."""
    return sorted(
        names, key=lambda n: (n.startswith(BY_HAND), -modified(page.outputs.root / n / file))
    )


def modified(path: Path) -> float:
    """When a file was written, in seconds; 0 where there is none."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def runs_with(page: Page, *files: str, what: str, notebook: str) -> list[str]:
    """Runs that hold these files, by the age of the last of them.

    Raises
    ------
    DataError
        There is none; it says which notebook makes one.
    """
    names = newest_first(page, page.outputs.having(*files), files[-1])
    refuse_unless(
        names,
        f"no {what} here yet; the notebook {notebook} makes one: `hydronb run params/demo.yaml`",
    )
    return names


def compared(page: Page, runs: Sequence[str] = ()) -> dict[str, str]:
    """The runs that are compared, by label: `runs` or the visitor's, else the first few of the
    newest plan.

    Raises
    ------
    DataError
        There is none.
    """
    trained = page.outputs.trained()
    refuse_unless(
        trained,
        "no trained run here yet; `make demo` (or `hydronb run params/demo.yaml`) makes some",
    )
    runs = runs or page.state.runs
    existing = [n for n in runs if n in trained]
    refuse_unless(
        existing or not runs,
        f"there is no run {next(iter(runs), '')[:120]!r} in this outputs folder; choose others",
    )
    return run_labels(page, existing or _of_newest_plan(page, trained))


def _of_newest_plan(page: Page, names: Sequence[str]) -> list[str]:
    """The first few runs of the newest plan, each model before a second of the same; of the plans
    that simulate the visitor's catchment where any does. Only runs with most catchments, so that a
    single gridded one does not stand beside them."""
    plans: dict[str, list[str]] = {}
    for name in newest_first(page, names, "metrics.csv"):
        plans.setdefault(name.split("/")[0], []).append(name)
    simulating = (
        runs
        for runs in plans.values()
        if page.state.basin
        and bare_id(page.state.basin) in map(bare_id, metrics_by_basin(page, runs[0]).index)
    )
    chosen = sorted(next(simulating, next(iter(plans.values()))))
    sizes = {name: len(metrics_by_basin(page, name)) for name in chosen}
    plan = [name for name, size in sizes.items() if size == max(sizes.values())]
    first_of_model = {_model(page, n): n for n in reversed(plan)}.values()
    return sorted(sorted(plan, key=lambda n: n not in first_of_model)[:MOST])


def metrics_by_basin(page: Page, name: str) -> pd.DataFrame:
    """Metrics of a run, one row per basin."""
    return page.outputs.table(name, "metrics.csv", ["basin"]).set_index("basin")


def scores(page: Page, metric: str, runs: Sequence[str] = ()) -> dict[str, pd.Series]:
    """A metric of each basin by the label of each of the `compared` runs; of the selected basins
    alone where some are."""
    series = {
        label: table.loc[chosen_basins(table.index, page.state.selection), metric]
        for label, name in compared(page, runs).items()
        if metric in (table := metrics_by_basin(page, name))
    }
    refuse_unless(series, f"none of these runs has the metric {metric[:40]!r}; choose another")
    return series


def chosen_basins(ids: pd.Index, selection: Sequence[str]) -> pd.Series:
    """Which of `ids` are selected; all of them where none is."""
    selected = {bare_id(b) for b in selection}
    inside = pd.Series([bare_id(str(b)) in selected for b in ids], index=ids, dtype=bool)
    return inside if inside.any() else pd.Series(True, index=ids)


def metrics_of(page: Page) -> pd.DataFrame:
    """Metrics of the clicked catchment, one row per run."""
    rows = {}
    for label, name in compared(page).items():
        table = metrics_by_basin(page, name)
        with suppress(DataError):
            rows[label] = table.loc[find_basin(table.index.to_numpy(), page.state.basin, label)]
    refuse_unless(
        rows,
        f"none of the compared runs has the catchment {page.state.basin[:60]!r}; choose other"
        " runs on the page Benchmarks",
    )
    return pd.DataFrame(rows).T.astype(float)


def in_shown_years(series: xr.Dataset, page: Page) -> xr.Dataset:
    """The part of a dataset in the years of the time axis, or in the nearest that it has."""
    years = series.indexes["time"].year
    start = min(max(page.state.since, years[0]), years[-1])
    return series.isel(time=(years >= start) & (years < start + page.state.years))


def flows(
    page: Page, *, whole: bool = False
) -> tuple[xr.DataArray | None, dict[str, xr.DataArray]]:
    """Observed and simulated streamflow of the clicked catchment, in the years that are shown or
    in all."""
    obs, simulations, problems = None, {}, []
    for label, name in compared(page).items():
        try:
            ds = page.outputs.read(
                name, "simulation.nc", ("streamflow", "streamflow_obs"), basin=page.state.basin
            )
            if "streamflow" in ds:
                ds = ds if whole else in_shown_years(ds, page)
                simulations[label] = ds["streamflow"]
                obs = ds.get("streamflow_obs") if obs is None else obs
        except HydronbError as error:
            problems.append(str(error))
    refuse_unless(simulations, [*problems, "these runs simulate no streamflow; choose others"][0])
    return obs, simulations


def flow_figure(page: Page) -> plots.Figure:
    """Observed and simulated streamflow of the clicked catchment."""
    return plots.hydrograph(*flows(page), title=f"catchment {page.state.basin}", height=300)


def flow_table(page: Page) -> pd.DataFrame:
    """The hydrograph's series, one column each."""
    return pd.DataFrame(
        {name: da.to_series() for name, da in plots.observed_first(*flows(page)).items()}
    )


def years_of(page: Page, names: Sequence[str], file: str) -> tuple[int, int]:
    """First and last year of the series in a file of these runs."""
    times = [page.outputs.still(n, file, ["time"]).indexes["time"] for n in names]
    return min(t[0].year for t in times), max(t[-1].year for t in times)


def placed_values(values: pd.Series, places: pd.DataFrame) -> xr.DataArray:
    """Values by basin id, at the places in columns beside the column `basin`."""
    return xr.DataArray(
        values.reindex(places["basin"].astype(str)).to_numpy(),
        {n: ("basin", places[n].to_numpy()) for n in places},
        "basin",
        name=str(values.name),
    )


def gauge_map(values: pd.Series, label: str, ds: xr.Dataset, *, title: str = "") -> plots.Figure:
    """Values by basin id at the gauges of `ds`, to select and to click."""
    return plots.basin_map(
        placed_values(values, pd.DataFrame({n: ds[n].to_numpy() for n in ("basin", "lon", "lat")})),
        label=label,
        title=title,
        height=400,
        select=True,
    )
