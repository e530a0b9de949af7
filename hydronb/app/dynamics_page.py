"""The page of dynamic parameters: what happens in a catchment day by day, beside what a second
model says."""

import pandas as pd
import panel as pn
import xarray as xr

from hydronb import plots
from hydronb.analysis.seasons import mean_year
from hydronb.analysis.water_balance import simulated_balance
from hydronb.app import catchment
from hydronb.app.outputs import find_basin, refuse_unless
from hydronb.app.view import LinkedPlots, Page, column, heading, html_table, note, row
from hydronb.data.hbv_parameters import STORES
from hydronb.plots import fluxes as figures
from hydronb.plots.style import OBSERVED
from hydronb.vocabulary import COLOURS, SYMBOLS

FILES = ("fluxes.nc", "parameters.nc")
POINTS = 1500
"""Days that a curve shows at most; a longer series is shown as means over several."""
NONE = "none"


def build(page: Page) -> pn.Column:
    links = LinkedPlots(page.state)

    def runs() -> dict[str, str]:
        return catchment.run_labels(page, page.outputs.having(*FILES))

    def second() -> str:
        return page.state.other if page.state.other != NONE else ""

    one, two = ["model", "basin", "since", "years"], ["other", "basin", "since", "years"]
    return pn.Column(
        heading("Dynamic parameters"),
        row(
            page.choice("model", "Model", runs, value=lambda: chosen_model(page), width=380),
            page.choice(
                "other",
                "Beside it",
                lambda: {"nothing": NONE} | runs(),
                value=lambda: page.state.other or NONE,
                width=380,
            ),
            page.choice(
                "basin",
                "Catchment",
                lambda: {b: b for b in _basins(page, chosen_model(page))},
                on=["model"],
                value=lambda: chosen_basin(page),
                width=180,
            ),
        ),
        row(
            page.slider(
                "since",
                "From",
                lambda: catchment.years_of(page, [chosen_model(page)], "fluxes.nc"),
                on=["model"],
            ),
            page.slider("years", "Years", lambda: (1, 30)),
        ),
        row(
            page.part(
                lambda: _stack(page, chosen_model(page)),
                one,
                width=560,
                name="series",
                table=lambda: series_table(page, chosen_model(page)),
            ),
            page.part(lambda: _stack(page, second()) if second() else None, two, width=560),
        ),
        row(
            page.part(lambda: _seasons(page, chosen_model(page)), ["model", "basin"], width=520),
            page.part(
                lambda: _seasons(page, second()) if second() else None,
                ["other", "basin"],
                width=520,
            ),
        ),
        row(
            page.part(
                lambda: _balance(page, [chosen_model(page), second()]),
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
                    lambda: _mapped(page, chosen_model(page)),
                    on=["model"],
                    value=lambda: _parameter(page),
                    width=260,
                ),
                page.part(
                    lambda: _map(page, chosen_model(page)),
                    ["model", "parameter"],
                    drawn=lambda plot: links.listen("one", plot),
                    table=lambda: mapped_values(page, chosen_model(page)).to_frame(),
                    name="parameter",
                ),
            ),
            column(
                pn.Spacer(height=58),
                page.part(
                    lambda: _map(page, second()) if second() else None,
                    ["other", "parameter"],
                    drawn=lambda plot: links.listen("two", plot),
                ),
            ),
        ),
        sizing_mode="stretch_width",
    )


def chosen_model(page: Page) -> str:
    """The visitor's model, else the newest of those with most dynamic parameters."""
    return page.state.model or max(
        catchment.runs_with(page, *FILES, what="delta-HBV", notebook="delta_hbv_01_train"),
        key=lambda n: len(page.outputs.parameters(n).get("dynamic") or ()),
    )


def chosen_basin(page: Page) -> str:
    """The visitor's catchment by its id in the chosen model's files, else the first one."""
    name = chosen_model(page)
    ids = _basins(page, name)
    return find_basin(ids, page.state.basin, name) if page.state.basin else ids[0]


def _basins(page: Page, name: str) -> list[str]:
    return page.outputs.still(name, "fluxes.nc", ["basin"])["basin"].values.astype(str).tolist()


def inside_catchment(page: Page, name: str, *, whole: bool = False) -> xr.Dataset:
    """All that a run says about the catchment, over the years that are shown or all; `prcp` is the
    fluxes' rain and snow, and parameters that do not change with time are repeated every day."""
    basin = chosen_basin(page)
    fluxes = page.outputs.read(name, "fluxes.nc", basin=basin)
    for n in ("rain", "snow", "et", "q0", "q1", "q2", *STORES):
        refuse_unless(n in fluxes, f"{name}/fluxes.nc has no {n!r}: another version wrote it")
    parameters = page.outputs.read(name, "parameters.nc", tuple(SYMBOLS), basin=basin)
    flows = page.outputs.read(
        name, "simulation.nc", ("streamflow", "streamflow_obs", "et_obs"), basin=basin
    )
    ds = xr.merge([fluxes, parameters, flows], compat="override", join="inner").drop_vars("basin")
    ds["prcp"] = (ds["rain"] + ds["snow"]).assign_attrs(units="mm/d", long_name="precipitation")
    for n in (n for n in SYMBOLS if n in ds and "time" not in ds[n].dims):
        ds[n] = ds[n].expand_dims(time=ds["time"]).assign_attrs(ds[n].attrs)
    return ds if whole else catchment.in_shown_years(ds, page)


