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

from hydronb.app.state import State
from hydronb.errors import HydronbError
from hydronb.plots.refill import plots_of, refill, structure
from hydronb.plots.style import COLOURS, THEME, _render

log = logging.getLogger(__name__)

NEAR = 18
"""Pixels within which a click means a point."""


BREATH = 20
"""Milliseconds between two parts, in which the first goes to the browser: at once, the next would
be drawn before."""


class Part:
    """Something on a page: a figure, a table, a text; a message where it cannot be made.

    Parameters
    ----------
    draw
        Makes a HoloViews figure, HTML, or a panel object, of the state; None shows nothing.
    on
        Names of the state's parameters that it depends on.
    table
        What the figure shows, for download.
    width
        Pixels that it needs at least; parts stand beside each other where there is room.
    drawn
        Called with the bokeh model after each drawing, to listen to it.
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
        self.draw, self.on, self.drawn = draw, frozenset(on), drawn
        self.stale = True
        self.problem = ""
        self.model: LayoutDOM | None = None
        self.structure: tuple[Any, ...] | None = None
        self.text = pn.pane.HTML(sizing_mode="stretch_width", margin=0)
        self.body = pn.Column(sizing_mode="stretch_width", margin=0)
        self.download = _download(table, name) if table else None
        children = [self.body, self.download] if self.download else [self.body]
        self.view = pn.Column(*children, sizing_mode="stretch_width", margin=0)
        self.basis = {"flex": f"{grow} 1 {width}px", "min-width": f"min({width}px, 100%)"}

    def update(self) -> None:
        """Draw, if something has changed."""
        if not self.stale:
            return
        self.stale, self.problem = False, ""
        try:
            made = self.draw()
        except (HydronbError, OSError) as error:
            self.problem = str(error)
            made = message(self.problem)
        # a file that is whole, and of another make
        except (LookupError, TypeError, ValueError) as error:
            log.exception("a part of the page cannot be drawn")
            made = message(
                f"this cannot be drawn of what the files hold ({type(error).__name__}: {error}); if"
                " another version of hydronb wrote them, `hydronb run PLAN --redo-stale` writes"
                " them anew"
            )
        if (
            self.model is not None
            and self.structure is not None
            and structure(made) == self.structure
        ):
            refill(self.model, made)
            return
        self.model, self.structure = None, None
        if made is None:
            self.body.clear()
        elif isinstance(made, str):
            self.text.object = made
            # a new child would have the browser lay out the whole page anew
            if self.text not in self.body.objects:
                self.body[:] = [self.text]
        elif isinstance(made, pn.viewable.Viewable):
            self.body[:] = [made]
        else:
            self.structure = structure(made)
            self.model = fitted(_render(made))
            if self.drawn:
                self.drawn(self.model)
            self.body[:] = [
                pn.pane.Bokeh(self.model, theme=THEME, sizing_mode="stretch_width", margin=0)
            ]
        self.view.visible = made is not None
        if self.download:
            self.download.visible = True


class Page:
    """Parts and widgets of one page, made when it is first looked at."""

    def __init__(self, state: State, shown: Callable[[], bool] = lambda: True) -> None:
        self.state, self.shown, self.waiting = state, shown, False
        self.parts: list[Part] = []
        self.refreshers: list[tuple[frozenset[str], Callable[[], None]]] = []

    def part(self, draw: Callable[[], Any], on: Sequence[str], **how: Any) -> Part:
        """Add a part, for a `row` or `column`; see `Part`."""
        self.parts.append(Part(draw, on, **how))
        return self.parts[-1]

    def choice(
        self,
        name: str,
        label: str,
        options: Callable[[], dict[str, Any]],
        *,
        on: Sequence[str] = (),
        default: Callable[[], Any] = lambda: "",
        meant: Callable[[], Any] | None = None,
        many: bool = False,
        width: int = 240,
    ) -> pn.widgets.Widget:
        """A widget of the state's parameter `name`; `options` are asked for again when a parameter
        in `on` changes, `default` says what the page shows where the state is empty, `meant` what
        it makes of the state.
        """
        kind = pn.widgets.MultiChoice if many else pn.widgets.Select
        widget = kind(name=label, width=width, margin=(4, 10))
        busy = []

        def show() -> None:
            there = options()
            if many:  # its names are shown as markup
                there = {html.escape(label): value for label, value in there.items()}
            try:
                value = meant() if meant else getattr(self.state, name) or default()
            except HydronbError:
                value = [] if many else ""
            if many:
                value = [v for v in value if v in there.values()]
            elif value not in there.values():
                there = {_short(f"{value} (not there)") if value else "": value} | there
            busy.append(1)
            try:
                widget.param.update(options=there, value=value)
            finally:
                busy.pop()

        def take(event: Any) -> None:
            if not busy and event.new is not None:
                self.state.param.update(**{name: event.new})

        show()
        widget.param.watch(take, "value")
        self.refreshers.append((frozenset([name, *on]), show))
        return widget

    def slider(
        self,
        name: str,
        label: str,
        ends: Callable[[], tuple[int, int]],
        *,
        on: Sequence[str] = (),
        width: int = 240,
    ) -> pn.widgets.Widget:
        """A slider of a whole number."""
        low, high = ends()
        widget = pn.widgets.IntSlider(
            name=label,
            start=low,
            end=max(high, low + 1),
            width=width,
            margin=(4, 14),
            value=int(min(max(getattr(self.state, name), low), max(high, low + 1))),
        )
        busy = []

        def show() -> None:
            low, high = ends()
            busy.append(1)
            try:
                widget.param.update(
                    start=low,
                    end=max(high, low + 1),
                    value=int(min(max(getattr(self.state, name), low), max(high, low + 1))),
                )
            finally:
                busy.pop()

        def take(event: Any) -> None:
            if not busy:
                self.state.param.update(**{name: event.new})

        widget.param.watch(take, "value")
        self.refreshers.append((frozenset([name, *on]), show))
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
        one when it has loaded that: drawing earlier, this process would keep it waiting."""
        served = pn.state.curdoc is not None and pn.state.curdoc.session_context is not None
        stale = [part for part in self.parts if part.stale]
        for part in stale[: int(not pn.state.loaded) if served else None]:
            self._draw(part)
        if any(part.stale for part in self.parts) and not self.waiting:
            self.waiting = True
            pn.state.onload(self._soon)

    def _soon(self) -> None:
        pn.state.curdoc.add_timeout_callback(self._next, BREATH)

    def _next(self) -> None:
        self.waiting = False
        if self.shown():
            stale = [part for part in self.parts if part.stale]
            try:
                for part in stale[:1]:
                    self._draw(part)
            finally:  # whatever happened to one, the others are drawn
                self.show()

    def _draw(self, part: Part) -> None:
        """Draw a part; a problem that several parts have is said by the first."""
        part.update()
        said = set()
        for each in self.parts:
            if each.problem and not each.stale:
                each.view.visible = each.problem not in said
                said.add(each.problem)


