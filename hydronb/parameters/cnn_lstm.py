"""Parameters of Li et al. (2023): gridded catchments."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from hydronb.parameters.base import Count, Parameters, Seed


class GridParameters(Parameters):
    """Where the gridded catchment comes from; the `data:` of the cnn_lstm notebooks. See `hydronb.data.open_grid`."""

    kind: Literal["synthetic", "file"] = "synthetic"
    path: str | None = None
    """NetCDF or Zarr in the convention of `hydronb.data.gridded`."""
    preset: Literal["yellow", "yangtze", "lancang"] | None = None
    """Synthetic: one of the published grids, instead of a `shape`."""
    shape: Annotated[list[Count], Field(min_length=2, max_length=2)] = [16, 16]
    """Synthetic: rows and columns, at least 4 x 4; likewise `years`, calendar years from 1983, and `seed`."""
    years: Count = 12
    seed: Seed = 0
    cells: bool = False
    """Synthetic: whether the truth of each cell (`true_*_cells`) comes along."""

    @model_validator(mode="after")
    def _consistent(self) -> "GridParameters":
        if self.kind == "file" and not self.path:
            raise ValueError("data of kind 'file' needs a path")
        if self.preset and "shape" in self.model_fields_set and self.shape != [16, 16]:
            raise ValueError(f"preset {self.preset!r} has a shape of its own; give preset or shape")
        if min(self.shape) < 4:
            raise ValueError(f"shape = {self.shape}: the smallest grid is 4 x 4 cells")
        return self

    def files(self) -> dict[str, str]:
        """Paths that the data come from, by parameter."""
        return {"path": self.path} if self.kind == "file" and self.path else {}
