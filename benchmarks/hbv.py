"""HBV forward and backward: raw outputs of a network to routed streamflow, and gradients back to
them; one thread."""

from collections.abc import Callable

import torch
from measure import alone, arguments, growth, show, take_turns
from torch import Tensor

from hydronb.data.hbv_parameters import Parameter
from hydronb.models import hbv

DAYS = (183, 365, 730, 1460, 3650)
MODELS = {"static": (), "dynamic gamma, beta": ("BETA", "BETAET")}


def weather(basins: int, days: int) -> Tensor:
    """Precipitation, temperature, PET (time, basin, 3)."""
    tmean = 10 + 12 * torch.sin(torch.arange(days) / 58)[:, None] + 3 * torch.randn(days, basins)
    prcp = 12 * torch.rand(days, basins) ** 4
    return torch.stack([prcp, tmean, (0.2 * tmean).clamp(min=0)], -1)


def scaled(raw: Tensor, names: list[str], bounds: dict[str, Parameter]) -> dict[str, Tensor]:
    """Raw values (..., parameter, component) within bounds, by name."""
    values = raw.sigmoid().unbind(-2)
    return {
        n: v * (bounds[n].high - bounds[n].low) + bounds[n].low
        for n, v in zip(names, values, strict=True)
    }


def ours(dynamic: tuple[str, ...], basins: int, components: int, days: int) -> Callable[[], object]:
    prcp, tmean, pet = weather(basins, days).transpose(0, 1).contiguous().unbind(-1)
    static = [n for n in hbv.PARAMETERS if n not in (*dynamic, "BETAET")]
    once = torch.randn(basins, len(static), components).requires_grad_()
    daily = [torch.randn(basins, days, 1, components).requires_grad_() for _ in dynamic]
    routing = torch.randn(basins, 2, 1).requires_grad_()

    def run() -> None:
        varying = {}
        for name, raw in zip(dynamic, daily, strict=True):
            varying |= scaled(raw, [name], hbv.PARAMETERS)
        out, _ = hbv.run(prcp, tmean, pet, scaled(once, static, hbv.PARAMETERS), varying)
        a, b = scaled(routing, list(hbv.ROUTING), hbv.ROUTING).values()
        hbv.route(out["q0"] + out["q1"] + out["q2"], a[:, 0], b[:, 0]).mean().backward()
        for leaf in (once, routing, *daily):
            leaf.grad = None

    return run


def theirs(
    dynamic: tuple[str, ...], basins: int, components: int, days: int
) -> Callable[[], object]:
    from hydrodl2.models.hbv.hbv import Hbv

    model = Hbv(
        {"warmup": 0, "nmul": components, "dynamic_params": {"Hbv": [f"par{n}" for n in dynamic]}},
        device=torch.device("cpu"),
    )
    series = {"x_phy": weather(basins, days)}
    raw = torch.randn(days, basins, model.learnable_param_count).requires_grad_()

    def run() -> None:
        fluxes = model(series, raw)
        (fluxes[0] if isinstance(fluxes, tuple) else fluxes)["streamflow"].mean().backward()
        raw.grad = None

    return run


def build(name: str, basins: int, components: int, days: int) -> Callable[[], object]:
    who, model = name.split(", ", 1)
    torch.manual_seed(0)
    return {"hydronb": ours, "hydrodl2": theirs}[who](MODELS[model], basins, components, days)


def main() -> None:
    chosen = arguments(__doc__, peer="hydrodl2", basins=100, components=16, days=730, repetitions=5)
    lengths = DAYS
    if chosen.quick:
        chosen.basins, chosen.days, chosen.repetitions, lengths = 10, 60, 2, (30, 60, 120)
    if chosen.alone:
        # what torch and the compiler allocate at their first turn is not the model's
        build(chosen.alone, 2, 2, 20)()
        print(growth(build(chosen.alone, chosen.basins, chosen.components, chosen.days)))
        return
    who = ["hydronb", *(["hydrodl2"] if chosen.peer else [])]
    rows = []
    for model in MODELS:
        seconds = take_turns(
            {w: build(f"{w}, {model}", chosen.basins, chosen.components, chosen.days) for w in who},
            chosen.repetitions,
        )
        rows += [
            [model, w, 1000 * seconds[w], seconds[w] / seconds["hydronb"], alone(f"{w}, {model}")]
            for w in who
        ]
    show(
        ["parameters", "", "ms", "ratio", "MB"],
        rows,
        f"{chosen.basins} basins, {chosen.components} components, {chosen.days} days, forward and"
        " backward",
    )
    name = "hydronb, dynamic gamma, beta"
    runs = {days: build(name, chosen.basins, chosen.components, days) for days in lengths}
    seconds = take_turns(runs, chosen.repetitions)
    show(["days", "ms", "us a day"], [[d, 1000 * s, 1e6 * s / d] for d, s in seconds.items()], name)


if __name__ == "__main__":
    main()
