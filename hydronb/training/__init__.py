"""Training: `train`, the one loop, one module a paper, and `predict`."""
