"""The report card: what it computes agrees with what was published, or a reason is given."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import report_card
from report_card import Number


@pytest.mark.parametrize(
    ("published", "here", "computed", "agrees"),
    [
        ("0.674", 0.67355, "0.674", True),
        ("0.674", 0.67349, "0.673", False),
        ("1.15e-28", 1.149e-28, "1.15e-28", True),
        ("1.0e-13", 1.06e-13, "1.1e-13", False),
        ("-0.00", -0.004, "0.00", True),
        ("2", 2, "2", True),
    ],
)
def test_a_number_is_compared_by_its_printed_digits(published, here, computed, agrees):
    number = Number("a number", published, here)
    assert (number.computed, number.agrees) == (computed, agrees)


def numbers_of(sections):
    return [number for section in sections for number in section()]


def test_what_needs_no_file():
    numbers = numbers_of(report_card.FROM_HERE)
    assert len(numbers) >= 52
    assert [n for n in numbers if not (n.agrees or n.why)] == []
    assert sum(not n.agrees for n in numbers) <= 2


def test_the_page_holds_what_comes_out(real_data):
    """At least 150 numbers, each the same to its last digit, or with a reason."""
    sections = {
        section.__doc__: list(section())
        for section in (*report_card.FROM_FILES, *report_card.FROM_HERE)
    }
    numbers = [n for of_section in sections.values() for n in of_section]
    assert len(numbers) >= 150
    assert [n for n in numbers if not (n.agrees or n.why)] == []
    assert sum(not n.agrees for n in numbers) <= 8
    assert report_card.CARD.read_text(encoding="utf-8") == report_card.markdown(sections)
