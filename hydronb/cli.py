"""The `hydronb` command. Every subcommand imports what it needs when it is called."""

import errno
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from hydronb.errors import HydronbError
from hydronb.files import resolve

app = typer.Typer(
    name="hydronb",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Deep-learning rainfall-runoff models in notebooks: run plans, see what was made.",
)
data_app = typer.Typer(
    no_args_is_help=True, help="Catchment data: check a folder, download a data set."
)
app.add_typer(data_app, name="data")

Outputs = Annotated[Path, typer.Option("--outputs", help="Folder of the run directories.")]


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point; what a user can put right is one line on stderr and exit code 1."""
    try:
        app(args=None if argv is None else list(argv))
    except HydronbError as error:
        _fail(str(error))
    except OSError as error:
        from hydronb.runs.schedule import cannot_write

        if error.errno == errno.ENAMETOOLONG:
            _fail(f"{str(error.filename)[:60]}...: {error.strerror}")
        _fail(cannot_write(error, Path.cwd()))


def _fail(message: str) -> NoReturn:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(1)


def _version(asked: bool) -> bool:
    if asked:
        import hydronb

        print(f"hydronb {hydronb.__version__}")
        raise typer.Exit
    return asked


@app.callback()
def hydronb_command(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Carries the options of `hydronb` itself."""


@app.command()
def run(
    plan: Annotated[Path, typer.Argument(help="A plan, such as params/demo.yaml.")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would run, and stop.")
    ] = False,
    jobs: Annotated[
        int | None,
        typer.Option(
            "-j", "--jobs", min=1, help="Runs at a time; by default as many as the cores allow."
        ),
    ] = None,
    outputs: Outputs = Path("outputs"),
    redo_stale: Annotated[
        bool,
        typer.Option(
            "--redo-stale",
            help="Also run again what another version of the package or notebook made.",
        ),
    ] = False,
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only",
            help="This run and what it needs; may be given again; `*` stands for anything.",
        ),
    ] = None,
) -> None:
    """Run what is missing of a plan; a run that was stopped goes on where it stopped."""
    from hydronb.runs import schedule, status
    from hydronb.runs.plan import read_plan

    chosen, folder = read_plan(plan).only(only or ["*"]), resolve(outputs)
    if dry_run:
        print("\n".join(status.of_dry_run(chosen, folder, redo_stale)))
        return
    try:
        outcomes = schedule.run_plan(chosen, folder, jobs=jobs, redo_stale=redo_stale)
    except KeyboardInterrupt:
        print(
            f"\nstopped; what was written so far is kept, and `hydronb run {plan}` goes on from"
            " there",
            file=sys.stderr,
        )
        raise  # typer ends with 130
    print("\n".join(status.of_run(chosen, outcomes, folder, redo_stale)))
    if bad := sum(not o.good for o in outcomes):
        _fail(
            f"{bad} of {len(outcomes)} runs not complete, for the reasons above; the same command"
            " runs only these"
        )


@app.command()
def train(
    run_dir: Annotated[Path, typer.Argument(help="Folder with the params.yaml of a training.")],
) -> None:
    """Train and simulate what RUN_DIR/params.yaml says, without a notebook."""
    from hydronb.training.train import train_run

    print(train_run(run_dir).median().to_string())


@app.command()
def status(
    target: Annotated[
        Path,
        typer.Argument(metavar="[PLAN or OUTPUTS]", help="A plan, or a folder of run directories."),
    ] = Path("outputs"),
    outputs: Outputs = Path("outputs"),
) -> None:
    """List runs: complete, running (and how far), failed, stale (and why)."""
    from hydronb.runs.plan import read_plan
    from hydronb.runs.status import of_outputs, of_plan

    is_plan = target.suffix in (".yaml", ".yml")
    folder = resolve(outputs if is_plan else target)
    print("\n".join(of_plan(read_plan(target), folder) if is_plan else of_outputs(folder)))


@app.command("app")
def serve_app(
    outputs: Annotated[Path, typer.Argument(help="Folder of run directories.")] = Path("outputs"),
    port: Annotated[int, typer.Option("--port", help="0 takes one that is free.")] = 5006,
    address: Annotated[
        str, typer.Option("--address", help="Any but this machine's own needs a password.")
    ] = "127.0.0.1",
    password: Annotated[
        str,
        typer.Option("--password", envvar="HYDRONB_PASSWORD", help="What visitors have to enter."),
    ] = "",
    origin: Annotated[
        list[str] | None,
        typer.Option(
            "--origin",
            help="HOST:PORT under which visitors see it, where a proxy stands before it.",
        ),
    ] = None,
    show: Annotated[bool, typer.Option("--show", help="Open it in the browser.")] = False,
) -> None:
    """Serve the app: what the models have learnt, in a browser."""
    from hydronb.app.server import serve

    serve(
        resolve(outputs),
        port=port,
        address=address,
        password=password,
        origins=origin or (),
        show=show,
    )


@data_app.command("check")
def data_check(
    path: Annotated[
        Path, typer.Argument(help="Folder of Caravan or CAMELS-US, or a NetCDF or Zarr file.")
    ],
) -> None:
    """Print what a folder holds and what is wrong with it."""
    from hydronb.data.report import report

    lines = report(resolve(path))
    print("\n".join(lines))
    sys.exit(1 if lines.problems else 0)


@data_app.command("grid")
def data_grid(
    recipe: Annotated[Path, typer.Argument(help="YAML that names the products; see docs/data.md.")],
    dest: Annotated[Path, typer.Argument(help="Zarr folder to write, such as yangtze.zarr.")],
) -> None:
    """Make one basin's gridded catchment from products such as MSWEP, ERA5 and GLEAM; what was
    stopped goes on."""
    from hydronb.data.gridding.prepare import prepare_grid, read_recipe

    try:
        folder = prepare_grid(read_recipe(recipe), dest)
        print(f"{folder} is ready; in a plan: data: {{kind: file, path: {folder}}}")
    except KeyboardInterrupt:
        print("\nstopped; the same command goes on from there", file=sys.stderr)
        raise  # typer ends with 130


@data_app.command("get")
def data_get(
    name: Annotated[str, typer.Argument(help="caravan or camels-us.")],
    dest: Annotated[Path, typer.Argument(help="Folder to download to.")],
    basins: Annotated[
        str | None,
        typer.Option(
            "--basins",
            help="CAMELS-US: only these ids, with commas between, or a text file with one id per"
            " line.",
        ),
    ] = None,
) -> None:
    """Download a data set, with progress; an interrupted download goes on."""
    from hydronb.data.dataset import read_basin_list
    from hydronb.data.download import get

    chosen = basins if basins is None else [b.strip() for b in basins.split(",")]
    if basins and Path(basins).is_file():
        chosen = read_basin_list(basins)
    try:
        folder = get(name, resolve(dest), basins=chosen)
        kind = "kind: caravan" if name == "caravan" else "kind: camels_us, forcing: daymet"
        print(f"{folder} is ready; in a plan: data: {{{kind}, path: {folder}}}")
    except KeyboardInterrupt:
        print("\nstopped; the same command goes on from there", file=sys.stderr)
        raise  # typer ends with 130
