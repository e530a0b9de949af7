"""CNN-LSTM of Li et al. (2023), and their LSTM on basin means. doi:10.1016/j.jhydrol.2023.129401

What the paper leaves open: ReLU follows each convolution but the last, whose outputs are the day's
features; inputs and targets are standardised with the training period's statistics; all weights
start as PyTorch draws them.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from tqdm.auto import tqdm

from hydronb.data.dataset import TARGETS
from hydronb.data.grid_windows import GridForcing, grid_forcing
from hydronb.data.gridded import SMALLEST, cell_weights
from hydronb.data.scaling import Scaling, select_period
from hydronb.data.windows import prediction_days
from hydronb.errors import DataError, ParameterError
from hydronb.models.kernels.recurrent import recurrence
from hydronb.models.standardised import Standardised
from hydronb.parameters import Period

CHANNELS = (8, 16, 32, 64)
"""Of the four convolutions (Table A3)."""
KERNEL = 5
LEFT = 5
"""Most rows, and columns, that the rule leaves to the last convolution, as the published stacks
do."""
CELLS = 2**20
"""Cells that are encoded at once; where a batch holds more, its activations are made a second time
on the way back instead of being kept."""
STEPS = 2**16
"""Days of windows that the LSTM simulates at once."""


class Convolution(NamedTuple):
    """Rows and columns of one convolution's kernel, stride and zero padding."""

    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)


Sides = tuple[int, int]


def _published(
    paddings: tuple[Sides, Sides, Sides], third: Sides, last: Sides
) -> list[Convolution]:
    strides = ((2, 2), (2, 2), third)
    five = [
        Convolution((5, 5), stride, padding)
        for stride, padding in zip(strides, paddings, strict=True)
    ]
    return [*five, Convolution(last)]


PRESETS = {
    (41, 77): _published(((0, 0), (1, 0), (0, 0)), (2, 3), (3, 5)),
    (34, 71): _published(((1, 1), (1, 1), (0, 0)), (2, 3), (2, 5)),
    (84, 59): _published(((0, 0), (1, 0), (0, 0)), (3, 2), (5, 4)),
}
"""Stacks of Table A3 by rows and columns: Yellow, Yangtze, Lancang. It gives no padding; this one
makes its sizes."""


def stack_for(shape: tuple[int, int]) -> list[Convolution]:
    """The four convolutions of a grid: the published ones for its published shapes, else by one
    rule.

    The rule, for rows and columns alike: 5 x 5 kernels with half their size as padding, so that a
    stride of s leaves every s-th cell; stride 2 twice, but 1 where no more than 5 cells are left;
    the third stride is what leaves at most 5, its kernel wide enough that every cell counts; the
    fourth kernel is all that is left.

    Raises
    ------
    ParameterError
        Fewer than 4 rows or columns.
    """
    if min(shape) < SMALLEST:
        raise ParameterError(
            f"a grid of {shape[0]} x {shape[1]} cells is too small to convolve; the smallest is "
            f"{SMALLEST} x {SMALLEST}, take a wider box around the basin"
        )
    if shape in PRESETS:
        return PRESETS[shape]
    axes = [_axis(n) for n in shape]
    return [
        Convolution(*((rows, cols) for rows, cols in zip(*layer, strict=True)))
        for layer in zip(*axes, strict=True)
    ]


