"""How sure a score is: a bootstrap over water years, and paired tests over basins.

A score of ten years depends on which ten years they were. The bootstrap draws whole water years
(with replacement, as many as there are), so that floods and droughts stay together, and scores each
draw: Clark et al. (2021), doi:10.1029/2020WR029001. NSE and KGE are functions of six sums, which
are taken once per year and added up in each draw; no series is resampled. All basins and models get
the same years, so that differences of models are paired and medians over basins keep what rivers
have in common in a wet year. It says nothing about other basins, other seeds or another climate,
and with few years its intervals are too narrow.
"""

import itertools

import numpy as np
import pandas as pd
import xarray as xr

from hydronb.data.climate import water_year
from hydronb.data.dataset import bare_id
from hydronb.errors import DataError

DRAWS, LEVEL = 1000, 0.9
"""Draws of years, and the share of them that an interval holds."""
SUMS = ("n", "s", "o", "ss", "oo", "so")
AT_ONCE = 50
"""Draws computed at a time; bounds the memory."""


def yearly_sums(sim: xr.DataArray, obs: xr.DataArray, *, first_month: int = 10) -> xr.Dataset:
    """The sums from which NSE and KGE of any set of water years follow.

    Parameters
    ----------
    sim, obs
        Over `time` and any other dimensions (basin, seed, ...), joined by their labels. A day
        counts where both have a value.

    Returns
    -------
    xarray.Dataset
        Over `year` and the other dimensions: `n`, the days; `s`, `o`, `ss`, `oo`, `so`, sums of
        simulation and observation and of their squares and product, both minus the constant
        `level` of their series (the mean of the observation, so that no digits cancel).

    Raises
    ------
    DataError
        No basin or day in common.
    """
    sim, obs = xr.align(sim, obs, join="inner")
    if empty := [dim for dim in obs.dims if obs.sizes[dim] == 0]:
        raise DataError(f"sim and obs have no {empty[0]} in common, so nothing can be resampled")
    obs = obs.astype(float)
    level = obs.mean("time").fillna(0.0)
    year = water_year(obs["time"], first_month).rename("year")
    years = np.unique(year)
    member = xr.DataArray(
        (year.values == years[:, None]).astype(float), dims=("year", "time"), coords={"year": years}
    )
    s, o = sim.astype(float) - level, obs - level
    both = s.notnull() & o.notnull()
    s, o = s.where(both, 0.0), o.where(both, 0.0)
    daily = {"n": both.astype(float), "s": s, "o": o, "ss": s * s, "oo": o * o, "so": s * o}
    sums = {name: xr.dot(da, member, dim="time") for name, da in daily.items()}
    return xr.Dataset(sums | {"level": level})


def scores_of_sums(sums: xr.Dataset) -> xr.Dataset:
    """`nse` and `kge` of sums over days, as `hydronb.metrics` defines them, NaN where it has
    NaN."""
    n = sums["n"].where(sums["n"] > 0)
    ms, mo = sums["s"] / n, sums["o"] / n
    var_s, var_o = sums["ss"] / n - ms**2, sums["oo"] / n - mo**2
    # a series that never changes, except for rounding
    tiny = 1e-12 * (sums["level"] ** 2 + var_s + var_o)
    var_s, var_o = var_s.where(var_s > tiny), var_o.where(var_o > tiny)
    r = (sums["so"] / n - ms * mo) / np.sqrt(var_s * var_o)
    bias = (ms + sums["level"]) / (mo + sums["level"])
    return xr.Dataset(
        {
            "nse": 1 - (sums["ss"] - 2 * sums["so"] + sums["oo"]) / n / var_o,
            "kge": 1 - np.sqrt((r - 1) ** 2 + (np.sqrt(var_s / var_o) - 1) ** 2 + (bias - 1) ** 2),
        }
    )


def bootstrap_years(
    sim: xr.DataArray,
    obs: xr.DataArray,
    *,
    draws: int = DRAWS,
    seed: int = 0,
    first_month: int = 10,
) -> xr.Dataset:
    """NSE and KGE of every series in each of `draws` draws of water years.

    The draws depend on the number of years, `draws` and `seed` alone: results for two models over
    the same days are paired, draw by draw.

    Returns
    -------
    xarray.Dataset
        `nse` and `kge` over (draw, ...), float32, with the scalar coordinate `years`, how many were
        drawn from; NaN in series with fewer than two years of observations.

    Raises
    ------
    DataError
        Fewer than two water years.
    """
    sums = yearly_sums(sim, obs, first_month=first_month)
    n_years = sums.sizes["year"]
    if n_years < 2:
        first, last = (str(day)[:10] for day in obs["time"].values[[0, -1]])
        raise DataError(
            f"a bootstrap over water years needs two or more, and {first} to {last} lies in one;"
            " take a longer test_period"
        )
    counts = np.random.default_rng(seed).multinomial(
        n_years, np.full(n_years, 1 / n_years), size=draws
    )
    times = xr.DataArray(counts.astype(float), {"year": sums["year"]}, ("draw", "year"))
    parts = [
        scores_of_sums(
            sums.assign({name: xr.dot(part, sums[name], dim="year") for name in SUMS})
        ).astype(np.float32)
        for part in (times[start : start + AT_ONCE] for start in range(0, draws, AT_ONCE))
    ]
    enough = (sums["n"] > 0).sum("year") >= 2
    scores = xr.concat(parts, "draw").where(enough).assign_coords(years=n_years)
    return scores.transpose("draw", *[d for d in sim.dims if d in scores.dims])


