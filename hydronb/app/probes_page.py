"""The page of probes: what a network's insides tell about what it was never shown, beside its controls."""

import panel as pn

from hydronb.app.outputs import Outputs
from hydronb.app.state import State
from hydronb.app.view import Page, heading, row
from hydronb.errors import DataError


def build(page: Page, state: State, outputs: Outputs) -> pn.Column:
    return pn.Column(heading("Probes"), row(page.part(lambda: _table(state, outputs), ["probes"], width=700)),
                     sizing_mode="stretch_width")


def _table(state: State, outputs: Outputs) -> str:
    if not outputs.having("probes.csv"):
        raise DataError("no probes here yet; the notebook cnn_lstm_03_probes makes them: `hydronb run params/demo.yaml`")
    return ""
