"""Parameters of the EA-LSTM notebooks (Kratzert et al., 2019)."""

import datetime as dt
from typing import Annotated, Any, Literal

from pydantic import Field

from hydronb.parameters.base import (
    AnalysisParameters,
    Count,
    FitParameters,
    Folds,
    InputPath,
    LossName,
    MetricName,
    NotNegative,
    Number,
    Period,
    Seed,
    Share,
)


class TrainParameters(FitParameters, Folds, notebook="ealstm_01_train"):
    """ealstm_01_train. The defaults here are the published settings (Kratzert et al. 2019, Sect.
    2.6 and its code)."""

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

    def model_post_init(self, context: Any) -> None:
        super().model_post_init(context)
        if self.predict_last > self.sequence_length:
            raise ValueError(
                f"predict_last ({self.predict_last}) is longer than sequence_length "
                f"({self.sequence_length})"
            )


class SearchParameters(
    AnalysisParameters,
    notebook="ealstm_06_search",
    takes_runs_of=("ealstm_01_train", "cnn_lstm_01_train"),
):
    """ealstm_06_search; the runs differ in their settings."""

    draws: Count = 1000
    """Number of draws of water years for the intervals."""


class BenchmarkParameters(
    AnalysisParameters, notebook="ealstm_02_benchmark", takes_runs_of=("ealstm_01_train",)
):
    """ealstm_02_benchmark."""

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

    def model_post_init(self, context: Any) -> None:
        if self.scores and (self.runs or self.benchmark_models):
            raise ValueError("give scores, or runs and benchmark_models, not both")
        if self.benchmark_models and self.target != "streamflow":
            raise ValueError(
                f"target = {self.target!r}: the benchmark models have streamflow alone; leave"
                " them out"
            )


class EvaluationParameters(AnalysisParameters, takes_runs_of=("ealstm_01_train",)):
    """What the notebooks take that run the networks again. The runs are EA-LSTMs that differ in
    their seed alone."""

    evaluation: Literal["continuous", "windowed"] = "continuous"
    """`windowed` is the paper's."""
    compared_basins: Count = 20
    """Number of basins on which both evaluations are made and compared."""
    threads: Count = 1


class RobustnessParameters(EvaluationParameters, notebook="ealstm_03_robustness"):
    """ealstm_03_robustness; the defaults are the paper's, but for the evaluation."""

    sigmas: Annotated[list[NotNegative], Field(min_length=1)] = [
        round(0.1 * k, 1) for k in range(11)
    ]
    """Standard deviations of the noise, in standard deviations of the attributes."""
    repetitions: Count = 50
    """Number of noise vectors for each basin and sigma."""
    noise_seed: Seed = 0
    compared_sigmas: Annotated[list[NotNegative], Field(min_length=1)] = [0.0, 1.0]
    """Standard deviations for which both evaluations are compared, with one noise vector each."""


class SensitivityParameters(EvaluationParameters, notebook="ealstm_04_sensitivity"):
    """ealstm_04_sensitivity."""

    sensitivities: InputPath = InputPath("")
    """A CSV file of raw mean absolute gradients (basin, then one column per attribute) in place of
    runs."""
    attributes: InputPath = InputPath("")
    """CAMELS attribute folder with the coordinates of the basins in that file; no map if empty."""

    def model_post_init(self, context: Any) -> None:
        if self.sensitivities and self.runs:
            raise ValueError("give runs or sensitivities, not both")


class SimilarityParameters(
    AnalysisParameters, notebook="ealstm_05_similarity", takes_runs_of=("ealstm_01_train",)
):
    """ealstm_05_similarity; the defaults are the paper's, the runs EA-LSTMs that differ in their
    seed alone."""

    embedding: InputPath = InputPath("")
    """A NetCDF file with input_gate (seed, basin, cell) in place of runs."""
    attributes: InputPath = InputPath("")
    """CAMELS attribute folder with attributes and signatures; if empty, those of the runs' data."""
    ks: Annotated[list[Annotated[Count, Field(ge=2)]], Field(min_length=1)] = list(range(3, 15))
    """Numbers of clusters to try."""
    n_init: Count = 10
    """Restarts of k-means for the silhouettes, which choose the number of clusters."""
    label_restarts: Count = 200
    """Restarts for the clusters of the chosen numbers: maps, agreement and explained variance."""
    shown_seed: Seed | None = None
    """The seed whose gates, explained variance, map and plane are drawn; the first where None."""
    random_state: Seed = 0
    missing_signatures: Literal["error", "skip"] = "error"
    """`skip`: a basin without a signature is left out of that signature's score."""
    umap: bool = True

    def model_post_init(self, context: Any) -> None:
        if self.embedding and self.runs:
            raise ValueError("give runs or embedding, not both")
