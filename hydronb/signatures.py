"""The 13 hydrological signatures of CAMELS, from daily streamflow and precipitation, and baseflow.

Source: Addor et al. (2017), doi:10.5194/hess-21-5293-2017, Table 3, in the conventions of the code
that made `camels_hydro.txt`: medians, quantiles (linear interpolation) and thresholds over all
observed days together, missing days left out (a gap neither ends nor lengthens an event), water
years. CAMELS' own table is for 1989-10-01 to 2009-09-30. Where the paper's text and the published
numbers disagree, the numbers are followed, and the docstring says so.
"""

import numpy as np
import xarray as xr

from hydronb.data.climate import mean_spell, water_year
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
"""Parameter and passes of the baseflow filter, and days reflected at each end (Ladson et al.,
2013)."""
WHY = {
    "runoff_ratio": "no precipitation",
    "slope_fdc": "no flow",
    "baseflow_index": "no flow, or never 31 consecutive observed days",
    "stream_elas": "fewer than two whole water years, no flow, or precipitation that never changes",
    "hfd_mean": "no whole water year with flow",
}
"""Why a signature is undefined."""


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
        First month of the water year.

    Returns
    -------
    xarray.Dataset
        One variable per signature over `basin`, with units, and the coordinate `undefined` (basin):
        which signatures a basin lacks and why, empty where it lacks none.

    Raises
    ------
    DataError
        Other dimensions than basin and time, no day or basin in common, or days that are not daily.
    """
    for name, da in (("streamflow", streamflow), ("prcp", prcp)):
        if set(da.dims) != {"basin", "time"}:
            raise DataError(f"signatures need {name} over (basin, time), not {da.dims}")
    q, p = xr.align(streamflow, prcp, join="inner")
    if empty := [dim for dim in ("basin", "time") if q.sizes[dim] == 0]:
        raise DataError(
            f"streamflow and prcp have no {empty[0]} in common, so there are no signatures"
        )
    require_daily(q.indexes["time"], "signatures")
    q, p = (x.transpose("basin", "time").astype(float) for x in (q, p))
    year = water_year(q["time"], first_month).values
    index = baseflow_index(q).values
    missing = (q.isnull() | p.isnull()).mean("time").values
    refused = missing >= max(max_missing, 1e-9)
    rows = [
        dict.fromkeys(SIGNATURES, np.nan)
        if refused[b]
        else _of_basin(q.values[b], p.values[b], year) | {"baseflow_index": index[b]}
        for b in range(q.sizes["basin"])
    ]
    undefined = [
        f"all: {missing[b]:.0%} of the days are missing"
        if refused[b]
        else "; ".join(f"{name}: {WHY[name]}" for name in SIGNATURES if np.isnan(row[name]))
        for b, row in enumerate(rows)
    ]
    variables = {
        name: ("basin", [row[name] for row in rows], {"units": units, "long_name": long_name})
        for name, (units, long_name) in SIGNATURES.items()
    }
    return xr.Dataset(
        variables,
        {name: c for name, c in q.coords.items() if c.dims == ("basin",)}
        | {"undefined": ("basin", np.array(undefined, object))},
    )


def _of_basin(q: np.ndarray, p: np.ndarray, year: np.ndarray) -> dict[str, float]:
    observed = ~(np.isnan(q) | np.isnan(p))
    days = q[observed]
    high, low = days > 9 * np.median(days), days <= 0.2 * days.mean()
    return {
        "q_mean": days.mean(),
        "runoff_ratio": days.mean() / p[observed].mean() if p[observed].any() else np.nan,
        "slope_fdc": slope_fdc(days),
        "stream_elas": stream_elas(q, p, year),
        "q5": np.quantile(days, 0.05),
        "q95": np.quantile(days, 0.95),
        "high_q_freq": 365.25 * high.mean(),
        "high_q_dur": mean_spell(high),
        "low_q_freq": 365.25 * low.mean(),
        "low_q_dur": mean_spell(low),
        "zero_q_freq": (days <= 0).mean(),
        "hfd_mean": hfd_mean(q, year),
    }


def slope_fdc(q: np.ndarray) -> float:
    """(q66 - q33) / mean(q) / (0.66 - 0.33), q33 and q66 quantiles of non-exceedance; NaN without
    flow.

    This is Yadav et al. (2007), doi:10.1016/j.advwatres.2007.01.005, Table 3, and gives the numbers
    in `camels_hydro.txt`. The logarithms of which Addor et al. (2017) write do not: those slopes
    are twice as steep.
    """
    low, high = np.quantile(q, [0.33, 0.66])
    return float((high - low) / q.mean() / 0.33) if q.any() else np.nan


def stream_elas(q: np.ndarray, p: np.ndarray, year: np.ndarray) -> float:
    """Median over water years of (dQ/Q) / (dP/P), dQ and dP from the long-term means Q and P.

    Sankarasubramanian et al. (2001), doi:10.1029/2000WR900330. A year counts with 95 % of its days
    observed.
    """
    observed = ~(np.isnan(q) | np.isnan(p))
    years = _whole_years(year, observed)
    if len(years) < 2 or not q[observed].any() or not p[observed].any():
        return np.nan
    dq, dp = (
        np.array([x[observed & (year == y)].mean() for y in years]) / x[observed].mean() - 1
        for x in (q, p)
    )
    return float(np.median(dq[dp != 0] / dp[dp != 0])) if (dp != 0).any() else np.nan


def hfd_mean(q: np.ndarray, year: np.ndarray) -> float:
    """Mean over water years of the day (1 is the first) on which the flow since its start passes
    half of its sum.

    Court (1962), doi:10.1029/JZ067i011p04375. Years without flow or with less than 95 % of the days
    do not count.
    """
    observed = ~np.isnan(q)
    flows = [q[observed & (year == y)] for y in _whole_years(year, observed)]
    days = [np.argmax(flow.cumsum() > flow.sum() / 2) + 1 for flow in flows if flow.sum() > 0]
    return float(np.mean(days)) if days else np.nan


def _whole_years(year: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """The years with more than 95 % of 365 days observed."""
    years, days = np.unique(year[observed], return_counts=True)
    return years[days > 0.95 * 365]


def baseflow(streamflow: xr.DataArray) -> xr.DataArray:
    """Baseflow of each day by the filter of Lyne and Hollick (1979) as Ladson et al. (2013)
    standardise it.

    Quick flow f_t = 0.925 f_{t-1} + 1.925/2 (q_t - q_{t-1}); baseflow is q - f where f > 0, else q;
    forwards, backwards and forwards again, each pass on the baseflow of the one before, with 30
    days reflected at either end. Each pass starts with all flow as quick flow, which is what gives
    the baseflow index of CAMELS. Stretches between gaps are filtered one by one.
    doi:10.7158/13241583.2013.11465417.

    Parameters
    ----------
    streamflow
        Daily, over `time` and any other dimensions.

    Returns
    -------
    xarray.DataArray
        `baseflow` in the units and dimensions of `streamflow`, between 0 and it; NaN in gaps and in
        stretches of 30 days or fewer.
    """
    return (
        xr.apply_ufunc(
            _filter_stretches,
            streamflow.astype(float),
            input_core_dims=[["time"]],
            output_core_dims=[["time"]],
            vectorize=True,
        )
        .transpose(*streamflow.dims)
        .rename("baseflow")
        .assign_attrs(
            units=streamflow.attrs.get("units", "mm/d"), long_name="baseflow (Lyne-Hollick filter)"
        )
    )


def _filter_stretches(q: np.ndarray) -> np.ndarray:
    base = np.full(len(q), np.nan)
    observed = np.flatnonzero(~np.isnan(q))
    for days in np.split(observed, np.flatnonzero(np.diff(observed) > 1) + 1):
        if len(days) > REFLECTED:
            base[days] = _lyne_hollick(q[days])
    return base


def _lyne_hollick(q: np.ndarray) -> np.ndarray:
    from scipy.signal import lfilter

    base = np.pad(q, REFLECTED, mode="reflect")
    half = (1 + FILTER) / 2
    for _ in range(PASSES):
        # the filter's state is set so that the first quick flow is the flow itself
        quick, _ = lfilter([half, -half], [1, -FILTER], base, zi=[(1 - half) * base[0]])
        base = np.where(quick > 0, base - quick, base)[::-1]
    # the number of passes is odd: what the last one turned is turned back
    return np.maximum(base[::-1][REFLECTED:-REFLECTED], 0)


def baseflow_index(streamflow: xr.DataArray, modelled: xr.DataArray | None = None) -> xr.DataArray:
    """Mean baseflow over mean streamflow on the days that have both; NaN where no water flows.

    Parameters
    ----------
    streamflow
        Daily, over `time` and any other dimensions; observed or simulated.
    modelled
        A model's own baseflow: `q2`, the outflow of HBV's lower zone (Feng et al. 2022, Fig. 5).
        None: `baseflow(streamflow)`, the filter that gives CAMELS' attribute `baseflow_index`.
    """
    base = baseflow(streamflow) if modelled is None else modelled
    flow, base = xr.align(streamflow, base, join="inner")
    both = flow.notnull() & base.notnull()
    total, slow = (da.where(both).sum("time", dtype=float) for da in (flow, base))
    return (
        (slow / total.where(total > 0))
        .rename("baseflow_index")
        .assign_attrs(
            units="1",
            long_name=f"baseflow index, {'Lyne-Hollick filter' if modelled is None else 'Q2 / Q'}",
        )
    )
