"""LSTM and EA-LSTM against a plain reading of Kratzert et al. (2019), Eqs. 1 to 12, one matrix a
gate."""

import itertools
import math

import pytest
import torch

from hydronb.errors import ParameterError
from hydronb.models import EALSTM, LSTM
from hydronb.models.kernels import recurrent
from hydronb.models.kernels.matmul import LEAST
from hydronb.models.kernels.recurrent import recurrence

DYNAMIC, STATIC, HIDDEN, BATCH = 3, 4, 6, 3


def ealstm(route="loop", **sizes):
    return EALSTM(
        **{"n_dynamic": DYNAMIC, "n_static": STATIC, "hidden": HIDDEN} | sizes, route=route
    )


def lstm(route="loop", **sizes):
    return LSTM(**{"n_dynamic": DYNAMIC, "n_static": STATIC, "hidden": HIDDEN} | sizes, route=route)


def lstm_no_static(route="loop", **sizes):
    return lstm(route, **{"n_static": 0} | sizes)


ALL_MODELS = [ealstm, lstm, lstm_no_static]
ROUTES = ["loop", "fused"]
every_model = pytest.mark.parametrize("make", ALL_MODELS, ids=lambda make: make.__name__)
every_route = pytest.mark.parametrize("route", ROUTES)


def drawn(make, route="loop", days=40, seed=0, dtype=torch.float64):
    """A model whose every parameter is random, and inputs; the days are more than the adjoint's
    chunk of 32."""
    torch.manual_seed(seed)
    model = make(route).to(dtype)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    n_static = STATIC if make is not lstm_no_static else 0
    dynamic = torch.randn(BATCH, days, DYNAMIC, dtype=dtype)
    return model, dynamic, torch.randn(BATCH, n_static, dtype=dtype)


def plain(model, dynamic, static, state=None):
    """Hidden and cell states of every day, gate by gate and vector by vector; also the head's
    output of every day."""
    n = model.hidden
    rows = {name: slice(k * n, (k + 1) * n) for k, name in enumerate(model.blocks)}
    w = {name: model.weight[r] for name, r in rows.items()}
    u = {name: model.recurrent[r] for name, r in rows.items()}
    b = {name: model.bias[r] for name, r in rows.items()}
    hidden_states, cell_states = [], []
    for k in range(len(dynamic)):
        zero = dynamic.new_zeros(n)
        h, c = (zero, zero) if state is None else (state[0][k], state[1][k])
        for t in range(dynamic.shape[1]):
            x = dynamic[k, t]
            if isinstance(model, EALSTM):
                # Eq. 7
                i = 1 / (1 + torch.exp(-(model.weight_static @ static[k] + model.bias_static)))
            else:
                x = torch.cat([x, static[k]])
                # Eq. 1
                i = 1 / (1 + torch.exp(-(w["input"] @ x + u["input"] @ h + b["input"])))
            # Eqs. 2, 8
            f = 1 / (1 + torch.exp(-(w["forget"] @ x + u["forget"] @ h + b["forget"])))
            # Eqs. 3, 9
            g = torch.tanh(w["cell"] @ x + u["cell"] @ h + b["cell"])
            # Eqs. 4, 10
            o = 1 / (1 + torch.exp(-(w["output"] @ x + u["output"] @ h + b["output"])))
            # Eqs. 5, 11
            c = f * c + i * g
            # Eqs. 6, 12
            h = o * torch.tanh(c)
            hidden_states.append(h)
            cell_states.append(c)
    shape = (len(dynamic), dynamic.shape[1], n)
    h, c = (torch.stack(s).view(shape) for s in (hidden_states, cell_states))
    return h, c, h @ model.head.weight.T + model.head.bias


def gradients(model, loss):
    return dict(
        zip(
            dict(model.named_parameters()),
            torch.autograd.grad(loss, list(model.parameters())),
            strict=True,
        )
    )


def assert_close(a, b, tolerance=1e-10):
    torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


@every_model
@every_route
@pytest.mark.parametrize("last", [1, 7, 40])
def test_forward_and_gradients_equal_the_equations(make, route, last):
    model, dynamic, static = drawn(make, route)
    weights = torch.randn(BATCH, last, 1, dtype=torch.float64)
    out = model(dynamic, static, last)
    expected = plain(model, dynamic, static)[2][:, -last:]
    assert_close(out, expected)
    ours, theirs = (
        gradients(model, (weights * out**2).sum()),
        gradients(model, (weights * expected**2).sum()),
    )
    for name in theirs:
        assert_close(ours[name], theirs[name])
        assert theirs[name].abs().max() > 1e-6


@every_model
@every_route
def test_gradients_of_the_inputs_equal_the_equations(make, route):
    """What Morris sensitivities and probes are made of."""
    model, dynamic, static = drawn(make, route)
    given = [v.requires_grad_() for v in (dynamic, static) if v.numel()]
    ours = torch.autograd.grad((model(dynamic, static, 3) ** 2).sum(), given)
    theirs = torch.autograd.grad((plain(model, dynamic, static)[2][:, -3:] ** 2).sum(), given)
    for a, b in zip(ours, theirs, strict=True):
        assert_close(a, b)


