"""The LSTM that Feng et al. (2022) hold their models against, as Feng et al. (2020) built it.

doi:10.1029/2022WR032404"""

import torch
import xarray as xr
from jaxtyping import Float
from torch import Tensor, nn
from tqdm.auto import trange

from hydronb.data.scaling import Scaling, select_period
from hydronb.errors import ParameterError
from hydronb.models.delta_hbv import (
    ELEMENTS,
    ForcingLSTM,
    compress_prcp,
    describe,
    log_sqrt,
    simulation_tensors,
)
from hydronb.models.standardised import Standardised
from hydronb.parameters import Period


class RunoffLSTM(Standardised):
    """The network of `DeltaHBV`, with streamflow itself as its output.

    The target is streamflow over mean precipitation (the attribute `p_mean`), log10(sqrt(...) +
    0.1), z-scored.

    Parameters
    ----------
    scaling
        `prcp` of log10(sqrt(prcp) + 0.1), and the target of what is described above.
    hidden, dropout, forget_bias
        Of the network.
    warmup_days, target_days
        Of a training sample; the paper has 0 and 365.

    Raises
    ------
    ParameterError
        The attributes lack `p_mean`.
    """

    def __init__(
        self,
        scaling: Scaling,
        *,
        model: str = "runoff_lstm",
        hidden: int = 256,
        dropout: float = 0.5,
        forget_bias: float = 0.0,
        warmup_days: int = 0,
        target_days: int = 365,
    ):
        super().__init__(scaling)
        if "p_mean" not in scaling.attributes:
            raise ParameterError(
                "attributes lack 'p_mean'; the LSTM of Feng et al. divides streamflow by it"
            )
        self.settings = {
            "model": model,
            "hidden": hidden,
            "dropout": dropout,
            "forget_bias": forget_bias,
            "warmup_days": warmup_days,
            "target_days": target_days,
        }
        self.warmup_days, self.target_days = warmup_days, target_days
        self.p_mean = list(scaling.attributes).index("p_mean")
        self.network = ForcingLSTM(
            len(scaling.forcings), len(scaling.attributes), hidden, dropout, forget_bias
        )
        self.head = nn.Linear(hidden, 1)

    def forward(
        self,
        dynamic: Float[Tensor, "batch time dynamic"],
        static: Float[Tensor, "batch static"],
        last: int | None = None,
    ) -> Float[Tensor, "batch last"]:
        """The standardised target of the last `last` days, `target_days` where None, from raw
        inputs."""
        dynamic, z_static = self.standardise(compress_prcp(dynamic, self.scaling), static)
        return self.head(self.network(dynamic, z_static, last or self.target_days))[..., 0]

    def encode(
        self,
        streamflow: Float[Tensor, "batch day"],
        static: Float[Tensor, "batch static"],
    ) -> Float[Tensor, "batch day"]:
        """Streamflow in mm/d as the network sees it."""
        return (
            log_sqrt(streamflow / static[:, self.p_mean, None]) - self.targets_mean
        ) / self.targets_std

    def decode(
        self,
        z: Float[Tensor, "batch day"],
        static: Float[Tensor, "batch static"],
    ) -> Float[Tensor, "batch day"]:
        """Streamflow in mm/d from what the network says."""
        root = (10 ** (z * self.targets_std + self.targets_mean) - 0.1).clamp(min=0)
        return root**2 * static[:, self.p_mean, None]

    def simulate(self, ds: xr.Dataset, period: Period, *, progress: bool = True) -> xr.Dataset:
        """`streamflow` on each day of `period`, mm/d; the days before, as many as a training sample
        has, warm up.

        Raises
        ------
        DataError
            Forcings or attributes are missing in `ds`, or there are fewer days before the period
            than `warmup_days`.
        """
        dynamic, static, first, end = simulation_tensors(self, ds, period, self.warmup_days)
        start = max(0, first - self.warmup_days - self.target_days)
        size = max(1, ELEMENTS // ((end - start) * self.network.enter.out_features))
        parts = []
        was_training = self.training
        self.eval()
        with torch.inference_mode():
            for k in trange(
                0, len(dynamic), size, desc="simulate", unit="part", disable=not progress
            ):
                x, s = (
                    series[k : k + size].to(self.forcings_mean)
                    for series in (dynamic[:, start:], static)
                )
                parts.append(self.decode(self(x, s, end - first), s).cpu())
        self.train(was_training)
        return describe({"streamflow": torch.cat(parts).numpy()}, select_period(ds, period))
