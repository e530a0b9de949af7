"""LSTM of Kratzert et al. (2019), Eqs. 1 to 6, with or without static attributes.
doi:10.5194/hess-23-5089-2019"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from hydronb.models.kernels.recurrent import recurrence


class LSTM(nn.Module):
    """One-layer LSTM with a linear head; static attributes, if any, are inputs of every day.

    Parameters
    ----------
    n_dynamic, n_static, hidden, n_targets
        Sizes; `n_static=0` is the paper's LSTM without static inputs.
    dropout
        On the hidden state that enters the head, as in the paper.
    forget_bias
        Initial bias of the forget gate; 5 in the published runs.
    route
        `loop`, `fused` or `auto`: see `EALSTM`.
    """

    blocks = ("output", "forget", "input", "cell")
    """Row blocks of the stacked weights: o, f, i, g of Eqs. 1 to 4."""

    def __init__(
        self,
        n_dynamic: int,
        n_static: int,
        hidden: int,
        n_targets: int = 1,
        dropout: float = 0.0,
        forget_bias: float = 5.0,
        route: str = "auto",
    ):
        super().__init__()
        self.n_dynamic, self.n_static, self.hidden, self.route = n_dynamic, n_static, hidden, route
        gates = len(self.blocks) * hidden
        self.weight = nn.Parameter(torch.empty(gates, n_dynamic + n_static))
        self.recurrent = nn.Parameter(torch.empty(gates, hidden))
        self.bias = nn.Parameter(torch.empty(gates))
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(hidden, n_targets)
        initialise(self, forget_bias)

    def forward(
        self,
        dynamic: Float[Tensor, "batch time dynamic"],
        static: Float[Tensor, "batch static"],
        last: int = 1,
    ) -> Float[Tensor, "batch last target"]:
        """Standardised inputs to standardised targets of the last `last` days."""
        h, _ = self.states(dynamic, static, last=last)
        return self.head(self.dropout(h))

    def states(
        self,
        dynamic: Float[Tensor, "batch time dynamic"],
        static: Float[Tensor, "batch static"],
        state: tuple[Tensor, Tensor] | None = None,
        last: int | None = None,
    ) -> tuple[Float[Tensor, "batch last hidden"], Float[Tensor, "batch known hidden"]]:
        """Hidden and cell states (Eqs. 5 and 6) of the last `last` days, all where None; see
        `EALSTM.states`."""
        if use_fused(self.route, dynamic, state):
            return fused_states(self, dynamic, static, last)
        own, shared = self.weight[:, : self.n_dynamic], self.weight[:, self.n_dynamic :]
        h, c = recurrence(
            dynamic.transpose(0, 1),
            own,
            static @ shared.T + self.bias,
            self.recurrent,
            state=state,
            last=last,
        )
        return h.transpose(0, 1), c.transpose(0, 1)

    def fused_weights(self) -> tuple[Tensor, Tensor, Tensor]:
        """Input weights, recurrent weights and bias with rows in the order of PyTorch's kernel, i f
        g o."""

        def reorder(stacked: Tensor) -> Tensor:
            o, f, i, g = stacked.chunk(4)
            return torch.cat([i, f, g, o])

        return reorder(self.weight), reorder(self.recurrent), reorder(self.bias)


def initialise(model: nn.Module, forget_bias: float) -> None:
    """The published runs' initialisation: orthogonal input weights, identity recurrent weights,
    zero biases but for the forget gate's; the head keeps PyTorch's own."""
    hidden, n_gates = model.hidden, len(model.blocks)
    with torch.no_grad():
        nn.init.orthogonal_(model.weight)
        model.recurrent.copy_(torch.eye(hidden).repeat(n_gates, 1))
        model.bias.zero_()
        model.bias[hidden : 2 * hidden] = forget_bias


def use_fused(route: str, dynamic: Tensor, state: tuple[Tensor, Tensor] | None) -> bool:
    """`auto` takes the loop on a CPU. It is 2 to 2.5 times as fast there up to 128 cells, level
    with the fused kernel at 256 (0.7 to 1.7 of its speed), needs a third of its memory and gives
    the cell states of every day (`benchmarks/README.md`)."""
    return state is None and (route == "fused" or (route == "auto" and dynamic.is_cuda))


def fused_states(
    model: nn.Module, dynamic: Tensor, static: Tensor, last: int | None
) -> tuple[Tensor, Tensor]:
    """Hidden states through PyTorch's LSTM kernel; of the cell states it returns the last day's
    alone."""
    weight, recurrent, bias = model.fused_weights()
    x = torch.cat([dynamic, static[:, None].expand(-1, dynamic.shape[1], -1)], dim=-1)
    zero = x.new_zeros(1, x.shape[0], model.hidden)
    parameters = (weight.contiguous(), recurrent.contiguous(), bias, torch.zeros_like(bias))
    h, _, c = torch.lstm(x, (zero, zero), parameters, True, 1, 0.0, model.training, False, True)
    return h if last is None else h[:, -last:], c[0][:, None]
