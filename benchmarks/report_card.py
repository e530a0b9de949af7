"""The report card: every published number that can be computed from a lower level than it is
printed.

    make report-card

Writes `docs/report_card.md`: what was published, what comes out here, whether it agrees to the last
printed digit, and if not, why. The scores of every basin, the input gates and the gradients that
were published with Kratzert et al. (2019) are looked for in the folder `published` of
$HYDRONB_DATA, or of `shared/data` beside the checkout, the attributes of CAMELS in its folder
`camels_us`; what needs no file is computed anywhere. Exits with 1 where a number disagrees for no
reason that is known.
"""

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import xarray as xr

from hydronb.analysis import ensembles, sensitivity, significance, similarity
from hydronb.data import read_basin_list
from hydronb.data.attributes import KRATZERT2019
from hydronb.data.sources.camels_us import open_camels_attributes
from hydronb.data.sources.published import MODELS
from hydronb.metrics import METRICS
from hydronb.models.cnn_lstm import Encoder

ROOT = Path(__file__).resolve().parent.parent
CARD = ROOT / "docs" / "report_card.md"
DATA = Path(os.environ.get("HYDRONB_DATA") or ROOT.parent / "shared" / "data")
RANDOM_PAIRS = (
    "the paper's notebook pairs two lists of basins in different orders; with pairs joined by id"
    " the test gives this"
)
SINGLE_PRECISION = "the scores of the basins were stored in single precision"


@dataclass(frozen=True)
class Number:
    """A published number, as printed, and the same one computed here."""

    what: str
    published: str
    here: float
    why: str = ""
    """The reason, where they are not the same."""

    @property
    def computed(self) -> str:
        """`here` with the digits that were published."""
        digits = self.published.lower().partition("e")
        decimals = len(digits[0].partition(".")[2])
        if digits[1]:
            return f"{self.here:.{decimals}e}"
        return f"{round(self.here, decimals) + 0.0:.{decimals}f}"

    @property
    def agrees(self) -> bool:
        return float(self.computed) == float(self.published)


def published_text(name: str, index: list[str]) -> pd.DataFrame:
    """A table of `hydronb.analysis.published` with its numbers as they are printed."""
    path = files("hydronb.analysis").joinpath(f"published/{name}.csv")
    with path.open(encoding="utf-8") as file:
        return pd.read_csv(file, comment="#", dtype=str, keep_default_na=False).set_index(index)


# From files that were published with Kratzert et al. (2019)
# ---


@cache
def network_scores() -> xr.Dataset:
    """Scores of the EA-LSTMs and LSTMs trained with NSE*, (model, member, basin)."""
    ds = xr.load_dataset(DATA / "published" / "ealstm_test_metrics.nc").astype(float)
    return ds.rename({name: name.lower() for name in ds.data_vars if name.lower() != name})


@cache
def other_scores() -> pd.DataFrame:
    """NSE of five benchmark models, by their labels, in the 447 basins of Table 3."""
    table = pd.read_csv(DATA / "published" / "benchmark_nse.csv", dtype={"basin": str})
    basins = read_basin_list(ROOT / "params" / "paper" / "basins_447.txt")
    return table.set_index("basin").loc[basins].rename(columns=MODELS)


def table_2() -> Iterator[Number]:
    """Kratzert et al. (2019), Table 2, with the digits of its notebook: NSE in 531 basins"""
    rows = published_text("kratzert2019_table2", ["model", "loss", "kind"])
    here = ensembles.summary(network_scores(), ensembles.TABLE2)
    for model, label in (("ealstm", "EA-LSTM"), ("lstm", "LSTM")):
        for kind in ensembles.KINDS:
            for name, text in rows.loc[model, "nse_star", kind].items():
                column = name if name.startswith("failures") else f"nse_{name}"
                if text:
                    yield Number(f"{label}, {kind}: {name}", text, here.loc[(model, kind), column])


