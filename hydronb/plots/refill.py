"""A drawn figure of series takes new data in place: far cheaper than to draw it again, and its zoom
tools stay."""

from typing import Any

import holoviews as hv
import numpy as np
from bokeh.models import GlyphRenderer, GridPlot, LayoutDOM, Plot

FROM_EDGES = ("top", "left", "right")


def plots_of(model: LayoutDOM) -> list[Plot]:
    """The bokeh plots of a drawn figure, from above to below."""
    if isinstance(model, Plot):
        return [model]
    if isinstance(model, GridPlot):
        return [plot for child, *_ in model.children for plot in plots_of(child)]
    return [plot for child in getattr(model, "children", []) for plot in plots_of(child)]


def structure(figure: Any) -> tuple[Any, ...] | None:
    """What two figures must have in common for one to take the other's data; None for one that
    cannot."""
    elements = _elements(figure)
    if not elements or not all(isinstance(e, hv.Curve | hv.Histogram) for e in elements):
        return None
    return tuple(
        (type(e).__name__, e.label, tuple(d.name for d in e.dimensions())) for e in elements
    )


def refill(model: LayoutDOM, figure: Any) -> None:
    """Give the drawn `model` the data of `figure`, which is of the same `structure`."""
    panels = list(figure) if isinstance(figure, hv.Layout) else [figure]
    spans = []
    for plot, panel in zip(plots_of(model), panels, strict=True):
        renderers = [r for r in plot.renderers if isinstance(r, GlyphRenderer)]
        elements = _elements(panel)
        for renderer, element in zip(renderers, elements, strict=True):
            renderer.data_source.data = _columns(element)
        spans.append(_ends([e.dimension_values(0) for e in elements]))
        _set_y(plot, [e.dimension_values(e.vdims[0].name) for e in elements])
        title = hv.Store.lookup_options("bokeh", panel, "plot").kwargs.get("title", "")
        plot.title.text = title if "{" not in title else plot.title.text
    first, last = min(s[0] for s in spans), max(s[1] for s in spans)
    for x_range in {plot.x_range for plot in plots_of(model)}:
        x_range.update(start=first, end=last, reset_start=first, reset_end=last)


def _elements(figure: Any) -> list[hv.Element]:
    if not isinstance(figure, hv.core.Dimensioned):
        return []
    return figure.traverse(lambda e: e, [hv.Element])


def _columns(element: hv.Element) -> dict[str, np.ndarray]:
    x, y = element.kdims[0].name, element.vdims[0].name
    values = element.dimension_values(y)
    if not isinstance(element, hv.Histogram):
        return {x: element.dimension_values(x), y: values}
    edges = element.edges
    left, right = edges[:-1], edges[1:]
    return dict(zip(FROM_EDGES, (values, left, right), strict=True)) | {
        x: element.dimension_values(x),
        y: values,
    }


def _ends(times: list[np.ndarray]) -> tuple[Any, Any]:
    there = [t[~np.isnat(t)] if t.dtype.kind == "M" else t[np.isfinite(t)] for t in times]
    return min(t.min() for t in there if len(t)), max(t.max() for t in there if len(t))


def _set_y(plot: Plot, values: list[np.ndarray]) -> None:
    """The range that holds all of it, upside down or from zero on as it was drawn."""
    finite = np.concatenate([v[np.isfinite(v)] for v in values])
    if not len(finite):
        return
    low, high = float(finite.min()), float(finite.max())
    start, end = plot.y_range.start, plot.y_range.end
    if 0 in (start, end) and low >= 0:
        low, high = 0.0, (high or 1.0) * 1.15
    else:
        margin = 0.1 * (high - low or 1.0)
        low, high = low - margin, high + margin
    ends = (high, low) if start > end else (low, high)
    plot.y_range.update(start=ends[0], end=ends[1], reset_start=ends[0], reset_end=ends[1])
