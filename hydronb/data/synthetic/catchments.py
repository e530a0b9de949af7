"""Synthetic catchments: a data set that takes seconds to make, whose truth is known, and that
resembles CAMELS-US.

Six kinds of catchment, from arid to snowy, have climates, landscapes and attributes within CAMELS'
ranges. The landscape sets the parameters of a hidden model, the hidden model makes the streamflow,
and a gauge measures it with errors and gaps. Everything that nature hides is included as
`true_*`."""

from statistics import NormalDist

import numpy as np
import pandas as pd
import xarray as xr

from hydronb.data.attributes import KRATZERT2019, camels_descriptions
from hydronb.data.climate import climatic_attributes
from hydronb.data.dataset import check
from hydronb.data.pet import hargreaves
from hydronb.data.synthetic import truth_gr4j, truth_hbv
from hydronb.data.synthetic.weather import Climate, autoregressive, normals, season, stream, weather
from hydronb.parameters import DataParameters

START = "1989-10-01"
"""First day of every synthetic data set; `years` water years follow."""

REGIMES = (
    "arid flashy",
    "dry plains",
    "snowy mountains",
    "humid forest",
    "humid baseflow",
    "maritime wet",
)

ELEMENTS = 8
"""Parts of a catchment, equal in size, that have parameters of their own."""

WARMUP_YEARS = 3
"""Years before `START` over which the stores fill; not part of the data."""

UNEXPLAINED = 0.1
"""Standard deviation of the logarithm of what the attributes do not explain of a parameter."""

NOISE = (0.04, 0.10)
"""How far below 1 the true streamflow's NSE against the measured one lies, from gauge to gauge."""

GAPS = (0.016, 0.044)
"""Share of days without a measurement, from gauge to gauge."""

ET_NOISE = 0.06
"""Standard deviation of the logarithm of the errors in `et`."""

RANGES = {  # a pair of low and high for each of REGIMES, in their order
    "lat": ((31.5, 36), (36, 46), (38, 46), (40, 46), (30.5, 36), (42.5, 48)),
    "lon": ((-113, -104), (-102, -95), (-114, -105.5), (-79, -69), (-90, -81), (-123.9, -121.5)),
    "elev_mean": ((900, 2000), (300, 900), (2000, 3300), (200, 700), (40, 350), (200, 1000)),
    "slope_mean": ((20, 90), (2, 15), (80, 190), (20, 90), (3, 30), (60, 150)),
    "log_area": ((1.3, 3.3), (1.8, 3.3), (1.3, 3.0), (1.3, 3.3), (1.5, 3.3), (1.3, 3.1)),
    "sand_frac": ((30, 50), (15, 40), (35, 60), (30, 55), (45, 75), (25, 45)),
    "clay_frac": ((18, 32), (22, 40), (8, 18), (8, 18), (8, 20), (15, 30)),
    "soil_depth_statsgo": ((0.8, 1.3), (1.3, 1.5), (0.6, 1.2), (1.0, 1.5), (1.35, 1.5), (0.8, 1.4)),
    "soil_depth_pelletier": ((1, 12), (10, 45), (0.5, 2), (1, 10), (15, 48), (0.8, 3)),
    "frac_forest": ((0, 0.3), (0, 0.15), (0.4, 0.85), (0.7, 1), (0.4, 0.8), (0.85, 1)),
    "deciduous": ((0.5, 0.8), (0.75, 0.95), (0.3, 0.5), (0.7, 0.9), (0.45, 0.7), (0.2, 0.4)),
    "carbonate_rocks_frac": ((0, 0.3), (0, 0.2), (0, 0.2), (0, 0.3), (0.3, 1), (0, 0.02)),
    "geol_permeability": (
        (-16, -14),
        (-14.5, -13),
        (-14, -12.5),
        (-15.5, -13.5),
        (-12.8, -11.2),
        (-14, -12.5),
    ),
    "p_mean": ((0.9, 1.5), (1.4, 2.4), (1.8, 3.2), (2.9, 3.8), (3.4, 4.6), (4.5, 7.5)),
    "p_seasonality": ((-0.1, 0.5), (0.4, 0.8), (-0.5, 0.2), (0, 0.2), (-0.2, 0.15), (-1, -0.7)),
    "wet_share": ((0.08, 0.15), (0.16, 0.25), (0.22, 0.35), (0.26, 0.36), (0.2, 0.3), (0.36, 0.5)),
    "persistence": ((0.25, 0.4), (0.15, 0.3), (0.25, 0.4), (0.1, 0.25), (0.2, 0.35), (0.5, 0.65)),
    "amount_shape": ((0.45, 0.6), (0.6, 0.75), (0.7, 0.9), (0.7, 0.85), (0.65, 0.8), (0.8, 1)),
    "year_spread": (
        (0.25, 0.35),
        (0.18, 0.25),
        (0.15, 0.22),
        (0.1, 0.15),
        (0.12, 0.18),
        (0.12, 0.18),
    ),
    "t_mean": ((11, 17.5), (7, 13), (-1, 4), (5, 10), (16, 20), (7, 10.5)),
    "t_amplitude": ((9, 12), (13, 16), (10.5, 13), (12.5, 15), (8.5, 11), (6, 8)),
    "t_range": ((14, 17), (12, 14), (13, 16), (10.5, 12.5), (10.5, 12.5), (7.5, 10)),
    "dew_deficit": ((6, 10), (2, 4), (2, 5), (0, 1.5), (0, 1), (0, 1)),
}


