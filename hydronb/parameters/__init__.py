"""The parameters of the notebooks: one frozen pydantic class a notebook, unknown names refused.

A notebook's first code cell holds plain assignments, its second is

    p = TrainParameters.from_notebook(globals())

The runner makes the same check for every run of a plan before it starts the first.
"""

from typing import Any

from hydronb.errors import ParameterError
from hydronb.parameters.base import (
    NOTEBOOKS,
    CatchmentsParameters,
    DataParameters,
    FitParameters,
    InputPath,
    NotebookParameters,
    Parameters,
    Period,
    input_paths,
    number,
    once,
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
from hydronb.parameters.delta_hbv import (
    DeltaHBVBenchmarkParameters,
    DeltaHBVDynamicParameters,
    DeltaHBVFluxesParameters,
    DeltaHBVTrainParameters,
    DeltaHBVTwinParameters,
)
from hydronb.parameters.ealstm import (
    BenchmarkParameters,
    RobustnessParameters,
    SearchParameters,
    SensitivityParameters,
    SimilarityParameters,
    TrainParameters,
)
from hydronb.vocabulary import MODELS

__all__ = [
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
    "once",
    "read_parameters",
    "resolve",
    "run_folder",
    "training_class",
]


def training_class(model: Any, where: str = "") -> type[FitParameters]:
    """The parameters of the training that makes `model`, which is named at `where`.

    Raises
    ------
    ParameterError
        No family has a model of this name.
    """
    if model is None:
        return TrainParameters
    if not isinstance(model, str) or model not in MODELS:
        place = f"{where}: " if where else ""
        raise ParameterError(
            f"{place}model = {model!r:.60} is unknown; choose one of {', '.join(MODELS)}"
        )
    return NOTEBOOKS[MODELS[model].notebook]
