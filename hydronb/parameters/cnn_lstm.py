"""Parameters of Li et al. (2023): gridded catchments, and the CNN-LSTM notebooks."""

import datetime as dt
from typing import Annotated, Any, Literal

from pydantic import Field

from hydronb.parameters.base import (
    AnalysisParameters,
    Count,
    FitParameters,
    GridSourceName,
    InputPath,
    LossName,
    Parameters,
    Period,
    Periods,
    Positive,
    Seed,
    Share,
)
from hydronb.vocabulary import SOURCES


class GridParameters(Parameters):
    """Where the gridded catchment comes from; the `data:` of the cnn_lstm notebooks. See
    `hydronb.data.open_grid`."""

    kind: GridSourceName = "synthetic"
    path: InputPath | None = None
    """NetCDF or Zarr in the convention of `hydronb.data.gridded`."""
    preset: Literal["yellow", "yangtze", "lancang"] | None = None
    """Synthetic: one of the published grids, in place of a `shape`."""
    shape: Annotated[tuple[Count, ...], Field(min_length=2, max_length=2)] = (16, 16)
    """Synthetic: rows and columns, at least 4 x 4. `years`, calendar years from 1983, and `seed`
    are for synthetic grids too."""
    cell: Positive = 0.1
    """Synthetic: width of a cell, degrees. A preset keeps its box."""
    share: Annotated[float, Field(gt=0.02, lt=0.9)] | None = None
    """Synthetic: share of the box that the basin fills; a preset's own, else a half, if None."""
    years: Count = 12
    seed: Seed = 0
    cells: bool = False
    """Synthetic: whether the truth of each cell (`true_*_cells`) is included."""

    def model_post_init(self, context: Any) -> None:
        if SOURCES[self.kind].needs_path and not self.path:
            raise ValueError(f"data of kind {self.kind!r} needs a path")
        if self.preset and "shape" in self.model_fields_set and self.shape != (16, 16):
            raise ValueError(f"preset {self.preset!r} has a shape of its own; give preset or shape")
        if min(self.shape) < 4:
            raise ValueError(f"shape = {list(self.shape)}: the smallest grid is 4 x 4 cells")


class CNNLSTMTrainParameters(FitParameters, Periods, notebook="cnn_lstm_01_train"):
    """cnn_lstm_01_train. The defaults here are the published settings for the Yellow River (Li et
    al. 2023, Tables 2 and A2); the learning rate, which the paper does not give, is Adam's usual
    one."""

    data: GridParameters = GridParameters()
    model: str = "cnn_lstm"
    """`mean_lstm` is the paper's LSTM on the basin's mean forcing."""
    targets: Annotated[list[Literal["streamflow", "et"]], Field(min_length=1)] = ["streamflow"]
    """Two are the paper's multi-task learning."""
    static: list[str] = []
    """Fields of the grid, such as elevation or mask, that are added to the forcing as channels; not
    for `mean_lstm`."""
    train_period: Period = Period(start=dt.date(1983, 1, 1), end=dt.date(2004, 12, 31))
    validation_period: Period | None = Period(start=dt.date(2006, 1, 1), end=dt.date(2009, 12, 31))
    test_period: Period = Period(start=dt.date(2011, 1, 1), end=dt.date(2014, 12, 31))
    hidden: Count = 32
    layers: Count = 2
    channels: Annotated[tuple[Count, ...], Field(min_length=4, max_length=4)] = (8, 16, 32, 64)
    """Of the four convolutions."""
    dropout: Share = 0.0
    """Share of the encoder's features, and of the LSTM's last outputs, dropped in training."""
    loss: LossName = "mse"
    """Of the standardised targets, each weighing alike."""
    sequence_length: Count = 60
    """Days that a sample sees, its target days included."""
    predict_last: Count = 1
    """Target days per sample; the paper has 1."""
    epochs: Count = 400
    batch_size: Count = 32
    learning_rate: Positive | dict[int, Positive] = 1e-3
    clip_norm: Positive | None = None

    def model_post_init(self, context: Any) -> None:
        super().model_post_init(context)
        if self.predict_last > self.sequence_length:
            raise ValueError(
                f"predict_last ({self.predict_last}) is longer than sequence_length "
                f"({self.sequence_length})"
            )
        if self.static and self.model == "mean_lstm":
            raise ValueError(
                f"static = {self.static}: mean_lstm sees no grid; leave static out or choose"
                " cnn_lstm"
            )


class CNNLSTMBenchmarkParameters(
    AnalysisParameters, notebook="cnn_lstm_02_benchmark", takes_runs_of=("cnn_lstm_01_train",)
):
    """cnn_lstm_02_benchmark."""

    data: GridParameters = GridParameters()


class CNNLSTMProbesParameters(
    AnalysisParameters,
    notebook="cnn_lstm_03_probes",
    takes_runs_of=("cnn_lstm_01_train", "ealstm_01_train"),
):
    """cnn_lstm_03_probes."""

    data: GridParameters = GridParameters()
    targets: list[str] = []
    """What the probes estimate from the cell states; if empty, all that the data hold and the
    network was not trained on."""
    left_out: Share = 0.25
    """Share of the basins of a regional model that no probe is fit on."""
    seed: Seed = 0
    """Of the untrained weights, the shuffling and the choice of basins left out."""
    occlusion_block: Count = 4
    """Rows, and columns, of the blocks of cells whose weather is taken away in turn."""
