"""The LSTM that Feng et al. (2022) compare their models with, as Feng et al. (2020) built it.

doi:10.1029/2022WR032404"""

from jaxtyping import Float
from torch import Tensor, nn

from hydronb.data.scaling import Scaling
from hydronb.errors import ParameterError
from hydronb.models.continuous import ContinuousModel, Details, log_sqrt
from hydronb.models.delta_hbv import ForcingLSTM


class RunoffLSTM(ContinuousModel):
    """The network of `DeltaHBV`, with streamflow itself as its output.

    The target is streamflow over mean precipitation (the attribute `p_mean`), as log10(sqrt(...) +
    0.1), z-scored.

    Parameters
    ----------
    scaling
        `prcp` of log10(sqrt(prcp) + 0.1), and the target as described above.
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
        self.warmup_days, self.target_days, self.width = warmup_days, target_days, hidden
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
        h = self.network(*self.standardise(dynamic, static), last or self.target_days)
        return self.head(h)[..., 0]

    def encode(
        self,
        streamflow: Float[Tensor, "batch day"],
        static: Float[Tensor, "batch static"],
    ) -> Float[Tensor, "batch day"]:
        """The standardised target from streamflow in mm/d."""
        logarithm = log_sqrt(streamflow / static[:, self.p_mean, None])
        return (logarithm - self.targets_mean) / self.targets_std

    def decode(
        self,
        z: Float[Tensor, "batch day"],
        static: Float[Tensor, "batch static"],
    ) -> Float[Tensor, "batch day"]:
        """Streamflow in mm/d from the standardised target."""
        root = (10 ** (z * self.targets_std + self.targets_mean) - 0.1).clamp(min=0)
        return root**2 * static[:, self.p_mean, None]

    def simulate_basins(
        self, dynamic: Tensor, static: Tensor, first: int, end: int, details: Details
    ) -> dict[str, Tensor]:
        """See `ContinuousModel.simulate`; there are no `details`."""
        z = self(dynamic[:, self.reads_from(first) :], static, end - first)
        return {"streamflow": self.decode(z, static)}

    def reads_from(self, first: int) -> int:
        """As many days before day `first` as a training sample has, fewer where there are fewer."""
        return max(0, first - self.warmup_days - self.target_days)
