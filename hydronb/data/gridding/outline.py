"""A basin's outline, a polygon (GeoJSON) or a mask on some grid, and the share of another grid's
cells that lies in it."""

from pathlib import Path

import numpy as np

from hydronb.data.gridding.products import open_field
from hydronb.data.gridding.regrid import Axes, share_of_cells
from hydronb.errors import DataError
from hydronb.files import reading


class PolygonOutline:
    """A basin's polygons from GeoJSON in degrees (WGS84); `box` is west, south, east, north."""

    def __init__(self, path: Path) -> None:
        try:
            import shapely
        except ImportError:
            raise DataError(
                "basin polygons need shapely, which is not installed; pip install 'hydronb[grid]',"
                " or give a mask on a grid"
            ) from None
        with reading(path, "GeoJSON"):
            geojson = path.read_text(encoding="utf-8")
        parts = shapely.get_parts(shapely.from_geojson(geojson, on_invalid="ignore"))
        self.polygon = shapely.make_valid(shapely.union_all(parts[shapely.area(parts) > 0]))
        if self.polygon.is_empty:
            raise DataError(
                f"{path} is not GeoJSON with a polygon; the outline of the basin is needed, not its"
                " gauge"
            )
        self.box = tuple(float(edge) for edge in self.polygon.bounds)
        if max(map(abs, self.box[::2])) > 360 or max(map(abs, self.box[1::2])) > 90:
            raise DataError(
                f"{path}: coordinates up to {max(map(abs, self.box)):.0f} are not degrees;"
                " reproject to WGS84, for example with `ogr2ogr -t_srs EPSG:4326`"
            )

    def share(self, axes: Axes) -> np.ndarray:
        """Share of each cell of a grid that lies in the basin, 0 to 1, `(row, col)`."""
        import shapely

        high, wide = axes.cell
        lon, lat = np.meshgrid(axes.lon, axes.lat)
        cells = shapely.box(lon - wide / 2, lat - high / 2, lon + wide / 2, lat + high / 2)
        shapely.prepare(self.polygon)
        share = shapely.contains_properly(self.polygon, cells).astype(np.float64)
        edge = shapely.intersects(self.polygon, cells) & (share == 0)
        share[edge] = shapely.area(shapely.intersection(self.polygon, cells[edge])) / (high * wide)
        return np.clip(share, 0, 1)


class MaskOutline:
    """A basin's mask over latitude and longitude, of shares or of 0 and 1, from NetCDF or Zarr;
    `box` is west, south, east, north."""

    def __init__(self, path: Path) -> None:
        with open_field(path, "mask") as da:
            if da.dims != ("lat", "lon"):
                raise DataError(
                    f"{path}: mask is over {', '.join(map(str, da.dims))}; give one over latitude"
                    " and longitude alone"
                )
            da = da.load().sortby("lat", ascending=False).sortby("lon").fillna(0)
        self.values = da.to_numpy().astype(np.float64)
        if not (self.values > 0).any():
            raise DataError(f"{path}: mask is empty, no cell lies in the basin")
        if self.values.min() < 0 or self.values.max() > 1:
            raise DataError(
                f"{path}: mask has values outside 0 to 1; it is the share of each cell that lies in"
                " the basin"
            )
        self.axes = Axes(*(da[dim].to_numpy().astype(np.float64) for dim in ("lat", "lon")))
        rows, cols = (np.flatnonzero(self.values.any(axis=axis)) for axis in (1, 0))
        high, wide = self.axes.cell
        self.box = (
            float(self.axes.lon[cols[0]]) - wide / 2,
            float(self.axes.lat[rows[-1]]) - high / 2,
            float(self.axes.lon[cols[-1]]) + wide / 2,
            float(self.axes.lat[rows[0]]) + high / 2,
        )

    def share(self, axes: Axes) -> np.ndarray:
        """Share of each cell of a grid that lies in the basin, 0 to 1, `(row, col)`."""
        return (
            self.values if axes.same_as(self.axes) else share_of_cells(self.values, self.axes, axes)
        )


def read_outline(path: Path) -> PolygonOutline | MaskOutline:
    """A basin's outline.

    Raises
    ------
    DataError
        No such file, no polygon or no cell of the basin in it, coordinates that are not degrees.
    """
    if not path.exists():
        raise DataError(f"outline: no file {path}")
    if path.suffix.lower() in (".shp", ".gpkg", ".kml"):
        raise DataError(
            f"outline: {path} is not GeoJSON; convert it, for example with "
            f"`ogr2ogr -t_srs EPSG:4326 {path.stem}.geojson {path.name}`"
        )
    return (PolygonOutline if path.suffix.lower() in (".geojson", ".json") else MaskOutline)(path)
