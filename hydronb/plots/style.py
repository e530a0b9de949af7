"""What all figures share: colours, fonts, tools, how a figure is shown and saved.

Axis labels come from `long_name` and `units`; a model has the same colour in every figure, safe for
colour-blind readers; the observation is black.
"""

import os
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import holoviews as hv
import xarray as xr
from bokeh.document import Document
from bokeh.embed import file_html
from bokeh.resources import INLINE
from bokeh.themes import Theme

from hydronb.errors import DataError

OBSERVED = "observed"
COLOURS = {
    OBSERVED: "#000000",
    "EA-LSTM": "#0072B2",
    "LSTM": "#D55E00",
    "LSTM (no statics)": "#E69F00",
    "delta-HBV": "#009E73",
    "delta_1": "#E69F00",
    "delta_n": "#56B4E9",
    "delta_n(NN_r)": "#332288",
    "delta_n(beta)": "#882255",
    "delta_n(gamma)": "#999933",
    "delta_n(gamma, beta)": "#009E73",
    "HBV (local)": "#7F7F7F",
    "CNN-LSTM": "#CC79A7",
    "climatology": "#7F7F7F",
}
"""Fixed colours by the label's beginning: `EA-LSTM, NSE*` is an EA-LSTM. Okabe and Ito's
palette."""
SPARE = (
    "#56B4E9",
    "#882255",
    "#117733",
    "#AA4499",
    "#44AA99",
    "#999933",
    "#332288",
    "#661100",
    "#CC6677",
    "#DDCC77",
)
"""For labels that have no colour of their own, and for the second of a family; Tol's muted
colours."""
RAIN, INK, GRID = "#5B8DB8", "#333333", "#E6E6E6"
WIDTH = 900
SEQUENTIAL = "viridis"
FONT = "Helvetica Neue, Helvetica, Arial, sans-serif"
THEME = Theme(
    json={
        "attrs": {
            "Title": {
                "text_font": FONT,
                "text_font_size": "15px",
                "text_font_style": "normal",
                "text_color": INK,
            },
            "Axis": {
                "axis_label_text_font": FONT,
                "axis_label_text_font_size": "13px",
                "axis_label_text_color": INK,
                "axis_label_text_font_style": "normal",
                "major_label_text_font": FONT,
                "major_label_text_font_size": "12px",
                "major_label_text_color": INK,
                "axis_line_color": "#999999",
                "major_tick_line_color": "#999999",
                "minor_tick_line_color": None,
            },
            "Grid": {"grid_line_color": GRID},
            "Legend": {
                "label_text_font": FONT,
                "label_text_font_size": "13px",
                "label_text_color": INK,
                "border_line_color": None,
                "background_fill_alpha": 0.75,
                "spacing": 2,
                "padding": 4,
            },
            "ColorBar": {
                "title_text_font": FONT,
                "title_text_font_size": "12px",
                "title_text_font_style": "normal",
                "major_label_text_font": FONT,
                "major_label_text_font_size": "11px",
                "bar_line_color": None,
                "major_tick_line_color": None,
            },
            "figure": {"outline_line_color": None, "toolbar_location": "above"},
            "Toolbar": {"autohide": True, "logo": None},
        }
    }
)

FREE: dict[str, Any] = {"active_tools": ["pan"], "show_grid": True}
ALONG_TIME: dict[str, Any] = {
    "default_tools": ["save", "xpan", "xwheel_zoom", "xbox_zoom", "reset"],
    "active_tools": ["xpan"],
    "show_grid": True,
}
"""Tools of a figure; the wheel zooms once it is switched on, so that a notebook scrolls past."""

Series = Mapping[str, xr.DataArray]
"""Simulations by label, each over `time`."""


def start() -> None:
    """Make HoloViews draw with bokeh in this theme; a notebook calls it once, figures see to it
    otherwise."""
    # a notebook shows its figures without a network, too
    hv.extension("bokeh", logo=False, inline=True)
    hv.renderer("bokeh").theme = THEME


def save(figure: Any, folder: str | Path, name: str) -> Path:
    """Write `figure` as `folder/name.html`, one file that needs neither a network nor this package.

    Raises
    ------
    DataError
        The folder cannot be written.
    """
    path = Path(folder) / f"{name}.html"
    partial = path.with_name(path.name + ".partial")
    page = file_html(_render(figure), INLINE, title=name.replace("_", " "), theme=THEME)
    # panel's, which no figure here uses
    page = re.sub(r'<script src="static/[^>]*></script>\n?', "", page)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(page, encoding="utf-8")
        os.replace(partial, path)
    except OSError as error:
        raise DataError(
            f"{path} cannot be written ({error.strerror or error}); choose another folder"
        ) from None
    return path


def _render(figure: Any) -> Any:
    _bokeh()
    plot = hv.renderer("bokeh").get_plot(figure)
    # the current one, a visitor's in the app, would keep every figure to its own end
    plot.document = Document()
    return plot.state


@cache
def _bokeh() -> None:
    if "bokeh" not in hv.Store.loaded_backends():
        start()
    hv.renderer("bokeh").theme = THEME


def colours(labels: Sequence[str]) -> dict[str, str]:
    """A colour for each label: its family's where it has one and nobody took it, else a spare one,
    again when there are more labels than colours.

    >>> colours(["LSTM", "LSTM (no statics)", "EA-LSTM, MSE"])
    {'LSTM': '#D55E00', 'LSTM (no statics)': '#E69F00', 'EA-LSTM, MSE': '#0072B2'}
    """
    chosen: dict[str, str] = {}
    for label in labels:
        family = max((f for f in COLOURS if label.startswith(f)), key=len, default=None)
        own = COLOURS.get(family) if family else None
        taken = set(chosen.values())
        spare = next((c for c in SPARE if c not in taken), SPARE[len(chosen) % len(SPARE)])
        chosen[label] = own if own and own not in taken else spare
    return chosen


def axis_label(da: xr.DataArray) -> str:
    """`long_name (units)` of a variable, its name where it has none; `1` is no unit.

    >>> axis_label(xr.DataArray(0.0, attrs={"long_name": "precipitation", "units": "mm/d"}))
    'precipitation (mm/d)'
    """
    name = str(da.attrs.get("long_name") or da.name or "value").replace("_", " ")
    units = da.attrs.get("units", "")
    return name if units in ("", "1", "-") else f"{name} ({units})"
