"""One HBV per basin, calibrated on its own streamflow: the benchmark of regional models."""

from collections.abc import Mapping, Sequence

import torch
import xarray as xr
from jaxtyping import Float
from torch import Tensor, nn

from hydronb.data.scaling import Scaling
from hydronb.errors import DataError
from hydronb.models import hbv
from hydronb.models.continuous import ContinuousModel, Details
from hydronb.parameters import Period

CALIBRATED = {n: p for n, p in (hbv.PARAMETERS | hbv.ROUTING).items() if n != "BETAET"}


class LocalHBV(ContinuousModel):
    """Fourteen parameters per basin (HBV's twelve and the two of routing), in several calibrations
    side by side.

    Parameters
    ----------
    scaling
        Its forcings are those of `hbv.FORCING`, it has no attributes, and HBV takes both in their
        own units.
    basins
        Ids of those that are calibrated.
    starts
        Calibrations per basin: one from the usual values, the others from random ones.
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
        self.warmup_days, self.width = warmup_days, 1
        raw = torch.logit(0.05 + 0.9 * torch.rand(len(CALIBRATED), len(basins), starts))
        raw[:, :, 0] = torch.tensor([[p.usual_raw] for p in CALIBRATED.values()])
        self.raw = nn.Parameter(raw)
        self.register_buffer("loss", torch.full((len(basins), starts), torch.inf))
        """Of each calibration on the training period, when last computed; a simulation takes the
        calibration with the lowest."""

    def forward(
        self, dynamic: Float[Tensor, "basin time forcing"]
    ) -> Float[Tensor, "basin time start"]:
        """Streamflow of all calibrations, mm/d; the stores start empty on the first day."""
        return self._run(dynamic, self.parameters_of(self.raw), want=hbv.OUTFLOW)[0]

    @staticmethod
    def parameters_of(
        raw: Float[Tensor, "parameter basin start"],
    ) -> dict[str, Float[Tensor, "basin start"]]:
        """`CALIBRATED` by name, within their bounds."""
        return {n: p.within(x) for x, (n, p) in zip(raw, CALIBRATED.items(), strict=True)}

    def _run(
        self, dynamic: Tensor, values: Mapping[str, Tensor], want: Sequence[str]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        fluxes, _ = hbv.run(
            *hbv.split_forcing(dynamic, self.scaling.forcings),
            {n: v.contiguous() for n, v in values.items() if n in hbv.PARAMETERS},
            want=want,
            components=True,
        )
        n_basins, days, starts = fluxes["q0"].shape
        outflow = hbv.outflow(fluxes).transpose(1, 2).reshape(n_basins * starts, days)
        streamflow = hbv.route(outflow, *(values[name].flatten() for name in hbv.ROUTING))
        return streamflow.view(n_basins, starts, days).transpose(1, 2), fluxes

    def inputs(
        self, ds: xr.Dataset, period: Period
    ) -> tuple[Tensor, Float[Tensor, "basin parameter"], int, int]:
        """As `ContinuousModel.inputs`, with the raw parameters of each basin's best calibration in
        place of attributes.

        Raises
        ------
        DataError
            A basin that was not calibrated.
        """
        dynamic, _, first, end = super().inputs(ds, period)
        place = {basin: k for k, basin in enumerate(self.settings["basins"])}
        basins = [str(basin) for basin in ds["basin"].values]
        if others := [basin for basin in basins if basin not in place]:
            raise DataError(
                f"basin {others[0]} was not calibrated; a local HBV simulates only the basins that"
                " it was calibrated on"
            )
        rows = torch.tensor([place[basin] for basin in basins], device=self.raw.device)
        return dynamic, self.raw.detach()[:, rows, self.loss[rows].argmin(1)].T, first, end

    def simulate_basins(
        self, dynamic: Tensor, static: Tensor, first: int, end: int, details: Details
    ) -> dict[str, Tensor]:
        """See `ContinuousModel.simulate`."""
        values = self.parameters_of(static.T[:, :, None])
        streamflow, fluxes = self._run(
            dynamic, values, (*hbv.FLUXES, *hbv.STORES) if details else hbv.OUTFLOW
        )
        out = {"streamflow": streamflow} | (fluxes if details else {})
        out = {name: series[:, first:, 0] for name, series in out.items()}
        routing = {name: values[name][:, 0] for name in hbv.ROUTING}
        return out | values | routing if details else out