def table_3() -> Iterator[Number]:
    """Kratzert et al. (2019), Table 3, EA-LSTM with the digits of its notebook: 447 basins"""
    rows = published_text("kratzert2019_table3", ["model"])
    basins = other_scores().index
    here = ensembles.summary(
        network_scores().sel(model=["ealstm"], basin=basins), ensembles.table3_statistics()
    )
    for kind in ensembles.KINDS:
        for name, text in rows.loc[f"EA-LSTM, NSE* {kind}"].items():
            column = name if name in ("nse_mean", "failures") else f"{name}_median"
            value = here.loc[("ealstm", kind), column]
            yield Number(f"EA-LSTM, {kind}: {name}", text, value, why=SINGLE_PRECISION)
    spread = {
        "nse_mean": "0.006329",
        "nse_median": "0.004498",
        "failures": "1.053269",
        "alpha_nse_median": "0.013147",
        "beta_nse_median": "0.008962",
        "fhv_median": "1.148501",
        "fms_median": "1.724323",
        "flv_median": "7.588762",
    }
    for name, text in spread.items():
        value = here.loc[("ealstm", "single"), f"{name}_std"]
        yield Number(f"EA-LSTM, deviation over seeds: {name}", text, value)
    nse = xr.DataArray(
        other_scores().to_numpy().T,
        dims=("model", "basin"),
        coords={"model": list(other_scores()), "basin": basins},
    )
    here = ensembles.summary(nse.to_dataset(name="nse"), ensembles.table3_statistics())
    columns = {"nse_mean": "nse_mean", "nse": "nse_median", "failures": "failures"}
    for label in other_scores():
        for name, column in columns.items():
            text = (
                f"{float(rows.loc[label, name]):.3g}"  # the digits of the paper, as of the scores
            )
            yield Number(f"{label}: {name}", text, here.loc[(label, "single"), column])


def failures_in_the_text() -> Iterator[Number]:
    """Kratzert et al. (2019), Sect. 3.2 and 3.3: failures in percent; NSE without noise"""
    scores = network_scores()["nse"].sel(model="ealstm", basin=other_scores().index)
    share = 100 * (scores <= 0).mean("basin")
    seeds = share.drop_sel(member="ensemble")
    yield Number(
        "EA-LSTM, single: failures (%)",
        "0.4",
        float(seeds.mean()),
        why="2.125 of 447 basins are 0.48 %; the paper divides the rounded 2",
    )
    yield Number("EA-LSTM, single: their deviation (%)", "0.2", float(seeds.std()))
    yield Number("EA-LSTM, ensemble: failures (%)", "0.2", float(share.sel(member="ensemble")))
    seed = network_scores()["nse"].sel(model="ealstm", member="seed111")
    for text, share in (("0.71", 0.5), ("0.13", 0.01), ("0.34", 0.05)):
        yield Number(
            f"EA-LSTM of seed 111: percentile {100 * share:g} of NSE",
            text,
            seed.quantile(share).item(),
        )


def tests() -> Iterator[Number]:
    """Kratzert et al. (2019), Sect. 3.1 and 3.2: Wilcoxon's p and Cohen's d of the NSE"""
    scores = network_scores()["nse"]
    of_kind = {
        "single": scores.drop_sel(member="ensemble").mean("member"),
        "ensemble": scores.sel(member="ensemble"),
    }
    others = other_scores()
    rows = published_text("kratzert2019_significance", ["metric", "a", "b", "kind"]).loc["nse"]
    for (a, b, kind), row in rows.iterrows():
        networks = {
            f"{label}, NSE*": of_kind[kind].sel(model=model).to_series()
            for model, label in (("ealstm", "EA-LSTM"), ("lstm", "LSTM"))
        }
        both = networks | {label: others[label] for label in others}
        if a not in both or b not in both:
            continue
        one, other = both[a], both[b]
        if b in others:
            one = one[others.index]
        why = RANDOM_PAIRS if b in others else ""
        yield Number(
            f"{a} and {b}, {kind}: p", row["p_published"], significance.wilcoxon(one, other), why
        )
        if row["d_published"]:
            yield Number(
                f"{a} and {b}, {kind}: d", row["d_published"], significance.cohens_d(one, other)
            )


