"""What a folder or file of catchment data holds, and what is wrong with it: `hydronb data check
PATH`.

Opening stops at the first problem; a report goes through every file and lists them all. Both run
the same readings (`hydronb.data.problems`), so that what a report passes can be opened.
"""

from pathlib import Path

from hydronb.data.problems import Report
from hydronb.errors import DataError
from hydronb.files import reading
from hydronb.vocabulary import SOURCES


def report(path: str | Path) -> Report:
    """What `path` holds, as lines, and every problem, with its file and what to do.

    Parameters
    ----------
    path
        Folder of a source, such as Caravan, CAMELS-US or attribute tables; a NetCDF or Zarr
        dataset in the convention, or a folder of such.

    Raises
    ------
    DataError
        No such path, or nothing in it that a source recognises; names what was looked for.
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise DataError(f"no such file or folder: {path}")
    contents = Report()
    modules = [source.module() for source in SOURCES.values() if source.needs_path]
    with reading(path, "catchment data"):
        parts = [(module, path) for module in modules if module.recognises(path)]
        if not parts and path.is_dir():
            parts = [
                (module, part)
                for part in sorted(path.iterdir())
                for module in modules
                if module.recognises(part)
            ]
        for module, part in parts:
            module.describe(part, contents)
    if not parts:
        raise DataError(
            f"{path} holds nothing known; looked for"
            f" {', '.join(module.LAYOUT for module in modules)}"
        )
    return contents.close()