def synthetic_catchments(
    n_basins: int = 24, years: int = 12, seed: int = 0, truth: str = "hbv"
) -> xr.Dataset:
    """Catchments whose streamflow comes from a hidden model, deterministic for given arguments.

    `years` water years from `START`, 1989-10-01: 12 of them end on 2001-09-30. Catchment k is of
    kind `REGIMES[k % 6]` and has the same landscape and weather whatever the number of catchments.
    A shorter data set is the beginning of a longer one, except for measurement errors and climatic
    attributes, which depend on the whole record.

    Parameters
    ----------
    n_basins, years
        How many, from 1.
    seed
        From 0; another seed gives other catchments.
    truth
        `hbv`: eight elements per catchment, seasonal beta and gamma, gamma routing (`truth_hbv`).
        `gr4j`: GR4J and degree-day snow in eight bands, with groundwater exchange (`truth_gr4j`).

    Returns
    -------
    xr.Dataset
        The convention of `hydronb.data.dataset`, ids `syn_0001` on: all forcings except `swe`,
        measured `streamflow` with gaps, `et` as a satellite product gives it, and the 27 attributes
        of Kratzert et al. (2019). In addition, over (basin, time): `true_streamflow` before
        measurement, `true_et`, mm/d; `true_snow`, `true_soil_moisture`, `true_storage` (all water
        in the catchment), mm at the day's end; for `hbv` `true_groundwater`, mm, `true_baseflow`,
        `true_BETA_daily`, `true_BETAET_daily`; for `gr4j` `true_exchange`. Over basin:
        `true_regime` and each parameter's mean over elements (and time), such as `true_FC`.

    Raises
    ------
    ParameterError
        A number below its minimum, or an unknown truth.
    """
    DataParameters.validate_parameters(
        {"n_basins": n_basins, "years": years, "seed": seed, "truth": truth}
    )
    land = _landscape(n_basins, seed)
    start = pd.Timestamp(START)
    time = pd.date_range(
        start - pd.DateOffset(years=WARMUP_YEARS),
        start + pd.DateOffset(years=years),
        freq="D",
        inclusive="left",
    )
    ds = _forcing(land, time, seed)
    forcing = [ds[name].to_numpy().astype(np.float64) for name in ("prcp", "tmean", "pet")]
    series, parameters = (_hbv if truth == "hbv" else _gr4j)(land, forcing, time, seed)
    ds = ds.assign(
        {
            f"true_{name}": (("basin", "time"), values.astype(np.float32), true_attrs(name))
            for name, values in series.items()
        }
    ).sel(time=slice(START, None))
    ds = ds.assign(
        {
            "streamflow": (("basin", "time"), measured(ds["true_streamflow"].to_numpy(), seed)),
            "et": (("basin", "time"), estimated(ds["true_et"].to_numpy(), seed)),
            **_attributes(land, ds),
            **{
                f"true_{name}": (
                    "basin",
                    values.mean(axis=1) if values.ndim == 2 else values,
                    {
                        "units": (truth_hbv.BOUNDS | truth_gr4j.BOUNDS)[name].unit,
                        "long_name": f"true {name}, mean",
                    },
                )
                for name, values in parameters.items()
            },
            "true_regime": (
                "basin",
                np.array([_regime(b) for b in range(n_basins)], dtype=object),
                {"units": "category", "long_name": "kind of catchment"},
            ),
        }
    ).assign_attrs(
        title=f"{n_basins} synthetic catchments, {years} years from {START}, seed {seed}, truth"
        f" {truth}",
        source="hydronb.data.synthetic.catchments",
    )
    return check(ds, where="the synthetic dataset")


