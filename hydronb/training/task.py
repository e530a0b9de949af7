"""What the training of each model family needs: one module a family, with three functions.

- `open_data(p) -> Dataset`: the data that the parameters name
- `prepare(ds, p, device) -> Task`: before the training
- `finish(model, ds, p, run_dir) -> DataFrame`: after it, simulate the test period, write
  `simulation.nc` and `metrics.csv`, and give back the metrics, a row a basin
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from torch import Tensor, nn

from hydronb.training.loop import Samples


class Task(NamedTuple):
    """What `hydronb.training.train.train` asks a family for."""

    build: Callable[[], nn.Module]
    """Makes the model, on its device; the random numbers are seeded before."""
    samples: Samples
    loss_of: Callable[[nn.Module, Any], Tensor]
    """The loss of a batch, a scalar."""
    validate: Callable[[nn.Module], float] | None
    """The score after an epoch, higher is better."""
    seen: tuple[Tensor, ...]
    """The numbers that the training sees, for its fingerprint."""
    samples_per_epoch: int | None = None
    """The family's own number where the parameters leave it open; all samples where both do."""
