"""Training: `train`, the one loop, one module a paper, and `predict`."""

from hydronb.training.cnn_lstm import prepare_cnn_lstm
from hydronb.training.delta_hbv import prepare_delta_hbv, prepare_local_hbv, prepare_runoff_lstm
from hydronb.training.ealstm import prepare_ealstm

__all__ = [
    "prepare_cnn_lstm",
    "prepare_delta_hbv",
    "prepare_ealstm",
    "prepare_local_hbv",
    "prepare_runoff_lstm",
]
