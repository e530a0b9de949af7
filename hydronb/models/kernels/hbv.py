"""All days of HBV in one compiled core with a hand-derived adjoint: the same equations as `hydronb.models.hbv.step`.

A lane is one component of one basin. A thread takes its basins' lanes in blocks of `LANES`, so few that what a day
needs stays in the fastest cache, and goes through the days with lanes innermost, so that they fill the processor's
vectors. One flat array holds a block's parameters, forcing, stores, fluxes and their adjoints, a row each: so the
compiler sees that rows do not overlap. Forward keeps the stores before each day; backward computes the day again from
them and applies the chain rule to its equations in reverse, half the gradient each way where min or max meet a tie.
"""

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from numba import njit, types
from numba.extending import overload
from torch import Tensor
from torch.autograd.function import once_differentiable

from hydronb.models.kernels.recurrent import _empty

LANES = 128
"""Lanes of a block."""
BETA, FC, K0, K1, K2, LP, PERC, UZL, TT, CFMAX, CFR, CWH, BETAET = (LANES * row for row in range(13))
PRCP, TMEAN, PET = (LANES * row for row in range(13, 16))
SP, MW, SM, UZ, LZ = (LANES * row for row in range(16, 21))
RAIN, SNOW, MELT, REFREEZE, RECHARGE, EXCESS, ET, PERCOLATION, Q0, Q1, Q2 = (LANES * row for row in range(21, 32))
ADJOINT, GRADIENT, ROWS = 16 * LANES, 48 * LANES, 61
"""How far the adjoint of a store or flux is from it; where the gradients of the parameters begin; rows in all."""

N_PARAMETERS, N_STORES, N_RESULTS = 13, 5, 16
FLOOR = 1e-5
TINY = 1e-30
"""Ratios below count as this, so that their logarithm is finite."""
LN2 = math.log(2)
WORTH_A_THREAD = 2**17
"""Lanes times days."""

inline = {"forceinline": True, "error_model": "numpy"}
fast = inline | {"fastmath": {"contract"}}
"""Fused multiply-adds are for logarithm and power only: elsewhere they would break ties that the plain step keeps."""

_FORMATS = {types.float32: (np.float32, np.int32, 23, 0x3F3504F3, 5, 8),
            types.float64: (np.float64, np.int64, 52, 0x3FE6A09E667F3BCD, 11, 14)}
"""Type, integer of its size, bits of the mantissa, sqrt(1/2) as that integer, terms of the two series."""


def _log2(x):
    """Binary logarithm of a positive, normal number, to rounding, in operations that have vector forms."""


def _exp2(x):
    """2 ** x for x <= 0, to rounding."""


@overload(_log2, jit_options=fast)
def _log2_of(x):
    real, integer, mantissa, half_root, terms, _ = _FORMATS[x]
    fraction = (1 << mantissa) - 1

    def log2(x):
        bits = real(x).view(integer) - integer(half_root)
        exponent = bits >> integer(mantissa)
        m = integer((bits & integer(fraction)) + integer(half_root)).view(real)  # sqrt(1/2) <= m < sqrt(2)
        s = (m - real(1)) / (m + real(1))
        z, series = s * s, real(0)
        for k in range(terms):  # 2 artanh(s) = ln m
            series = series * z + real(2 / LN2) / real(2 * (terms - k) - 1)
        return real(exponent) + s * series

    return log2


@overload(_exp2, jit_options=fast)
def _exp2_of(x):
    real, integer, mantissa, _, _, terms = _FORMATS[x]
    lowest = np.finfo(real).minexp

    def exp2(x):
        y = max(x, real(lowest))
        whole = np.floor(y + real(0.5))
        z, series = (y - whole) * real(LN2), real(1)
        for k in range(terms):
            series = real(1) + z * series * (real(1) / real(terms - k))
        scale = integer((integer(whole) - integer(lowest - 1)) << integer(mantissa)).view(real)
        return min(series * scale, real(1))

    return exp2


