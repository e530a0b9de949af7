"""How well a simulated hydrograph matches the observed one.

Every metric takes `sim` and `obs` by keyword, as `xarray.DataArray` with a dimension `dim` in
common, and reduces that dimension; all others (basin, seed, ...) are kept, so that all basins and
members are scored at once. The two are joined by their labels. A day counts where both have a
value. The score is NaN where too few days count, and where the observed series is constant and the
metric divides by its variability.

Conventions and guards are those of the code of Kratzert et al. (2019,
doi:10.5194/hess-23-5089-2019) for the metrics that it has; its printed formulas omit the guards.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from hydronb.errors import DataError, nearest
from hydronb.vocabulary import Vocabulary

GUARD = 1e-6
"""Added to denominators and inside logarithms, and taken in place of exact zeros, as in published
code."""


METRICS: Vocabulary[Any] = Vocabulary("metric")
"""Every metric by its name, in the order of tables."""


class Metric:
    """A metric by keyword: `sim` and `obs` over `dim`, which is reduced.

    Attributes
    ----------
    name, label
        As code and files have it, and as figures and tables show it.
    units
        `1` for a ratio; `mm/d` for that of the observation.
    on_arrays
        The metric of two numpy arrays (series, day), NaN in both where one is NaN.
    """

    def __init__(
        self, label: str, units: str, long_name: str, on_arrays: Callable[..., np.ndarray]
    ) -> None:
        functools.update_wrapper(self, on_arrays)
        self.name, self.label, self.units = on_arrays.__name__, label, units
        self.long_name, self.on_arrays = long_name, on_arrays

    @property
    def axis(self) -> str:
        """Label and units, for an axis or a heading."""
        return self.label if self.units == "1" else f"{self.label} ({self.units})"

    @functools.cached_property
    def perfect(self) -> float:
        """The score of a simulation that is the observation."""
        series = np.linspace(1.0, 2.0, 100)[None]
        return float(self.on_arrays(series, series)[0])

    def __call__(self, *, sim: xr.DataArray, obs: xr.DataArray, dim: str = "time") -> xr.DataArray:
        def over_days(s: np.ndarray, o: np.ndarray) -> np.ndarray:
            both = np.broadcast_arrays(s, o)
            return self.on_arrays(*(x.reshape(-1, x.shape[-1]) for x in both)).reshape(
                both[0].shape[:-1]
            )

        units = obs.attrs.get("units", "") if self.units == "mm/d" else self.units
        sim, obs = _pair(sim, obs, dim)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            out = xr.apply_ufunc(
                over_days, sim, obs, input_core_dims=[[dim], [dim]], keep_attrs=False
            )
        return out.rename(self.name).assign_attrs(long_name=self.long_name, units=units)


def metric(label: str, units: str, long_name: str) -> Callable[[Callable[..., np.ndarray]], Metric]:
    """Make a function of two arrays (series, day) a `Metric`, and enter it in `METRICS`."""
    return lambda function: METRICS.add(Metric(label, units, long_name, function))


@metric("NSE", "1", "Nash-Sutcliffe efficiency")
def nse(s: np.ndarray, o: np.ndarray) -> np.ndarray:
    """Nash-Sutcliffe efficiency, from minus infinity to 1 (perfect); 0 is as good as the observed
    mean.

    Equation: 1 - sum((sim - obs)^2) / sum((obs - mean(obs))^2), the sums over `dim`.
    Symbols: `sim` and `obs`, both in one unit, usually mm/d.
    Missing: pairs with a NaN are left out; NaN where nothing is left or `obs` is constant.
    Source: Nash and Sutcliffe (1970), doi:10.1016/0022-1694(70)90255-6; Kratzert et al. (2019),
    Table 1.

    >>> obs = xr.DataArray([1.0, 2.0, 3.0], dims="time")
    >>> float(nse(sim=obs + 1, obs=obs))
    -0.5
    """
    return _varying(
        o, 1 - np.nansum((s - o) ** 2, -1) / np.nansum((o - _mean(o)[..., None]) ** 2, -1)
    )


@metric("KGE", "1", "Kling-Gupta efficiency")
def kge(s: np.ndarray, o: np.ndarray) -> np.ndarray:
    """Kling-Gupta efficiency of 2009, up to 1 (perfect); the observed mean scores 1 - sqrt(2) in
    the limit.

    Equation: 1 - sqrt((r - 1)^2 + (std(sim)/std(obs) - 1)^2 + (mean(sim)/mean(obs) - 1)^2).
    Symbols: `r` the linear correlation; population standard deviations (ddof 0); means over `dim`.
    Missing: pairs with a NaN are left out; NaN where nothing is left or `sim` or `obs` is constant.
    Source: Gupta et al. (2009), Eq. 9, doi:10.1016/j.jhydrol.2009.08.003.
    """
    return 1 - np.sqrt(
        (r.on_arrays(s, o) - 1) ** 2
        + (alpha_nse.on_arrays(s, o) - 1) ** 2
        + (_mean(s) / _mean(o) - 1) ** 2
    )


@metric("correlation", "1", "linear correlation")
def r(s: np.ndarray, o: np.ndarray) -> np.ndarray:
    """Pearson's linear correlation, -1 to 1.

    Equation: cov(sim, obs) / (std(sim) std(obs)).
    Symbols: population covariance and standard deviations (ddof 0) over `dim`.
    Missing: pairs with a NaN are left out; NaN where nothing is left or `sim` or `obs` is constant.
    Source: Gupta et al. (2009), doi:10.1016/j.jhydrol.2009.08.003.
    """
    product = _mean((s - _mean(s)[..., None]) * (o - _mean(o)[..., None]))
    return _varying(s, _varying(o, product / (_std(s) * _std(o))))


@metric("alpha of NSE", "1", "ratio of standard deviations")
def alpha_nse(s: np.ndarray, o: np.ndarray) -> np.ndarray:
    """Ratio of the standard deviations, the variability part of the NSE; 1 is perfect.

    Equation: std(sim) / std(obs).
    Symbols: population standard deviations (ddof 0) over `dim`.
    Missing: pairs with a NaN are left out; NaN where nothing is left or `obs` is constant.
    Source: Gupta et al. (2009), Eq. 4, doi:10.1016/j.jhydrol.2009.08.003; Kratzert et al. (2019),
    Table 1.
    """
    return _varying(o, _std(s) / _std(o))


@metric("beta of NSE", "1", "bias over standard deviation")
def beta_nse(s: np.ndarray, o: np.ndarray) -> np.ndarray:
    """Difference of the means in observed standard deviations, the bias part of the NSE; 0 is
    perfect.

    Equation: (mean(sim) - mean(obs)) / std(obs).
    Symbols: means and population standard deviation (ddof 0) over `dim`. Not the ratio of means of
    the KGE.
    Missing: pairs with a NaN are left out; NaN where nothing is left or `obs` is constant.
    Source: Gupta et al. (2009), Eq. 4, doi:10.1016/j.jhydrol.2009.08.003; Kratzert et al. (2019),
    Table 1.
    """
    return _varying(o, (_mean(s) - _mean(o)) / _std(o))


@metric("RMSE", "mm/d", "root mean squared error")
def rmse(s: np.ndarray, o: np.ndarray) -> np.ndarray:
    """Root of the mean squared error, in the unit of `obs`; 0 is perfect.

    Equation: sqrt(mean((sim - obs)^2)).
    Symbols: the mean is over `dim`.
    Missing: pairs with a NaN are left out; NaN where nothing is left.
    Source: the square root of the loss `mse`.
    """
    return np.sqrt(_mean((s - o) ** 2))


@metric("FHV", "%", "bias of the top 2 % of flows")
def fhv(s: np.ndarray, o: np.ndarray) -> np.ndarray:
    """Bias of the highest 2 % of the flow duration curve, in percent; 0 is perfect, negative is too
    low.

    Equation: 100 sum(S - O) / (sum(O) + 1e-6) over the first round(0.02 n) ranks.
    Symbols: S and O are `sim` and `obs`, each sorted from high to low by itself; n days; half
    rounds to even.
    Missing: pairs with a NaN are left out; NaN where round(0.02 n) is 0 (25 days or fewer).
    Source: Yilmaz et al. (2008), doi:10.1029/2007WR006716, with the guard of Kratzert et al.
    (2019).
    """
    n = _rank(0.02, _days(o))
    top = max(int(n.max(initial=0)), 1)
    peak = np.arange(top) < n[..., None]
    s, o = (np.where(peak, _sorted(x)[..., :top], 0.0) for x in (s, o))
    return np.where(n > 0, 100 * (s - o).sum(-1) / (o.sum(-1) + GUARD), np.nan)


@metric("FMS", "%", "bias of the mid-segment slope")
def fms(s: np.ndarray, o: np.ndarray) -> np.ndarray:
    """Bias of the mid-slope of the flow duration curve, in percent; 0 is perfect, positive too
    flashy.

    Equation: 100 ((s1 - s2) - (o1 - o2)) / ((o1 - o2) + 1e-6), s1 = log(S[round(0.2 n)] + 1e-6), s2
    = log(S[round(0.7 n)] + 1e-6), o1 and o2 likewise from O.
    Symbols: S and O are `sim` and `obs` with exact zeros set to 1e-6, each sorted from high to low
    by itself; ranks count from 0; n days; half rounds to even.
    Missing: pairs with a NaN are left out; NaN with one day or none, constant `obs` or negative
    flow at these ranks.
    Source: Yilmaz et al. (2008), doi:10.1029/2007WR006716, with the guards of Kratzert et al.
    (2019).
    """
    n = _days(o)
    slope_s, slope_o = (
        _at(x, _rank(0.2, n)) - _at(x, _rank(0.7, n)) for x in map(_log_sorted, (s, o))
    )
    return _varying(o, 100 * (slope_s - slope_o) / (slope_o + GUARD))


@metric("FLV", "%", "bias of the bottom 30 % of flows")
def flv(s: np.ndarray, o: np.ndarray) -> np.ndarray:
    """Bias of the lowest 30 % of the flow duration curve, in percent; 0 is perfect, negative is too
    low.

    Equation: -100 (qs - qo) / (qo + 1e-6), qs = sum(log(S + 1e-6) - min(log(S + 1e-6))) over the
    ranks from round(0.7 n) on, qo likewise from O.
    Symbols: S and O are `sim` and `obs` with exact zeros set to 1e-6, each sorted from high to low
    by itself; ranks count from 0; n days; half rounds to even.
    Missing: pairs with a NaN are left out; NaN where nothing is left, `obs` is constant, or flow is
    negative. Where the lowest 30 % of `obs` are equal (zeros), the denominator is the guard alone
    and values of 1e9 and more result: report medians over basins, never means.
    Source: Yilmaz et al. (2008), doi:10.1029/2007WR006716, with the guards of Kratzert et al.
    (2019).
    """
    n = _days(o)
    rank = np.arange(o.shape[-1])
    low = (rank >= _rank(0.7, n)[..., None]) & (rank < n[..., None])
    qs, qo = (
        np.where(low, x - np.min(x, -1, where=low, initial=np.inf)[..., None], 0.0).sum(-1)
        for x in map(_log_sorted, (s, o))
    )
    return _varying(o, -100 * (qs - qo) / (qo + GUARD))


@metric("peak-flow bias", "1", "relative bias of peak-flow volume")
def bpv(s: np.ndarray, o: np.ndarray) -> np.ndarray:
    """Relative volume bias of the days of peak flow, as a fraction; 0 is perfect.

    Equation: sum(sim - obs) / sum(obs) over the days with `obs` at least O[round(0.02 n) - 1].
    Symbols: O is `obs` from high to low; n days; days are paired, unlike in `fhv`; all tied days
    are included.
    Missing: pairs with a NaN are left out; NaN where no day qualifies, the qualifying days have no
    observed flow, or `obs` is constant: its days have no exceedance probability.
    Source: Li et al. (2023), exceedance probability 0 to 0.02.
    """
    least = _at(_sorted(o), _rank(0.02, _days(o)) - 1)
    return _varying(o, _volume_bias(s, o, o >= least[..., None]))


@metric("mid-flow bias", "1", "relative bias of mid-flow volume")
def bmv(s: np.ndarray, o: np.ndarray) -> np.ndarray:
    """Relative volume bias of the days of middling flow, as a fraction; 0 is perfect.

    Equation: sum(sim - obs) / sum(obs) over the days with O[round(0.7 n)] < `obs` <= O[round(0.3
    n)].
    Symbols: O is `obs` from high to low; n days; days are paired; no day is in both `bmv` and
    `blv`.
    Missing: pairs with a NaN are left out; NaN where no day qualifies, the qualifying days have no
    observed flow, or `obs` is constant: its days have no exceedance probability.
    Source: Li et al. (2023), exceedance probability 0.3 to 0.7.
    """
    n, ordered = _days(o), _sorted(o)
    most, least = _at(ordered, _rank(0.3, n)), _at(ordered, _rank(0.7, n))
    return _varying(o, _volume_bias(s, o, (o <= most[..., None]) & (o > least[..., None])))


@metric("low-flow bias", "1", "relative bias of low-flow volume")
def blv(s: np.ndarray, o: np.ndarray) -> np.ndarray:
    """Relative volume bias of the days of low flow, as a fraction; 0 is perfect.

    Equation: sum(sim - obs) / sum(obs) over the days with `obs` at most O[round(0.7 n)].
    Symbols: O is `obs` from high to low; n days; days are paired, unlike in `flv`; all tied days
    are included.
    Missing: pairs with a NaN are left out; NaN where no day qualifies, the qualifying days have no
    observed flow, or `obs` is constant: its days have no exceedance probability.
    Source: Li et al. (2023), exceedance probability 0.7 to 1.
    """
    most = _at(_sorted(o), _rank(0.7, _days(o)))
    return _varying(o, _volume_bias(s, o, o <= most[..., None]))


def metric_table(
    sim: xr.DataArray, obs: xr.DataArray, metrics: Sequence[str] = (), dim: str = "time"
) -> pd.DataFrame:
    """Several metrics of every basin: one row per basin (index `basin`), one column per metric,
    float64.

    Parameters
    ----------
    sim, obs
        Simulation and observation, (basin, `dim`).
    metrics
        Names in `METRICS`, the order of the columns; all of them where empty.

    Raises
    ------
    ParameterError
        A name that is no metric.
    DataError
        Other dimensions than basin and `dim`, or no basin or day in common.
    """
    chosen = [METRICS[name] for name in metrics or METRICS]
    if extra := sorted((set(sim.dims) | set(obs.dims)) ^ {"basin", dim}, key=str):
        raise DataError(
            f"a table of metrics needs (basin, {dim}), sim has {sim.dims} and obs {obs.dims}; "
            f"select or average over {extra[0]!r} first"
        )
    sim, obs = _pair(sim, obs, dim)
    columns = {m.name: m(sim=sim, obs=obs, dim=dim).to_numpy() for m in chosen}
    return pd.DataFrame(columns, index=pd.Index(sim["basin"].to_numpy().astype(str), name="basin"))


def why_undefined(*, sim: xr.DataArray, obs: xr.DataArray, dim: str = "time") -> xr.DataArray:
    """Why a series has no score: text, empty where `obs` can be scored. A metric of part of the
    flow (`bpv`, `blv`) may still be NaN, where that part has no water."""
    _, obs = _pair(sim, obs, dim)
    low, high, days = obs.min(dim), obs.max(dim), obs.count(dim)
    reasons = {
        "": high > low,
        "no day has both a simulation and an observation": days == 0,
        "the observation is zero on every day": (high == 0) & (low == 0),
        "the observation never changes": high == low,
    }
    out = xr.full_like(days, "", dtype=object)
    for reason, holds in reversed(reasons.items()):
        out = out.where(~holds, reason)
    return out.rename("why_undefined")


def _pair(sim: xr.DataArray, obs: xr.DataArray, dim: str) -> tuple[xr.DataArray, xr.DataArray]:
    """`sim` and `obs` on their common labels, as float64, NaN in both where one is NaN."""
    for name, da in (("sim", sim), ("obs", obs)):
        if dim not in da.dims:
            raise DataError(f"{name} has no dimension {dim!r}{nearest(dim, map(str, da.dims))}")
    sim, obs = xr.align(sim, obs, join="inner", copy=False)
    if empty := [d for d in obs.dims if obs.sizes[d] == 0]:
        raise DataError(f"sim and obs have no {empty[0]} in common")
    sim, obs = sim.astype(np.float64), obs.astype(np.float64)
    both = ~(np.isnan(sim) | np.isnan(obs))
    return (sim, obs) if both.all() else (sim.where(both), obs.where(both))


def _days(x: np.ndarray) -> np.ndarray:
    return (~np.isnan(x)).sum(-1)


def _mean(x: np.ndarray) -> np.ndarray:
    return np.nansum(x, -1) / _days(x)


def _std(x: np.ndarray) -> np.ndarray:
    return np.sqrt(_mean((x - _mean(x)[..., None]) ** 2))


def _varying(x: np.ndarray, out: np.ndarray) -> np.ndarray:
    """`out` where the series `x` has at least two different values, else NaN; exact, unlike a
    standard deviation."""
    return np.where(np.fmax.reduce(x, -1) > np.fmin.reduce(x, -1), out, np.nan)


def _sorted(x: np.ndarray) -> np.ndarray:
    """From high to low along the last axis, NaN last."""
    return -np.sort(-x, axis=-1)


def _rank(fraction: float, n: np.ndarray) -> np.ndarray:
    """round(fraction n), half to even, as an integer."""
    return np.round(fraction * n).astype(int)


def _at(x: np.ndarray, rank: np.ndarray) -> np.ndarray:
    """Element `rank` of each series; NaN where the series is too short."""
    inside = (rank >= 0) & (rank < x.shape[-1])
    taken = np.take_along_axis(x, np.where(inside, rank, 0)[..., None], -1)[..., 0]
    return np.where(inside, taken, np.nan)


def _log_sorted(x: np.ndarray) -> np.ndarray:
    return np.log(_sorted(np.where(x == 0, GUARD, x)) + GUARD)


def _volume_bias(s: np.ndarray, o: np.ndarray, days: np.ndarray) -> np.ndarray:
    volume = np.sum(o, -1, where=days)
    return np.where(volume > 0, np.sum(s - o, -1, where=days) / volume, np.nan)
