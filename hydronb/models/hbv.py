"""HBV with several components a basin, after Feng et al. (2022), doi 10.1029/2022WR032404.

Written once, as the pure `step`; `run` takes it over all days for tensors, `simulate` for datasets,
`route` brings the outflow to the gauge. Departures from the paper, all of them:

1. Equation 7 leaves `FLOOR` in the soil by taking less evapotranspiration. The paper's floor after
   the flux makes a little water; this one makes none, and differs by at most 2e-5 mm.
2. The exponents stand on ratios that are already limited to 1, which is the same value and cannot
   overflow. Below `FLOOR`, where nothing evaporates, the ratio of Equation 7 stays that of `FLOOR`:
   its slope would be infinite at 0.
3. Minima and maxima are `torch.minimum` and `torch.maximum`, which share the gradient where both
   are equal, as on every dry or warm day.
"""

from collections.abc import Callable, Collection, Iterable, Mapping

import numpy as np
import pandas as pd
import torch
import xarray as xr
from jaxtyping import Float
from torch import Tensor

from hydronb.data.dataset import FORCINGS, require_daily
from hydronb.data.hbv_parameters import PARAMETERS, ROUTING
from hydronb.errors import DataError, ParameterError, nearest

STORES = ("snowpack", "meltwater", "soil_moisture", "upper_zone", "lower_zone")
"""In mm, at the day's end; the first dimension of a state."""

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

LONG_NAMES = {
    "et": "actual evapotranspiration",
    "q0": "quick flow",
    "q1": "interflow",
    "q2": "baseflow",
}
"""Where the name alone does not say it."""

START = 0.001
"""mm in every store before the first day."""

FLOOR = 1e-5
"""mm of the soil that do not evaporate."""

ROUTING_DAYS = 15
"""Length of the unit hydrograph."""

ROUTES = ("auto", "fused", "step")

Recharge = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]
"""The share, 0 to 1, of the incoming water that becomes recharge, from (FC, BETA, soil moisture,
soil moisture / FC, incoming water), each (basin, component): delta_n(NN_r)'s network."""


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
        A network instead of the wetness of Equation 5.

    Returns
    -------
    state, fluxes
        `STORES` at the day's end, and `FLUXES` by name, each (basin, component).
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
    if recharge is None:
        share = torch.minimum(soil / p["FC"], one) ** p["BETA"]
    else:
        share = recharge(p["FC"], p["BETA"], soil, soil / p["FC"], water)
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

    values = (rain, snow, melt, refreeze, recharged, excess, et, percolation, q0, q1, q2)
    return torch.stack([snowpack, meltwater, soil, upper, lower]), dict(
        zip(FLUXES, values, strict=True)
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
    want: Iterable[str] = ("q0", "q1", "q2"),
    components: bool = False,
    route: str = "auto",
) -> tuple[dict[str, Tensor], Float[Tensor, "store basin component"]]:
    """All days, with gradients to the parameters and the state.

    Parameters
    ----------
    prcp, tmean, pet
        mm/d, degC, mm/d.
    static, dynamic
        Parameters that stay, and those that have a value a day. Every name of `PARAMETERS` in one
        of the two; `BETAET` may be left out. Bounds are the caller's business.
    state
        `STORES` before the first day, mm; `START` everywhere where None.
    recharge
        See `Recharge`.
    want
        Names of `FLUXES` and `STORES`.
    components
        Return every component instead of their mean.
    route
        `step`: the equations as they stand above. `fused`: the same in one compiled core, CPU only,
        no `recharge`, no gradient to the forcing. `auto`: fused where it applies, so on CUDA the
        step, day by day. It uses nothing but torch's own operations, but has never been run there,
        and a faster route there is none yet.

    Returns
    -------
    fluxes, state
        `want` by name, each (basin, time), or (basin, time, component) with `components`; and
        `STORES` after the last day, where the next call may go on.

    Raises
    ------
    ParameterError
        An unknown, missing or doubled parameter, an unknown name in `want`, a route that cannot be
        taken.
    """
    dynamic, want = dict(dynamic or {}), tuple(want)
    _check_names(static, dynamic, want)
    if state is None:
        like = next(iter(static.values()), None)
        like = next(iter(dynamic.values()))[:, 0] if like is None else like
        state = torch.full_like(like, START, requires_grad=False).expand(len(STORES), -1, -1)
    if route not in ROUTES:
        raise ParameterError(f"HBV has no route {route!r}{nearest(route, ROUTES)}")
    obstacle = _obstacle((prcp, tmean, pet), (state, *static.values(), *dynamic.values()), recharge)
    if route == "fused" and obstacle:
        raise ParameterError(
            f"HBV's fused core cannot run {obstacle}; take the route 'step' or 'auto'"
        )
    run_days = _run_steps if route == "step" or obstacle else _run_fused
    return run_days(prcp, tmean, pet, static, dynamic, state, recharge, want, components)