def interval(draws: xr.DataArray, level: float = LEVEL) -> xr.DataArray:
    """The interval of a score, over `bound` (`low`, `high`) in place of `draw`; NaN where a draw is
    NaN.

    Percentiles of the draws, taken further out the fewer years were drawn from (Hesterberg, 2015,
    doi:10.1080/00031305.2015.1089789, expanded percentile interval). Where years differ much, a 90
    % interval of ten years still holds the truth in some 80 % of cases only, one of three years in
    65 %.

    Parameters
    ----------
    draws
        Over `draw` and other dimensions, with the coordinate `years`, from `bootstrap_years`: a
        score, a difference of two models' scores, a median over basins.
    """
    from scipy import stats

    n = int(draws["years"])
    tail = stats.norm.cdf(stats.t.ppf((1 - level) / 2, n - 1) * np.sqrt(n / (n - 1)))
    return (
        draws.quantile([tail, 1 - tail], "draw", skipna=False)
        .rename(quantile="bound")
        .assign_coords(bound=["low", "high"])
    )


def paired(a: pd.Series, b: pd.Series) -> tuple[pd.Series, pd.Series]:
    """Two scores by basin on the basins that both have, in the same order; ids match with or
    without their prefix.

    Raises
    ------
    DataError
        A basin has two scores, or no basin has both.
    """
    a, b = (x.rename(index=lambda i: bare_id(str(i))).dropna() for x in (a, b))
    for x in (a, b):
        if x.index.has_duplicates:
            raise DataError(
                f"basin {x.index[x.index.duplicated()][0]} is scored twice, so pairs cannot be made"
            )
    both = a.index.intersection(b.index)
    if both.empty:
        raise DataError("the two models have no basin in common that both have a score for")
    return a[both], b[both]


def wilcoxon(a: pd.Series, b: pd.Series) -> float:
    """p of the paired, two-sided signed-rank test of Wilcoxon (1945) over basins; 1 where no pair
    differs.

    It assumes that basins are independent, which neighbours are not: p is too small.
    """
    from scipy import stats

    a, b = paired(a, b)
    return float(stats.wilcoxon(a, b).pvalue) if (a != b).any() else 1.0


def cohens_d(a: pd.Series, b: pd.Series) -> float:
    """|mean(a) - mean(b)| over the pooled standard deviation: the unpaired form of Kratzert et al.
    (2019), with ddof 0.

    NaN where neither varies. Rule of thumb (Cohen, 1988): 0.2 small, 0.5 medium, 0.8 large.
    """
    a, b = paired(a, b)
    pooled = np.sqrt((np.var(a) + np.var(b)) / 2)
    return float(abs(a.mean() - b.mean()) / pooled) if pooled > 0 else float("nan")


def model_differences(
    draws: xr.DataArray, scores: xr.DataArray, *, level: float = LEVEL
) -> pd.DataFrame:
    """Every pair of models: by how much one is better, how sure that is, and in how many basins.

    Parameters
    ----------
    draws
        One score over (model, draw, basin), from `bootstrap_years`.
    scores
        The same score of all days, (model, basin).

    Returns
    -------
    pandas.DataFrame
        Index (better, than), ordered by the median score; `basins` that both have; `difference`,
        the median over basins of the pairwise difference, with its interval `low`, `high` over
        draws of years; `surely_better`, `surely_worse`: the number of basins whose own interval
        lies on one side of zero; `wilcoxon_p`, `cohens_d`.
    """
    order = scores.median("basin").to_series().sort_values(ascending=False, kind="stable").index
    rows = {}
    for a, b in itertools.combinations(order, 2):
        pair = paired(*(scores.sel(model=m, drop=True).to_series() for m in (a, b)))
        drawn = draws.sel(model=a, drop=True) - draws.sel(model=b, drop=True)
        low, high = interval(drawn.median("basin"), level)
        low_each, high_each = interval(drawn, level).transpose("bound", ...)
        rows[a, b] = {
            "basins": len(pair[0]),
            "difference": (pair[0] - pair[1]).median(),
            "low": float(low),
            "high": float(high),
            "surely_better": int((low_each > 0).sum()),
            "surely_worse": int((high_each < 0).sum()),
            "wilcoxon_p": wilcoxon(*pair),
            "cohens_d": cohens_d(*pair),
        }
    return pd.DataFrame(
        list(rows.values()), index=pd.MultiIndex.from_tuples(rows, names=["better", "than"])
    )
