"""Models: one model, one paper, one file."""

from hydronb.models.cnn_lstm import CNNLSTM
from hydronb.models.delta_hbv import DeltaHBV
from hydronb.models.ealstm import EALSTM
from hydronb.models.local_hbv import LocalHBV
from hydronb.models.lstm import LSTM
from hydronb.models.runoff_lstm import RunoffLSTM
from hydronb.models.standardised import StandardisedLSTM
from hydronb.models.weights import load

__all__ = [
    "CNNLSTM",
    "EALSTM",
    "LSTM",
    "DeltaHBV",
    "LocalHBV",
    "RunoffLSTM",
    "StandardisedLSTM",
    "load",
]
