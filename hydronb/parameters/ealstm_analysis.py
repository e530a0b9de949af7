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
    """What the three of them take; the runs are EA-LSTMs that differ in their seed alone."""

    takes_runs_of: ClassVar[tuple[str, ...]] = ("ealstm_01_train",)


class RobustnessParameters(EALSTMAnalysisParameters):
    """ealstm_03_robustness; the defaults are the paper's, but for the evaluation."""

    notebook: ClassVar[str] = "ealstm_03_robustness"
    sigmas: Annotated[list[NotNegative], Field(min_length=1)] = [
        round(0.1 * k, 1) for k in range(11)
    ]
    """Standard deviations of the noise, in standard deviations of the attributes."""
    repetitions: Count = 50
    """Noise vectors for each basin and sigma."""
    noise_seed: Seed = 0
    evaluation: Literal["continuous", "windowed"] = "continuous"
    """`windowed` is the paper's."""
    compared_basins: Count = 20
    """Basins on which both evaluations are made and compared, with one noise vector for each of
    compared_sigmas."""
    compared_sigmas: Annotated[list[NotNegative], Field(min_length=1)] = [0.0, 1.0]
    threads: Count = 1


class SensitivityParameters(EALSTMAnalysisParameters):
    """ealstm_04_sensitivity."""

    notebook: ClassVar[str] = "ealstm_04_sensitivity"
    sensitivities: InputPath = InputPath("")
    """A CSV file of raw mean absolute gradients (basin, then a column an attribute) in place of
    runs."""
    attributes: InputPath = InputPath("")
    """CAMELS attribute folder, which knows where the basins of that file lie; no map where
    empty."""
    evaluation: Literal["continuous", "windowed"] = "continuous"
    """`windowed` is the paper's."""
    compared_basins: Count = 20
    """Basins on which both evaluations are made and compared."""
    threads: Count = 1

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
    """CAMELS attribute folder with attributes and signatures; those of `data` (of the runs' own)
    where empty."""
    ks: Annotated[list[Clusters], Field(min_length=1)] = list(range(3, 15))
    """Numbers of clusters to try."""
    n_init: Count = 10
    """Restarts of k-means."""
    random_state: Seed = 0
    missing_signatures: Literal["error", "skip"] = "error"
    """`skip`: a basin without a signature does not count in it."""
    umap: bool = True

    @model_validator(mode="after")
    def _one_source(self) -> "SimilarityParameters":
        if self.embedding and self.runs:
            raise ValueError("give runs or embedding, not both")
        return self
