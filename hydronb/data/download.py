"""Fetch the published catchment data: whole archives that resume, or single basins read out of a remote zip.

An archive is downloaded to `NAME.part`, checked against its published md5, unpacked in a folder aside and
only then moved into place; `hydronb_data.json`, written last, says what a folder holds. Whatever stops on the
way, the same call again goes on from there.
"""

import errno
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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import requests
import urllib3
from remotezip import RemoteFetcher, RemoteZip, RemoteZipError
from tqdm.auto import tqdm

from hydronb.data.dataset import bare_id, choose_basins
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
        record=15529996, archive="basin_timeseries_v1p2_metForcing_obsFlow.zip",
        md5="8e9a466710e8270b58f01d332a87184f", size="3.4 GB",
        folders=("basin_mean_forcing", "usgs_streamflow"),
        attributes=("camels_clim.txt", "camels_geol.txt", "camels_hydro.txt", "camels_name.txt",
                    "camels_soil.txt", "camels_topo.txt", "camels_vege.txt"),
        doi="10.5065/D6MW2F4D", licence="CC-BY-4.0"),
    "caravan": Source(
        record=15529786, archive="Caravan-nc.tar.gz", md5="ad3a7767db059f218380e9cce5f72452", size="24.8 GB",
        folders=("timeseries", "attributes"), attributes=(),
        doi="10.5281/zenodo.6522634", licence="CC-BY-4.0"),
}
ATTRIBUTE_FOLDER = "camels_attributes_v2.0"
RECORD = "hydronb_data.json"
MIRROR = "HYDRONB_DATA_URL"
MEMBER = re.compile(r"(?:^|/)((?:basin_mean_forcing/[\w-]+|usgs_streamflow)/\d\d/(\d{8})_[\w.-]+\.txt)$")

CHUNK = 1 << 16
DIRECTORY = 2 << 20
"""Bytes asked for first, at the end of a remote zip; its table of contents may need a second request."""
TRIES = 5
PAUSE = 1.0
"""Seconds before the first new try; doubled at each that brought nothing."""
TIMEOUT = (15, 60)
"""Seconds to connect, and without a byte."""
BROKEN = (requests.RequestException, urllib3.exceptions.HTTPError, ConnectionError, TimeoutError)
NOT_A_ZIP = (zipfile.BadZipFile, RemoteZipError, zlib.error, EOFError, NotImplementedError)


class _Cut(Exception):
    """The connection ended before the file did."""


def get(name: str, dest: str | Path, *, basins: list[str] | None = None, base_url: str | None = None) -> Path:
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
        An unknown name or basin, a server that cannot be reached or sends something else, a disk that is full
        or cannot be written.
    """
    if name not in SOURCES:
        raise DataError(f"no data set {name!r} to download{nearest(name, SOURCES)}")
    source, dest = SOURCES[name], Path(dest).expanduser()
    if basins is not None and source.archive.endswith(".tar.gz"):
        raise DataError(f"{name} is one {source.size} tar.gz, which cannot be read in part; leave "
                        "--basins out and choose basins when you open it, or get camels-us with --basins")
    if dest.exists() and not dest.is_dir():
        raise DataError(f"{dest} is a file; name a folder to download {name} into")
    held = _held(name, dest, source)
    if held == "all":
        return dest
    with _session() as session:
        address = _addresses(source, base_url)
        if basins is None:
            _get_whole(source, dest, address, session)
        else:
            basins = _get_basins(source, dest, basins, address, session)
    with _writing(dest):
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
        raise DataError(f"{path} cannot be read; delete it and run the same command again") from None
    if dataset != name:
        raise DataError(f"{dest} already holds {dataset}; choose another folder for {name}")
    if held == "all" and not all((dest / folder).is_dir() for folder in source.folders):
        return []
    return held


def _write_record(name: str, source: Source, dest: Path, basins: list[str] | str) -> None:
    record = {"dataset": name, "basins": basins, "archive": source.archive, "md5": source.md5,
              "record": f"https://zenodo.org/records/{source.record}", "doi": source.doi,
              "licence": source.licence}
    _write(dest / RECORD, json.dumps(record, indent=1).encode())


def _addresses(source: Source, base_url: str | None) -> Callable[[str], str]:
    """The function from a file's name to its address."""
    mirror = base_url or os.environ.get(MIRROR)
    if not mirror:
        return lambda file: f"https://zenodo.org/records/{source.record}/files/{file}?download=1"
    if not mirror.startswith(("http://", "https://")):
        raise DataError(f"the mirror {mirror!r} ({MIRROR}) is no http:// or https:// address; an archive on "
                        f"this machine can be put into the folder as {source.archive} instead")
    return lambda file: f"{mirror.rstrip('/')}/{file}"


