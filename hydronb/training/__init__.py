"""Training: `train`, the one loop, one module a paper, and `predict`."""

from hydronb.training import cnn_lstm, delta_hbv, ealstm, local_hbv, runoff_lstm

__all__ = ["cnn_lstm", "delta_hbv", "ealstm", "local_hbv", "runoff_lstm"]
