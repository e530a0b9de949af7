"""What is around the pages: head, links, the visitor's state in the address, messages."""

from typing import Any

import panel as pn

from hydronb.app import benchmarks_page, dynamics_page, probes_page, runs_page, similarity_page
from hydronb.app.outputs import Outputs
from hydronb.app.state import State, abbreviated
from hydronb.app.view import WIDE, Page, message
from hydronb.errors import nearest

PAGES = {
    "similarity": ("Similarity", similarity_page.build),
    "dynamics": ("Dynamic parameters", dynamics_page.build),
    "benchmarks": ("Benchmarks", benchmarks_page.build),
    "probes": ("Probes", probes_page.build),
    "runs": ("Runs", runs_page.build),
}
"""Title and builder of each page, by its name in links and in the order of the tabs. A new page is
its module and a line here."""


class App:
    """One visitor's pages. Each is made when it is first shown, and drawn while it is shown."""

    def __init__(self, outputs: Outputs, query: str = "", *, only: str = "") -> None:
        self.outputs, self.state = outputs, State()
        self.problems = self.state.read(query)
        if self.state.page and self.state.page not in PAGES:
            self.problems.append(
                f"the link's page={abbreviated(self.state.page)!r}: there is no such page"
                f"{nearest(self.state.page, PAGES)}; the pages are {', '.join(PAGES)}"
            )
            self.state.page = ""
        self.state.page = only or self.state.page or _first(outputs)
        self.pages: dict[str, tuple[Page, pn.Column]] = {}
        self.problem = pn.pane.HTML("".join(map(message, self.problems)), **WIDE)
        self.place = pn.Column(**WIDE)
        self.state.param.watch(self._changed, [n for n in self.state.param if n != "name"])
        self.show()

    def show(self) -> None:
        """Put the state's page in its place."""
        name = self.state.page
        if name not in self.pages:
            page = Page(self.state, self.outputs, lambda: self.state.page == name)
            self.pages[name] = page, PAGES[name][1](page)
        page, view = self.pages[name]
        page.show()
        self.place[:] = [view]

    def _changed(self, *events: Any) -> None:
        names = {e.name for e in events}
        for page, _ in self.pages.values():
            page.changed(names)
        if "page" in names:
            self.show()


def _first(outputs: Outputs) -> str:
    """The page to begin with: the first that has something to show."""
    if outputs.having("embedding.nc"):
        return "similarity"
    return "benchmarks" if outputs.trained() else "runs"


def session(outputs: Outputs) -> pn.Template:
    """A visitor's page, in step with the address."""
    location = pn.state.location
    app = App(outputs, location.search)
    tabs = pn.widgets.RadioButtonGroup(
        options={title: name for name, (title, _) in PAGES.items()},
        value=app.state.page,
        button_type="light",
        css_classes=["tabs"],
        margin=0,
    )

    tabs.link(app.state, value="page", bidirectional=True)

    app.state.param.watch(
        lambda *_: location.param.update(search="?" + app.state.query()), app.state.linked()
    )
    page = pn.Template(
        _TEMPLATE,
        items={"tabs": tabs, "main": pn.Column(app.problem, app.place, **WIDE)},
        location=True,
    )
    page.add_variable("where", outputs.root.name)
    return page


CSS = """
:host, :root { --ink: #222; --line: #ddd; }
h2 { font-size: 20px; font-weight: 500; margin: 14px 0 4px 10px; }
h3 { font-size: 15px; font-weight: 600; margin: 10px 0 4px 10px; }
.message { border-left: 4px solid #E69F00; background: #FFF7E6; padding: 10px 14px;
  margin: 8px 10px; font-size: 14px; overflow-wrap: anywhere; }
.note { color: #555; font-size: 13px; margin: 4px 10px; }
.scroll { overflow-x: auto; margin: 4px 10px; max-height: 520px; overflow-y: auto; }
table.plain { border-collapse: collapse; font-size: 13px; }
table.plain th, table.plain td { padding: 3px 10px 3px 0; border-bottom: 1px solid #eee;
  text-align: left; vertical-align: top; max-width: 520px; overflow-wrap: break-word; }
table.plain thead th { position: sticky; top: 0; background: white; white-space: nowrap; }
table.plain tbody th { white-space: nowrap; font-weight: 500; }
table.plain td:not(:last-child) { white-space: nowrap; }
code { background: #f0f0f0; padding: 0 4px; border-radius: 3px; }
"""

_TEMPLATE = """
{% extends base %}
{% block title %}hydronb: {{ where }}{% endblock %}
{% block postamble %}
<style>
  html { background: white; color-scheme: light; }
  html.dark { filter: invert(0.92) hue-rotate(180deg); }
  body { margin: 0; font-family: "Helvetica Neue", Helvetica, Arial, sans-serif; color: #222;
    background: white; }
  header { display: flex; flex-wrap: wrap; align-items: center; gap: 6px 18px; padding: 8px 16px;
    border-bottom: 1px solid #ddd; }
  header h1 { font-size: 18px; margin: 0; font-weight: 600; }
  header small { color: #666; }
  header .right { margin-left: auto; display: flex; gap: 6px; }
  header button, #welcome button { border: 1px solid #bbb; background: white; border-radius: 4px;
    padding: 4px 10px; font-size: 13px; cursor: pointer; color: #222; }
  #welcome { display: none; padding: 12px 20px; background: #EEF5FB; font-size: 14px;
    line-height: 1.5; }
  html.first #welcome { display: block; }
  main { padding: 0 8px 40px; max-width: 1700px; margin: 0 auto; }
</style>
<script>
  const html = document.documentElement;
  const kept = (k) => { try { return localStorage.getItem(k) } catch { return null } };
  const keep = (k, v) => { try { localStorage.setItem(k, v) } catch { } };
  const asked = matchMedia("(prefers-color-scheme: dark)").matches ? "1" : "0";
  const dark = kept("hydronb-dark") ?? asked;
  html.classList.toggle("dark", dark === "1");
  html.classList.toggle("first", kept("hydronb-welcome") !== "read");
  addEventListener("popstate", () => location.reload());
</script>
{% endblock %}
{% block contents %}
<header>
  <h1>hydronb</h1><small>{{ where }}</small>
  {{ embed(roots.tabs) }}
  <span class="right">
    <button id="about" title="What is this?" onclick="html.classList.toggle('first')">?</button>
    <button id="theme" title="light or dark"
      onclick="keep('hydronb-dark', html.classList.toggle('dark') ? '1' : '0')"
      >light / dark</button>
  </span>
</header>
<div id="welcome">
  This page shows what rainfall-runoff models have learnt: everything on it was made by your
  notebooks and read from the folder <b>{{ where }}</b>. Click a point for its catchment, draw a
  box or a lasso to select many, and change what is shown above each figure; a selection holds on
  all pages. The address in your browser always leads back to what you see, so copy it to share
  it, and each figure can be saved: as a picture by its tools, as numbers by CSV.
  <button onclick="keep('hydronb-welcome', 'read'); html.classList.remove('first')"
    >Understood</button>
</div>
<main>{{ embed(roots.main) }}</main>
{{ embed(roots.location) }}
{% endblock %}
"""
