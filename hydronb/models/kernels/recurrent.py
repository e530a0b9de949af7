"""The recurrence shared by LSTM and EA-LSTM, with a hand-derived adjoint.

Autograd through an explicit loop keeps about ten arrays of shape (time, batch, hidden); this keeps the gates and the
cell state, recomputes the rest and does the weight gradients as a few large products. The derivation is the chain rule
through equations 5 and 6 (or 11 and 12) of Kratzert et al. (2019), see docs/recurrence.md.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

CHUNK = 32
"""Days of the backward pass whose gate gradients are held at once."""


def recurrence(
    x: Float[Tensor, "time batch feature"],
    weight: Float[Tensor, "gates feature"],
    offset: Float[Tensor, "batch gates"],
    recurrent: Float[Tensor, "gates hidden"],
    input_gate: Float[Tensor, "batch hidden"] | None = None,
    state: tuple[Float[Tensor, "batch hidden"], Float[Tensor, "batch hidden"]] | None = None,
) -> tuple[Float[Tensor, "time batch hidden"], Float[Tensor, "time batch hidden"]]:
    """Hidden and cell states of every day.

    Parameters
    ----------
    x
        Dynamic inputs.
    weight, recurrent
        Rows stacked as output gate, forget gate, (input gate,) cell input: sigmoids first, and all that the cell
        state's gradient reaches last.
    offset
        What is added to every day's gates: the bias, and the share of constant inputs.
    input_gate
        The static input gate of an EA-LSTM; where None, `weight` has a fourth block for a dynamic one.
    state
        Hidden and cell state before the first day, zeros where None. No gradient flows into it.

    Returns
    -------
    h, c
        Gradients flow through `h`; `c` is for reading.
    """
    if state is None:
        zero = x.new_zeros(x.shape[1], recurrent.shape[1])
        state = (zero, zero)
    return _Recurrence.apply(x, weight, offset, recurrent, input_gate, *state)


class _Recurrence(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight, offset, recurrent, input_gate, h0, c0):
        days, batch, _ = x.shape
        hidden = recurrent.shape[1]
        gates = (x.reshape(days * batch, -1) @ weight.T).view(days, batch, -1, hidden)
        gates += offset.view(batch, -1, hidden)
        h_all = x.new_empty(days, batch, hidden)
        c_all = x.new_empty(days, batch, hidden)
        h, c, to_gates = h0, c0, recurrent.T.contiguous()
        for t in range(days):
            gates[t].view(batch, -1).addmm_(h, to_gates)
            gates[t, :, :-1].sigmoid_()
            gates[t, :, -1].tanh_()
            o, f, g = gates[t, :, 0], gates[t, :, 1], gates[t, :, -1]
            i = gates[t, :, 2] if input_gate is None else input_gate
            c = torch.mul(f, c, out=c_all[t]).addcmul_(i, g)
            h = torch.tanh(c, out=h_all[t]).mul_(o)
        ctx.save_for_backward(x, weight, recurrent, input_gate, gates, c_all, h0, c0)
        ctx.mark_non_differentiable(c_all)
        return h_all, c_all

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_h, _):
        x, weight, recurrent, input_gate, gates, c_all, h0, c0 = ctx.saved_tensors
        days, batch, n_gates, hidden = gates.shape
        dx = torch.empty_like(x) if ctx.needs_input_grad[0] else None
        dweight, drecurrent = torch.zeros_like(weight), torch.zeros_like(recurrent)
        doffset = x.new_zeros(batch, n_gates, hidden)
        di = None if input_gate is None else torch.zeros_like(input_gate)
        dh, dc = torch.zeros_like(h0), torch.zeros_like(c0)
        for start in reversed(range(0, days, CHUNK)):
            part = slice(start, min(start + CHUNK, days))
            n = part.stop - part.start
            o, f, g = gates[part, :, 0], gates[part, :, 1], gates[part, :, -1]
            i = gates[part, :, 2] if input_gate is None else input_gate
            before = c_all[start - 1 : start] if start else c0[None]
            c_before = torch.cat([before, c_all[start : part.stop - 1]])
            tanh_c = c_all[part].tanh()
            h_of_o = tanh_c * o * (1 - o)
            c_of_h = o * (1 - tanh_c**2)
            # what a change of the cell state does to the pre-activations of all gates but the output gate
            of_c = torch.empty_like(gates[part, :, 1:])
            torch.mul(c_before * f, 1 - f, out=of_c[:, :, 0])
            torch.mul(i, 1 - g**2, out=of_c[:, :, -1])
            if input_gate is None:
                torch.mul(g * i, 1 - i, out=of_c[:, :, 1])
            dz = torch.empty_like(gates[part])
            for k in reversed(range(n)):
                dh = dh + grad_h[start + k]
                dc.addcmul_(dh, c_of_h[k])
                torch.mul(dh, h_of_o[k], out=dz[k, :, 0])
                torch.mul(dc[:, None], of_c[k], out=dz[k, :, 1:])
                if di is not None:
                    di.addcmul_(dc, g[k])
                dc *= f[k]
                dh = dz[k].view(batch, -1) @ recurrent
            flat = dz.view(n * batch, -1)
            dweight.addmm_(flat.T, x[part].reshape(n * batch, -1))
            h_before = torch.cat([h0[None] if not start else (gates[start - 1 : start, :, 0] * before.tanh()),
                                  (tanh_c * o)[:-1]])
            drecurrent.addmm_(flat.T, h_before.view(n * batch, -1))
            doffset += dz.sum(0)
            if dx is not None:
                dx[part] = (flat @ weight).view(n, batch, -1)
        return dx, dweight, doffset.view(batch, -1), drecurrent, di, None, None
