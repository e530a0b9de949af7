"""Synthetic data with a hidden truth: catchments and grids."""

from hydronb.data.synthetic.catchments import synthetic_catchments
from hydronb.data.synthetic.grids import synthetic_grid

__all__ = ["synthetic_catchments", "synthetic_grid"]
