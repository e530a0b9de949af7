"""What `hydronb data check` passes can be opened, and what opening refuses it reports, in whatever
way a folder is damaged; neither ends in a stack trace.

Tiny folders of each source are damaged at random, the same way on every run.
"""

import random
import shutil
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from camels_us_files import write_camels_us
from caravan_files import BASINS, series, write_series, write_tables
from catchments import random_catchments

from hydronb.data import open_catchments, open_grid
from hydronb.data.report import report
from hydronb.data.sources import camels_us, caravan
from hydronb.data.synthetic import synthetic_grid
from hydronb.errors import HydronbError
from hydronb.parameters import DataParameters, GridParameters

ROUNDS = 28
"""Damaged folders of each kind."""


# Folders
# ---


def caravan_folder(root: Path, kind: str) -> None:
    for basin in BASINS["camels"]:
        write_series(root, basin, series(basin).iloc[:100], kind)
    write_tables(root, "camels")


def catchments() -> xr.Dataset:
    """As a user would write it: with a coordinate, attributes of both kinds, and no PET."""
    ds = random_catchments(n_basins=3, days=60).drop_vars("pet", errors="ignore")
    ds = ds.assign(rock=ds["rock"].astype("U"))
    return ds.assign_coords(basin=ds["basin"].astype("U"))


WRITE = {
    "caravan netcdf": lambda root: caravan_folder(root, "netcdf"),
    "caravan csv": lambda root: caravan_folder(root, "csv"),
    "camels_us": lambda root: write_camels_us(root, "daymet"),
    "netcdf": lambda root: catchments().to_netcdf(root / "mine.nc"),
    "zarr": lambda root: catchments().to_zarr(root / "mine.zarr", zarr_format=2),
    "grid": lambda root: synthetic_grid((4, 5), 1, cells=False).to_netcdf(root / "grid.nc"),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> dict[str, Path]:
    """A folder of each kind, as it should be."""
    top = tmp_path_factory.mktemp("whole")
    for kind, write in WRITE.items():
        (top / kind).mkdir()
        with warnings.catch_warnings(action="ignore"):
            write(top / kind)
    return {kind: top / kind for kind in WRITE}


def open_all(kind: str, root: Path) -> None:
    """Open what a folder holds, with the defaults of its kind."""
    if kind.startswith("caravan"):
        open_catchments(DataParameters(kind="caravan", path=str(root)))
    elif kind == "camels_us":
        open_catchments(DataParameters(kind="camels_us", path=str(root), forcing="daymet"))
    elif kind == "grid":
        open_grid(GridParameters(kind="file", path=str(root / "grid.nc")))
    else:
        name = "mine.nc" if kind == "netcdf" else "mine.zarr"
        open_catchments(DataParameters(kind="file", path=str(root / name)))


# Damage
# ---


def a_file(root: Path, chance: random.Random) -> Path:
    return chance.choice(sorted(p for p in root.rglob("*") if p.is_file()))


def truncate(path: Path, chance: random.Random) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: chance.randrange(len(data) + 1)])


def empty(path: Path, chance: random.Random) -> None:
    path.write_bytes(b"")


def remove(path: Path, chance: random.Random) -> None:
    path.unlink()


def become_a_folder(path: Path, chance: random.Random) -> None:
    path.unlink()
    path.mkdir()


def remove_the_folder(path: Path, chance: random.Random) -> None:
    shutil.rmtree(path.parent)


def another_beside_it(path: Path, chance: random.Random) -> None:
    name = chance.choice(["._{}", "copy_of_{}", "{}.part", "x{}"]).format(path.name)
    path.with_name(name).write_bytes(chance.choice([b"", b"nothing", path.read_bytes()]))


def in_another_folder(path: Path, chance: random.Random) -> None:
    (path.parent / "99").mkdir()
    shutil.copy(path, path.parent / "99" / path.name)


FILES = [
    truncate,
    empty,
    remove,
    become_a_folder,
    remove_the_folder,
    another_beside_it,
    in_another_folder,
]


def separator(line: str) -> str:
    return next((s for s in (";", ",", "\t") if s in line), " ")


def some_line(change):
    """Damage to one line of a text file, the first lines more often than others."""

    def damage(path: Path, chance: random.Random) -> None:
        lines = path.read_bytes().decode().split("\n")
        at = chance.choice([0, 1, 2, 3, chance.randrange(len(lines)), len(lines) - 1])
        at = min(at, len(lines) - 1)
        lines[at : at + 1] = change(lines[at], chance)
        path.write_bytes("\n".join(lines).encode())

    damage.__name__ = change.__name__
    return damage


