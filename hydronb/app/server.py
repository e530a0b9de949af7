"""`hydronb app`: the pages on a local address; on any other only behind a password."""

import asyncio
import logging
import os
import secrets
import socket
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from hydronb.errors import ParameterError

LOCAL = ("127.0.0.1", "localhost", "::1")
PASSWORD = "HYDRONB_PASSWORD"
"""Environment variable with the password. Other users of the machine can see `--password`."""


def serve(
    outputs: Path,
    *,
    port: int = 5006,
    address: str = "127.0.0.1",
    password: str = "",
    origins: Sequence[str] = (),
    show: bool = False,
) -> None:
    """Serve until interrupted; port 0 takes any that is free.

    Raises
    ------
    ParameterError
        An address that other machines can reach, without a password; a port that is taken; outputs
        that are no folder.
    """
    password = password or os.environ.get(PASSWORD, "")
    check_address(address, password)

    import panel as pn

    from hydronb.app.shell import CSS, Outputs, session

    folder = Outputs(outputs)
    port = port or _free_port(address)
    warm_up()
    pn.config.raw_css.append(CSS)
    pn.config.inline = True
    safe = {"basic_auth": password, "cookie_secret": secrets.token_hex(32)} if password else {}
    try:
        server = pn.io.server.get_server(
            {"/": lambda: session(folder)},
            port=port,
            address=address,
            title="hydronb",
            websocket_origin=list(origins) or allowed(address, port),
            **safe,
        )
    except OSError as error:
        raise ParameterError(
            f"port {port} of {address} cannot be used ({error.strerror}); choose another with"
            " --port"
        ) from None
    server.start()
    server.io_loop.asyncio_loop.set_exception_handler(_report)
    logging.getLogger("bokeh.server.views.ws").setLevel(logging.ERROR)
    print(f"{outputs} is shown at http://{address}:{port} (Ctrl-C stops it)", flush=True)
    if show:
        server.show("/")
    try:
        server.run_until_shutdown()
    except KeyboardInterrupt:
        print("\nstopped")


def _report(loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
    """Report an error, unless it is that a visitor left while a part was being sent."""
    from tornado.websocket import WebSocketClosedError

    if not isinstance(context.get("exception"), WebSocketClosedError):
        loop.default_exception_handler(context)


def _free_port(address: str) -> int:
    with socket.create_server((address, 0)) as free:
        return int(free.getsockname()[1])


def check_address(address: str, password: str) -> None:
    """Raises
    ------
    ParameterError
        Without a password, whoever can reach the address could read the outputs.
    """
    if address not in LOCAL and not password:
        raise ParameterError(
            f"{address} can be reached from other machines, so it needs a password: set {PASSWORD},"
            " or leave out --address"
        )


def allowed(address: str, port: int) -> list[str]:
    """Hosts whose pages may open a connection: this machine, by the names it is reached by."""
    others = [] if address in LOCAL else [address, socket.gethostname(), socket.getfqdn()]
    return [f"{n}:{port}" for n in dict.fromkeys([*LOCAL[:2], *others]) if n != "0.0.0.0"]


def warm_up() -> None:
    """Load what draws figures, so that the first visitor does not wait for it."""
    import pandas as pd

    from hydronb import plots
    from hydronb.plots.style import render

    with suppress(ImportError):
        import dask.array  # noqa: F401, which xarray looks for when it first reads text
    render(plots.cdf({"": pd.Series([0.0, 1.0], name="nse")}))
