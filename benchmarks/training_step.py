"""Training steps of LSTM and EA-LSTM (forward, backward, Adam): windows a second and memory, one
thread."""

from collections.abc import Callable

import torch
from measure import alone, arguments, growth, show, take_turns
from torch import Tensor, nn

from hydronb.models import EALSTM, LSTM

N_DYNAMIC, N_STATIC, DROPOUT = 5, 27, 0.4


class TorchLSTM(nn.Module):
    """torch.nn.LSTM with the statics as inputs of every day, and the head."""

    def __init__(self, hidden: int):
        super().__init__()
        self.lstm = nn.LSTM(N_DYNAMIC + N_STATIC, hidden, batch_first=True)
        self.dropout, self.head = nn.Dropout(DROPOUT), nn.Linear(hidden, 1)

    def forward(self, dynamic: Tensor, static: Tensor) -> Tensor:
        every_day = static[:, None].expand(-1, dynamic.shape[1], -1)
        return self.head(self.dropout(self.lstm(torch.cat([dynamic, every_day], -1))[0][:, -1:]))


def build(name: str, hidden: int, days: int) -> nn.Module:
    if name == "EA-LSTM, NeuralHydrology":
        from peer import PeerEALSTM

        return PeerEALSTM(N_DYNAMIC, N_STATIC, hidden, days)
    if name == "LSTM, torch.nn":
        return TorchLSTM(hidden)
    family, route = name.split(", ")
    return {"EA-LSTM": EALSTM, "LSTM": LSTM}[family](
        N_DYNAMIC, N_STATIC, hidden, dropout=DROPOUT, route=route
    )


def step(name: str, hidden: int, chosen) -> Callable[[], object]:
    torch.manual_seed(0)
    model = build(name, hidden, chosen.days)
    dynamic, static = (
        torch.randn(chosen.batch, chosen.days, N_DYNAMIC),
        torch.randn(chosen.batch, N_STATIC),
    )
    observed = torch.randn(chosen.batch, 1, 1)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)

    def run() -> None:
        loss = nn.functional.mse_loss(model(dynamic, static), observed)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    return run


def memory(name: str, hidden: int, chosen) -> float:
    """MB for model, optimiser, batch and two steps."""
    # what torch itself allocates at its first step is not the model's
    step("LSTM, loop", 2, chosen)()
    if chosen.peer:
        import peer  # noqa: F401

    def run() -> None:
        train = step(name, hidden, chosen)
        train()
        train()

    return growth(run)


def main() -> None:
    chosen = arguments(__doc__, days=270, batch=256, repetitions=5)
    if chosen.quick:
        chosen.days, chosen.batch, chosen.repetitions = 30, 32, 2
    if chosen.alone:
        name, hidden = chosen.alone.rsplit(" ", 1)
        print(memory(name, int(hidden), chosen))
        return
    names = ["EA-LSTM, loop", "EA-LSTM, fused", "LSTM, loop", "LSTM, fused", "LSTM, torch.nn"]
    if chosen.peer:
        names.insert(2, "EA-LSTM, NeuralHydrology")
    rows = []
    for hidden in (16, 64, 256):
        repetitions = chosen.repetitions * (1 if hidden == 256 else 3)
        seconds = take_turns({name: step(name, hidden, chosen) for name in names}, repetitions)
        used = {name: alone(f"{name} {hidden}") for name in names}
        for name in names:
            loop = name.split(",")[0] + ", loop"
            rows.append(
                [
                    hidden,
                    name,
                    chosen.batch / seconds[name],
                    seconds[name] / seconds[loop],
                    used[name],
                    used[name] / used[loop],
                ]
            )
    show(
        ["hidden", "", "windows/s", "time, loop = 1", "MB", "memory, loop = 1"],
        rows,
        f"{N_DYNAMIC} forcings, {N_STATIC} attributes, {chosen.days} days, batch {chosen.batch}",
    )


if __name__ == "__main__":
    main()
