"""Scaling statistics: from the training basins and period alone, saved with the weights."""

import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import xarray as xr

from hydronb.data.attributes import attribute_matrix, categories
from hydronb.data.dataset import FORCINGS, TARGETS
from hydronb.data.problems import counted
from hydronb.errors import DataError, nearest
from hydronb.parameters import Period


@dataclass(frozen=True)
class Scaling:
    """Means and standard deviations by name, in the variables' own units, and the codes of text
    attributes."""

    forcings: dict[str, tuple[float, float]]
    attributes: dict[str, tuple[float, float]]
    targets: dict[str, tuple[float, float]]
    codes: dict[str, list[str]]
    fill_missing: bool = False
    """Whether a missing attribute takes the training basins' mean."""

    def plain(self) -> dict:
        """As JSON stores it."""
        return asdict(self)

    @classmethod
    def from_plain(cls, stored: dict) -> "Scaling":
        """From what `plain` returned, read back from JSON.

        Raises
        ------
        KeyError, TypeError
            Something else was stored.
        """
        pairs = {
            role: {n: (mean, std) for n, (mean, std) in stored[role].items()}
            for role in ("forcings", "attributes", "targets")
        }
        return cls(**stored | pairs)

    def static(self, ds: xr.Dataset) -> np.ndarray:
        """The attributes of all basins of `ds`, raw, float64 of shape (basin, attribute).

        Raises
        ------
        DataError
            An attribute that the data lack, or that is missing in a basin unless `fill_missing`.
        """
        require(ds, list(self.attributes), "attribute")
        matrix = attribute_matrix(ds, list(self.attributes), self.codes)
        if (missing := np.isnan(matrix)).any() and not self.fill_missing:
            raise _missing_attribute(ds, list(self.attributes), missing)
        return np.where(missing, [mean for mean, _ in self.attributes.values()], matrix)


def fit_scaling(
    ds: xr.Dataset,
    forcings: Sequence[str],
    attributes: Sequence[str],
    targets: Sequence[str],
    period: Period,
    *,
    missing_attributes: str = "error",
) -> Scaling:
    """Statistics over all basins of `ds` and the days of `period`.

    One mean and one standard deviation for all basins together, as in the code of Kratzert et al.
    (2019): ddof 0 for series and 1 for attributes. A constant attribute scales to zero, with a
    warning.

    Raises
    ------
    DataError
        Names that the data lack, an attribute that is missing (unless `missing_attributes` is
        `mean`), a basin without an observation of a target in the period, or a forcing that never
        changes.
    """
    for role, names in {"forcing": forcings, "target": targets, "attribute": attributes}.items():
        require(ds, names, role)
    days = select_period(ds, period)
    codes = categories(ds, attributes)
    matrix = attribute_matrix(ds, attributes, codes)
    if (missing := np.isnan(matrix)).any() and missing_attributes != "mean":
        raise _missing_attribute(ds, attributes, missing)
    if (empty := missing.all(axis=0)).any():
        raise DataError(
            f"attribute {attributes[int(empty.argmax())]} is missing in every basin; leave it out"
        )
    for name in targets:
        if (none := days[name].isnull().all("time")).any():
            raise DataError(
                f"no {name} in {period} in {counted(ds['basin'].values[none.values])}; leave them"
                " out of `basins` or choose another period"
            )
    series = {n: _mean_std(days[n].values, ddof=0) for n in (*forcings, *targets)}
    if still := [n for n in forcings if series[n][1] == 0]:
        raise DataError(
            f"forcing {still[0]} is {series[still[0]][0]:g} on every day in {period}; leave it out"
        )
    statics = {n: _mean_std(matrix[:, k], ddof=1) for k, n in enumerate(attributes)}
    if constant := [n for n, (_, std) in statics.items() if std == 0]:
        warnings.warn(
            "attributes that are equal in all basins tell the model nothing:"
            f" {', '.join(constant)}",
            stacklevel=2,
        )
    return Scaling(
        {n: series[n] for n in forcings},
        statics,
        {n: series[n] for n in targets},
        codes,
        missing_attributes == "mean",
    )


def select_period(ds: xr.Dataset, period: Period) -> xr.Dataset:
    """The days of `period`, both ends included.

    Raises
    ------
    DataError
        The data do not cover it.
    """
    first, last = (str(ds["time"].values[k])[:10] for k in (0, -1))
    if str(period.start) < first or str(period.end) > last:
        raise DataError(
            f"the period {period} is not within the data, which run from {first} to {last}"
        )
    return ds.sel(time=slice(str(period.start), str(period.end)))


def require(ds: xr.Dataset, names: Sequence[str], role: str) -> None:
    """Raise `DataError`, with the nearest name, at the first of `names` that `ds` does not have in
    this `role`: forcing, target or attribute."""
    table = {"forcing": FORCINGS, "target": TARGETS}.get(role)
    for name in names:
        dims = ("basin",) if role == "attribute" else ("basin", "time")
        if name not in ds or ds[name].dims != dims or (table is not None and name not in table):
            have = [
                str(n)
                for n, v in ds.data_vars.items()
                if v.dims == dims and (table is None or n in table)
            ]
            why = ds.attrs.get(f"note_{name}", "")
            raise DataError(
                f"the data have no {role} {name!r}{f' ({why})' if why else ''}{nearest(name, have)}"
            )


def _mean_std(values: np.ndarray, ddof: int) -> tuple[float, float]:
    valid = values[~np.isnan(values)].astype(np.float64)
    std = valid.std(ddof=ddof) if len(valid) > ddof else 0.0
    mean = valid.mean()
    return float(mean), float(std) if std > 1e-12 * abs(mean) else 0.0


def _missing_attribute(ds: xr.Dataset, names: Sequence[str], missing: np.ndarray) -> DataError:
    b, k = np.argwhere(missing)[0]
    return DataError(
        f"attribute {names[k]} of basin {ds['basin'].values[b]} is missing ({int(missing.sum())}"
        " values in all); leave it out, or set missing_attributes: mean"
    )