def field(*texts: str):
    """Another text in one field of a line."""

    def put(line: str, chance: random.Random) -> list[str]:
        fields = line.split(separator(line))
        fields[chance.randrange(len(fields))] = chance.choice(texts)
        return [separator(line).join(fields)]

    put.__name__ = f"field_{texts[0] or 'empty'}"
    return put


def no_line(line, chance):
    return []


def line_twice(line, chance):
    return [line, line]


def blank_line(line, chance):
    return [line, "", "  "]


def line_cut(line, chance):
    return [line[: chance.randrange(len(line) + 1)]]


def field_more(line, chance):
    return [line + separator(line) + "7"]


def swapped_fields(line, chance):
    fields = line.split(separator(line))
    chance.shuffle(fields)
    return [separator(line).join(fields)]


LINES = [
    some_line(change)
    for change in (
        no_line,
        line_twice,
        blank_line,
        line_cut,
        field_more,
        swapped_fields,
        field("-999", "-9999.0", "-1"),
        field("nan", "NaN", "NA", ""),
        field("abc", "1.2.3", "-", "wärm"),
        field("1e9", "1e40", "inf", "293.15"),
        field("2000-02-30", "19990101", "2001-01-01T06:00", "2001-01-05Z", "0"),
        field("prcp", "gauge_lat", "area", "time", "basin"),
    )
]


def latin1(path: Path, chance: random.Random) -> None:
    path.write_bytes("é".encode("latin-1") + path.read_bytes())


def byte_order_mark(path: Path, chance: random.Random) -> None:
    path.write_bytes(path.read_bytes().decode().encode("utf-8-sig"))


def windows_lines(path: Path, chance: random.Random) -> None:
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))


def shuffled_lines(path: Path, chance: random.Random) -> None:
    lines = path.read_text().split("\n")
    chance.shuffle(lines)
    path.write_text("\n".join(lines))


TEXT = [*FILES, *LINES, latin1, byte_order_mark, windows_lines, shuffled_lines]


def some_variable(change):
    """Damage to one variable or coordinate of a NetCDF file or Zarr folder."""

    def damage(path: Path, chance: random.Random) -> None:
        store = next((p for p in (path, *path.parents) if p.suffix in (".nc", ".zarr")), path)
        with xr.open_dataset(store, engine=None if store.is_file() else "zarr") as file:
            ds = file.load().drop_encoding()
        ds = change(ds, chance.choice(sorted(map(str, ds.variables))), chance)
        if store.is_dir():
            shutil.rmtree(store)
            ds.to_zarr(store, zarr_format=2)
        else:
            store.unlink()
            ds.to_netcdf(store)

    damage.__name__ = change.__name__
    return damage


def values(*numbers: float):
    """Another number in one place of a variable."""

    def put(ds: xr.Dataset, name: str, chance: random.Random) -> xr.Dataset:
        if ds[name].dtype.kind != "f":
            name = chance.choice([n for n in ds.variables if ds[n].dtype.kind == "f"])
        data = ds[name].values.copy()
        data.flat[chance.randrange(data.size)] = chance.choice(numbers)
        return ds.assign({name: (ds[name].dims, data, ds[name].attrs)})

    put.__name__ = f"value_{numbers[0]}"
    return put


def no_variable(ds, name, chance):
    return ds.drop_vars(name)


def all_missing(ds, name, chance):
    return ds.assign({name: ds[name].where(np.isnan(ds[name]))}) if name in ds.data_vars else ds


def text(ds, name, chance):
    return ds.assign({name: (ds[name].dims, ds[name].values.astype("U").astype(object))})


def whole_numbers(ds, name, chance):
    return ds.assign({name: (ds[name].dims, np.arange(ds[name].size).reshape(ds[name].shape))})


def other_units(ds, name, chance):
    ds[name].attrs["units"] = chance.choice(["m", "K", "mm/day", "degrees_Celsius", 7])
    return ds


def other_name(ds, name, chance):
    return ds.rename({name: chance.choice(["prcp", "pet", "lat", "x", "other"])})


def fewer_days(ds, name, chance):
    dim = "date" if "date" in ds.dims else "time"
    days = list(range(ds.sizes[dim]))
    changes = (days[:3] + days[4:], days[::-1], days[:2] + days[1:], [], days[:1])
    return ds.isel({dim: chance.choice(changes)})


def other_days(ds, name, chance):
    dim = "date" if "date" in ds.dims else "time"
    days = ds[dim] + pd.Timedelta(chance.choice(["6h", "9D", "4000D"]))
    return ds.assign_coords({dim: days.values})


