"""CNN-LSTM of Li et al. (2023), and their LSTM on basin means. doi:10.1016/j.jhydrol.2023.129401

Not specified in the paper, and chosen here: ReLU follows each convolution except the last, whose
outputs are the features of the day; inputs and targets are standardised with the statistics of the
training period; all weights start as PyTorch draws them.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

import torch
import xarray as xr
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from tqdm.auto import tqdm

from hydronb.data.gridded import SMALLEST, cell_weights
from hydronb.data.scaling import Scaling
from hydronb.data.windows import GridForcing, grid_forcing, prediction_days
from hydronb.errors import DataError, ParameterError
from hydronb.models.kernels.recurrent import recurrence
from hydronb.models.standardised import Standardised
from hydronb.parameters import Period

CHANNELS = (8, 16, 32, 64)
"""Of the four convolutions (Table A3)."""
KERNEL = 5
LEFT = 5
"""Rows and columns that the rule leaves to the last convolution at most, as in the published
stacks."""
CELLS = 2**20
"""Cells that are encoded at once; where a batch has more, its activations are not kept but computed
again in the backward pass."""
STEPS = 2**16
"""Days of windows that the LSTM simulates at once."""


class Convolution(NamedTuple):
    """Rows and columns of one convolution's kernel, stride and zero padding."""

    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)


PRESETS = {
    (41, 77): [
        Convolution((5, 5), (2, 2), (0, 0)),
        Convolution((5, 5), (2, 2), (1, 0)),
        Convolution((5, 5), (2, 3), (0, 0)),
        Convolution((3, 5)),
    ],
    (34, 71): [
        Convolution((5, 5), (2, 2), (1, 1)),
        Convolution((5, 5), (2, 2), (1, 1)),
        Convolution((5, 5), (2, 3), (0, 0)),
        Convolution((2, 5)),
    ],
    (84, 59): [
        Convolution((5, 5), (2, 2), (0, 0)),
        Convolution((5, 5), (2, 2), (1, 0)),
        Convolution((5, 5), (3, 2), (0, 0)),
        Convolution((5, 4)),
    ],
}
"""Stacks of Table A3 by rows and columns: Yellow, Yangtze, Lancang. The table gives no padding;
this one yields its sizes."""


def stack_for(shape: tuple[int, int]) -> list[Convolution]:
    """The four convolutions of a grid: the published ones for the published shapes, else by one
    rule.

    The rule, for rows and columns alike: 5 x 5 kernels with half their size as padding, so that a
    stride of s leaves every s-th cell; stride 2 twice, but 1 where no more than 5 cells are left;
    the third stride leaves at most 5 cells, with a kernel so wide that every cell counts; the
    fourth kernel covers all cells that are left.

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
    return PRESETS.get(shape) or [
        Convolution(*zip(rows, columns, strict=True))
        for rows, columns in zip(*map(_axis, shape), strict=True)
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
        axes = zip(sizes[-1], layer.kernel, layer.stride, layer.padding, strict=True)
        sizes.append(tuple((n + 2 * p - k) // s + 1 for n, k, s, p in axes))
    return sizes


class Encoder(nn.Sequential):
    """A day's grid to features, one for each of the last of the `channels`, by four convolutions
    (Table A3), for any grid of at least 4 x 4 cells."""

    def __init__(self, n_channels: int, shape: tuple[int, int], channels: Sequence[int] = CHANNELS):
        layers: list[nn.Module] = []
        for before, after, layer in zip(
            (n_channels, *channels), channels, stack_for(shape), strict=False
        ):
            layers += [nn.Conv2d(before, after, *layer), nn.ReLU()]
        super().__init__(*layers[:-1], nn.Flatten())


class StackedLSTM(nn.Module):
    """Stacked LSTM layers, with PyTorch's equations and weights.

    On a GPU they run in PyTorch's kernel; on a CPU, and where the cell states of every day are
    needed, in `kernels.recurrent`, layer by layer.
    """

    def __init__(self, n_inputs: int, hidden: int, layers: int):
        super().__init__()
        self.lstm = nn.LSTM(n_inputs, hidden, layers, batch_first=True)

    def forward(
        self, x: Float[Tensor, "batch time feature"], last: int
    ) -> Float[Tensor, "batch last hidden"]:
        """Hidden states of the top layer on the last `last` days."""
        return self.lstm(x)[0][:, -last:] if x.is_cuda else self.states(x, last)[0][-1]

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
            offset = (b_ih + b_hh).expand(x.shape[1], -1)
            x, c = recurrence(
                x,
                weight,
                offset,
                recurrent,
                last=last if layer == self.lstm.num_layers - 1 else None,
            )
            hidden.append(x[-last:].transpose(0, 1))
            cell.append(c[-last:].transpose(0, 1))
        return hidden, cell


def _gates(stacked: Tensor) -> Tensor:
    """Rows in the order of `kernels.recurrent`, o f i g, from PyTorch's i f g o."""
    i, f, g, o = stacked.chunk(4)
    return torch.cat([o, f, i, g])


