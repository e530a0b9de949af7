"""A training iteration of delta-HBV, and the share of network, HBV, routing with loss, and
optimiser; one thread."""

from collections.abc import Callable

import torch
from measure import arguments, show, take_turns
from torch import Tensor, nn

from hydronb.data.scaling import Scaling
from hydronb.losses import Terms, feng2022
from hydronb.models import hbv
from hydronb.models.delta_hbv import DeltaHBV

MODELS = {
    "delta_1": {"components": 1},
    "delta_n": {},
    "delta_n, attributes": {"network": "attributes"},
    "delta_n(gamma, beta)": {"dynamic": ("BETAET", "BETA")},
}
N_STATIC = 27
PARTS = ("network", "HBV", "routing, loss", "optimiser")


def parts(name: str, chosen) -> dict[str, Callable[[], object]]:
    """The whole iteration, and each part of it alone, forward and backward."""
    torch.manual_seed(0)
    forcings = {"prcp": (0.0, 0.5), "tmean": (8.0, 9.0), "pet": (2.0, 2.0)}
    scaling = Scaling(
        forcings, {f"a{k}": (0.0, 1.0) for k in range(N_STATIC)}, {"streamflow": (1.5, 3.0)}, {}
    )
    model = DeltaHBV(
        scaling,
        hidden=chosen.hidden,
        dropout=0.1,
        initialisation="typical",
        warmup_days=chosen.days,
        target_days=chosen.days,
        **MODELS[name],
    )
    weather = torch.rand(chosen.basins, 2 * chosen.days, 3)
    weather *= torch.tensor([12.0, 30.0, 5.0])
    weather[:, :, 1] -= 10
    attributes, observed = (
        torch.randn(chosen.basins, N_STATIC),
        torch.rand(chosen.basins, chosen.days, 1),
    )
    basin, one = torch.arange(chosen.basins), torch.ones(chosen.basins, 1)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3)

    def loss_of(sim: Tensor) -> Tensor:
        return feng2022(Terms(sim[:, :, None], observed, one, one[0], basin))

    def whole() -> None:
        loss = loss_of(model(weather, attributes))
        optimiser.zero_grad()
        loss.backward()
        update()

    def update() -> None:
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()

    def estimate() -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        h = model.states(
            weather[:, chosen.days - model.reading_days :], attributes, last=chosen.days + 1
        )
        return model.read(h[:, -1]), model.read_daily(h[:, -chosen.days :])

    def network() -> None:
        static, daily = estimate()
        sum(v.sum() for v in (*static.values(), *daily.values())).backward()

    static, daily = ({n: v.detach().requires_grad_() for n, v in d.items()} for d in estimate())

    def physics() -> None:
        with torch.no_grad():
            _, state = model._run(weather[:, : chosen.days], static)
        runoff, _ = model._run(weather[:, chosen.days :], static, daily, state=state)
        hbv.outflow(runoff).sum().backward()

    runoff = torch.rand(chosen.basins, chosen.days, requires_grad=True)

    def routing_and_loss() -> None:
        loss_of(hbv.route(runoff, *(static[name] for name in hbv.ROUTING))).backward()

    whole()
    return {
        "whole": whole,
        "network": network,
        "HBV": physics,
        "routing, loss": routing_and_loss,
        "optimiser": update,
    }


def peer(name: str, chosen) -> dict[str, Callable[[], object]]:
    """The whole iteration with hydrodl2's HBV behind torch's LSTM, and its HBV alone."""
    from hydrodl2.models.hbv.hbv import Hbv

    torch.manual_seed(0)
    dynamic = ["parBETAET", "parBETA"] if MODELS[name].get("dynamic") else []
    physics = Hbv(
        {
            "warmup": chosen.days,
            "nmul": MODELS[name].get("components", 16),
            "dynamic_params": {"Hbv": dynamic},
        },
        device=torch.device("cpu"),
    )
    enter, lstm = nn.Linear(3 + N_STATIC, chosen.hidden), nn.LSTM(chosen.hidden, chosen.hidden)
    head = nn.Linear(chosen.hidden, physics.learnable_param_count)
    weights = [w for layer in (enter, lstm, head) for w in layer.parameters()]
    optimiser = torch.optim.AdamW(weights, lr=1e-3)
    weather = torch.rand(2 * chosen.days, chosen.basins, 3) * torch.tensor(
        [12.0, 30.0, 5.0]
    ) - torch.tensor([0, 10, 0])
    inputs = torch.cat(
        [weather, torch.randn(chosen.basins, N_STATIC).expand(len(weather), -1, -1)], -1
    )
    observed = torch.rand(chosen.days, chosen.basins, 1)

    def simulated(raw: Tensor) -> Tensor:
        out = physics({"x_phy": weather}, raw)
        return (out[0] if isinstance(out, tuple) else out)["streamflow"][-chosen.days :]

    def whole() -> None:
        loss = (simulated(head(lstm(enter(inputs).relu())[0])) - observed).square().mean()
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(weights, 1.0)
        optimiser.step()

    raw = torch.randn(len(weather), chosen.basins, physics.learnable_param_count).requires_grad_()
    return {"whole": whole, "HBV": lambda: simulated(raw).sum().backward()}


def main() -> None:
    chosen = arguments(__doc__, peer="hydrodl2", basins=100, days=365, hidden=64, repetitions=7)
    if chosen.quick:
        chosen.basins, chosen.days, chosen.hidden, chosen.repetitions = 8, 40, 8, 2
    candidates = {
        f"{name}|{part}": run for name in MODELS for part, run in parts(name, chosen).items()
    }
    rivals = ("delta_n", "delta_n(gamma, beta)") if chosen.peer else ()
    candidates |= {
        f"{name}, hydrodl2|{part}": run
        for name in rivals
        for part, run in peer(name, chosen).items()
    }
    seconds = take_turns(candidates, chosen.repetitions)
    rows = []
    for name in dict.fromkeys(key.split("|")[0] for key in candidates):
        ms = {
            key.split("|")[1]: 1000 * s for key, s in seconds.items() if key.split("|")[0] == name
        }
        shares = [
            f"{ms[part]:.0f} ({ms[part] / ms['whole']:.0%})" if part in ms else "" for part in PARTS
        ]
        rows.append([name, ms["whole"], *shares])
    show(
        ["", "iteration, ms", *PARTS],
        rows,
        f"{chosen.basins} basins, {chosen.days} days after {chosen.days} of warm-up, LSTM of"
        f" {chosen.hidden}, 16 components but in delta_1; each part alone, forward and backward",
    )


if __name__ == "__main__":
    main()
