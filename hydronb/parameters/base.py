"""What the parameters of all notebooks share: reading, checking, one line for what is wrong; and
those of 00_catchments, which takes little more."""

import ast
import datetime as dt
import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from hydronb.errors import ParameterError, nearest
from hydronb.files import reading, resolve, write
from hydronb.parameters.plain_yaml import LARGEST, POWER_OF_TEN, plain_values
from hydronb.vocabulary import LOSSES, MODELS, SOURCES, metrics

Given = TypeVar("Given", bound="Parameters")  # not Self, which beartype does not take in methods


class InputPath(str):
    """A file or folder that a run reads, as the user writes it; empty for none. A parameter of this
    type is looked for before the first run of a plan starts, and its content is part of the run's
    identity."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> CoreSchema:
        return core_schema.no_info_after_validator_function(cls, core_schema.str_schema())


def input_paths(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Name (`data.path`, `runs.0`) and text of each `InputPath` in parameters, nested ones too."""
    if isinstance(value, InputPath) and value:
        yield name, value
    items = value if isinstance(value, BaseModel | dict) else ()
    for key, item in dict(enumerate(value) if isinstance(value, list) else items).items():
        yield from input_paths(item, f"{name}.{key}" if name else str(key))


def run_folder(p: "NotebookParameters", name: str) -> Path:
    """Make the folder that notebook `name` writes to, `run_dir` or, where that is empty,
    `outputs/notebooks/NAME`, and write the parameters to its `params.yaml`.

    Raises
    ------
    ParameterError
        The folder cannot be written.
    """
    folder = resolve(p.run_dir or f"outputs/notebooks/{name}")
    values = {name: value for name, value in p.plain().items() if name != "run_dir"}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write(folder / "params.yaml", yaml.safe_dump(values, sort_keys=False))
    except OSError as error:
        raise ParameterError(
            f"run_dir {folder} cannot be written: {error.strerror}; choose another"
        ) from None
    return folder


def read_parameters(
    path: Path,
    *,
    shown: str = "",
    hint: str = "a run directory holds the parameters of its run",
) -> dict[str, Any]:
    """The names and values in a YAML file (a run's `params.yaml`, a plan, a recipe), not validated.

    Parameters
    ----------
    shown
        What messages call the file; its path where empty.
    hint
        What to do where it cannot be read.

    Raises
    ------
    ParameterError
        No such file, not a regular file of at most 1 MB, or not YAML with names and values.
    """
    shown = shown or str(path)
    with reading(path, "YAML", hint=hint, error=ParameterError):
        if path.stat().st_size > 1_000_000 or not path.is_file():
            raise ParameterError(f"{shown} is not a file of at most 1 MB; {hint}")
        text = path.read_text(encoding="utf-8-sig")
    values = plain_values(text, shown)
    if not isinstance(values, dict) or not all(isinstance(name, str) for name in values):
        raise ParameterError(
            f"{shown} holds no names with values, one `name: value` per line; {hint}"
        )
    return values


def number(value: Any) -> Any:
    """Return a number as it is, and the number that text such as `1e-3` means, which YAML 1.1 does
    not read as one.

    Raises
    ------
    ValueError
        Other text, or a truth value.
    """
    if isinstance(value, str) and POWER_OF_TEN.fullmatch(value) and abs(float(value)) <= LARGEST:
        return float(value)
    if isinstance(value, str | bool):
        raise ValueError("a number belongs here, without quotes")
    return value


def choice(vocabulary: Callable[[], Mapping[str, Any]]) -> AfterValidator:
    """A name in a vocabulary, which is looked up when a value is given: entries may be added."""
    return AfterValidator(lambda name: chosen(name, vocabulary()))


def chosen(name: str, names: Iterable[str]) -> str:
    """`name` if it is one of `names`; else the error of a choice, which lists them."""
    if name not in names:
        raise PydanticCustomError("literal_error", "{names}", {"names": str([*names])})
    return name


Number = Annotated[float, BeforeValidator(number)]
Positive = Annotated[float, BeforeValidator(number), Field(gt=0)]
Count = Annotated[int, BeforeValidator(number), Field(ge=1)]
Share = Annotated[float, BeforeValidator(number), Field(ge=0, lt=1)]
NotNegative = Annotated[float, BeforeValidator(number), Field(ge=0)]
Seed = Annotated[int, BeforeValidator(number), Field(ge=0)]
SourceName = Annotated[str, choice(lambda: SOURCES)]
GridSourceName = Annotated[str, choice(lambda: {n: s for n, s in SOURCES.items() if s.grids})]
LossName = Annotated[str, choice(lambda: LOSSES)]
MetricName = Annotated[str, choice(metrics)]


