"""Get a published data set: which there are, where they lie, and what a folder holds of them
already.

An archive is checked against its published md5 and unpacked, or single basins are read out of it;
`hydronb_data.json`, written last, says what the folder holds. Whatever stops on the way, the same
call again goes on from there.
"""

import hashlib
import json
import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import requests

from hydronb.data.archives import RemoteArchive, basin_files, is_whole, unpack
from hydronb.data.dataset import bare_id, choose_basins
from hydronb.data.transfer import (
    CHUNK,
    MIRROR,
    fetch,
    open_session,
    progress_bar,
    require_room,
    write,
    writing,
)
from hydronb.errors import DataError, nearest


class Source(NamedTuple):
    """What is published, where, and how to know it arrived whole."""

    record: int
    """Number of the Zenodo record."""
    archive: str
    md5: str
    size: str
    """Of the archive, in words for messages."""
    folders: tuple[str, ...]
    """What unpacking leaves in the user's folder, without the archive's own top folder."""
    attributes: tuple[str, ...]
    """Attribute tables that are published beside the archive."""
    doi: str
    licence: str


SOURCES = {
    "camels-us": Source(
        record=15529996,
        archive="basin_timeseries_v1p2_metForcing_obsFlow.zip",
        md5="8e9a466710e8270b58f01d332a87184f",
        size="3.4 GB",
        folders=("basin_mean_forcing", "usgs_streamflow"),
        attributes=(
            "camels_clim.txt",
            "camels_geol.txt",
            "camels_hydro.txt",
            "camels_name.txt",
            "camels_soil.txt",
            "camels_topo.txt",
            "camels_vege.txt",
        ),
        doi="10.5065/D6MW2F4D",
        licence="CC-BY-4.0",
    ),
    "caravan": Source(
        record=15529786,
        archive="Caravan-nc.tar.gz",
        md5="ad3a7767db059f218380e9cce5f72452",
        size="24.8 GB",
        folders=("timeseries", "attributes"),
        attributes=(),
        doi="10.5281/zenodo.6522634",
        licence="CC-BY-4.0",
    ),
}
ATTRIBUTE_FOLDER = "camels_attributes_v2.0"
RECORD = "hydronb_data.json"


def get(
    name: str, dest: str | Path, *, basins: list[str] | None = None, base_url: str | None = None
) -> Path:
    """Download a published data set into `dest`, ready for `open_camels_us` or `open_caravan`.

    Parameters
    ----------
    name
        `camels-us` (Newman et al. 2015; Addor et al. 2017) or `caravan` (Kratzert et al. 2023).
    dest
        Folder that is to hold it; made where missing. An archive that lies there already is used.
    basins
        camels-us: only these basins, read out of the remote archive by range requests.
    base_url
        A mirror that holds the files under their published names; default the environment variable
        `HYDRONB_DATA_URL`, else Zenodo.

    Returns
    -------
    Path
        `dest`, complete.

    Raises
    ------
    DataError
        An unknown name or basin, a server that cannot be reached or sends something else, a disk
        that is full or cannot be written.
    """
    if name not in SOURCES:
        raise DataError(f"no data set {name!r} to download{nearest(name, SOURCES)}")
    source, dest = SOURCES[name], Path(dest).expanduser()
    if basins is not None and source.archive.endswith(".tar.gz"):
        raise DataError(
            f"{name} is one {source.size} tar.gz, which cannot be read in part; leave "
            "--basins out and choose basins when you open it, or get camels-us with --basins"
        )
    if dest.exists() and not dest.is_dir():
        raise DataError(f"{dest} is a file; name a folder to download {name} into")
    held = _held(name, dest, source)
    if held == "all":
        return dest
    with open_session() as session:
        address = _addresses(source, base_url)
        if basins is None:
            _get_whole(source, dest, address, session)
        else:
            basins = _get_basins(source, dest, basins, address, session)
    with writing(dest):
        _write_record(name, source, dest, "all" if basins is None else sorted({*held, *basins}))
    return dest


