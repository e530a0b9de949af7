"""Maps of gridded catchments, rendered."""

import holoviews as hv
import numpy as np
import pytest

from hydronb import plots
from hydronb.data.gridded import basin_mean
from hydronb.data.synthetic import synthetic_grid
from hydronb.errors import DataError
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


def test_a_storm_has_one_scale_and_the_wettest_day_in_the_middle(ds):
    panels = list(plots.storm(ds, basin_mean(ds, "prcp")))
    limits = {
        hv.Store.lookup_options("bokeh", panel.Image.I, "plot").kwargs.get("clim")
        or hv.Store.lookup_options("bokeh", panel.Image.I, "style").kwargs.get("clim")
        for panel in panels
    }
    assert len(panels) == 3 and len(limits) == 1
    peaks = [np.nanmean(panel.Image.I.dimension_values(2)) for panel in panels]
    assert max(peaks) == peaks[1]
    with pytest.raises(DataError, match="1970-01-01 is not in the data, which run from 1983-01-01"):
        plots.storm(ds, basin_mean(ds, "prcp"), "1970-01-01")


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
