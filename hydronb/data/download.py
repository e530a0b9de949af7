"""Download a published data set: where each lies, how to know that it arrived whole, and what a
folder holds of it already.

An archive is fetched over HTTP and resumed where it was interrupted, checked against its published
md5 and unpacked; or single basins are read out of the remote zip by range requests.
`hydronb_data.json`, written last, says what the folder holds. Whatever stops a download, the same
call continues it.
"""

import gzip
import hashlib
import json
import os
import re
import shutil
import tarfile
import time
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import requests
import urllib3
from remotezip import RemoteZip, RemoteZipError
from tqdm.auto import tqdm

from hydronb.data.dataset import bare_id, choose_basins
from hydronb.errors import DataError, nearest
from hydronb.files import first_line, reading, write, writing


class Publication(NamedTuple):
    """What is published, where, and how to know that it arrived whole."""

    record: int
    """Number of the Zenodo record."""
    archive: str
    md5: str
    folders: tuple[str, ...]
    """What unpacking leaves in the user's folder, without the archive's own top folder."""
    attributes: tuple[str, ...]
    """Attribute tables that are published beside the archive."""
    doi: str
    licence: str


PUBLICATIONS = {
    "camels-us": Publication(
        record=15529996,
        archive="basin_timeseries_v1p2_metForcing_obsFlow.zip",
        md5="8e9a466710e8270b58f01d332a87184f",
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
    "caravan": Publication(
        record=15529786,
        archive="Caravan-nc.tar.gz",
        md5="ad3a7767db059f218380e9cce5f72452",
        folders=("timeseries", "attributes"),
        attributes=(),
        doi="10.5281/zenodo.6522634",
        licence="CC-BY-4.0",
    ),
}
ATTRIBUTE_FOLDER = "camels_attributes_v2.0"
RECORD = "hydronb_data.json"
ZENODO = "https://zenodo.org/records"
MIRROR = "HYDRONB_DATA_URL"
"""The environment variable that names a mirror."""

MEMBER = re.compile(
    r"(?:^|/)((?:basin_mean_forcing/[\w-]+|usgs_streamflow)/\d\d/(\d{8})_[\w.-]+\.txt)$"
)
"""A basin's file in the archive of CAMELS-US: its path in the user's folder, never outside, and the
basin. Nothing else is unpacked."""
TRIES = 4
"""In a row, that bring nothing new, before a broken connection is given up."""
PAUSE = 1.0
"""Seconds before the next try; doubled after each that brings nothing."""
TIMEOUT = (15, 60)
"""Seconds to connect, and without a byte."""
BROKEN = (
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    RemoteZipError,
)
"""What a connection that breaks can raise."""
DAMAGED = (
    zipfile.BadZipFile,
    tarfile.TarError,
    gzip.BadGzipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
)
"""What an archive can raise that is not the published one."""


def get(
    name: str, dest: str | Path, *, basins: list[str] | None = None, base_url: str | None = None
) -> Path:
    """Download a published data set into `dest`, ready for `open_camels_us` or `open_caravan`.

    Parameters
    ----------
    name
        `camels-us` (Newman et al. 2015; Addor et al. 2017) or `caravan` (Kratzert et al. 2023).
    dest
        Folder for it; created where missing. An archive that is in it already is used.
    basins
        camels-us: only these basins, read out of the remote archive by range requests.
    base_url
        A mirror that holds the files under their published names; by default the environment
        variable `HYDRONB_DATA_URL`, else Zenodo.

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
    if name not in PUBLICATIONS:
        raise DataError(f"no data set {name!r} to download{nearest(name, PUBLICATIONS)}")
    published, dest = PUBLICATIONS[name], Path(dest).expanduser()
    if basins is not None and published.archive.endswith(".tar.gz"):
        raise DataError(
            f"{name} is one tar.gz, which cannot be read in part; leave --basins out and choose "
            "basins when you open it, or get camels-us with --basins"
        )
    base = base_url or os.environ.get(MIRROR) or f"{ZENODO}/{published.record}/files"
    if not base.startswith(("http://", "https://")):
        raise DataError(
            f"the mirror {base!r} ({MIRROR}) is no http:// or https:// address; an archive on this "
            f"machine can be put into the folder as {published.archive} instead"
        )
    held = _held_basins(name, dest)
    if held == "all":
        return dest
    archive, url = dest / published.archive, f"{base.rstrip('/')}/{published.archive}"
    with writing(dest), _open_session() as session:
        try:
            if basins is None:
                _get_archive(url, archive, published.md5, session)
                _unpack(archive, dest, published.folders)
            else:
                held = sorted({*held, *_get_basins(url, dest, basins, session)})
        except DAMAGED as error:
            raise DataError(
                f"{archive if basins is None else url} is damaged or not the published archive "
                f"({first_line(error)}); {'delete it and ' if basins is None else ''}run the same "
                f"command again, or name another mirror in {MIRROR}"
            ) from None
        for table in published.attributes:
            _get_attributes(f"{base.rstrip('/')}/{table}", dest / ATTRIBUTE_FOLDER / table, session)
        write(
            dest / RECORD,
            json.dumps(
                {
                    "dataset": name,
                    "basins": "all" if basins is None else held,
                    "archive": published.archive,
                    "md5": published.md5,
                    "record": f"{ZENODO}/{published.record}",
                    "doi": published.doi,
                    "licence": published.licence,
                },
                indent=1,
            ),
        )
    return dest


def _held_basins(name: str, dest: Path) -> list[str] | str:
    """What an earlier call left in `dest`: `all`, or the basins."""
    path = dest / RECORD
    if not path.exists():
        return []
    with reading(path, "JSON", hint="delete it and run the same command again"):
        record = json.loads(path.read_text(encoding="utf-8"))
        dataset, held = record["dataset"], record["basins"]
    if dataset != name:
        raise DataError(f"{dest} already holds {dataset}; choose another folder for {name}")
    gone = held == "all" and not all((dest / f).is_dir() for f in PUBLICATIONS[name].folders)
    return [] if gone else held


# from a server
# -------------


def _open_session() -> requests.Session:
    """A session that asks a busy server again and raises any other refusal in one line."""
    session = requests.Session()
    session.headers.update({"User-Agent": "hydronb", "Accept-Encoding": "identity"})
    session.hooks["response"].append(_refuse)
    for adapter in session.adapters.values():
        adapter.max_retries = urllib3.Retry(
            total=None,
            connect=0,
            read=0,
            other=0,
            status=4,
            backoff_factor=PAUSE,
            status_forcelist=[429, 502, 503, 504],
            raise_on_status=False,
        )
    return session


def _refuse(response: requests.Response, **_: Any) -> None:
    """Raise the reason for an unexpected response; 416, nothing behind the end of a
    file, is no error."""
    status, part = response.status_code, response.request.headers.get("Range", "")
    if status == 200 and part.startswith("bytes=-"):
        remedy = (
            "this server cannot send part of a file, so single basins cannot be read from it;"
            f" leave --basins out to get all of it, or name another mirror in {MIRROR}"
        )
    elif status < 400 or status == 416:
        return
    else:
        remedy = (
            "the server is busy, run the same command again later"
            if status == 429 or status >= 500
            else f"the address may have changed, see docs/data.md and name one in {MIRROR}"
        )
    response.close()
    raise DataError(f"{response.url}: {status} {response.reason}; {remedy}")


def _persist(url: str, attempt: Callable[[], Any], reached: Callable[[], int]) -> Any:
    """What `attempt` returns; it is called again when the connection breaks, until `TRIES` in a row
    have not raised what `reached` counts."""
    idle = 0
    while True:
        before = reached()
        try:
            return attempt()
        except BROKEN as error:
            idle = 0 if reached() > before else idle + 1
            if idle == TRIES:
                words = re.search(r"(?:\[Errno -?\d+\] |^\(')([^'\")]+)", str(error))
                raise DataError(
                    f"{url}: the connection failed ({words[1] if words else first_line(error)}); "
                    f"check the network, or name a mirror in {MIRROR}; the same command continues "
                    "from here"
                ) from None
            time.sleep(PAUSE * 2**idle)


def _get_archive(url: str, archive: Path, md5: str, session: requests.Session) -> None:
    """Fetch the archive, unless it is there, and check it."""
    if archive.exists():
        if wrong := _wrong_md5(archive, md5):
            raise DataError(f"{archive}: {wrong}; delete or move it and run the same command again")
        return
    part = archive.with_name(archive.name + ".part")
    _persist(url, lambda: _fetch(url, part, session), lambda: _length(part))
    if wrong := _wrong_md5(part, md5):
        part.unlink()
        raise DataError(
            f"{url}: {wrong}; what came is deleted, run the same command again or name a mirror in "
            f"{MIRROR}"
        )
    part.replace(archive)


def _fetch(url: str, part: Path, session: requests.Session) -> None:
    """One request for what `part` still lacks, or for all of it where the server cannot resume."""
    start = _length(part)
    with session.get(
        url, headers={"Range": f"bytes={start}-"}, stream=True, timeout=TIMEOUT
    ) as response:
        if response.status_code == 416:
            return
        start = start if response.status_code == 206 else 0
        part.parent.mkdir(parents=True, exist_ok=True)
        with (
            part.open("ab" if start else "wb") as file,
            tqdm.wrapattr(
                file,
                "write",
                total=start + int(response.headers.get("Content-Length", 0)),
                initial=start,
                desc=part.stem,
            ) as shown,
        ):
            shutil.copyfileobj(response.raw, shown)


def _length(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _wrong_md5(path: Path, published: str) -> str:
    """What is wrong with a file's md5; empty if it is the published one."""
    digest = hashlib.md5(usedforsecurity=False)
    with (
        path.open("rb") as file,
        tqdm.wrapattr(file, "read", _length(path), desc=f"checksum of {path.name}") as shown,
    ):
        while block := shown.read(1 << 20):
            digest.update(block)
    md5 = digest.hexdigest()
    return "" if md5 == published else f"its md5 is {md5}, the published one {published}"


def _get_attributes(url: str, path: Path, session: requests.Session) -> None:
    """A table of attributes, unless it is there; small, and published without a checksum."""
    if path.exists():
        return
    content = _persist(url, lambda: session.get(url, timeout=TIMEOUT).content, lambda: 0)
    if not content.startswith(b"gauge_id;"):
        raise DataError(
            f"{url}: this is no CAMELS attribute table (gauge_id;...); run the same command again "
            f"or name another mirror in {MIRROR}"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    write(path, content)


def _get_basins(url: str, dest: Path, basins: list[str], session: requests.Session) -> list[str]:
    """The ids of `basins`, whose files are then in `dest`: all files of a basin, or none."""

    def read() -> list[str]:
        with RemoteZip(url, session=session, timeout=TIMEOUT) as archive:
            files = _basin_files(archive)
            chosen = choose_basins(
                sorted({basin for basin, _, _ in files}), map(bare_id, basins), where=url
            )
            progress.total = len(chosen)
            for basin in chosen[progress.n :]:
                contents = {
                    dest / target: archive.read(info)
                    for of_basin, target, info in files
                    if of_basin == basin
                    and not (
                        _length(dest / target) == info.file_size
                        and zlib.crc32((dest / target).read_bytes()) == info.CRC
                    )
                }
                for path, content in contents.items():
                    path.parent.mkdir(parents=True, exist_ok=True)
                    write(path, content)
                progress.update()
        return chosen

    with tqdm(desc="basins", unit="basin") as progress:
        return _persist(url, read, lambda: progress.n)


def _basin_files(archive: zipfile.ZipFile) -> list[tuple[str, str, zipfile.ZipInfo]]:
    """Forcing and streamflow files: basin, path in the user's folder, member."""
    return [
        (name[2], name[1], info)
        for info in archive.infolist()
        if (name := MEMBER.search(info.filename))
    ]


# unpacking
# ---------


def _unpack(archive: Path, dest: Path, folders: tuple[str, ...]) -> None:
    """Unpack into a temporary folder, then move all of it into `dest`, without the archive's own
    top folder; other files in `dest` stay."""
    aside = dest / "unpacking.partial"
    shutil.rmtree(aside, ignore_errors=True)
    try:
        (_unzip if archive.suffix == ".zip" else _untar)(archive, aside)
        tops = [
            top
            for top in (aside, *aside.glob("*"))
            if all((top / folder).is_dir() for folder in folders)
        ]
        if not tops:
            raise DataError(
                f"{archive} holds no {'/ and '.join(folders)}/, so it is not the published "
                "archive; delete it and run the same command again"
            )
        for path in [path for path in tops[0].rglob("*") if path.is_file()]:
            target = dest / path.relative_to(tops[0])
            target.parent.mkdir(parents=True, exist_ok=True)
            path.replace(target)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _unzip(archive: Path, aside: Path) -> None:
    with zipfile.ZipFile(archive) as opened:
        for _, _, info in tqdm(_basin_files(opened), f"unpacking {archive.name}", unit="file"):
            opened.extract(info, aside)


def _untar(archive: Path, aside: Path) -> None:
    with (
        archive.open("rb") as file,
        tqdm.wrapattr(file, "read", _length(archive), desc=f"unpacking {archive.name}") as shown,
        tarfile.open(fileobj=shown, mode="r:gz") as opened,
    ):
        opened.extractall(aside, filter="data")