def _axis(n: int) -> list[tuple[int, int, int]]:
    """Kernel, stride and padding of each convolution along one axis of `n` cells."""
    layers = []
    for stride in (2, 2, None):
        stride = -(-n // LEFT) if stride is None else stride if n > LEFT else 1
        kernel = max(KERNEL, 2 * stride - 1)
        layers.append((kernel, stride, kernel // 2))
        n = -(-n // stride)
    return [*layers, (n, 1, 0)]


def layer_sizes(shape: tuple[int, int]) -> list[tuple[int, int]]:
    """Rows and columns before each convolution and after the last, as Table A3 lists them.

    >>> layer_sizes((41, 77))
    [(41, 77), (19, 37), (9, 17), (3, 5), (1, 1)]
    """
    sizes = [shape]
    for layer in stack_for(shape):
        rows, cols = (
            (n + 2 * p - k) // s + 1
            for n, k, s, p in zip(sizes[-1], layer.kernel, layer.stride, layer.padding, strict=True)
        )
        sizes.append((rows, cols))
    return sizes


class Encoder(nn.Sequential):
    """A day's grid to 64 features by four convolutions (Table A3), for any grid of at least 4 x 4
    cells."""

    def __init__(self, n_channels: int, shape: tuple[int, int]):
        layers: list[nn.Module] = []
        for before, after, layer in zip(
            (n_channels, *CHANNELS), CHANNELS, stack_for(shape), strict=False
        ):
            layers += [nn.Conv2d(before, after, *layer), nn.ReLU()]
        super().__init__(*layers[:-1], nn.Flatten())


class StackedLSTM(nn.Module):
    """LSTM layers one on another, PyTorch's equations and weights.

    On a GPU PyTorch's kernel; on a CPU, and wherever cell states of every day are asked for,
    `kernels.recurrent`, layer by layer.
    """

    def __init__(self, n_inputs: int, hidden: int, layers: int):
        super().__init__()
        self.lstm = nn.LSTM(n_inputs, hidden, layers, batch_first=True)

    def forward(
        self, x: Float[Tensor, "batch time feature"], last: int
    ) -> Float[Tensor, "batch last hidden"]:
        """Hidden states of the uppermost layer on the last `last` days."""
        if x.is_cuda:
            return self.lstm(x)[0][:, -last:]
        return self.states(x, last)[0][-1]

    def states(
        self, x: Float[Tensor, "batch time feature"], last: int
    ) -> tuple[list[Float[Tensor, "batch last hidden"]], list[Float[Tensor, "batch last hidden"]]]:
        """Hidden and cell states of each layer, the lowest first, on the last `last` days;
        gradients flow through the hidden ones."""
        x = x.transpose(0, 1)
        hidden, cell = [], []
        for layer in range(self.lstm.num_layers):
            weight, recurrent, b_ih, b_hh = (
                _gates(getattr(self.lstm, f"{name}_l{layer}"))
                for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            )
            wanted = last if layer == self.lstm.num_layers - 1 else None
            x, c = recurrence(
                x, weight, (b_ih + b_hh).expand(x.shape[1], -1), recurrent, last=wanted
            )
            hidden.append(x[-last:].transpose(0, 1))
            cell.append(c[-last:].transpose(0, 1))
        return hidden, cell


def _gates(stacked: Tensor) -> Tensor:
    """Rows in the order of `kernels.recurrent`, o f i g, from PyTorch's i f g o."""
    i, f, g, o = stacked.chunk(4)
    return torch.cat([o, f, i, g])


class CNNLSTM(Standardised):
    """`cnn_lstm`: each day's grid through the encoder, the features through the LSTM, its last days
    through one dense layer. `mean_lstm`: the paper's LSTM, to which the basin's mean forcing takes
    the features' place.

    Parameters
    ----------
    model
        `cnn_lstm` or `mean_lstm`.
    scaling
        Its names say what enters and leaves: forcings, static fields (its `attributes`), targets.
    shape
        Rows and columns of the grid; None for `mean_lstm`.
    hidden, layers
        Of the LSTM.
    sequence_length, predict_last
        Days a sample has and how many of them are targets; kept so that a trained model is used as
        it was trained.
    """

    def __init__(
        self,
        model: str,
        scaling: Scaling,
        *,
        shape: list[int] | None,
        hidden: int,
        layers: int,
        sequence_length: int,
        predict_last: int,
    ):
        super().__init__(scaling)
        self.settings = {
            "model": model,
            "shape": shape,
            "hidden": hidden,
            "layers": layers,
            "sequence_length": sequence_length,
            "predict_last": predict_last,
        }
        self.sequence_length, self.predict_last = sequence_length, predict_last
        n_channels = len(scaling.forcings) + len(scaling.attributes)
        self.encoder = Encoder(n_channels, (shape[0], shape[1])) if shape else None
        self.recurrent = StackedLSTM(CHANNELS[-1] if shape else n_channels, hidden, layers)
        self.head = nn.Linear(hidden, len(scaling.targets))

    def forward(
        self, forcing: GridForcing, days: Int[Tensor, "batch time"]
    ) -> Float[Tensor, "batch last target"]:
        """Targets of the last `predict_last` of the `days`, in their units and not clipped."""
        distinct, position = days.unique(return_inverse=True)
        return self.simulate_windows(self.features(forcing, distinct)[position])

    def features(
        self, forcing: GridForcing, days: Int[Tensor, " day"]
    ) -> Float[Tensor, "day feature"]:
        """What enters the LSTM on each of the `days`: the encoder's 64 outputs, or the standardised
        means."""
        parts = days.split(max(1, CELLS // forcing.channels[0][0].numel()))
        if torch.is_grad_enabled() and len(parts) > 1:
            return torch.cat(
                [checkpoint(self._encode, forcing, part, use_reentrant=False) for part in parts]
            )
        return torch.cat([self._encode(forcing, part) for part in parts])

    def _encode(self, forcing: GridForcing, days: Tensor) -> Tensor:
        x = forcing.days(days)
        each = (-1, *[1] * (x.dim() - 2))
        x.sub_(self.forcings_mean.view(each)).div_(self.forcings_std.view(each))
        if self.encoder is None:
            return x
        if len(forcing.static):
            x = torch.cat([x, forcing.static.expand(len(x), *forcing.static.shape)], 1)
        return self.encoder(x)

    def simulate_windows(
        self, x: Float[Tensor, "batch time feature"]
    ) -> Float[Tensor, "batch last target"]:
        """Targets of the last days of windows of features."""
        return (
            self.head(self.recurrent(x, self.predict_last)) * self.targets_std + self.targets_mean
        )

    def open(self, ds: xr.Dataset) -> GridForcing:
        """The forcing of `ds` as this model takes it.

        Raises
        ------
        DataError
            The grid is of another shape than the model was trained on.
        """
        shape, here = self.settings["shape"], [ds.sizes["y"], ds.sizes["x"]]
        if shape and here != shape:
            raise DataError(
                f"the model was trained on a grid of {shape[0]} x {shape[1]} cells and this one has"
                f" {here[0]} x {here[1]}; give it the grid it knows"
            )
        return grid_forcing(ds, self.scaling, means=shape is None, device=self.head.weight.device)

    def windows(
        self, ds: xr.Dataset, period: Period, *, progress: bool = False
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Windows of features that cover `period`, each day encoded once: pieces of `(batch, time,
        feature)` with the positions in time of their target days `(batch, last)`. For inference
        alone.

        Raises
        ------
        DataError
            The grid is of another shape, or does not hold the period and the days before it.
        """
        forcing = self.open(ds)
        days = prediction_days(ds, period, self.sequence_length, self.predict_last)
        last = torch.from_numpy(days).to(self.head.weight.device)
        first = int(last[0]) - self.sequence_length + 1
        known = self.features(forcing, torch.arange(first, int(last[-1]) + 1, device=last.device))
        windows = known.unfold(0, self.sequence_length, 1).transpose(1, 2)
        targets = torch.arange(1 - self.predict_last, 1, device=last.device)
        with tqdm(total=len(last), desc="predict", unit="window", disable=not progress) as bar:
            for part in last.split(max(1, STEPS // self.sequence_length)):
                yield windows[part - int(last[0])], part[:, None] + targets
                bar.update(len(part))

    @torch.inference_mode()
    def simulate(self, ds: xr.Dataset, period: Period, *, progress: bool = True) -> xr.Dataset:
        """See `hydronb.training.predict.predict`; the basin is the one of `ds`."""
        was_training = self.training
        self.eval()
        names = list(self.scaling.targets)
        out = np.full((ds.sizes["time"], len(names)), np.nan, np.float32)
        for x, days in self.windows(ds, period, progress=progress):
            out[days.cpu().numpy()] = self.simulate_windows(x).cpu().numpy()
        self.train(was_training)
        observed = {f"{n}_obs": ("time", ds[n].to_numpy(), ds[n].attrs) for n in names if n in ds}
        whole = xr.Dataset(observed, {"time": ds.indexes["time"]})
        for k, name in enumerate(names):
            values = np.maximum(out[:, k], 0) if name == "streamflow" else out[:, k]
            attrs = {
                "units": TARGETS[name].units,
                "long_name": f"simulated {TARGETS[name].long_name}",
            }
            whole[name] = ("time", values, attrs)
        return (
            select_period(whole, period)
            .expand_dims(basin=[str(ds.attrs["basin"])])
            .assign_coords(_place(ds))
        )


def _place(ds: xr.Dataset) -> dict[str, tuple[str, list]]:
    """The basin's centre, and its name, as coordinates over `basin`."""
    centre = {
        name: ("basin", [float((ds[name] * cell_weights(ds)).sum())]) for name in ("lat", "lon")
    }
    return centre | {"gauge_name": ("basin", [str(ds.attrs["basin"])])}