def _obstacle(
    forcing: tuple[Tensor, ...], others: tuple[Tensor, ...], recharge: Recharge | None
) -> str | None:
    """Why the fused core does not apply, if so."""
    dtypes, devices = (
        {v.dtype for v in (*forcing, *others)},
        {v.device.type for v in (*forcing, *others)},
    )
    if recharge is not None:
        return "recharge by a network"
    if devices != {"cpu"}:
        return f"on {' and '.join(sorted(devices))}"
    if len(dtypes) > 1 or not dtypes <= {torch.float32, torch.float64}:
        return f"on {' and '.join(sorted(map(str, dtypes)))}"
    if torch.is_grad_enabled() and any(v.requires_grad for v in forcing):
        return "with gradients to the forcing"
    return None


def _run_fused(prcp, tmean, pet, static, dynamic, state, recharge, want, components):
    from hydronb.models.kernels.hbv import all_days

    parameters = [
        static[name][:, None] if name in static else dynamic.get(name) for name in PARAMETERS
    ]
    names = (*STORES, *FLUXES)
    out, state = all_days(
        prcp, tmean, pet, parameters, state, [names.index(name) for name in want], components
    )
    return dict(zip(want, out, strict=True)), state


def _run_steps(prcp, tmean, pet, static, dynamic, state, recharge, want, components):
    out = {name: [] for name in want}
    forcing = (series[:, :, None].unbind(1) for series in (prcp, tmean, pet))
    days = {name: values.unbind(1) for name, values in dynamic.items()}
    for day, of_day in enumerate(zip(*forcing, strict=True)):
        today = {name: values[day] for name, values in days.items()}
        state, fluxes = step(state, of_day, {**static, **today}, recharge)
        for name, values in out.items():
            value = fluxes[name] if name in fluxes else state[STORES.index(name)]
            values.append(value if components else value.mean(1))
    return {name: torch.stack(values, 1) for name, values in out.items()}, state


def _check_names(static: Collection[str], dynamic: Collection[str], want: tuple[str, ...]) -> None:
    for name in (*static, *dynamic):
        if name not in PARAMETERS:
            raise ParameterError(f"HBV has no parameter {name!r}{nearest(name, PARAMETERS)}")
    if both := sorted(set(static) & set(dynamic)):
        raise ParameterError(f"HBV's {both[0]} is given both static and dynamic; give it once")
    if missing := [name for name in PARAMETERS if name not in {*static, *dynamic, "BETAET"}]:
        raise ParameterError(f"HBV needs a value of {missing[0]}; it is neither static nor dynamic")
    for name in want:
        if name not in FLUXES and name not in STORES:
            raise ParameterError(
                f"HBV has no flux or store {name!r}{nearest(name, (*FLUXES, *STORES))}"
            )


