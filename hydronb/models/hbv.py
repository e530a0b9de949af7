"""HBV with several components a basin, after Feng et al. (2022), doi 10.1029/2022WR032404.

Written once, as the pure `step`; `run` takes it over all days for tensors, `simulate` for datasets, `route` brings the
outflow to the gauge. Departures from the paper, all of them:

1. Equation 7 leaves `FLOOR` in the soil by taking less evapotranspiration. The paper's floor after the flux makes a
   little water; this one makes none, and differs by at most 2e-5 mm.
2. The exponents stand on ratios that are already limited to 1, which is the same value and cannot overflow. Below
   `FLOOR`, where nothing evaporates, the ratio of Equation 7 stays that of `FLOOR`: its slope would be infinite at 0.
3. Minima and maxima are `torch.minimum` and `torch.maximum`, which share the gradient where both are equal, as on every
   dry or warm day.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from hydronb.errors import ParameterError, nearest


class Parameter(NamedTuple):
    low: float
    high: float
    unit: str


PARAMETERS = {
    "BETA": Parameter(1.0, 6.0, "1"),
    "FC": Parameter(50.0, 1000.0, "mm"),
    "K0": Parameter(0.05, 0.9, "1/d"),
    "K1": Parameter(0.01, 0.5, "1/d"),
    "K2": Parameter(0.001, 0.2, "1/d"),
    "LP": Parameter(0.2, 1.0, "1"),
    "PERC": Parameter(0.0, 10.0, "mm/d"),
    "UZL": Parameter(0.0, 100.0, "mm"),
    "TT": Parameter(-2.5, 2.5, "degC"),
    "CFMAX": Parameter(0.5, 10.0, "mm/degC/d"),
    "CFR": Parameter(0.0, 0.1, "1"),
    "CWH": Parameter(0.0, 0.2, "1"),
    "BETAET": Parameter(0.3, 5.0, "1"),
}
"""Low, high and unit of each component's parameters (Feng et al. 2022). BETAET, the paper's gamma, may be left out: the
exponent is then 1. In the paper it exists only where it varies in time."""

ROUTING = {"routing_a": Parameter(0.0, 2.9, "1"), "routing_b": Parameter(0.0, 6.5, "d")}
"""Low, high and unit of the unit hydrograph's two parameters, one pair a basin."""

STORES = ("snowpack", "meltwater", "soil_moisture", "upper_zone", "lower_zone")
"""In mm, at the day's end; the first dimension of a state."""

FLUXES = dict.fromkeys(
    ("rain", "snow", "melt", "refreeze", "recharge", "excess", "et", "percolation", "q0", "q1", "q2"), "mm/d"
)
"""Names and units of what `step` returns. `recharge` and `excess` both go to the upper zone."""

START = 0.001
"""mm in every store before the first day."""

FLOOR = 1e-5
"""mm of the soil that do not evaporate."""

ROUTING_DAYS = 15
"""Length of the unit hydrograph."""

