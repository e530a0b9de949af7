"""The recurrence shared by LSTM and EA-LSTM, with a hand-derived adjoint.

Autograd through an explicit loop keeps about ten arrays of shape (time, batch, hidden). Here only
the gates and the cell state are kept; the rest is recomputed for a few days at a time, so that it
stays in the cache. Batch is the innermost dimension throughout: every gate of a day is then one
contiguous block, and the gates of a day are one matrix product. The adjoint follows from the chain
rule through Eqs. 5 and 6 (or 11 and 12) of Kratzert et al. (2019), see docs/recurrence.md.
"""

import mmap
from math import prod

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from hydronb.models.kernels.matmul import add_matrix_products, matrix_product

CHUNK = 32
"""Days of the backward pass that are held at once, at most."""
CACHE = 2**17
"""Elements of (days, batch, hidden) that are held at once, at most, if more than one day is."""
HUGE = 2**23
"""Bytes from which memory is allocated in huge pages."""


def recurrence(
    x: Float[Tensor, "time batch feature"],
    weight: Float[Tensor, "gates feature"],
    offset: Float[Tensor, "batch gates"],
    recurrent: Float[Tensor, "gates hidden"],
    input_gate: Float[Tensor, "batch hidden"] | None = None,
    state: tuple[Float[Tensor, "batch hidden"], Float[Tensor, "batch hidden"]] | None = None,
    last: int | None = None,
) -> tuple[Float[Tensor, "last batch hidden"], Float[Tensor, "last batch hidden"]]:
    """Hidden and cell states of the last `last` days, all where None.

    Parameters
    ----------
    x
        Dynamic inputs.
    weight, recurrent
        Rows stacked as output gate, forget gate, (input gate,) cell input: sigmoids first, and last
        the rows that the gradient of the cell state reaches.
    offset
        Added to the gates of every day: the bias, and the contribution of constant inputs.
    input_gate
        The static input gate of an EA-LSTM; where None, `weight` has a fourth block for a dynamic
        input gate.
    state
        Hidden and cell state before the first day, zeros where None. It receives no gradient.

    Returns
    -------
    h, c
        Gradients flow through `h`; `c` has none.
    """
    if state is None:
        zero = x.new_zeros(x.shape[1], recurrent.shape[1])
        state = (zero, zero)
    last = len(x) if last is None else min(last, len(x))
    inputs = (x, weight, offset, recurrent, input_gate, *state)
    if torch.is_grad_enabled() and any(v is not None and v.requires_grad for v in inputs[:5]):
        h, c = _Recurrence.apply(*inputs, last)
    else:
        h, c = _forward(*inputs, last)
    return h.transpose(1, 2), c.transpose(1, 2)


