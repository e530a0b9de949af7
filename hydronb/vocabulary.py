"""One list of each thing that a user chooses by name: models, losses, sources of data, metrics.

Plans, `hydronb data check`, notebooks, figures and the dashboard take names, labels, units and
colours from here, and nothing else has to know of a new one. What an entry makes is imported when
it is called, so that a plan is read without torch. Metrics say all of it where they are defined,
in `hydronb.metrics`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import Any, TypeVar

from hydronb.errors import ParameterError, nearest

Entry = TypeVar("Entry")


class Vocabulary(dict[str, Entry]):
    """Entries by name, in the order of their definition; an unknown name is an error."""

    def __init__(self, what: str, *entries: Entry) -> None:
        super().__init__()
        self.what = what
        for entry in entries:
            self.add(entry)

    def add(self, entry: Entry) -> Entry:
        """Raises
        ------
        ValueError
            The name is taken.
        """
        if entry.name in self:
            raise ValueError(f"there are two {self.what}s called {entry.name!r}")
        self[entry.name] = entry
        return entry

    def __missing__(self, name: str) -> Entry:
        raise ParameterError(f"unknown {self.what} {str(name)[:60]!r}{nearest(str(name), self)}")


@dataclass(frozen=True)
class Model:
    """A model that can be trained, saved, loaded and compared."""

    name: str
    label: str
    """As its paper calls it; see `model_label`."""
    colour: str
    """In every figure."""
    notebook: str
    """The notebook that trains it, whose parameters it takes."""
    training: Callable[[], Callable[..., Any]]
    """Imports the function of `hydronb.training` that prepares its training; see
    `hydronb.training.task`."""
    make: Callable[..., Any]
    """The model from `scaling` and its settings, by keyword."""
    attributes: bool = True
    """Whether it sees static attributes."""
    fluxes: bool = False
    """Whether its runs hold fluxes, stores and parameters of HBV."""


@dataclass(frozen=True)
class Loss:
    """A loss over a batch of targets."""

    name: str
    label: str
    make: Callable[[Any], Callable[..., Any]]
    """The loss, from the parameters of a training."""


@dataclass(frozen=True)
class Source:
    """A kind of data, the `kind` of a plan's `data`."""

    name: str
    label: str
    module: Callable[[], ModuleType]
    """Imports the module that opens, recognises and describes it; see `hydronb.data.sources`."""
    needs_path: bool = True
    grids: bool = False
    """Whether it also offers gridded catchments."""


# Models -----------------------------------------------------------------------------------------


def _models() -> ModuleType:
    from hydronb import models

    return models


def _training() -> ModuleType:
    from hydronb import training

    return training


MODELS = Vocabulary(
    "model",
    Model(
        "ealstm",
        "EA-LSTM",
        "#0072B2",
        "ealstm_01_train",
        lambda: _training().prepare_ealstm,
        lambda **settings: _models().StandardisedLSTM(_models().EALSTM, **settings),
    ),
    Model(
        "lstm",
        "LSTM",
        "#D55E00",
        "ealstm_01_train",
        lambda: _training().prepare_ealstm,
        lambda **settings: _models().StandardisedLSTM(_models().LSTM, **settings),
    ),
    Model(
        "lstm_no_static",
        "LSTM (no statics)",
        "#E69F00",
        "ealstm_01_train",
        lambda: _training().prepare_ealstm,
        lambda **settings: _models().StandardisedLSTM(_models().LSTM, **settings),
        attributes=False,
    ),
    Model(
        "delta_hbv",
        "delta-HBV",
        "#009E73",
        "delta_hbv_01_train",
        lambda: _training().prepare_delta_hbv,
        lambda **settings: _models().DeltaHBV(**settings),
        fluxes=True,
    ),
    Model(
        "runoff_lstm",
        "LSTM",
        "#D55E00",
        "delta_hbv_01_train",
        lambda: _training().prepare_runoff_lstm,
        lambda **settings: _models().RunoffLSTM(**settings),
    ),
    Model(
        "local_hbv",
        "HBV (local)",
        "#7F7F7F",
        "delta_hbv_01_train",
        lambda: _training().prepare_local_hbv,
        lambda **settings: _models().LocalHBV(**settings),
        attributes=False,
        fluxes=True,
    ),
    Model(
        "cnn_lstm",
        "CNN-LSTM",
        "#CC79A7",
        "cnn_lstm_01_train",
        lambda: _training().prepare_cnn_lstm,
        lambda **settings: _models().CNNLSTM(**settings),
    ),
    Model(
        "mean_lstm",
        "LSTM",
        "#D55E00",
        "cnn_lstm_01_train",
        lambda: _training().prepare_cnn_lstm,
        lambda **settings: _models().CNNLSTM(**settings),
        attributes=False,
    ),
)

