"""All days of HBV in one compiled core with a hand-derived adjoint: the same equations as
`hydronb.models.hbv.step`.

A lane is one component of one basin. A thread processes the lanes of its basins in blocks of
`LANES`, few enough that the data of a day stay in the fastest cache. Within a day it loops over the
lanes, so that they fill the processor's vectors. One flat array holds the parameters, forcing,
stores, fluxes and adjoints of a block, one row each, so that the compiler sees that rows do not
overlap. The forward pass keeps the stores of every `STRETCH`-th day. The backward pass computes the
days between again and applies the chain rule to the equations in reverse; where the arguments of a
minimum or maximum are equal, each receives half of the gradient.
"""

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from typing import no_type_check

import numpy as np
import torch
from jaxtyping import Float
from numba import njit, types
from numba.extending import overload
from torch import Tensor
from torch.autograd.function import once_differentiable

LANES = 128
"""Lanes of a block."""
WIDTH = 16
"""Lanes that are copied at once where the number of components is a multiple of this."""
(
    BETA,
    FC,
    K0,
    K1,
    K2,
    LP,
    PERC,
    UZL,
    TT,
    CFMAX,
    CFR,
    CWH,
    BETAET,
    PRCP,
    TMEAN,
    PET,
    SP,
    MW,
    SM,
    UZ,
    LZ,
    RAIN,
    SNOW,
    MELT,
    REFREEZE,
    RECHARGE,
    EXCESS,
    ET,
    PERCOLATION,
    Q0,
    Q1,
    Q2,
) = (LANES * row for row in range(32))
ADJOINT, GRADIENT = 16 * LANES, 48 * LANES
"""Distance from a store or flux to its adjoint; start of the gradients of the parameters."""
PACK, WET, WATER, WETTED, RATIO, LOG_RATIO, SHARE, DRYNESS, LOG_DRYNESS, STRESS, NEWS = (
    LANES * row for row in range(61, 72)
)
ROWS = 72
"""Intermediate values of a day: snowpack, its water before any leaves it, inflow to the soil, soil
moisture with the part of it that stays, and the powers of Equations 5 and 7 with their bases and
the logarithms of these."""

N_PARAMETERS, N_STORES = 13, 5
FLOOR = 1e-5
TINY = 1e-30
"""Smaller ratios count as this, so that their logarithm is finite."""
LN2 = math.log(2)
# @no_type_check keeps jaxtyping's wrappers off what numba compiles

STRETCH = 16
"""The forward pass keeps the stores of every so many days; the backward pass computes the others
again, which takes less time than to write them."""
WORTH_A_THREAD = 2**17
"""Lanes times days that repay another thread."""

options = {"error_model": "numpy"}
inline = options | {"forceinline": True}
fast = inline | {"fastmath": {"contract"}}
"""Fused multiply-adds only in logarithm and power: elsewhere they would break ties that `step`
keeps."""

_FORMATS = {
    types.float32: (np.float32, np.int32, 23, 0x3F3504F3, 5, 8),
    types.float64: (np.float64, np.int64, 52, 0x3FE6A09E667F3BCD, 11, 14),
}
"""Type, integer of its size, bits of the mantissa, sqrt(1/2) as that integer, number of terms of
the two series."""


@no_type_check
def _log2(x):
    """Binary logarithm of a positive, normal number, exact to rounding, in operations that the
    compiler can vectorise."""


@no_type_check
def _exp2(x):
    """2 ** x for x <= 0, exact to rounding."""


@overload(_log2, jit_options=fast)
@no_type_check
def _log2_of(x):
    real, integer, mantissa, half_root, terms, _ = _FORMATS[x]
    fraction = (1 << mantissa) - 1

    def log2(x):
        bits = real(x).view(integer) - integer(half_root)
        exponent = integer(bits >> integer(mantissa))
        # sqrt(1/2) <= m < sqrt(2)
        m = integer((bits & integer(fraction)) + integer(half_root)).view(real)
        s = (m - real(1)) / (m + real(1))
        z, series = s * s, real(0)
        for k in range(terms):  # 2 artanh(s) = ln m
            series = series * z + real(2 / LN2 / (2 * (terms - k) - 1))
        return real(exponent) + s * series

    return log2


