"""Maps of gridded catchments, rendered."""

import numpy as np
import pytest

from hydronb import plots
from hydronb.data.synthetic import synthetic_grid
from hydronb.plots.grids import _border


@pytest.fixture(scope="module")
def ds():
    return synthetic_grid((5, 6), 1, cells=False)


def test_maps_show_every_field_the_right_way_up(ds, tmp_path):
    maps = plots.grid_maps(ds)
    assert len(maps) == 4
    image = next(iter(maps)).Image.I
    north_west = image[ds["lon"].values[0], ds["lat"].values[0]]
    assert north_west == pytest.approx(float(ds["elevation"][0, 0]))
    assert plots.save(maps, tmp_path, "maps").stat().st_size > 100_000


def test_the_border_goes_around_the_cells_that_have_a_travel_time(ds):
    drawn = next(iter(plots.grid_maps(ds))).Path.I.split(datatype="array")
    known = np.isfinite(ds["true_travel_time"].to_numpy())
    expected = _border(known, ds["lon"].to_numpy(), ds["lat"].to_numpy())

    def ends(lines):
        return sorted(np.round(line, 6).tolist() for line in lines)

    assert (ds["mask"].to_numpy()[known] < 0.5).any() and ends(drawn) == ends(expected)


def test_the_border_of_one_cell_is_its_four_sides():
    inside = np.zeros((3, 3), dtype=bool)
    inside[0, 1] = True
    lines = _border(inside, np.array([10.0, 11, 12]), np.array([52.0, 51, 50]))
    ends = {tuple(sorted(map(tuple, line.tolist()))) for line in lines}
    assert ends == {
        ((10.5, 51.5), (11.5, 51.5)),
        ((10.5, 52.5), (11.5, 52.5)),
        ((10.5, 51.5), (10.5, 52.5)),
        ((11.5, 51.5), (11.5, 52.5)),
    }