# Landscape
# ---


def _regime(basin: int) -> str:
    return REGIMES[basin % len(REGIMES)]


def _landscape(n_basins: int, seed: int) -> dict[str, np.ndarray]:
    """Landscape and climate of each catchment, arrays of shape (basin): the names of `RANGES` and
    what is derived from them."""
    draws = np.stack([stream(seed, b, 0).random(len(RANGES) + 5) for b in range(n_basins)])
    kind = np.arange(n_basins) % len(REGIMES)
    land = {}
    for column, (name, ranges) in enumerate(RANGES.items()):
        low, high = np.array(ranges, dtype=float)[kind].T
        land[name] = low + (high - low) * draws[:, column]
    spare = dict(
        zip(
            ("porosity", "conductivity", "water", "lai", "gvf"),
            2 * draws[:, len(RANGES) :].T - 1,
            strict=True,
        )
    )
    sand, clay, forest = land["sand_frac"], land["clay_frac"], land["frac_forest"]
    land |= {
        "silt_frac": 100 - sand - clay,
        "area_gages2": 10 ** land["log_area"],
        # Cosby et al. (1984), as CAMELS derives both from sand and clay
        "soil_porosity": (50.5 - 0.142 * sand - 0.037 * clay) / 100 + 0.01 * spare["porosity"],
        "soil_conductivity": (
            2.54 * 10 ** (-0.6 + 0.0126 * sand - 0.0064 * clay) * (1 + 0.1 * spare["conductivity"])
        ),
        "lai_max": 0.8 + 4.2 * forest + 0.5 * spare["lai"],
        "gvf_max": 0.30 + 0.12 * np.sqrt(land["p_mean"]) + 0.27 * forest + 0.04 * spare["gvf"],
    }
    depth, deciduous = land["soil_depth_statsgo"], land["deciduous"]
    return land | {
        "max_water_content": land["soil_porosity"] * depth * (0.93 + 0.05 * spare["water"]),
        "lai_diff": land["lai_max"] * deciduous,
        "gvf_diff": 0.7 * land["gvf_max"] * deciduous,
    }


def _forcing(land: dict[str, np.ndarray], time: pd.DatetimeIndex, seed: int) -> xr.Dataset:
    """Forcings and coordinates; `pet` follows from the temperatures as they are stored."""
    climate = Climate(**{name: land[name] for name in Climate._fields})
    n_basins = len(land["lat"])
    lat = np.round(land["lat"], 4)
    ds = xr.Dataset(
        {
            name: (("basin", "time"), values.astype(np.float32))
            for name, values in weather(climate, lat, time, seed).items()
        },
        coords={
            "basin": np.array([f"syn_{b + 1:04d}" for b in range(n_basins)], dtype=object),
            "time": time,
            "lat": ("basin", lat),
            "lon": ("basin", np.round(land["lon"], 4)),
            "area": ("basin", np.round(land["area_gages2"], 2)),
            "gauge_name": (
                "basin",
                np.array(
                    [f"Synthetic catchment {b + 1} ({_regime(b)})" for b in range(n_basins)],
                    dtype=object,
                ),
            ),
        },
    )
    return ds.assign(pet=hargreaves(ds["tmin"], ds["tmax"], ds["lat"]))


# Hidden models
# ---


def _part(values: np.ndarray, low: float | int, high: float | int) -> np.ndarray:
    """Where `values` lie between `low` and `high`, 0 to 1."""
    return np.clip((values - low) / (high - low), 0, 1)


