"""The parameters of the notebooks: one frozen pydantic class a notebook, unknown names refused.

A notebook's first code cell holds plain assignments, its second is

    p = TrainParameters.from_notebook(globals())

The runner makes the same check for every run of a plan before it starts the first.
"""

from typing import Any, get_args

from hydronb.errors import ParameterError, nearest
from hydronb.parameters.base import (
    METRICS,
    DataParameters,
    FitParameters,
    InputPath,
    NotebookParameters,
    Parameters,
    Period,
    input_paths,
    number,
    read_parameters,
    resolve,
    run_folder,
)
from hydronb.parameters.cnn_lstm import (
    CNNLSTMBenchmarkParameters,
    CNNLSTMProbesParameters,
    CNNLSTMTrainParameters,
    GridParameters,
)
from hydronb.parameters.data import CatchmentsParameters
from hydronb.parameters.delta_hbv import (
    DeltaHBVBenchmarkParameters,
    DeltaHBVDynamicParameters,
    DeltaHBVFluxesParameters,
    DeltaHBVTrainParameters,
    DeltaHBVTwinParameters,
)
from hydronb.parameters.ealstm import (
    LOSSES,
    MODELS,
    BenchmarkParameters,
    SearchParameters,
    TrainParameters,
)
from hydronb.parameters.ealstm_analysis import (
    RobustnessParameters,
    SensitivityParameters,
    SimilarityParameters,
)

__all__ = [
    "LOSSES",
    "METRICS",
    "MODELS",
    "NOTEBOOKS",
    "BenchmarkParameters",
    "CNNLSTMBenchmarkParameters",
    "CNNLSTMProbesParameters",
    "CNNLSTMTrainParameters",
    "CatchmentsParameters",
    "DataParameters",
    "DeltaHBVBenchmarkParameters",
    "DeltaHBVDynamicParameters",
    "DeltaHBVFluxesParameters",
    "DeltaHBVTrainParameters",
    "DeltaHBVTwinParameters",
    "FitParameters",
    "GridParameters",
    "InputPath",
    "NotebookParameters",
    "Parameters",
    "Period",
    "RobustnessParameters",
    "SearchParameters",
    "SensitivityParameters",
    "SimilarityParameters",
    "TrainParameters",
    "input_paths",
    "number",
    "read_parameters",
    "resolve",
    "run_folder",
    "training_class",
]

NOTEBOOKS: dict[str, type[NotebookParameters]] = {
    "00_catchments": CatchmentsParameters,
    "ealstm_01_train": TrainParameters,
    "ealstm_02_benchmark": BenchmarkParameters,
    "ealstm_03_robustness": RobustnessParameters,
    "ealstm_04_sensitivity": SensitivityParameters,
    "ealstm_05_similarity": SimilarityParameters,
    "ealstm_06_search": SearchParameters,
    "cnn_lstm_01_train": CNNLSTMTrainParameters,
    "cnn_lstm_02_benchmark": CNNLSTMBenchmarkParameters,
    "cnn_lstm_03_probes": CNNLSTMProbesParameters,
    "delta_hbv_01_train": DeltaHBVTrainParameters,
    "delta_hbv_02_benchmark": DeltaHBVBenchmarkParameters,
    "delta_hbv_03_fluxes": DeltaHBVFluxesParameters,
    "delta_hbv_04_dynamic_parameters": DeltaHBVDynamicParameters,
    "delta_hbv_05_twin": DeltaHBVTwinParameters,
}
"""The parameters of each notebook, by its name."""


def training_class(model: Any) -> type[FitParameters]:
    """The parameters of the training that makes `model`.

    Raises
    ------
    ParameterError
        No family has a model of this name.
    """
    makes = {
        name: cls
        for cls in NOTEBOOKS.values()
        if issubclass(cls, FitParameters)
        for name in get_args(cls.model_fields["model"].annotation)
    }
    if model is None:
        return TrainParameters
    if model not in makes:
        raise ParameterError(
            f"model = {model!r} is unknown{nearest(str(model), makes)}; choose one of "
            f"{', '.join(makes)}"
        )
    return makes[model]