class CNNLSTM(Standardised):
    """`cnn_lstm`: each day's grid goes through the encoder, its features through the LSTM, and the
    last days of the LSTM through one dense layer. `mean_lstm`: the paper's LSTM, which takes the
    basin's mean forcing in place of the features.

    Parameters
    ----------
    model
        `cnn_lstm` or `mean_lstm`.
    scaling
        Its names are what enters and leaves: forcings, static fields (its `attributes`), targets.
    shape
        Rows and columns of the grid; None for `mean_lstm`.
    hidden, layers
        Of the LSTM.
    channels
        Of the four convolutions.
    dropout
        Share of the encoder's features, and of the LSTM's last outputs, dropped in training.
    sequence_length, predict_last
        Days in a sample, and how many of them are targets; kept so that a trained model is used as
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
        channels: Sequence[int] = CHANNELS,
        dropout: float = 0.0,
    ):
        super().__init__(scaling)
        self.settings = {
            "model": model,
            "shape": shape,
            "hidden": hidden,
            "layers": layers,
            "channels": list(channels),
            "dropout": dropout,
            "sequence_length": sequence_length,
            "predict_last": predict_last,
        }
        self.sequence_length, self.predict_last = sequence_length, predict_last
        n_channels = len(scaling.forcings) + len(scaling.attributes)
        self.encoder = Encoder(n_channels, (shape[0], shape[1]), channels) if shape else None
        self.recurrent = StackedLSTM(channels[-1] if shape else n_channels, hidden, layers)
        self.dropout = nn.Dropout(dropout)
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
        """The inputs of the LSTM on each of the `days`: the encoder's 64 outputs, or the
        standardised means."""
        parts = days.split(max(1, CELLS // forcing.channels[0][0].numel()))
        whole = len(parts) == 1 or not torch.is_grad_enabled()
        encode = self._encode if whole else partial(checkpoint, self._encode, use_reentrant=False)
        return torch.cat([encode(forcing, part) for part in parts])

    def _encode(self, forcing: GridForcing, days: Tensor) -> Tensor:
        x = forcing.days(days)
        each = (-1, *[1] * (x.dim() - 2))
        x.sub_(self.forcings_mean.view(each)).div_(self.forcings_std.view(each))
        if self.encoder is None:
            return x
        if len(forcing.static):
            x = torch.cat([x, forcing.static.expand(len(x), *forcing.static.shape)], 1)
        return self.dropout(self.encoder(x))

    def simulate_windows(
        self, x: Float[Tensor, "batch time feature"]
    ) -> Float[Tensor, "batch last target"]:
        """Targets of the last days of windows of features."""
        out = self.head(self.dropout(self.recurrent(x, self.predict_last)))
        return out * self.targets_std + self.targets_mean

    def open(self, ds: xr.Dataset) -> GridForcing:
        """The forcing of `ds` as this model takes it.

        Raises
        ------
        DataError
            The grid is of another shape than the model was trained on.
        """
        shape, own = self.settings["shape"], [ds.sizes["y"], ds.sizes["x"]]
        if shape and own != shape:
            raise DataError(
                f"the model was trained on a grid of {shape[0]} x {shape[1]} cells and this one has"
                f" {own[0]} x {own[1]}; give it the grid that it was trained on"
            )
        return grid_forcing(ds, self.scaling, means=shape is None, device=self.head.weight.device)

    def windows(
        self, ds: xr.Dataset, period: Period, *, progress: bool = False
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Windows of features that cover `period`, each day encoded once: `(batch, time, feature)`,
        with the positions in time of their target days, `(batch, last)`. For inference alone.

        Raises
        ------
        DataError
            The grid is of another shape, or does not hold the period and the days before it.
        """
        forcing, device = self.open(ds), self.head.weight.device
        last = torch.from_numpy(
            prediction_days(ds, period, self.sequence_length, self.predict_last)
        ).to(device)
        first = int(last[0]) - self.sequence_length + 1
        features = self.features(forcing, torch.arange(first, int(last[-1]) + 1, device=device))
        windows = features.unfold(0, self.sequence_length, 1).transpose(1, 2)
        targets = torch.arange(1 - self.predict_last, 1, device=device)
        with tqdm(total=len(last), desc="predict", unit="window", disable=not progress) as bar:
            for part in last.split(max(1, STEPS // self.sequence_length)):
                yield windows[part - int(last[0])], part[:, None] + targets
                bar.update(len(part))

    def simulate(
        self, ds: xr.Dataset, period: Period, *, progress: bool = True, details: bool = False
    ) -> xr.Dataset:
        """See `hydronb.training.predict.predict`; the basin is the one of `ds`, and there are no
        `details`."""
        names = [str(ds.attrs["basin"])]
        centre = {
            name: ("basin", [float((ds[name] * cell_weights(ds)).sum())]) for name in ("lat", "lon")
        }
        basin = xr.Dataset(
            {
                target: (("basin", "time"), ds[target].data[None], ds[target].attrs)
                for target in self.scaling.targets
                if target in ds
            },
            {"basin": names, "time": ds.indexes["time"], **centre, "gauge_name": ("basin", names)},
        )
        windows = (
            (0, days.cpu().numpy(), self.simulate_windows(x))
            for x, days in self.windows(ds, period, progress=progress)
        )
        return self.windows_dataset(windows, basin, period)
