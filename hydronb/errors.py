"""The errors a user can cause: one line that says what is wrong, where, and what to do."""

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class HydronbError(Exception):
    """Anything a user can put right. Shown as one line in terminals and in notebooks, never as a
    stack trace."""

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))

    def _render_traceback_(self) -> list[str]:
        return [f"{type(self).__name__}: {self}"]


class DataError(HydronbError):
    """A folder, file, variable, basin or value that cannot be used."""


class ParameterError(HydronbError):
    """A parameter or plan that cannot be run."""


class TrainingError(HydronbError):
    """A training that had to stop, or weights that cannot be read."""


def one_line(text: str) -> str:
    r"""`text` with line breaks and other control characters, such as a file name may hold, as
    escapes.

    >>> one_line("no file a\nb")
    'no file a\\nb'
    """
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


@contextmanager
def located(where: str) -> Iterator[None]:
    """Put `WHERE: ` before what goes wrong in the block.

    >>> with located("demo.yaml"):
    ...     raise ParameterError("no runs")
    Traceback (most recent call last):
    hydronb.errors.ParameterError: demo.yaml: no runs
    """
    try:
        yield
    except HydronbError as error:
        raise type(error)(f"{' '.join(where.split()):.200}: {error}") from None


def nearest(name: str, names: Iterable[str]) -> str:
    """`; did you mean 'x'?` for the closest of `names`, or the whole list where it is
    short.

    >>> nearest("stremflow", ["prcp", "streamflow"])
    "; did you mean 'streamflow'?"
    >>> nearest("zzz", ["mse", "nse_star"])
    '; known: mse, nse_star'
    """
    names = sorted(names)
    if close := difflib.get_close_matches(str(name), names, n=1, cutoff=0.6):
        return f"; did you mean {close[0]!r}?"
    return f"; known: {', '.join(names[:20])}{' ...' if len(names) > 20 else ''}" if names else ""