SYMBOLS = {"BETAET": "gamma", "BETA": "beta"}
"""Symbols of Feng et al. (2022) for the parameters that they made dynamic, in their order."""

COLOURS = {
    "observed": "#000000",
    "delta_1": "#E69F00",
    "delta_n": "#56B4E9",
    "delta_n(NN_r)": "#332288",
    "delta_n(beta)": "#882255",
    "delta_n(gamma)": "#999933",
    "delta_n(gamma, beta)": "#009E73",
    "LSTM MT": "#56B4E9",
    "CNN-LSTM MT": "#882255",
    "climatology": "#7F7F7F",
    "gamma": "#D55E00",
    "beta": "#0072B2",
}
"""Of what is no model of its own. Palette of Okabe and Ito, as the models'."""


def label_colours() -> dict[str, str]:
    """Fixed colours by the beginning of a label: `EA-LSTM, NSE*` is an EA-LSTM."""
    return {model.label: model.colour for model in MODELS.values()} | COLOURS


def model_label(parameters: Mapping[str, Any]) -> str:
    """A trained model as its paper calls it, from the parameters of its run.

    >>> model_label({"model": "ealstm"})
    'EA-LSTM'
    >>> parameters = {"model": "delta_hbv", "components": 16, "recharge": "hbv"}
    >>> model_label(parameters | {"dynamic": ["BETA", "BETAET"]})
    'delta_n(gamma, beta)'
    """
    if parameters["model"] != "delta_hbv":
        return MODELS[parameters["model"]].label
    dynamic = sorted(parameters["dynamic"], key=lambda name: [*SYMBOLS, name].index(name))
    parts = ["NN_r"] if parameters["recharge"] == "network" else []
    parts += [SYMBOLS.get(name, name) for name in dynamic]
    size = 1 if parameters["components"] == 1 else "n"
    return f"delta_{size}({', '.join(parts)})" if parts else f"delta_{size}"


# Losses -----------------------------------------------------------------------------------------


def _losses() -> ModuleType:
    from hydronb import losses

    return losses


LOSSES = Vocabulary(
    "loss",
    Loss("nse_star", "NSE*", lambda p: _losses().nse_star),
    Loss("nse_star_paper", "NSE* (as printed)", lambda p: _losses().nse_star_paper),
    Loss("mse", "MSE", lambda p: _losses().mse),
    Loss(
        "feng2022",
        "feng2022",
        lambda p: partial(_losses().feng2022, low_flow_weight=getattr(p, "low_flow_weight", 0.25)),
    ),
)

# Sources of data --------------------------------------------------------------------------------


def _synthetic() -> ModuleType:
    from hydronb.data.sources import synthetic

    return synthetic


def _caravan() -> ModuleType:
    from hydronb.data.sources import caravan

    return caravan


def _camels_us() -> ModuleType:
    from hydronb.data.sources import camels_us

    return camels_us


def _file() -> ModuleType:
    from hydronb.data.sources import file

    return file


SOURCES = Vocabulary(
    "kind of data",
    Source("synthetic", "synthetic catchments", _synthetic, needs_path=False, grids=True),
    Source("caravan", "Caravan", _caravan),
    Source("camels_us", "CAMELS-US", _camels_us),
    Source("file", "NetCDF or Zarr", _file, grids=True),
)


def metrics() -> Vocabulary[Any]:
    """The metrics, collected where they are defined."""
    from hydronb.metrics import METRICS

    return METRICS
