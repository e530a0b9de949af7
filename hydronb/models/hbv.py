"""HBV with several components per basin, after Feng et al. (2022), doi:10.1029/2022WR032404.

The equations are written once, in the pure function `step`; `run` applies it to all days of
tensors, `simulate` to datasets, and `route` brings the outflow of the stores to the gauge. All
departures from the paper:

1. Equation 7 leaves `FLOOR` in the soil by taking less evapotranspiration. The paper sets the floor
   after the flux, which creates a little water; here none is created. The results differ by at most
   2e-5 mm.
2. The exponents apply to ratios that are already limited to 1, which gives the same value and
   cannot overflow. Below `FLOOR`, where nothing evaporates, the ratio of Equation 7 is that of
   `FLOOR`: its slope would be infinite at 0.
3. Minima and maxima are `torch.minimum` and `torch.maximum`, which share the gradient where both
   arguments are equal, as on every dry or warm day.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch
import xarray as xr
from jaxtyping import Float
from torch import Tensor

from hydronb.data.dataset import check
from hydronb.data.hbv_parameters import OUTFLOW, PARAMETERS, ROUTING, STORES
from hydronb.data.scaling import require
from hydronb.errors import DataError, ParameterError, nearest

FORCING = ("prcp", "tmean", "pet")
"""Precipitation (mm/d), mean temperature (degC) and potential evapotranspiration (mm/d): what HBV
takes, in this order."""

FLUXES = dict.fromkeys(
    (
        "rain",
        "snow",
        "melt",
        "refreeze",
        "recharge",
        "excess",
        "et",
        "percolation",
        "q0",
        "q1",
        "q2",
    ),
    "mm/d",
)
"""Names and units of what `step` returns. `recharge` and `excess` both go to the upper zone."""

UNITS = (
    FLUXES
    | dict.fromkeys(STORES, "mm")
    | {name: parameter.unit for name, parameter in (PARAMETERS | ROUTING).items()}
)

LONG_NAMES = {
    "et": "actual evapotranspiration",
    "q0": "quick flow",
    "q1": "interflow",
    "q2": "baseflow",
}
"""Of the fluxes whose names do not describe them."""

START = 0.001
"""mm in every store before the first day."""

FLOOR = 1e-5
"""mm of soil moisture that do not evaporate."""

ROUTING_DAYS = 15
"""Length of the unit hydrograph."""

ROUTES = ("auto", "fused", "step")

Recharge = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]
"""The share, 0 to 1, of the incoming water that becomes recharge, from FC, BETA, soil moisture,
soil moisture / FC and incoming water, each (basin, component): the network of delta_n(NN_r)."""


def step(
    state: Float[Tensor, "store basin component"],
    forcing: tuple[Tensor, Tensor, Tensor],
    parameters: Mapping[str, Tensor],
    recharge: Recharge | None = None,
) -> tuple[Float[Tensor, "store basin component"], dict[str, Tensor]]:
    """One day.

    Parameters
    ----------
    state
        `STORES` at the end of the day before, mm.
    forcing
        Precipitation (mm/d), mean temperature (degC) and PET (mm/d), each (basin, 1).
    parameters
        `PARAMETERS` by name, each (basin, component); without `BETAET` the exponent of Equation 7
        is 1.
    recharge
        A network in place of Equation 5.

    Returns
    -------
    state, fluxes
        `STORES` at the end of the day, and `FLUXES` by name, each (basin, component).
    """
    snowpack, meltwater, soil, upper, lower = state
    (prcp, t, pet), p = forcing, parameters
    zero = torch.zeros((), dtype=state.dtype, device=state.device)
    one, floor = zero + 1, zero + FLOOR

    above = t - p["TT"]
    # (1) rain or snow
    rain = torch.where(above >= 0, prcp, zero)
    snow = prcp - rain
    snowpack = snowpack + snow
    # (2) melt
    melt = torch.minimum(torch.maximum(p["CFMAX"] * above, zero), snowpack)
    snowpack, meltwater = snowpack - melt, meltwater + melt
    # (3) refreezing
    refreeze = torch.minimum(torch.maximum(-(p["CFR"] * p["CFMAX"]) * above, zero), meltwater)
    snowpack, meltwater = snowpack + refreeze, meltwater - refreeze
    # (4) what the pack holds
    held = torch.minimum(meltwater, p["CWH"] * snowpack)
    water, meltwater = rain + (meltwater - held), held

    # (5) recharge
    share = (
        torch.minimum(soil / p["FC"], one) ** p["BETA"]
        if recharge is None
        else recharge(p["FC"], p["BETA"], soil, soil / p["FC"], water)
    )
    recharged = water * share
    soil = soil + (water - recharged)
    # (6) overflow of the soil
    full = torch.minimum(soil, p["FC"])
    excess, soil = soil - full, full
    # (7) evapotranspiration
    dryness = torch.minimum(torch.maximum(soil, floor) / (p["LP"] * p["FC"]), one)
    demand = pet * (dryness ** p["BETAET"] if "BETAET" in p else dryness)
    et = torch.minimum(torch.maximum(soil - floor, zero), demand)
    soil = soil - et

    upper = upper + (recharged + excess)
    # (8) percolation
    percolation = torch.minimum(upper, p["PERC"])
    upper = upper - percolation
    # (9) quick flow, interflow
    q0 = p["K0"] * torch.maximum(upper - p["UZL"], zero)
    upper = upper - q0
    q1 = p["K1"] * upper
    upper = upper - q1
    lower = lower + percolation
    # (10) baseflow
    q2 = p["K2"] * lower
    lower = lower - q2

    fluxes = (rain, snow, melt, refreeze, recharged, excess, et, percolation, q0, q1, q2)
    return torch.stack([snowpack, meltwater, soil, upper, lower]), dict(
        zip(FLUXES, fluxes, strict=True)
    )


def run(
    prcp: Float[Tensor, "basin time"],
    tmean: Float[Tensor, "basin time"],
    pet: Float[Tensor, "basin time"],
    static: Mapping[str, Float[Tensor, "basin component"]],
    dynamic: Mapping[str, Float[Tensor, "basin time component"]] | None = None,
    *,
    state: Float[Tensor, "store basin component"] | None = None,
    recharge: Recharge | None = None,
    want: Iterable[str] = OUTFLOW,
    components: bool = False,
    route: str = "auto",
) -> tuple[dict[str, Tensor], Float[Tensor, "store basin component"]]:
    """All days, with gradients to the parameters and the state.

    Parameters
    ----------
    prcp, tmean, pet
        mm/d, degC, mm/d.
    static, dynamic
        Parameters that are constant, and those that have a value for each day. Every name of
        `PARAMETERS` is in one of the two; `BETAET` may be left out. Bounds are not checked.
    state
        `STORES` before the first day, mm; `START` everywhere where None.
    recharge
        See `Recharge`.
    want
        Names of `FLUXES` and `STORES`.
    components
        Return every component instead of their mean.
    route
        `step`: the equations as `step` has them, day by day. `fused`: the same equations in one
        compiled core, on the CPU only, without `recharge` and without gradients to the forcing.
        `auto`: fused where it applies, else the step. On CUDA the step has not been run yet.

    Returns
    -------
    fluxes, state
        `want` by name, each (basin, time), or (basin, time, component) with `components`; and
        `STORES` after the last day, from which a later call can continue.

    Raises
    ------
    ParameterError
        A parameter that is unknown, missing or given twice, an unknown name in `want`, a route that
        cannot be taken.
    """
    dynamic, want, forcing = dict(dynamic or {}), tuple(want), (prcp, tmean, pet)
    _check_parameters((*static, *dynamic))
    _refuse_unknown(want, (*FLUXES, *STORES), "flux or store")
    _refuse_unknown((route,), ROUTES, "route")
    if state is None:
        like = next(iter((*static.values(), *(values[:, 0] for values in dynamic.values()))))
        state = torch.full_like(like, START, requires_grad=False).expand(len(STORES), -1, -1)
    obstacle = _obstacle(forcing, (state, *static.values(), *dynamic.values()), recharge)
    if route == "fused" and obstacle:
        raise ParameterError(
            f"HBV's fused core cannot run {obstacle}; take the route 'step' or 'auto'"
        )
    if route != "step" and not obstacle:
        from hydronb.models.kernels.hbv import all_days  # which compiles by numba

        columns = [static[n][:, None] if n in static else dynamic.get(n) for n in PARAMETERS]
        rows = [(*STORES, *FLUXES).index(name) for name in want]
        out, state = all_days(*forcing, columns, state, rows, components)
        return dict(zip(want, out, strict=True)), state
    series = {name: [] for name in want}
    days = {name: values.unbind(1) for name, values in dynamic.items()}
    for day, weather in enumerate(zip(*(f[:, :, None].unbind(1) for f in forcing), strict=True)):
        today = {**static, **{name: values[day] for name, values in days.items()}}
        state, fluxes = step(state, weather, today, recharge)
        for name, values in series.items():
            value = fluxes[name] if name in fluxes else state[STORES.index(name)]
            values.append(value if components else value.mean(1))
    return {name: torch.stack(values, 1) for name, values in series.items()}, state


def _obstacle(
    forcing: tuple[Tensor, ...], others: tuple[Tensor, ...], recharge: Recharge | None
) -> str | None:
    """Why the fused core does not apply, if so."""
    devices = sorted({v.device.type for v in (*forcing, *others)})
    dtypes = sorted({str(v.dtype) for v in (*forcing, *others)})
    obstacles = {
        "recharge by a network": recharge is not None,
        f"on {' and '.join(devices)}": devices != ["cpu"],
        f"on {' and '.join(dtypes)}": dtypes not in (["torch.float32"], ["torch.float64"]),
        "with gradients to the forcing": torch.is_grad_enabled()
        and any(v.requires_grad for v in forcing),
    }
    return next((obstacle for obstacle, holds in obstacles.items() if holds), None)


def _check_parameters(names: tuple[str, ...]) -> None:
    """Raise unless each of `PARAMETERS` except BETAET is given, none twice, and no other name."""
    _refuse_unknown(names, PARAMETERS, "parameter")
    if twice := sorted(n for n in set(names) if names.count(n) > 1):
        raise ParameterError(f"HBV's {twice[0]} is given both static and dynamic; give it once")
    if missing := [name for name in PARAMETERS if name not in {*names, "BETAET"}]:
        raise ParameterError(f"HBV needs a value of {missing[0]}; it is neither static nor dynamic")


def _refuse_unknown(names: Iterable[str], known: Collection[str], what: str) -> None:
    if unknown := [name for name in names if name not in known]:
        raise ParameterError(f"HBV has no {what} {unknown[0]!r}{nearest(unknown[0], known)}")


def split_forcing(
    dynamic: Float[Tensor, "basin time variable"], names: Collection[str]
) -> list[Float[Tensor, "basin time"]]:
    """Each of `FORCING` from an array of the variables `names`."""
    return [dynamic[:, :, list(names).index(name)].contiguous() for name in FORCING]


def outflow(fluxes: Mapping[str, Any]) -> Any:
    """The sum of `OUTFLOW`, of tensors or arrays."""
    return fluxes["q0"] + fluxes["q1"] + fluxes["q2"]


def unit_hydrograph(
    a: Float[Tensor, " basin"], b: Float[Tensor, " basin"]
) -> Float[Tensor, "basin lag"]:
    """Gamma density of shape a + 0.1 and scale b + 0.5 days at 0.5, 1.5 ... 14.5 days, scaled to
    sum to 1."""
    t = torch.arange(ROUTING_DAYS, dtype=a.dtype, device=a.device) + 0.5
    zero = torch.zeros((), dtype=a.dtype, device=a.device)
    shape, scale = torch.maximum(a, zero)[:, None] + 0.1, torch.maximum(b, zero)[:, None] + 0.5
    return torch.softmax((shape - 1) * t.log() - t / scale, dim=1)


def route(
    streamflow: Float[Tensor, "basin time"],
    a: Float[Tensor, " basin"],
    b: Float[Tensor, " basin"],
    *,
    before: Float[Tensor, "basin days"] | None = None,
) -> Float[Tensor, "basin time"]:
    """Outflow of the stores as it passes the gauge: causal convolution with the `unit_hydrograph`.

    Parameters
    ----------
    streamflow
        q0 + q1 + q2, mm/d.
    a, b
        `ROUTING`, one pair per basin.
    before
        `streamflow` of the days just before, not yet routed: water that is still on its way. Its
        last `ROUTING_DAYS - 1` days count; no water is on its way where None. A series that is cut
        in two and routed in this way has the same values as the whole.

    Returns
    -------
    Tensor
        The days of `streamflow`.
    """
    weights, lags = unit_hydrograph(a, b), ROUTING_DAYS - 1
    carried = streamflow.new_zeros(len(streamflow), lags)
    if before is not None:
        carried = torch.cat([carried, before[:, -lags:]], 1)[:, -lags:]
    windows = torch.cat([carried, streamflow], 1).unfold(1, ROUTING_DAYS, 1)
    return (windows @ weights.flip(1)[:, :, None])[..., 0]


def simulate(
    forcing: xr.Dataset, parameters: xr.Dataset, *, state: xr.Dataset | None = None
) -> xr.Dataset:
    """All days, stores and fluxes of a catchment dataset, in float64.

    Parameters
    ----------
    forcing
        `prcp`, `tmean` and `pet` over (basin, time), without gaps.
    parameters
        Every name of `PARAMETERS` (without `BETAET` the exponent of Equation 7 is 1), over any of
        `basin`, `time` and `component`; a value without a dimension holds for all of it. With
        `routing_a` and `routing_b`, over `basin`, streamflow is routed. Joined to `forcing` by
        basin and date.
    state
        What an earlier call returned for the days before, or its last `ROUTING_DAYS - 1` days: the
        simulation continues from the stores of its last day, and its q0 + q1 + q2 is the water that
        is still on its way to the gauge. `STORES` without `time` suffice where no water is on its
        way. `START` in every store where None.

    Returns
    -------
    xr.Dataset
        `STORES` (mm, at the end of the day) and `FLUXES` (mm/d) over (basin, time), and over
        component where the parameters or the state have it; `streamflow` over (basin, time), the
        components' mean of q0 + q1 + q2, routed where there are routing parameters.

    Raises
    ------
    DataError
        A forcing that is missing, or not a physical value, on some day; basins or dates of
        parameters or state that do not match; a state without all stores.
    ParameterError
        A parameter that is missing, unknown, outside its bounds, or over a dimension that it cannot
        have; or parameters of a model whose recharge is a network.
    """
    if parameters.attrs.get("recharge") == "network":
        raise ParameterError(
            "these parameters are of delta_n(NN_r), whose recharge is a network that they do not"
            " hold; simulate with the trained model (`hydronb.models.load`)"
        )
    if "pet" not in forcing:
        raise DataError("HBV needs pet in the forcing; hydronb.data.pet.choose_pet adds it")
    series = forcing[[name for name in FORCING if name in forcing]].reset_coords(drop=True)
    require(check(series, where="the forcing"), FORCING, "forcing")
    basins, time = forcing.indexes["basin"], forcing.indexes["time"]
    values = _bounded(_matched(parameters, "the dataset of parameters", basin=basins, time=time))
    _check_parameters(tuple(str(name) for name in values.data_vars if name not in ROUTING))
    stores, before = _start(state, basins, time)
    components = [ds.sizes["component"] for ds in (values, stores) if "component" in ds.dims]
    if len(set(components)) > 1:
        raise DataError(
            f"the parameters have {components[0]} components, the state {components[1]}; "
            "continue with the parameters that gave the state"
        )
    sizes = {"basin": len(basins), "time": len(time), "component": (*components, 1)[0]}

    def tensors(names: Iterable[str], ds: xr.Dataset, *dims: str) -> dict[str, Tensor]:
        """Over all of `dims`; a variable without one of them is repeated along it."""
        lacking = {n: {d: sizes[d] for d in dims if d not in ds[n].dims} for n in names}
        full = {n: ds[n].expand_dims(more).transpose(*dims) for n, more in lacking.items()}
        return {n: torch.tensor(da.values, dtype=torch.float64) for n, da in full.items()}

    given = [name for name in PARAMETERS if name in values]
    daily = [name for name in given if "time" in values[name].dims]
    out, _ = run(
        *tensors(FORCING, series, "basin", "time").values(),
        tensors([n for n in given if n not in daily], values, "basin", "component"),
        tensors(daily, values, "basin", "time", "component"),
        state=torch.stack(list(tensors(STORES, stores, "basin", "component").values())),
        want=(*STORES, *FLUXES),
        components=True,
    )
    flow = outflow(out).mean(2)
    if "routing_a" in values:
        flow = route(flow, *tensors(ROUTING, values, "basin").values(), before=before)
    dims = ("basin", "time", "component")[: 3 if components else 2]
    coords = {k: v for k, v in values.coords.items() if v.dims == ("component",)}
    simulated = {
        name: (
            dims,
            (array if components else array[..., 0]).numpy(),
            {"units": UNITS[name], "long_name": LONG_NAMES.get(name, name.replace("_", " "))},
        )
        for name, array in out.items()
    }
    attrs = {"units": "mm/d", "long_name": "streamflow"}
    return xr.Dataset(
        simulated | {"streamflow": (("basin", "time"), flow.numpy(), attrs)},
        {**forcing["prcp"].coords, **coords},
    )


def _matched(ds: xr.Dataset, what: str, **forcing: pd.Index) -> xr.Dataset:
    """`ds` for the basins (and days) of the forcing, in their order; unchanged along a dimension
    that it lacks."""
    for dim, index in forcing.items():
        if dim not in ds.dims:
            continue
        if dim not in ds.coords:
            raise DataError(
                f"{what} has a dimension {dim} without labels; they are joined by label"
            )
        if len(without := index.difference(ds.indexes[dim])):
            label = str(without[0]).removesuffix(" 00:00:00")
            raise DataError(f"{what} has no {dim} {label}, which the forcing has")
        ds = ds.sel({dim: index})
    return ds


def _bounded(parameters: xr.Dataset) -> xr.Dataset:
    """Known names over dimensions that they can have, within their bounds (to rounding in single
    precision)."""
    bounds = PARAMETERS | ROUTING
    _refuse_unknown(map(str, parameters.data_vars), bounds, "parameter")
    for name, da in parameters.data_vars.items():
        allowed = ("basin",) if name in ROUTING else ("basin", "time", "component")
        if odd := [d for d in da.dims if d not in allowed]:
            raise ParameterError(
                f"HBV's {name} cannot vary over {odd[0]}, only over {', '.join(allowed)}"
            )
        low, high, unit, _ = bounds[name]
        slack = 1e-6 * (high - low)
        if len(bad := np.argwhere(~((da.values >= low - slack) & (da.values <= high + slack)))):
            first = da[dict(zip(da.dims, bad[0], strict=True))]
            basin = f" of basin {first['basin'].item()}" if "basin" in first.coords else ""
            day = f" on {str(first['time'].values)[:10]}" if "time" in first.coords else ""
            raise ParameterError(
                f"HBV's {name}{basin} is {first.item():g}{day}, outside {low:g} to {high:g} {unit}"
            )
    if len(one := [name for name in ROUTING if name in parameters]) == 1:
        raise ParameterError(
            f"HBV has {one[0]} but not the other of {' and '.join(ROUTING)}; give both or neither"
        )
    return parameters.map(lambda da: da.clip(bounds[da.name].low, bounds[da.name].high))


def _start(
    state: xr.Dataset | None, basins: pd.Index, time: pd.DatetimeIndex
) -> tuple[xr.Dataset, Tensor | None]:
    """Stores before the first day, and the water that is then on its way to the gauge, (basin,
    days)."""
    if state is None:
        return xr.Dataset(dict.fromkeys(STORES, START)), None
    if missing := [name for name in STORES if name not in state]:
        raise DataError(f"the state has no {missing[0]}; it needs {', '.join(STORES)}")
    state, before = _matched(state, "the state", basin=basins), None
    if "time" in state.dims:
        last = state.indexes["time"][-1]
        if (time[0] - last).days != 1:
            raise DataError(
                f"the state ends on {last.date()}, the forcing begins on {time[0].date()}; it has"
                " to begin on the day after (or give the stores of one day, without time)"
            )
        if set(OUTFLOW) <= set(state):
            flow = outflow(state.isel(time=slice(1 - ROUTING_DAYS, None)))
            mean = flow.mean("component") if "component" in flow.dims else flow
            before = torch.tensor(mean.transpose("basin", "time").values)
        state = state.isel(time=-1)
    if wrong := [name for name in STORES if not (state[name] >= 0).all()]:
        raise DataError(
            f"the state's {wrong[0]} is negative or missing somewhere; a store holds 0 mm or more"
        )
    return state[list(STORES)], before