@njit(**inline)
def _share(difference, real):
    """Of the gradient of max(difference, 0), what goes to the difference."""
    return real(1) if difference > real(0) else (real(0.5) if difference == real(0) else real(0))


class Snow(NamedTuple):
    """Equations 1 to 4."""

    above: float
    rain: float
    fall: float
    fallen: float
    """In the pack, with the day's snow."""
    could_melt: float
    melt: float
    molten: float
    """In the pack as water, with the day's melt."""
    could_freeze: float
    refreeze: float
    pack: float
    wet: float
    capacity: float


class Soil(NamedTuple):
    """Equations 5 to 7."""

    ratio: float
    log_ratio: float
    share: float
    recharge: float
    wetted: float
    """With what of the incoming water does not become recharge."""
    full: float
    """Without the overflow."""
    dryness: float
    log_dryness: float
    stress: float
    demand: float
    available: float


class Zones(NamedTuple):
    """Equations 8 to 10."""

    filled: float
    percolation: float
    over: float
    q0: float
    below: float
    """In the upper zone without the quick flow."""
    q1: float
    deep: float
    """In the lower zone with the percolation."""
    q2: float


@njit(**inline)
def _snow(w, i, real):
    zero = real(0)
    above = w[TMEAN + i] - w[TT + i]
    rain = w[PRCP + i] if above >= zero else zero
    fall = w[PRCP + i] - rain
    fallen = w[SP + i] + fall
    could_melt = w[CFMAX + i] * above
    melt = min(max(could_melt, zero), fallen)
    molten = w[MW + i] + melt
    could_freeze = -(w[CFR + i] * w[CFMAX + i]) * above
    refreeze = min(max(could_freeze, zero), molten)
    pack = (fallen - melt) + refreeze
    return Snow(above, rain, fall, fallen, could_melt, melt, molten, could_freeze, refreeze, pack,
                molten - refreeze, w[CWH + i] * pack)


@njit(**inline)
def _soil(w, i, water, plain, real):
    zero, one, floor = real(0), real(1), real(FLOOR)
    ratio = w[SM + i] / w[FC + i]
    log_ratio = _log2(min(max(ratio, real(TINY)), one))
    share = _exp2(w[BETA + i] * log_ratio)
    recharge = water * share
    wetted = w[SM + i] + (water - recharge)
    full = min(wetted, w[FC + i])
    dryness = max(full, floor) / (w[LP + i] * w[FC + i])
    log_dryness, stress = zero, min(dryness, one)
    if not plain:
        log_dryness = _log2(stress)
        stress = _exp2(w[BETAET + i] * log_dryness)
    return Soil(ratio, log_ratio, share, recharge, wetted, full, dryness, log_dryness, stress, w[PET + i] * stress,
                max(full - floor, zero))


@njit(**inline)
def _zones(w, i, inflow, real):
    filled = w[UZ + i] + inflow
    percolation = min(filled, w[PERC + i])
    over = (filled - percolation) - w[UZL + i]
    q0 = w[K0 + i] * max(over, real(0))
    below = (filled - percolation) - q0
    deep = w[LZ + i] + percolation
    return Zones(filled, percolation, over, q0, below, w[K1 + i] * below, deep, w[K2 + i] * deep)


@njit(**inline)
def _day(w, plain, real):
    """Stores and fluxes at the day's end."""
    for i in range(LANES):
        snow = _snow(w, i, real)
        held = min(snow.wet, snow.capacity)
        soil = _soil(w, i, snow.rain + (snow.wet - held), plain, real)
        et, excess = min(soil.available, soil.demand), soil.wetted - soil.full
        zones = _zones(w, i, soil.recharge + excess, real)
        w[SP + i], w[MW + i], w[SM + i] = snow.pack, held, soil.full - et
        w[UZ + i], w[LZ + i] = zones.below - zones.q1, zones.deep - zones.q2
        w[RAIN + i], w[SNOW + i], w[MELT + i], w[REFREEZE + i] = snow.rain, snow.fall, snow.melt, snow.refreeze
        w[RECHARGE + i], w[EXCESS + i], w[ET + i], w[PERCOLATION + i] = soil.recharge, excess, et, zones.percolation
        w[Q0 + i], w[Q1 + i], w[Q2 + i] = zones.q0, zones.q1, zones.q2