class Period(BaseModel):
    """First and last day of the targets, both included; written `[1999-10-01, 2008-09-30]`."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    start: dt.date
    end: dt.date

    @model_validator(mode="before")
    @classmethod
    def _pair(cls, value: Any) -> Any:
        if not isinstance(value, list | tuple):
            return value
        if len(value) != 2:
            raise ValueError("a period is [first day, last day]")
        return {"start": value[0], "end": value[1]}

    def model_post_init(self, context: Any) -> None:
        if self.end < self.start:
            raise ValueError(f"the period ends ({self.end}) before it starts ({self.start})")

    def __str__(self) -> str:
        return f"{self.start} to {self.end}"


def once(value: Any) -> Any:
    """Return `value`; raises ValueError if it is a list with an entry twice."""
    counts = Counter(map(repr, value)) if isinstance(value, list) else Counter()
    for entry, count in counts.most_common(1):
        if count > 1:
            raise ValueError(f"it lists {entry:.60} twice")
    return value


class Parameters(BaseModel):
    """Base of all parameters: frozen, with defaults, and one line for what is wrong. No list has an
    entry twice; what may repeat is a tuple."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=False, allow_inf_nan=False)
    instead: ClassVar[Mapping[str, str]] = {}
    """Hints for names that are not parameters but may be expected to be."""
    noun: ClassVar[str] = "parameter"
    """What messages call its names."""

    @model_validator(mode="before")
    @classmethod
    def _no_other_names(cls, values: Any) -> Any:
        for name in values if isinstance(values, Mapping) else ():
            if name not in cls.model_fields:
                raise ValueError(
                    f"unknown {cls.noun} {name!r:.60}"
                    + (cls.instead.get(name) or nearest(name, cls.model_fields))
                )
        return values

    _lists = field_validator("*")(once)

    @classmethod
    def validate_parameters(
        cls: type[Given], values: Mapping[str, Any], *, where: str = ""
    ) -> Given:
        """The parameters with these values.

        Raises
        ------
        ParameterError
            One line that names the parameter, its value and what it should be.
        """
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            raise ParameterError(
                f"{where}: {_one_line(error, cls.noun)}".removeprefix(": ")
            ) from None

    @classmethod
    def from_notebook(cls: type[Given], namespace: Mapping[str, Any]) -> Given:
        """The parameters among a notebook's globals; every name that papermill injected must be a
        parameter."""
        injected = {
            node.id
            for cell in namespace.get("In", [])
            if cell.startswith("# Parameters\n")
            for node in ast.walk(ast.parse(cell))
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
        }
        return cls.validate_parameters(
            {name: namespace[name] for name in (*cls.model_fields, *injected) if name in namespace}
        )

    def plain(self) -> dict[str, Any]:
        """The values as JSON and YAML hold them: no tuples, dates as text."""
        return self.model_dump(mode="json")


def _one_line(error: ValidationError, noun: str) -> str:
    """The first parameter that is wrong; of the branches of a union, what the one says that the
    value comes nearest to."""
    errors = error.errors()
    problem = max(
        (e for e in errors if e["loc"][:1] == errors[0]["loc"][:1]),
        key=lambda e: (len(e["loc"]), not e["type"].endswith("_type")),
    )
    kind, value = problem["type"], problem["input"]
    name = ".".join(str(part) for part in problem["loc"] if "[" not in str(part))
    message = (
        problem["msg"]
        .removeprefix("Value error, ")
        .replace("tuple", "list")
        .replace("Tuple", "List")
    )
    if kind == "string_type" and isinstance(value, int | float):
        message = "text belongs here; put it in quotes, gauge ids too"
    if kind == "missing":
        return f"the {noun} {name!r} is missing"
    if kind == "literal_error" and isinstance(value, str):
        return f"{name} = {value!r:.60} is unknown; choose one of " + ", ".join(
            re.findall(r"'([^']*)'", message)
        )
    if not name or (kind == "value_error" and isinstance(value, Mapping)):
        return f"{name}: {message}".removeprefix(": ")
    shown = repr(value)
    return f"{name} = {shown if len(shown) < 60 else shown[:57] + '...'}: {message}"


class DataParameters(Parameters):
    """Where the catchments come from; the `data:` of a plan. See `hydronb.data.open_catchments`."""

    kind: SourceName = "synthetic"
    path: InputPath | None = None
    """Folder of Caravan or CAMELS-US, or a NetCDF or Zarr file in the convention."""
    basins: list[str] | InputPath | None = None
    """Ids, or a text file with one per line; all basins where None."""
    pet: Literal["auto", "source", "hargreaves", "oudin", "none"] = "auto"
    source: str = "camels"
    """Caravan: the sub-source."""
    attributes: InputPath | None = None
    """Caravan: a CAMELS attribute folder to join."""
    forcing: Literal["daymet", "maurer", "maurer_extended", "nldas", "nldas_extended"] = (
        "maurer_extended"
    )
    """CAMELS-US: the forcing product."""
    n_basins: Count = 24
    """Synthetic: the number of basins; `years`, `seed` and `truth` are for synthetic data too."""
    years: Count = 12
    seed: Seed = 0
    truth: Literal["hbv", "gr4j"] = "hbv"

    def model_post_init(self, context: Any) -> None:
        if SOURCES[self.kind].needs_path and not self.path:
            raise ValueError(f"data of kind {self.kind!r} needs a path")


