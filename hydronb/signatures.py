"""The 13 hydrological signatures of CAMELS, from daily streamflow and precipitation.

Source: Addor et al. (2017), doi:10.5194/hess-21-5293-2017, Table 3, in the conventions of the code
that made `camels_hydro.txt`: medians, quantiles (linear interpolation) and thresholds over all
observed days together, missing days passed over (a gap neither ends nor lengthens an event), water
years. CAMELS' own table is for 1989-10-01 to 2009-09-30. Where the paper's text and the published
numbers part, the numbers are followed, and the docstring says so.
"""

import numpy as np
import xarray as xr
from scipy.signal import lfilter

from hydronb.data.dataset import require_daily
from hydronb.errors import DataError

SIGNATURES = {
    "q_mean": ("mm/d", "mean streamflow"),
    "runoff_ratio": ("1", "mean streamflow over mean precipitation"),
    "slope_fdc": ("1", "slope of the flow duration curve"),
    "baseflow_index": ("1", "baseflow over streamflow"),
    "stream_elas": ("1", "elasticity of annual streamflow to annual precipitation"),
    "q5": ("mm/d", "low flow: 5 % quantile of streamflow"),
    "q95": ("mm/d", "high flow: 95 % quantile of streamflow"),
    "high_q_freq": ("d/yr", "frequency of days above 9 times the median flow"),
    "high_q_dur": ("d", "mean duration of events above 9 times the median flow"),
    "low_q_freq": ("d/yr", "frequency of days at or below 0.2 times the mean flow"),
    "low_q_dur": ("d", "mean duration of events at or below 0.2 times the mean flow"),
    "zero_q_freq": ("1", "share of days without flow"),
    "hfd_mean": ("d", "mean day of the water year by which half of its flow has passed"),
}
"""Units and long name by CAMELS' own names, in the order of its table (Table 3 of Addor et al.,
2017)."""

FILTER, PASSES, REFLECTED = 0.925, 3, 30
"""Parameter and passes of the baseflow filter, and days mirrored at each end (Ladson et al.,
2013)."""
WHY = {
    "runoff_ratio": "no precipitation",
    "slope_fdc": "no flow",
    "baseflow_index": "no flow, or never 31 observed days on end",
    "stream_elas": "fewer than two whole water years, no flow, or precipitation that never changes",
    "hfd_mean": "no whole water year with flow",
}
"""Why a signature cannot be had."""


def signatures(
    streamflow: xr.DataArray,
    prcp: xr.DataArray,
    *,
    max_missing: float = 0.05,
    first_month: int = 10,
) -> xr.Dataset:
    """All 13 signatures of every basin, over the days and basins that both series have.

    Parameters
    ----------
    streamflow, prcp
        (basin, time), mm/d, daily; missing streamflow is NaN.
    max_missing
        A basin that lacks this share of its days, or more, has no signature; CAMELS allows 5 %.
    first_month
        Of the water year.

    Returns
    -------
    xarray.Dataset
        A variable a signature over `basin`, with units, and the coordinate `undefined` (basin): why
        a basin lacks which signatures, empty where it lacks none.

    Raises
    ------
    DataError
        Other dimensions than basin and time, nothing in common, or days that are not daily.
    """
    for name, da in (("streamflow", streamflow), ("prcp", prcp)):
        if set(da.dims) != {"basin", "time"}:
            raise DataError(f"signatures need {name} over (basin, time), not {da.dims}")
    q, p = xr.align(streamflow, prcp, join="inner")
    for dim in ("basin", "time"):
        if q.sizes[dim] == 0:
            raise DataError(
                f"streamflow and prcp have no {dim} in common, so there are no signatures"
            )
    time = q.indexes["time"]
    require_daily(time, "signatures")
    year = np.asarray(time.year + ((time.month >= first_month) & (first_month > 1)))
    q, p = (x.transpose("basin", "time").astype(float) for x in (q, p))
    missing = (q.isnull() | p.isnull()).mean("time").values
    usable = missing < max(max_missing, 1e-9)
    columns = {name: np.full(q.sizes["basin"], np.nan) for name in SIGNATURES}
    for b in np.flatnonzero(usable):
        for name, value in _of_basin(q.values[b], p.values[b], year).items():
            columns[name][b] = value
    reasons = [
        (
            f"all: {missing[b]:.0%} of the days are missing"
            if not usable[b]
            else "; ".join(
                f"{name}: {WHY[name]}" for name in SIGNATURES if np.isnan(columns[name][b])
            )
        )
        for b in range(len(usable))
    ]
    made = {
        name: ("basin", columns[name], {"units": units, "long_name": about})
        for name, (units, about) in SIGNATURES.items()
    }
    keep = {n: c for n, c in q.coords.items() if c.dims == ("basin",)}
    return xr.Dataset(made, keep | {"undefined": ("basin", np.array(reasons, object))})


