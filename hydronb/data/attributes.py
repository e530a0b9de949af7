"""Static attributes as numbers: named lists, categories as codes, missing ones refused or
filled."""

import csv
import warnings
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import xarray as xr

from hydronb.data.dataset import attribute_names
from hydronb.errors import DataError, nearest

KRATZERT2019 = (
    "carbonate_rocks_frac",
    "geol_permeability",
    "frac_forest",
    "lai_max",
    "lai_diff",
    "gvf_max",
    "gvf_diff",
    "p_mean",
    "pet_mean",
    "p_seasonality",
    "frac_snow",
    "aridity",
    "high_prec_freq",
    "high_prec_dur",
    "low_prec_freq",
    "low_prec_dur",
    "elev_mean",
    "slope_mean",
    "area_gages2",
    "soil_depth_pelletier",
    "soil_depth_statsgo",
    "soil_porosity",
    "soil_conductivity",
    "max_water_content",
    "sand_frac",
    "silt_frac",
    "clay_frac",
)
"""The 27 of Kratzert et al. (2019), Table A1, by CAMELS' column names, in the order of the
published runs."""

FENG2022 = KRATZERT2019 + (
    "dom_land_cover_frac",
    "dom_land_cover",
    "root_depth_50",
    "geol_1st_class",
    "glim_1st_class_frac",
    "geol_2nd_class",
    "glim_2nd_class_frac",
    "geol_porostiy",
)
"""The 35 of Feng et al. (2022), Table A1, by CAMELS' column names."""


@cache
def camels_descriptions() -> dict[str, tuple[str, str]]:
    """Units and long name of each attribute of CAMELS-US, after Addor et al. (2017)."""
    lines = Path(__file__).with_name("camels_us_attributes.csv").read_text("utf-8").splitlines()
    return {row["name"]: (row["units"], row["long_name"]) for row in csv.DictReader(lines)}


def attribute_list(ds: xr.Dataset, asked: Sequence[str] | str) -> list[str]:
    """Names of the attributes asked for: a list of names, `kratzert2019`, `feng2022`, or `all` of
    the dataset except streamflow signatures.

    Signatures (CAMELS' `camels_hydro`: q_mean, runoff_ratio, ...) are computed from the streamflow
    that is to be simulated, test period included; one that is named is taken, with a warning.

    Raises
    ------
    DataError
        An attribute that the dataset does not have, with the nearest that it has.
    """
    have = attribute_names(ds)
    signatures = [n for n in have if ds[n].attrs.get("group") == "hydro"]
    named = {
        "all": [n for n in have if n not in signatures],
        "kratzert2019": list(KRATZERT2019),
        "feng2022": list(FENG2022),
    }
    names = named[asked] if isinstance(asked, str) else list(asked)
    if lacking := [n for n in names if n not in have]:
        raise DataError(f"the data have no attribute {lacking[0]!r}{nearest(lacking[0], have)}")
    if given_away := [n for n in names if n in signatures]:
        warnings.warn(
            f"{', '.join(given_away)}: made from the streamflow that is to be simulated, test"
            " period included; scores will be too good",
            stacklevel=2,
        )
    return names


def categories(ds: xr.Dataset, names: Sequence[str]) -> dict[str, list[str]]:
    """The values of each text attribute, sorted; their positions are the codes saved with the
    weights."""
    return {
        n: sorted({str(v) for v in ds[n].values if not _is_missing(v)})
        for n in names
        if ds[n].dtype.kind in "UOT"
    }


def attribute_matrix(
    ds: xr.Dataset, names: Sequence[str], codes: dict[str, list[str]]
) -> np.ndarray:
    """The attributes as float64 of shape (basin, attribute), text as codes, missing as NaN.

    Raises
    ------
    DataError
        A category that `codes` does not list: the model was trained without it.
    """
    columns = [
        _encode(ds[n], codes[n]) if n in codes else ds[n].values.astype(np.float64) for n in names
    ]
    return np.stack(columns, axis=1) if columns else np.empty((ds.sizes["basin"], 0))


def _encode(attribute: xr.DataArray, known: list[str]) -> np.ndarray:
    values = [None if _is_missing(v) else str(v) for v in attribute.values]
    for basin, value in zip(attribute["basin"].values, values, strict=True):
        if value is not None and value not in known:
            raise DataError(
                f"attribute {attribute.name} of basin {basin} is {value!r}, a category the model"
                f" was not trained with{nearest(value, known)}"
            )
    return np.array([np.nan if v is None else known.index(v) for v in values])


def _is_missing(value: object) -> bool:
    return (
        value is None
        or (isinstance(value, float) and bool(np.isnan(value)))
        or value in ("", "nan", "NA")
    )