@njit(**inline)
def _day_back(w, plain, real):
    """The adjoints of the stores before the day from those after it and of the fluxes; adds to the gradients."""
    one = real(1)
    for i in range(LANES):
        snow = _snow(w, i, real)
        water = snow.rain + (snow.wet - min(snow.wet, snow.capacity))
        soil = _soil(w, i, water, plain, real)
        zones = _zones(w, i, soil.recharge + (soil.wetted - soil.full), real)

        # (10) and (9)
        d_lower = w[ADJOINT + LZ + i]
        d_q2 = w[ADJOINT + Q2 + i] - d_lower
        w[GRADIENT + K2 + i] += d_q2 * zones.deep
        d_lower += d_q2 * w[K2 + i]
        d_upper = w[ADJOINT + UZ + i]
        d_q1 = w[ADJOINT + Q1 + i] - d_upper
        w[GRADIENT + K1 + i] += d_q1 * zones.below
        d_upper += d_q1 * w[K1 + i]
        d_q0 = w[ADJOINT + Q0 + i] - d_upper
        w[GRADIENT + K0 + i] += d_q0 * max(zones.over, real(0))
        d_over = d_q0 * w[K0 + i] * _share(zones.over, real)
        w[GRADIENT + UZL + i] -= d_over
        d_upper += d_over
        # (8)
        d_percolation = w[ADJOINT + PERCOLATION + i] + d_lower - d_upper
        by_rate = _share(zones.filled - w[PERC + i], real)
        w[GRADIENT + PERC + i] += d_percolation * by_rate
        d_upper += d_percolation * (one - by_rate)
        # (7)
        d_soil = w[ADJOINT + SM + i]
        d_et = w[ADJOINT + ET + i] - d_soil
        by_demand = _share(soil.available - soil.demand, real)
        above_floor = _share(soil.full - real(FLOOR), real)
        d_stress = d_et * by_demand * w[PET + i]
        d_power = d_stress * soil.stress * _share(one - soil.dryness, real)
        if not plain:
            w[GRADIENT + BETAET + i] += d_stress * soil.stress * soil.log_dryness * real(LN2)
            d_power *= w[BETAET + i]
        w[GRADIENT + LP + i] -= d_power / w[LP + i]
        d_soil += above_floor * (d_et * (one - by_demand) + d_power / max(soil.full, real(FLOOR)))
        # (6)
        d_recharge, d_excess = w[ADJOINT + RECHARGE + i] + d_upper, w[ADJOINT + EXCESS + i] + d_upper
        d_over = (d_excess - d_soil) * _share(soil.wetted - w[FC + i], real)
        d_soil += d_over
        # (5)
        d_recharge -= d_soil
        d_power_r = d_recharge * water * soil.share
        w[GRADIENT + BETA + i] += d_power_r * soil.log_ratio * real(LN2)
        d_power_r *= w[BETA + i] * _share(one - soil.ratio, real)
        w[GRADIENT + FC + i] -= d_over + (d_power + d_power_r) / w[FC + i]
        d_water = d_soil + d_recharge * soil.share
        d_soil += d_power_r / max(w[SM + i], real(TINY))
        # (4)
        d_wet = w[ADJOINT + MW + i]
        d_surplus = (d_water - d_wet) * _share(snow.wet - snow.capacity, real)
        d_wet += d_surplus
        w[GRADIENT + CWH + i] -= d_surplus * snow.pack
        d_pack = w[ADJOINT + SP + i] - d_surplus * w[CWH + i]
        # (3)
        d_refreeze = w[ADJOINT + REFREEZE + i] + d_pack - d_wet
        by_cold = _share(snow.molten - max(snow.could_freeze, real(0)), real)
        d_cold = d_refreeze * by_cold * _share(snow.could_freeze, real)
        d_wet += d_refreeze * (one - by_cold)
        # (2)
        d_melt = w[ADJOINT + MELT + i] + d_wet - d_pack
        by_warmth = _share(snow.fallen - max(snow.could_melt, real(0)), real)
        d_warm = d_melt * by_warmth * _share(snow.could_melt, real)
        d_pack += d_melt * (one - by_warmth)
        w[GRADIENT + CFR + i] -= d_cold * w[CFMAX + i] * snow.above
        w[GRADIENT + CFMAX + i] += (d_warm - d_cold * w[CFR + i]) * snow.above
        w[GRADIENT + TT + i] += (d_cold * w[CFR + i] - d_warm) * w[CFMAX + i]
        w[ADJOINT + SP + i], w[ADJOINT + MW + i], w[ADJOINT + SM + i] = d_pack, d_wet, d_soil
        w[ADJOINT + UZ + i], w[ADJOINT + LZ + i] = d_upper, d_lower


