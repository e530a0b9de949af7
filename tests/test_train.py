"""Training: the loop, what it leaves behind, exact resume after SIGKILL, and how it stops."""

import errno
import json
import re
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
import yaml
from catchments import random_catchments
from safetensors.torch import load_file

import hydronb.data.windows
import hydronb.models.weights
import hydronb.training.ealstm
import hydronb.training.loop
import hydronb.training.train
from hydronb import metrics
from hydronb.cli import main
from hydronb.errors import DataError, ParameterError, TrainingError
from hydronb.models import load
from hydronb.parameters import TrainParameters
from hydronb.runs.directory import PROGRESS
from hydronb.training.ealstm import basin_std
from hydronb.training.loop import epoch_order, fit
from hydronb.training.predict import predict
from hydronb.training.train import train

SETTINGS = {
    "forcings": ["prcp", "tmean"],
    "attributes": ["slope", "forest", "rock"],
    "train_period": ["2000-02-01", "2000-09-30"],
    "validation_period": ["2000-10-01", "2000-11-30"],
    "test_period": ["2000-12-01", "2001-02-03"],
    "hidden": 6,
    "dropout": 0.3,
    "sequence_length": 20,
    "predict_last": 4,
    "epochs": 3,
    "samples_per_epoch": 160,
    "batch_size": 32,
    "attribute_noise": 0.1,
    "learning_rate": {1: 0.01, 3: 0.002},
    "seed": 5,
    "device": "cpu",
}
STEPS = 5
"""Steps an epoch, by these settings."""
FILES = ["model.json", "model.safetensors", "progress.csv"]


def settings(**changes) -> TrainParameters:
    return TrainParameters.validate_parameters(SETTINGS | changes)


def names(folder: Path) -> list[str]:
    return sorted(f.name for f in folder.iterdir())


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def same_bits(a: Path, b: Path) -> bool:
    x, y = weights(a), weights(b)
    return x.keys() == y.keys() and all(torch.equal(x[n], y[n]) for n in x)


def log(folder: Path) -> pd.DataFrame:
    """What has to repeat of `progress.csv`."""
    return pd.read_csv(folder / "progress.csv").drop(columns=["seconds", "cpu_seconds"])


@pytest.fixture
def ds():
    return random_catchments(n_basins=3)


@pytest.fixture(autouse=True)
def every_step_is_logged(monkeypatch):
    monkeypatch.setattr(hydronb.training.loop, "PROGRESS_SECONDS", -1)


def test_a_model_learns_what_there_is_to_learn(ds, tmp_path):
    """Streamflow is half of yesterday's precipitation and noise; the mean as a simulation has NSE
    0."""
    p = settings(
        hidden=8,
        epochs=8,
        samples_per_epoch=None,
        dropout=0.0,
        attribute_noise=0.0,
        predict_last=15,
        learning_rate={1: 0.03, 5: 0.01},
        forget_bias=1.0,
    )
    model = train(ds, p, tmp_path)
    simulation = predict(model, ds, p.test_period, progress=False)
    score = metrics.nse(sim=simulation["streamflow"], obs=simulation["streamflow_obs"])
    assert float(score.min()) > 0.8
    progress = pd.read_csv(tmp_path / "progress.csv").dropna()
    assert progress["loss"].iloc[-1] < 0.2 * progress["loss"].iloc[0]
    assert progress["valid"].iloc[-1] > 0.8


@pytest.mark.parametrize("name", ["ealstm", "lstm", "lstm_no_static"])
@pytest.mark.parametrize("loss", ["nse_star", "nse_star_paper", "mse"])
def test_what_a_training_leaves_behind(ds, tmp_path, name, loss):
    model = train(ds, settings(model=name, loss=loss), tmp_path)
    assert names(tmp_path) == FILES
    assert not model.training
    again = load(tmp_path)
    assert again.settings["model"] == name
    assert list(again.scaling.attributes) == (
        [] if name == "lstm_no_static" else SETTINGS["attributes"]
    )
    for key, value in model.state_dict().items():
        assert torch.equal(again.state_dict()[key], value)
    description = json.loads((tmp_path / "model.json").read_text())
    assert description["basins"] == list(ds["basin"].values)
    assert description["train_period"] == {"start": "2000-02-01", "end": "2000-09-30"}