def _traits(land: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The landscape on scales from 0 to 1, as the parameters read it."""
    return {
        "steep": _part(land["slope_mean"], 0, 150),
        "large": _part(land["log_area"], 1.3, 3.3),
        "loose": _part(np.log10(land["soil_conductivity"]), -0.3, 0.7),
        "permeable": _part(land["geol_permeability"], -15.5, -11),
        "high": _part(land["elev_mean"], 0, 3300),
        "deep": _part(land["soil_depth_pelletier"], 0, 50),
        "clayey": _part(land["clay_frac"], 5, 40),
        "green": _part(land["gvf_max"], 0.4, 0.95),
        "forest": land["frac_forest"],
        "karst": land["carbonate_rocks_frac"],
    }


def _hbv_parameters(land: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """HBV's parameters as the landscape sets them, (basin): the relation a regional model has to
    learn."""
    t = _traits(land)
    return {
        "FC": 60 + 650 * land["max_water_content"] * (0.5 + 0.5 * t["forest"]),
        "BETA": 1.2 + 2.2 * t["loose"] + 0.8 * t["forest"],
        "LP": 0.95 - 0.5 * t["green"],
        "BETAET": 0.6 + 1.6 * t["loose"],
        "K0": 0.15 + 0.6 * t["steep"],
        "K1": 0.05 + 0.15 * t["loose"] + 0.1 * t["steep"],
        "K2": 10 ** (-1.2 - 1.3 * t["deep"]),
        "PERC": 0.2 + 3 * t["permeable"] ** 1.5 + 1.5 * t["karst"],
        "UZL": 4 + 38 * t["forest"] * (1 - 0.5 * t["clayey"]),
        "TT": -0.5 + 1.2 * t["high"],
        "CFMAX": 6 - 3.5 * t["forest"],
        "CFR": 0.02 + 0.05 * t["forest"],
        "CWH": 0.05 + 0.1 * t["forest"],
        "ROUTE_A": 0.3 + 1.8 * t["large"],
        "ROUTE_B": 0.1 + 1.8 * t["large"] * (1 - 0.6 * t["steep"]),
    }


def _gr4j_parameters(land: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """GR4J's and the snow routine's parameters as the landscape sets them, (basin)."""
    t = _traits(land)
    return {
        "X1": 60 + 800 * land["max_water_content"] * (0.4 + 0.6 * t["forest"]),
        "X2": 0.6 - 1.2 * t["permeable"] + 0.5 * t["karst"],
        "X3": 20 + 130 * t["permeable"] * (0.4 + 0.6 * t["deep"]) + 40 * t["karst"],
        "X4": 1.1 + 2.4 * t["large"] * (1 - 0.6 * t["steep"]),
        "TT": -0.5 + 1.2 * t["high"],
        "CFMAX": 6 - 3.5 * t["forest"],
    }


ELEMENT_SPREAD = {
    "FC": 0.35,
    "BETA": 0.25,
    "LP": 0.1,
    "BETAET": 0.25,
    "K0": 0.2,
    "K1": 0.3,
    "K2": 0.4,
    "PERC": 0.5,
    "UZL": 0.5,
    "CFMAX": 0.2,
    "CFR": 0.2,
    "CWH": 0.2,
}
"""Standard deviation of the logarithm of a parameter between a catchment's elements."""


def _with_elements(
    law: dict[str, np.ndarray],
    land: dict[str, np.ndarray],
    seed: int,
    bounds: dict[str, tuple],
) -> dict[str, np.ndarray]:
    """Parameters of shape (basin, element) where elements differ, else (basin), within their
    bounds.

    Elements lie at the quantiles of their distribution, at the middles of equal parts, in an order
    drawn for each parameter. `TT` differs by the relief: a higher element is a colder one."""
    quantiles = np.array([NormalDist().inv_cdf((k + 0.5) / ELEMENTS) for k in range(ELEMENTS)])
    relief = 0.2 + 1.0 * _part(land["slope_mean"], 0, 190)
    out = {}
    for process, (name, centre) in enumerate(law.items(), start=20):
        rngs = [stream(seed, b, process) for b in range(len(centre))]
        unexplained = UNEXPLAINED * np.array([rng.standard_normal() for rng in rngs])
        order = np.stack([rng.permutation(quantiles) for rng in rngs])
        values = centre + unexplained if name in ("TT", "X2") else centre * np.exp(unexplained)
        if name == "TT":
            values = values[:, None] + relief[:, None] * order
        elif name in ELEMENT_SPREAD:
            values = values[:, None] * np.exp(ELEMENT_SPREAD[name] * order)
        out[name] = np.clip(values, bounds[name].low, bounds[name].high)
    return out


def _hbv(
    land: dict[str, np.ndarray], forcing: list[np.ndarray], time: pd.DatetimeIndex, seed: int
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Series and parameters of HBV with beta higher and gamma lower in summer: cracks and roots let
    less water pass, and more evaporate."""
    parameters = _with_elements(_hbv_parameters(land), land, seed, truth_hbv.BOUNDS)
    clayey = _part(land["clay_frac"], 5, 40)[:, None]
    leafy = _part(land["gvf_diff"], 0, 0.6)[:, None]
    factors = {
        "BETA": np.exp((0.1 + 0.3 * clayey) * season(time)),
        "BETAET": np.exp(-(0.15 + 0.5 * leafy) * season(time)),
    }
    series = truth_hbv.simulate(*forcing, parameters, factors)
    for name, factor in factors.items():
        low, high, *_ = truth_hbv.BOUNDS[name]
        series[f"{name}_daily"] = parameters[name] = sum(
            np.clip(element[:, None] * factor, low, high) / ELEMENTS
            for element in parameters[name].T
        )
    return series, parameters


def _gr4j(
    land: dict[str, np.ndarray], forcing: list[np.ndarray], time: pd.DatetimeIndex, seed: int
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    parameters = _with_elements(_gr4j_parameters(land), land, seed, truth_gr4j.BOUNDS)
    return truth_gr4j.simulate(*forcing, parameters), parameters


def true_attrs(name: str) -> dict[str, str]:
    """Units and long name of a hidden series, `true_NAME`."""
    units = dict.fromkeys(("snow", "soil_moisture", "groundwater", "storage"), "mm") | {
        "BETA_daily": "1",
        "BETAET_daily": "1",
    }
    words = {
        "et": "actual evapotranspiration",
        "snow": "snowpack and its melt water",
        "groundwater": "water in the upper and lower zone",
        "storage": "all water stored",
        "exchange": "groundwater gained from outside",
    }
    return {
        "units": units.get(name, "mm/d"),
        "long_name": f"true {words.get(name, name.replace('_', ' '))}",
    }


# Gauge
# ---


def measured(flow: np.ndarray, seed: int) -> np.ndarray:
    """Streamflow as a gauge reports it: with errors that drift as a rating curve does, three
    decimals, gaps. Shape (basin, time).

    The factors' spread is such that the truth itself scores an NSE of about 1 - `NOISE` against the
    measurement."""
    n_basins, n_days = flow.shape
    shocks = normals(seed, n_basins, 10, n_days)
    rngs = [stream(seed, b, 11) for b in range(n_basins)]
    lost = np.array([rng.uniform(*NOISE) for rng in rngs])
    flow = flow.astype(np.float64)
    power = np.maximum((flow**2).mean(axis=1), 1e-12)
    spread = np.sqrt(np.log1p(np.minimum(lost * flow.var(axis=1) / power, 0.15)))[:, None]
    measured = np.round(flow * np.exp(spread * autoregressive(shocks, 0.8) - spread**2 / 2), 3)
    for series, rng in zip(measured, rngs, strict=True):
        series[_gaps(n_days, rng)] = np.nan
    return measured.astype(np.float32)


def estimated(et: np.ndarray, seed: int) -> np.ndarray:
    """Evapotranspiration as a satellite product has it: errors that last some days, three decimals,
    no gaps. Shape (basin, time)."""
    drift = autoregressive(normals(seed, len(et), 70, et.shape[1]), 0.7)
    return np.round(et.astype(np.float64) * np.exp(ET_NOISE * drift - ET_NOISE**2 / 2), 3).astype(
        np.float32
    )


def _gaps(n_days: int, rng: np.random.Generator) -> np.ndarray:
    """Days without a measurement: gaps of the same length, apart from each other."""
    missing = max(1, round(n_days * rng.uniform(*GAPS)))
    length = min(missing, int(rng.integers(5, 40)))
    starts = rng.choice(n_days // length, round(missing / length), replace=False) * length
    return (starts[:, None] + np.arange(length)).ravel()


# Attributes
# ---


def _attributes(land: dict[str, np.ndarray], ds: xr.Dataset) -> dict[str, tuple]:
    """The 27 attributes of Kratzert et al. (2019), in their order, as `(basin)` variables."""
    values = {
        name: np.round(land[name], 4) for name in KRATZERT2019 if name in land
    } | climatic_attributes(ds)
    texts = {name: camels_descriptions()[name] for name in KRATZERT2019} | {
        "pet_mean": ("mm/d", "mean daily potential evapotranspiration (Hargreaves)")
    }
    return {
        name: ("basin", values[name], {"units": units, "long_name": long_name})
        for name, (units, long_name) in texts.items()
    }
