"""Derivatives of an EA-LSTM's output by its static inputs, carried forward with the state.

A reverse pass gives the derivatives of the output of one day. Here the output of each day has its
own: the derivatives dh/dx_s and dc/dx_s are stepped along with h and c, with 1 + n_static columns
where the recurrence has one, in one pass for all days. They are the chain rule through Eqs. 7 to 12
of Kratzert et al. (2019); docs/recurrence.md has the names.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from hydronb.models.kernels.matmul import matrix_product


def attribute_gradients(
    network: nn.Module,
    dynamic: Float[Tensor, "batch time dynamic"],
    static: Float[Tensor, "batch static"],
    last: int,
) -> tuple[Float[Tensor, "batch last"], Float[Tensor, "batch last static"]]:
    """The first target on the last `last` days, and its derivative by each static input; all
    standardised, without dropout.

    Memory: about 12 numbers per cell, static input and batch row, besides the result.
    """
    (batch, days, _), n_static, hidden = dynamic.shape, static.shape[1], network.hidden
    with torch.inference_mode():
        i = network.input_gate(static).T.contiguous()
        di = (i * (1 - i))[:, None, :] * network.weight_static[:, :, None]
        x = dynamic.transpose(0, 1).mT.contiguous()
        weight, recurrent = network.weight.contiguous(), network.recurrent.contiguous()
        head, bias = network.head.weight[:1].contiguous(), network.bias[:, None]
        h, c = x.new_zeros(2, hidden, batch)
        dh, dc = x.new_zeros(2, hidden, n_static, batch)
        y, dy = x.new_empty(last, batch), x.new_empty(last, n_static, batch)
        for t in range(days):
            z = (matrix_product(recurrent, h) + weight @ x[t] + bias).view(3, hidden, batch)
            dz = matrix_product(recurrent, dh.view(hidden, -1)).view(3, hidden, n_static, batch)
            o, f, g = torch.sigmoid(z[0]), torch.sigmoid(z[1]), torch.tanh(z[2])
            dc.mul_(f[:, None]).addcmul_(dz[1], (c * f * (1 - f))[:, None])
            dc.addcmul_(dz[2], (i * (1 - g * g))[:, None]).addcmul_(di, g[:, None])
            # Eq. 11
            c = f * c + i * g
            tanh_c = torch.tanh(c)
            # Eq. 12
            h = o * tanh_c
            dh = dz[0].mul_((o * (1 - o) * tanh_c)[:, None])
            dh.addcmul_(dc, (o * (1 - tanh_c * tanh_c))[:, None])
            if t >= days - last:
                y[t - days] = (head @ h)[0] + network.head.bias[0]
                dy[t - days] = (head @ dh.view(hidden, -1)).view(n_static, batch)
    return y.T, dy.permute(2, 0, 1)