def thinned(ds: xr.Dataset) -> tuple[xr.Dataset, int]:
    """Means over as many days as it takes to have at most `POINTS`, and over how many."""
    days = max(1, -(-ds.sizes["time"] // POINTS))  # rounded up
    if days == 1:
        return ds, 1
    return ds.coarsen(time=days, boundary="trim", coord_func="min").mean(keep_attrs=True), days


def _stack(page: Page, name: str) -> plots.Figure:
    ds, days = thinned(inside_catchment(page, name))
    observed = {
        n: {OBSERVED: ds[f"{n}_obs"]} if f"{n}_obs" in ds else {} for n in ("et", "streamflow")
    }
    curves = {
        "snow (mm)": (110, {"snow": ds["snowpack"] + ds["meltwater"]}),
        "soil (mm)": (110, {"soil moisture": ds["soil_moisture"]}),
        "zones (mm)": (130, {"upper storage": ds["upper_zone"], "lower storage": ds["lower_zone"]}),
        "ET (mm/d)": (120, {"evapotranspiration": ds["et"]} | observed["et"]),
        "runoff (mm/d)": (140, {figures.WATER[n][0]: ds[n] for n in ("q0", "q1", "q2")}),
        "streamflow (mm/d)": (190, observed["streamflow"] | {"simulated": ds["streamflow"]}),
    }
    panels = [
        plots.rain(ds["prcp"]),
        *(
            figures.components(
                ds[n].rename(symbol).assign_attrs(long_name=symbol),
                height=140,
                colour=COLOURS[symbol],
                title=f"{symbol}, all components; bold the median one",
            )
            for n, symbol in SYMBOLS.items()
            if n in ds
        ),
        *(plots.series(c, label=label, height=height) for label, (height, c) in curves.items()),
    ]
    title = f"{catchment.run_label(page, name)}: {chosen_basin(page)}"
    return plots.stacked(panels, title=f"{title}, means over {days} days" if days > 1 else title)


def series_table(page: Page, name: str) -> pd.DataFrame:
    """Every series that is drawn, daily, one column each; components numbered from 1."""
    ds = inside_catchment(page, name)
    table = {str(n): v.to_series() for n, v in ds.data_vars.items() if v.dims == ("time",)}
    for n in (n for n in SYMBOLS if n in ds):
        table |= {
            f"{n}_{k}": one.to_series()
            for k, one in enumerate(ds[n].transpose("component", "time"), start=1)
        }
    return pd.DataFrame(table)


def _seasons(page: Page, name: str) -> plots.Figure | str:
    ds = page.outputs.read(name, "parameters.nc", tuple(SYMBOLS), basin=chosen_basin(page))
    panels = [
        figures.seasonal_components(
            mean_year(ds[n].rename(symbol).assign_attrs(long_name=symbol), window=7),
            bold=figures.median_component(ds[n]),
            title=f"{symbol}, mean year",
            colour=COLOURS[symbol],
        )
        for n, symbol in SYMBOLS.items()
        if n in ds and "time" in ds[n].dims
    ]
    if not panels:
        return note(f"{name} has no parameter that changes with time.")
    return figures.grid(panels)


def _balance(page: Page, names: list[str]) -> str:
    rows = {}
    for name in filter(None, names):
        ds = inside_catchment(page, name, whole=True).expand_dims(basin=[chosen_basin(page)])
        rows[catchment.run_label(page, name)] = simulated_balance(ds["prcp"], ds).iloc[0]
    return html_table(
        pd.DataFrame(rows).T,
        "Water balance over all simulated years, mm a year: P = ET + quick flow q0 + interflow q1 +"
        " baseflow q2 + change of storage + residual",
        digits=1,
    )


# On the map
# ---


def _mapped(page: Page, name: str) -> dict[str, str]:
    """Metrics, and parameters that do not change with time, by label."""
    return {
        plots.metric_label(m): m
        for m in catchment.metrics_by_basin(page, name).select_dtypes("number")
    } | {
        f"{n}, mean of components": str(n)
        for n in page.outputs.still(name, "parameters.nc").data_vars
    }


def _parameter(page: Page) -> str:
    return page.state.parameter or next(iter(_mapped(page, chosen_model(page)).values()), "")


def mapped_values(page: Page, name: str) -> pd.Series:
    """A number for each basin: a metric, or the mean over components of a parameter."""
    mapped = _parameter(page)
    metrics = catchment.metrics_by_basin(page, name)
    if mapped in metrics:
        return metrics[mapped].astype(float)
    ds = page.outputs.still(name, "parameters.nc", ["basin"])
    refuse_unless(
        mapped in ds.data_vars,
        f"{name} has no metric or constant parameter {mapped[:40]!r}; choose another",
    )
    by_basin = ds[mapped].mean("component") if "component" in ds[mapped].dims else ds[mapped]
    return by_basin.to_series().astype(float).rename(mapped)


def _map(page: Page, name: str) -> plots.Figure:
    by_basin = mapped_values(page, name)
    label = plots.metric_label(str(by_basin.name))
    return catchment.gauge_map(
        by_basin,
        label,
        page.outputs.still(name, "parameters.nc", ["lat", "lon"]),
        title=f"{label} of {catchment.run_label(page, name)}; click a catchment",
    )
