"""What all figures share: names, units, colours, fonts and tools; how a figure is drawn and saved.

Axis labels come from `long_name` and `units`; a model has the same colour in every figure, safe for
colour-blind readers; the observation is black. Bokeh is loaded by the first figure, not when this
module is imported.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache, wraps
from html import escape
from pathlib import Path
from textwrap import fill
from typing import Any, ParamSpec, TypeVar

import holoviews as hv
import xarray as xr

from hydronb.errors import DataError
from hydronb.files import write
from hydronb.metrics import METRICS
from hydronb.vocabulary import MODELS, label_colours

OBSERVED = "observed"
BLUE, ORANGE, GREEN = (MODELS[name].colour for name in ("ealstm", "lstm", "delta_hbv"))
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
"""For labels without a colour of their own, and for the second of a family: the muted colours of
Tol."""
CATEGORIES = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#CC79A7",
    "#D55E00",
    "#56B4E9",
    "#F0E442",
    "#332288",
    "#882255",
    "#117733",
    "#AA4499",
    "#999933",
    "#661100",
    "#6699CC",
)
"""Colours of clusters and other categories, in their order: those of Okabe and Ito, then of Tol."""
OTHER = "#C8C8C8"
"""Categories beyond those."""
RAIN, INK, GRID = "#5B8DB8", "#333333", "#E6E6E6"
WIDTH = 900
SEQUENTIAL = "viridis"
FONT = "Helvetica Neue, Helvetica, Arial, sans-serif"
THEME = {
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
"""Attributes of bokeh's models."""

FREE: dict[str, Any] = {"active_tools": ["pan"], "show_grid": True}
ALONG_TIME: dict[str, Any] = {
    "default_tools": ["save", "xpan", "xwheel_zoom", "xbox_zoom", "reset"],
    "active_tools": ["xpan"],
    "show_grid": True,
}
"""Tools of a figure; the wheel zooms only once it is switched on, so that a notebook can be
scrolled."""
DASHED: dict[str, Any] = {"color": INK, "line_dash": "dashed", "line_width": 1.2}
"""Lines of reference."""
POINT: dict[str, Any] = {"line_color": "#444444", "line_width": 0.4, "tools": ["hover"]}
"""Points that stand for basins."""
COLOUR_BAR: dict[str, Any] = {
    "colorbar": True,
    "clabel": "",
    "colorbar_opts": {"width": 12, "padding": 4},
}

UNITLESS = ("", "1", "-")

Figure = hv.core.Dimensioned
"""Any figure of HoloViews."""
Series = Mapping[str, xr.DataArray]
"""Simulations by label, each over `time`."""
Arguments = ParamSpec("Arguments")
Drawn = TypeVar("Drawn")


@cache
def theme() -> Any:
    """`THEME` for bokeh."""
    from bokeh.themes import Theme

    return Theme(json={"attrs": THEME})


def start() -> None:
    """Make HoloViews draw with bokeh in this theme, also without a network. A notebook calls it
    once; the first figure does so otherwise."""
    hv.extension("bokeh", logo=False, inline=True)
    hv.renderer("bokeh").theme = theme()