def row(*children: Any) -> pn.FlexBox:
    """Beside each other where there is room, else below."""
    for child in children:
        if isinstance(child, Part):
            child.view.styles = child.basis
    return pn.FlexBox(
        *map(_view, children),
        flex_wrap="wrap",
        align_items="flex-start",
        sizing_mode="stretch_width",
        margin=0,
        styles={"gap": "12px"},
    )


def column(*children: Any, width: int = 420) -> pn.Column:
    """Below each other, within a row."""
    return pn.Column(
        *map(_view, children),
        sizing_mode="stretch_width",
        margin=0,
        styles={"flex": f"1 1 {width}px"},
    )


def _view(child: Any) -> Any:
    return child.view if isinstance(child, Part) else child


def message(text: str) -> str:
    """A line for the reader; whatever a file or link holds is text in it and nothing else."""
    return f'<div class="message">{_code(html.escape(text))}</div>'


def note(text: str) -> str:
    """Small print."""
    return f'<p class="note">{_code(html.escape(text))}</p>'


def heading(text: str) -> pn.pane.HTML:
    return pn.pane.HTML(f"<h2>{html.escape(text)}</h2>", sizing_mode="stretch_width", margin=0)


def html_table(table: pd.DataFrame, *, index: bool = True, digits: int = 3) -> str:
    """A table whose cells are plain text."""
    made = table.to_html(
        index=index,
        border=0,
        classes="plain",
        escape=True,
        na_rep="",
        justify="left",
        float_format=lambda v: f"{round(v, digits) + 0.0:.{digits}f}".rstrip("0").rstrip("."),
    )
    return f'<div class="scroll">{made}</div>'


def _code(escaped: str) -> str:
    parts = escaped.split("`")
    return "".join(f"<code>{p}</code>" if i % 2 else p for i, p in enumerate(parts))


