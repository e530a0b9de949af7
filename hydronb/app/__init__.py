"""The app: pages that show what runs have made. `hydronb app OUTPUTS` serves it, `page` puts one in
a notebook."""

from pathlib import Path
from typing import Any

from hydronb.errors import ParameterError, nearest


def page(name: str, outputs: str | Path = "outputs", **state: Any) -> Any:
    """One page, as a cell of a notebook in JupyterLab.

    Parameters
    ----------
    name
        similarity, dynamics, benchmarks, probes or runs.
    outputs
        Folder of run directories.
    state
        What is shown first, as in a link: `k=6, colour="aridity"`.

    Raises
    ------
    ParameterError
        No such page, or an unknown name or value in `state`.
    """
    from urllib.parse import urlencode

    import panel as pn

    from hydronb.app.shell import CSS, PAGES, App, Outputs
    from hydronb.parameters import resolve

    if name not in PAGES:
        raise ParameterError(f"there is no page {name!r}{nearest(name, PAGES)}")
    pn.extension(inline=True, raw_css=[CSS])
    app = App(Outputs(resolve(outputs)), urlencode(state), only=name)
    if app.problems:
        raise ParameterError(app.problems[0])
    return app.place
