"""Diagrams of the three models: which quantity depends on which, and by which equation."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import holoviews as hv
import numpy as np

from hydronb.plots.style import FONT, INK, WIDTH, on_bokeh

INPUT, STATIC, LEARNT, STATE, OUTPUT = "#DCEAF7", "#F9E4C8", "#E3E3E3", "#D5EFE3", "#F6D9D2"
"""Fills: what is given by day, given once, learnt, remembered, and given out."""
LINE = "#777777"
UNIT = 62
"""Pixels of a unit of a diagram's coordinates, in which a line of text is 0.3 high."""


class Box(NamedTuple):
    """A box around (x, y) with lines of text."""

    x: float
    y: float
    text: str
    fill: str
    width: float = 2.2

    @property
    def half(self) -> tuple[float, float]:
        """Half of its width and height."""
        return self.width / 2, 0.14 + 0.15 * (1 + self.text.count("\n"))


@on_bokeh
def lstm_cell(*, static_gate: bool) -> hv.Overlay:
    """One day of the EA-LSTM of Kratzert et al. (2019), Eqs. 7 to 12, or, without `static_gate`, of
    the LSTM, Eqs. 1 to 6."""
    first = 7 if static_gate else 1
    inputs = "forcing of the day x_d[t],\nhidden state h[t-1]"
    if not static_gate:
        inputs = "forcing of the day and\nstatic attributes x[t],\nhidden state h[t-1]"
    boxes = {
        "x": Box(1.4, 2.0 if static_gate else 2.6, inputs, INPUT, 2.6),
        "before": Box(7.4, 5.3, "cell state c[t-1]", STATE),
        "i": Box(4.6, 4.4, f"input gate i{'' if static_gate else '[t]'}\nEq. {first}", LEARNT),
        "f": Box(4.6, 3.2, f"forget gate f[t]\nEq. {first + 1}", LEARNT),
        "g": Box(4.6, 2.0, f"cell input g[t]\nEq. {first + 2}", LEARNT),
        "o": Box(4.6, 0.8, f"output gate o[t]\nEq. {first + 3}", LEARNT),
        "c": Box(7.4, 3.2, f"cell state\nc[t] = f c[t-1] + i g\nEq. {first + 4}", STATE, 2.4),
        "h": Box(10.2, 2.0, f"hidden state\nh[t] = o tanh(c[t])\nEq. {first + 5}", STATE, 2.4),
        "q": Box(12.9, 2.0, "last day: linear layer,\nstreamflow", OUTPUT),
    }
    if static_gate:
        boxes["x_s"] = Box(1.4, 4.4, "static attributes x_s,\nthe same every day", STATIC, 2.6)
    arrows = [("x_s" if static_gate else "x", "i"), *(("x", gate) for gate in "fgo")]
    arrows += [(gate, "c") for gate in "ifg"]
    arrows += [("before", "c"), ("c", "h"), ("o", "h"), ("h", "q")]
    name = "EA-LSTM: attributes alone set" if static_gate else "LSTM: all inputs set"
    return _diagram(boxes, arrows, f"{name} the input gate")


@on_bokeh
def hbv_stores() -> hv.Overlay:
    """Stores (mm) and fluxes (mm/d) of one component of the HBV of Feng et al. (2022), Table 1,
    with the parameters that a network gives each of them."""
    boxes = {
        "P": Box(1.3, 6.4, "precipitation, temperature", INPUT, 2.6),
        "PET": Box(1.3, 3.3, "potential evaporation", INPUT, 2.6),
        "SP": Box(5.6, 6.4, "snowpack\nTT, CFMAX, CFR", STATE, 2.4),
        "MW": Box(9.8, 6.4, "meltwater in the snow\nCWH", STATE, 2.4),
        "SM": Box(5.6, 4.5, "soil moisture\nFC, BETA (beta), LP, BETAET (gamma)", STATE, 4.2),
        "ET": Box(1.3, 4.5, "evapotranspiration", OUTPUT, 2.6),
        "UZ": Box(5.6, 2.6, "upper zone\nK0, UZL, K1, PERC", STATE, 2.6),
        "LZ": Box(5.6, 0.8, "lower zone\nK2", STATE, 2.6),
        "R": Box(9.8, 1.7, "mean over components,\nunit hydrograph (a, b)", LEARNT, 2.6),
        "Q": Box(12.9, 1.7, "streamflow", OUTPUT),
        "network": Box(
            12.5,
            4.5,
            "a network gives the\nparameters in all boxes,\nfrom attributes and forcing",
            LEARNT,
            2.8,
        ),
    }
    arrows = [
        ("P", "SP", "snow"),
        ("SP", "MW", "melt, refreezing"),
        ("P", "SM", "rain"),
        ("MW", "SM", "water from snow"),
        ("SM", "ET"),
        ("PET", "ET"),
        ("SM", "UZ", "recharge, excess"),
        ("UZ", "LZ", "percolation"),
        ("UZ", "R", "Q0, Q1"),
        ("LZ", "R", "Q2"),
        ("R", "Q"),
    ]
    return _diagram(boxes, arrows, "HBV: stores and fluxes of one component")


