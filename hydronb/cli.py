"""The `hydronb` command. Every subcommand imports what it needs when it is called."""

import errno
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hydronb.errors import HydronbError

if TYPE_CHECKING:
    from hydronb.runs.plan import Plan
    from hydronb.runs.schedule import Outcome

STOPPED = 130

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
        sys.exit(_error(str(error)))
    except OSError as error:
        from hydronb.runs.schedule import cannot_write

        if error.errno == errno.ENAMETOOLONG:
            sys.exit(_error(f"{str(error.filename)[:60]}...: {error.strerror}"))
        sys.exit(_error(cannot_write(error, Path.cwd())))


def _error(message: str) -> int:
    print(f"error: {message}", file=sys.stderr)
    return 1


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
    from hydronb.parameters import resolve
    from hydronb.runs.plan import read_plan
    from hydronb.runs.schedule import run_plan

    chosen = read_plan(plan)
    if only:
        chosen = chosen.only(only)
    folder = resolve(outputs)
    if dry_run:
        print("\n".join(_dry(chosen, folder, redo_stale)))
        return
    try:
        outcomes = run_plan(chosen, folder, jobs=jobs, redo_stale=redo_stale)
    except KeyboardInterrupt:
        print(
            f"\nstopped; what was written so far is kept, and `hydronb run {plan}` goes on from"
            " there",
            file=sys.stderr,
        )
        raise typer.Exit(STOPPED) from None
    _report(chosen, outcomes, folder, redo_stale)


def _dry(plan: "Plan", outputs: Path, redo_stale: bool) -> list[str]:
    from hydronb.runs.schedule import directory, state_of_run, to_redo
    from hydronb.runs.status import short_path, text_table

    redo = to_redo(plan, outputs) if redo_stale else {}
    rows, todo = [], 0
    for r in plan.runs:
        state, _ = state_of_run(outputs, plan.name, r)
        runs = state not in ("complete", "stale") or r.id in redo
        todo += runs
        rows.append(
            [
                r.id,
                r.notebook.name,
                state,
                "would run" if runs else "skipped",
                _counted([n.entry for n in r.needs]),
                short_path(directory(outputs, plan.name, r).path),
            ]
        )
    return [
        *text_table(["run", "notebook", "state", "now", "needs", "where"], rows),
        "",
        f"{todo} of {len(plan.runs)} runs would run; nothing was started or written",
    ]


def _counted(names: Sequence[str]) -> str:
    """`train (6), catchments`."""
    numbers = {name: names.count(name) for name in names}
    return ", ".join(f"{name} ({n})" if n > 1 else name for name, n in numbers.items())


def _report(plan: "Plan", outcomes: "list[Outcome]", outputs: Path, redo_stale: bool) -> None:
    from hydronb.runs.schedule import to_redo
    from hydronb.runs.status import made_and_next, of_outcomes, short_path

    where = outputs / plan.name
    old = {} if redo_stale else to_redo(plan, outputs)
    if all(o.state == "complete" for o in outcomes):
        print(
            f"nothing to do: all {len(outcomes)} runs of {plan.name} are complete in"
            f" {short_path(where)}"
        )
    else:
        print("\n".join(["", *of_outcomes(outcomes), ""]))
    if old:
        first, why = next(iter(old.items()))
        print(f"{len(old)} of them stale ({first}: {why}); --redo-stale runs them again")
    if not all(o.good for o in outcomes):
        bad = sum(not o.good for o in outcomes)
        print(
            f"error: {bad} of {len(outcomes)} runs not complete, for the reasons above; the same"
            " command runs only these",
            file=sys.stderr,
        )
        raise typer.Exit(1)
    print("\n".join(made_and_next(outcomes, where)))


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
    from hydronb.parameters import resolve
    from hydronb.runs.plan import read_plan
    from hydronb.runs.status import of_outputs, of_plan

    if target.suffix in (".yaml", ".yml"):
        print("\n".join(of_plan(read_plan(target), resolve(outputs))))
    else:
        print("\n".join(of_outputs(resolve(target))))


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
    from hydronb.parameters import resolve

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
    from hydronb.parameters import resolve

    found = report(resolve(path))
    print("\n".join(found))
    if found.problems:
        raise typer.Exit(1)


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
        raise typer.Exit(STOPPED) from None


@data_app.command("get")
def data_get(
    name: Annotated[str, typer.Argument(help="caravan or camels-us.")],
    dest: Annotated[Path, typer.Argument(help="Folder to download to.")],
    basins: Annotated[
        str | None,
        typer.Option(
            "--basins",
            help="CAMELS-US: only these: ids with commas between, or a text file, one a line.",
        ),
    ] = None,
) -> None:
    """Download a data set, with progress; an interrupted download goes on."""
    from hydronb.data.dataset import read_basin_list
    from hydronb.data.download import get
    from hydronb.parameters import resolve

    chosen = None
    if basins is not None:
        chosen = (
            read_basin_list(basins)
            if Path(basins).is_file()
            else [b.strip() for b in basins.split(",")]
        )
    try:
        folder = get(name, resolve(dest), basins=chosen)
        kind = "kind: caravan" if name == "caravan" else "kind: camels_us, forcing: daymet"
        print(f"{folder} is ready; in a plan: data: {{{kind}, path: {folder}}}")
    except KeyboardInterrupt:
        print("\nstopped; the same command goes on from there", file=sys.stderr)
        raise typer.Exit(STOPPED) from None