NOTEBOOKS: dict[str, type["NotebookParameters"]] = {}
"""The parameters of each notebook, by its name."""


class NotebookParameters(Parameters):
    """What every notebook takes."""

    notebook: ClassVar[str] = ""
    """Name of the notebook; a class that states one, by `class X(..., notebook=NAME)`, is entered
    in `NOTEBOOKS`."""
    takes_runs_of: ClassVar[tuple[str, ...]] = ()
    """Notebooks whose runs (or runs of a copy) a plan may give it by `needs`; any where empty.
    Stated as `notebook` is."""
    data: DataParameters = DataParameters()
    run_dir: str = ""
    """Folder the notebook writes to; the runner sets it. Empty: `outputs/notebooks/NAME`."""

    def __init_subclass__(cls, notebook: str = "", takes_runs_of: tuple[str, ...] = ()) -> None:
        cls.takes_runs_of = takes_runs_of or cls.takes_runs_of
        if notebook:
            cls.notebook, NOTEBOOKS[notebook] = notebook, cls


class CatchmentsParameters(NotebookParameters, notebook="00_catchments"):
    """00_catchments."""

    basin: str | None = None
    """The catchment that is drawn in detail; the first if None."""
    period: Period | None = None


class AnalysisParameters(NotebookParameters):
    """What every notebook takes that reads trained runs. `data` is used only if it trains small
    models itself."""

    runs: list[InputPath] = []
    """Run directories; if empty, the notebook trains small models."""


class FitParameters(NotebookParameters):
    """What the training loop takes (`hydronb.training.loop`); a notebook that trains adds its model
    and its data."""

    model: str
    """A name in `hydronb.vocabulary.MODELS` that this notebook trains."""
    epochs: Count = 30
    samples_per_epoch: Count | None = None
    """A random part of the samples each epoch; all of them where None."""
    batch_size: Count = 256
    optimiser: Literal["adam", "adadelta"] = "adam"
    """`adam` is AdamW where weight_decay is given."""
    learning_rate: Positive | dict[int, Positive] = {1: 1e-3, 11: 5e-4, 21: 1e-4}
    """A number, or the rate from each epoch on (counted from 1)."""
    weight_decay: NotNegative = 0.0
    clip_norm: Positive | None = 1.0
    """Largest norm of the gradient; not clipped where None."""
    patience: Count | None = None
    """Epochs without a better validation score before the training stops; the best weights are
    kept."""
    seed: Seed = 111
    threads: Count = 1
    device: Annotated[str, Field(pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$")] = "auto"

    @field_validator("model")
    @classmethod
    def _known_model(cls, name: str) -> str:
        return chosen(name, [m.name for m in MODELS.values() if m.notebook == cls.notebook])

    def model_post_init(self, context: Any) -> None:
        super().model_post_init(context)
        if isinstance(self.learning_rate, dict) and 1 not in self.learning_rate:
            raise ValueError("learning_rate given by epoch must start at epoch 1")


class Periods(Parameters):
    """The three periods of a training, which may not overlap: what a model is judged on must be new
    to it."""

    train_period: Period
    validation_period: Period | None = None
    """Scored after each epoch; with `patience` also stops the training. Never the test period."""
    test_period: Period

    def model_post_init(self, context: Any) -> None:
        names = ["train_period", "validation_period"]
        names += [] if getattr(self, "folds", None) else ["test_period"]
        given = [(name, getattr(self, name)) for name in names if getattr(self, name)]
        for (one, a), (other, b) in itertools.combinations(given, 2):
            if a.start <= b.end and b.start <= a.end:
                raise ValueError(
                    f"{one} ({a}) and {other} ({b}) overlap; what a model is judged on must be new"
                    " to it"
                )
        if getattr(self, "patience", None) and not self.validation_period:
            raise ValueError("patience needs a validation_period to judge by")


class Folds(Periods):
    """Ungauged basins: a test in basins that the training leaves out may be in any period."""

    folds: Annotated[Count, Field(ge=2)] | None = None
    """Parts that the basins are split into: the run trains on the basins outside its `fold` and
    simulates those inside, as if ungauged."""
    fold: Count | None = None
    """Which part, counted from 1."""
    fold_seed: Seed = 0
    """Of the split; the same for all runs of an experiment."""

    def model_post_init(self, context: Any) -> None:
        super().model_post_init(context)
        if (self.folds is None) != (self.fold is None):
            raise ValueError(
                "folds and fold belong together: how many parts, and which of them is left out"
            )
        if self.folds and self.fold > self.folds:
            raise ValueError(
                f"fold {self.fold} is not one of the {self.folds} folds, counted from 1"
            )
