"""The page of dynamic parameters: what happens in a catchment day by day, beside what a second
model says."""

import holoviews as hv
import numpy as np
import pandas as pd
import panel as pn
import xarray as xr

from hydronb.analysis.water_balance import simulated_balance
from hydronb.app import catchment
from hydronb.app.outputs import Outputs, find_basin
from hydronb.app.state import State
from hydronb.app.view import Linked, Page, column, heading, html_table, note, row
from hydronb.data.hbv_parameters import STORES
from hydronb.errors import DataError, HydronbError
from hydronb.plots import fluxes as figures
from hydronb.plots import selection as linked
from hydronb.plots.style import OBSERVED

DYNAMIC = {"BETAET": "gamma", "BETA": "beta"}
COLOURS = {"BETAET": "#D55E00", "BETA": "#0072B2"}
FILES = ("fluxes.nc", "parameters.nc")
POINTS = 1500
"""Days that a curve shows at most; with more on the axis it shows means over several."""
NONE = "none"


def build(page: Page, state: State, outputs: Outputs) -> pn.Column:
    links = Linked(state)

    def runs() -> dict[str, str]:
        return catchment.run_labels(outputs, outputs.having(*FILES))

    def first() -> str:
        return chosen(state, outputs)

    def second() -> str:
        return state.other if state.other not in ("", NONE) else ""

    one, two = ["model", "basin", "since", "years"], ["other", "basin", "since", "years"]
    return pn.Column(
        heading("Dynamic parameters"),
        row(
            page.choice("model", "Model", runs, default=first, width=380),
            page.choice(
                "other",
                "Beside it",
                lambda: {"nothing": NONE} | runs(),
                default=lambda: NONE,
                width=380,
            ),
            page.choice(
                "basin",
                "Catchment",
                lambda: _basins(state, outputs),
                on=["model"],
                meant=lambda: basin(state, outputs),
                width=180,
            ),
        ),
        row(
            page.slider("since", "From", lambda: _years(state, outputs), on=["model"]),
            page.slider("years", "Years", lambda: (1, 30)),
        ),
        row(
            page.part(
                lambda: _stack(state, outputs, first()),
                one,
                width=560,
                name="series",
                table=lambda: series_table(state, outputs, first()),
            ),
            page.part(
                lambda: _stack(state, outputs, second()) if second() else None, two, width=560
            ),
        ),
        row(
            page.part(lambda: _seasons(state, outputs, first()), ["model", "basin"], width=520),
            page.part(
                lambda: _seasons(state, outputs, second()) if second() else None,
                ["other", "basin"],
                width=520,
            ),
        ),
        row(
            page.part(
                lambda: _balance(state, outputs, [first(), second()]),
                ["model", "other", "basin"],
                width=700,
            )
        ),
        heading("All catchments"),
        row(
            column(
                page.choice(
                    "parameter",
                    "On the map",
                    lambda: _mapped(state, outputs),
                    on=["model"],
                    default=lambda: _parameter(state, outputs),
                    width=260,
                ),
                page.part(
                    lambda: _map(state, outputs, first()),
                    ["model", "parameter"],
                    drawn=links.listen("one"),
                    table=lambda: values(state, outputs, first()).to_frame(),
                    name="parameter",
                ),
            ),
            column(
                pn.Spacer(height=58),
                page.part(
                    lambda: _map(state, outputs, second()) if second() else None,
                    ["other", "parameter"],
                    drawn=links.listen("two"),
                ),
            ),
        ),
        sizing_mode="stretch_width",
    )


def chosen(state: State, outputs: Outputs) -> str:
    """The visitor's model, else the newest of those with most dynamic parameters."""
    if state.model:
        return state.model
    there = outputs.having(*FILES)
    if not there:
        raise DataError(
            "no delta-HBV here yet; the notebook delta_hbv_01_train makes one: "
            "`hydronb run params/demo.yaml`"
        )
    there = catchment.newest_first(outputs, there, "parameters.nc")
    return max(there, key=lambda n: len(outputs.parameters(n).get("dynamic") or ()))


