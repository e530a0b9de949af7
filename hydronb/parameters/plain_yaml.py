"""YAML without surprises: what YAML 1.1 would change in silence is an error."""

import re
from typing import Any

import yaml

from hydronb.errors import ParameterError

DEPTH, VALUES = 20, 100_000
"""Most levels of nesting, and most values once aliases and merges are written out."""
LARGEST = 1e15
"""Largest number; beyond 9e15 whole numbers would not survive as floats."""
POWER_OF_TEN = re.compile(r"[+-]?\d+(\.\d*)?[eE][+-]?\d+")
"""Numbers such as `1e-3`, which YAML 1.1 reads as text."""
TAG = "tag:yaml.org,2002:"
NOUNS = {"int": "a whole number", "float": "a number", "timestamp": "a date"}


def plain_values(text: str, where: str) -> Any:
    """The values in a YAML document: text, numbers, dates, truth values, lists, and mappings whose
    names are text or numbers.

    Raises
    ------
    ParameterError
        `WHERE, line N: ` and what is wrong: not YAML; a name that is a list or occurs twice; a tag
        that does not fit; a number in base 8 or 60, or beyond 1e15; endless nesting.
    """
    try:
        loader = _Loader(text)
        return loader.get_single_data()
    except yaml.constructor.ConstructorError as error:
        problem, line = error.problem, error.problem_mark.line
    except yaml.MarkedYAMLError as error:
        problem, line = f"not YAML: {error.problem}", error.problem_mark.line
    except yaml.reader.ReaderError as error:
        problem, line = f"not YAML: {error.reason}", text.count("\n", 0, error.position)
    except RecursionError:
        problem, line = f"nested deeper than {DEPTH} levels", loader.line
    raise ParameterError(f"{where}, line {line + 1}: {problem}")


class _Loader(yaml.SafeLoader):
    """PyYAML's loader with a check of the nodes before they become values."""

    count = 0

    def construct_document(self, node: yaml.Node) -> Any:
        self.check(node)
        return super().construct_document(node)

    def check(self, node: yaml.Node, depth: int = 1) -> None:
        """Raise what is wrong in a node, with all that its aliases repeat."""
        self.count += 1
        if depth > DEPTH:
            raise _wrong(node, f"nested deeper than {DEPTH} levels")
        if self.count > VALUES:
            raise _wrong(node, f"more than {VALUES:,} values, with those that aliases repeat")
        others = (f"{TAG}str", f"{TAG}float") if isinstance(node, yaml.ScalarNode) else ()
        if node.tag not in (self.resolve(type(node), node.value, (True, False)), *others):
            raise _wrong(
                node,
                f"the tag {node.tag.replace(TAG, '!!'):.60} does not fit; write the value alone",
            )
        if isinstance(node, yaml.ScalarNode):
            self._check_scalar(node)
        elif isinstance(node, yaml.SequenceNode):
            for item in node.value:
                self.check(item, depth + 1)
        else:
            names = set()
            for key, item in node.value:
                if not isinstance(key, yaml.ScalarNode):
                    raise _wrong(key, "a list or mapping cannot be a name; write text or a number")
                merge = key.tag == f"{TAG}merge"
                if not merge:
                    self.check(key, depth)
                name = key.value if merge else self.construct_object(key)
                if name in names:
                    raise _wrong(key, f"the key {name!r:.60} occurs twice")
                names.add(name)
                self.check(item, depth + 1)

    def _check_scalar(self, node: yaml.ScalarNode) -> None:
        text, kind = node.value, node.tag.removeprefix(TAG)
        base = 8 if kind == "int" and re.match(r"[+-]?0[0-9_]", text) else 10
        base = 60 if kind in ("int", "float") and ":" in text else base
        if base != 10:
            raise _wrong(
                node,
                f"YAML reads {text:.60} as a number in base {base}; write numbers without leading"
                " zeros or colons, and quote gauge ids and other text",
            )
        try:
            text.encode()
            value = self.construct_object(node)
        except (ValueError, OverflowError):
            raise _wrong(
                node, f"{text!r:.60} cannot be read as {NOUNS.get(kind, 'text')}"
            ) from None
        if not node.style and POWER_OF_TEN.fullmatch(text):
            value = float(text)
        if isinstance(value, int | float) and not abs(value) <= LARGEST:
            raise _wrong(node, f"{text:.60} is not between -1e15 and 1e15; quote it if it is text")


def _wrong(node: yaml.Node, problem: str) -> yaml.constructor.ConstructorError:
    return yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
