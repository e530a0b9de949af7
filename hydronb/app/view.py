"""How a page is put together: parts that draw themselves when what they show has changed, and
widgets of the state."""

import html
import io
import logging
from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd
import panel as pn
from bokeh.events import Tap
from bokeh.models import ColumnDataSource, GlyphRenderer, GridPlot, LayoutDOM, Plot

from hydronb.app.outputs import Outputs, value_or
from hydronb.app.state import State
from hydronb.errors import HydronbError
from hydronb.plots.refill import bokeh_plots, refill, series_structure
from hydronb.plots.style import ORANGE, render, theme

NEAR = 18
"""Pixels within which a click means a point."""
PAUSE = 20
"""Milliseconds between two parts, in which the first is sent to the browser; without a pause the
next would be drawn before."""
WIDE: dict[str, Any] = {"sizing_mode": "stretch_width", "margin": 0}


class Part(pn.Column):
    """A figure, a table or a text on a page; a message where it cannot be drawn.

    Parameters
    ----------
    draw
        Returns a HoloViews figure or HTML for the current state; None shows nothing.
    on
        Names of the state's parameters that it depends on.
    table
        Returns the numbers of the figure, for download as `name`.csv.
    width
        Pixels that it needs at least; parts stand side by side as far as the window is wide enough.
    grow
        Share of the room that is left.
    drawn
        Called with the bokeh model after each drawing, to listen to its events.
    """

    def __init__(
        self,
        draw: Callable[[], Any],
        on: Sequence[str],
        *,
        table: Callable[[], pd.DataFrame] | None = None,
        name: str = "table",
        width: int = 420,
        grow: int = 1,
        drawn: Callable[[LayoutDOM], None] | None = None,
    ) -> None:
        self.text, self.body = pn.pane.HTML(**WIDE), pn.Column(**WIDE)
        self.download = [_download(table, name)] if table else []
        super().__init__(self.body, *self.download, **WIDE)
        self.draw, self.on, self.drawn = draw, frozenset(on), drawn
        self.stale, self.problem = True, ""
        self.model, self.structure = None, None  # of the figure that is shown
        self.basis = {"flex": f"{grow} 1 {width}px", "min-width": f"min({width}px, 100%)"}

    def update(self) -> None:
        """Draw, if something has changed."""
        if not self.stale:
            return
        self.stale, self.problem = False, ""
        try:
            content = self.draw()
        except (HydronbError, OSError) as error:
            self.problem = str(error)
            content = message(self.problem)
        # a file that is whole, but not what this version writes
        except (LookupError, TypeError, ValueError) as error:
            logging.getLogger(__name__).exception("a part of the page cannot be drawn")
            content = message(
                f"this cannot be drawn from what the files hold ({type(error).__name__}: {error});"
                " if another version of hydronb wrote them, `hydronb run PLAN --redo-stale` writes"
                " them again"
            )
        structure = series_structure(content)
        if structure is not None and structure == self.structure:
            refill(self.model, content)
            return
        self.structure, self.model = structure, None
        if isinstance(content, str):
            self.text.object = content
            # a new child would make the browser lay out the whole page again
            if self.text not in self.body.objects:
                self.body[:] = [self.text]
        elif content is None:
            self.body.clear()
        else:
            self.model = fit_to_page(render(content))
            if self.drawn:
                self.drawn(self.model)
            self.body[:] = [pn.pane.Bokeh(self.model, theme=theme(), **WIDE)]
        self.visible = content is not None
        for button in self.download:
            button.visible = True