@overload(_exp2, jit_options=fast)
@no_type_check
def _exp2_of(x):
    real, integer, mantissa, _, _, terms = _FORMATS[x]
    lowest, factorial = np.finfo(real).minexp, math.factorial(terms)

    def exp2(x):
        y = max(x, real(lowest))
        whole = np.floor(y + real(0.5))
        z, series, coefficient = (y - whole) * real(LN2), real(0), 1 / factorial
        for k in range(terms, -1, -1):
            series = series * z + real(coefficient)
            coefficient *= k
        scale = integer((integer(whole) - integer(lowest - 1)) << integer(mantissa)).view(real)
        return min(series * scale, real(1))

    return exp2


@njit(**inline)
@no_type_check
def _share(difference, real):
    """The derivative of max(difference, 0) by the difference, 1/2 at 0."""
    return real(1) if difference > real(0) else (real(0.5) if difference == real(0) else real(0))


@njit(**inline)
@no_type_check
def _power(w, base, exponent, log, power, real):
    """(min(base, 1)) ** exponent. Like each part of a day it is a loop of its own, so that several
    iterations overlap."""
    for i in range(LANES):
        log_base = _log2(min(max(w[base + i], real(TINY)), real(1)))
        w[log + i] = log_base
        w[power + i] = _exp2(w[exponent + i] * log_base)


@njit(**inline)
@no_type_check
def _until_demand(w, plain, real):
    """Equations 1 to 7 up to the stress on PET; the stores are not changed."""
    zero, one, floor = real(0), real(1), real(FLOOR)
    for i in range(LANES):
        w[RATIO + i] = w[SM + i] / w[FC + i]
    _power(w, RATIO, BETA, LOG_RATIO, SHARE, real)
    for i in range(LANES):
        above = w[TMEAN + i] - w[TT + i]
        rain = w[PRCP + i] if above >= zero else zero
        snow = w[PRCP + i] - rain
        pack = w[SP + i] + snow
        melt = min(max(w[CFMAX + i] * above, zero), pack)
        wet = w[MW + i] + melt
        refreeze = min(max(-(w[CFR + i] * w[CFMAX + i]) * above, zero), wet)
        pack, wet = (pack - melt) + refreeze, wet - refreeze
        water = rain + (wet - min(wet, w[CWH + i] * pack))
        recharge = water * w[SHARE + i]
        wetted = w[SM + i] + (water - recharge)
        full = min(wetted, w[FC + i])
        w[RAIN + i], w[SNOW + i], w[MELT + i], w[REFREEZE + i] = rain, snow, melt, refreeze
        w[PACK + i], w[WET + i], w[WATER + i] = pack, wet, water
        w[RECHARGE + i], w[WETTED + i], w[EXCESS + i] = recharge, wetted, wetted - full
        w[DRYNESS + i] = max(full, floor) / (w[LP + i] * w[FC + i])
    if plain:
        for i in range(LANES):
            w[STRESS + i] = min(w[DRYNESS + i], one)
    else:
        _power(w, DRYNESS, BETAET, LOG_DRYNESS, STRESS, real)


@njit(**inline)
@no_type_check
def _day(w, plain, real):
    """Stores and fluxes at the end of the day."""
    _until_demand(w, plain, real)
    for i in range(LANES):
        full = min(w[WETTED + i], w[FC + i])
        et = min(max(full - real(FLOOR), real(0)), w[PET + i] * w[STRESS + i])
        w[SP + i], w[MW + i], w[SM + i] = (
            w[PACK + i],
            min(w[WET + i], w[CWH + i] * w[PACK + i]),
            full - et,
        )
        w[ET + i] = et
    for i in range(LANES):
        upper = w[UZ + i] + (w[RECHARGE + i] + w[EXCESS + i])
        percolation = min(upper, w[PERC + i])
        upper -= percolation
        q0 = w[K0 + i] * max(upper - w[UZL + i], real(0))
        upper -= q0
        q1 = w[K1 + i] * upper
        lower = w[LZ + i] + percolation
        q2 = w[K2 + i] * lower
        w[UZ + i], w[LZ + i] = upper - q1, lower - q2
        w[PERCOLATION + i], w[Q0 + i], w[Q1 + i], w[Q2 + i] = percolation, q0, q1, q2


