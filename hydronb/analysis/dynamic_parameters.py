"""What the dynamic parameters of a delta-HBV vary with: the season, the storage, the truth."""

import pandas as pd
import xarray as xr

from hydronb.analysis.seasons import calendar_day, mean_year
from hydronb.metrics import r


def dynamics(
    parameter: xr.DataArray, storage: xr.DataArray, truth: xr.DataArray | None = None
) -> pd.DataFrame:
    """How the median component of a dynamic parameter varies, basin by basin.

    Parameters
    ----------
    parameter
        (basin, time, component).
    storage
        mm, (basin, time), the same days.
    truth
        The true parameter, (basin, time), over all of these days, if it is known.

    Returns
    -------
    pandas.DataFrame
        Index `basin`; `mean`; `amplitude` of the mean year smoothed over a month; `season_share`,
        the share of the variance that the mean year explains; `storage_r`; `storage_r_deseasoned`,
        with the mean years subtracted from both; and `true_r`, of the components' mean, if the
        truth is known.
    """
    means = parameter.mean("time")
    rank = means.argsort(axis=means.get_axis_num("component"))
    middle = rank.isel(component=(parameter.sizes["component"] - 1) // 2)
    median = parameter.isel(component=middle.drop_vars("component", errors="ignore"))
    smooth = mean_year(median, window=31)
    day = xr.DataArray(calendar_day(median["time"]), dims="time", coords={"time": median["time"]})
    rest, rest_of_storage = (
        da - mean_year(da, window=31).sel(day=day).drop_vars("day") for da in (median, storage)
    )
    columns = {
        "mean": median.mean("time"),
        "amplitude": smooth.max("day") - smooth.min("day"),
        "season_share": 1 - rest.var("time") / median.var("time"),
        "storage_r": r(sim=median, obs=storage),
        "storage_r_deseasoned": r(sim=rest, obs=rest_of_storage),
    }
    if truth is not None:
        columns["true_r"] = r(
            sim=parameter.mean("component"),
            obs=truth.sel(basin=parameter["basin"], time=parameter["time"]),
        )
    table = pd.DataFrame({name: da.to_series() for name, da in columns.items()})
    return table.astype(float).rename_axis("basin")
