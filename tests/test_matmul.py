"""Products in float32, on either side of the size from which oneDNN takes them, against float64."""

import pytest
import torch

from hydronb.models.kernels import matmul as module
from hydronb.models.kernels.matmul import add_matrix_products, matrix_product
from hydronb.models.kernels.recurrent import recurrence

SHAPES = [
    (3, 5, 2),
    (768, 261, 256),
    (261, 768, 256),
    (768, 261, 33),
    (1024, 256, 9),
    (1024, 1025, 1),
]


@pytest.mark.parametrize("library", ["onednn", "mkl"])
@pytest.mark.parametrize("shape", SHAPES)
def test_products_equal_those_in_float64(library, shape, monkeypatch):
    if library == "mkl":
        monkeypatch.setattr(module, "_LINEAR", None)
    rows, inner, columns = shape
    torch.manual_seed(0)
    a, b, c = torch.randn(rows, inner), torch.randn(inner, columns), torch.randn(3, columns, inner)
    torch.testing.assert_close(
        matrix_product(a, b), (a.double() @ b.double()).float(), rtol=1e-4, atol=1e-3
    )
    total = torch.ones(columns, columns)
    add_matrix_products(total, c, c)
    expected = 1 + torch.einsum("kci,kdi->cd", c.double(), c.double())
    torch.testing.assert_close(total, expected.float(), rtol=1e-4, atol=1e-3)


def test_large_float32_products_go_to_onednn_and_no_others():
    """The fast route rests on an operator that PyTorch may rename: here is where that would
    show."""
    assert module._LINEAR is not None
    assert module._to_onednn(torch.zeros(768, 261), 256)
    assert not module._to_onednn(torch.zeros(768, 261, dtype=torch.float64), 256)
    assert not module._to_onednn(torch.zeros(48, 21), 256)


@pytest.mark.parametrize("blocks", [3, 4])
def test_recurrence_in_float32_equals_float64(blocks):
    """At a size that takes oneDNN, huge pages and several chunks."""
    days, batch, hidden, n = 45, 96, 128, 5
    torch.manual_seed(0)
    inputs = [
        torch.randn(days, batch, n),
        torch.randn(blocks * hidden, n) * 0.3,
        torch.randn(batch, blocks * hidden),
        torch.randn(blocks * hidden, hidden) * 0.03,
    ]
    inputs += [torch.rand(batch, hidden)] if blocks == 3 else []
    weights = torch.randn(2, batch, hidden)
    results = {}
    for dtype in (torch.float32, torch.float64):
        given = [v.to(dtype).requires_grad_() for v in inputs]
        h, c = recurrence(*given, last=2)
        results[dtype] = [h, c, *torch.autograd.grad((weights.to(dtype) * h).sum(), given)]
    for single, double in zip(results[torch.float32], results[torch.float64], strict=True):
        assert (single.double() - double).abs().max() < 1e-5 * double.abs().max()