def basin(state: State, outputs: Outputs) -> str:
    """The visitor's catchment by the id it has here, else the first there is."""
    name = chosen(state, outputs)
    ids = outputs.still(name, "fluxes.nc", ["basin"])["basin"].values
    return find_basin(ids, state.basin, name) if state.basin else str(ids[0])


def _basins(state: State, outputs: Outputs) -> dict[str, str]:
    try:
        ids = outputs.still(chosen(state, outputs), "fluxes.nc", ["basin"])["basin"].values.astype(
            str
        )
    except HydronbError:
        return {}
    return {b: b for b in ids}


def _years(state: State, outputs: Outputs) -> tuple[int, int]:
    try:
        time = outputs.still(chosen(state, outputs), "fluxes.nc", ["time"]).indexes["time"]
    except HydronbError:
        return 0, 1
    return time[0].year, time[-1].year


def inside(state: State, outputs: Outputs, name: str, *, whole: bool = False) -> xr.Dataset:
    """All that a run says about the catchment, over the years that are shown or all; `prcp` is the
    fluxes' rain and snow, parameters that do not change stand still."""
    here = basin(state, outputs)
    fluxes = outputs.read(name, "fluxes.nc", basin=here)
    if lacking := [n for n in ("rain", "snow", "et", "q0", "q1", "q2", *STORES) if n not in fluxes]:
        raise DataError(f"{name}/fluxes.nc has no {lacking[0]!r}: another version wrote it")
    parameters = outputs.read(name, "parameters.nc", tuple(DYNAMIC), basin=here)
    flows = outputs.read(
        name, "simulation.nc", ("streamflow", "streamflow_obs", "et_obs"), basin=here
    )
    ds = xr.merge([fluxes, parameters, flows], compat="override", join="inner").drop_vars("basin")
    ds["prcp"] = (ds["rain"] + ds["snow"]).assign_attrs(units="mm/d", long_name="precipitation")
    for n in DYNAMIC:
        if n in ds and "time" not in ds[n].dims:
            ds[n] = ds[n].expand_dims(time=ds["time"]).assign_attrs(ds[n].attrs)
    return ds if whole else ds.sel(time=catchment.window(ds.indexes["time"], state))


def thinned(ds: xr.Dataset) -> tuple[xr.Dataset, int]:
    """Means over as many days as it takes to have at most `POINTS`, and over how many."""
    days = max(1, int(np.ceil(ds.sizes["time"] / POINTS)))
    if days == 1:
        return ds, 1
    return ds.coarsen(time=days, boundary="trim", coord_func="min").mean(keep_attrs=True), days


def _stack(state: State, outputs: Outputs, name: str) -> hv.Layout:
    ds, days = thinned(inside(state, outputs, name))
    label = next(iter(catchment.run_labels(outputs, [name])))
    panels = [figures.rain(ds["prcp"])]
    for parameter, symbol in DYNAMIC.items():
        if parameter in ds:
            panels.append(
                figures.components(
                    _called(ds[parameter], symbol),
                    height=140,
                    colour=COLOURS[parameter],
                    title=f"{symbol}, all components; bold the median one",
                )
            )
    panels += [
        figures.series({"snow": ds["snowpack"] + ds["meltwater"]}, label="snow (mm)", height=110),
        figures.series({"soil moisture": ds["soil_moisture"]}, label="soil (mm)", height=110),
        figures.series(
            {"upper storage": ds["upper_zone"], "lower storage": ds["lower_zone"]},
            label="zones (mm)",
            height=130,
        ),
        figures.series(
            {"evapotranspiration": ds["et"]} | ({OBSERVED: ds["et_obs"]} if "et_obs" in ds else {}),
            label="ET (mm/d)",
            height=120,
        ),
        figures.series(
            {"quick flow": ds["q0"], "interflow": ds["q1"], "baseflow": ds["q2"]},
            label="runoff (mm/d)",
            height=140,
        ),
        figures.series(
            ({OBSERVED: ds["streamflow_obs"]} if "streamflow_obs" in ds else {})
            | {"simulated": ds["streamflow"]},
            label="streamflow (mm/d)",
            height=190,
        ),
    ]
    means = f", means over {days} days" if days > 1 else ""
    return figures.stacked(panels, title=f"{label}: {basin(state, outputs)}{means}")


