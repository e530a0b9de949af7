"""An outputs folder as the notebooks leave it, made of random numbers of any size; nothing is
trained."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
import yaml

import hydronb

SEEDS = (111, 222)
ATTRIBUTES = {
    "aridity": "1",
    "elev_mean": "m",
    "p_mean": "mm/d",
    "frac_snow": "1",
    "slope_mean": "m/km",
    "frac_forest": "1",
    "area_gages2": "km2",
    "soil_depth_statsgo": "m",
    "lai_max": "1",
    "clay_frac": "%",
}
SIGNATURES = {"q_mean": "mm/d", "runoff_ratio": "1", "baseflow_index": "1", "high_q_freq": "d/yr"}
KS = (3, 4, 5, 6)
ENCODING = {"zlib": True, "complevel": 1}


def write(
    root: Path,
    *,
    basins: int = 12,
    years: int = 4,
    components: int = 3,
    cells: int = 8,
    seed: int = 0,
) -> Path:
    """A plan `tiny` with training runs of two EA-LSTMs, an LSTM and two delta-HBVs, their
    benchmark, similarity, sensitivity, and the CNN-LSTM's probes."""
    rng = np.random.default_rng(seed)
    places = catchments(rng, basins)
    time = pd.date_range("1990-10-01", periods=round(365.25 * years))
    seasons = (
        np.sin(2 * np.pi * (time.day_of_year.to_numpy() / 365.25 + rng.random((basins, 1)))) + 1.2
    )
    obs = (seasons * rng.gamma(0.4, 2.0, (basins, len(time)))).astype(np.float32)
    models = {
        "ealstm_01_train/train_seed-111": {"model": "ealstm", "seed": 111},
        "ealstm_01_train/train_seed-222": {"model": "ealstm", "seed": 222},
        "ealstm_01_train/lstm": {"model": "lstm", "seed": 111},
        "delta_hbv_01_train/dynamic": {
            "model": "delta_hbv",
            "components": components,
            "recharge": "hbv",
            "dynamic": ["BETA", "BETAET"],
        },
        "delta_hbv_01_train/static": {
            "model": "delta_hbv",
            "components": components,
            "recharge": "hbv",
            "dynamic": [],
        },
    }
    for name, parameters in models.items():
        folder = run(root, name, parameters)
        sim = np.maximum(obs * (0.8 + 0.2 * rng.random(obs.shape)), 0).astype(np.float32)
        write_simulation(
            folder, places, time, {"streamflow": (sim, "mm/d"), "streamflow_obs": (obs, "mm/d")}
        )
        scores(rng, places).to_csv(folder / "metrics.csv")
        progress(rng).to_csv(folder / "progress.csv", index=False)
        if parameters["model"] == "delta_hbv":
            fluxes(folder, rng, places, time, obs)
            hbv_parameters(folder, rng, places, time, components, parameters["dynamic"])
    similarity(run(root, "ealstm_05_similarity/similarity", {"ks": list(KS)}), rng, places, cells)
    sensitivity(run(root, "ealstm_04_sensitivity/sensitivity", {"threads": 1}), rng, places)
    probes(run(root, "cnn_lstm_03_probes/probes", {"targets": []}), rng, time)
    table = pd.DataFrame(
        {"model": ["EA-LSTM", "LSTM"], "kind": "single", "nse_mean": [0.674, 0.687]}
    )
    table.to_csv(
        run(root, "ealstm_02_benchmark/benchmark", {"draws": 10}) / "table2.csv", index=False
    )
    return root


def run(
    root: Path, name: str, parameters: dict, *, status: str = "complete", **more: object
) -> Path:
    """An empty run directory with its parameters and record."""
    folder = root / "tiny" / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "params.yaml").write_text(yaml.safe_dump(parameters))
    (folder / "run.json").write_text(
        json.dumps(
            {
                "id": folder.name,
                "plan": "tiny",
                "notebook": folder.parent.name,
                "status": status,
                "identity": "x",
                "needs": [],
                "versions": {"hydronb": hydronb.__version__, "notebook": "abc"},
                "notebook_file": "gone.ipynb",
                "seconds": 12.0,
                "finished": "2026-01-01T12:00:00",
                **more,
            }
        )
    )
    return folder