def test_progress_is_a_row_a_step_and_a_score_an_epoch(ds, tmp_path):
    train(ds, settings(), tmp_path)
    progress = pd.read_csv(tmp_path / "progress.csv")
    assert tuple(progress.columns) == PROGRESS
    np.testing.assert_allclose(
        progress["epoch"], [k / STEPS for k in range(1, 3 * STEPS + 1)], atol=1e-4
    )
    assert (progress["epochs"] == 3).all() and progress["loss"].notna().all()
    whole = progress["epoch"] % 1 == 0
    assert progress["valid"].notna().equals(whole)
    assert progress["learning_rate"].tolist() == [0.01] * 2 * STEPS + [0.002] * STEPS
    assert (
        progress["seconds"].is_monotonic_increasing
        and progress["cpu_seconds"].is_monotonic_increasing
    )


def test_validation_is_the_median_nse_of_the_model_at_hand(ds, tmp_path):
    p = settings()
    model = train(ds, p, tmp_path)
    simulation = predict(model, ds, p.validation_period, progress=False)
    score = metrics.nse(sim=simulation["streamflow"], obs=simulation["streamflow_obs"]).median()
    assert log(tmp_path)["valid"].iloc[-1] == pytest.approx(float(score), rel=1e-5)


def test_a_seed_repeats_and_another_differs(ds, tmp_path):
    a, b, c = (tmp_path / n for n in "abc")
    for folder, seed in ((a, 1), (b, 1), (c, 2)):
        train(ds, settings(seed=seed), folder)
    assert same_bits(a, b) and log(a).equals(log(b))
    assert not same_bits(a, c)


def test_validation_changes_no_weight(ds, tmp_path):
    train(ds, settings(), tmp_path / "with")
    train(ds, settings(validation_period=None), tmp_path / "without")
    assert same_bits(tmp_path / "with", tmp_path / "without")
    assert log(tmp_path / "without")["valid"].isna().all()


@pytest.mark.parametrize(
    ("scores", "epochs", "best"),
    [
        ([0.1, 0.5, 0.3, 0.2, 0.9, 0.9], 4, 2),
        ([0.1, 0.2, 0.3, 0.3, 0.3, 0.9], 5, 3),
        ([np.nan, 0.5, 0.3, np.nan, 0.9, 0.9], 4, 2),
        ([0.1, 0.2, 0.3, 0.4, 0.5, 0.6], 6, 6),
        ([np.nan] * 6, 6, 6),
    ],
)
def test_patience_stops_and_keeps_the_best_epoch(ds, tmp_path, monkeypatch, scores, epochs, best):
    """A score that is no number is never the best; where no epoch has a score, the last weights
    stay."""
    seen = []

    def scripted(*_):
        def score(model):
            seen.append({n: t.clone() for n, t in model.state_dict().items()})
            return scores[len(seen) - 1]

        return score

    monkeypatch.setattr(hydronb.training.ealstm, "validator", scripted)
    train(ds, settings(epochs=6, patience=2), tmp_path)
    assert len(seen) == epochs
    assert all(torch.equal(weights(tmp_path)[n], t) for n, t in seen[best - 1].items())


def test_the_order_of_an_epoch():
    whole = epoch_order(1000, 1000, seed=1, epoch=1)
    assert sorted(whole.tolist()) == list(range(1000))
    assert torch.equal(whole, epoch_order(1000, 1000, seed=1, epoch=1))
    assert not torch.equal(whole, epoch_order(1000, 1000, seed=1, epoch=2))
    assert not torch.equal(whole, epoch_order(1000, 1000, seed=2, epoch=1))
    for drawn in (50, 500):
        some = epoch_order(1000, drawn, seed=1, epoch=1).tolist()
        assert len(set(some)) == drawn and set(some) <= set(range(1000))
        assert some != epoch_order(1000, drawn, seed=1, epoch=2).tolist()


