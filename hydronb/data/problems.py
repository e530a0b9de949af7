"""What is wrong with data, from one place for two readers: an opener raises the first problem, and
`hydronb data check` lists them all.

Whatever reads or checks data is a `Reading`: a generator that yields each problem as one line (what
is wrong, where, what to do) and returns what it has read.
"""

from collections.abc import Callable, Generator, Iterable, Iterator
from itertools import islice
from typing import Any, TypeVar

from hydronb.errors import DataError, one_line

Result = TypeVar("Result")
Reading = Generator[str, None, Result]
"""Yields problems and returns the result. It raises `DataError` at a problem that ends it, and
returns None or a part of the result after problems that do not."""


def raise_first(reading: Reading[Result]) -> Result:
    """The result of a reading without problems.

    Raises
    ------
    DataError
        Its first problem.
    """
    try:
        problem = next(reading)
    except StopIteration as end:
        return end.value
    raise DataError(problem)


def nested(read: Callable[..., Any], *given: Any, **options: Any) -> Reading[Any]:
    """`read(*given, **options)`, a reading or any other function, as a part of a larger reading: a
    `DataError` that it raises becomes a problem like the others, and its result None."""
    try:
        result = read(*given, **options)
        return (yield from result) if isinstance(result, Generator) else result
    except DataError as error:
        yield str(error)


def abridged(problems: Iterator[str], where: str) -> Iterator[str]:
    """The first three problems, and how many more of them `where` has."""
    yield from islice(problems, 3)
    if more := sum(1 for _ in problems):
        yield f"{where}: {more} more like these"


def name_list(names: Iterable[Any], most: int = 5) -> str:
    """The first few names, in one line.

    >>> name_list("abcdefgh")
    'a, b, c, d, e, ...'
    """
    names = [str(name) for name in names]
    return ", ".join(names[:most] + ["..."] * (len(names) > most))


def counted(basins: Iterable[Any]) -> str:
    """How many basins, and which.

    >>> counted(["01022500"])
    '1 basin (01022500)'
    """
    ids = list(basins)
    return f"{len(ids)} basin{'s' if len(ids) > 1 else ''} ({name_list(ids)})"


class Report(list[str]):
    """Lines to print: what data hold. Apart from them, `notes` of what opening takes care of, and
    `problems`, at which opening stops."""

    def __init__(self) -> None:
        super().__init__()
        self.notes: list[str] = []
        self.problems: list[str] = []

    def take(self, read: Callable[..., Any], *given: Any, **options: Any) -> Any:
        """The result of `read(*given, **options)`, None where it raises; its problems are kept."""
        reading = nested(read, *given, **options)
        while True:
            try:
                self.problems.append(one_line(next(reading)))
            except StopIteration as end:
                return end.value

    def close(self) -> "Report":
        """The report with its notes and problems, each once, as its last lines."""
        self.notes, self.problems = (list(dict.fromkeys(p)) for p in (self.notes, self.problems))
        for title, texts in (("note", self.notes), ("problem", self.problems)):
            if texts:
                self.append(f"{len(texts)} {title}{'s' if len(texts) > 1 else ''}:")
                self.extend(f"  - {text}" for text in texts)
        if not self.problems:
            self.append("no problem found")
        return self
