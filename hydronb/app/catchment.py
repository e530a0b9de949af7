"""One catchment in many runs: hydrograph and metrics, the same on every page."""

from collections.abc import Sequence

import holoviews as hv
import pandas as pd
import xarray as xr

from hydronb import plots
from hydronb.app.outputs import Outputs, find_basin
from hydronb.app.state import State
from hydronb.data.dataset import bare_id
from hydronb.errors import DataError, HydronbError
from hydronb.vocabulary import model_label

MOST = 4
"""Runs that are compared where the visitor has chosen none."""

PARTS = (
    lambda _: "",
    lambda n: n.split("/")[-1],
    lambda n: f"{n.split('/')[0]}/{n.split('/')[-1]}",
    lambda n: n,
)
"""More and more of a run's folder."""

BY_HAND = "notebooks/"
"""Where notebooks write that were opened by hand, with small smoke configurations."""


def run_labels(outputs: Outputs, names: Sequence[str]) -> dict[str, str]:
    """Name of each run by what figures call it: its model, with as much of its folder as tells it
    from its like."""
    models = {name: _model(outputs, name) for name in names}
    made = {}
    for name, model in models.items():
        like = [n for n in names if n != name and models[n] == model]
        folder = next(part(name) for part in PARTS if all(part(name) != part(n) for n in like))
        label = " · ".join(filter(None, [model, folder])) or name
        made[label.replace("{", "(").replace("}", ")")] = name  # braces mean fields in figures
    return made


def _model(outputs: Outputs, name: str) -> str:
    parameters = outputs.parameters(name)
    try:
        return model_label(parameters) if isinstance(parameters.get("model"), str) else ""
    except (KeyError, TypeError):  # parameters of another version
        return str(parameters["model"])


def compared(state: State, outputs: Outputs) -> dict[str, str]:
    """The runs that are compared, by label: the visitor's, else the first few of the newest plan.

    Raises
    ------
    DataError
        There is none.
    """
    there = outputs.trained()
    if not there:
        raise DataError(
            "no trained run here yet; `make demo` (or `hydronb run params/demo.yaml`) makes some"
        )
    if state.runs:
        gone = [n for n in state.runs if n not in there]
        if len(gone) == len(state.runs):
            raise DataError(
                f"there is no run {gone[0][:120]!r} in this outputs folder; choose others"
            )
        return run_labels(outputs, [n for n in state.runs if n in there])
    plan = _plan(state, outputs, there)
    apart = {_model(outputs, n): n for n in reversed(plan)}
    first = [n for n in plan if n in apart.values()]
    return run_labels(outputs, sorted((first + [n for n in plan if n not in first])[:MOST]))


def _plan(state: State, outputs: Outputs, there: Sequence[str]) -> list[str]:
    """The runs of the newest plan, of those that simulate the visitor's catchment where there is
    one that does."""
    plans: dict[str, list[str]] = {}
    for name in newest_first(outputs, there, "metrics.csv"):
        plans.setdefault(name.split("/")[0], []).append(name)
    for names in plans.values():
        ids = outputs.table(names[0], "metrics.csv", ["basin"])["basin"] if state.basin else ()
        if bare_id(state.basin) in {bare_id(b) for b in ids}:
            return _of_most_basins(outputs, names)
    return _of_most_basins(outputs, next(iter(plans.values())))


def _of_most_basins(outputs: Outputs, names: Sequence[str]) -> list[str]:
    """Those that can be compared over most catchments, a grid's single one not beside them."""
    sizes = {name: len(outputs.table(name, "metrics.csv")) for name in names}
    return sorted(name for name, size in sizes.items() if size == max(sizes.values()))


def newest_first(outputs: Outputs, names: Sequence[str], file: str) -> list[str]:
    """Runs by the age of a file of theirs, those that were made by hand last."""

    def age(name: str) -> tuple[bool, float]:
        path = outputs.root / name / file
        return name.startswith(BY_HAND), -path.stat().st_mtime if path.exists() else 0.0

    return sorted(names, key=age)