def catchments(rng: np.random.Generator, n: int) -> xr.Dataset:
    """Ids, places, attributes."""
    ids = [f"{i:08d}" for i in 1_000_000 + np.arange(n) * 13_500]
    coords = {
        "basin": ids,
        "lat": ("basin", rng.uniform(30, 48, n)),
        "lon": ("basin", rng.uniform(-122, -70, n)),
        "gauge_name": ("basin", [f"River <b>{i}</b> & Sons" for i in range(n)]),
    }
    ds = xr.Dataset(
        {a: ("basin", rng.gamma(2, 1, n), {"units": u}) for a, u in ATTRIBUTES.items()}, coords
    )
    ds["geol_1st_class"] = (
        "basin",
        rng.choice(["Metamorphics", "Unconsolidated sediments", "Carbonate"], n),
    )
    return ds


def write_simulation(
    folder: Path,
    places: xr.Dataset,
    time: pd.DatetimeIndex,
    series: dict,
    file: str = "simulation.nc",
) -> None:
    """Series (basin, time, ...) chunked by basin, or (basin, component)."""
    ds = xr.Dataset(
        coords={"basin": places["basin"], "time": time, **{c: places[c] for c in ("lat", "lon")}}
    )
    encoding = {}
    for name, (values, units) in series.items():
        dims = ("basin", "time", "component") if values.ndim == 3 else ("basin", "time")
        dims = dims if values.shape[1:2] == (len(time),) else ("basin", "component")[: values.ndim]
        ds[name] = dims, values, {"units": units}
        if dims[1:2] == ("time",):
            encoding[name] = ENCODING | {"chunksizes": (1, *values.shape[1:])}
    ds.to_netcdf(folder / file, encoding=encoding)


def fluxes(
    folder: Path,
    rng: np.random.Generator,
    places: xr.Dataset,
    time: pd.DatetimeIndex,
    obs: np.ndarray,
) -> None:
    part = {
        n: (obs * s, "mm/d")
        for n, s in {
            "rain": 1.6,
            "snow": 0.2,
            "melt": 0.2,
            "refreeze": 0.01,
            "recharge": 0.9,
            "excess": 0.1,
            "et": 0.8,
            "percolation": 0.5,
            "q0": 0.2,
            "q1": 0.3,
            "q2": 0.5,
        }.items()
    }
    stores = ("snowpack", "meltwater", "soil_moisture", "upper_zone", "lower_zone")
    for name in stores:
        part[name] = (np.cumsum(rng.normal(0, 1, obs.shape), axis=1).astype(np.float32) + 100, "mm")
    write_simulation(folder, places, time, part, "fluxes.nc")


def hbv_parameters(
    folder: Path,
    rng: np.random.Generator,
    places: xr.Dataset,
    time: pd.DatetimeIndex,
    components: int,
    dynamic: list[str],
) -> None:
    n = places.sizes["basin"]
    part = {}
    for name, (low, high) in {
        "BETA": (1, 6),
        "FC": (50, 1000),
        "K0": (0.05, 0.9),
        "BETAET": (0.3, 5),
    }.items():
        if name in dynamic:
            wave = np.sin(2 * np.pi * time.day_of_year.to_numpy() / 365.25)[:, None] * rng.random(
                (n, 1, components)
            )
            values = (low + high) / 2 + 0.3 * (high - low) * wave + rng.normal(0, 0.02, wave.shape)
        else:
            values = rng.uniform(low, high, (n, components))
        part[name] = (values.astype(np.float32), "1")
    part["routing_a"] = (rng.uniform(0, 2.9, n).astype(np.float32), "1")
    write_simulation(folder, places, time, part, "parameters.nc")


def scores(rng: np.random.Generator, places: xr.Dataset) -> pd.DataFrame:
    names = (
        "nse",
        "kge",
        "r",
        "alpha_nse",
        "beta_nse",
        "rmse",
        "fhv",
        "fms",
        "flv",
        "bpv",
        "bmv",
        "blv",
    )
    n = places.sizes["basin"]
    table = {
        m: rng.beta(5, 2, n) if m in ("nse", "kge", "r") else rng.normal(0, 10, n) for m in names
    }
    return pd.DataFrame(table, index=pd.Index(places["basin"].values, name="basin"))