def unit_hydrograph(
    a: Float[Tensor, " basin"], b: Float[Tensor, " basin"]
) -> Float[Tensor, "basin lag"]:
    """Gamma density of shape a + 0.1 and scale b + 0.5 days at 0.5, 1.5 ... 14.5 days, made to sum
    to 1."""
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
        `ROUTING`, one pair a basin.
    before
        `streamflow` of the days just before, not yet routed: water that is still on its way. The
        last `ROUTING_DAYS - 1` of them count; none where None. A series cut in two and routed so
        gives the same values as the whole.

    Returns
    -------
    Tensor
        The days of `streamflow`, as many as there are.
    """
    weights, lags = unit_hydrograph(a, b), ROUTING_DAYS - 1
    carried = streamflow.new_zeros(len(streamflow), lags)
    if before is not None and before.shape[1]:
        last = before[:, -lags:]
        carried = torch.cat([carried[:, last.shape[1] :], last], 1)
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
        `basin`, `time` and `component`; what a dim is missing of holds for all of it. With
        `routing_a` and `routing_b`, over `basin`, streamflow is routed. Joined to `forcing` by
        basin and date.
    state
        What an earlier call returned for the days before, or its last `ROUTING_DAYS - 1` days: its
        last day's stores are where this one goes on, and its q0 + q1 + q2 is the water that is
        still on its way to the gauge. `STORES` without `time` will do where nothing is on its way.
        `START` in every store where None.

    Returns
    -------
    xr.Dataset
        `STORES` (mm, at the day's end), `FLUXES` (mm/d) over (basin, time), and (component) where
        the parameters or the state have it; `streamflow` over (basin, time), the components' mean
        of q0 + q1 + q2, routed where there are routing parameters.

    Raises
    ------
    DataError
        A forcing that is missing, or not a physical value, on some day; basins or dates of
        parameters or state that do not match; a state without all stores.
    ParameterError
        A parameter that is missing, unknown, outside its bounds, or over a dim that it cannot have.
    """
    series = _series(forcing)
    basins, time = series["prcp"].indexes["basin"], series["prcp"].indexes["time"]
    values = _bounded(_matched(parameters, "the dataset of parameters", basins))
    _check_names([str(name) for name in values.data_vars if name not in ROUTING], (), ())
    if "time" in values.dims:
        if len(without := time.difference(values.indexes["time"])):
            raise DataError(
                f"the parameters have no value on {without[0].date()}, a day of the forcing"
            )
        values = values.sel(time=time)
    stores, before = _start(state, basins, time)
    components = [ds.sizes["component"] for ds in (values, stores) if "component" in ds.dims] or [1]
    if components[0] != components[-1]:
        raise DataError(
            f"the parameters have {components[0]} components, the state {components[-1]}; "
            "go on with the parameters that made the state"
        )
    sizes = {"basin": len(basins), "time": len(time), "component": components[0]}
    own = {name: values[name] for name in PARAMETERS if name in values}
    static = {
        name: _tensor(da, sizes, "basin", "component")
        for name, da in own.items()
        if "time" not in da.dims
    }
    dynamic = {
        name: _tensor(da, sizes, "basin", "time", "component")
        for name, da in own.items()
        if "time" in da.dims
    }
    out, _ = run(
        *(_tensor(da, sizes, "basin", "time") for da in series.values()),
        static,
        dynamic,
        state=torch.stack([_tensor(stores[name], sizes, "basin", "component") for name in STORES]),
        want=(*STORES, *FLUXES),
        components=True,
    )
    flow = (out["q0"] + out["q1"] + out["q2"]).mean(2)
    if "routing_a" in values:
        flow = route(
            flow,
            *(_tensor(values[name], sizes, "basin") for name in ROUTING),
            before=None if before is None else torch.tensor(before),
        )
    dims = ("basin", "time", "component")[: 3 if "component" in {*values.dims, *stores.dims} else 2]
    arrays = {
        name: (dims, v.numpy() if len(dims) == 3 else v[..., 0].numpy()) for name, v in out.items()
    }
    coords = {
        **series["prcp"].coords,
        **{k: v for k, v in values.coords.items() if v.dims == ("component",)},
    }
    result = xr.Dataset({**arrays, "streamflow": (("basin", "time"), flow.numpy())}, coords)
    for name, da in result.data_vars.items():
        da.attrs.update(
            units="mm" if name in STORES else "mm/d",
            long_name=LONG_NAMES.get(str(name), str(name).replace("_", " ")),
        )
    return result