@njit(**inline)
@no_type_check
def _day_back(w, plain, real):
    """The adjoints of the stores before the day, from those after it and those of the fluxes; adds
    to the gradients."""
    zero, one, floor = real(0), real(1), real(FLOOR)
    _until_demand(w, plain, real)
    for i in range(LANES):
        filled = w[UZ + i] + (w[RECHARGE + i] + w[EXCESS + i])
        percolation = min(filled, w[PERC + i])
        over = (filled - percolation) - w[UZL + i]
        below = (filled - percolation) - w[K0 + i] * max(over, zero)
        # (10) and (9)
        d_lower = w[ADJOINT + LZ + i]
        d_q2 = w[ADJOINT + Q2 + i] - d_lower
        w[GRADIENT + K2 + i] += d_q2 * (w[LZ + i] + percolation)
        d_lower += d_q2 * w[K2 + i]
        d_upper = w[ADJOINT + UZ + i]
        d_q1 = w[ADJOINT + Q1 + i] - d_upper
        w[GRADIENT + K1 + i] += d_q1 * below
        d_upper += d_q1 * w[K1 + i]
        d_q0 = w[ADJOINT + Q0 + i] - d_upper
        w[GRADIENT + K0 + i] += d_q0 * max(over, zero)
        d_over = d_q0 * w[K0 + i] * _share(over, real)
        w[GRADIENT + UZL + i] -= d_over
        d_upper += d_over
        # (8)
        d_percolation = w[ADJOINT + PERCOLATION + i] + d_lower - d_upper
        by_rate = _share(filled - w[PERC + i], real)
        w[GRADIENT + PERC + i] += d_percolation * by_rate
        d_upper += d_percolation * (one - by_rate)
        w[ADJOINT + UZ + i], w[ADJOINT + LZ + i] = d_upper, d_lower
    for i in range(LANES):
        full = min(w[WETTED + i], w[FC + i])
        # (7)
        d_soil = w[ADJOINT + SM + i]
        d_et = w[ADJOINT + ET + i] - d_soil
        by_demand = _share(max(full - floor, zero) - w[PET + i] * w[STRESS + i], real)
        d_power = d_et * by_demand * w[PET + i] * w[STRESS + i]
        w[GRADIENT + BETAET + i] += d_power * w[LOG_DRYNESS + i] * real(LN2)
        d_dry = d_power * w[BETAET + i] * _share(one - w[DRYNESS + i], real)
        w[GRADIENT + LP + i] -= d_dry / w[LP + i]
        d_soil += _share(full - floor, real) * (d_et * (one - by_demand) + d_dry / max(full, floor))
        # (6)
        d_over = (w[ADJOINT + EXCESS + i] + w[ADJOINT + UZ + i] - d_soil) * _share(
            w[WETTED + i] - w[FC + i], real
        )
        d_soil += d_over
        # (5)
        d_recharge = w[ADJOINT + RECHARGE + i] + w[ADJOINT + UZ + i] - d_soil
        d_power = d_recharge * w[WATER + i] * w[SHARE + i]
        w[GRADIENT + BETA + i] += d_power * w[LOG_RATIO + i] * real(LN2)
        d_wet = d_power * w[BETA + i] * _share(one - w[RATIO + i], real)
        w[GRADIENT + FC + i] -= d_over + (d_dry + d_wet) / w[FC + i]
        # of the power at 0
        slope = one if w[SM + i] > zero else (one if w[BETA + i] <= one else zero)
        w[ADJOINT + SM + i] = d_soil + slope * d_wet / (max(w[RATIO + i], real(TINY)) * w[FC + i])
        w[NEWS + i] = d_soil + d_recharge * w[SHARE + i]
    for i in range(LANES):
        above = w[TMEAN + i] - w[TT + i]
        could_melt, could_freeze = w[CFMAX + i] * above, -(w[CFR + i] * w[CFMAX + i]) * above
        # (4)
        d_wet = w[ADJOINT + MW + i]
        d_surplus = (w[NEWS + i] - d_wet) * _share(w[WET + i] - w[CWH + i] * w[PACK + i], real)
        d_wet += d_surplus
        w[GRADIENT + CWH + i] -= d_surplus * w[PACK + i]
        d_pack = w[ADJOINT + SP + i] - d_surplus * w[CWH + i]
        # (3)
        d_refreeze = w[ADJOINT + REFREEZE + i] + d_pack - d_wet
        by_cold = _share(w[MW + i] + w[MELT + i] - max(could_freeze, zero), real)
        d_cold = d_refreeze * by_cold * _share(could_freeze, real)
        d_wet += d_refreeze * (one - by_cold)
        # (2)
        d_melt = w[ADJOINT + MELT + i] + d_wet - d_pack
        by_warmth = _share(w[SP + i] + w[SNOW + i] - max(could_melt, zero), real)
        d_warm = d_melt * by_warmth * _share(could_melt, real)
        d_pack += d_melt * (one - by_warmth)
        w[GRADIENT + CFR + i] -= d_cold * w[CFMAX + i] * above
        w[GRADIENT + CFMAX + i] += (d_warm - d_cold * w[CFR + i]) * above
        w[GRADIENT + TT + i] += (d_cold * w[CFR + i] - d_warm) * w[CFMAX + i]
        w[ADJOINT + SP + i], w[ADJOINT + MW + i] = d_pack, d_wet


