"""Downloads, against a server on this machine that can do what a real one does, and fails in the
same ways.

The truth is the bytes the server was given and the number of bytes it sent.
"""

import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import requests

from hydronb.data import download
from hydronb.data.sources.camels_us import open_camels_us
from hydronb.errors import DataError

BASINS = {"01013500": "01", "01022500": "01", "09447800": "15"}
TABLES = download.PUBLICATIONS["camels-us"].attributes
ZIP, TAR = (download.PUBLICATIONS[n].archive for n in ("camels-us", "caravan"))


class Server(ThreadingHTTPServer):
    """Serves `files`, counts what it sends in `sent` and requests in `asked`; the rest are its
    failings."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.sent, self.asked = Counter(), Counter()
        self.ranges = True
        self.cut_after: dict[str, list[int]] = {}
        """Bytes of the body after which the connection is closed, one entry an answer."""
        self.busy = 0
        """Answers 503 that come first."""
        self.hold_after: int | None = None
        """Bytes after which an answer says nothing more until `release`, and is then closed."""
        self.release = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request, client_address):
        """A client that went away is part of the tests."""


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def do_GET(self):
        server, name = self.server, self.path.strip("/").split("?")[0]
        server.asked[name] += 1
        if server.busy:
            server.busy -= 1
            self.send_response(503)
            self.send_header("Retry-After", "0")
            self.end_headers()
            return
        if name not in server.files:
            self.send_error(404)
            return
        content = server.files[name]
        wanted = self.headers.get("Range") if server.ranges else None
        first, last = self.span(wanted, len(content))
        if first >= len(content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(content)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(206 if wanted else 200)
        if wanted:
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(content)}")
        self.send_header("Content-Length", str(last - first + 1))
        self.end_headers()
        self.send_body(name, content[first : last + 1])

    @staticmethod
    def span(wanted: str | None, size: int) -> tuple[int, int]:
        if not wanted:
            return 0, size - 1
        first, last = wanted.removeprefix("bytes=").split("-")
        if not first:
            return max(size - int(last), 0), size - 1
        return int(first), min(int(last), size - 1) if last else size - 1

    def send_body(self, name: str, body: bytes) -> None:
        server = self.server
        cuts = server.cut_after.get(name)
        if cuts:
            body = body[: cuts.pop(0)]
        self.write(name, body[: server.hold_after])
        if server.hold_after is not None:
            server.release.wait(20)
        self.close_connection = True

    def write(self, name: str, body: bytes) -> None:
        self.wfile.write(body)
        self.wfile.flush()
        self.server.sent[name] += len(body)


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(download, "PAUSE", 0.0)
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    monkeypatch.setenv(download.MIRROR, server.url)
    yield server
    server.release.set()
    server.shutdown()
    server.server_close()
    thread.join()


def publish(server: Server, monkeypatch: pytest.MonkeyPatch, name: str, content: bytes) -> None:
    """Let the server hold `content` as the archive of data set `name`, with its md5 as the
    published one."""
    source = download.PUBLICATIONS[name]
    server.files[source.archive] = content
    monkeypatch.setitem(
        download.PUBLICATIONS, name, source._replace(md5=hashlib.md5(content).hexdigest())
    )


def forcing(basin: str, product: str) -> str:
    days = np.arange(np.datetime64("1989-10-01"), np.datetime64("1990-10-01"))
    rain = np.random.default_rng(int(basin)).gamma(0.5, 6.0, days.size)
    rows = [
        f"{str(d).replace('-', ' ')} 12\t40000.00\t{p:.2f}\t300.00\t0.00\t15.00\t5.00\t900.00"
        for d, p in zip(days, rain, strict=True)
    ]
    names = "Year Mnth Day Hr\tdayl(s)\tprcp(mm/day)\tsrad(W/m2)\tswe(mm)\ttmax(C)\ttmin(C)\tvp(Pa)"
    return "\n".join(["  47.24", " 250.00", "  2303988800", names, *rows]) + "\n"


def streamflow(basin: str) -> str:
    days = np.arange(np.datetime64("1989-10-01"), np.datetime64("1990-10-01"))
    return "".join(
        f"{basin} {str(d).replace('-', ' ')} {100 + i:8.2f} A\n" for i, d in enumerate(days)
    )


def camels_files() -> dict[str, bytes]:
    files = {}
    for basin, huc in BASINS.items():
        files[f"usgs_streamflow/{huc}/{basin}_streamflow_qc.txt"] = streamflow(basin).encode()
        for product, tag in (("daymet", "cida"), ("maurer", "maurer"), ("nldas", "nldas")):
            path = f"basin_mean_forcing/{product}/{huc}/{basin}_lump_{tag}_forcing_leap.txt"
            files[path] = forcing(basin, product).encode()
    return files


@pytest.fixture
def camels(server, monkeypatch):
    """The server holds CAMELS-US in small: as published, among other files and under a top
    folder."""
    files = camels_files()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(
            "basin_dataset_public_v1p2/elev_bands_forcing/daymet/01/01013500_forcing.txt",
            np.random.default_rng(0).bytes(4_000_000),
        )
        for path, content in files.items():
            archive.writestr(f"basin_dataset_public_v1p2/{path}", content)
    publish(server, monkeypatch, "camels-us", buffer.getvalue())
    for table in TABLES:
        columns = (
            "gauge_lat;gauge_lon;area_gages2" if table == "camels_topo.txt" else f"{table[7:-4]}_x"
        )
        values = "47.24;-68.58;2252.7" if table == "camels_topo.txt" else "1.5"
        server.files[table] = "\n".join(
            [f"gauge_id;{columns}", *(f"{b};{values}" for b in BASINS)]
        ).encode()
    return files


def tar(files: dict[str, bytes], top: str = "Caravan-nc/") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for path, content in files.items():
            info = tarfile.TarInfo(top + path)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


@pytest.fixture
def caravan(server, monkeypatch):
    files = {
        "timeseries/netcdf/camels/camels_01022500.nc": np.random.default_rng(1).bytes(700_000),
        "attributes/camels/attributes_caravan_camels.csv": (
            b"gauge_id,aridity\ncamels_01022500,0.5\n"
        ),
    }
    publish(server, monkeypatch, "caravan", tar(files))
    return files


def held(folder: Path) -> dict[str, bytes]:
    """All files below `folder`, the archive and the record left out."""
    return {
        str(p.relative_to(folder)): p.read_bytes()
        for p in folder.rglob("*")
        if p.is_file() and p.name not in (ZIP, TAR, download.RECORD)
    }


def refusal(*args, **kwargs) -> str:
    with pytest.raises(DataError) as caught:
        download.get(*args, **kwargs)
    message = str(caught.value)
    assert "\n" not in message and len(message) < 500
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return message


def test_caravan_arrives_whole_and_without_its_top_folder(server, caravan, tmp_path):
    assert download.get("caravan", tmp_path / "caravan") == tmp_path / "caravan"
    assert held(tmp_path / "caravan") == caravan
    record = json.loads((tmp_path / "caravan" / download.RECORD).read_text())
    assert (
        record["dataset"] == "caravan"
        and record["basins"] == "all"
        and record["licence"] == "CC-BY-4.0"
    )
    assert server.sent[TAR] == len(server.files[TAR])


def test_a_second_call_transfers_nothing(server, caravan, tmp_path):
    download.get("caravan", tmp_path)
    server.asked.clear()
    download.get("caravan", tmp_path)
    assert not server.asked


def test_camels_us_arrives_whole(camels, server, tmp_path):
    download.get("camels-us", tmp_path)
    tables = {f"{download.ATTRIBUTE_FOLDER}/{t}": server.files[t] for t in TABLES}
    assert held(tmp_path) == camels | tables


def test_single_basins_cost_a_small_part_of_the_archive(camels, server, tmp_path):
    download.get("camels-us", tmp_path, basins=["01022500", "09447800"])
    expected = {path: content for path, content in camels.items() if "01013500" not in path}
    assert {
        path: content for path, content in held(tmp_path).items() if "attributes" not in path
    } == expected
    assert {p.name for p in (tmp_path / download.ATTRIBUTE_FOLDER).iterdir()} == set(TABLES)
    compressed = sum(
        i.compress_size
        for i in zipfile.ZipFile(io.BytesIO(server.files[ZIP])).infolist()
        if "01022500" in i.filename or "09447800" in i.filename
    )
    assert server.sent[ZIP] < compressed + 70_000 < len(server.files[ZIP]) / 25
    assert json.loads((tmp_path / download.RECORD).read_text())["basins"] == [
        "01022500",
        "09447800",
    ]


def test_more_basins_add_to_those_there_and_damaged_ones_come_again(camels, server, tmp_path):
    download.get("camels-us", tmp_path, basins=["01022500"])
    damaged = tmp_path / "usgs_streamflow/01/01022500_streamflow_qc.txt"
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[:100])
    server.asked.clear()
    download.get("camels-us", tmp_path, basins=["01022500", "camels_01013500"])
    assert damaged.read_bytes() == whole
    assert server.asked[ZIP] <= 3 + 1 + 4  # the table of contents, one damaged file, four new ones
    assert sum(server.asked[t] for t in TABLES) == 0
    assert json.loads((tmp_path / download.RECORD).read_text())["basins"] == [
        "01013500",
        "01022500",
    ]


def test_the_whole_after_some_basins_keeps_the_users_own_files(camels, server, tmp_path):
    download.get("camels-us", tmp_path, basins=["01022500"])
    own = tmp_path / "basin_mean_forcing/maurer_extended/01/01022500_lump_maurer_forcing_leap.txt"
    own.parent.mkdir(parents=True)
    own.write_text("mine")
    download.get("camels-us", tmp_path)
    assert own.read_text() == "mine"
    assert camels.items() <= held(tmp_path).items()
    assert json.loads((tmp_path / download.RECORD).read_text())["basins"] == "all"


def test_what_comes_can_be_opened(camels, server, tmp_path):
    download.get("camels-us", tmp_path, basins=["01022500", "09447800"])
    ds = open_camels_us(tmp_path, forcing="daymet")
    assert sorted(ds.basin.values) == ["01022500", "09447800"]
    # 100 cfs from 2303.9888 km2: 100 * 0.028316846592 m3/s * 86400 s / 2303988800 m2 * 1000 mm/m
    assert float(ds.streamflow.sel(basin="01022500")[0]) == pytest.approx(0.106189, rel=1e-4)


def test_an_archive_that_lies_in_the_folder_is_used(caravan, server, tmp_path):
    (tmp_path / TAR).write_bytes(server.files[TAR])
    download.get("caravan", tmp_path)
    assert held(tmp_path) == caravan and not server.asked


def test_a_wrong_archive_in_the_folder_is_named_and_kept(caravan, server, tmp_path):
    (tmp_path / TAR).write_bytes(b"something else")
    message = refusal("caravan", tmp_path)
    assert str(tmp_path / TAR) in message and "md5" in message and "delete or move it" in message
    assert (tmp_path / TAR).read_bytes() == b"something else"


def test_over_a_cut_connection_only_the_missing_bytes_are_sent(caravan, server, tmp_path):
    size = len(server.files[TAR])
    server.cut_after[TAR] = [300_000, 200_000]
    download.get("caravan", tmp_path)
    assert held(tmp_path) == caravan
    assert server.asked[TAR] == 3
    # at most what was under way at each cut
    assert size <= server.sent[TAR] <= size + 2 * 64 * 1024


def test_a_server_that_cannot_resume_starts_again(caravan, server, tmp_path):
    server.ranges = False
    server.cut_after[TAR] = [300_000]
    download.get("caravan", tmp_path)
    assert held(tmp_path) == caravan
    assert server.sent[TAR] == 300_000 + len(server.files[TAR])


def test_a_connection_that_is_always_cut_ends_in_one_line_and_keeps_what_came(
    caravan, server, tmp_path
):
    server.cut_after[TAR] = [300_000] + [0] * 20
    message = refusal("caravan", tmp_path)
    part = tmp_path / (TAR + ".part")
    assert part.exists() and "Connection broken" in message and "same command continues" in message
    assert not (tmp_path / TAR).exists() and not (tmp_path / "timeseries").exists()
    came = part.stat().st_size
    server.cut_after.clear()
    server.sent.clear()
    download.get("caravan", tmp_path)
    assert held(tmp_path) == caravan
    assert server.sent[TAR] == len(server.files[TAR]) - came


def test_killed_half_way_then_resumed(caravan, server, tmp_path):
    """`kill -9` in another process, then the same call: only the missing bytes are sent."""
    server.hold_after = 400_000
    code = (
        "from hydronb.data import download as d\n"
        "p = d.PUBLICATIONS\n"
        f"p['caravan'] = p['caravan']._replace(md5={download.PUBLICATIONS['caravan'].md5!r})\n"
        f"d.get('caravan', {str(tmp_path)!r})"
    )
    part = tmp_path / (TAR + ".part")
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stderr=subprocess.DEVNULL,
        cwd=Path(download.__file__).parents[2],
    ) as process:
        while not (part.exists() and part.stat().st_size > 300_000):
            assert process.poll() is None
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    came = part.stat().st_size
    server.hold_after = None
    server.release.set()
    server.sent.clear()
    download.get("caravan", tmp_path)
    assert held(tmp_path) == caravan
    assert server.sent[TAR] == len(server.files[TAR]) - came


def test_a_file_that_changed_on_the_server_is_found_by_its_md5(
    caravan, server, tmp_path, monkeypatch
):
    server.cut_after[TAR] = [300_000] + [0] * 20
    refusal("caravan", tmp_path)
    server.cut_after.clear()
    newer = {
        "timeseries/a.nc": np.random.default_rng(2).bytes(500_000),
        "attributes/a.csv": b"gauge_id\n",
    }
    publish(server, monkeypatch, "caravan", tar(newer))
    message = refusal("caravan", tmp_path)
    assert "md5" in message and "run the same command again" in message
    download.get("caravan", tmp_path)
    assert held(tmp_path) == newer


def test_a_part_that_is_as_long_as_the_file_or_longer(caravan, server, tmp_path):
    """What `kill -9` leaves during the checksum, and what no server could have sent."""
    download.get("caravan", tmp_path / "new")
    (tmp_path / "new" / TAR).rename(tmp_path / "new" / (TAR + ".part"))
    (tmp_path / "new" / download.RECORD).unlink()
    server.sent.clear()
    download.get("caravan", tmp_path / "new")
    assert held(tmp_path / "new") == caravan and not server.sent
    (tmp_path / (TAR + ".part")).write_bytes(server.files[TAR] + b"more than the server has")
    assert "md5" in refusal("caravan", tmp_path)
    assert not (tmp_path / (TAR + ".part")).exists()


def test_wrong_bytes_are_deleted_and_both_checksums_told(caravan, server, tmp_path):
    right = server.files[TAR]
    server.files[TAR] = right[:-1] + bytes([right[-1] ^ 1])
    message = refusal("caravan", tmp_path)
    assert (
        hashlib.md5(right).hexdigest() in message
        and hashlib.md5(server.files[TAR]).hexdigest() in message
    )
    assert held(tmp_path) == {}
    server.files[TAR] = right
    download.get("caravan", tmp_path)
    assert held(tmp_path) == caravan


def test_wrong_bytes_in_one_member_of_the_remote_zip(camels, server, tmp_path):
    content = bytearray(server.files[ZIP])
    members = zipfile.ZipFile(io.BytesIO(content)).infolist()
    member = next(i for i in members if "01022500_stream" in i.filename)
    content[member.header_offset + 200] ^= 255
    server.files[ZIP] = bytes(content)
    message = refusal("camels-us", tmp_path, basins=["01022500"])
    assert ZIP in message and "damaged" in message and "run the same command again" in message
    assert held(tmp_path) == {}, "half a basin is no basin"


def test_single_basins_over_a_cut_connection(camels, server, tmp_path):
    server.cut_after[ZIP] = [10**9, 10**9, 10**9, 500, 10**9, 500]
    download.get("camels-us", tmp_path, basins=["01022500"])
    assert sum("01022500" in path for path in held(tmp_path)) == 4
    assert all(camels[p] == c for p, c in held(tmp_path).items() if p in camels)


def test_a_page_where_a_table_should_be(camels, server, tmp_path):
    server.files["camels_hydro.txt"] = b"<html>please log in</html>"
    message = refusal("camels-us", tmp_path, basins=["01022500"])
    assert "camels_hydro.txt" in message and "no CAMELS attribute table" in message
    assert not (tmp_path / download.RECORD).exists()
    assert f"{download.ATTRIBUTE_FOLDER}/camels_hydro.txt" not in held(tmp_path)


def test_not_there(server, tmp_path):
    for basins in (None, ["01022500"]):
        message = refusal("camels-us", tmp_path / "new", basins=basins)
        assert f"{server.url}/{ZIP}: 404" in message and download.MIRROR in message
        assert not (tmp_path / "new").exists()


def test_a_busy_server_is_asked_again_then_left_alone(caravan, server, tmp_path):
    server.busy = 2
    download.get("caravan", tmp_path / "a")
    assert held(tmp_path / "a") == caravan
    server.busy = 100
    assert "503" in (message := refusal("caravan", tmp_path / "b")) and "later" in message


def test_no_server_at_all(server, tmp_path):
    nowhere = "http://127.0.0.1:9"
    for basins in (None, ["01022500"]):
        message = refusal("camels-us", tmp_path / "new", basins=basins, base_url=nowhere)
        assert nowhere in message and "refused" in message and "check the network" in message
        assert not (tmp_path / "new").exists()


def test_single_basins_need_a_server_that_answers_ranges(camels, server, tmp_path):
    server.ranges = False
    message = refusal("camels-us", tmp_path / "new", basins=["01022500"])
    assert "cannot send part of a file" in message and "leave --basins out" in message
    assert not (tmp_path / "new").exists()


def test_something_else_than_a_zip(camels, server, tmp_path):
    server.files[ZIP] = b"<html>moved</html>" * 1000
    assert "File is not a zip file" in refusal("camels-us", tmp_path / "new", basins=["01022500"])
    assert not (tmp_path / "new").exists()


def test_unknown_basins_and_names(camels, server, tmp_path):
    message = refusal("camels-us", tmp_path / "n", basins=["1022500"])
    assert "did you mean '01022500', with its leading zero" in message
    assert "did you mean 'camels-us'" in refusal("camelsus", tmp_path / "n")
    message = refusal("caravan", tmp_path / "n", basins=["camels_01022500"])
    assert "cannot be read in part" in message and "camels-us" in message
    assert "no http" in refusal("caravan", tmp_path / "n", base_url="/data/mirror")
    assert not (tmp_path / "n").exists()


def test_a_disk_that_fills_up_while_downloading(caravan, server, tmp_path, monkeypatch):
    full = Path("/dev/full")
    if not full.exists():
        full = tmp_path / "no such folder"  # another refusal of the operating system
    real = Path.open
    monkeypatch.setattr(
        Path,
        "open",
        lambda self, mode="r", **kwargs: real(
            full if self.name.endswith(".gz.part") and "b" in mode else self, mode, **kwargs
        ),
    )
    message = refusal("caravan", tmp_path)
    assert "the disk is full" in message or "cannot be written" in message


def test_a_folder_that_is_a_file_and_one_that_holds_another_set(caravan, server, tmp_path):
    (tmp_path / "file").write_text("")
    assert "file cannot be written" in refusal("caravan", tmp_path / "file")
    assert "cannot be written" in refusal("caravan", tmp_path / "file" / "below")
    download.get("caravan", tmp_path / "caravan")
    assert "already holds caravan" in refusal("camels-us", tmp_path / "caravan")
    (tmp_path / "caravan" / download.RECORD).write_text("{")
    assert "cannot be read as JSON" in refusal("caravan", tmp_path / "caravan")


def test_a_tar_that_points_outside(server, tmp_path, monkeypatch):
    publish(
        server, monkeypatch, "caravan", tar({"timeseries/a.nc": b"a", "../../evil.txt": b"evil"})
    )
    message = refusal("caravan", tmp_path / "dest")
    assert "not the published archive" in message and "delete it" in message
    assert held(tmp_path) == {}


@pytest.mark.parametrize("basins", [None, ["01022500"]])
@pytest.mark.parametrize(
    "name",
    [
        "../evil.txt",
        "/evil.txt",
        "a/../../usgs_streamflow/01/01022500_evil.txt",
        "..\\evil.txt",
        "C:\\evil.txt",
    ],
)
def test_a_zip_that_points_outside(name, basins, server, camels, tmp_path, monkeypatch):
    buffer = io.BytesIO(server.files[ZIP])
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr(name, b"evil")
    publish(server, monkeypatch, "camels-us", buffer.getvalue())
    download.get("camels-us", tmp_path / "dest", basins=basins)
    assert {p.name for p in tmp_path.iterdir()} == {"dest"}
    below = {"usgs_streamflow", "basin_mean_forcing", download.ATTRIBUTE_FOLDER}
    assert all(path.split("/")[0] in below for path in held(tmp_path / "dest"))


def test_unpacking_that_was_interrupted_is_done_again(camels, server, tmp_path, monkeypatch):
    """Interrupted half-way: no data folder is there. The next call unpacks without the server."""
    real, calls = shutil.copyfileobj, []

    def interrupted(*args):
        calls.append(args)
        if len(calls) == 5:
            raise KeyboardInterrupt
        real(*args)

    monkeypatch.setattr(shutil, "copyfileobj", interrupted)
    with pytest.raises(KeyboardInterrupt):
        download.get("camels-us", tmp_path)
    assert (
        not (tmp_path / "basin_mean_forcing").exists()
        and not (tmp_path / "usgs_streamflow").exists()
    )
    assert not (tmp_path / download.RECORD).exists()
    server.asked.clear()
    (tmp_path / "unpacking.partial" / "usgs_streamflow").mkdir(parents=True)  # what kill -9 leaves
    (tmp_path / "unpacking.partial" / "usgs_streamflow" / "half.txt").write_text("half")
    download.get("camels-us", tmp_path)
    assert camels.items() <= held(tmp_path).items() and not list(tmp_path.rglob("half.txt"))
    assert not server.asked[ZIP]


@pytest.mark.parametrize("name", ["camels-us", "caravan"])
def test_a_published_archive_without_the_folders(name, server, camels, tmp_path, monkeypatch):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("readme.txt", "empty")
    publish(
        server,
        monkeypatch,
        name,
        buffer.getvalue() if name == "camels-us" else tar({"readme.txt": b""}),
    )
    assert "not the published archive" in refusal(name, tmp_path)


@pytest.mark.parametrize("content", [b"no archive", tar({"timeseries/a.nc": bytes(100_000)})[:-50]])
def test_a_damaged_tar(content, server, tmp_path, monkeypatch):
    publish(server, monkeypatch, "caravan", content)
    assert "is damaged" in refusal("caravan", tmp_path)
    assert not (tmp_path / "timeseries").exists()


def test_the_published_addresses(monkeypatch, tmp_path):
    monkeypatch.delenv(download.MIRROR, raising=False)
    asked = []

    def get(self, url, **kwargs):
        asked.append(url)
        raise DataError("not from the tests")

    monkeypatch.setattr(requests.Session, "get", get)
    refusal("caravan", tmp_path)
    refusal("caravan", tmp_path, base_url="https://a.example/b/")
    assert asked == [
        f"https://zenodo.org/records/15529786/files/{TAR}",
        f"https://a.example/b/{TAR}",
    ]
