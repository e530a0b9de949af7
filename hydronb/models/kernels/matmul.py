"""Matrix products on a CPU by the library that is faster there."""

import torch
from torch import Tensor

LEAST = 2**20
"""Multiplications from which oneDNN's product repays its 10 microseconds of set-up."""

_LINEAR = (
    getattr(torch.ops.mkldnn, "_linear_pointwise", None)
    if torch.backends.mkldnn.is_available()
    else None
)


def product(a: Tensor, b: Tensor) -> Tensor:
    """`a @ b` of two matrices, each contiguous or the transpose of a contiguous one.

    PyTorch gives float32 products to MKL, which leaves AVX-512 alone on processors that are not
    Intel's: 100 Gflop/s on one core of an AMD EPYC, where oneDNN reaches 220. Large ones therefore
    go to oneDNN, through an operator that PyTorch has for its compiler; where that is missing they
    go to `torch.mm` like all others.
    """
    return _LINEAR(a, b.T, None, "none", [], "") if _to_onednn(a, b.shape[1]) else torch.mm(a, b)


def add_products(total: Tensor, a: Tensor, b: Tensor) -> None:
    """Add `a[k] @ b[k].T` of all k to `total`, in place."""
    if _to_onednn(a[0], b.shape[1]):
        for left, right in zip(a, b, strict=True):
            total += product(left, right.T)
    else:
        total.addbmm_(a, b.mT)


def _to_onednn(a: Tensor, columns: int) -> bool:
    return (
        _LINEAR is not None
        and a.dtype == torch.float32
        and a.device.type == "cpu"
        and a.numel() * columns >= LEAST
    )