class Page:
    """What one page shows of an outputs folder for a visitor's state: its parts and widgets."""

    def __init__(
        self, state: State, outputs: Outputs, shown: Callable[[], bool] = lambda: True
    ) -> None:
        self.state, self.outputs, self.shown = state, outputs, shown
        self.waiting = self.refreshing = False
        self.parts: list[Part] = []
        self.refreshers: list[tuple[frozenset[str], Callable[[], None]]] = []

    def part(self, draw: Callable[[], Any], on: Sequence[str], **options: Any) -> Part:
        """Add a part, for a `row` or `column`; see `Part`."""
        self.parts.append(Part(draw, on, **options))
        return self.parts[-1]

    def of_basin(self, draw: Callable[[], Any], on: Sequence[str], **options: Any) -> Part:
        """Add a part that shows nothing until a catchment is clicked."""
        return self.part(lambda: draw() if self.state.basin else None, ["basin", *on], **options)

    def choice(
        self,
        name: str,
        label: str,
        options: Callable[[], dict[str, Any]],
        *,
        on: Sequence[str] = (),
        value: Callable[[], Any] | None = None,
        many: bool = False,
        width: int = 240,
    ) -> pn.widgets.Widget:
        """A widget of the state's parameter `name`.

        Parameters
        ----------
        options
            Value by label, asked for again when a parameter in `on` changes.
        value
            What the page shows, where that is not what the state holds.
        many
            Whether several can be chosen.
        """

        def contents() -> dict[str, Any]:
            choices = value_or(options, {})
            own = getattr(self.state, name)
            chosen = value_or(value, own) if value else own
            if many:  # its labels are shown as markup
                choices = {html.escape(text): value for text, value in choices.items()}
                chosen = [v for v in chosen if v in choices.values()]
            elif chosen not in choices.values():
                text = f"{chosen} (not found)" if chosen else ""
                choices = {text if len(text) < 60 else text[:57] + "...": chosen} | choices
            return {"options": choices, "value": chosen}

        kind = pn.widgets.MultiChoice if many else pn.widgets.Select
        return self._follow(kind(name=label, width=width, margin=(4, 10)), name, on, contents)

    def slider(
        self,
        name: str,
        label: str,
        ends: Callable[[], tuple[int, int]],
        *,
        on: Sequence[str] = (),
        width: int = 240,
    ) -> pn.widgets.Widget:
        """A slider of a whole number from the first to the second of `ends`."""

        def contents() -> dict[str, Any]:
            value = getattr(self.state, name)
            low, high = value_or(ends, (value, value))
            high = max(high, low + 1)
            return {"start": low, "end": high, "value": min(max(value, low), high)}

        return self._follow(
            pn.widgets.IntSlider(name=label, width=width, margin=(4, 14)), name, on, contents
        )

    def _follow(
        self,
        widget: pn.widgets.Widget,
        name: str,
        on: Sequence[str],
        contents: Callable[[], dict[str, Any]],
    ) -> pn.widgets.Widget:
        """Keep a widget and the state's parameter `name` in step."""

        def refresh() -> None:
            self.refreshing = True
            try:
                widget.param.update(**contents())
            finally:
                self.refreshing = False

        def take(event: Any) -> None:
            if not self.refreshing and event.new is not None:
                self.state.param.update(**{name: event.new})

        refresh()
        widget.param.watch(take, "value")
        self.refreshers.append((frozenset([name, *on]), refresh))
        return widget

    def changed(self, names: set[str]) -> None:
        """Parameters of the state have changed; draw what depends on them, now or when the page is
        shown."""
        for on, refresh in self.refreshers:
            if on & names:
                refresh()
        for part in self.parts:
            part.stale |= bool(part.on & names)
        if self.shown():
            self.show()

    def show(self) -> None:
        """Draw what is stale. A browser gets the page with its first part, and the others one by
        one once it has loaded that: drawn earlier, they would keep it waiting."""
        served = pn.state.curdoc is not None and pn.state.curdoc.session_context is not None
        self._draw(int(not pn.state.loaded) if served else len(self.parts))

    def _draw(self, most: int) -> None:
        """Draw stale parts, at most so many, and the others later. A problem that several parts
        have is shown once, by the first."""
        try:
            for part in [part for part in self.parts if part.stale][:most]:
                part.update()
                having = [each for each in self.parts if each.problem and not each.stale]
                first = {each.problem: each for each in reversed(having)}
                for each in having:
                    each.visible = each is first[each.problem]
        finally:  # whatever happened to one, the others are drawn
            undrawn = not self.waiting and any(part.stale for part in self.parts)
            if undrawn and pn.state.curdoc is not None:
                self.waiting = True
                pn.state.onload(lambda: pn.state.curdoc.add_timeout_callback(self._next, PAUSE))

    def _next(self) -> None:
        self.waiting = False
        if self.shown():
            self._draw(1)


def row(*children: Any) -> pn.FlexBox:
    """Side by side as far as the window is wide enough, else one below the other."""
    for part in (child for child in children if isinstance(child, Part)):
        part.styles = part.basis
    return pn.FlexBox(
        *children, flex_wrap="wrap", align_items="flex-start", styles={"gap": "12px"}, **WIDE
    )


def column(*children: Any, width: int = 420) -> pn.Column:
    """One below the other, within a row."""
    return pn.Column(*children, styles={"flex": f"1 1 {width}px"}, **WIDE)


def message(text: str, *, css: str = "message") -> str:
    """A line for the reader, with `code` between backticks; whatever a file or link holds is text
    in it and nothing else."""
    marked = "".join(
        f"<code>{part}</code>" if i % 2 else part
        for i, part in enumerate(html.escape(text).split("`"))
    )
    return f'<div class="{css}">{marked}</div>'


def note(text: str) -> str:
    """Small print."""
    return message(text, css="note")


def heading(text: str) -> pn.pane.HTML:
    return pn.pane.HTML(f"<h2>{html.escape(text)}</h2>", **WIDE)