@njit(**inline)
def _load(w, row, values, day, first, stop, components):
    """A day of (basin, time, component or 1) into the lanes from `first` to `stop`."""
    lane = first
    while lane < stop:
        basin = lane // components
        start, end = lane - basin * components, min(stop - basin * components, components)
        if values.shape[2] == 1:
            for i in range(end - start):
                w[row + lane - first + i] = values[basin, day, 0]
        else:
            for i in range(end - start):
                w[row + lane - first + i] = values[basin, day, start + i]
        lane += end - start


@njit(**inline)
def _add(w, row, values, day, first, stop, components, weight):
    """The same, times `weight`, added."""
    lane = first
    while lane < stop:
        basin = lane // components
        start, end = lane - basin * components, min(stop - basin * components, components)
        if values.shape[2] == 1:
            for i in range(end - start):
                w[row + lane - first + i] += weight * values[basin, day, 0]
        else:
            for i in range(end - start):
                w[row + lane - first + i] += values[basin, day, start + i]
        lane += end - start


@njit(**inline)
def _store(w, row, out, day, first, stop, components, weight):
    """A row to a day of (basin, time, component), or times `weight` added to one of (basin, time, 1)."""
    lane = first
    while lane < stop:
        basin = lane // components
        start, end = lane - basin * components, min(stop - basin * components, components)
        if out.shape[2] == 1:
            total = w[row + lane - first]
            for i in range(1, end - start):
                total += w[row + lane - first + i]
            out[basin, day, 0] += total * weight
        else:
            for i in range(end - start):
                out[basin, day, start + i] = w[row + lane - first + i]
        lane += end - start


@njit(**inline)
def _load_day(w, prcp, tmean, pet, parameters, day, first, stop, components):
    _load(w, PRCP, prcp, day, first, stop, components)
    _load(w, TMEAN, tmean, day, first, stop, components)
    _load(w, PET, pet, day, first, stop, components)
    for k in range(N_PARAMETERS):
        if parameters[k].shape[1] > 1:
            _load(w, k * LANES, parameters[k], day, first, stop, components)