def progress(rng: np.random.Generator, epochs: int = 6) -> pd.DataFrame:
    epoch = np.arange(1, 4 * epochs + 1) / 4
    return pd.DataFrame(
        {
            "epoch": epoch,
            "epochs": epochs,
            "loss": np.exp(-epoch / 3) + rng.normal(0, 0.01, len(epoch)),
            "valid": np.where(epoch % 1 == 0, 1 - np.exp(-epoch / 2), np.nan),
            "learning_rate": 0.001,
            "seconds": epoch * 5,
            "cpu_seconds": epoch * 5,
        }
    )


def similarity(folder: Path, rng: np.random.Generator, places: xr.Dataset, cells: int) -> None:
    ids, n = places["basin"].values, places.sizes["basin"]
    kind = np.arange(n) % 4
    gate = rng.beta(2, 2, (len(SEEDS), 4, cells))[:, kind] * 0.9 + 0.1 * rng.random(
        (len(SEEDS), n, cells)
    )
    ds = places.assign({s: ("basin", rng.random(n), {"units": u}) for s, u in SIGNATURES.items()})
    ds = ds.assign_coords(seed=list(SEEDS))
    ds["input_gate"] = ("seed", "basin", "cell"), gate.astype(np.float32)
    ds.to_netcdf(folder / "embedding.nc", encoding={"input_gate": ENCODING})
    spaces = [("embedding", s) for s in SEEDS] + [("attributes", None)]
    rows = {"umap": [], "clusters": [], "silhouettes": [], "variance_reduction": []}
    for space, s in spaces:
        about = {"space": space, "seed": s}
        place = np.stack([np.cos(kind * 1.6), np.sin(kind * 1.6)]) * 5 + rng.normal(0, 0.6, (2, n))
        rows["umap"].append(pd.DataFrame(about | {"basin": ids, "x": place[0], "y": place[1]}))
        for k in KS:
            cluster = np.where((np.arange(n) % 3 == 0) & (kind < k - 4), kind + 4, kind % k)
            rows["clusters"].append(
                pd.DataFrame(about | {"k": k, "basin": ids, "cluster": cluster})
            )
            rows["silhouettes"].append(
                pd.DataFrame(about | {"k": [k], "mean": 0.4 - abs(k - 4) / 20, "min": -0.1})
            )
            for weighting in ("cluster", "size"):
                rows["variance_reduction"].append(
                    pd.DataFrame(
                        about
                        | {
                            "k": k,
                            "signature": list(SIGNATURES),
                            "weighting": weighting,
                            "value": rng.random(4),
                        }
                    )
                )
    for name, parts in rows.items():
        table = pd.concat([p.astype({"seed": "Int64"}) for p in parts])
        table.to_csv(folder / f"{name}.csv", index=False)


def sensitivity(folder: Path, rng: np.random.Generator, places: xr.Dataset) -> None:
    names = ["seed", "basin", "attribute"]
    index = pd.MultiIndex.from_product([SEEDS, places["basin"].values, ATTRIBUTES], names=names)
    each = pd.DataFrame({"sensitivity": rng.random(len(index))}, index=index)
    each.reset_index().to_csv(folder / "sensitivities.csv", index=False)
    means = each.groupby(level=["seed", "attribute"])["sensitivity"].mean().reset_index()
    means.to_csv(folder / "rankings.csv", index=False)


def probes(folder: Path, rng: np.random.Generator, time: pd.DatetimeIndex) -> None:
    rows = [
        {
            "run": label,
            "label": label,
            "layer": layer,
            "target": target,
            "control": control,
            "split": split,
            "nse": rng.uniform(0, 1),
            "r": rng.uniform(0, 1),
            "basins": 1,
            "days": 900,
        }
        for label in ("LSTM (streamflow)", "LSTM (et)")
        for layer in ("cells", "features")
        for target in ("et", "true_snow")
        for control in ("network", "untrained", "forcing", "shuffled")
        for split in ("test", "train")
    ]
    pd.DataFrame(rows).to_csv(folder / "probes.csv", index=False)
    truth = rng.gamma(0.5, 2, len(time)).astype(np.float32)
    attrs = {"units": "mm/d"}
    xr.Dataset(
        {"truth": ("time", truth, attrs), "probed": ("time", 0.8 * truth, attrs)},
        {"time": time},
        {"title": "et from the cells of LSTM (streamflow)"},
    ).to_netcdf(folder / "probe_1.nc")