def _of_basin(q: np.ndarray, p: np.ndarray, year: np.ndarray) -> dict[str, float]:
    seen = ~(np.isnan(q) | np.isnan(p))
    days = q[seen]
    high, low = days > 9 * np.median(days), days <= 0.2 * days.mean()
    return {
        "q_mean": days.mean(),
        "runoff_ratio": days.mean() / p[seen].mean() if p[seen].any() else np.nan,
        "slope_fdc": slope_fdc(days),
        "baseflow_index": baseflow_index(q),
        "stream_elas": stream_elas(q, p, year),
        "q5": np.quantile(days, 0.05),
        "q95": np.quantile(days, 0.95),
        "high_q_freq": 365.25 * high.mean(),
        "high_q_dur": event_duration(high),
        "low_q_freq": 365.25 * low.mean(),
        "low_q_dur": event_duration(low),
        "zero_q_freq": (days <= 0).mean(),
        "hfd_mean": hfd_mean(q, year),
    }


def slope_fdc(q: np.ndarray) -> float:
    """(q66 - q33) / mean(q) / (0.66 - 0.33), q33 and q66 quantiles of non-exceedance; NaN without
    flow.

    That is Yadav et al. (2007), doi:10.1016/j.advwatres.2007.01.005, Table 3, and gives the numbers
    in `camels_hydro.txt`. The logarithms that Addor et al. (2017) write of do not: those slopes are
    twice as steep.
    """
    low, high = np.quantile(q, [0.33, 0.66])
    return float((high - low) / q.mean() / 0.33) if q.any() else np.nan


def stream_elas(q: np.ndarray, p: np.ndarray, year: np.ndarray) -> float:
    """Median over water years of (dQ/Q) / (dP/P), dQ and dP from the long-term means Q and P.

    Sankarasubramanian et al. (2001), doi:10.1029/2000WR900330. A year counts with 95 % of its days
    observed.
    """
    seen = ~(np.isnan(q) | np.isnan(p))
    years = _whole(year, seen)
    if len(years) < 2 or not q[seen].any() or not p[seen].any():
        return np.nan
    dq, dp = (
        np.array([x[seen & (year == y)].mean() for y in years]) / x[seen].mean() - 1 for x in (q, p)
    )
    return float(np.median(dq[dp != 0] / dp[dp != 0])) if (dp != 0).any() else np.nan


def hfd_mean(q: np.ndarray, year: np.ndarray) -> float:
    """Mean over water years of the day (1 is the first) on which the flow since its start passes
    half of its sum.

    Court (1962), doi:10.1029/JZ067i011p04375. Years without flow or with less than 95 % of the days
    do not count.
    """
    seen = ~np.isnan(q)
    flows = [q[seen & (year == y)] for y in _whole(year, seen)]
    days = [np.argmax(flow.cumsum() > flow.sum() / 2) + 1 for flow in flows if flow.sum() > 0]
    return float(np.mean(days)) if days else np.nan


def _whole(year: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """The years with more than 95 % of 365 days observed."""
    years, days = np.unique(year[seen], return_counts=True)
    return years[days > 0.95 * 365]


def event_duration(inside: np.ndarray) -> float:
    """Mean length of the runs of days `inside`; 0 where there is none, as in CAMELS."""
    runs = np.count_nonzero(np.diff(inside.astype(int), prepend=0) == 1)
    return inside.sum() / runs if runs else 0.0


def baseflow_index(q: np.ndarray) -> float:
    """Sum of the baseflow over that of the flow, on the days that have both; NaN without flow."""
    base = baseflow(q)
    total = q[~np.isnan(base)].sum()
    return float(np.nansum(base) / total) if total > 0 else np.nan


def baseflow(q: np.ndarray) -> np.ndarray:
    """Baseflow of each day by the filter of Lyne and Hollick (1979) as Ladson et al. (2013)
    standardise it.

    Quick flow f_t = 0.925 f_{t-1} + 1.925/2 (q_t - q_{t-1}); baseflow is q - f where f > 0, else q;
    forwards, backwards and forwards again, each pass on the baseflow of the one before, with 30
    days mirrored at either end. Stretches between gaps are filtered one by one; NaN in gaps and in
    stretches of 30 days or fewer. doi:10.7158/13241583.2013.11465417.
    """
    out = np.full(len(q), np.nan)
    seen = np.flatnonzero(~np.isnan(q))
    for days in np.split(seen, np.flatnonzero(np.diff(seen) > 1) + 1):
        if len(days) > REFLECTED:
            out[days] = _filtered(q[days])
    return out


def _filtered(q: np.ndarray) -> np.ndarray:
    base = np.pad(q, REFLECTED, mode="reflect")
    for _ in range(PASSES):
        half = (1 + FILTER) / 2
        # the filter's state is set so that the first quick flow is the flow itself
        quick, _ = lfilter([half, -half], [1, -FILTER], base, zi=[(1 - half) * base[0]])
        base = np.where(quick > 0, base - quick, base)[::-1]
    base = base if PASSES % 2 == 0 else base[::-1]
    return np.maximum(base[REFLECTED:-REFLECTED], 0)
