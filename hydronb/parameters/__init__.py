"""The parameters of the notebooks: one frozen pydantic class a notebook, unknown names refused.

A notebook's first code cell holds plain assignments, its second is

    p = TrainParameters.from_notebook(globals())

The runner makes the same check for every run of a plan before it starts the first.
"""

from hydronb.parameters.base import (
    METRICS,
    DataParameters,
    FitParameters,
    NotebookParameters,
    Parameters,
    Period,
    read_parameters,
    resolve,
    run_folder,
)
from hydronb.parameters.catchments import CatchmentsParameters
from hydronb.parameters.ealstm import LOSSES, MODELS, BenchmarkParameters, TrainParameters

__all__ = [
    "LOSSES", "METRICS", "MODELS", "NOTEBOOKS", "BenchmarkParameters", "CatchmentsParameters", "DataParameters",
    "FitParameters", "NotebookParameters", "Parameters", "Period", "TrainParameters", "read_parameters", "resolve",
    "run_folder",
]

NOTEBOOKS: dict[str, type[NotebookParameters]] = {
    "00_catchments": CatchmentsParameters,
    "ealstm_01_train": TrainParameters,
    "ealstm_02_benchmark": BenchmarkParameters,
}
"""The parameters of each notebook, by its name."""
