"""Baseflow: the filtered hydrograph, and the share of streamflow that a model calls baseflow, basin
by basin.

Neither is the truth: one is a filter of the signal, the other a store of a model (Feng et al. 2022,
Sect. 3.2).
"""

import numpy as np
import xarray as xr
from scipy.signal import lfilter

ALPHA, PASSES, REFLECTED = 0.925, 3, 30
"""Filter parameter, passes (forward, backward, forward) and days reflected at both ends (Ladson et
al. 2013)."""


def lyne_hollick(
    streamflow: xr.DataArray,
    *,
    alpha: float = ALPHA,
    passes: int = PASSES,
    reflected: int = REFLECTED,
) -> xr.DataArray:
    """Baseflow of hydrographs, by the digital filter of Lyne and Hollick in the standard form of
    Ladson et al. (2013, doi:10.7158/13241583.2013.11465417):

        quick[t] = alpha quick[t - 1] + (1 + alpha) / 2 (q[t] - q[t - 1]),    baseflow[t] = q[t] -
        max(quick[t], 0)

    Each pass filters the baseflow of the one before, forward and backward in turn. Gaps are bridged
    by straight lines while filtering. One departure: a pass starts without quick flow, instead of
    with all of the first day's flow, so that constant flow is all baseflow; the reflected days make
    either start forgotten.

    Parameters
    ----------
    streamflow
        Daily, over `time` and any other dimensions.

    Returns
    -------
    xarray.DataArray
        `baseflow` in the units of `streamflow`, between 0 and it; NaN where it is, and all through
        a series with no more days observed than are reflected.
    """
    q = streamflow.transpose(..., "time").astype(float)
    q = q.where(q.count("time") > reflected)
    flow = np.apply_along_axis(_bridge, -1, q.to_numpy())
    flow = np.pad(flow, [(0, 0)] * (flow.ndim - 1) + [(reflected, reflected)], mode="reflect")
    for number in range(passes):
        turn = slice(None, None, -1 if number % 2 else 1)
        flow = _pass(flow[..., turn], alpha)[..., turn]
    baseflow = q.copy(data=flow[..., reflected : flow.shape[-1] - reflected]).where(q.notnull())
    attrs = {
        "units": streamflow.attrs.get("units", "mm/d"),
        "long_name": "baseflow (Lyne-Hollick filter)",
    }
    return baseflow.transpose(*streamflow.dims).rename("baseflow").assign_attrs(attrs)


def _bridge(series: np.ndarray) -> np.ndarray:
    known = np.flatnonzero(~np.isnan(series))
    return np.interp(np.arange(len(series)), known, series[known]) if len(known) else series


def _pass(q: np.ndarray, alpha: float) -> np.ndarray:
    quick = lfilter([(1 + alpha) / 2], [1, -alpha], np.diff(q, axis=-1, prepend=q[..., :1]))
    return q - np.maximum(quick, 0)


def baseflow_index(streamflow: xr.DataArray, baseflow: xr.DataArray | None = None) -> xr.DataArray:
    """Mean baseflow over mean streamflow on the days that have both; NaN where no water flows.

    Parameters
    ----------
    streamflow
        Daily, over `time`; observed or simulated.
    baseflow
        Of a model: `q2`, the outflow of its lower zone (Feng et al. 2022, Fig. 5). None:
        `lyne_hollick(streamflow)`, which is how CAMELS' attribute `baseflow_index` was made.
    """
    filtered = baseflow is None
    flow, slow = xr.align(
        streamflow, lyne_hollick(streamflow) if filtered else baseflow, join="inner"
    )
    both = flow.notnull() & slow.notnull()
    total, slow = (da.where(both).sum("time", dtype=float) for da in (flow, slow))
    long_name = "baseflow index, " + ("Lyne-Hollick filter" if filtered else "Q2 / Q")
    return (
        (slow / total.where(total > 0))
        .rename("baseflow_index")
        .assign_attrs(units="1", long_name=long_name)
    )
