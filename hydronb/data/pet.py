"""Potential evapotranspiration (PET): Hargreaves and Oudin, and which one a source gets; and the
vapour pressure of air."""

import warnings
from collections.abc import Iterator

import numpy as np
import pandas as pd
import xarray as xr

from hydronb.data.dataset import is_place
from hydronb.data.problems import raise_first
from hydronb.errors import DataError, ParameterError, nearest

METHODS = ("auto", "source", "hargreaves", "oudin", "none")

MM_PER_MJ = 0.408
"""Water that 1 MJ/m2 evaporates, mm (latent heat 2.45 MJ/kg; FAO-56, Eq. 20)."""

HIGHEST_RATIO = 0.77 * 0.75
"""Highest plausible mean PET over `MM_PER_MJ` times the extraterrestrial radiation, median over the
basins.

What a reference crop absorbs (albedo 0.23) under a sky that is clear on every day (0.75 of the
radiation gets through), with no loss by long waves: more energy than there ever is. CAMELS'
`pet_mean` is 0.18 to 0.37 of the radiation's equivalent, with a median of 0.23 over 671 basins;
Caravan's ERA5-Land PET has a median of 1.19 over 402 basins, and 2.3 in one."""

LOWEST_RATIO = 0.02
"""Lowest plausible ratio. Below it the sign is turned, or the unit is not mm/d."""

FAO = "FAO_PENMAN_MONTEITH"
"""How Caravan's name of its Penman-Monteith PET ends."""

IMPOSSIBLE_NAMES = ("potential_evaporation_sum", "potential_evaporation_sum_ERA5_LAND")
"""Caravan's names of ERA5-Land PET, up to version 1.4 and since. It is refused by name, because it
may look plausible in a few basins."""


class PetWarning(UserWarning):
    """A source's own PET is impossible and is replaced."""


def extraterrestrial_radiation(
    lat: xr.DataArray | float, time: xr.DataArray | pd.DatetimeIndex
) -> xr.DataArray:
    """Daily radiation at the top of the atmosphere, MJ/m2/d, never below 0 (FAO-56, Eqs. 21 to 25).

    Parameters
    ----------
    lat
        Latitude, degrees north, for example `(basin)`.
    time
        Days.

    Returns
    -------
    xr.DataArray
        The dims of `lat`, then `time`. 0 in the polar night; the sun may stay up all day.
    """
    angle, latitude, declination, sunset = _sun(lat, time)
    # Eq. 23
    distance = 1 + 0.033 * np.cos(angle)
    sun = sunset * np.sin(latitude) * np.sin(declination) + np.cos(latitude) * np.cos(
        declination
    ) * np.sin(sunset)
    return (
        (24 * 60 / np.pi * 0.0820 * distance * sun)  # Eq. 21
        .clip(min=0)
        .transpose(..., "time")
        .rename("ra")
        .assign_attrs(units="MJ m-2 d-1", long_name="extraterrestrial radiation")
    )


def day_length(lat: xr.DataArray | float, time: xr.DataArray | pd.DatetimeIndex) -> xr.DataArray:
    """Time from sunrise to sunset, s (FAO-56, Eq. 34); arguments and dims as
    `extraterrestrial_radiation`."""
    *_, sunset = _sun(lat, time)
    return (
        (86400 / np.pi * sunset)
        .transpose(..., "time")
        .rename("dayl")
        .assign_attrs(units="s", long_name="day length")
    )


def _sun(lat: xr.DataArray | float, time: xr.DataArray | pd.DatetimeIndex) -> tuple:
    """Angles in radians: of the year, of latitude, of the sun's declination, and its hour angle at
    sunset."""
    days = xr.DataArray(time, dims="time", coords={"time": time})
    angle = 2 * np.pi / 365 * days.dt.dayofyear.astype(np.float64)
    # Eq. 24
    declination = 0.409 * np.sin(angle - 1.39)
    latitude = np.deg2rad(lat)
    # Eq. 25
    sunset = np.arccos(np.clip(-np.tan(latitude) * np.tan(declination), -1, 1))
    return angle, latitude, declination, sunset


