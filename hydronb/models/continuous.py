"""What the models that simulate a period in one piece share."""

from typing import Literal

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float
from torch import Tensor
from tqdm.auto import trange

from hydronb.data.dataset import TARGETS
from hydronb.data.scaling import require, select_period
from hydronb.errors import DataError
from hydronb.models.standardised import Standardised
from hydronb.parameters import Period

Details = bool | Literal["components"]
"""Whether a simulation gives fluxes, stores and parameters of an HBV, and of each component."""
ELEMENTS = 2**24
"""Numbers in the largest array of a simulation, at most; it limits how many basins are simulated at
once."""


def log_sqrt(x: Tensor) -> Tensor:
    """log10(sqrt(x) + 0.1): precipitation, and the target of `RunoffLSTM`, as networks see them."""
    return torch.log10(torch.sqrt(x) + 0.1)


class ContinuousModel(Standardised):
    """A model that simulates a period in one piece, after the days before it have filled its stores
    or its memory. Its networks see precipitation as `log_sqrt`.

    A subclass has a method `simulate_basins(dynamic, static, first, end, details)`: what `simulate`
    returns, by name, from what `inputs` gives of some basins.
    """

    warmup_days: int
    """Days before a period that a simulation needs at least."""
    width: int
    """Numbers that a simulation holds of each day and basin."""

    def standardise(self, dynamic: Tensor, static: Tensor) -> tuple[Tensor, Tensor]:
        """As the networks take them: `prcp` of log10(sqrt(prcp) + 0.1), then all z-scored."""
        if "prcp" in self.scaling.forcings:
            dynamic, k = dynamic.clone(), list(self.scaling.forcings).index("prcp")
            dynamic[:, :, k] = log_sqrt(dynamic[:, :, k])
        return super().standardise(dynamic, static)

    def inputs(
        self, ds: xr.Dataset, period: Period
    ) -> tuple[Float[Tensor, "basin time forcing"], Tensor, int, int]:
        """Forcing up to the end of `period` and attributes (basin, attribute), in raw units, and
        the positions of its first day and of the day after its last.

        Raises
        ------
        DataError
            See `simulate`.
        """
        forcings = list(self.scaling.forcings)
        require(ds, forcings, "forcing")
        days, time = select_period(ds, period), ds.indexes["time"]
        first = time.get_loc(days.indexes["time"][0])
        if first < self.warmup_days:
            earliest = (
                f"start the period on {time[self.warmup_days].date()} or later, or "
                if self.warmup_days < len(time)
                else ""
            )
            raise DataError(
                f"the data have {first} days before {period.start}, and warming up takes "
                f"{self.warmup_days}; {earliest}shorten warmup_days"
            )
        end = first + days.sizes["time"]
        dynamic = np.stack([ds[n].values[:, :end] for n in forcings], -1).astype(np.float32)
        if (bad := ~np.isfinite(dynamic)).any():
            b, t, k = np.argwhere(bad)[0]
            raise DataError(
                f"{forcings[k]} of basin {ds['basin'].values[b]} is missing on {time[t].date()} "
                f"({int(bad.sum())} values in all); forcing must be complete"
            )
        static = torch.from_numpy(self.scaling.static(ds).astype(np.float32))
        return torch.from_numpy(dynamic), static, first, end

    def simulate(
        self, ds: xr.Dataset, period: Period, *, progress: bool = True, details: Details = False
    ) -> xr.Dataset:
        """Streamflow on each day of `period`, from stores or a memory that the days before it fill;
        nothing of the period is seen before its day.

        Returns
        -------
        xarray.Dataset
            `streamflow`, and `streamflow_obs` and `et_obs` where `ds` has them, over (basin, time).
            With `details` an HBV adds the mean over components of all `hbv.FLUXES` (mm/d, not
            routed) and `hbv.STORES` (mm, at the end of the day), and its parameters: those of HBV
            over (basin, component), with `time` where dynamic, and those of routing over basin.
            With `components` in place of True the fluxes and stores are those of each component,
            (basin, time, component).

        Raises
        ------
        DataError
            Forcings or attributes are missing in `ds`, there are fewer days before the period than
            `warmup_days`, or a basin that a local HBV was not calibrated on.
        """
        dynamic, static, first, end = self.inputs(ds, period)
        size, parts = max(1, ELEMENTS // ((end - self.reads_from(first)) * self.width)), []
        with self.evaluating():
            for k in trange(
                0, len(dynamic), size, desc="simulate", unit="part", disable=not progress
            ):
                part = (x[k : k + size].to(self.forcings_mean) for x in (dynamic, static))
                values = self.simulate_basins(*part, first, end, details)
                parts.append({name: value.cpu() for name, value in values.items()})
        simulation = self.simulation_dataset(
            {name: torch.cat([part[name] for part in parts]).numpy() for name in parts[0]},
            select_period(ds, period),
            TARGETS,
        )
        return simulation.assign_attrs(recharge=self.settings.get("recharge", "hbv"))

    def reads_from(self, first: int) -> int:
        """The first day of which a simulation from day `first` on holds `width` numbers."""
        return first