@njit(**inline)
@no_type_check
def _spread(w, row, series, day, basin, basins, n):
    """A day of (basin, time) to the lanes of all components."""
    for b in range(basins):
        value = series[basin + b, day]
        if n % WIDTH:
            for i in range(b * n, (b + 1) * n):
                w[row + i] = value
        else:
            for chunk in range(b * n, (b + 1) * n, WIDTH):
                for i in range(WIDTH):
                    w[row + chunk + i] = value


@njit(**inline)
@no_type_check
def _copy(target, at, source, start, n):
    if n % WIDTH:
        for i in range(n):
            target[at + i] = source[start + i]
    else:
        for chunk in range(0, n, WIDTH):
            for i in range(WIDTH):
                target[at + chunk + i] = source[start + chunk + i]


@njit(**inline)
@no_type_check
def _load(w, row, rows, flat, start, between, stride, basins, n):
    """Components that are adjacent in `flat`, with basins `stride` apart, into a row; several rows
    are `between` apart."""
    for k in range(rows):
        for b in range(basins):
            _copy(w, row + k * LANES + b * n, flat, start + k * between + b * stride, n)


@njit(**inline)
@no_type_check
def _store(w, row, rows, flat, start, between, stride, basins, n):
    """Rows to where `_load` reads them."""
    for k in range(rows):
        for b in range(basins):
            _copy(flat, start + k * between + b * stride, w, row + k * LANES + b * n, n)


@njit(**inline, fastmath={"contract", "reassoc"})
@no_type_check
def _add_mean(w, row, out, day, basin, basins, n, weight):
    """The components' weighted sum added to a day of (basin, time)."""
    for b in range(basins):
        total, lane = out.dtype.type(0), row + b * n
        if n % WIDTH:
            for i in range(n):
                total += w[lane + i]
        else:
            for chunk in range(0, n, WIDTH):
                for i in range(WIDTH):
                    total += w[lane + chunk + i]
        out[basin + b, day] += total * weight