@every_model
@every_route
def test_all_states_equal_the_equations(make, route):
    model, dynamic, static = drawn(make, route)
    h, c = model.states(dynamic, static)
    expected_h, expected_c, _ = plain(model, dynamic, static)
    assert_close(h, expected_h)
    assert_close(c[:, -1], expected_c[:, -1])
    if route == "loop":
        assert_close(c, expected_c)


@every_model
@every_route
def test_a_state_that_is_carried_equals_one_pass(make, route):
    model, dynamic, static = drawn(make, route)
    h, c = model.states(dynamic, static)
    half = dynamic.shape[1] // 2
    h1, c1 = model.states(dynamic[:, :half], static)
    h2, c2 = model.states(dynamic[:, half:], static, (h1[:, -1], c1[:, -1]))
    assert_close(torch.cat([h1, h2], 1), h)
    assert_close(c2[:, -1], c[:, -1])


@every_model
@every_route
def test_gradients_with_a_carried_state_equal_the_equations(make, route):
    model, dynamic, static = drawn(make, route)
    state = (
        torch.randn(BATCH, HIDDEN, dtype=torch.float64),
        torch.randn(BATCH, HIDDEN, dtype=torch.float64),
    )
    h, c = model.states(dynamic, static, state)
    expected_h, expected_c, _ = plain(model, dynamic, static, state)
    assert_close(h, expected_h)
    assert_close(c[:, -1], expected_c[:, -1])
    core = [p for n, p in model.named_parameters() if not n.startswith("head")]
    for a, b in zip(
        torch.autograd.grad((h**2).sum(), core),
        torch.autograd.grad((expected_h**2).sum(), core),
        strict=True,
    ):
        assert_close(a, b)


@pytest.mark.parametrize("entity_aware", [True, False])
@pytest.mark.parametrize("days", [1, 2, 3, 4, 7])
def test_the_adjoint_against_finite_differences(entity_aware, days, monkeypatch):
    """Chunks of 3 days, so that one, several and a part of one occur."""
    monkeypatch.setattr(recurrent, "CHUNK", 3)
    torch.manual_seed(days)
    blocks = 3 if entity_aware else 4

    def draw(*shape):
        return torch.randn(*shape, dtype=torch.float64, requires_grad=True)

    arguments = [draw(days, 2, 3), draw(blocks * 4, 3), draw(2, blocks * 4), draw(blocks * 4, 4)]
    gate = draw(2, 4) if entity_aware else None
    state = (torch.randn(2, 4, dtype=torch.float64), torch.randn(2, 4, dtype=torch.float64))

    def hidden(x, weight, offset, rec, *gates):
        return recurrence(x, weight, offset, rec, gates[0] if gates else None, state)[0]

    assert torch.autograd.gradcheck(
        hidden, (*arguments, *([gate] if entity_aware else [])), atol=1e-8, rtol=1e-6
    )


@every_model
def test_sizes_of_real_runs_in_single_precision(make):
    """Large enough for oneDNN's products and huge pages on a CPU; against the same in double
    precision. The first chunk of the backward pass is cut short by the cache's size."""
    torch.manual_seed(0)
    sizes = {
        "hidden": 96,
        "forget_bias": 0.0,
        **({} if make is lstm_no_static else {"n_static": 27}),
    }
    single, double = make(**sizes), make(**sizes).double()
    assert (
        128 * 96 * 64 * 3 * 4 > recurrent.HUGE
        and 288 * 99 * 64 > LEAST
        and recurrent.CACHE < 32 * 96 * 64
    )
    with torch.no_grad():
        single.recurrent *= 0.3  # with the published initialisation, rounding grows from day to day
    double.load_state_dict(single.state_dict())
    dynamic, static = (
        torch.randn(64, 128, DYNAMIC),
        torch.randn(64, 0 if make is lstm_no_static else 27),
    )
    one, two = single(dynamic, static, 9), double(dynamic.double(), static.double(), 9)
    torch.testing.assert_close(one.double(), two, atol=1e-5, rtol=1e-4)
    theirs = gradients(double, (two**2).mean())
    for name, ours in gradients(single, (one**2).mean()).items():
        torch.testing.assert_close(
            ours.double(), theirs[name], atol=1e-3 * theirs[name].abs().max().item(), rtol=1e-3
        )


@every_model
@every_route
def test_the_last_days_alone_are_those_of_all(make, route):
    model, dynamic, static = drawn(make, route)
    h, c = model.states(dynamic, static)
    for last in (1, 33, 40):
        few, end = model.states(dynamic, static, last=last)
        assert torch.equal(few, h[:, -last:]) and torch.equal(end[:, -1], c[:, -1])
        with torch.no_grad():
            assert_close(model.states(dynamic, static, last=last)[0], few, 1e-14)


def test_the_cell_state_is_for_reading():
    model, dynamic, static = drawn(ealstm)
    h, c = model.states(dynamic, static)
    assert h.requires_grad and not c.requires_grad


