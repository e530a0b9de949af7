"""Parameters of 00_catchments."""

from typing import ClassVar

from hydronb.parameters.base import NotebookParameters, Period


class CatchmentsParameters(NotebookParameters):
    """00_catchments."""

    notebook: ClassVar[str] = "00_catchments"
    basin: str | None = None
    """The catchment that is drawn in detail; the first if None."""
    period: Period | None = None
