"""One file over HTTP: fetched to `NAME.part`, resumed where that ends, checked, and only then
named.

What a download tells its user is here too: disk space, progress, sizes and reasons in words.
"""

import errno
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import requests
import urllib3
from tqdm.auto import tqdm

from hydronb.errors import DataError

MIRROR = "HYDRONB_DATA_URL"
"""The environment variable that names a mirror."""
CHUNK = 1 << 16
TRIES = 5
PAUSE = 1.0
"""Seconds before the first new try; doubled at each that brought nothing."""
TIMEOUT = (15, 60)
"""Seconds to connect, and without a byte."""
BROKEN = (requests.RequestException, urllib3.exceptions.HTTPError, ConnectionError, TimeoutError)
"""What a connection that breaks can raise."""


class _Cut(Exception):
    """The connection ended before the file did."""


def open_session() -> requests.Session:
    """A session that asks a busy server again and takes no compressed answers."""
    session = requests.Session()
    busy = urllib3.Retry(
        total=None,
        connect=0,
        read=0,
        other=0,
        status=4,
        backoff_factor=PAUSE,
        status_forcelist=[429, 502, 503, 504],
        raise_on_status=False,
    )
    for scheme in ("http://", "https://"):
        session.mount(scheme, requests.adapters.HTTPAdapter(max_retries=busy))
    session.headers.update({"User-Agent": "hydronb", "Accept-Encoding": "identity"})
    return session


def fetch(
    url: str,
    path: Path,
    *,
    session: requests.Session,
    complaint: Callable[[Path], str | None],
    unpacks: bool = False,
) -> None:
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
        The server cannot be reached, has no such file, keeps cutting the connection, or sent a
        wrong file.
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
                kept = (
                    f"; {_size(_length(part))} are kept in {part}, run the same command again to"
                    " go on"
                    if _length(part)
                    else f"; check the network, or name a mirror in {MIRROR}"
                )
                raise DataError(f"{url}: {cut}{kept}") from None
            reached = max(reached, _length(part))
            wait(idle)
    if wrong := complaint(part):
        part.unlink()
        _validator(part).unlink(missing_ok=True)
        raise DataError(
            f"{url}: {wrong}; what came is deleted, run the same command again or name a mirror "
            f"in {MIRROR}"
        )
    with writing(path):
        part.replace(path)
        _validator(part).unlink(missing_ok=True)


def size_by_range(url: str, session: requests.Session) -> int | None:
    """Bytes of a file on a server; None if that server cannot send part of a file."""
    try:
        with _answer(url, session, {"Range": "bytes=0-0"}) as response:
            return _range(response)[1] if response.status_code == 206 else None
    except _Cut as cut:
        raise DataError(f"{url}: {cut}; check the network, or name a mirror in {MIRROR}") from None


def wait(attempt: int) -> None:
    """Sleep before the next try, twice as long after each that brought nothing."""
    time.sleep(PAUSE * 2**attempt)


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
            raise DataError(
                f"{url} answered with another part of the file than asked for; name a mirror in "
                f"{MIRROR}"
            )
        require_room(part.parent, max((total or 0) - start, 0), (total or 0) if unpacks else 0)
        with writing(part):
            part.parent.mkdir(parents=True, exist_ok=True)
            _remember(response, part)
            with (
                part.open("ab" if start else "wb") as file,
                progress_bar(part.stem, total, start) as bar,
            ):
                for chunk in _chunks(response):
                    file.write(chunk)
                    bar.update(len(chunk))
    if total is not None and _length(part) != total:
        again = (
            ", and this server starts from the beginning each time" if have and not start else ""
        )
        raise _Cut(f"the connection was cut after {_size(_length(part))} of {_size(total)}{again}")


def _answer(url: str, session: requests.Session, headers: dict[str, str]) -> requests.Response:
    try:
        response = session.get(url, headers=headers, stream=True, timeout=TIMEOUT)
    except requests.RequestException as error:
        raise _Cut(f"no answer ({reason_of(error)})") from None
    if response.ok or (response.status_code == 416 and "Range" in headers):
        return response
    response.close()
    status = f"{response.status_code} {response.reason}"
    if response.status_code in (404, 410):
        raise DataError(
            f"{url}: {status}; the address may have changed, see docs/data.md and name one in "
            f"{MIRROR}"
        )
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
    if found := re.match(
        r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", response.headers.get("Content-Range", "")
    ):
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


def _length(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


# disk and screen
# ---------------


def require_room(folder: Path, needed: int, unpacked: int = 0) -> None:
    """Refuse before the first byte where `folder` lacks room for these bytes."""
    there = next(p for p in (folder, *folder.absolute().parents) if p.exists())
    free = shutil.disk_usage(there).free
    if free < needed + unpacked:
        wants = [f"{_size(needed)} to download"] * bool(needed)
        wants += [f"about {_size(unpacked)} to unpack"] * bool(unpacked)
        raise DataError(
            f"{folder} has {_size(free)} free and needs {' and '.join(wants)}; free some space "
            "or choose another folder"
        )


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn the operating system's refusal to write below `path` into one line."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DataError(
                f"the disk is full at {path}; free some space and run the same command again, it "
                "goes on from here"
            ) from None
        raise DataError(
            f"{error.filename or path} cannot be written ({error.strerror}); choose another folder"
        ) from None


def write(path: Path, content: bytes) -> None:
    """Write the whole file or nothing, its folder made where missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_bytes(content)
    part.replace(path)


def progress_bar(text: str, total: int | None, initial: int = 0) -> tqdm:
    """A progress bar in bytes."""
    leave = total is None or total > 1_000_000  # the bars of the attribute tables go when done
    return tqdm(
        desc=text, total=total, initial=initial, unit="B", unit_scale=True, miniters=1, leave=leave
    )


def _size(n: int) -> str:
    """Bytes in decimal units, as the archives' pages have them.

    >>> _size(3_400_000_000), _size(24_800), _size(12)
    ('3.4 GB', '24.8 kB', '12 B')
    """
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if n >= scale:
            return f"{n / scale:.1f} {unit}"
    return f"{n} B"


def reason_of(error: Exception) -> str:
    """The innermost plain words of a network or archive error."""
    while isinstance(
        inner := getattr(error, "reason", None) or next(iter(error.args), None), Exception
    ):
        error = inner
    text = (str(error).strip() or type(error).__name__).splitlines()[0]
    return re.sub(r"^HTTPS?Connection\w*\(.*?\): |^.*\[Errno -?\d+\] ", "", text)[:100].rstrip(
        " .)"
    )