def _series(forcing: xr.Dataset) -> dict[str, xr.DataArray]:
    """Precipitation, temperature and PET over (basin, time), every value physical."""
    for name in ("prcp", "tmean", "pet"):
        if name not in forcing:
            how = "; hydronb.data.pet.choose_pet adds it" if name == "pet" else ""
            raise DataError(f"HBV needs {name} in the forcing{how}")
        if set(forcing[name].dims) != {"basin", "time"}:
            raise DataError(
                f"HBV needs {name} over basin and time, not over"
                f" {', '.join(map(str, forcing[name].dims))}"
            )
    require_daily(forcing.indexes["time"], "the forcing")
    series = {name: forcing[name].transpose("basin", "time") for name in ("prcp", "tmean", "pet")}
    for name, da in series.items():
        low, high = FORCINGS[name].low, FORCINGS[name].high
        if len(bad := np.argwhere(~((da.values >= low) & (da.values <= high)))):
            b, t = bad[0]
            raise DataError(
                f"{name} of basin {da['basin'].values[b]} is {da.values[b, t]:g} on"
                f" {str(da['time'].values[t])[:10]}; HBV needs {low:g} to {high:g}"
                f" {FORCINGS[name].units} on every day of the period"
            )
    return series


def _matched(ds: xr.Dataset, what: str, basins: pd.Index) -> xr.Dataset:
    """`ds` for `basins`, in their order; unchanged where it holds for all basins."""
    if "basin" not in ds.dims:
        return ds
    if "basin" not in ds.coords:
        raise DataError(f"{what} has a dimension basin without ids; basins are joined by id")
    if len(without := basins.difference(ds.indexes["basin"])):
        raise DataError(
            f"{what} has no basin {without[0]!r}, which the forcing has; basins are joined by id"
        )
    return ds.sel(basin=basins)


def _bounded(parameters: xr.Dataset) -> xr.Dataset:
    """Known names over dims that they can have, within bounds (to rounding in single precision)."""
    known = PARAMETERS | ROUTING
    for name, da in parameters.data_vars.items():
        if name not in known:
            raise ParameterError(f"HBV has no parameter {name!r}{nearest(name, known)}")
        allowed = ("basin",) if name in ROUTING else ("basin", "time", "component")
        if odd := [d for d in da.dims if d not in allowed]:
            raise ParameterError(
                f"HBV's {name} cannot vary over {odd[0]}, only over {', '.join(allowed)}"
            )
        low, high, unit = known[name]
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
    return parameters.map(lambda da: da.clip(known[da.name].low, known[da.name].high))


def _start(
    state: xr.Dataset | None, basins: pd.Index, time: pd.DatetimeIndex
) -> tuple[xr.Dataset, np.ndarray | None]:
    """Stores before the first day, and what then is on its way to the gauge (basin, days)."""
    if state is None:
        return xr.Dataset(dict.fromkeys(STORES, START)), None
    if missing := [name for name in STORES if name not in state]:
        raise DataError(f"the state has no {missing[0]}; it needs {', '.join(STORES)}")
    state, before = _matched(state, "the state", basins), None
    if "time" in state.dims:
        last = state.indexes["time"][-1]
        if (time[0] - last).days != 1:
            raise DataError(
                f"the state ends on {last.date()}, the forcing begins on {time[0].date()}; it goes"
                " on the day after (or give one day's stores, without a dimension time)"
            )
        if {"q0", "q1", "q2"} <= set(state):
            flow = (state["q0"] + state["q1"] + state["q2"]).isel(
                time=slice(1 - ROUTING_DAYS, None)
            )
            flow = flow.mean("component") if "component" in flow.dims else flow
            before = flow.transpose("basin", "time").values
        state = state.isel(time=-1)
    stores = state[list(STORES)]
    for name, da in stores.data_vars.items():
        if not (da >= 0).all():
            raise DataError(
                f"the state's {name} is negative or missing somewhere; a store holds 0 mm or more"
            )
    return stores, before


def _tensor(da: xr.DataArray, sizes: dict[str, int], *dims: str) -> Tensor:
    missing = {d: sizes[d] for d in dims if d not in da.dims}
    return torch.tensor(da.expand_dims(missing).transpose(*dims).values, dtype=torch.float64)
