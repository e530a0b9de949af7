"""The hidden HBV behind the synthetic catchments: plain NumPy, written from the equations, loop
over days.

It shares no code with the model under test (`hydronb.models.hbv`), so that it can also guard it.
Structure and order within the day are those of Feng et al. (2022), doi 10.1029/2022WR032404, with
two departures: no store starts or is floored at a small number, so that no water is made, and a
catchment's elements have their own parameters without a network behind them."""

import numpy as np

BOUNDS = {
    "BETA": (1.0, 6.0),
    "FC": (50.0, 1000.0),
    "K0": (0.05, 0.9),
    "K1": (0.01, 0.5),
    "K2": (0.001, 0.2),
    "LP": (0.2, 1.0),
    "PERC": (0.0, 10.0),
    "UZL": (0.0, 100.0),
    "TT": (-2.5, 2.5),
    "CFMAX": (0.5, 10.0),
    "CFR": (0.0, 0.1),
    "CWH": (0.0, 0.2),
    "BETAET": (0.3, 5.0),
    "ROUTE_A": (0.0, 2.9),
    "ROUTE_B": (0.0, 6.5),
}
"""Low and high of each parameter (Feng et al. 2022); the truth stays within them, as the model
under test must."""

UNITS = {
    "BETA": "1",
    "FC": "mm",
    "K0": "1/d",
    "K1": "1/d",
    "K2": "1/d",
    "LP": "1",
    "PERC": "mm/d",
    "UZL": "mm",
    "TT": "degC",
    "CFMAX": "mm/degC/d",
    "CFR": "1",
    "CWH": "1",
    "BETAET": "1",
    "ROUTE_A": "1",
    "ROUTE_B": "d",
}

ROUTING_DAYS = 15


def simulate(
    prcp: np.ndarray,
    tmean: np.ndarray,
    pet: np.ndarray,
    parameters: dict[str, np.ndarray],
    season: dict[str, np.ndarray],
) -> dict[str, np.ndarray]:
    """Run HBV over all basins, elements and days, from empty stores.

    Parameters
    ----------
    prcp, tmean, pet
        mm/d, degC, mm/d; shape (basin, time), float64.
    parameters
        The names of `BOUNDS`, shape (basin, element), but `ROUTE_A` and `ROUTE_B` of shape (basin).
    season
        Factors on `BETA` and `BETAET`, shape (basin, time); the products are kept within `BOUNDS`.

    Returns
    -------
    dict
        `streamflow`, `et`, `baseflow` (the routed outflow of the slow store) in mm/d; `snow` (pack
        and melt water), `soil_moisture`, `groundwater` (upper and lower zone) and `storage` (all
        stores and the water on its way to the gauge) in mm at the day's end. Shape (basin, time),
        means over the elements. `P - ET - Q` is the change of `storage` to rounding.
    """
    p = parameters
    beta = season["BETA"].T[:, :, None]
    gamma = season["BETAET"].T[:, :, None]
    forcing = zip(
        prcp.T[:, :, None], tmean.T[:, :, None], pet.T[:, :, None], beta, gamma, strict=True
    )
    stores = empty_stores(p["FC"].shape)
    names = ("quick", "baseflow", "et", "snow", "soil_moisture", "groundwater")
    out = {name: np.empty(prcp.shape[::-1]) for name in names}
    for day, (rain_or_snow, t, potential, beta_factor, gamma_factor) in enumerate(forcing):
        today = p | {
            "BETA": _within("BETA", p["BETA"] * beta_factor),
            "BETAET": _within("BETAET", p["BETAET"] * gamma_factor),
        }
        stores, (quick, slow, et) = step(stores, rain_or_snow, t, potential, today)
        snowpack, meltwater, soil, upper, lower = stores
        snow = snowpack + meltwater
        values = (quick, slow, et, snow, soil, upper + lower)
        for name, value in zip(names, values, strict=True):
            out[name][day] = value.mean(axis=1)
    out = {name: np.ascontiguousarray(value.T) for name, value in out.items()}
    return _routed(out, unit_hydrograph(p["ROUTE_A"], p["ROUTE_B"]))


def empty_stores(shape: tuple[int, ...]) -> tuple[np.ndarray, ...]:
    """Snowpack, its melt water, soil moisture, upper and lower zone, mm."""
    return tuple(np.zeros(shape) for _ in range(5))


