"""Models: one model, one paper, one file."""

from hydronb.models.ealstm import EALSTM
from hydronb.models.lstm import LSTM
from hydronb.models.scaled import ScaledModel, load

__all__ = ["EALSTM", "LSTM", "ScaledModel", "load"]
