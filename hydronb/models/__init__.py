"""Models: one model, one paper, one file."""

from hydronb.models.ealstm import EALSTM
from hydronb.models.lstm import LSTM
from hydronb.models.scaled import ScaledModel
from hydronb.models.stored import load

__all__ = ["EALSTM", "LSTM", "ScaledModel", "load"]