def _get_whole(source: Source, dest: Path, address: Callable[[str], str], session: requests.Session) -> None:
    archive = dest / source.archive
    if archive.exists():
        if complaint := _wrong_md5(archive, source.md5):
            raise DataError(f"{archive}: {complaint}; delete or move it and run the same command again")
    else:
        fetch(address(source.archive), archive, session=session, unpacks=True,
              complaint=lambda part: _wrong_md5(part, source.md5))
    _get_attributes(source, dest, address, session)
    unpack(archive, dest, source.folders)


def _get_attributes(source: Source, dest: Path, address: Callable[[str], str],
                    session: requests.Session) -> None:
    for file in source.attributes:
        if not (path := dest / ATTRIBUTE_FOLDER / file).exists():
            path.with_name(path.name + ".part").unlink(missing_ok=True)  # small, and without a checksum
            fetch(address(file), path, session=session, complaint=_not_a_table)


def _wrong_md5(path: Path, published: str) -> str | None:
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file, _bar(f"checksum of {path.name}", path.stat().st_size) as bar:
        while block := file.read(CHUNK):
            digest.update(block)
            bar.update(len(block))
    if digest.hexdigest() == published:
        return None
    return f"its md5 is {digest.hexdigest()}, the published one {published}"


def _not_a_table(path: Path) -> str | None:
    with path.open("rb") as file:
        return None if file.read(9) == b"gauge_id;" else "this is no CAMELS attribute table (gauge_id;...)"


# one file over HTTP
# ------------------

def fetch(url: str, path: Path, *, session: requests.Session, complaint: Callable[[Path], str | None],
          unpacks: bool = False) -> None:
    """Download `url` to `path`, going on where `path`.part ends, and over a connection that is cut.

    Parameters
    ----------
    complaint
        Says what is wrong with the finished file, None if nothing; a wrong file is deleted.
    unpacks
        Ask for disk space twice: it will be unpacked next to itself.

    Raises
    ------
    DataError
        The server cannot be reached, has no such file, keeps cutting the connection, or sent a wrong file.
    """
    part = path.with_name(path.name + ".part")
    idle, reached = 0, _length(part)
    while True:
        try:
            _transfer(url, part, session, unpacks)
            break
        except _Cut as cut:
            idle = 0 if _length(part) > reached else idle + 1
            if idle == TRIES or not _length(part):
                kept = (f"; {_size(_length(part))} are kept in {part}, run the same command again to go on"
                        if _length(part) else f"; check the network, or name a mirror in {MIRROR}")
                raise DataError(f"{url}: {cut}{kept}") from None
            reached = max(reached, _length(part))
            time.sleep(PAUSE * 2**idle)
    if wrong := complaint(part):
        part.unlink()
        _validator(part).unlink(missing_ok=True)
        raise DataError(f"{url}: {wrong}; what came is deleted, run the same command again or name a mirror "
                        f"in {MIRROR}")
    with _writing(path):
        part.replace(path)
        _validator(part).unlink(missing_ok=True)