def scores(state: State, outputs: Outputs, metric: str) -> dict[str, pd.Series]:
    """A metric of each basin by the run's label; of the selected basins alone where some are."""
    made = {}
    for label, name in compared(state, outputs).items():
        table = outputs.table(name, "metrics.csv", ["basin"])
        if metric in table:
            series = table.set_index("basin")[metric]
            made[label] = series[chosen_basins(series.index, state.selection)]
    if not made:
        raise DataError(f"none of these runs has the metric {metric[:40]!r}; choose another")
    return made


def chosen_basins(ids: pd.Index, selection: Sequence[str]) -> pd.Series:
    """Which of `ids` are in the selection; all where nothing is selected, or nothing that is
    here."""
    wanted = {bare_id(b) for b in selection}
    inside = pd.Series([bare_id(str(b)) in wanted for b in ids], index=ids, dtype=bool)
    return inside if inside.any() else pd.Series(True, index=ids)


def metrics_of(state: State, outputs: Outputs) -> pd.DataFrame:
    """Metrics of the clicked catchment, a row a run."""
    rows = {}
    for label, name in compared(state, outputs).items():
        table = outputs.table(name, "metrics.csv", ["basin"]).set_index("basin")
        try:
            rows[label] = table.loc[find_basin(table.index.to_numpy(), state.basin, label)]
        except DataError:
            continue
    if not rows:
        raise DataError(
            f"none of the compared runs has the catchment {state.basin[:60]!r}; choose other runs"
            " on the page Benchmarks"
        )
    return pd.DataFrame(rows).T.astype(float)


def window(time: pd.DatetimeIndex, state: State) -> slice:
    """The years on the time axis: those that were asked for, or the nearest there are."""
    first, last = int(time[0].year), int(time[-1].year)
    start = min(max(state.since, first), last)
    return slice(f"{start}-01-01" if start > first else None, f"{start + state.years - 1}-12-31")


def flows(state: State, outputs: Outputs) -> tuple[xr.DataArray | None, dict[str, xr.DataArray]]:
    """Observed and simulated streamflow of the clicked catchment, in the years that are shown."""
    obs, simulations, problems = None, {}, []
    for label, name in compared(state, outputs).items():
        try:
            ds = outputs.read(
                name, "simulation.nc", ("streamflow", "streamflow_obs"), basin=state.basin
            )
        except HydronbError as error:
            problems.append(str(error))
            continue
        if "streamflow" not in ds:
            continue
        ds = ds.sel(time=window(ds.indexes["time"], state))
        simulations[label] = ds["streamflow"]
        obs = ds.get("streamflow_obs") if obs is None else obs
    if not simulations:
        raise DataError(
            problems[0] if problems else "these runs simulate no streamflow; choose others"
        )
    return obs, simulations


def hydrograph(state: State, outputs: Outputs) -> hv.Overlay:
    obs, simulations = flows(state, outputs)
    return plots.hydrograph(obs, simulations, title=f"catchment {state.basin}", height=300)


def flow_table(state: State, outputs: Outputs) -> pd.DataFrame:
    """The hydrograph's series, a column each."""
    obs, simulations = flows(state, outputs)
    series = ({plots.style.OBSERVED: obs} if obs is not None else {}) | simulations
    return pd.DataFrame({n: da.to_series() for n, da in series.items()})


def first_and_last(state: State, outputs: Outputs) -> tuple[int, int]:
    """Years in which the compared runs begin, and end."""
    try:
        times = [
            outputs.still(n, "simulation.nc", ["time"]).indexes["time"]
            for n in compared(state, outputs).values()
        ]
        return min(t[0].year for t in times), max(t[-1].year for t in times)
    except (HydronbError, ValueError):
        return 0, 1
