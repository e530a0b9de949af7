"""LSTM of Kratzert et al. (2019), Eqs. 1 to 6, with or without static attributes.
doi:10.5194/hess-23-5089-2019"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from hydronb.models.kernels.recurrent import recurrence


class LSTM(nn.Module):
    """One-layer LSTM with a linear head; static attributes, if any, are inputs of every day.

    Initialised as in the published runs: orthogonal input weights, identity recurrent weights, zero
    biases except for the forget gate; the head as PyTorch does.

    Parameters
    ----------
    n_dynamic, n_static, hidden, n_targets
        Sizes; `n_static=0` is the paper's LSTM without static inputs.
    dropout
        On the hidden state that enters the head, as in the paper.
    forget_bias
        Initial bias of the forget gate; 5 in the published runs.
    route
        `loop` (hand-derived adjoint), `fused` (PyTorch's LSTM kernel) or `auto`: the same
        parameters and results. `auto` takes the loop on a CPU. There it is 2 to 2.5 times as fast
        up to 128 cells, about as fast at 256 (0.7 to 1.7 times), needs a third of the memory and
        gives the cell states of every day (`benchmarks/README.md`).
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
        n_inputs, gates = self.add_static_gate(), len(self.blocks) * hidden
        self.weight = nn.Parameter(torch.empty(gates, n_inputs))
        self.recurrent = nn.Parameter(torch.eye(hidden).repeat(len(self.blocks), 1))
        self.bias = nn.Parameter(torch.zeros(gates))
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(hidden, n_targets)
        for name, parameter in self.named_parameters(recurse=False):
            if name.startswith("weight"):
                nn.init.orthogonal_(parameter)
        with torch.no_grad():
            self.bias[hidden : 2 * hidden] = forget_bias

    def add_static_gate(self) -> int:
        """Add the parameters of a gate that static inputs alone set, if any; returns how many
        inputs the other gates have."""
        return self.n_dynamic + self.n_static

    def gates(self, static: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Weights of the dynamic inputs, offset (batch, gates) and static input gate, for
        `kernels.recurrent`."""
        own, shared = self.weight[:, : self.n_dynamic], self.weight[:, self.n_dynamic :]
        return own, static @ shared.T + self.bias, None

    def forward(
        self,
        dynamic: Float[Tensor, "batch time dynamic"],
        static: Float[Tensor, "batch static"],
        last: int = 1,
    ) -> Float[Tensor, "batch last target"]:
        """Standardised targets of the last `last` days from standardised inputs."""
        return self.head(self.dropout(self.states(dynamic, static, last=last)[0]))

    def states(
        self,
        dynamic: Float[Tensor, "batch time dynamic"],
        static: Float[Tensor, "batch static"],
        state: tuple[Tensor, Tensor] | None = None,
        last: int | None = None,
    ) -> tuple[Float[Tensor, "batch last hidden"], Float[Tensor, "batch known hidden"]]:
        """Hidden and cell states (Eqs. 5 and 6) of the last `last` days, all where None, from
        `state` or zeros.

        The fused kernel gives the cell state of the last day alone, and starts from zeros: with a
        `state` the loop is taken. `h[:, -1], c[:, -1]` continue to later days.
        """
        if state is None and (self.route == "fused" or (self.route == "auto" and dynamic.is_cuda)):
            return self._fused_states(dynamic, static, last)
        weight, offset, input_gate = self.gates(static)
        h, c = recurrence(
            dynamic.transpose(0, 1), weight, offset, self.recurrent, input_gate, state, last
        )
        return h.transpose(0, 1), c.transpose(0, 1)

    def _fused_states(
        self, dynamic: Tensor, static: Tensor, last: int | None
    ) -> tuple[Tensor, Tensor]:
        weight, recurrent, bias = self.fused_weights()
        x = torch.cat([dynamic, static[:, None].expand(-1, dynamic.shape[1], -1)], dim=-1)
        zero = x.new_zeros(1, x.shape[0], self.hidden)
        parameters = (weight.contiguous(), recurrent.contiguous(), bias, torch.zeros_like(bias))
        h, _, c = torch.lstm(x, (zero, zero), parameters, True, 1, 0.0, self.training, False, True)
        return h if last is None else h[:, -last:], c[0][:, None]

    def fused_weights(self) -> tuple[Tensor, Tensor, Tensor]:
        """Input weights, recurrent weights and bias with rows in the order of PyTorch's kernel, i f
        g o."""
        blocks = (stacked.chunk(4) for stacked in (self.weight, self.recurrent, self.bias))
        return tuple(torch.cat([i, f, g, o]) for o, f, i, g in blocks)
