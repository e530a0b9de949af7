"""Parameters of the EA-LSTM notebooks (Kratzert et al., 2019)."""

import datetime as dt
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from hydronb.parameters.base import (
    AnalysisParameters,
    Count,
    FitParameters,
    InputPath,
    LossName,
    MetricName,
    NotNegative,
    Number,
    Period,
    Periods,
    Seed,
    Share,
)


class TrainParameters(FitParameters, Periods):
    """ealstm_01_train. The defaults here are the published settings (Kratzert et al. 2019, Sect.
    2.6 and its code)."""

    notebook: ClassVar[str] = "ealstm_01_train"
    model: str = "ealstm"
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
    loss: LossName = "nse_star"
    sequence_length: Count = 270
    """Days that a sample sees, its target days included."""
    predict_last: Count = 1
    """Target days per sample; 1 is the paper's sequence-to-value."""
    attribute_noise: NotNegative = 0.0
    """Standard deviation of Gaussian noise on the standardised attributes while training."""
    folds: Annotated[Count, Field(ge=2)] | None = None
    """Parts that the basins are split into: the run trains on the basins outside its `fold` and
    simulates those inside, as if ungauged."""
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
        return self


class SearchParameters(AnalysisParameters):
    """ealstm_06_search; the runs differ in their settings."""

    notebook: ClassVar[str] = "ealstm_06_search"
    takes_runs_of: ClassVar[tuple[str, ...]] = ("ealstm_01_train", "cnn_lstm_01_train")
    draws: Count = 1000
    """Number of draws of water years for the intervals."""


class BenchmarkParameters(AnalysisParameters):
    """ealstm_02_benchmark."""

    notebook: ClassVar[str] = "ealstm_02_benchmark"
    takes_runs_of: ClassVar[tuple[str, ...]] = ("ealstm_01_train",)
    target: Literal["streamflow", "et"] = "streamflow"
    """What is scored; all runs simulate it."""
    metrics: list[MetricName] = ["nse", "kge", "alpha_nse", "beta_nse", "fhv", "fms", "flv"]
    benchmark_models: InputPath = InputPath("")
    """Folder of the released benchmark models (`hydronb.data.sources.published`), if any."""
    scores: list[InputPath] = []
    """Files of published scores in place of runs (`analysis.published.read_scores`)."""
    basins: list[str] | InputPath | None = None
    """Of Table 3: ids, or a text file with one per line; all that every model has where None."""
    draws: Count = 1000
    """Number of draws of water years for the intervals."""

    @model_validator(mode="after")
    def _one_source(self) -> "BenchmarkParameters":
        if self.scores and (self.runs or self.benchmark_models):
            raise ValueError("give scores, or runs and benchmark_models, not both")
        return self

    @model_validator(mode="after")
    def _has_target(self) -> "BenchmarkParameters":
        if self.benchmark_models and self.target != "streamflow":
            raise ValueError(
                f"target = {self.target!r}: the benchmark models have streamflow alone; leave"
                " them out"
            )
        return self