def short_number(value: float, digits: int) -> str:
    """With so many decimals at most, and three significant digits where these would show a zero.

    >>> short_number(0.5, 3), short_number(1.15e-28, 3), short_number(0.0, 3)
    ('0.5', '1.15e-28', '0')
    """
    if 0 < abs(value) < 0.5 * 10**-digits:
        return f"{value:.3g}"
    return f"{round(value, digits) + 0.0:.{digits}f}".rstrip("0").rstrip(".")


def html_table(
    table: pd.DataFrame,
    caption: str = "",
    *,
    title: str = "",
    index: bool = True,
    digits: int = 3,
) -> str:
    """A table whose cells are plain text, below a title and a caption in small print."""
    text = table.to_html(
        index=index,
        border=0,
        classes="plain",
        escape=True,
        na_rep="",
        justify="left",
        float_format=lambda v: short_number(float(v), digits),
    )
    above = f"<h3>{html.escape(title)}</h3>" if title else ""
    return f'{above}{note(caption) if caption else ""}<div class="scroll">{text}</div>'


def _download(table: Callable[[], pd.DataFrame], name: str) -> pn.widgets.FileDownload:
    def contents() -> io.StringIO:
        try:
            return io.StringIO(table().to_csv())
        except (HydronbError, OSError) as error:
            return io.StringIO(f"{error}\n")

    return pn.widgets.FileDownload(
        callback=contents,
        filename=f"{name}.csv",
        label="CSV",
        button_type="light",
        width=80,
        height=26,
        margin=(0, 0, 4, 6),
        align="end",
        css_classes=["download"],
        visible=False,
    )


def fit_to_page(model: LayoutDOM) -> LayoutDOM:
    """As wide as its place, with tools to select and to save that can be seen."""
    model.sizing_mode = "stretch_width"
    # set twice, since the theme overrides what was never changed from its default
    for hidden in (True, False):
        model.toolbar.autohide = hidden
    below = isinstance(model, GridPlot) and all(not column for _, _, column, *_ in model.children)
    for plot in bokeh_plots(model):
        plot.sizing_mode = "stretch_width"
        plot.output_backend = "canvas"
        if below:  # so that their axes align
            plot.min_border_left = max(plot.min_border_left or 0, 74)
    return model


# Points that can be clicked and selected
# ---


def points_of(plot: Plot) -> GlyphRenderer:
    """The points of a plot that stand for catchments."""
    return next(
        r
        for r in reversed(plot.renderers)
        if isinstance(r, GlyphRenderer) and "basin" in r.data_source.data
    )


def choose_by_click(plot: Plot, state: State) -> None:
    """Make the catchment nearest to a click that of the state, if one is near. A tap tool would
    undo the box selection."""
    data, glyph = points_of(plot).data_source.data, points_of(plot).glyph
    x, y = (pd.to_numeric(pd.Series(data[field])) for field in (glyph.x, glyph.y))

    def tapped(event: Tap) -> None:
        if event.x is None or event.y is None:
            return
        dx = (x - event.x) * (plot.inner_width or 400) / abs(plot.x_range.end - plot.x_range.start)
        dy = (y - event.y) * (plot.inner_height or 300) / abs(plot.y_range.end - plot.y_range.start)
        away = dx**2 + dy**2
        if away.min() <= NEAR**2:
            state.basin = str(data["basin"][int(away.idxmin())])

    plot.on_event(Tap, tapped)


class LinkedPlots:
    """Plots of the same catchments: a selection in one is one in all, a click rings the catchment
    in all."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.plots: dict[str, tuple[GlyphRenderer, ColumnDataSource]] = {}
        state.param.watch(lambda *_: self.show(), ["basin", "selection"])

    def listen(self, name: str, plot: Plot) -> None:
        """Link the plot `name`, which has been drawn."""
        points = points_of(plot)
        ring = {"size": 18, "fill_color": None, "line_color": ORANGE, "line_width": 3}
        self.plots[name] = points, plot.scatter([], [], name="ring", **ring).data_source
        choose_by_click(plot, self.state)
        basins = [str(b) for b in points.data_source.data["basin"]]
        points.data_source.selected.on_change(
            "indices",
            lambda attr, old, new: self.state.param.update(
                selection=sorted(basins[i] for i in new)
            ),
        )
        self.show()

    def show(self) -> None:
        """The state's selection and catchment, on all plots."""
        selection = set(self.state.selection)
        for points, ring in self.plots.values():
            data, selected = points.data_source.data, points.data_source.selected
            selected.indices = [i for i, b in enumerate(data["basin"]) if b in selection]
            at = [i for i, b in enumerate(data["basin"]) if b == self.state.basin][:1]
            ring.data = {
                axis: [data[field][i] for i in at]
                for axis, field in (("x", points.glyph.x), ("y", points.glyph.y))
            }
