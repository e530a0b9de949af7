"""The diagrams of the models: arrows meet boxes, boxes keep apart, texts are the models'."""

import itertools

import holoviews as hv
import numpy as np
import pytest

from hydronb.models import hbv
from hydronb.models.cnn_lstm import CHANNELS, layer_sizes
from hydronb.plots import diagrams

LANCANG = layer_sizes((84, 59))
DIAGRAMS = {
    "EA-LSTM": lambda: diagrams.lstm_cell(static_gate=True),
    "LSTM": lambda: diagrams.lstm_cell(static_gate=False),
    "HBV": diagrams.hbv_stores,
    "CNN-LSTM": lambda: diagrams.cnn_lstm_layers(LANCANG, (2, *CHANNELS), 32, ["streamflow"]),
}


def part(figure, kind):
    return figure.traverse(lambda element: element, [kind])[0]


def text_of(figure):
    return "\n".join(part(figure, hv.Labels).dimension_values("text"))


@pytest.mark.parametrize("name", DIAGRAMS)
def test_arrows_run_from_box_to_box_and_boxes_keep_apart(name):
    figure = DIAGRAMS[name]()
    boxes = part(figure, hv.Rectangles).array([0, 1, 2, 3]).astype(float)
    arrows = part(figure, hv.Segments).array([0, 1, 2, 3]).astype(float)

    def distances(points):
        """Of points (n, 2) to the border of each box, (n, box); negative inside."""
        low, high = boxes[:, :2] - points[:, None], points[:, None] - boxes[:, 2:]
        return np.maximum(low, high).max(-1)

    for ends in (arrows[:, :2], arrows[:, 2:]):
        np.testing.assert_allclose(np.abs(distances(ends)).min(1), 0, atol=1e-9)
    assert (distances((arrows[:, :2] + arrows[:, 2:]) / 2) > 0).all()
    for one, other in itertools.combinations(boxes, 2):
        gap = np.maximum(one[:2] - other[2:], other[:2] - one[2:]).max()
        assert gap > 0.1


def test_equations_are_those_of_the_model():
    for name, first, entries in (("EA-LSTM", 7, "static attributes x_s"), ("LSTM", 1, "x[t]")):
        text = text_of(DIAGRAMS[name]())
        assert [f"Eq. {k}" in text.split("\n") for k in range(first, first + 6)] == [True] * 6
        assert entries in text


def test_every_parameter_of_hbv_stands_once():
    words = text_of(DIAGRAMS["HBV"]()).replace(",", " ").replace("(", " ").split()
    assert {name: words.count(name) for name in hbv.PARAMETERS} == dict.fromkeys(hbv.PARAMETERS, 1)


def test_sizes_are_those_of_the_layers():
    text = text_of(DIAGRAMS["CNN-LSTM"]())
    for size in ("2 x 84 x 59", "8 x 40 x 28", "16 x 19 x 12", "32 x 5 x 4", "64 x 1 x 1"):
        assert size in text