def hargreaves(
    tmin: xr.DataArray,
    tmax: xr.DataArray,
    lat: xr.DataArray | float,
    tmean: xr.DataArray | None = None,
) -> xr.DataArray:
    """PET after Hargreaves (1994), mm/d, as Feng et al. (2022) use it.

    `0.0023 x 0.408 Ra (tmean + 17.8) sqrt(max(tmax - tmin, 0))`, not below 0; temperatures in degC
    `(basin, time)`, `lat` in degrees north `(basin)`, `tmean` the mean of `tmin` and `tmax` where
    not given. Doi 10.1061/(ASCE)0733-9437(1994)120:6(1132).
    """
    tmean = (tmin + tmax) / 2 if tmean is None else tmean
    radiation = MM_PER_MJ * extraterrestrial_radiation(lat, tmin["time"])
    return _named(
        0.0023 * radiation * (tmean + 17.8) * np.sqrt((tmax - tmin).clip(min=0)), "hargreaves"
    )


def oudin(tmean: xr.DataArray, lat: xr.DataArray | float) -> xr.DataArray:
    """PET after Oudin et al. (2005), mm/d: `0.408 Ra (tmean + 5) / 100`, 0 below -5 degC.

    `tmean` in degC `(basin, time)`, `lat` in degrees north `(basin)`. Doi
    10.1016/j.jhydrol.2004.08.026.
    """
    return _named(
        MM_PER_MJ * extraterrestrial_radiation(lat, tmean["time"]) * (tmean + 5) / 100, "oudin"
    )


def saturation_vapour_pressure(temperature: np.ndarray | pd.Series) -> np.ndarray | pd.Series:
    """Pa, at a temperature in degC (FAO-56, Eq. 11); at the dew point it is the actual vapour
    pressure (Eq. 14)."""
    with np.errstate(over="ignore"):
        return 610.8 * np.exp(17.27 * temperature / (temperature + 237.3))


def radiation_ratio(pet: xr.DataArray, lat: xr.DataArray) -> float:
    """Mean PET over the mean radiation's equivalent `0.408 Ra` of the same days, median over the
    basins.

    A day without PET counts in neither mean; NaN where there is no value at all.
    """
    radiation = extraterrestrial_radiation(lat, pet["time"]).where(~np.isnan(pet))
    return float((pet.mean("time") / (MM_PER_MJ * radiation.mean("time"))).median())


def choose_pet(
    ds: xr.Dataset,
    pet: str = "auto",
    *,
    own: xr.DataArray | None = None,
    own_name: str = "",
    where: str = "dataset",
) -> xr.Dataset:
    """`ds` with the variable `pet`, whose attribute `method` says which PET it is.

    The choice is made once for the whole source, never basin by basin.

    Parameters
    ----------
    ds
        Catchments with the coordinate `lat` and any of `tmean`, `tmin`, `tmax`. Where `tmean` is
        absent, it is the mean of the other two.
    pet
        `auto`: the source's own where plausible, else Hargreaves where `tmin` and `tmax` exist and
        differ, else Oudin, else (no temperature) none. `source`: the source's own, even when
        impossible. `hargreaves`, `oudin`: that one. `none`: no PET.
    own
        The source's own PET in mm/d, `ds["pet"]` where not given. Values below 0 (dew) become 0.
    own_name
        Its name in the source, such as `potential_evaporation_sum_FAO_PENMAN_MONTEITH`.
    where
        Names the source in messages.

    Warns
    -----
    PetWarning
        The source's own is impossible and is replaced; the attribute `note` says so as well.

    Raises
    ------
    ParameterError
        Unknown `pet`.
    DataError
        This source does not allow the PET asked for.
    """
    if pet not in METHODS:
        raise ParameterError(f"unknown pet {pet!r}{nearest(pet, METHODS)}")
    own = ds.get("pet") if own is None else own
    ds = ds.drop_vars("pet", errors="ignore")
    refusal = ""
    if pet == "auto":
        pet = "hargreaves" if _ranges(ds) else "none" if _tmean(ds) is None else "oudin"
        if own is not None:
            ratio = radiation_ratio(own, ds["lat"]) if "lat" in ds.coords else np.nan
            refusal = own_pet_refusal(own_name, ratio, float(own.mean("time").median()))
            pet = pet if refusal else "source"
    if pet == "source" and own is None:
        raise DataError(
            f"{where} has no PET of its own; choose pet 'auto', 'hargreaves' or 'oudin'"
        )
    name = "FAO Penman-Monteith" if own_name.upper().endswith(FAO) else own_name
    if pet == "source":
        chosen = _named(own, f"{name} (source)" if name else own.attrs.get("method", "source"))
    else:
        chosen = None if pet == "none" else _computed(ds, pet, where)
    if refusal:
        instead = "no PET is left" if chosen is None else f"{pet} is used instead"
        warnings.warn(
            f"{where}: {refusal}; {instead} (pet 'source' takes it all the same)",
            PetWarning,
            stacklevel=2,
        )
    note = {"note": refusal} if refusal else {}
    return ds if chosen is None else ds.assign(pet=chosen.assign_attrs(note))


