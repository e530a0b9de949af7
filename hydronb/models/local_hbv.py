"""One HBV a basin, calibrated on its own streamflow: the benchmark that regional models are held
against."""

from collections.abc import Sequence

import torch
import xarray as xr
from jaxtyping import Float
from torch import Tensor, nn

from hydronb.data.scaling import Scaling, select_period
from hydronb.errors import DataError
from hydronb.models import hbv
from hydronb.models.delta_hbv import describe, logit, simulation_tensors, total, within
from hydronb.models.standardised import Standardised
from hydronb.parameters import Period

NAMES = tuple(n for n in hbv.PARAMETERS if n != "BETAET")
BOUNDS = {n: hbv.PARAMETERS[n] for n in NAMES} | hbv.ROUTING


class LocalHBV(Standardised):
    """Fourteen parameters a basin (HBV's twelve and routing's two), several calibrations of them
    side by side.

    Parameters
    ----------
    scaling
        Its forcings are `prcp`, `tmean` and `pet`; it holds no attributes, and HBV needs no
        standardising.
    basins
        Ids of those that are calibrated.
    starts
        Calibrations a basin: one from `TYPICAL` values, the others from random ones.
    warmup_days
        Days before a period that a simulation needs at least.
    """

    def __init__(
        self,
        scaling: Scaling,
        *,
        basins: Sequence[str],
        model: str = "local_hbv",
        starts: int = 8,
        warmup_days: int = 365,
    ):
        super().__init__(scaling)
        self.settings = {
            "model": model,
            "basins": list(basins),
            "starts": starts,
            "warmup_days": warmup_days,
        }
        self.warmup_days = warmup_days
        share = 0.05 + 0.9 * torch.rand(len(BOUNDS), len(basins), starts)
        raw = torch.logit(share)
        raw[:, :, 0] = torch.tensor([[logit(n)] for n in BOUNDS])
        self.raw = nn.Parameter(raw)
        self.register_buffer("loss", torch.full((len(basins), starts), torch.inf))
        """Of each calibration on the training period, when it was last seen; a simulation takes the
        best."""

    def forward(
        self, dynamic: Float[Tensor, "basin time forcing"]
    ) -> Float[Tensor, "basin time start"]:
        """Streamflow of all calibrations, mm/d; the stores start empty on the first day."""
        values = self.parameters_of(self.raw)
        return self._run(dynamic, values, want=("q0", "q1", "q2"))[0]

    @staticmethod
    def parameters_of(
        raw: Float[Tensor, "parameter basin start"],
    ) -> dict[str, Float[Tensor, "basin start"]]:
        return {
            n: within(column, bounds)
            for column, (n, bounds) in zip(raw, BOUNDS.items(), strict=True)
        }

    def _run(
        self, dynamic: Tensor, values: dict[str, Tensor], want: Sequence[str]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        forcing = [
            dynamic[:, :, list(self.scaling.forcings).index(n)].contiguous()
            for n in ("prcp", "tmean", "pet")
        ]
        fluxes, _ = hbv.run(
            *forcing, {n: values[n].contiguous() for n in NAMES}, want=want, components=True
        )
        n_basins, days, starts = fluxes["q0"].shape
        outflow = total(fluxes).transpose(1, 2).reshape(n_basins * starts, days)
        streamflow = hbv.route(
            outflow, values["routing_a"].flatten(), values["routing_b"].flatten()
        )
        return streamflow.view(n_basins, starts, days).transpose(1, 2), fluxes

    def best(self, basins: Sequence[str]) -> Float[Tensor, "parameter basin one"]:
        """Raw parameters of each basin's best calibration.

        Raises
        ------
        DataError
            A basin that was not calibrated.
        """
        known = {b: k for k, b in enumerate(self.settings["basins"])}
        if strange := [b for b in basins if b not in known]:
            raise DataError(
                f"basin {strange[0]} was not calibrated; a local HBV simulates none but its own"
                " basins"
            )
        rows = torch.tensor([known[b] for b in basins], device=self.raw.device)
        return self.raw[:, rows, self.loss[rows].argmin(1)][:, :, None]

    def simulate(
        self, ds: xr.Dataset, period: Period, *, progress: bool = True, details: bool = False
    ) -> xr.Dataset:
        """As `DeltaHBV.simulate`: stores that have seen all days of `ds` before the period, and
        with `details` all fluxes, stores and parameters.

        Raises
        ------
        DataError
            A basin that was not calibrated, missing forcing, fewer days before the period than
            `warmup_days`.
        """
        dynamic, _, first, end = simulation_tensors(self, ds, period, self.warmup_days)
        with torch.inference_mode():
            values = self.parameters_of(self.best([str(b) for b in ds["basin"].values]))
            want = (*hbv.FLUXES, *hbv.STORES) if details else ("q0", "q1", "q2")
            streamflow, fluxes = self._run(dynamic[:, :end].to(self.raw), values, want)
        out = {"streamflow": streamflow}
        if details:
            out |= fluxes
        series = {n: v[:, first:, 0].cpu().numpy() for n, v in out.items()}
        if details:
            series |= {
                n: (v if n in hbv.PARAMETERS else v[:, 0]).cpu().numpy() for n, v in values.items()
            }
        return describe(series, select_period(ds, period))