def test_every_sample_is_seen_once_an_epoch_the_last_batch_too(ds, tmp_path, monkeypatch):
    """Of each epoch all samples, in batches of 32 and what is left."""
    seen = []
    gather = hydronb.data.windows.WindowSamples.gather

    def noting(self, index):
        seen.append(index)
        return gather(self, index)

    monkeypatch.setattr(hydronb.data.windows.WindowSamples, "gather", noting)
    train(ds, settings(samples_per_epoch=None, epochs=2, validation_period=None), tmp_path)
    n = int(torch.cat(seen).max()) + 1
    sizes = [len(index) for index in seen]
    assert sizes == 2 * ([32] * (n // 32) + [n % 32])
    for epoch in (seen[: len(seen) // 2], seen[len(seen) // 2 :]):
        assert sorted(torch.cat(epoch).tolist()) == list(range(n))


class Numbered:
    """Ten samples, each with a value of its own and a direction."""

    ids = ("x",)
    values = torch.arange(1.0, 11.0)
    directions = torch.randn(10, 3, generator=torch.Generator().manual_seed(0)) * 4

    def __len__(self):
        return 10

    def gather(self, index):
        return SimpleNamespace(index=index, basin=torch.zeros(len(index), dtype=torch.long))


def fitted(folder: Path, loss_of, **changes) -> torch.nn.Module:
    """A model of three weights, fitted to `Numbered`."""
    model = torch.nn.Linear(3, 1, bias=False)
    torch.nn.init.constant_(model.weight, 0.5)
    p = settings(samples_per_epoch=None, batch_size=4, **changes)
    fit(model, Numbered(), loss_of, p, folder, fingerprint="toy")
    return model


def test_an_epoch_s_loss_is_the_mean_of_its_steps(tmp_path):
    """Batches of 4, 4 and 2 samples, whose losses are the means of the samples' values: each step
    counts alike, and an epoch begins at zero."""

    def loss_of(model, batch):
        return Numbered.values[batch.index].mean() + 0 * model.weight.sum()

    fitted(tmp_path, loss_of, epochs=2)
    rows = pd.read_csv(tmp_path / "progress.csv")
    for epoch in (1, 2):
        order = epoch_order(10, 10, SETTINGS["seed"], epoch)
        steps = [Numbered.values[part].mean().item() for part in order.split(4)]
        expected = [np.mean(steps[:k]) for k in (1, 2, 3)]
        written = rows["loss"][(rows["epoch"] > epoch - 1) & (rows["epoch"] <= epoch)]
        np.testing.assert_allclose(written, expected, rtol=1e-5)
    assert len(rows) == 6


@pytest.mark.parametrize("clip_norm", [10.0, None])
def test_weights_follow_adam_s_equations(tmp_path, clip_norm):
    """Kingma and Ba (2015), Algorithm 1, with decoupled weight decay (Loshchilov and Hutter, 2019)
    and the gradient shortened to `clip_norm`, step by step in NumPy; the rate changes with the
    epochs that say so."""

    def loss_of(model, batch):
        return (model.weight[0] * Numbered.directions[batch.index].sum(0)).sum()

    rates = {1: 0.1, 2: 0.03, 4: 0.2}
    given = {"epochs": 5, "learning_rate": rates, "weight_decay": 0.1, "clip_norm": clip_norm}
    model = fitted(tmp_path, loss_of, validation_period=None, **given)
    w, m, v, step, lengths = np.full(3, 0.5), np.zeros(3), np.zeros(3), 0, []
    for epoch, rate in enumerate((0.1, 0.03, 0.03, 0.2, 0.2), 1):
        for part in epoch_order(10, 10, SETTINGS["seed"], epoch).split(4):
            gradient = Numbered.directions[part].sum(0).double().numpy()
            length = np.linalg.norm(gradient)
            lengths.append(length)
            if clip_norm and length > clip_norm:
                gradient = gradient * clip_norm / length
            step += 1
            m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
            w = w - rate * 0.1 * w
            w = w - rate * m / (1 - 0.9**step) / (np.sqrt(v / (1 - 0.999**step)) + 1e-8)
    np.testing.assert_allclose(model.weight[0].detach(), w, rtol=1e-4)
    assert min(lengths) < 10 < max(lengths)


def test_more_samples_an_epoch_than_there_are(tmp_path):
    """All of them, each once, in three steps."""
    seen = []

    def loss_of(model, batch):
        seen.append(batch.index)
        return model.weight.sum() ** 2

    model = torch.nn.Linear(3, 1, bias=False)
    p = settings(samples_per_epoch=99, epochs=1, batch_size=4)
    fit(model, Numbered(), loss_of, p, tmp_path, fingerprint="toy")
    assert [len(index) for index in seen] == [4, 4, 2]
    assert sorted(torch.cat(seen).tolist()) == list(range(10))


def test_a_simulation_draws_no_dropout(ds, tmp_path):
    """The same from a model in training mode, which it is left in."""
    p = settings(dropout=0.5)
    model = train(ds, p, tmp_path)
    expected = predict(model, ds, p.test_period, progress=False)
    xr.testing.assert_identical(predict(model.train(), ds, p.test_period, progress=False), expected)
    assert model.training


def test_spread_of_each_basin_is_of_its_own_training_days(ds):
    std = basin_std(ds, settings())
    days = ds["streamflow"].sel(time=slice("2000-02-01", "2000-09-30"))
    assert std.shape == (3, 1)
    np.testing.assert_allclose(std[:, 0], days.std("time", ddof=0), rtol=1e-5)


# Complete, resumed, started anew


@pytest.mark.parametrize(
    "change", [{}, {"test_period": ["2000-12-15", "2001-01-31"]}, {"device": "auto"}]
)
def test_a_complete_training_is_not_repeated(ds, tmp_path, monkeypatch, change):
    first = train(ds, settings(), tmp_path)
    before = {f: (tmp_path / f).stat().st_mtime_ns for f in FILES}
    monkeypatch.setattr(
        hydronb.training.train, "fit", lambda *_, **__: pytest.fail("trained again")
    )
    again = train(ds, settings(**change), tmp_path)
    assert {f: (tmp_path / f).stat().st_mtime_ns for f in FILES} == before
    assert all(
        torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True)
    )
    assert not again.training


@pytest.mark.parametrize(
    "change", [{"seed": 6}, {"hidden": 7}, {"epochs": 4}, {"loss": "mse"}, {"dropout": 0.1}]
)
def test_other_parameters_start_anew(ds, tmp_path, change):
    train(ds, settings(), tmp_path / "used")
    for folder in ("used", "fresh"):
        train(ds, settings(**change), tmp_path / folder)
    assert same_bits(tmp_path / "used", tmp_path / "fresh")
    assert log(tmp_path / "used").equals(log(tmp_path / "fresh"))


def test_other_data_start_anew(ds, tmp_path):
    train(ds, settings(), tmp_path / "used")
    ds["streamflow"][0, 60] = 3.21
    for folder in ("used", "fresh"):
        train(ds, settings(), tmp_path / folder)
    assert same_bits(tmp_path / "used", tmp_path / "fresh")


KILLED = {
    "within epochs": ({"validation_period": None}, 3, [5, 9, 0]),
    "with patience": ({"patience": 1, "learning_rate": 0.2, "epochs": 9}, 1000, [2 * STEPS + 3, 0]),
}
"""What is trained; which of the checkpoints written after each step are kept (each third; those
after epochs alone); the loss of each attempt at which the process is killed, 0 for the attempt that
ends. Steps are lost in both."""
CHILD = """
    import json, os, signal, sys, torch
    sys.path.insert(0, sys.argv[1])
    import hydronb.training.loop
    from catchments import random_catchments
    from hydronb.parameters import TrainParameters
    from hydronb.training.loop import Checkpoint
    from hydronb.training.train import train
    from hydronb.vocabulary import LOSSES, Loss

    weight = torch.nn.Parameter(torch.zeros(1))
    weight.grad = torch.zeros(1)
    torch.optim.AdamW([weight]).step()
    hydronb.training.loop.PROGRESS_SECONDS = hydronb.training.loop.CHECKPOINT_SECONDS = -1
    steps, saves, loss_of, save = [], [], LOSSES["nse_star"].make(None), Checkpoint.save

    def attempt(folder, settings, every, die_at):
        def loss(terms):
            steps.append(1)
            if len(steps) == die_at:
                os.kill(os.getpid(), signal.SIGKILL)
            return loss_of(terms)

        def now_and_then(self, at):
            saves.append(1)
            if at["step"] == 0 or len(saves) % every == 0:
                save(self, at)

        LOSSES["nse_star"] = Loss("nse_star", "NSE*", lambda p: loss)
        Checkpoint.save = now_and_then
        train(random_catchments(n_basins=3), TrainParameters(**settings), folder)
        os._exit(len(steps))

    ends = []
    for attempt_of_one in json.load(sys.stdin):
        if child := os.fork():
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            ends.append((code, sorted(os.listdir(attempt_of_one[0]))))
        else:
            attempt(*attempt_of_one)
    print(json.dumps(ends))
"""
"""Forks a process for each attempt, so that imports, those of an optimiser's first step too, are
paid for once; an attempt exits with the number of steps it made."""


@pytest.fixture(scope="module")
def attempts(tmp_path_factory):
    """By case: the folder, and of each attempt how it ended and which files were there then."""
    folders = {case: tmp_path_factory.mktemp("killed") / "run" for case in KILLED}
    todo = [
        (str(folders[case]), settings(**change).plain(), every, die_at)
        for case, (change, every, kills) in KILLED.items()
        for die_at in kills
    ]
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(CHILD), str(Path(__file__).parent)],
        input=json.dumps(todo),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    ends = iter(json.loads(done.stdout))
    return {
        case: (folders[case], [next(ends) for _ in kills]) for case, (_, _, kills) in KILLED.items()
    }


@pytest.mark.parametrize("case", KILLED)
def test_killed_and_resumed_ends_with_the_same_bits(ds, tmp_path, attempts, case):
    folder, ends = attempts[case]
    *cut_off, (steps, left_behind) = ends
    for end, files in cut_off:
        assert end == -signal.SIGKILL
        assert files == ["checkpoint.safetensors", "progress.csv"]
    assert left_behind == FILES
    train(ds, settings(**KILLED[case][0]), tmp_path)
    assert same_bits(folder, tmp_path)
    pd.testing.assert_frame_equal(log(folder), log(tmp_path))
    if case == "within epochs":
        # the second kill came one step into the third epoch, and that step was lost
        assert steps == STEPS
    else:
        assert 0 < steps == len(log(folder)) - 2 * STEPS  # patience was used up later than the kill


def test_killed_before_the_description_is_written_is_not_complete(ds, tmp_path, monkeypatch):
    """The weights are there, model.json is not: the training ends again from its checkpoint, at
    once."""
    train(ds, settings(), tmp_path / "undisturbed")
    folder = tmp_path / "killed"
    with monkeypatch.context() as patch:
        patch.setattr(hydronb.models.weights, "write", killed_at_the_description)
        with pytest.raises(KeyboardInterrupt):
            train(ds, settings(), folder)
    assert "model.json" not in names(folder)
    train(ds, settings(), folder)
    assert same_bits(folder, tmp_path / "undisturbed") and names(folder) == FILES


def killed(*_, **__):
    raise KeyboardInterrupt


def killed_at_the_description(path, content):
    if path.name == "model.json":
        raise KeyboardInterrupt
    path.write_bytes(content)


def test_an_interrupted_training_with_other_parameters_leaves_no_old_model(
    ds, tmp_path, monkeypatch
):
    train(ds, settings(), tmp_path)
    monkeypatch.setattr(hydronb.training.train, "fit", killed)
    with pytest.raises(KeyboardInterrupt):
        train(ds, settings(seed=6), tmp_path)
    with pytest.raises(TrainingError, match="holds no trained model"):
        load(tmp_path)


# How it stops


def one_line(error: pytest.ExceptionInfo) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_loss_that_is_not_finite_names_epoch_step_and_basins(ds, tmp_path):
    with pytest.raises(TrainingError) as error:
        train(ds, settings(learning_rate={1: 0.01, 2: 1e30}), tmp_path)
    message = one_line(error)
    assert "the loss became" in message and "epoch 2, step 2" in message
    assert "x_00000001" in message and "lower learning_rate" in message
    assert "model.json" not in names(tmp_path)


def test_a_broken_basin_is_among_those_named(ds, tmp_path):
    """A dataset that was changed after it was checked."""
    ds["prcp"][1, 100] = np.nan
    with pytest.raises(
        TrainingError, match=r"loss became nan in epoch 1, .* of 1 basins \(x_00000002\)"
    ):
        train(ds, settings(batch_size=1), tmp_path)


@pytest.mark.parametrize("file", ["model.safetensors", "model.json"])
@pytest.mark.parametrize("left", [0, 100])
def test_a_truncated_file_is_one_line_that_says_what_helps(ds, tmp_path, file, left):
    train(ds, settings(), tmp_path)
    path = tmp_path / file
    path.write_bytes(path.read_bytes()[:left])
    for attempt in (lambda: load(tmp_path), lambda: train(ds, settings(), tmp_path)):
        with pytest.raises(TrainingError) as error:
            attempt()
        assert file in one_line(error) and "delete it" in one_line(error)
    path.unlink()
    train(ds, settings(), tmp_path)
    load(tmp_path)


def test_weights_of_another_model(ds, tmp_path):
    train(ds, settings(), tmp_path / "a")
    train(ds, settings(hidden=7), tmp_path / "b")
    (tmp_path / "a/model.safetensors").write_bytes((tmp_path / "b/model.safetensors").read_bytes())
    with pytest.raises(TrainingError) as error:
        load(tmp_path / "a")
    assert "model.json is damaged or of another training" in one_line(error)


def test_a_truncated_checkpoint(ds, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(hydronb.training.train, "save_model", killed)
        with pytest.raises(KeyboardInterrupt):
            train(ds, settings(), tmp_path)
    path = tmp_path / "checkpoint.safetensors"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(TrainingError) as error:
        train(ds, settings(), tmp_path)
    assert "checkpoint.safetensors" in one_line(error) and "delete it to start again" in one_line(
        error
    )


@pytest.mark.parametrize("where", ["file", "file/run"])
def test_a_folder_that_cannot_be_written(ds, tmp_path, where):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(TrainingError) as error:
        train(ds, settings(), tmp_path / where)
    assert f"{tmp_path / where} cannot be written" in one_line(error)


def test_a_full_disk_leaves_nothing_half_written_and_goes_on_later(ds, tmp_path, monkeypatch):
    """The disk fills up as the second checkpoint is written."""
    train(ds, settings(), tmp_path / "undisturbed")
    folder, saved, write = tmp_path / "full", [], Path.write_bytes

    def fill(self, content):
        if "checkpoint" in self.name:
            saved.append(self)
        if len(saved) == 2:
            write(self, content[: len(content) // 2])
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(self, content)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", fill)
        with pytest.raises(TrainingError) as error:
            train(ds, settings(), folder)
    assert "No space left on device; free space" in one_line(error)
    assert names(folder) == ["checkpoint.safetensors", "progress.csv"]
    train(ds, settings(), folder)
    assert same_bits(folder, tmp_path / "undisturbed")


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            {"attributes": []},
            ParameterError,
            "attributes is empty: an EA-LSTM needs static attributes",
        ),
        ({"attributes": ["slop"]}, DataError, "no attribute 'slop'; did you mean 'slope'"),
        ({"attributes": "kratzert2019"}, DataError, "no attribute 'carbonate_rocks_frac'"),
        ({"forcings": ["pcrp"]}, DataError, "no forcing 'pcrp'; did you mean 'prcp'"),
        ({"targets": ["et"]}, DataError, "no target 'et'"),
        ({"device": "cud"}, ParameterError, "device = 'cud'"),
        (
            {"test_period": ["2000-12-01", "2011-02-03"]},
            DataError,
            "period 2000-12-01 to 2011-02-03 is not within the",
        ),
        (
            {"validation_period": ["2000-01-03", "2000-01-31"]},
            DataError,
            "needs 16 days of forcing before 2000-01-03",
        ),
        (
            {"sequence_length": 500},
            DataError,
            "sequence_length 500 is longer than the data, which have 400 days",
        ),
    ],
)
def test_nothing_is_written_when_the_data_cannot_give_it(ds, tmp_path, change, error, message):
    with pytest.raises(error) as raised:
        train(ds, settings(**change), tmp_path / "run")
    assert message in one_line(raised)
    assert not (tmp_path / "run").exists()


def test_a_validation_period_without_observations(ds, tmp_path):
    ds["streamflow"].loc[{"time": slice("2000-10-01", "2000-11-30")}] = np.nan
    with pytest.raises(
        DataError, match="no basin has streamflow in the validation_period 2000-10-01 to 2000-11-30"
    ):
        train(ds, settings(), tmp_path / "run")


def test_a_test_period_without_observations_can_be_trained_for(ds, tmp_path):
    ds["streamflow"].loc[{"time": slice("2000-12-01", None)}] = np.nan
    train(ds, settings(), tmp_path)


# hydronb train


def as_a_command(*arguments: str) -> int | str | None:
    """The exit code of `hydronb train`."""
    with pytest.raises(SystemExit) as ended:
        main(["train", *arguments])
    return ended.value.code


def test_the_command_trains_and_simulates_what_the_folder_says(ds, tmp_path):
    file = tmp_path / "catchments.nc"
    ds.to_netcdf(file)
    folder = tmp_path / "run"
    folder.mkdir()
    given = settings().plain() | {"data": {"kind": "file", "path": str(file)}}
    (folder / "params.yaml").write_text(yaml.safe_dump(given))
    assert as_a_command(str(folder)) == 0
    assert names(folder) == [
        "metrics.csv",
        *FILES[:2],
        "params.yaml",
        "progress.csv",
        "simulation.nc",
    ]
    table = pd.read_csv(folder / "metrics.csv", dtype={"basin": str}, index_col="basin")
    with xr.open_dataset(folder / "simulation.nc") as simulation:
        assert list(simulation["basin"].values) == list(table.index) == list(ds["basin"].values)
        assert str(simulation["time"].values[0])[:10] == "2000-12-01"
        assert simulation["streamflow"].encoding["chunksizes"] == (1, 65)
        score = metrics.nse(sim=simulation["streamflow"], obs=simulation["streamflow_obs"])
    np.testing.assert_allclose(table["nse"], score, rtol=1e-6)
    train(ds, settings(), tmp_path / "here")
    assert same_bits(folder, tmp_path / "here")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file: .*params.yaml"),
        ("a: [", "params.yaml, line 1: not YAML: "),
        ("just words", "holds no names with values"),
        ("hiden: 5", "unknown parameter 'hiden'; did you mean 'hidden'"),
        (
            "model: ealstm\ndata: {kind: file, path: /nowhere.nc}",
            "no such file: /nowhere.nc",
        ),
    ],
)
def test_the_command_says_in_one_line_what_it_cannot_use(tmp_path, capsys, content, message):
    if content is not None:
        (tmp_path / "params.yaml").write_text(content)
    assert as_a_command(str(tmp_path)) == 1
    said = capsys.readouterr().err
    assert re.search(f"^error: .*{message}", said) and said.count("\n") == 1
    assert names(tmp_path) == ([] if content is None else ["params.yaml"])


def test_the_command_needs_a_folder(capsys):
    assert as_a_command() == 2
    assert "Missing argument" in capsys.readouterr().err


def test_torch_is_left_as_it_was(ds, tmp_path):
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    threads = torch.get_num_threads()
    train(ds, settings(threads=threads + 1), tmp_path)
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.rand(3), expected)