def _held(name: str, dest: Path, source: Source) -> list[str] | str:
    """What an earlier call left in `dest`: `all`, or the basins."""
    if not (path := dest / RECORD).exists():
        return []
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        held, dataset = record["basins"], record["dataset"]
    except (ValueError, KeyError, TypeError):
        raise DataError(
            f"{path} cannot be read; delete it and run the same command again"
        ) from None
    if dataset != name:
        raise DataError(f"{dest} already holds {dataset}; choose another folder for {name}")
    if held == "all" and not all((dest / folder).is_dir() for folder in source.folders):
        return []
    return held


def _write_record(name: str, source: Source, dest: Path, basins: list[str] | str) -> None:
    record = {
        "dataset": name,
        "basins": basins,
        "archive": source.archive,
        "md5": source.md5,
        "record": f"https://zenodo.org/records/{source.record}",
        "doi": source.doi,
        "licence": source.licence,
    }
    write(dest / RECORD, json.dumps(record, indent=1).encode())


def _addresses(source: Source, base_url: str | None) -> Callable[[str], str]:
    """The function from a file's name to its address."""
    mirror = base_url or os.environ.get(MIRROR)
    if not mirror:
        return lambda file: f"https://zenodo.org/records/{source.record}/files/{file}?download=1"
    if not mirror.startswith(("http://", "https://")):
        raise DataError(
            f"the mirror {mirror!r} ({MIRROR}) is no http:// or https:// address; an archive on "
            f"this machine can be put into the folder as {source.archive} instead"
        )
    return lambda file: f"{mirror.rstrip('/')}/{file}"


def _get_whole(
    source: Source, dest: Path, address: Callable[[str], str], session: requests.Session
) -> None:
    archive = dest / source.archive
    if archive.exists():
        if complaint := _wrong_md5(archive, source.md5):
            raise DataError(
                f"{archive}: {complaint}; delete or move it and run the same command again"
            )
    else:
        fetch(
            address(source.archive),
            archive,
            session=session,
            unpacks=True,
            complaint=lambda part: _wrong_md5(part, source.md5),
        )
    _get_attributes(source, dest, address, session)
    unpack(archive, dest, source.folders)


def _get_basins(
    source: Source,
    dest: Path,
    basins: list[str],
    address: Callable[[str], str],
    session: requests.Session,
) -> list[str]:
    with closing(RemoteArchive(address(source.archive), session)) as archive:
        members = basin_files(archive.zip, archive.url)
        chosen = choose_basins(
            sorted({basin for basin, _ in members.values()}),
            [bare_id(b) for b in basins],
            where=source.archive,
        )
        missing = {
            b: {
                target: info
                for target, (basin, info) in members.items()
                if basin == b and not is_whole(dest / target, info)
            }
            for b in chosen
        }
        size = sum(info.file_size for files in missing.values() for info in files.values())
        require_room(dest, size)
        with progress_bar(f"{len(chosen)} basins", size) as bar:
            for files in missing.values():
                contents = {}
                for target, info in files.items():
                    contents[target] = archive.read(info)
                    bar.update(info.file_size)
                for target, content in contents.items():
                    with writing(dest):
                        write(dest / target, content)
    _get_attributes(source, dest, address, session)
    return chosen


def _get_attributes(
    source: Source, dest: Path, address: Callable[[str], str], session: requests.Session
) -> None:
    for file in source.attributes:
        if not (path := dest / ATTRIBUTE_FOLDER / file).exists():
            # small, and without a checksum
            path.with_name(path.name + ".part").unlink(missing_ok=True)
            fetch(address(file), path, session=session, complaint=_not_a_table)


def _wrong_md5(path: Path, published: str) -> str | None:
    digest = hashlib.md5(usedforsecurity=False)
    with (
        path.open("rb") as file,
        progress_bar(f"checksum of {path.name}", path.stat().st_size) as bar,
    ):
        while block := file.read(CHUNK):
            digest.update(block)
            bar.update(len(block))
    if digest.hexdigest() == published:
        return None
    return f"its md5 is {digest.hexdigest()}, the published one {published}"


def _not_a_table(path: Path) -> str | None:
    with path.open("rb") as file:
        return (
            None
            if file.read(9) == b"gauge_id;"
            else "this is no CAMELS attribute table (gauge_id;...)"
        )