def _forward(prcp, tmean, pet, parameters, state, wanted, out, end, kept, first_basin, stop_basin):
    """Fills `out` (wanted, basin, time, component or 1), which is zero, `end`, as `state` (store, basin, 1, component),
    and, where it has days, `kept` (time, store, lane): the stores before each day. Forcing is (basin, time, 1);
    `parameters` are 13 of (basin, time or 1, component), the last one empty where its exponent is 1."""
    components, days, plain = state.shape[3], prcp.shape[1], parameters[12].size == 0
    real = out.dtype.type
    mean = real(1) / real(components // out.shape[3])
    w = np.empty(ROWS * LANES, out.dtype)
    for first in range(first_basin * components, stop_basin * components, LANES):
        stop = min(first + LANES, stop_basin * components)
        w[:] = real(1)
        for k in range(N_PARAMETERS):
            if parameters[k].size:
                _load(w, k * LANES, parameters[k], 0, first, stop, components)
        for k in range(N_STORES):
            _load(w, SP + k * LANES, state[k], 0, first, stop, components)
        for day in range(days):
            _load_day(w, prcp, tmean, pet, parameters, day, first, stop, components)
            if kept.size:
                for k in range(N_STORES):
                    for i in range(stop - first):
                        kept[day, k, first + i] = w[SP + k * LANES + i]
            if plain:
                _day(w, True, real)
            else:
                _day(w, False, real)
            for k in range(len(wanted)):
                _store(w, SP + wanted[k] * LANES, out[k], day, first, stop, components, mean)
        for k in range(N_STORES):
            _store(w, SP + k * LANES, end[k], 0, first, stop, components, real(1))


def _backward(prcp, tmean, pet, parameters, d_state, wanted, d_out, d_end, kept, gradients, first_basin, stop_basin):
    """Fills `d_state` and `gradients`, shaped as `state` and `parameters` and zero, from `d_out` and `d_end`."""
    components, days, plain = d_state.shape[3], prcp.shape[1], parameters[12].size == 0
    real = d_out.dtype.type
    mean = real(1) / real(components // d_out.shape[3])
    w = np.empty(ROWS * LANES, d_out.dtype)
    for first in range(first_basin * components, stop_basin * components, LANES):
        stop = min(first + LANES, stop_basin * components)
        w[:] = real(1)
        w[ADJOINT + SP :] = real(0)
        for k in range(N_PARAMETERS):
            if parameters[k].size:
                _load(w, k * LANES, parameters[k], 0, first, stop, components)
        for k in range(N_STORES):
            _load(w, ADJOINT + SP + k * LANES, d_end[k], 0, first, stop, components)
        for day in range(days - 1, -1, -1):
            _load_day(w, prcp, tmean, pet, parameters, day, first, stop, components)
            for k in range(N_STORES):
                for i in range(stop - first):
                    w[SP + k * LANES + i] = kept[day, k, first + i]
            for k in range(len(wanted)):
                row = ADJOINT + SP + wanted[k] * LANES
                if wanted[k] >= N_STORES:
                    for i in range(LANES):
                        w[row + i] = real(0)
                _add(w, row, d_out[k], day, first, stop, components, mean)
            if plain:
                _day_back(w, True, real)
            else:
                _day_back(w, False, real)
            for k in range(N_PARAMETERS):
                if parameters[k].shape[1] > 1:
                    _store(w, GRADIENT + k * LANES, gradients[k], day, first, stop, components, real(1))
                    for i in range(LANES):
                        w[GRADIENT + k * LANES + i] = real(0)
        for k in range(N_PARAMETERS):
            if parameters[k].shape[1] == 1:
                _store(w, GRADIENT + k * LANES, gradients[k], 0, first, stop, components, real(1))
        for k in range(N_STORES):
            _store(w, ADJOINT + SP + k * LANES, d_state[k], 0, first, stop, components, real(1))


@cache
def _compiled(dtype: torch.dtype) -> tuple[Callable, Callable]:
    """Forward and backward for a precision, from the disk where they have been compiled before."""
    real = {torch.float32: types.float32, torch.float64: types.float64}[dtype]
    series, state = types.Array(real, 3, "A"), types.Array(real, 4, "A")
    table, kept = types.UniTuple(series, N_PARAMETERS), types.Array(real, 3, "C")
    days = (series, series, series, table, state, types.Array(types.int64, 1, "C"), state, state, kept)
    basins = (types.int64, types.int64)
    return _compile(_forward, days + basins), _compile(_backward, (*days, table, *basins))


def _compile(function: Callable, arguments: tuple) -> Callable:
    signature = types.void(*arguments)
    options = {"nogil": True, "error_model": "numpy"}
    try:
        compiled = njit(signature, cache=True, **options)(function)
    except RuntimeError:  # no folder for the cache can be written
        compiled = njit(signature, **options)(function)
    return compiled.get_overload(arguments)


def _over_basins(function: Callable, basins: int, work: int, *arguments) -> None:
    """`function` for all basins, shared out among torch's number of threads where it is worth it."""
    threads = max(1, min(torch.get_num_threads(), basins, work // WORTH_A_THREAD))
    bounds = [basins * k // threads for k in range(threads + 1)]
    if threads == 1:
        function(*arguments, 0, basins)
        return
    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(function, *arguments, *part) for part in pairwise(bounds)]:
            done.result()


def all_days(
    prcp: Float[Tensor, "basin time"],
    tmean: Float[Tensor, "basin time"],
    pet: Float[Tensor, "basin time"],
    parameters: Sequence[Float[Tensor, "basin time_or_1 component"] | None],
    state: Float[Tensor, "store basin component"],
    wanted: Sequence[int],
    components: bool,
) -> tuple[Float[Tensor, "wanted basin time component_or_1"], Float[Tensor, "store basin component"]]:
    """What is `wanted` of each day, and the stores after the last, with gradients to parameters and state.

    Parameters
    ----------
    parameters
        In the order of `hydronb.models.hbv.PARAMETERS`; with one day where they are static, None for an exponent of 1.
    wanted
        Places in the list of stores and then fluxes.
    components
        All components instead of their mean.
    """
    parameters = [state.new_empty(0, 0, 0) if p is None else p for p in parameters]
    keep = torch.is_grad_enabled() and any(v.requires_grad for v in (state, *parameters))
    return _Days.apply(keep, tuple(wanted), components, prcp, tmean, pet, state, *parameters)


class _Days(torch.autograd.Function):
    @staticmethod
    def forward(ctx, keep, wanted, components, prcp, tmean, pet, state, *parameters):
        (basins, days), n = prcp.shape, state.shape[2]
        out = state.new_zeros(len(wanted), basins, days, n if components else 1)
        end = torch.zeros_like(state, memory_format=torch.contiguous_format)
        kept = _empty(state, days if keep else 0, N_STORES, basins * n)
        ctx.forcing = [_array(v[:, :, None]) for v in (prcp, tmean, pet)]
        ctx.wanted = np.array(wanted, np.int64)
        _over_basins(_compiled(state.dtype)[0], basins, days * basins * n, *ctx.forcing, _arrays(parameters),
                     _array(state[:, :, None]), ctx.wanted, _array(out), _array(end[:, :, None]), _array(kept))
        ctx.save_for_backward(kept, *parameters)
        return out, end

    @staticmethod
    @once_differentiable
    def backward(ctx, d_out, d_end):
        kept, *parameters = ctx.saved_tensors
        (_, basins, days, _), n = d_out.shape, d_end.shape[2]
        d_state = torch.zeros_like(d_end, memory_format=torch.contiguous_format)
        gradients = [torch.zeros_like(p) for p in parameters]
        _over_basins(_compiled(kept.dtype)[1], basins, days * basins * n, *ctx.forcing, _arrays(parameters),
                     _array(d_state[:, :, None]), ctx.wanted, _array(d_out), _array(d_end[:, :, None]), _array(kept),
                     _arrays(gradients))
        return None, None, None, None, None, None, d_state, *gradients


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().numpy()


def _arrays(tensors: Sequence[Tensor]) -> tuple[np.ndarray, ...]:
    return tuple(_array(t) for t in tensors)
