"""The pages, in the order of their tabs. A new page is its module and a line here."""

from collections.abc import Callable

import panel as pn

from hydronb.app import benchmarks_page, dynamics_page, probes_page, runs_page, similarity_page
from hydronb.app.outputs import Outputs
from hydronb.app.state import State
from hydronb.app.view import Page

Build = Callable[[Page, State, Outputs], pn.Column]

PAGES: dict[str, tuple[str, Build]] = {
    "similarity": ("Similarity", similarity_page.build),
    "dynamics": ("Dynamic parameters", dynamics_page.build),
    "benchmarks": ("Benchmarks", benchmarks_page.build),
    "probes": ("Probes", probes_page.build),
    "runs": ("Runs", runs_page.build),
}
"""Title by the name in links, and what makes the page."""
