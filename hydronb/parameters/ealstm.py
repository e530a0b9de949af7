"""Parameters of the EA-LSTM notebooks (Kratzert et al., 2019)."""

import datetime as dt
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from hydronb.errors import nearest
from hydronb.parameters.base import (
    METRICS,
    Count,
    FitParameters,
    NotebookParameters,
    NotNegative,
    Number,
    Period,
    Periods,
    Seed,
    Share,
)

MODELS = ("ealstm", "lstm", "lstm_no_static")
LOSSES = ("nse_star", "nse_star_paper", "mse")


class TrainParameters(FitParameters, Periods):
    """ealstm_01_train. The defaults here are the published settings (Kratzert et al. 2019, Sect.
    2.6 and its code)."""

    family: ClassVar[str] = "ealstm"
    model: Literal["ealstm", "lstm", "lstm_no_static"] = "ealstm"
    forcings: Annotated[list[str], Field(min_length=1)] = ["prcp", "srad", "tmax", "tmin", "vp"]
    attributes: list[str] | Literal["kratzert2019", "all"] = "kratzert2019"
    """Names, `kratzert2019` (the paper's 27) or `all`."""
    missing_attributes: Literal["error", "mean"] = "error"
    targets: Annotated[list[Literal["streamflow", "et"]], Field(min_length=1)] = ["streamflow"]
    train_period: Period = Period(start=dt.date(1999, 10, 1), end=dt.date(2008, 9, 30))
    test_period: Period = Period(start=dt.date(1989, 10, 1), end=dt.date(1999, 9, 30))
    hidden: Count = 256
    dropout: Share = 0.4
    forget_bias: Number = 5.0
    loss: Literal["nse_star", "nse_star_paper", "mse"] = "nse_star"
    sequence_length: Count = 270
    """Days a sample sees, its target days included."""
    predict_last: Count = 1
    """Target days a sample has: 1 is the paper's sequence-to-value."""
    attribute_noise: NotNegative = 0.0
    """Standard deviation of Gaussian noise on the standardised attributes while training."""
    folds: Annotated[Count, Field(ge=2)] | None = None
    """Parts that the basins are split into: the run trains outside of its `fold` and simulates
    inside, ungauged."""
    fold: Count | None = None
    """Which part, counted from 1."""
    fold_seed: Seed = 0
    """Of the split; the same for all runs of an experiment."""

    @model_validator(mode="after")
    def _consistent(self) -> "TrainParameters":
        if self.predict_last > self.sequence_length:
            raise ValueError(
                f"predict_last ({self.predict_last}) is longer than sequence_length "
                f"({self.sequence_length})"
            )
        if (self.folds is None) != (self.fold is None):
            raise ValueError(
                "folds and fold belong together: how many parts, and which of them is left out"
            )
        if self.folds and self.fold > self.folds:
            raise ValueError(
                f"fold {self.fold} is not one of the {self.folds} folds, counted from 1"
            )
        self.require_once("forcings", "targets", "attributes")
        return self


class SearchParameters(NotebookParameters):
    """ealstm_06_search."""

    takes_runs_of: ClassVar[tuple[str, ...]] = ("ealstm_01_train", "cnn_lstm_01_train")
    runs: list[str] = []
    """Run directories of trained models that differ in their settings; where empty, the notebook
    trains small ones."""
    draws: Count = 1000
    """Draws of water years for the intervals."""


class BenchmarkParameters(NotebookParameters):
    """ealstm_02_benchmark."""

    takes_runs_of: ClassVar[tuple[str, ...]] = ("ealstm_01_train",)
    runs: list[str] = []
    """Run directories of trained models; where empty, the notebook trains a small one."""
    target: Literal["streamflow", "et"] = "streamflow"
    """What is scored; all runs simulate it."""
    metrics: list[str] = ["nse", "kge", "alpha_nse", "beta_nse", "fhv", "fms", "flv"]
    benchmark_models: str = ""
    """Folder of the released benchmark models (`hydronb.data.sources.published`); none where
    empty."""
    draws: Count = 1000
    """Draws of water years for the intervals."""

    @model_validator(mode="after")
    def _known_metrics(self) -> "BenchmarkParameters":
        for name in self.metrics:
            if name not in METRICS:
                raise ValueError(f"unknown metric {name!r}{nearest(name, METRICS)}")
        if self.benchmark_models and self.target != "streamflow":
            raise ValueError(
                f"target = {self.target!r}: the benchmark models have streamflow alone; leave"
                " them out"
            )
        return self