def own_pet_refusal(name: str, ratio: float, mean: float) -> str:
    """Why a source's own PET cannot be right; empty where it can.

    Parameters
    ----------
    name
        Its name in the source.
    ratio
        Its `radiation_ratio`; NaN where it is not known.
    mean
        Its mean, mm/d; median over the basins.
    """
    shown = f"its own PET{f' ({name})' if name else ''}"
    if name in IMPOSSIBLE_NAMES or ratio > HIGHEST_RATIO:
        measured = (
            "" if np.isnan(ratio) else f", {ratio:.2f} times what the sun's radiation evaporates"
        )
        return f"{shown} is impossible: {mean:.1f} mm/d{measured} (median over basins)"
    if ratio < LOWEST_RATIO:
        return (
            f"{shown} is next to nothing or negative ({ratio:.3f} of the radiation): wrong unit or"
            " sign"
        )
    return ""


def _ranges(ds: xr.Dataset) -> bool:
    """Whether tmin and tmax exist and differ; the archive's Maurer and NLDAS store the mean under
    both names."""
    return "tmin" in ds and "tmax" in ds and float((ds["tmax"] > ds["tmin"]).mean()) > 0.5


def _tmean(ds: xr.Dataset) -> xr.DataArray | None:
    if "tmean" in ds:
        return ds["tmean"]
    return (ds["tmin"] + ds["tmax"]) / 2 if "tmin" in ds and "tmax" in ds else None


def _computed(ds: xr.Dataset, method: str, where: str) -> xr.DataArray:
    tmean = _tmean(ds)
    if method == "oudin" and tmean is None:
        raise DataError(f"{where}: Oudin's PET needs tmean, or tmin and tmax")
    if method == "hargreaves" and not _ranges(ds):
        lacking = "but tmin and tmax are equal" if "tmin" in ds and "tmax" in ds else "and has none"
        raise DataError(
            f"{where}: Hargreaves needs tmin and tmax, the day's range of temperature, {lacking}; "
            "choose pet 'oudin', which takes tmean"
        )
    raise_first(latitude_problems(ds, where))
    return (
        oudin(tmean, ds["lat"])
        if method == "oudin"
        else hargreaves(ds["tmin"], ds["tmax"], ds["lat"], ds.get("tmean"))
    )


def latitude_problems(ds: xr.Dataset, where: str) -> Iterator[str]:
    """What keeps PET from being computed: no latitude at all, or none of a basin."""
    if "lat" not in ds.coords or not is_place(ds["lat"]):
        yield f"{where}: PET needs the coordinate lat over basin, degrees north"
    elif (missing := np.broadcast_to(np.isnan(ds["lat"]), ds.sizes["basin"])).any():
        yield (
            f"{where}: the latitude of basin {ds['basin'].to_numpy()[missing][0]} is missing; "
            "PET needs it"
        )


def _named(pet: xr.DataArray, method: str) -> xr.DataArray:
    pet = pet.clip(min=0).transpose(..., "time").astype(np.float32).rename("pet")
    pet.attrs = {"units": "mm/d", "long_name": "potential evapotranspiration", "method": method}
    return pet
