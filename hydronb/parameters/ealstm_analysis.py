"""Parameters of the notebooks that look inside trained EA-LSTMs (Kratzert et al., 2019)."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from hydronb.parameters.base import (
    AnalysisParameters,
    Count,
    InputPath,
    NotNegative,
    Seed,
)

Clusters = Annotated[Count, Field(ge=2)]
"""A number of clusters."""


class EALSTMAnalysisParameters(AnalysisParameters):
    """What the three notebooks take; the runs are EA-LSTMs that differ in their seed alone."""

    takes_runs_of: ClassVar[tuple[str, ...]] = ("ealstm_01_train",)


class EvaluationParameters(EALSTMAnalysisParameters):
    """What the notebooks take that run the networks again."""

    evaluation: Literal["continuous", "windowed"] = "continuous"
    """`windowed` is the paper's."""
    compared_basins: Count = 20
    """Number of basins on which both evaluations are made and compared."""
    threads: Count = 1


class RobustnessParameters(EvaluationParameters):
    """ealstm_03_robustness; the defaults are the paper's, but for the evaluation."""

    notebook: ClassVar[str] = "ealstm_03_robustness"
    sigmas: Annotated[list[NotNegative], Field(min_length=1)] = [
        round(0.1 * k, 1) for k in range(11)
    ]
    """Standard deviations of the noise, in standard deviations of the attributes."""
    repetitions: Count = 50
    """Number of noise vectors for each basin and sigma."""
    noise_seed: Seed = 0
    compared_sigmas: Annotated[list[NotNegative], Field(min_length=1)] = [0.0, 1.0]
    """Standard deviations for which both evaluations are compared, with one noise vector each."""


class SensitivityParameters(EvaluationParameters):
    """ealstm_04_sensitivity."""

    notebook: ClassVar[str] = "ealstm_04_sensitivity"
    sensitivities: InputPath = InputPath("")
    """A CSV file of raw mean absolute gradients (basin, then one column per attribute) in place of
    runs."""
    attributes: InputPath = InputPath("")
    """CAMELS attribute folder with the coordinates of the basins in that file; no map if empty."""

    @model_validator(mode="after")
    def _one_source(self) -> "SensitivityParameters":
        if self.sensitivities and self.runs:
            raise ValueError("give runs or sensitivities, not both")
        return self


class SimilarityParameters(EALSTMAnalysisParameters):
    """ealstm_05_similarity; the defaults are the paper's."""

    notebook: ClassVar[str] = "ealstm_05_similarity"
    embedding: InputPath = InputPath("")
    """A NetCDF file with input_gate (seed, basin, cell) in place of runs."""
    attributes: InputPath = InputPath("")
    """CAMELS attribute folder with attributes and signatures; if empty, those of the runs' data."""
    ks: Annotated[list[Clusters], Field(min_length=1)] = list(range(3, 15))
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

    @model_validator(mode="after")
    def _one_source(self) -> "SimilarityParameters":
        if self.embedding and self.runs:
            raise ValueError("give runs or embedding, not both")
        return self