def _called(parameter: xr.DataArray, symbol: str) -> xr.DataArray:
    return parameter.rename(symbol).assign_attrs(long_name=symbol)


def series_table(state: State, outputs: Outputs, name: str) -> pd.DataFrame:
    """Every series that is drawn, daily, a column each; components numbered from 1."""
    ds = inside(state, outputs, name)
    table = {str(n): v.to_series() for n, v in ds.data_vars.items() if v.dims == ("time",)}
    for n in (n for n in DYNAMIC if n in ds):
        each = ds[n].transpose("time", "component").to_numpy()
        table |= {
            f"{n}_{k + 1}": pd.Series(each[:, k], ds.indexes["time"]) for k in range(each.shape[1])
        }
    return pd.DataFrame(table)


def _seasons(state: State, outputs: Outputs, name: str) -> object:
    ds = outputs.read(name, "parameters.nc", tuple(DYNAMIC), basin=basin(state, outputs))
    panels = [
        figures.seasonal_components(
            _called(ds[n], symbol), title=f"{symbol}, mean year", colour=COLOURS[n]
        )
        for n, symbol in DYNAMIC.items()
        if n in ds and "time" in ds[n].dims
    ]
    if not panels:
        return note(f"{name} has no parameter that changes with time.")
    return hv.Layout(panels).opts(shared_axes=False)


def _balance(state: State, outputs: Outputs, names: list[str]) -> str:
    rows = {}
    for name in filter(None, names):
        ds = inside(state, outputs, name, whole=True).expand_dims(basin=[basin(state, outputs)])
        rows[next(iter(catchment.run_labels(outputs, [name])))] = simulated_balance(
            ds["prcp"], ds
        ).iloc[0]
    return note(
        "Water balance over all simulated years, mm a year: P = ET + quick flow q0 + interflow q1 +"
        " baseflow q2 + change of storage + residual"
    ) + html_table(pd.DataFrame(rows).T, digits=1)


# On the map
# ---


def _mapped(state: State, outputs: Outputs) -> dict[str, str]:
    """Metrics and parameters that do not change with time, for the map."""
    try:
        name = chosen(state, outputs)
        ds = outputs.still(name, "parameters.nc")
        metrics = outputs.table(name, "metrics.csv", ["basin"]).select_dtypes("number")
    except HydronbError:
        return {}
    still = {f"{n}, mean of components": str(n) for n in ds.data_vars}
    return {str(m).upper(): str(m) for m in metrics} | still


def _parameter(state: State, outputs: Outputs) -> str:
    return state.parameter or next(iter(_mapped(state, outputs).values()), "")


def values(state: State, outputs: Outputs, name: str) -> pd.Series:
    """A number for each basin: a metric, or the mean over components of a parameter."""
    wanted = _parameter(state, outputs)
    metrics = outputs.table(name, "metrics.csv", ["basin"]).set_index("basin")
    if wanted in metrics:
        return metrics[wanted].astype(float)
    ds = outputs.still(name, "parameters.nc", ["basin"])
    if wanted not in ds.data_vars:
        raise DataError(
            f"{name} has no metric or constant parameter {wanted[:40]!r}; choose another"
        )
    of_all = ds[wanted].mean("component") if "component" in ds[wanted].dims else ds[wanted]
    return of_all.to_series().astype(float).rename(wanted)


def _map(state: State, outputs: Outputs, name: str) -> hv.Overlay:
    of_all = values(state, outputs, name)
    ds = outputs.still(name, "parameters.nc", ["lat", "lon"])
    frame = pd.DataFrame(
        {"basin": ds["basin"].values.astype(str), "lon": ds["lon"].values, "lat": ds["lat"].values}
    )
    label = next(iter(catchment.run_labels(outputs, [name])))
    return linked.gauges(
        frame, of_all, label=str(of_all.name), title=f"{of_all.name} of {label}; click a catchment"
    )