def step(
    stores: tuple[np.ndarray, ...],
    prcp: np.ndarray,
    tmean: np.ndarray,
    pet: np.ndarray,
    p: dict[str, np.ndarray],
) -> tuple[tuple[np.ndarray, ...], tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """One day: the stores at its end, and quick flow, baseflow and evapotranspiration, mm/d, not
    yet routed."""
    snowpack, meltwater, soil, upper, lower = stores
    snowpack, meltwater, water = _snow(snowpack, meltwater, prcp, tmean, p)
    soil, recharge, et = _soil(soil, water, pet, p["BETA"], p["BETAET"], p)
    upper, lower, quick, slow = _response(upper, lower, recharge, p)
    return (snowpack, meltwater, soil, upper, lower), (quick, slow, et)


def _snow(
    snowpack: np.ndarray,
    meltwater: np.ndarray,
    prcp: np.ndarray,
    t: np.ndarray,
    p: dict[str, np.ndarray],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Steps 1 to 4: snowfall, melt, refreezing, and the water that the pack cannot hold."""
    above = t - p["TT"]
    rain = np.where(above >= 0, prcp, 0.0)
    snowpack = snowpack + (prcp - rain)
    melt = np.minimum(np.maximum(p["CFMAX"] * above, 0.0), snowpack)
    snowpack = snowpack - melt
    meltwater = meltwater + melt
    refreeze = np.minimum(np.maximum(-p["CFR"] * p["CFMAX"] * above, 0.0), meltwater)
    snowpack = snowpack + refreeze
    meltwater = meltwater - refreeze
    released = np.maximum(meltwater - p["CWH"] * snowpack, 0.0)
    return snowpack, meltwater - released, rain + released


def _soil(
    soil: np.ndarray,
    water: np.ndarray,
    pet: np.ndarray,
    beta: np.ndarray,
    gamma: np.ndarray,
    p: dict[str, np.ndarray],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Steps 5 to 7: recharge, overflow of the full soil, evapotranspiration."""
    recharge = water * np.minimum((soil / p["FC"]) ** beta, 1.0)
    soil = soil + (water - recharge)
    overflow = np.maximum(soil - p["FC"], 0.0)
    soil = soil - overflow
    et = np.minimum(soil, pet * np.minimum((soil / (p["LP"] * p["FC"])) ** gamma, 1.0))
    return soil - et, recharge + overflow, et


def _response(
    upper: np.ndarray, lower: np.ndarray, recharge: np.ndarray, p: dict[str, np.ndarray]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Steps 8 to 10: percolation, quick flow above the threshold, interflow, baseflow."""
    upper = upper + recharge
    percolation = np.minimum(upper, p["PERC"])
    upper = upper - percolation
    surface = p["K0"] * np.maximum(upper - p["UZL"], 0.0)
    upper = upper - surface
    interflow = p["K1"] * upper
    lower = lower + percolation
    baseflow = p["K2"] * lower
    return upper - interflow, lower - baseflow, surface + interflow, baseflow


def unit_hydrograph(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Gamma unit hydrograph of shape (basin, 15), summing to 1 (shape a + 0.1, scale b + 0.5
    days)."""
    t = np.arange(ROUTING_DAYS) + 0.5
    weights = t ** (a[:, None] - 0.9) * np.exp(-t / (b[:, None] + 0.5))
    return weights / weights.sum(axis=1, keepdims=True)


def convolve(inflow: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Causal convolution over time; `inflow` (basin, time), `weights` (basin, lag)."""
    outflow = weights[:, :1] * inflow
    for lag in range(1, min(weights.shape[1], inflow.shape[1])):
        outflow[:, lag:] += weights[:, lag : lag + 1] * inflow[:, :-lag]
    return outflow


def _routed(out: dict[str, np.ndarray], weights: np.ndarray) -> dict[str, np.ndarray]:
    released = out.pop("quick") + out["baseflow"]
    streamflow = convolve(released, weights)
    on_its_way = np.cumsum(released - streamflow, axis=1)
    baseflow = convolve(out.pop("baseflow"), weights)
    storage = out["snow"] + out["soil_moisture"] + out["groundwater"] + on_its_way
    return out | {"streamflow": streamflow, "baseflow": baseflow, "storage": storage}


def _within(name: str, values: np.ndarray) -> np.ndarray:
    return np.clip(values, *BOUNDS[name])