def table_4() -> Iterator[Number]:
    """Kratzert et al. (2019), Table 4, with the digits of its notebook: ranking of attributes"""
    path = DATA / "published" / "ealstm_morris_seed111.csv"
    here = sensitivity.attribute_ranking(sensitivity.read_sensitivities(path))
    here = here.set_index("attribute")["sensitivity"]
    for name, row in published_text("kratzert2019_table4", ["attribute"]).iterrows():
        yield Number(name, row["sensitivity"], here[name])


def clusters() -> Iterator[Number]:
    """Kratzert et al. (2019), Fig. 9: number of clusters with the highest mean silhouette"""
    gates = similarity.read_embedding(DATA / "published" / "ealstm_embedding.nc")
    camels = open_camels_attributes(DATA / "camels_us" / "camels_attributes_v2.0")
    camels = similarity.select_basins(camels, gates["basin"].values, where="CAMELS")
    spaces = similarity.all_spaces(gates, similarity.standardised_attributes(camels, KRATZERT2019))
    best = similarity.best_k(
        similarity.join_spaces(
            {
                key: similarity.silhouette_table(space, similarity.clusters(space))
                for key, space in spaces.items()
            }
        )
    )
    yield Number("input gates, mean of eight seeds", "5", best["embedding"])
    yield Number("attributes", "6", best["attributes"])


# From tables of the papers
# ---


def text_from_table_2() -> Iterator[Number]:
    """Kratzert et al. (2019), Sect. 3.1: what static attributes bring, from Table 2"""
    mean = published_text("kratzert2019_table2", ["model", "loss", "kind"])["mean"].astype(float)
    for loss, text in (("mse", "0.44"), ("nse_star", "0.30")):
        gain = mean["lstm", loss, "single"] - mean["lstm_no_static", loss, "single"]
        yield Number(
            f"LSTM, {loss}: mean NSE with attributes minus without",
            text,
            gain,
            why="the means of Table 2 give this; where the text has it from is not known",
        )


def text_from_tables_3_and_4() -> Iterator[Number]:
    """Li et al. (2023), abstract and Sect. 3.3: from its Tables 3 and 4"""
    q, ea = (
        published_text(f"li2023_{name}", ["basin", "model"])
        .reset_index()
        .astype({"nse": float})
        .pivot_table("nse", "basin", "model")
        for name in ("table3", "table4")
    )
    yield Number("lowest NSE of runoff, all models", "0.82", q.min(axis=None))
    yield Number("lowest NSE of evaporation, all models", "0.95", ea.min(axis=None))
    yield Number("lowest NSE of runoff, CNN-LSTM", "0.89", q["CNN-LSTM"].min())
    yield Number("lowest NSE of evaporation, CNN-LSTM", "0.97", ea["CNN-LSTM"].min())
    yield Number(
        "lowest NSE of runoff, single task", "0.87", q[["LSTM", "CNN-LSTM"]].min(axis=None)
    )
    yield Number("lowest NSE of runoff, LSTM MT", "0.89", q["LSTM MT"].min())
    yield Number("lowest NSE of runoff, CNN-LSTM MT", "0.82", q["CNN-LSTM MT"].min())
    gain = (q["LSTM MT"] - q["LSTM"]).mean()
    yield Number("NSE of runoff, LSTM MT minus LSTM, mean of three basins", "0.02", gain)


# From nothing
# ---


