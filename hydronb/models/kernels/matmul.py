"""Matrix products by the library that is faster on the CPU at hand."""

import torch
from torch import Tensor

LEAST = 2**20
"""Multiplications from which a product by oneDNN repays its 10 microseconds of set-up."""

_LINEAR = (
    getattr(torch.ops.mkldnn, "_linear_pointwise", None)
    if torch.backends.mkldnn.is_available()
    else None
)


def matrix_product(a: Tensor, b: Tensor) -> Tensor:
    """`a @ b` of two matrices, each contiguous or the transpose of a contiguous one.

    PyTorch computes float32 products with MKL, which does not use AVX-512 on processors other than
    Intel's: 100 Gflop/s on one core of an AMD EPYC, where oneDNN reaches 220. Large products are
    therefore computed with oneDNN, through an operator that PyTorch has for its compiler; where it
    is missing, with `torch.mm` like all others.
    """
    return _LINEAR(a, b.T, None, "none", [], "") if _to_onednn(a, b.shape[1]) else torch.mm(a, b)


def add_matrix_products(total: Tensor, a: Tensor, b: Tensor) -> None:
    """Add the sum over k of `a[k] @ b[k].T` to `total`, in place."""
    if _to_onednn(a[0], b.shape[1]):
        for left, right in zip(a, b, strict=True):
            total += matrix_product(left, right.T)
    else:
        total.addbmm_(a, b.mT)


def _to_onednn(a: Tensor, columns: int) -> bool:
    return (
        _LINEAR is not None
        and a.dtype == torch.float32
        and a.device.type == "cpu"
        and a.numel() * columns >= LEAST
    )
