"""What is inside a published archive: basins read out of a remote zip by ranges, or the whole
unpacked.

No member may point outside the folder, and a folder is moved into place only when all of it is
unpacked.
"""

import gzip
import re
import shutil
import tarfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath

import requests
from remotezip import RemoteFetcher, RemoteZip, RemoteZipError

from hydronb.data.transfer import (
    BROKEN,
    MIRROR,
    TIMEOUT,
    TRIES,
    progress_bar,
    reason_of,
    require_room,
    size_by_range,
    wait,
    writing,
)
from hydronb.errors import DataError

MEMBER = re.compile(
    r"(?:^|/)((?:basin_mean_forcing/[\w-]+|usgs_streamflow)/\d\d/(\d{8})_[\w.-]+\.txt)$"
)
DIRECTORY = 2 << 20
"""Bytes asked for first, at the end of a remote zip; its table of contents may need a second
request."""
NOT_A_ZIP = (zipfile.BadZipFile, RemoteZipError, zlib.error, EOFError, NotImplementedError)


# single basins out of a remote zip
# ---------------------------------


class _SizedFetcher(RemoteFetcher):
    """remotezip's fetcher, told the archive's size: no HEAD and no suffix range, which some servers
    lack."""

    def __init__(
        self, url: str, session: requests.Session, support_suffix_range: bool, size: int, **kwargs
    ):
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
        self._size = size_by_range(url, session)
        if self._size is None:
            raise DataError(
                f"{url}: this server cannot send part of a file, so single basins cannot be had "
                f"from it; leave --basins out to get all of it, or name another mirror in {MIRROR}"
            )
        self.zip = self._open()

    def read(self, info: zipfile.ZipInfo) -> bytes:
        """The content of one member, its CRC checked."""
        for attempt in range(TRIES):
            try:
                return self.zip.read(info)
            except (*BROKEN, *NOT_A_ZIP) as error:
                reason = reason_of(error)
                wait(attempt)
                self.zip.close()
                self.zip = self._open()
        raise DataError(
            f"{self.url}: {info.filename} did not come whole in {TRIES} tries ({reason}); run "
            "the same command again, or leave --basins out to get all of it"
        )

    def close(self) -> None:
        """Close the connection."""
        self.zip.close()

    def _open(self) -> RemoteZip:
        try:
            return RemoteZip(
                self.url,
                session=self._session,
                fetcher=_SizedFetcher,
                size=self._size,
                support_suffix_range=False,
                initial_buffer_size=DIRECTORY,
                timeout=TIMEOUT,
            )
        except (*BROKEN, *NOT_A_ZIP) as error:
            raise DataError(
                f"{self.url}: no zip archive can be read there ({reason_of(error)}); run the same "
                f"command again, or name another mirror in {MIRROR}"
            ) from None


def basin_files(
    archive: zipfile.ZipFile, where: str | Path
) -> dict[str, tuple[str, zipfile.ZipInfo]]:
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
            raise DataError(
                f"{where}: the member {info.filename!r} points outside the folder, so this is "
                "not the published archive; nothing was unpacked, get it from another address"
            )
        if found := MEMBER.search(str(path)):
            members[found[1]] = (found[2], info)
    if not members:
        raise DataError(
            f"{where} holds no basin_mean_forcing/ or usgs_streamflow/ files, so it is not the "
            "published archive; get it from another address"
        )
    return members


def is_whole(path: Path, info: zipfile.ZipInfo) -> bool:
    """Whether the file at `path` is this member, by length and CRC."""
    return (
        path.is_file()
        and path.stat().st_size == info.file_size
        and zlib.crc32(path.read_bytes()) == info.CRC
    )


# unpacking
# ---------


def unpack(archive: Path, dest: Path, folders: tuple[str, ...]) -> None:
    """Unpack into a folder aside, then move what is in it into `dest`, without the archive's own
    top folder.

    Raises
    ------
    DataError
        An archive that is damaged, holds a member that points outside, or lacks `folders`; a full
        disk.
    """
    aside = dest / "unpacking.partial"
    with writing(aside):
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
            raise DataError(
                f"{archive} holds no {'/ and '.join(folders)}/, so it is not the published "
                "archive; delete it and run the same command again"
            )
        with writing(dest):
            _move(top, dest)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _unzip(archive: Path, aside: Path) -> None:
    try:
        with zipfile.ZipFile(archive) as opened:
            members = basin_files(opened, archive)
            size = sum(info.file_size for _, info in members.values())
            require_room(aside, 0, size)
            with writing(aside), progress_bar(f"unpacking {archive.name}", size) as bar:
                for target, (_, info) in members.items():
                    (aside / target).parent.mkdir(parents=True, exist_ok=True)
                    with opened.open(info) as content, (aside / target).open("wb") as file:
                        shutil.copyfileobj(content, file)
                    bar.update(info.file_size)
    except NOT_A_ZIP as error:
        raise _damaged(archive, error) from None


def _untar(archive: Path, aside: Path) -> None:
    size = archive.stat().st_size
    require_room(aside, 0, size)
    with (
        writing(aside),
        progress_bar(f"unpacking {archive.name}", size) as bar,
        archive.open("rb") as file,
    ):
        try:
            with tarfile.open(fileobj=file, mode="r:gz") as opened:
                for member in opened:
                    opened.extract(member, aside, filter="data")
                    bar.update(file.tell() - bar.n)
        except tarfile.FilterError as error:
            raise DataError(
                f"{archive}: {reason_of(error)}, so this is not the published archive; nothing was "
                "unpacked, get it from another address"
            ) from None
        except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError) as error:
            raise _damaged(archive, error) from None


def _damaged(archive: Path, error: Exception) -> DataError:
    return DataError(
        f"{archive} is damaged ({reason_of(error)}); delete it and run the same command again"
    )


def _move(source: Path, dest: Path) -> None:
    """Move what `source` holds into `dest`; a folder that is there already keeps its other
    files."""
    for path in source.iterdir():
        target = dest / path.name
        if path.is_dir() and target.is_dir():
            _move(path, target)
        else:
            path.replace(target)