def layer_sizes() -> Iterator[Number]:
    """Li et al. (2023), Table A3: rows and columns after each convolution"""
    published = {
        "Yellow": ((41, 77), "19x37 9x17 3x5 1x1"),
        "Yangtze": ((34, 71), "16x35 7x17 2x5 1x1"),
        "Lancang": ((84, 59), "40x28 19x12 5x4 1x1"),
    }
    for basin, (shape, sizes) in published.items():
        x, here = torch.zeros(1, 2, *shape), []
        for layer in Encoder(2, shape):
            x = layer(x)
            if isinstance(layer, torch.nn.Conv2d):
                here.append(x.shape[2:])
        for k, (size, computed) in enumerate(zip(sizes.split(), here, strict=True), 1):
            for what, text, value in zip(
                ("rows", "columns"), size.split("x"), computed, strict=True
            ):
                yield Number(f"{basin}, convolution {k}: {what}", text, value)


def metrics_of_the_published_code() -> Iterator[Number]:
    """Kratzert et al. (2019): its metric functions on three series given by formulas"""
    names = ("nse", "alpha_nse", "beta_nse", "fhv", "fms", "flv")
    published = {
        "many zeros": "0.9618564394 0.8811838157 -0.1088388769 -9.4979152355 -80.0974583435"
        " -118493620531.57",
        "raised": "0.9549754012 0.8811838157 -0.1368464078 -10.0634042575 -21.7998559365"
        " -5751693442.12",
        "no zeros": "0.9873844520 0.9833195686 -0.1042080572 -1.1582683634 7.7301282794"
        " -35.5678088314",
    }
    t = np.arange(1000)
    noise = (7919 * t) % 101
    wet = np.maximum(0, 3 * np.sin(0.05 * t) + 1.5 + noise / 50 - 1)
    sim = np.maximum(0, 0.9 * wet + 0.3 * np.cos(0.11 * t) - 0.05)
    regular = np.exp(1.2 * np.sin(0.05 * t) + noise / 100)
    series = {
        "many zeros": (sim, wet),
        "raised": (sim + 0.15, wet + 0.2),
        "no zeros": (0.8 * regular**1.1 + 0.02 + 0.05 * np.cos(0.3 * t), regular),
    }
    for case, texts in published.items():
        sim, obs = (xr.DataArray(values, dims="time") for values in series[case])
        for name, text in zip(names, texts.split(), strict=True):
            yield Number(f"{case}: {name}", text, float(METRICS[name](sim=sim, obs=obs)))


FROM_FILES = (table_2, table_3, failures_in_the_text, tests, table_4, clusters)
FROM_HERE = (
    text_from_table_2,
    text_from_tables_3_and_4,
    layer_sizes,
    metrics_of_the_published_code,
)


def markdown(sections: dict[str, list[Number]]) -> str:
    """The report card as text."""
    everything = [number for numbers in sections.values() for number in numbers]
    agree = sum(number.agrees for number in everything)
    lines = [
        "# Report card",
        "",
        "Published numbers that can be computed from a lower level than they are printed: from the",
        "scores of every basin, input gates, gradients, layer sizes, formulas, or, where a text",
        "sums up a table, from the table. `make report-card` writes this page.",
        "",
        f"**{len(everything)} numbers: {agree} agree to the last printed digit,"
        f" {len(everything) - agree} do not, each with its reason.**",
    ]
    for title, numbers in sections.items():
        lines += [
            "",
            f"## {title}",
            "",
            "| number | published | here | agrees |",
            "|---|---|---|---|",
        ]
        for n in numbers:
            verdict = "yes" if n.agrees else f"no: {n.why}"
            lines.append(f"| {n.what} | {n.published} | {n.computed} | {verdict} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    sections = {section.__doc__: list(section()) for section in (*FROM_FILES, *FROM_HERE)}
    CARD.write_text(markdown(sections), encoding="utf-8")
    for title, numbers in sections.items():
        agree = sum(n.agrees for n in numbers)
        print(f"{agree} of {len(numbers)}  {title}")
    unexplained = [n for numbers in sections.values() for n in numbers if not (n.agrees or n.why)]
    for n in unexplained:
        print(f"no reason known: {n.what}: {n.published} published, {n.computed} here")
    sys.exit(bool(unexplained))


if __name__ == "__main__":
    main()
