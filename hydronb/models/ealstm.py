"""EA-LSTM of Kratzert et al. (2019), Eqs. 7 to 12. doi:10.5194/hess-23-5089-2019"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from hydronb.errors import ParameterError
from hydronb.models.lstm import LSTM


class EALSTM(LSTM):
    """Entity-aware LSTM: static attributes set the input gate, forcings all other gates.

    Parameters, states and routes are those of `LSTM`, with Eqs. 11 and 12 in place of 5 and 6; in
    the fused kernel, the input gate sees only the attributes and the other gates only the forcings.

    Raises
    ------
    ParameterError
        `n_static` is 0: without attributes there is no input gate.
    """

    blocks = ("output", "forget", "cell")
    """Row blocks of the stacked weights: o, f, g of Eqs. 10, 8, 9."""

    def add_static_gate(self) -> int:
        """The input gate of Eq. 7."""
        if self.n_static == 0:
            raise ParameterError(
                "attributes is empty: an EA-LSTM needs static attributes, they set its input gate; "
                "or choose model: lstm_no_static"
            )
        self.weight_static = nn.Parameter(torch.empty(self.hidden, self.n_static))
        self.bias_static = nn.Parameter(torch.zeros(self.hidden))
        return self.n_dynamic

    def input_gate(self, static: Float[Tensor, "batch static"]) -> Float[Tensor, "batch hidden"]:
        """The embedding of standardised attributes, in 0..1: i = sigma(W_i x_s + b_i)."""
        return torch.sigmoid(static @ self.weight_static.T + self.bias_static)  # Eq. 7

    def gates(self, static: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See `LSTM.gates`."""
        return self.weight, self.bias.expand(len(static), -1), self.input_gate(static)

    def fused_weights(self) -> tuple[Tensor, Tensor, Tensor]:
        """Weights of an ordinary LSTM (rows i f g o, columns forcings then attributes) that
        computes this EA-LSTM."""
        o, f, g = self.weight.chunk(3)
        u_o, u_f, u_g = self.recurrent.chunk(3)
        b_o, b_f, b_g = self.bias.chunk(3)
        i = torch.cat([f.new_zeros(self.hidden, self.n_dynamic), self.weight_static], 1)
        rest = nn.functional.pad(torch.cat([f, g, o]), (0, self.n_static))
        recurrent = torch.cat([torch.zeros_like(u_f), u_f, u_g, u_o])
        return torch.cat([i, rest]), recurrent, torch.cat([self.bias_static, b_f, b_g, b_o])
