"""The other hidden model: GR4J after a degree-day snow routine in elevation bands, in plain NumPy.

GR4J after Perrin et al. (2003), doi 10.1016/S0022-1694(03)00225-7; equation numbers are the
paper's. Its structure differs from HBV's, so that models are not only compared on a truth that
favours one of them.
"""

import numpy as np

from hydronb.data.hbv_parameters import PARAMETERS, Parameter
from hydronb.data.synthetic.truth_hbv import convolve, whole_series

BOUNDS = {
    "X1": Parameter(50.0, 1500.0, "mm"),
    "X2": Parameter(-5.0, 3.0, "mm/d"),
    "X3": Parameter(10.0, 500.0, "mm"),
    "X4": Parameter(1.0, 6.0, "d"),
    "TT": PARAMETERS["TT"],
    "CFMAX": PARAMETERS["CFMAX"],
}
"""Low, high and unit of each parameter; the snow routine's are HBV's."""


def simulate(
    prcp: np.ndarray, tmean: np.ndarray, pet: np.ndarray, parameters: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Run snow bands and GR4J over all basins and days, from empty stores.

    Parameters
    ----------
    prcp, tmean, pet
        mm/d, degC, mm/d; shape (basin, time), float64.
    parameters
        `TT` and `CFMAX` of shape (basin, band), the others of `BOUNDS` of shape (basin).

    Returns
    -------
    dict
        `streamflow`, `et` and `exchange` (groundwater gained from outside, negative where lost) in
        mm/d; `snow`, `soil_moisture` (the production store) and `storage` (everything) in mm at the
        day's end. Shape (basin, time). `P - ET - Q + exchange` is the change of `storage` to
        rounding. The model has no baseflow of its own.
    """
    p = parameters
    water, snow = _snow(prcp, tmean, p["TT"], p["CFMAX"])
    production, et, effective = _production(water, pet, p["X1"])
    slow_inflow = convolve(0.9 * effective, _ordinates(p["X4"], _s_curve_1))
    fast_inflow = convolve(0.1 * effective, _ordinates(p["X4"] * 2, _s_curve_2))
    on_its_way = np.cumsum(effective - slow_inflow - fast_inflow, axis=1)
    routing, streamflow, exchange = _routing(slow_inflow, fast_inflow, p["X2"], p["X3"])
    return {
        "streamflow": streamflow,
        "et": et,
        "exchange": exchange,
        "snow": snow,
        "soil_moisture": production,
        "storage": snow + production + on_its_way + routing,
    }


def _snow(
    prcp: np.ndarray, tmean: np.ndarray, tt: np.ndarray, cfmax: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Degree-day snow in each band: rain and melt, and the snowpack at the day's end, means over
    the bands."""
    pack, out = np.zeros_like(tt), []
    for p, t in zip(prcp.T[:, :, None], tmean.T[:, :, None], strict=True):
        above = t - tt
        rain = np.where(above >= 0, p, 0.0)
        pack = pack + (p - rain)
        melt = np.minimum(np.maximum(cfmax * above, 0.0), pack)
        pack = pack - melt
        out.append(((rain + melt).mean(axis=1), pack.mean(axis=1)))
    return whole_series(out)


def _production(
    water: np.ndarray, pet: np.ndarray, x1: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Interception, production store and percolation: the store, evapotranspiration, and the water
    to be routed."""
    net_rain = np.maximum(water - pet, 0.0)  # Eq. 1
    net_pet = np.maximum(pet - water, 0.0)  # Eq. 2
    wetting = np.tanh(np.minimum(net_rain / x1[:, None], 13.0))
    drying = np.tanh(np.minimum(net_pet / x1[:, None], 13.0))
    s, out = np.zeros_like(x1), []
    for pn, wet, dry in zip(net_rain.T, wetting.T, drying.T, strict=True):
        level = s / x1
        filled = x1 * (1 - level**2) * wet / (1 + level * wet)  # Eq. 3
        evaporated = s * (2 - level) * dry / (1 + (1 - level) * dry)  # Eq. 4
        s = s - evaporated + filled  # Eq. 5
        percolation = s * (1 - (1 + (4 / 9 * s / x1) ** 4) ** -0.25)  # Eq. 6
        s = s - percolation  # Eq. 7
        out.append((s, evaporated, percolation + (pn - filled)))  # Eq. 8
    store, evaporated, effective = whole_series(out)
    return store, evaporated + np.minimum(water, pet), effective


def _routing(
    slow: np.ndarray, fast: np.ndarray, x2: np.ndarray, x3: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Routing store, the fast path beside it, and what both actually exchange with the groundwater
    outside."""
    r, out = np.zeros_like(x3), []
    for q9, q1 in zip(slow.T, fast.T, strict=True):
        potential = x2 * (r / x3) ** 3.5  # Eq. 18
        gained = np.maximum(potential, -(r + q9))
        r = r + q9 + gained  # Eq. 19
        from_store = r * (1 - (1 + (r / x3) ** 4) ** -0.25)  # Eq. 20
        r = r - from_store  # Eq. 21
        beside = np.maximum(potential, -q1)
        out.append((r, from_store + q1 + beside, gained + beside))  # Eqs. 22, 23
    return whole_series(out)


def _s_curve_1(share: np.ndarray) -> np.ndarray:
    """Eqs. 9 to 11, of the time over its length X4."""
    return np.clip(share, 0, 1) ** 2.5


def _s_curve_2(share: np.ndarray) -> np.ndarray:
    """Eqs. 12 to 15, of the time over its length 2 X4."""
    share = np.clip(2 * share, 0, 2)
    return np.where(share <= 1, 0.5 * share**2.5, 1 - 0.5 * (2 - share) ** 2.5)


def _ordinates(length: np.ndarray, s_curve: object) -> np.ndarray:
    """Daily ordinates, shape (basin, lag), of a unit hydrograph of `length` days (Eqs. 16, 17)."""
    days = np.arange(int(np.ceil(length.max())) + 1)
    return np.diff(s_curve(days / length[:, None]), axis=1)
