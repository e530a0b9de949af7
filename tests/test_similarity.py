"""Clusters of input gates: the published embeddings, and cases that can be checked by hand."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from sklearn.metrics import silhouette_samples

from hydronb.analysis import similarity
from hydronb.data.attributes import KRATZERT2019
from hydronb.data.sources.camels_us import open_camels_attributes
from hydronb.errors import DataError, ParameterError


def points(values):
    values = np.asarray(values, float)
    return xr.DataArray(
        values, dims=("basin", "cell"), coords={"basin": [f"b{i:03d}" for i in range(len(values))]}
    )


@pytest.fixture(scope="module")
def three_groups():
    rng = np.random.default_rng(0)
    centres = np.array([[0, 0], [5, 0], [0, 5]])
    kind = np.repeat([0, 1, 2], [12, 8, 5])
    return points(centres[kind] + rng.normal(0, 0.2, (25, 2))), kind


# Published
# ---


@pytest.fixture(scope="module")
def published(real_data):
    gates = similarity.read_embedding(real_data / "published" / "ealstm_embedding.nc")
    camels = open_camels_attributes(real_data / "camels_us" / "camels_attributes_v2.0")
    camels = similarity.select_basins(camels, gates["basin"].values, where="CAMELS")
    spaces = similarity.all_spaces(gates, similarity.standardised_attributes(camels, KRATZERT2019))
    return gates, camels, spaces, {key: similarity.clusters(space) for key, space in spaces.items()}


def test_published_embeddings_choose_5_and_6_clusters(published):
    _, _, spaces, labels = published
    made = similarity.join_spaces(
        {key: similarity.silhouette_table(space, labels[key]) for key, space in spaces.items()}
    )
    assert similarity.best_k(made) == {"embedding": 5, "attributes": 6}
    means = made.groupby(["space", "k"])["mean"].mean()
    for space, expected in (
        ("embedding", {3: 0.2536, 5: 0.2766, 6: 0.2734}),
        ("attributes", {3: 0.1813, 5: 0.2345, 6: 0.2410}),
    ):
        for k, value in expected.items():
            assert means[space, k] == pytest.approx(value, abs=0.002)
    assert (means["embedding"] > means["attributes"]).all(), "Fig. 9: at every k below 15"
    assert sorted(similarity.best_k(made, "seed").values()) == [3, 4, 5, 5, 5, 5, 6, 6]


def test_published_advantage_hangs_on_the_weighting(published):
    _, camels, _, labels = published
    signatures = similarity.require_signatures(similarity.signatures_of(camels))
    assert len(signatures.data_vars) == 13
    made = similarity.join_spaces(
        {
            key: similarity.variance_reductions(of_key.sel(k=[5, 6]), signatures)
            for key, of_key in labels.items()
        }
    )
    mean = made.pivot_table("value", index=["weighting", "k"], columns="space")
    assert (mean.loc["cluster", "embedding"] > mean.loc["cluster", "attributes"]).all()
    assert (mean.loc["size", "embedding"] < mean.loc["size", "attributes"]).all()
    hfd = made[
        (made["signature"] == "hfd_mean") & (made["k"] == 6) & (made["weighting"] == "cluster")
    ]
    of_attributes = hfd["space"] == "attributes"
    assert hfd.loc[of_attributes, "value"].item() > hfd.loc[~of_attributes, "value"].max(), (
        "the paper's exception"
    )


def test_published_advantage_is_half_of_it_with_the_restarts_of_the_paper(published):
    """Fig. 10, k = 6: the attributes alone gain by more restarts."""
    _, camels, spaces, labels = published
    signatures = similarity.require_signatures(similarity.signatures_of(camels))

    def explained(of_key):
        table = similarity.variance_reductions(of_key.sel(k=[6]), signatures)
        return table.loc[table["weighting"] == "cluster", "value"].mean()

    keys = ("embedding", 444), ("attributes", None)
    few = {key[0]: explained(labels[key]) for key in keys}
    many = {key[0]: explained(similarity.clusters(spaces[key], [6], n_init=200)) for key in keys}
    assert few["embedding"] - few["attributes"] == pytest.approx(0.037, abs=0.003)
    assert many["embedding"] - many["attributes"] == pytest.approx(0.017, abs=0.001)


def test_the_seed_that_is_drawn(published):
    gates = published[0]
    assert similarity.choose_seed(gates) == 111
    assert similarity.choose_seed(gates, 444) == 444
    with pytest.raises(
        ParameterError, match="shown_seed = 1: the input gates have the seeds 111, "
    ):
        similarity.choose_seed(gates, 1)


def test_published_seeds_agree_beyond_chance_but_not_wholly(published):
    made = similarity.cluster_stability(
        {key: of_key.sel(k=[5]) for key, of_key in published[3].items()}
    )
    seeds = made[made["other"] != "attributes"]["adjusted_rand"]
    assert len(seeds) == 28 and 0.5 < seeds.min() and seeds.max() < 1


# By hand
# ---


def test_clusters_find_groups_the_largest_first(three_groups):
    space, kind = three_groups
    labels = similarity.clusters(space, [2, 3])
    assert labels.dims == ("k", "basin") and labels.sel(k=3).values.tolist() == kind.tolist()
    table = similarity.silhouette_table(space, labels)
    assert table.set_index("k")["mean"].idxmax() == 3 and table["min"].iloc[1] > 0.5
    own = silhouette_samples(space.values, kind)
    assert table["mean"].iloc[1] == pytest.approx(own.mean()) and table["min"].iloc[
        1
    ] == pytest.approx(own.min())


def test_silhouette_of_four_points_on_a_line():
    four = points([[0], [1], [10], [11]])
    table = similarity.silhouette_table(four, similarity.clusters(four, [2]))
    assert table["mean"].item() == pytest.approx((2 * (1 - 1 / 10.5) + 2 * (1 - 1 / 9.5)) / 4)
    assert table["min"].item() == pytest.approx(1 - 1 / 9.5)


@pytest.mark.parametrize("k", [1, 25, 40])
def test_more_clusters_than_basins(three_groups, k):
    with pytest.raises(DataError, match=f"k = {k} clusters of 25 basins: choose k from 2 to 24"):
        similarity.clusters(three_groups[0], [3, k])


def label_of(values, k=2):
    basins = [f"b{i:03d}" for i in range(len(values))]
    return xr.DataArray([values], dims=("k", "basin"), coords={"k": [k], "basin": basins})


def test_variance_reduction_by_hand():
    """Two clusters, of 4 and of 2 basins."""
    y = np.array([1.0, 2, 3, 4, 10, 14])
    ds = xr.Dataset({"q_mean": ("basin", y)}, coords={"basin": [f"b{i:03d}" for i in range(6)]})
    made = similarity.variance_reductions(label_of([0, 0, 0, 0, 1, 1]), ds).set_index("weighting")[
        "value"
    ]
    whole = y.var(ddof=1)
    assert made["cluster"] == pytest.approx(1 - (5 / 3 / whole + 8 / whole) / 2)
    assert made["size"] == pytest.approx(1 - (5 + 8) / (5 * whole))


def test_size_weighting_is_the_variance_between_clusters():
    rng = np.random.default_rng(1)
    y, labels = rng.normal(size=200), rng.integers(0, 6, 200)
    ds = xr.Dataset({"x": ("basin", y)}, coords={"basin": [f"b{i:03d}" for i in range(200)]})
    made = similarity.variance_reductions(label_of(labels), ds).set_index("weighting")["value"]
    between = sum((labels == c).sum() * (y[labels == c].mean() - y.mean()) ** 2 for c in range(6))
    assert made["size"] == pytest.approx(between / ((y - y.mean()) ** 2).sum())
    assert made["size"] > 0 > made["cluster"] - 0.1


def test_basins_without_a_signature():
    y = np.array([1.0, 2, np.nan, 4, 10, 14])
    ds = xr.Dataset({"q_mean": ("basin", y)}, coords={"basin": [f"b{i:03d}" for i in range(6)]})
    with pytest.raises(DataError, match="basin b002 has no q_mean; leave out"):
        similarity.require_signatures(ds)
    labels = label_of([0, 0, 0, 0, 1, 1])
    skipped = similarity.variance_reductions(
        labels, similarity.require_signatures(ds, missing="skip")
    )
    kept = similarity.variance_reductions(labels.isel(basin=[0, 1, 3, 4, 5]), ds.dropna("basin"))
    pd.testing.assert_frame_equal(skipped, kept)
    with pytest.raises(DataError, match="no signatures"):
        similarity.require_signatures(xr.Dataset())
    with pytest.raises(DataError, match="neither camels_hydro's nor streamflow"):
        similarity.signatures_of(xr.Dataset())


def test_labels_are_aligned_by_their_basins():
    reference, other = label_of([0, 0, 0, 1, 1, 2])[0], label_of([1, 1, 2, 0, 0, 2])[0]
    assert similarity.matched_labels(other, reference).values.tolist() == [0, 0, 2, 1, 1, 2]


def test_agreement_with_the_truth():
    truth = xr.DataArray(
        list("aabb"), dims="basin", coords={"basin": [f"b{i:03d}" for i in range(4)]}
    )
    labels = {
        ("embedding", 1): label_of([1, 1, 0, 0]),
        ("attributes", None): label_of([0, 1, 0, 1]),
    }
    made = similarity.truth_agreement(labels, truth)
    assert made["adjusted_rand"].tolist() == [1.0, -0.5] and made["seed"].tolist() == [1, pd.NA]


def test_attributes_are_standardised_over_these_basins():
    ds = xr.Dataset(
        {
            "a": ("basin", [1.0, 2, 6]),
            "same": ("basin", [4.0] * 3),
            "kind": ("basin", ["x", "y", "x"]),
            "gap": ("basin", [1.0, np.nan, 3]),
        },
        coords={"basin": ["1", "2", "3"]},
    )
    made = similarity.standardised_attributes(ds, ["a", "same", "kind"])
    np.testing.assert_allclose(made.std("basin", ddof=1), [1, 0, 1], atol=1e-12)
    np.testing.assert_allclose(made.mean("basin"), 0, atol=1e-12)
    with pytest.raises(DataError, match="attribute gap of basin 2 is missing"):
        similarity.standardised_attributes(ds, ["gap"])
    assert (
        similarity.standardised_attributes(ds, ["gap"], fill_missing=True).sel(basin="2").item()
        == 0
    )
    with pytest.raises(DataError, match="no attribute 'b'"):
        similarity.standardised_attributes(ds, ["b"])


def test_basins_join_by_the_part_after_the_prefix():
    ds = xr.Dataset({"a": ("basin", [1.0, 2])}, coords={"basin": ["01013500", "02046000"]})
    made = similarity.select_basins(ds, ["camels_02046000"], where="here")
    assert made["a"].item() == 2 and made["basin"].item() == "camels_02046000"
    with pytest.raises(DataError, match="here has no basin '1013500' of the embedding"):
        similarity.select_basins(ds, ["1013500"], where="here")


# Files
# ---


def gate(**changes):
    ids = changes.pop("basin", ["01", "02", "03"])
    values = changes.pop("values", np.full((2, 3, 4), 0.5))
    return xr.Dataset(
        {"input_gate": (("seed", "basin", "cell"), values)}, coords={"seed": [1, 2], "basin": ids}
    )


@pytest.mark.parametrize(
    ("ds", "message"),
    [
        (gate().rename(input_gate="gate"), "has no variable input_gate"),
        (gate(basin=[1, 2, 3]), "ids must be text"),
        (gate(basin=["01", "01", "03"]), "each once"),
        (gate(values=np.full((2, 3, 4), 1.5)), "not within 0 to 1"),
        (gate(values=np.full((2, 3, 4), np.nan)), "not within 0 to 1"),
        (gate().rename(cell="unit"), "it needs seed, basin and cell"),
    ],
)
def test_files_that_are_no_embedding(tmp_path, ds, message):
    ds.to_netcdf(tmp_path / "e.nc")
    with pytest.raises(DataError, match=message):
        similarity.read_embedding(tmp_path / "e.nc")


def test_an_embedding_is_written_and_read_again(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        similarity.read_embedding(tmp_path / "embedding.nc")
    (tmp_path / "text.nc").write_text("no")
    with pytest.raises(DataError, match="cannot be read as NetCDF"):
        similarity.read_embedding(tmp_path / "text.nc")
    gates = gate()["input_gate"]
    catchments = xr.Dataset(
        {"aridity": ("basin", [1.0, 2, 3]), "true_regime": ("basin", ["x", "y", "x"])},
        coords={
            "basin": gates["basin"].values,
            "lat": ("basin", [40.0, 41, 42]),
            "lon": ("basin", [-80.0, -90, -100]),
        },
    )
    signatures = xr.Dataset(
        {"q_mean": ("basin", [0.1, 0.2, 0.3])}, coords={"basin": gates["basin"].values}
    )
    similarity.save_embedding(tmp_path, gates, catchments, signatures, ["aridity"])
    read = similarity.read_embedding(tmp_path / "embedding.nc")
    np.testing.assert_array_equal(read, gates)
    with xr.open_dataset(tmp_path / "embedding.nc") as ds:
        assert {"aridity", "q_mean", "true_regime"} == set(ds.data_vars) - {"input_gate"}
        assert {"lat", "lon"} <= set(ds.coords)
    assert not list(tmp_path.glob("*.partial"))


def test_one_seed_without_a_dimension(tmp_path):
    gate().sel(seed=2).to_netcdf(tmp_path / "one.nc")
    assert similarity.read_embedding(tmp_path / "one.nc").sizes == {
        "seed": 1,
        "basin": 3,
        "cell": 4,
    }
    assert similarity.read_embedding(tmp_path / "one.nc")["seed"].item() == 2


def test_spaces_of_other_basins():
    with pytest.raises(DataError, match="basin 03 is not in both"):
        similarity.all_spaces(
            gate()["input_gate"], points([[1], [2]]).assign_coords(basin=["01", "02"])
        )


# Figures
# ---


def test_figures_draw_from_the_tables_alone(three_groups, tmp_path):
    from hydronb import plots
    from hydronb.plots import similarity as figures

    plots.start()
    space, _ = three_groups
    spaces = {("embedding", 1): space, ("embedding", 2): space * 2, ("attributes", None): space + 1}
    labels = {key: similarity.clusters(s, [3, 4]) for key, s in spaces.items()}
    ds = xr.Dataset({"q_mean": ("basin", np.arange(25.0))}, coords={"basin": space["basin"]})
    of_spaces = {key: similarity.silhouette_table(s, labels[key]) for key, s in spaces.items()}
    tables = {
        "silhouettes": similarity.join_spaces(of_spaces),
        "reduction": similarity.join_spaces(
            {key: similarity.variance_reductions(s, ds) for key, s in labels.items()}
        ),
        "stability": similarity.cluster_stability(labels),
    }
    for name, table in tables.items():
        table.to_csv(tmp_path / f"{name}.csv", index=False)
    read = {name: pd.read_csv(tmp_path / f"{name}.csv") for name in tables}
    plots.style.render(figures.silhouette_curves(read["silhouettes"]))
    plots.style.render(figures.variance_bars(read["reduction"], 3, seed=111))
    plots.style.render(figures.agreement_matrix(read["stability"], 4))
    gates = gate()["input_gate"]
    plots.style.render(figures.gate_image(gates.sel(seed=1)))
    plane = pd.DataFrame({"basin": space["basin"].values, "x": 0.1, "y": np.arange(25.0)})
    plots.style.render(figures.projections(plane, ds))
    place = {
        "lat": ("basin", np.linspace(30, 45, 25)),
        "lon": ("basin", np.linspace(-120, -80, 25)),
    }
    plots.style.render(
        figures.cluster_maps({"here": labels["embedding", 1][0].assign_coords(place)})
    )


def test_attributes_of_a_group_share_a_hue():
    from hydronb import plots
    from hydronb.plots import similarity as figures

    names = ["p_mean", "aridity", "p_mean", "clay_frac", "elev_mean"]
    coords = {"basin": list("abcde"), "lat": ("basin", [40.0, 41, 42, 43, 44])}
    first = xr.DataArray(names, coords | {"lon": ("basin", [-90.0, -91, -92, -93, -94])}, "basin")
    groups = {"p_mean": "clim", "aridity": "clim", "clay_frac": "soil", "elev_mean": "topo"}
    attributes = xr.Dataset(
        {
            name: ("basin", np.zeros(5), {"group": group, "long_name": f"the {name}"})
            for name, group in groups.items()
        }
    )
    figure = plots.style.render(figures.most_sensitive_map(first, attributes))
    by_label = {}
    for item in figure.legend[0].items:
        by_label[item.label.value] = item.renderers[0].glyph.fill_color
    assert sorted(by_label) == [
        "climate: the aridity (1)",
        "climate: the p_mean (2)",
        "soil: the clay_frac (1)",
        "topography: the elev_mean (1)",
    ]
    assert len(set(by_label.values())) == 4
    red, green, blue = (int(by_label["climate: the aridity (1)"][k : k + 2], 16) for k in (1, 3, 5))
    assert blue > green > red, "a blue"
    red, green, blue = (
        int(by_label["topography: the elev_mean (1)"][k : k + 2], 16) for k in (1, 3, 5)
    )
    assert red > green > blue, "an orange"
