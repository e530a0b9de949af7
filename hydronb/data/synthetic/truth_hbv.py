"""The hidden HBV behind the synthetic catchments, in plain NumPy, written from the equations as a
loop over days.

It shares no code with the model under test (`hydronb.models.hbv`), so that it can also check it;
only the table of names, bounds and units is the same. Structure and order within the day are those
of Feng et al. (2022), doi 10.1029/2022WR032404, with two departures: no store starts or is floored
at a small number, so that no water is created, and a catchment's elements have their own parameters
without a network behind them."""

import numpy as np

from hydronb.data.hbv_parameters import PARAMETERS, ROUTING

BOUNDS = PARAMETERS | {"ROUTE_A": ROUTING["routing_a"], "ROUTE_B": ROUTING["routing_b"]}
"""Low, high and unit of each parameter; the truth stays within the bounds of the model under
test."""

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
        The names of `BOUNDS`, shape (basin, element), except `ROUTE_A` and `ROUTE_B`, shape
        (basin).
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
    forcing = zip(
        *(series.T[:, :, None] for series in (prcp, tmean, pet)),
        *(season[name].T[:, :, None] for name in ("BETA", "BETAET")),
        strict=True,
    )
    stores = tuple(np.zeros((5, *p["FC"].shape)))
    out = []
    for rain_or_snow, t, potential, beta_factor, gamma_factor in forcing:
        today = p | {
            "BETA": np.clip(p["BETA"] * beta_factor, *BOUNDS["BETA"][:2]),
            "BETAET": np.clip(p["BETAET"] * gamma_factor, *BOUNDS["BETAET"][:2]),
        }
        stores, (quick, slow, et) = step(stores, rain_or_snow, t, potential, today)
        snowpack, meltwater, soil, upper, lower = stores
        out.append(
            [
                value.mean(axis=1)
                for value in (quick, slow, et, snowpack + meltwater, soil, upper + lower)
            ]
        )
    names = ("quick", "baseflow", "et", "snow", "soil_moisture", "groundwater")
    series = dict(zip(names, whole_series(out), strict=True))
    weights = unit_hydrograph(p["ROUTE_A"], p["ROUTE_B"])
    slow = series.pop("baseflow")
    released = series.pop("quick") + slow
    streamflow = convolve(released, weights)
    on_its_way = np.cumsum(released - streamflow, axis=1)
    return series | {
        "streamflow": streamflow,
        "baseflow": convolve(slow, weights),
        "storage": series["snow"] + series["soil_moisture"] + series["groundwater"] + on_its_way,
    }


def whole_series(days: list) -> tuple[np.ndarray, ...]:
    """Each series, `(basin, time)`, from the values of all of them on each day."""
    return tuple(np.ascontiguousarray(np.transpose(days, (1, 2, 0))))


def step(
    stores: tuple[np.ndarray, ...],
    prcp: np.ndarray,
    tmean: np.ndarray,
    pet: np.ndarray,
    p: dict[str, np.ndarray],
) -> tuple[tuple[np.ndarray, ...], tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """One day: the stores at its end (snowpack, melt water in it, soil moisture, upper and lower
    zone, mm), and quick flow, baseflow and evapotranspiration, mm/d, not yet routed. Numbers are
    the steps of Feng et al. (2022)."""
    snowpack, meltwater, soil, upper, lower = stores
    above = tmean - p["TT"]
    # (1) rain or snow
    rain = np.where(above >= 0, prcp, 0.0)
    snowpack = snowpack + (prcp - rain)
    # (2) melt
    melt = np.minimum(np.maximum(p["CFMAX"] * above, 0.0), snowpack)
    snowpack, meltwater = snowpack - melt, meltwater + melt
    # (3) refreezing
    refreeze = np.minimum(np.maximum(-p["CFR"] * p["CFMAX"] * above, 0.0), meltwater)
    snowpack, meltwater = snowpack + refreeze, meltwater - refreeze
    # (4) water that the pack cannot hold
    released = np.maximum(meltwater - p["CWH"] * snowpack, 0.0)
    meltwater, water = meltwater - released, rain + released

    # (5) recharge
    recharge = water * np.minimum((soil / p["FC"]) ** p["BETA"], 1.0)
    soil = soil + (water - recharge)
    # (6) overflow of the full soil
    overflow = np.maximum(soil - p["FC"], 0.0)
    soil = soil - overflow
    # (7) evapotranspiration
    et = np.minimum(soil, pet * np.minimum((soil / (p["LP"] * p["FC"])) ** p["BETAET"], 1.0))
    soil = soil - et

    upper = upper + (recharge + overflow)
    # (8) percolation
    percolation = np.minimum(upper, p["PERC"])
    upper, lower = upper - percolation, lower + percolation
    # (9) quick flow above the threshold, interflow
    surface = p["K0"] * np.maximum(upper - p["UZL"], 0.0)
    upper = upper - surface
    interflow = p["K1"] * upper
    # (10) baseflow
    baseflow = p["K2"] * lower
    return (
        (snowpack, meltwater, soil, upper - interflow, lower - baseflow),
        (surface + interflow, baseflow, et),
    )


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
