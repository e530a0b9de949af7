"""A network with its scaling: raw units in, mm/d out."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from hydronb.data.scaling import Scaling
from hydronb.errors import TrainingError
from hydronb.models.ealstm import EALSTM


class Standardised(nn.Module):
    """What all wrappers share: means and standard deviations on the model's device, from
    `scaling`."""

    def __init__(self, scaling: Scaling):
        super().__init__()
        self.scaling = scaling
        for role in ("forcings", "attributes", "targets"):
            table = torch.tensor(
                list(getattr(scaling, role).values()), dtype=torch.float32
            ).reshape(-1, 2)
            # a constant attribute scales to zero
            std = torch.where(table[:, 1] > 0, table[:, 1], 1.0)
            self.register_buffer(f"{role}_mean", table[:, 0].clone(), persistent=False)
            self.register_buffer(f"{role}_std", std, persistent=False)

    def standardise(self, dynamic: Tensor, static: Tensor) -> tuple[Tensor, Tensor]:
        """Raw forcings and attributes to zero mean and unit standard deviation."""
        return (
            (dynamic - self.forcings_mean) / self.forcings_std,
            (static - self.attributes_mean) / self.attributes_std,
        )


class StandardisedLSTM(Standardised):
    """`network` between standardised inputs and outputs that are put back into the targets' units.

    Parameters
    ----------
    network
        Class of the network, such as `EALSTM` or `LSTM`, which has the arguments of theirs.
    model
        Its name in `hydronb.vocabulary.MODELS`.
    scaling
        From the training basins and period; its names say which variables enter and leave.
    hidden, dropout, forget_bias
        As the network takes them.
    sequence_length, predict_last
        Days a sample has and how many of them are targets; kept so that a trained model is used as
        it was trained.
    """

    def __init__(
        self,
        network: type[nn.Module],
        scaling: Scaling,
        *,
        model: str,
        hidden: int,
        dropout: float,
        forget_bias: float,
        sequence_length: int,
        predict_last: int,
    ):
        super().__init__(scaling)
        self.settings = {
            "model": model,
            "hidden": hidden,
            "dropout": dropout,
            "forget_bias": forget_bias,
            "sequence_length": sequence_length,
            "predict_last": predict_last,
        }
        self.sequence_length, self.predict_last = sequence_length, predict_last
        self.network = network(
            len(scaling.forcings),
            len(scaling.attributes),
            hidden,
            len(scaling.targets),
            dropout,
            forget_bias,
        )

    def forward(
        self,
        dynamic: Float[Tensor, "batch time dynamic"],
        static: Float[Tensor, "batch static"],
        *,
        attribute_noise: float = 0.0,
    ) -> Float[Tensor, "batch last target"]:
        """Targets of the last `predict_last` days, in their units and not clipped.

        `attribute_noise` is the standard deviation of Gaussian noise on the standardised
        attributes.
        """
        dynamic, static = self.standardise(dynamic, static)
        if attribute_noise:
            static = static + attribute_noise * torch.randn_like(static)
        out = self.network(dynamic, static, self.predict_last)
        return out * self.targets_std + self.targets_mean

    def input_gate(self, static: Float[Tensor, "batch static"]) -> Float[Tensor, "batch hidden"]:
        """The EA-LSTM's embedding of raw attributes.

        Raises
        ------
        TrainingError
            The network is not an EA-LSTM.
        """
        if not isinstance(self.network, EALSTM):
            raise TrainingError(
                f"a {self.settings['model']} has no static input gate; train model: ealstm"
            )
        return self.network.input_gate((static - self.attributes_mean) / self.attributes_std)


ScaledModel = StandardisedLSTM