def on_bokeh(draw: Callable[Arguments, Drawn]) -> Callable[Arguments, Drawn]:
    """Decorate a function that makes a figure: bokeh is loaded before its first call, since no
    option of a figure can be set without."""

    @wraps(draw)
    def loaded(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Drawn:
        if "bokeh" not in hv.Store.loaded_backends():
            start()
        hv.renderer("bokeh").theme = theme()
        return draw(*args, **kwargs)

    return loaded


@on_bokeh
def render(figure: Figure) -> Any:
    """The bokeh model of a HoloViews figure."""
    from bokeh.document import Document

    plot = hv.renderer("bokeh").get_plot(figure)
    # the current document, a visitor's in the app, would keep every figure until it ends itself
    plot.document = Document()
    return plot.state


def save(figure: Figure, folder: str | Path, name: str, caption: str = "") -> Path:
    """Write `figure` as `folder/name.html`, with a caption below, one file that needs neither a
    network nor this package.

    Raises
    ------
    DataError
        The folder cannot be written.
    """
    from bokeh.embed import file_html
    from bokeh.resources import INLINE

    path = Path(folder) / f"{name}.html"
    page = file_html(render(figure), INLINE, title=name.replace("_", " "), theme=theme())
    below = f'<p style="font: 14px {FONT}; max-width: {WIDTH}px">{escape(caption)}</p>'
    page = page.replace("</body>", f"{below * bool(caption)}</body>")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # without the scripts of panel, which no figure here uses
        write(path, re.sub(r'<script src="static/[^>]*></script>\n?', "", page))
    except OSError as error:
        raise DataError(
            f"{path} cannot be written ({error.strerror or error}); choose another folder"
        ) from None
    return path


def colours(labels: Sequence[str]) -> dict[str, str]:
    """A colour for each label: that of its family where no other label has it, else a spare one;
    spare colours repeat when there are more labels than colours.

    >>> colours(["LSTM", "LSTM (no statics)", "EA-LSTM, MSE"])
    {'LSTM': '#D55E00', 'LSTM (no statics)': '#E69F00', 'EA-LSTM, MSE': '#0072B2'}
    """
    chosen: dict[str, str] = {}
    fixed = label_colours()
    for label in labels:
        family = max((f for f in fixed if label.startswith(f)), key=len, default="")
        free = [c for c in (fixed.get(family), *SPARE) if c and c not in chosen.values()]
        chosen[label] = free[0] if free else SPARE[len(chosen) % len(SPARE)]
    return chosen


def with_unit(name: str, unit: str) -> str:
    """`name (unit)`; `1` and `-` are no unit.

    >>> with_unit("slope", "m/km"), with_unit("aridity", "1")
    ('slope (m/km)', 'aridity')
    """
    return name if unit in UNITLESS else f"{name} ({unit})"


def wrapped(title: str, width: int, size: int = 15) -> str:
    """A title in as many lines as a figure of `width` pixels needs, in letters of `size` pixels.

    >>> wrapped("volumetric porosity of the soil", 225, 12).split("\\n")
    ['volumetric porosity of the', 'soil']
    """
    return "\n".join(fill(line, int((width - 50) / (0.54 * size))) for line in title.split("\n"))


def legend_outside(
    figure: hv.Overlay, width: int, height: int, *, where: str = "bottom"
) -> hv.Overlay:
    """A figure whose legend covers no data: it stands below (`where`: `top`, above) the axes, in as
    many columns as `width` pixels hold, and makes the figure higher than `height`."""
    labels = {element.label for element in figure} - {""}
    widest = 50 + 7.2 * max(map(len, labels), default=0)
    columns = int(min(max(width / widest, 1), max(len(labels), 1)))
    if len(figure) == 1:  # HoloViews puts the legend of one element over it
        figure = figure * figure.get(0).iloc[:0].relabel("")
    return figure.opts(
        width=width,
        height=height + 30 * -(-len(labels) // columns),
        show_legend=bool(labels),
        legend_position=where,
        legend_cols=columns,
        legend_opts={"spacing": 12},
    )


def axis_label(da: xr.DataArray) -> str:
    """`long_name (units)` of a variable, its name where it has none.

    >>> axis_label(xr.DataArray(0.0, attrs={"long_name": "precipitation", "units": "mm/d"}))
    'precipitation (mm/d)'
    """
    return with_unit(
        str(da.attrs.get("long_name") or da.name or "value").replace("_", " "),
        str(da.attrs.get("units", "")),
    )


def metric_label(name: str) -> str:
    """Label and unit of a metric.

    >>> metric_label("rmse"), metric_label("bpv")
    ('RMSE (mm/d)', 'peak-flow bias')
    """
    return METRICS[name].axis if name in METRICS else name