Recharge = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]
"""The share, 0 to 1, of the incoming water that becomes recharge, from (FC, BETA, soil moisture, soil moisture / FC,
incoming water), each (basin, component): delta_n(NN_r)'s network."""


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
        `PARAMETERS` by name, each (basin, component); without `BETAET` the exponent of Equation 7 is 1.
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
    rain = torch.where(above >= 0, prcp, zero)                                             # (1) rain or snow
    snow = prcp - rain
    snowpack = snowpack + snow
    melt = torch.minimum(torch.maximum(p["CFMAX"] * above, zero), snowpack)                # (2) melt
    snowpack, meltwater = snowpack - melt, meltwater + melt
    refreeze = torch.minimum(torch.maximum(-(p["CFR"] * p["CFMAX"]) * above, zero), meltwater)  # (3) refreezing
    snowpack, meltwater = snowpack + refreeze, meltwater - refreeze
    held = torch.minimum(meltwater, p["CWH"] * snowpack)                                   # (4) what the pack holds
    water, meltwater = rain + (meltwater - held), held

    if recharge is None:                                                                   # (5) recharge
        share = torch.minimum(soil / p["FC"], one) ** p["BETA"]
    else:
        share = recharge(p["FC"], p["BETA"], soil, soil / p["FC"], water)
    recharged = water * share
    soil = soil + (water - recharged)
    full = torch.minimum(soil, p["FC"])                                                    # (6) overflow of the soil
    excess, soil = soil - full, full
    dryness = torch.minimum(torch.maximum(soil, floor) / (p["LP"] * p["FC"]), one)         # (7) evapotranspiration
    demand = pet * (dryness ** p["BETAET"] if "BETAET" in p else dryness)
    et = torch.minimum(torch.maximum(soil - floor, zero), demand)
    soil = soil - et

    upper = upper + (recharged + excess)
    percolation = torch.minimum(upper, p["PERC"])                                          # (8) percolation
    upper = upper - percolation
    q0 = p["K0"] * torch.maximum(upper - p["UZL"], zero)                                   # (9) quick flow, interflow
    upper = upper - q0
    q1 = p["K1"] * upper
    upper = upper - q1
    lower = lower + percolation
    q2 = p["K2"] * lower                                                                   # (10) baseflow
    lower = lower - q2

    values = (rain, snow, melt, refreeze, recharged, excess, et, percolation, q0, q1, q2)
    return torch.stack([snowpack, meltwater, soil, upper, lower]), dict(zip(FLUXES, values, strict=True))


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
        Parameters that stay, and those that have a value a day. Every name of `PARAMETERS` in one of the two; `BETAET`
        may be left out. Bounds are the caller's business.
    state
        `STORES` before the first day, mm; `START` everywhere where None.
    recharge
        See `Recharge`.
    want
        Names of `FLUXES` and `STORES`.
    components
        Return every component instead of their mean.
    route
        `step`: the equations as they stand above. `fused`: the same in one compiled core, CPU only, no `recharge`, no
        gradient to the forcing. `auto`: fused where it applies.

    Returns
    -------
    fluxes, state
        `want` by name, each (basin, time), or (basin, time, component) with `components`; and `STORES` after the last
        day, where the next call may go on.

    Raises
    ------
    ParameterError
        An unknown, missing or doubled parameter, an unknown name in `want`, a route that cannot be taken.
    """
    dynamic, want = dict(dynamic or {}), tuple(want)
    _check_names(static, dynamic, want)
    if state is None:
        like = next(iter(static.values()), None)
        like = next(iter(dynamic.values()))[:, 0] if like is None else like
        state = torch.full_like(like, START, requires_grad=False).expand(len(STORES), -1, -1)
    if route not in ("auto", "step"):
        raise ParameterError(f"HBV has no route {route!r}{nearest(route, ('auto', 'fused', 'step'))}")
    return _run_steps(prcp, tmean, pet, static, dynamic, state, recharge, want, components)


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


def _check_names(static: Mapping[str, Tensor], dynamic: Mapping[str, Tensor], want: tuple[str, ...]) -> None:
    for name in (*static, *dynamic):
        if name not in PARAMETERS:
            raise ParameterError(f"HBV has no parameter {name!r}{nearest(name, PARAMETERS)}")
    if both := sorted(set(static) & set(dynamic)):
        raise ParameterError(f"HBV's {both[0]} is given both static and dynamic; give it once")
    if missing := [name for name in PARAMETERS if name not in {*static, *dynamic, "BETAET"}]:
        raise ParameterError(f"HBV needs a value of {missing[0]}; it is neither static nor dynamic")
    for name in want:
        if name not in FLUXES and name not in STORES:
            raise ParameterError(f"HBV has no flux or store {name!r}{nearest(name, (*FLUXES, *STORES))}")


def unit_hydrograph(a: Float[Tensor, " basin"], b: Float[Tensor, " basin"]) -> Float[Tensor, "basin lag"]:
    """Gamma density of shape a + 0.1 and scale b + 0.5 days at 0.5, 1.5 ... 14.5 days, made to sum to 1."""
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
        `streamflow` of the days just before, not yet routed: water that is still on its way. The last
        `ROUTING_DAYS - 1` of them count; none where None. A series cut in two and routed so gives the same values as
        the whole.

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