@njit(**inline)
@no_type_check
def _load_parameters(w, parameters, which, strides, day, basin, basins, component, n):
    for k in which:
        start = basin * strides[k, 0] + day * strides[k, 1] + component
        _load(w, k * LANES, 1, parameters[k], start, 0, strides[k, 0], basins, n)


@njit(**inline)
@no_type_check
def _load_day(w, prcp, tmean, pet, parameters, varying, strides, day, basin, basins, component, n):
    _spread(w, PRCP, prcp, day, basin, basins, n)
    _spread(w, TMEAN, tmean, day, basin, basins, n)
    _spread(w, PET, pet, day, basin, basins, n)
    _load_parameters(w, parameters, varying, strides, day, basin, basins, component, n)


@no_type_check
def _forward(
    prcp,
    tmean,
    pet,
    parameters,
    strides,
    state,
    outputs,
    out,
    each,
    end,
    kept,
    first_basin,
    stop_basin,
):
    """Fills the means `out` (output, basin, time) or `each` (output, basin, time, component),
    whichever is not empty, `end` (store, basin, component) as `state`, and, where it is not empty,
    `kept` (stretch, store, basin, component): the stores before each stretch of days. Forcing is
    (basin, time). `parameters` are 13 flat arrays, the last one empty where its exponent is 1;
    `strides` (parameter, 3) are the distances of basins and of days in them, and whether days
    differ."""
    real, days, plain = out.dtype.type, prcp.shape[1], parameters[12].size == 0
    _, all_basins, components = state.shape
    weight, lanes = real(1) / real(components), all_basins * components
    given, varying = np.arange(N_PARAMETERS - plain), np.flatnonzero(strides[:, 2])
    w = np.ones(ROWS * LANES, out.dtype)
    for component in range(0, components, LANES):
        n = min(LANES, components - component)
        for basin in range(first_basin, stop_basin, LANES // n):
            basins, origin = min(LANES // n, stop_basin - basin), basin * components + component
            _load_parameters(w, parameters, given, strides, 0, basin, basins, component, n)
            _load(w, SP, N_STORES, state.reshape(-1), origin, lanes, components, basins, n)
            for day in range(days):
                if kept.size and day % STRETCH == 0:
                    start = day // STRETCH * N_STORES * lanes + origin
                    _store(w, SP, N_STORES, kept, start, lanes, components, basins, n)
                _load_day(
                    w,
                    prcp,
                    tmean,
                    pet,
                    parameters,
                    varying,
                    strides,
                    day,
                    basin,
                    basins,
                    component,
                    n,
                )
                _day(w, plain, real)
                for k in range(len(outputs)):
                    row = SP + outputs[k] * LANES
                    if each.size:
                        start = ((k * all_basins + basin) * days + day) * components + component
                        _store(w, row, 1, each, start, 0, days * components, basins, n)
                    else:
                        _add_mean(w, row, out[k], day, basin, basins, n, weight)
            _store(w, SP, N_STORES, end, origin, lanes, components, basins, n)


@no_type_check
def _backward(
    prcp,
    tmean,
    pet,
    parameters,
    strides,
    outputs,
    d_out,
    d_each,
    d_end,
    kept,
    d_state,
    gradients,
    to,
    first_basin,
    stop_basin,
):
    """Fills `d_state` and `gradients`, whose strides are `to`, from the gradients of `out` or
    `each` and of `end`."""
    real, days, plain = d_out.dtype.type, prcp.shape[1], parameters[12].size == 0
    _, all_basins, components = d_end.shape
    weight, lanes = real(1) / real(components), all_basins * components
    given, varying = np.arange(N_PARAMETERS - plain), np.flatnonzero(strides[:, 2])
    w = np.ones(ROWS * LANES, d_out.dtype)
    before = np.empty((STRETCH, N_STORES * LANES), d_out.dtype)
    for component in range(0, components, LANES):
        n = min(LANES, components - component)
        for basin in range(first_basin, stop_basin, LANES // n):
            basins, origin = min(LANES // n, stop_basin - basin), basin * components + component
            w[ADJOINT + SP :] = real(0)
            _load_parameters(w, parameters, given, strides, 0, basin, basins, component, n)
            d_stores = ADJOINT + SP
            _load(w, d_stores, N_STORES, d_end.reshape(-1), origin, lanes, components, basins, n)
            for first in range((days - 1) // STRETCH * STRETCH, -1, -STRETCH):
                stop = min(first + STRETCH, days)
                start = first // STRETCH * N_STORES * lanes + origin
                _load(w, SP, N_STORES, kept, start, lanes, components, basins, n)
                for day in range(first, stop):
                    for i in range(N_STORES * LANES):
                        before[day - first, i] = w[SP + i]
                    _load_day(
                        w,
                        prcp,
                        tmean,
                        pet,
                        parameters,
                        varying,
                        strides,
                        day,
                        basin,
                        basins,
                        component,
                        n,
                    )
                    if day < stop - 1:
                        _day(w, plain, real)
                for day in range(stop - 1, first - 1, -1):
                    if day < stop - 1:
                        for i in range(N_STORES * LANES):
                            w[SP + i] = before[day - first, i]
                        _load_day(
                            w,
                            prcp,
                            tmean,
                            pet,
                            parameters,
                            varying,
                            strides,
                            day,
                            basin,
                            basins,
                            component,
                            n,
                        )
                    for k in range(len(outputs)):
                        row = NEWS if outputs[k] < N_STORES else ADJOINT + SP + outputs[k] * LANES
                        if d_each.size:
                            start = ((k * all_basins + basin) * days + day) * components + component
                            _load(w, row, 1, d_each, start, 0, days * components, basins, n)
                        else:
                            _spread(w, row, d_out[k], day, basin, basins, n)
                            for i in range(LANES):
                                w[row + i] *= weight
                        if outputs[k] < N_STORES:
                            for i in range(LANES):
                                w[ADJOINT + SP + outputs[k] * LANES + i] += w[NEWS + i]
                    _day_back(w, plain, real)
                    for k in varying:
                        row, start = (
                            GRADIENT + k * LANES,
                            basin * to[k, 0] + day * to[k, 1] + component,
                        )
                        _store(w, row, 1, gradients[k], start, 0, to[k, 0], basins, n)
                        for i in range(LANES):
                            w[GRADIENT + k * LANES + i] = real(0)
            for k in given:
                if not strides[k, 2]:
                    row, start = GRADIENT + k * LANES, basin * to[k, 0] + component
                    _store(w, row, 1, gradients[k], start, 0, to[k, 0], basins, n)
            _store(w, d_stores, N_STORES, d_state, origin, lanes, components, basins, n)


@cache
def _compiled(dtype: torch.dtype) -> tuple[Callable, Callable]:
    """The forward and the backward pass in one precision, from the disk if compiled before."""
    real = {torch.float32: types.float32, torch.float64: types.float64}[dtype]
    flat, series, sums = (
        types.Array(real, 1, "C"),
        types.Array(real, 2, "A"),
        types.Array(real, 3, "A"),
    )
    stores, table = types.Array(real, 3, "C"), types.UniTuple(flat, N_PARAMETERS)
    places, outputs, basins = (
        types.Array(types.int64, 2, "C"),
        types.Array(types.int64, 1, "C"),
        (types.int64,) * 2,
    )
    days = (series, series, series, table, places)
    return (
        _compile(_forward, (*days, stores, outputs, sums, flat, flat, flat, *basins)),
        _compile(
            _backward, (*days, outputs, sums, flat, stores, flat, flat, table, places, *basins)
        ),
    )


def _compile(function: Callable, arguments: tuple) -> Callable:
    try:
        compiled = njit(types.void(*arguments), cache=True, nogil=True, **options)(function)
    except RuntimeError:  # no folder for the cache can be written
        compiled = njit(types.void(*arguments), nogil=True, **options)(function)
    return compiled.get_overload(arguments)


def _over_basins(function: Callable, basins: int, work: int, *arguments) -> None:
    """`function` for all basins, divided among torch's number of threads where it is worth it."""
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
    parameters: Sequence[Tensor | None],
    state: Float[Tensor, "store basin component"],
    outputs: Sequence[int],
    components: bool,
) -> tuple[Tensor, Float[Tensor, "store basin component"]]:
    """Stores and fluxes of each day, and the stores after the last one, with gradients to
    parameters and state.

    Parameters
    ----------
    parameters
        (basin, time, component) in the order of `hydronb.models.hbv.PARAMETERS`; with one day where
        they are static, None for an exponent of 1.
    outputs
        Positions in the list of stores followed by fluxes.
    components
        Return (output, basin, time, component) instead of the means (output, basin, time).
    """
    parameters = [
        state.new_empty(0, 0, 0) if p is None else p if p.stride(2) == 1 else p.contiguous()
        for p in parameters
    ]
    keep = torch.is_grad_enabled() and any(v.requires_grad for v in (state, *parameters))
    return _Days.apply(
        keep, tuple(outputs), components, prcp, tmean, pet, state.contiguous(), *parameters
    )


class _Days(torch.autograd.Function):
    @staticmethod
    def forward(ctx, keep, outputs, components, prcp, tmean, pet, state, *parameters):
        (basins, days), (_, _, n) = prcp.shape, state.shape
        out = state.new_zeros(len(outputs), 0 if components else basins, days)
        each = state.new_empty(len(outputs), basins, days, n if components else 0)
        end, kept = (
            torch.empty_like(state),
            state.new_empty(-(-days // STRETCH) if keep else 0, N_STORES, basins, n),
        )
        ctx.forcing, ctx.outputs, ctx.components = (
            (prcp, tmean, pet),
            np.array(outputs, np.int64),
            components,
        )
        _over_basins(
            _compiled(state.dtype)[0],
            basins,
            days * basins * n,
            *_arrays(ctx.forcing),
            *_flat(parameters),
            *_arrays((state,)),
            ctx.outputs,
            *_arrays((out, each.view(-1), end.view(-1), kept.view(-1))),
        )
        ctx.save_for_backward(kept, *parameters)
        return each if components else out, end

    @staticmethod
    @once_differentiable
    def backward(ctx, d_out, d_end):
        kept, *parameters = ctx.saved_tensors
        (basins, days), n = ctx.forcing[0].shape, kept.shape[3]
        gradients, d_end, none = (
            [torch.empty_like(p) for p in parameters],
            d_end.contiguous(),
            kept.new_empty(0, 0, 0),
        )
        d_sums, d_each = (none, d_out.contiguous()) if ctx.components else (d_out, none)
        d_state = torch.empty_like(d_end)
        _over_basins(
            _compiled(kept.dtype)[1],
            basins,
            days * basins * n,
            *_arrays(ctx.forcing),
            *_flat(parameters),
            ctx.outputs,
            *_arrays((d_sums, d_each.view(-1), d_end, kept.view(-1), d_state.view(-1))),
            *_flat(gradients),
        )
        return None, None, None, None, None, None, d_state, *gradients


def _arrays(tensors: Sequence[Tensor]) -> tuple[np.ndarray, ...]:
    return tuple(t.detach().numpy() for t in tensors)


def _flat(tensors: Sequence[Tensor]) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
    """The memory that each tensor spans, and its strides (tensor, 3): the distance between basins
    and between days, and whether days differ."""
    strides = [(t.stride(0), t.stride(1), int(t.shape[1] > 1)) for t in tensors]
    spans = [
        (
            sum((size - 1) * step for size, step in zip(t.shape, t.stride(), strict=True)) + 1
            if t.numel()
            else 0
        )
        for t in tensors
    ]
    arrays = _arrays([t.as_strided((span,), (1,)) for t, span in zip(tensors, spans, strict=True)])
    return arrays, np.array(strides, np.int64)