def _transfer(url: str, part: Path, session: requests.Session, unpacks: bool) -> None:
    """One request for what `part` still lacks; raises `_Cut` if not all of it came."""
    have = _length(part)
    headers = {"Range": f"bytes={have}-"} if have else {}
    if have and _validator(part).exists():
        headers["If-Range"] = _validator(part).read_text()
    with _answer(url, session, headers) as response:
        start, total = _range(response)
        if response.status_code == 416:
            if total != have:  # the file there is another one now
                part.unlink()
                _transfer(url, part, session, unpacks)
            return
        if start not in (0, have):
            raise DataError(f"{url} answered with another part of the file than asked for; name a mirror in "
                            f"{MIRROR}")
        _require_room(part.parent, max((total or 0) - start, 0), (total or 0) if unpacks else 0)
        with _writing(part):
            part.parent.mkdir(parents=True, exist_ok=True)
            _remember(response, part)
            with part.open("ab" if start else "wb") as file, _bar(part.stem, total, start) as bar:
                for chunk in _chunks(response):
                    file.write(chunk)
                    bar.update(len(chunk))
    if total is not None and _length(part) != total:
        again = ", and this server starts from the beginning each time" if have and not start else ""
        raise _Cut(f"the connection was cut after {_size(_length(part))} of {_size(total)}{again}")


def _answer(url: str, session: requests.Session, headers: dict[str, str]) -> requests.Response:
    try:
        response = session.get(url, headers=headers, stream=True, timeout=TIMEOUT)
    except requests.RequestException as error:
        raise _Cut(f"no answer ({_reason(error)})") from None
    if response.ok or (response.status_code == 416 and "Range" in headers):
        return response
    response.close()
    status = f"{response.status_code} {response.reason}"
    if response.status_code in (404, 410):
        raise DataError(f"{url}: {status}; the address may have changed, see docs/data.md and name one in "
                        f"{MIRROR}")
    if response.status_code == 429 or response.status_code >= 500:
        raise DataError(f"{url}: {status}; the server is busy, run the same command again later")
    raise DataError(f"{url}: {status}; name another mirror in {MIRROR}")


def _chunks(response: requests.Response) -> Iterator[bytes]:
    """The body as sent; ends early where the connection does."""
    try:
        yield from response.raw.stream(CHUNK, decode_content=False)
    except BROKEN:
        return