@every_route
@pytest.mark.parametrize(
    ("make", "count"), [(ealstm, 208_641), (lstm, 296_193), (lstm_no_static, 268_545)]
)
def test_as_many_parameters_as_published(make, route, count):
    """5 forcings, 27 attributes, 256 cells: the arithmetic of the published models."""
    sizes = {"n_dynamic": 5, "n_static": 0 if make is lstm_no_static else 27, "hidden": 256}
    assert sum(p.numel() for p in make(route, **sizes).parameters()) == count


@every_model
def test_initialisation_is_that_of_the_published_runs(make):
    torch.manual_seed(3)
    model = make(
        hidden=16,
        n_dynamic=5,
        **({} if make is lstm_no_static else {"n_static": 7}),
        forget_bias=5.0,
    )
    eye = torch.eye(model.weight.shape[1])
    torch.testing.assert_close(model.weight.T @ model.weight, eye, atol=1e-5, rtol=0)
    for block in model.recurrent.chunk(len(model.blocks)):
        assert torch.equal(block, torch.eye(16))
    for name, block in zip(model.blocks, model.bias.chunk(len(model.blocks)), strict=True):
        assert torch.equal(block, torch.full((16,), 5.0 if name == "forget" else 0.0))
    bound = 1 / math.sqrt(16)
    assert 0 < model.head.weight.abs().max() <= bound
    if make is ealstm:
        torch.testing.assert_close(
            model.weight_static.T @ model.weight_static, torch.eye(7), atol=1e-5, rtol=0
        )
        assert torch.equal(model.bias_static, torch.zeros(16))


@every_model
@every_route
def test_no_look_ahead(make, route):
    model, dynamic, static = drawn(make, route)
    before = model(dynamic, static, 40)
    changed = dynamic.clone()
    changed[:, 25:] += 10
    after = model(changed, static, 40)
    assert torch.equal(after[:, :25], before[:, :25])
    assert (after[:, 25:] != before[:, 25:]).all()


@every_model
@every_route
def test_samples_of_a_batch_do_not_see_each_other(make, route):
    model, dynamic, static = drawn(make, route)
    order = torch.randperm(BATCH)
    out = model(dynamic, static)
    assert_close(model(dynamic[order], static[order]), out[order], 1e-14)
    alone = torch.cat([model(dynamic[k : k + 1], static[k : k + 1]) for k in range(BATCH)])
    assert_close(alone, out, 1e-14)


@every_model
@every_route
def test_a_seed_repeats_and_another_differs(make, route):
    _, dynamic, static = drawn(make, dtype=torch.float32)

    def run(seed):
        torch.manual_seed(seed)
        return make(route, dropout=0.4).train()(dynamic, static, 5)

    assert torch.equal(run(1), run(1))
    assert not torch.equal(run(1), run(2))


@every_model
def test_dropout_is_on_the_head_alone(make):
    model, dynamic, static = drawn(lambda route: make(route, dropout=0.5))
    if make is lstm_no_static:
        static = static[:, :0]
    model.train()
    assert torch.equal(model.states(dynamic, static)[0], model.eval().states(dynamic, static)[0])
    torch.manual_seed(0)
    h = model.states(dynamic, static)[0][:, -1:]
    torch.manual_seed(5)
    expected = model.head(torch.nn.functional.dropout(h, 0.5))
    torch.manual_seed(5)
    assert torch.equal(model.train()(dynamic, static), expected)


@every_model
@every_route
def test_gradients_are_finite_where_gates_saturate(make, route):
    model, dynamic, static = drawn(make, route, dtype=torch.float32)
    out = model(dynamic * 1e4, static * 1e4, 40)
    assert out.isfinite().all()
    assert all(g.isfinite().all() for g in gradients(model, out.sum()).values())


@every_model
def test_several_targets(make):
    model, dynamic, static = drawn(lambda route: make(route, n_targets=2))
    if make is lstm_no_static:
        static = static[:, :0]
    out = model(dynamic, static, 4)
    assert out.shape == (BATCH, 4, 2)
    assert_close(out, plain(model, dynamic, static)[2][:, -4:])


def test_attributes_reach_an_ealstm_through_its_input_gate_alone():
    model, dynamic, static = drawn(ealstm)
    with torch.no_grad():
        model.weight_static.zero_()
    assert_close(model(dynamic, static), model(dynamic, -static))
    assert torch.equal(model.input_gate(static), torch.sigmoid(model.bias_static).expand(BATCH, -1))


def test_auto_takes_the_loop_on_a_cpu_and_routes_agree():
    for make, (a, b) in itertools.product(ALL_MODELS, [("auto", "loop"), ("loop", "fused")]):
        one, dynamic, static = drawn(make, a)
        other = drawn(make, b)[0]
        assert_close(one(dynamic, static, 40), other(dynamic, static, 40))


def test_no_attributes_no_ealstm():
    with pytest.raises(ParameterError, match="static attributes"):
        EALSTM(3, 0, 4)
