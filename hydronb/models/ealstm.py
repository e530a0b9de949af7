"""EA-LSTM of Kratzert et al. (2019), Eqs. 7 to 12. doi:10.5194/hess-23-5089-2019"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from hydronb.errors import ParameterError
from hydronb.models.kernels.recurrent import recurrence
from hydronb.models.lstm import fused_states, initialise, use_fused


class EALSTM(nn.Module):
    """Entity-aware LSTM: static attributes set the input gate, forcings everything else.

    Parameters
    ----------
    n_dynamic, n_static, hidden, n_targets
        Sizes.
    dropout
        On the hidden state that enters the head, as in the paper.
    forget_bias
        Initial bias of the forget gate; 5 in the published runs.
    route
        `loop` (hand-derived adjoint), `fused` (PyTorch's LSTM kernel, whose input gate then sees
        only the statics and whose other gates only the forcings) or `auto`. Same parameters, same
        results.

    Raises
    ------
    ParameterError
        `n_static` is 0: without attributes there is no input gate.
    """

    blocks = ("output", "forget", "cell")
    """Row blocks of the stacked weights: o, f, g of Eqs. 10, 8, 9."""

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
        if n_static == 0:
            raise ParameterError(
                "attributes is empty: an EA-LSTM needs static attributes, they set its input gate; "
                "or choose model: lstm_no_static"
            )
        self.n_dynamic, self.n_static, self.hidden, self.route = n_dynamic, n_static, hidden, route
        gates = len(self.blocks) * hidden
        self.weight_static = nn.Parameter(torch.empty(hidden, n_static))
        self.bias_static = nn.Parameter(torch.zeros(hidden))
        self.weight = nn.Parameter(torch.empty(gates, n_dynamic))
        self.recurrent = nn.Parameter(torch.empty(gates, hidden))
        self.bias = nn.Parameter(torch.empty(gates))
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(hidden, n_targets)
        nn.init.orthogonal_(self.weight_static)
        initialise(self, forget_bias)

    def input_gate(self, static: Float[Tensor, "batch static"]) -> Float[Tensor, "batch hidden"]:
        """The embedding of standardised attributes, in 0..1: i = sigma(W_i x_s + b_i)."""
        return torch.sigmoid(static @ self.weight_static.T + self.bias_static)  # Eq. 7

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
        """Hidden and cell states of the last `last` days, all where None (Eqs. 8 to 12), from
        `state` or zeros.

        The fused kernel gives the cell state of the last day alone. `h[:, -1], c[:, -1]` carry on
        to later days.
        """
        if use_fused(self.route, dynamic, state):
            return fused_states(self, dynamic, static, last)
        h, c = recurrence(
            dynamic.transpose(0, 1),
            self.weight,
            self.bias.expand(len(dynamic), -1),
            self.recurrent,
            self.input_gate(static),
            state,
            last,
        )
        return h.transpose(0, 1), c.transpose(0, 1)

    def fused_weights(self) -> tuple[Tensor, Tensor, Tensor]:
        """An ordinary LSTM's weights (rows i f g o, columns forcings then statics) that compute
        this EA-LSTM."""
        o, f, g = self.weight.chunk(3)
        u_o, u_f, u_g = self.recurrent.chunk(3)
        b_o, b_f, b_g = self.bias.chunk(3)
        i = torch.cat(
            [self.weight_static.new_zeros(self.hidden, self.n_dynamic), self.weight_static], 1
        )
        rest = nn.functional.pad(torch.cat([f, g, o]), (0, self.n_static))
        recurrent = torch.cat([torch.zeros_like(u_f), u_f, u_g, u_o])
        return torch.cat([i, rest]), recurrent, torch.cat([self.bias_static, b_f, b_g, b_o])
