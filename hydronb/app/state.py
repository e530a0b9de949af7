"""What a visitor looks at: page, runs, catchment, colours. Without Panel; a link is its text."""

from urllib.parse import parse_qsl, urlencode

import param

from hydronb.errors import nearest

LONGEST = 8000
"""Characters of a link that are read."""


class State(param.Parameterized):
    """One visitor's choices. An empty text means: the page chooses."""

    page = param.String("", doc="Name of the page, from `hydronb.app.shell.PAGES`.")
    basin = param.String("", doc="The catchment that was clicked.")
    runs = param.List(
        [], item_type=str, doc="Trained runs that are compared, by their folders' names."
    )
    metric = param.String("nse")
    across = param.String("", doc="Run on the x axis of the scatter.")
    up = param.String("", doc="Run on its y axis.")
    table = param.String("", doc="Folder of the benchmark whose tables are shown.")
    embedding = param.String("", doc="Folder of the similarity analysis.")
    seed = param.String("", doc="Seed of the embedding that is shown.")
    space = param.String("embedding", doc="What clusters are made of: embedding or attributes.")
    k = param.Integer(5, bounds=(2, 99), doc="Number of clusters.")
    colour = param.String("cluster", doc="What points are coloured by.")
    look = param.String("silhouettes", doc="Which figure stands below the two planes.")
    model = param.String("", doc="Folder of the delta-HBV whose inside is shown.")
    other = param.String("", doc="Folder of the one beside it.")
    since = param.Integer(
        0, bounds=(0, 9999), doc="First year of the time axis; 0: that of the data."
    )
    years = param.Integer(3, bounds=(1, 100), doc="Years on the time axis.")
    parameter = param.String("", doc="Parameter on the map.")
    probes = param.String("", doc="Folder of the probes.")
    layer = param.String("cells", doc="What is probed: cells, features, ...")
    score = param.String("nse", doc="Of a probe: nse or r.")
    split = param.String("test", doc="On which days a probe is scored.")
    series = param.String("", doc="File of a probed series.")
    run = param.String("", doc="Folder whose parameters and loss curve are shown.")
    selection = param.List(
        [], item_type=str, doc="Catchments in the box or lasso; not part of a link."
    )

    def query(self) -> str:
        """What differs from the defaults, as the part of a link after `?`."""
        return urlencode(
            {
                n: ",".join(v) if isinstance(v, list) else v
                for n in self.linked()
                if (v := getattr(self, n)) != self.param[n].default
            }
        )

    def read(self, query: str) -> list[str]:
        """Take what a link says; return a line for each part that is not valid, and leave
        that as it was."""
        problems, taken = [], {}
        for name, text in parse_qsl(query.lstrip("?")[:LONGEST]):
            try:
                taken[name] = self._value(name, text)
            except ValueError as error:
                problems.append(f"the link's {error}")
        self.param.update(**taken)
        return problems

    def linked(self) -> list[str]:
        """Names of what is part of a link."""
        return [n for n in self.param if n not in ("name", "selection")]

    def _value(self, name: str, text: str) -> object:
        if name not in self.linked():
            raise ValueError(
                f"{abbreviated(name)!r} is not part of a link{nearest(name, self.linked())}"
            )
        kind = self.param[name]
        if isinstance(kind, param.Integer):
            low, high = kind.bounds
            digits = text.isascii() and text.isdigit() and len(text) < 9
            if not (digits and low <= int(text) <= high):
                raise ValueError(
                    f"{name}={abbreviated(text)!r}: give a whole number from {low} to {high}"
                )
            return int(text)
        return [p for p in text.split(",") if p] if isinstance(kind, param.List) else text


def abbreviated(text: str) -> str:
    """At most 40 characters of a text."""
    return text if len(text) <= 40 else text[:37] + "..."
