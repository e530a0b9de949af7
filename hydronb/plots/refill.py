"""New data in a drawn figure of series: much cheaper than drawing it again, and its zoom tools
stay."""

import holoviews as hv
import numpy as np
from bokeh.models import GlyphRenderer, LayoutDOM, Plot


def bokeh_plots(model: LayoutDOM) -> list[Plot]:
    """The bokeh plots of a drawn figure, from top to bottom."""
    if isinstance(model, Plot):
        return [model]
    return [
        plot
        for place in getattr(model, "children", [])
        for plot in bokeh_plots(place if isinstance(place, LayoutDOM) else place[0])
    ]


def series_structure(figure: object) -> tuple[tuple[str, ...], ...] | None:
    """What two figures must have in common for one to take the other's data; None for one that is
    not made of series."""
    elements = _elements(figure)
    if not elements or not all(isinstance(e, hv.Curve | hv.Histogram) for e in elements):
        return None
    return tuple((type(e).__name__, e.label, *(d.name for d in e.dimensions())) for e in elements)


def refill(model: LayoutDOM, figure: hv.core.Dimensioned) -> None:
    """Give the drawn `model` the data of `figure`, which is of the same `series_structure`."""
    panels = list(figure) if isinstance(figure, hv.Layout) else [figure]
    for plot, panel in zip(bokeh_plots(model), panels, strict=True):
        renderers = (r for r in plot.renderers if isinstance(r, GlyphRenderer))
        elements = _elements(panel)
        for renderer, element in zip(renderers, elements, strict=True):
            renderer.data_source.data = _columns(element)
        _fit_y(plot, np.concatenate([e.dimension_values(e.vdims[0].name) for e in elements]))
        title = hv.Store.lookup_options("bokeh", panel, "plot").kwargs.get("title", "")
        plot.title.text = title if "{" not in title else plot.title.text
    x = np.concatenate([e.dimension_values(0) for e in _elements(figure)])
    first, last = np.nanmin(x), np.nanmax(x)
    for x_range in {plot.x_range for plot in bokeh_plots(model)}:
        x_range.update(start=first, end=last, reset_start=first, reset_end=last)


def _elements(figure: object) -> list[hv.Element]:
    return (
        figure.traverse(lambda element: element, [hv.Element])
        if isinstance(figure, hv.core.Dimensioned)
        else []
    )


def _columns(element: hv.Element) -> dict[str, np.ndarray]:
    x, y = element.kdims[0].name, element.vdims[0].name
    columns = {name: element.dimension_values(name) for name in (x, y)}
    if isinstance(element, hv.Histogram):
        columns |= {"top": columns[y], "left": element.edges[:-1], "right": element.edges[1:]}
    return columns


def _fit_y(plot: Plot, values: np.ndarray) -> None:
    """The range that holds all values, upside down or from zero on as it was drawn."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        return
    low, high = float(finite.min()), float(finite.max())
    start, end = plot.y_range.start, plot.y_range.end
    margin = 0.1 * (high - low or 1.0)
    from_zero = 0 in (start, end) and low >= 0
    ends = (0.0, (high or 1.0) * 1.15) if from_zero else (low - margin, high + margin)
    bottom, top = ends[::-1] if start > end else ends
    plot.y_range.update(start=bottom, end=top, reset_start=bottom, reset_end=top)