def _short(text: str) -> str:
    return text if len(text) < 60 else text[:57] + "..."


def _download(table: Callable[[], pd.DataFrame], name: str) -> pn.widgets.FileDownload:
    def made() -> io.StringIO:
        try:
            return io.StringIO(table().to_csv())
        except (HydronbError, OSError) as error:
            return io.StringIO(f"{error}\n")

    return pn.widgets.FileDownload(
        callback=made,
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


def fitted(model: LayoutDOM) -> LayoutDOM:
    """As wide as its place, with tools to select and to save that can be seen."""
    model.sizing_mode = "stretch_width"
    # what is its default already counts as set by nobody, and the theme would hide it
    for hidden in (True, False):
        model.toolbar.autohide = hidden
    plots = plots_of(model)
    if isinstance(model, GridPlot):
        across = 1 + max(column for _, _, column, *_ in model.children)
        for plot in plots:
            plot.min_border_left = (
                max(plot.min_border_left or 0, 74) if across == 1 else plot.min_border_left
            )
    for plot in plots:
        plot.sizing_mode = "stretch_width"
        plot.output_backend = "canvas"
    return model


# Points that can be clicked and selected
# ---


def points_of(plot: Plot) -> GlyphRenderer | None:
    """The points of a plot that stand for catchments."""
    found = [
        r for r in plot.renderers if isinstance(r, GlyphRenderer) and "basin" in r.data_source.data
    ]
    return found[-1] if found else None


def on_click(plot: Plot, chosen: Callable[[str], None]) -> None:
    """Call back with the catchment nearest to a click, if one is near. A tap tool would undo the
    box selection."""

    def tapped(event: Tap) -> None:
        points = points_of(plot)
        if points is None or event.x is None or event.y is None:
            return
        data, glyph = points.data_source.data, points.glyph
        x, y = (
            pd.to_numeric(pd.Series(data[getattr(glyph, a)])).to_numpy(float) for a in ("x", "y")
        )
        dx = (x - event.x) * (plot.inner_width or 400) / abs(plot.x_range.end - plot.x_range.start)
        dy = (y - event.y) * (plot.inner_height or 300) / abs(plot.y_range.end - plot.y_range.start)
        away = pd.Series(dx**2 + dy**2)
        if away.notna().any() and away.min() <= NEAR**2:
            chosen(str(data["basin"][int(away.idxmin())]))

    plot.on_event(Tap, tapped)


class Linked:
    """Plots of the same catchments: a selection in one is one in all, a click rings the catchment
    in all."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.plots: dict[str, Plot] = {}
        self.rings: dict[str, ColumnDataSource] = {}
        state.param.watch(lambda *_: self.show(), ["basin", "selection"])

    def listen(self, name: str) -> Callable[[LayoutDOM], None]:
        """For `Part(drawn=)` of the plot `name`."""

        def drawn(model: LayoutDOM) -> None:
            plot = plots_of(model)[0]
            points = points_of(plot)
            if points is None:
                return
            self.plots[name], self.rings[name] = plot, ColumnDataSource({"x": [], "y": []})
            plot.scatter(
                "x",
                "y",
                source=self.rings[name],
                size=18,
                fill_color=None,
                line_color=COLOURS["LSTM"],
                line_width=3,
                name="ring",
            )
            on_click(plot, self._clicked)
            basins = [str(b) for b in points.data_source.data["basin"]]
            points.data_source.selected.on_change(
                "indices", lambda _attr, _old, new: self._selected(basins, new)
            )
            self.show()

        return drawn

    def _clicked(self, basin: str) -> None:
        self.state.basin = basin

    def _selected(self, basins: list[str], new: list[int]) -> None:
        self.state.selection = sorted(basins[i] for i in new)

    def show(self) -> None:
        """The state's selection and catchment, on all plots."""
        wanted = set(self.state.selection)
        for name, plot in self.plots.items():
            points = points_of(plot)
            data = points.data_source.data
            inside = [i for i, b in enumerate(data["basin"]) if b in wanted] if wanted else []
            if list(points.data_source.selected.indices) != inside:
                points.data_source.selected.indices = inside
            at = [i for i, b in enumerate(data["basin"]) if b == self.state.basin][:1]
            self.rings[name].data = {
                a: [data[getattr(points.glyph, a)][i] for i in at] for a in ("x", "y")
            }