@on_bokeh
def cnn_lstm_layers(
    sizes: Sequence[tuple[int, int]],
    channels: Sequence[int],
    hidden: int,
    targets: Sequence[str],
) -> hv.Overlay:
    """A day's grid through the convolutions and the two layers of the LSTM of Li et al. (2023).

    Parameters
    ----------
    sizes
        Rows and columns of the grid and after each convolution (`models.cnn_lstm.layer_sizes`).
    channels
        Of the grid and after each convolution.
    """
    grids = [f"{c} x {rows} x {cols}" for c, (rows, cols) in zip(channels, sizes, strict=True)]
    texts = [f"grids of the day\n{grids[0]}"]
    texts += [f"convolution {k}\n{grid}" for k, grid in enumerate(grids[1:], 1)]
    texts[-1] += "\nfeatures of the day"
    boxes = {
        k: Box(1.1 + 2.4 * k, 2.6, text, LEARNT if k else INPUT, 2.0)
        for k, text in enumerate(texts)
    }
    last = len(boxes) - 1
    x = boxes[last].x
    boxes |= {
        "lstm": Box(x, 0.8, f"LSTM, {hidden} cells\nlayer 1", STATE, 2.0),
        "second": Box(x - 2.6, 0.8, f"LSTM, {hidden} cells\nlayer 2", STATE, 2.0),
        "head": Box(x - 5.2, 0.8, "last day: linear layer", LEARNT, 2.2),
        "out": Box(x - 8.2, 0.8, " and ".join(targets), OUTPUT, 2.6),
    }
    arrows = [(k, k + 1) for k in range(last)]
    arrows += [(last, "lstm"), ("lstm", "second"), ("second", "head")]
    return _diagram(boxes, [*arrows, ("head", "out")], "CNN-LSTM: each day's grid becomes features")


def _diagram(boxes: Mapping, arrows: Sequence[tuple], title: str) -> hv.Overlay:
    """Boxes by name, and arrows (from, to, label or nothing) between their edges."""
    from bokeh.core.properties import value

    sides = np.array(
        [
            [b.x - b.half[0], b.y - b.half[1], b.x + b.half[0], b.y + b.half[1]]
            for b in boxes.values()
        ]
    )
    lines, heads, labels = [], [], []
    for start, end, *label in arrows:
        tail, tip = _edge(boxes[start], boxes[end]), _edge(boxes[end], boxes[start])
        dx, dy = (tip - tail) / np.hypot(*(tip - tail))
        lines.append((*tail, *tip))
        heads.append((*(tip - 0.07 * np.array([dx, dy])), np.degrees(np.arctan2(dy, dx)) - 90))
        for text in label:  # above an arrow that lies, beside one that stands
            shift = (0.5 * abs(dy), 0.17 + 0.2 * abs(dy))
            if abs(dy) > abs(dx):
                shift = (0.3 + 0.045 * len(text), 0)
            labels.append((*((tail + tip) / 2 + shift), text))
    style = {"text_font": value(FONT), "text_color": INK}
    low, high = sides.min(0)[:2] - 0.2, sides.max(0)[2:] + 0.2
    return (
        hv.Segments(lines).opts(color=LINE, line_width=1.4)
        * hv.Points(heads, vdims="angle").opts(marker="triangle", angle="angle", size=9, color=LINE)
        * hv.Rectangles(
            [(*side, b.fill) for side, b in zip(sides, boxes.values(), strict=True)], vdims="fill"
        ).opts(color="fill", line_color="#888888")
        * hv.Labels([b[:3] for b in boxes.values()], vdims="text").opts(
            text_font_size="12px", **style
        )
        * hv.Labels(labels, vdims="text").opts(text_font_size="11px", **style)
    ).opts(
        width=WIDTH,
        height=int((high[1] - low[1]) * UNIT) + 50,
        xlim=(low[0], high[0]),
        ylim=(low[1], high[1]),
        xaxis=None,
        yaxis=None,
        show_grid=False,
        title=title,
        default_tools=["save"],
    )


def _edge(box: Box, towards: Box) -> np.ndarray:
    """Where the line from the middle of a box to that of another leaves it."""
    dx, dy = towards.x - box.x, towards.y - box.y
    half_x, half_y = box.half
    share = min(half_x / abs(dx) if dx else np.inf, half_y / abs(dy) if dy else np.inf)
    return np.array([box.x + dx * share, box.y + dy * share])