def another_calendar(ds, name, chance):
    dim = "date" if "date" in ds.dims else "time"
    return ds.convert_calendar("noleap", dim=dim, use_cftime=True)


def another_dimension(ds, name, chance):
    if name in ds.dims:
        return ds
    return ds.assign({name: ds[name].expand_dims(product=chance.choice([1, 2]))})


def turned(ds, name, chance):
    return ds.assign({name: ds[name].T}) if name in ds.data_vars else ds


def one_place(ds, name, chance):
    dim = chance.choice(sorted(map(str, ds.dims)))
    return ds.isel({dim: chance.choice([0, [0], [0, 0], slice(1, 4)])})


def data_variable(ds, name, chance):
    return ds.reset_coords(name) if name in set(ds.coords) - set(ds.dims) else ds


ARRAYS = [
    some_variable(change)
    for change in (
        values(np.nan),
        values(-999.0, -9999.0, -1.0),
        values(np.inf, 1e9, 1e38, 293.15, 95.0),
        no_variable,
        all_missing,
        text,
        whole_numbers,
        other_units,
        other_name,
        fewer_days,
        other_days,
        another_calendar,
        another_dimension,
        turned,
        one_place,
        data_variable,
    )
]


def damages(kind: str, path: Path) -> list:
    if path.suffix in (".csv", ".txt"):
        return TEXT
    # a folder that the reader of a file cannot look into has no other name to be read by
    return ARRAYS + (FILES if "caravan" in kind or kind == "zarr" else [truncate, empty])


CASES = [(kind, number) for kind in WRITE for number in range(ROUNDS)]


@pytest.mark.parametrize(("kind", "number"), CASES)
def test_whatever_is_passed_opens_and_whatever_is_refused_is_reported(
    whole, tmp_path, monkeypatch, kind, number
):
    for source in (caravan, camels_us):
        monkeypatch.setattr(source, "cached", lambda make, **_: make())
    chance = random.Random(f"{kind} {number}")
    root = tmp_path / "data"
    shutil.copytree(whole[kind], root)
    done = []
    with warnings.catch_warnings(action="ignore"):
        for _ in range(chance.choice([0] if number == 0 else [1, 1, 1, 2])):
            path = a_file(root, chance)
            damage = chance.choice(damages(kind, path))
            done.append(f"{damage.__name__} of {path.relative_to(root)}")
            try:
                damage(path, chance)
            except (ValueError, OSError, UnicodeDecodeError, IndexError, TypeError, KeyError):
                done.append("(which cannot be done)")
        try:
            problems = report(root).problems
        except HydronbError as error:
            problems = [str(error)]
        try:
            open_all(kind, root)
            refusal = ""
        except HydronbError as error:
            refusal = str(error)
    told = f"{done}\nopening: {refusal}\nchecking: {problems}"
    assert bool(problems) == bool(refusal), told
    what = refusal.split(": ", 1)[-1]  # a series that opening has joined no longer has a file
    if refusal and not any("known" in p or "no dimension" in p for p in problems):
        assert any(what in problem for problem in problems), told
    assert not any("\n" in problem for problem in (refusal, *problems)), told
    assert not any("as catchment data" in problem for problem in problems), told


@pytest.mark.parametrize(
    ("table", "change", "words"),
    [
        (
            "camels_topo.txt",
            lambda text: text.replace("1590.4", "much"),
            "camels_topo.txt: area_gages2 of basin 11532500 is 'much', not a number",
        ),
        (
            "camels_name.txt",
            lambda text: text.replace("01013500", "\0", 1),
            r"camels_name.txt: the gauge_id '\x00' is damaged",
        ),
    ],
)
def test_attribute_tables_of_camels_us(tmp_path, table, change, words):
    """Found by chance in a thousand damaged folders."""
    write_camels_us(tmp_path / "a", "daymet")
    (path,) = (tmp_path / "a").rglob(table)
    path.write_text(change(path.read_text()))
    assert any(words in problem for problem in report(tmp_path / "a").problems)
    with pytest.raises(HydronbError) as refused:
        open_all("camels_us", tmp_path / "a")
    assert words in str(refused.value)


def test_a_file_none_of_whose_variables_can_be_used(tmp_path):
    catchments().expand_dims(member=2).to_netcdf(tmp_path / "mine.nc")
    problems = report(tmp_path / "mine.nc").problems
    with pytest.raises(HydronbError) as refused:
        open_all("netcdf", tmp_path)
    assert str(refused.value) == problems[0]
    assert "(member, basin, time), not over" in problems[0]