def _forward(x, weight, offset, recurrent, input_gate, h0, c0, last, gates=None, cells=None):
    """Hidden and cell states (last, hidden, batch). Fills, where given, `gates` (time, gate,
    hidden, batch) and `cells`, the cell state before the first day and after every day."""
    (days, batch, _), (rows, hidden) = x.shape, recurrent.shape
    step = torch.cat([recurrent, weight], 1)
    offset = offset.T.clone(memory_format=torch.contiguous_format)
    step[-hidden:] *= 2  # tanh(z) = 2 sigmoid(2 z) - 1, so that one sigmoid serves all gates
    offset[-hidden:] *= 2
    i = None if input_gate is None else input_gate.T.contiguous()
    x_days = x.mT.contiguous()
    h_out, c_out = x.new_empty(2, last, hidden, batch)
    hx = torch.cat([h0.T, x_days[0]])
    h, c = hx[:hidden], c0.T.clone(memory_format=torch.contiguous_format)
    gate = x.new_empty(rows // hidden, hidden, batch)
    if cells is not None:
        cells[0] = c
    for t in range(days):
        hx[hidden:] = x_days[t]
        z = matrix_product(step, hx).add_(offset)
        gate = gate if gates is None else gates[t]
        torch.sigmoid(z.view(gate.shape), out=gate)
        g = gate[-1].mul_(2).sub_(1)
        c = torch.mul(gate[1], c, out=c if cells is None else cells[t + 1])
        c.addcmul_(gate[2] if i is None else i, g)
        _tanh(c, out=h).mul_(gate[0])
        if t >= days - last:
            h_out[t - days], c_out[t - days] = h, c
    return h_out, c_out


class _Recurrence(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight, offset, recurrent, input_gate, h0, c0, last):
        (days, batch, _), (rows, hidden) = x.shape, recurrent.shape
        gates = _empty(x, days, rows // hidden, hidden, batch)
        cells = _empty(x, days + 1, hidden, batch)
        h, c = _forward(x, weight, offset, recurrent, input_gate, h0, c0, last, gates, cells)
        ctx.save_for_backward(x, weight, recurrent, input_gate, gates, cells, h0)
        ctx.mark_non_differentiable(c)
        return h, c

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_h, _):
        x, weight, recurrent, input_gate, gates, cells, h0 = ctx.saved_tensors
        days, n_gates, hidden, batch = gates.shape
        dx = torch.empty_like(x) if ctx.needs_input_grad[0] else None
        back = (recurrent if dx is None else torch.cat([recurrent, weight], 1)).T.contiguous()
        dstep = x.new_zeros(n_gates * hidden, hidden + x.shape[2])
        doffset = x.new_zeros(n_gates, hidden, batch)
        i = None if input_gate is None else input_gate.T.contiguous()
        di = None if i is None else torch.zeros_like(i)
        dh, dc = x.new_zeros(2, hidden, batch)
        most = max(1, min(CHUNK, days, CACHE // (hidden * batch)))
        tanh_c, dz = x.new_empty(most + 1, hidden, batch), x.new_empty(most, n_gates, hidden, batch)
        of_h = x.new_empty(2, most, hidden, batch)
        of_c = x.new_empty(most, n_gates - 1, hidden, batch)
        hx = x.new_empty(most, hidden + x.shape[2], batch)
        _tanh(cells[-1], out=tanh_c[0])
        for start in reversed(range(0, days, most)):
            stop = min(start + most, days)
            n, part = stop - start, slice(start, stop)
            o, f, g = gates[part, 0], gates[part, 1], gates[part, -1]
            tanh_c[n] = tanh_c[0]
            _tanh(cells[part], out=tanh_c[:n])
            # factors from the gradient of the hidden state to the output gate's pre-activation and
            # the cell state, and from that of the cell state to the other gates' pre-activations
            z_of_h, c_of_h = of_h[0, :n], of_h[1, :n]
            _sigmoid_backward(tanh_c[1 : n + 1], o, grad_input=z_of_h)
            _tanh_backward(o, tanh_c[1 : n + 1], grad_input=c_of_h)
            _sigmoid_backward(cells[part], f, grad_input=of_c[:n, 0])
            _tanh_backward(gates[part, 2] if i is None else i, g, grad_input=of_c[:n, -1])
            if i is None:
                _sigmoid_backward(g, gates[part, 2], grad_input=of_c[:n, 1])
            for k in reversed(range(n)):
                if start + k >= days - len(grad_h):
                    dh += grad_h[start + k - days]
                dc.addcmul_(dh, c_of_h[k])
                torch.mul(dh, z_of_h[k], out=dz[k, 0])
                torch.mul(dc, of_c[k], out=dz[k, 1:])
                if di is not None:
                    di.addcmul_(dc, g[k])
                dc *= f[k]
                dhx = matrix_product(back, dz[k].view(-1, batch))
                dh = dhx[:hidden]
                if dx is not None:
                    dx[start + k] = dhx[hidden:].T
            first = 1 if start == 0 else 0
            hx[0, :hidden] = h0.T
            torch.mul(
                gates[start + first - 1 : stop - 1, 0], tanh_c[first:n], out=hx[first:n, :hidden]
            )
            hx[:n, hidden:] = x[part].mT
            add_matrix_products(dstep, dz[:n].flatten(1, 2), hx[:n])
            doffset += dz[:n].sum(0)
        return (
            dx,
            dstep[:, hidden:],
            doffset.flatten(0, 1).T,
            dstep[:, :hidden],
            None if di is None else di.T,
            None,
            None,
            None,
        )


_sigmoid_backward = torch.ops.aten.sigmoid_backward.grad_input
_tanh_backward = torch.ops.aten.tanh_backward.grad_input


def _tanh(x: Tensor, *, out: Tensor) -> Tensor:
    """Hyperbolic tangent with an absolute error of 1e-7 (float32) or 1e-16 (float64); torch's takes
    four times as long on CPUs other than Intel's."""
    return torch.mul(x, 2, out=out).sigmoid_().mul_(2).sub_(1)


def _empty(like: Tensor, *shape: int) -> Tensor:
    """Memory for the backward pass, in huge pages where it is large and the system has them: the
    first access to ordinary pages would take a fifth of a training step."""
    size = prod(shape) * like.element_size()
    if like.device.type != "cpu" or size < HUGE or not hasattr(mmap, "MADV_HUGEPAGE"):
        return like.new_empty(shape)
    memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory.madvise(mmap.MADV_HUGEPAGE)
    return torch.frombuffer(memory, dtype=like.dtype).view(shape)