def _range(response: requests.Response) -> tuple[int, int | None]:
    """First byte that the answer holds, and the length of the whole file where it is said."""
    if found := re.match(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", response.headers.get("Content-Range", "")):
        return int(found[1] or 0), int(found[2]) if found[2] != "*" else None
    length = response.headers.get("Content-Length")
    return 0, int(length) if length and response.status_code == 200 else None


def _validator(part: Path) -> Path:
    return part.with_name(part.name + ".etag")


def _remember(response: requests.Response, part: Path) -> None:
    """Keep what names this version of the file (a strong ETag, else its date) for If-Range."""
    tag = response.headers.get("ETag", "")
    tag = tag if tag.startswith('"') else response.headers.get("Last-Modified")
    if tag:
        _validator(part).write_text(tag)
    else:
        _validator(part).unlink(missing_ok=True)


def _session() -> requests.Session:
    session = requests.Session()
    busy = urllib3.Retry(total=None, connect=0, read=0, other=0, status=4, backoff_factor=PAUSE,
                         status_forcelist=[429, 502, 503, 504], raise_on_status=False)
    for scheme in ("http://", "https://"):
        session.mount(scheme, requests.adapters.HTTPAdapter(max_retries=busy))
    session.headers.update({"User-Agent": "hydronb", "Accept-Encoding": "identity"})
    return session


# single basins out of a remote zip
# ---------------------------------

def _get_basins(source: Source, dest: Path, basins: list[str], address: Callable[[str], str],
                session: requests.Session) -> list[str]:
    archive = RemoteArchive(address(source.archive), session)
    try:
        members = _members(archive.zip, archive.url)
        chosen = choose_basins(sorted({basin for basin, _ in members.values()}), [bare_id(b) for b in basins],
                               where=source.archive)
        missing = {b: {target: info for target, (basin, info) in members.items()
                       if basin == b and not _same(dest / target, info)} for b in chosen}
        size = sum(info.file_size for files in missing.values() for info in files.values())
        _require_room(dest, size)
        with _bar(f"{len(chosen)} basins", size) as bar:
            for files in missing.values():
                contents = {}
                for target, info in files.items():
                    contents[target] = archive.read(info)
                    bar.update(info.file_size)
                for target, content in contents.items():
                    with _writing(dest):
                        _write(dest / target, content)
    finally:
        archive.close()
    _get_attributes(source, dest, address, session)
    return chosen


class _SizedFetcher(RemoteFetcher):
    """remotezip's fetcher, told the archive's size: no HEAD and no suffix range, which some servers lack."""

    def __init__(self, url: str, session: requests.Session, support_suffix_range: bool, size: int, **kwargs):
        super().__init__(url, session, support_suffix_range, **kwargs)
        self._size = size

    def get_file_size(self) -> int:
        return self._size


class RemoteArchive:
    """A zip on a server that answers range requests, opened anew when the connection is cut.

    Raises
    ------
    DataError
        No such file, a server without range requests, or something that is no zip.
    """

    def __init__(self, url: str, session: requests.Session):
        self.url, self._session = url, session
        self._size = self._probe()
        self.zip = self._open()

    def read(self, info: zipfile.ZipInfo) -> bytes:
        """The content of one member, its CRC checked."""
        for attempt in range(TRIES):
            try:
                return self.zip.read(info)
            except (*BROKEN, *NOT_A_ZIP) as error:
                reason = _reason(error)
                time.sleep(PAUSE * 2**attempt)
                self.zip.close()
                self.zip = self._open()
        raise DataError(f"{self.url}: {info.filename} did not come whole in {TRIES} tries ({reason}); run "
                        "the same command again, or leave --basins out to get all of it")

    def close(self) -> None:
        self.zip.close()

    def _probe(self) -> int:
        try:
            with _answer(self.url, self._session, {"Range": "bytes=0-0"}) as response:
                size = _range(response)[1]
                if response.status_code == 206 and size is not None:
                    return size
        except _Cut as cut:
            raise DataError(f"{self.url}: {cut}; check the network, or name a mirror in {MIRROR}") from None
        raise DataError(f"{self.url}: this server cannot send part of a file, so single basins cannot be had "
                        f"from it; leave --basins out to get all of it, or name another mirror in {MIRROR}")

    def _open(self) -> RemoteZip:
        try:
            return RemoteZip(self.url, session=self._session, fetcher=_SizedFetcher, size=self._size,
                             support_suffix_range=False, initial_buffer_size=DIRECTORY, timeout=TIMEOUT)
        except (*BROKEN, *NOT_A_ZIP) as error:
            raise DataError(f"{self.url}: no zip archive can be read there ({_reason(error)}); run the same "
                            f"command again, or name another mirror in {MIRROR}") from None


def _members(archive: zipfile.ZipFile, where: str | Path) -> dict[str, tuple[str, zipfile.ZipInfo]]:
    """Forcing and streamflow files of all basins: path below the user's folder -> (basin, member).

    Raises
    ------
    DataError
        A member that points outside the folder, or no such file at all.
    """
    members = {}
    for info in archive.infolist():
        path = PurePosixPath(info.filename.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or ":" in str(path):
            raise DataError(f"{where}: the member {info.filename!r} points outside the folder, so this is "
                            "not the published archive; nothing was unpacked, get it from another address")
        if found := MEMBER.search(str(path)):
            members[found[1]] = (found[2], info)
    if not members:
        raise DataError(f"{where} holds no basin_mean_forcing/ or usgs_streamflow/ files, so it is not the "
                        "published archive; get it from another address")
    return members


def _same(path: Path, info: zipfile.ZipInfo) -> bool:
    return (path.is_file() and path.stat().st_size == info.file_size
            and zlib.crc32(path.read_bytes()) == info.CRC)


# unpacking
# ---------

def unpack(archive: Path, dest: Path, folders: tuple[str, ...]) -> None:
    """Unpack into a folder aside, then move what is in it into `dest`, without the archive's own top folder.

    Raises
    ------
    DataError
        An archive that is damaged, holds a member that points outside, or lacks `folders`; a full disk.
    """
    aside = dest / "unpacking.partial"
    with _writing(aside):
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir()
    try:
        if archive.suffix == ".zip":
            _unzip(archive, aside)
        else:
            _untar(archive, aside)
        tops = [aside, *(p for p in aside.iterdir() if p.is_dir())]
        top = next((t for t in tops if all((t / folder).is_dir() for folder in folders)), None)
        if top is None:
            raise DataError(f"{archive} holds no {'/ and '.join(folders)}/, so it is not the published "
                            "archive; delete it and run the same command again")
        with _writing(dest):
            _move(top, dest)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _unzip(archive: Path, aside: Path) -> None:
    try:
        with zipfile.ZipFile(archive) as opened:
            members = _members(opened, archive)
            size = sum(info.file_size for _, info in members.values())
            _require_room(aside, 0, size)
            with _writing(aside), _bar(f"unpacking {archive.name}", size) as bar:
                for target, (_, info) in members.items():
                    (aside / target).parent.mkdir(parents=True, exist_ok=True)
                    with opened.open(info) as content, (aside / target).open("wb") as file:
                        shutil.copyfileobj(content, file, CHUNK)
                    bar.update(info.file_size)
    except NOT_A_ZIP as error:
        raise _damaged(archive, error) from None


def _untar(archive: Path, aside: Path) -> None:
    size = archive.stat().st_size
    _require_room(aside, 0, size)
    with _writing(aside), _bar(f"unpacking {archive.name}", size) as bar, archive.open("rb") as file:
        try:
            with tarfile.open(fileobj=file, mode="r:gz") as opened:
                for member in opened:
                    opened.extract(member, aside, filter="data")
                    bar.update(file.tell() - bar.n)
        except tarfile.FilterError as error:
            raise DataError(f"{archive}: {_reason(error)}, so this is not the published archive; nothing was "
                            "unpacked, get it from another address") from None
        except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError) as error:
            raise _damaged(archive, error) from None


def _damaged(archive: Path, error: Exception) -> DataError:
    return DataError(f"{archive} is damaged ({_reason(error)}); delete it and run the same command again")


def _move(source: Path, dest: Path) -> None:
    """Move what `source` holds into `dest`; a folder that is there already keeps its other files."""
    for path in source.iterdir():
        target = dest / path.name
        if path.is_dir() and target.is_dir():
            _move(path, target)
        else:
            path.replace(target)


# disk and screen
# ---------------

def _require_room(folder: Path, needed: int, unpacked: int = 0) -> None:
    there = next(p for p in (folder, *folder.absolute().parents) if p.exists())
    free = shutil.disk_usage(there).free
    if free < needed + unpacked:
        wants = [f"{_size(needed)} to download"] * bool(needed)
        wants += [f"about {_size(unpacked)} to unpack"] * bool(unpacked)
        raise DataError(f"{folder} has {_size(free)} free and needs {' and '.join(wants)}; free some space "
                        "or choose another folder")


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Turn the operating system's refusal to write below `path` into one line."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DataError(f"the disk is full at {path}; free some space and run the same command again, it "
                            "goes on from here") from None
        raise DataError(f"{error.filename or path} cannot be written ({error.strerror}); "
                        "choose another folder") from None


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_bytes(content)
    part.replace(path)


def _bar(text: str, total: int | None, initial: int = 0) -> tqdm:
    leave = total is None or total > 1_000_000  # the bars of the attribute tables go when done
    return tqdm(desc=text, total=total, initial=initial, unit="B", unit_scale=True, miniters=1, leave=leave)


def _length(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _size(n: int) -> str:
    """Decimal, as the archives' pages have it.

    >>> _size(3_400_000_000), _size(24_800), _size(12)
    ('3.4 GB', '24.8 kB', '12 B')
    """
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if n >= scale:
            return f"{n / scale:.1f} {unit}"
    return f"{n} B"


def _reason(error: Exception) -> str:
    """The innermost plain words of a network or archive error."""
    while isinstance(inner := getattr(error, "reason", None) or next(iter(error.args), None), Exception):
        error = inner
    text = (str(error).strip() or type(error).__name__).splitlines()[0]
    return re.sub(r"^HTTPS?Connection\w*\(.*?\): |^.*\[Errno -?\d+\] ", "", text)[:100].rstrip(" .)")
