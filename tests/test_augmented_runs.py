"""Whole runs whose inputs are changed: every key acts, and stops and threads change no bit."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from runs import OPTIMISED, assert_same_run, end, here, overrides, start, wait_for_epochs, write_shd

from snnrun import run as run_module
from snnrun.backends.base import Results
from snnrun.backends.native.library import NativeBackend
from snnrun.config import Config, from_dict
from snnrun.datasets import feed
from snnrun.errors import DataError
from snnrun.record import Run, load_run
from snnrun.record.paths import RunPaths
from snnrun.run import test as evaluate_run
from snnrun.run import train
from snnrun.stop import Stop
from snnrun.training import checkpoint, loop

EVERYTHING: dict[str, Any] = {
    "AUGMENTATION": {
        "random_shift": 4,
        "blend": [0.6, 0.5],
        "ID_jitter": 2,
        "random_dilate": [0.9, 1.1],
        "NORMALISE_SPIKE_NUMBER": True,
    },
    "BALANCE_TRAIN_CLASSES": True,
    "BALANCE_EVAL_CLASSES": True,
    "REDUCED_CLASSES": [0, 1, 2, 3],
    "RESCALE_X": 0.1,
    "RESCALE_T": 0.9,
    "N_INPUT_DELAY": 2,
    "INPUT_DELAY": 10.0,
    "PDROP_INPUT": 0.2,
    "N_TRAIN": 40,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stand-in for SHD with four examples of each class: two speakers and a half."""
    return write_shd(tmp_path_factory.mktemp("shd"), examples=100, events=60)


@pytest.fixture
def config_of(folder: Path) -> Callable[..., Config]:
    def make(**keys: Any) -> Config:
        common: dict[str, Any] = {
            "dataset": {"name": "shd", "path": str(folder)},
            "N_TRAIN": 70,
            "N_VALIDATE": 20,
            "N_BATCH": 5,
            "N_EPOCH": 3,
            "NUM_HIDDEN": 20,
            "TRIAL_MS": 80.0,
            "MODEL_SEED": 1,
            "LR_EASE_IN_FACTOR": 1.0,
            "REC_PREDICTIONS": True,
            "PDROP_INPUT": 0.0,
            "INPUT_HIDDEN_MEAN": 0.4,
            "INPUT_HIDDEN_STD": 0.3,
        }
        if keys.get("EVALUATION") == "speaker":
            del common["N_VALIDATE"]
        return from_dict(common | keys)

    return make


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "BLOCK_EVENTS", 600)
    monkeypatch.setattr(loop, "CHUNK_S", 0.0)  # a mini-batch at a time, with a look for a stop


def losses(run: Run, phase: str = "train") -> np.ndarray:
    return np.asarray(run.epochs[f"{phase}_loss"])


CHANGES: dict[str, dict[str, Any]] = {
    **{name: {"AUGMENTATION": {name: value}} for name, value in EVERYTHING["AUGMENTATION"].items()},
    "RESCALE_T": {"RESCALE_T": 0.5},
    "RESCALE_X": {"RESCALE_X": 0.5},
    "REDUCED_CLASSES": {"REDUCED_CLASSES": [4, 7, 9], "N_TRAIN": 10, "N_VALIDATE": 5},
    "BALANCE_TRAIN_CLASSES": {"BALANCE_TRAIN_CLASSES": True},
    "BALANCE_EVAL_CLASSES": {"BALANCE_EVAL_CLASSES": True},
    "N_INPUT_DELAY": {"N_INPUT_DELAY": 1},
    "INPUT_DELAY": {"N_INPUT_DELAY": 1, "INPUT_DELAY": 20.0},
    "EVALUATION": {"EVALUATION": "speaker", "N_TRAIN": 60},
    "SPEAKER_LEFT": {"EVALUATION": "speaker", "N_TRAIN": 60, "SPEAKER_LEFT": [1]},
}
CHANGES["blend"]["N_TRAIN"] = 100


@pytest.mark.long
def test_every_key_changes_what_is_learned_or_how_it_is_judged(
    tmp_path: Path, config_of: Callable[..., Config]
) -> None:
    seen: dict[str, bytes] = {}
    for name, keys in {"plain": {}, **CHANGES}.items():
        train(config_of(N_EPOCH=1, **keys), tmp_path / name)
        epochs = load_run(tmp_path / name).epochs
        figures = [epochs[f"{phase}_loss"] for phase in ("train", "validation")]
        seen[name] = np.concatenate(figures).tobytes()
    assert len(set(seen.values())) == len(seen)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.long
def test_inputs_change_from_epoch_to_epoch_and_evaluation_keeps_its_own(
    tmp_path: Path, config_of: Callable[..., Config]
) -> None:
    still = {"TRAIN_W": False, "N_EPOCH": 3}  # so that only the inputs make a difference
    for name, keys, changing in (
        ("plain", {}, False),
        ("shift", {"AUGMENTATION": {"random_shift": 9}}, True),
        ("thin", {"AUGMENTATION": {"NORMALISE_SPIKE_NUMBER": True}}, True),
    ):
        train(config_of(**still, **keys), tmp_path / name)
        run = load_run(tmp_path / name)
        assert len(set(losses(run).round(9))) == (3 if changing else 1)
        assert len(set(losses(run, "validation").round(9))) == (3 if name == "thin" else 1)


class StopAfter(Stop):
    """Asks to stop when it is looked at for the ``count``-th time."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count

    def __bool__(self) -> bool:
        self.count -= 1
        if self.count <= 0:
            self.signal = signal.SIGINT
        return self.signal is not None


def stopped_after(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def requests() -> Iterator[Stop]:
        yield StopAfter(count)

    monkeypatch.setattr(run_module, "stop_requests", requests)


@pytest.mark.usefixtures("small_blocks")
def test_stops_at_any_trial_and_any_number_of_threads_change_no_bit(
    tmp_path: Path, config_of: Callable[..., Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    def config(threads: int) -> Config:
        recorded = {"REC_SPIKES": ["input"], "REC_SPIKES_EPOCH_TRIAL": [[0, 1], [2, 5]]}
        backend = {"name": "native", "threads": threads}
        return config_of(**EVERYTHING, **recorded, N_VALIDATE=5, backend=backend)

    train(config(2), tmp_path / "whole")
    spikes = load_run(tmp_path / "whole").spikes(0, 1, "input")
    assert spikes.ids.max() >= 140  # of the second copy of 70 channels
    assert len(spikes.ids) > 20
    folder, stops = tmp_path / "stopped", 0
    while True:
        stopped_after(3 + 2 * stops, monkeypatch)
        try:
            train(config(1 + stops % 3), folder, resume=stops > 0)
        except SystemExit:
            stops += 1
            continue
        break
    assert stops >= 3
    assert_same_run(folder, tmp_path / "whole")


def test_the_network_follows_the_channels_and_classes(
    tmp_path: Path, config_of: Callable[..., Config]
) -> None:
    train(config_of(**EVERYTHING, N_VALIDATE=5, N_EPOCH=1), tmp_path)
    saved = checkpoint.load(RunPaths(tmp_path).last)
    assert saved["tensors"]["in_to_hid"]["value"].shape == (210, 20)
    assert saved["tensors"]["hid_to_out"]["value"].shape == (20, 4)


@pytest.mark.usefixtures("small_blocks")
def test_records_know_examples_by_their_numbers_in_the_data(
    tmp_path: Path, config_of: Callable[..., Config]
) -> None:
    keys = {"AUGMENTATION": {"random_shift": 5, "blend": [0.5, 0.5]}, "N_TRAIN": 100}
    train(config_of(**keys, N_EPOCH=1), tmp_path)
    found = load_run(tmp_path).predictions("train", 0)
    originals = found["example"] < 100
    assert (originals.sum(), len(found["example"])) == (80, 100)
    np.testing.assert_array_equal(found["label"][originals], found["example"][originals] % 20)
    assert sorted(found["example"][~originals]) == list(range(100, 120))
    validated = load_run(tmp_path).predictions("validation", 0)["example"]
    assert not set(validated) & set(found["example"])


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize(("delays", "distinct"), [(1, 28), (0, 2)])
@pytest.mark.long
def test_inputs_are_dropped_anew_in_every_block_and_epoch(
    tmp_path: Path,
    config_of: Callable[..., Config],
    monkeypatch: pytest.MonkeyPatch,
    delays: int,
    distinct: int,
) -> None:
    keys, chances = [], []
    learn = NativeBackend.train

    def noted(backend: NativeBackend, *arguments: Any) -> Results:
        chances.append(arguments[-1].dropout)
        keys.append(arguments[-1].key)
        return learn(backend, *arguments)

    monkeypatch.setattr(NativeBackend, "train", noted)
    train(config_of(N_INPUT_DELAY=delays, PDROP_INPUT=0.5, N_EPOCH=2), tmp_path)
    assert set(chances) == {0.5}
    assert len(keys) == 28  # a mini-batch at a time, and each is a block of its own
    assert len(set(keys)) == distinct


def test_the_test_is_as_the_evaluation_during_training(
    tmp_path: Path, config_of: Callable[..., Config]
) -> None:
    config = config_of(**EVERYTHING, N_VALIDATE=5)
    train(config, tmp_path)
    run = load_run(tmp_path)
    again = evaluate_run(config, tmp_path)
    assert (again["loss"], again["accuracy"]) == (run.test["loss"], run.test["accuracy"])


def test_blend_without_room_stops_before_anything_is_built(
    tmp_path: Path, config_of: Callable[..., Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_module, "open_shared", lambda *_: pytest.fail("it was built"))
    with pytest.raises(DataError, match="N_TRAIN=70 asks for beyond the 70 of the data"):
        train(config_of(AUGMENTATION={"blend": [0.5, 0.5]}), tmp_path)


def test_an_error_while_preparing_data_ends_the_run_with_its_message(
    tmp_path: Path, config_of: Callable[..., Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise DataError("the shift went wrong")

    monkeypatch.setitem(feed.recipe_of.__globals__["CHANGES"], "random_shift", fail)
    with pytest.raises(DataError, match="the shift went wrong"):
        train(config_of(AUGMENTATION={"random_shift": 5}), tmp_path)
    assert not RunPaths(tmp_path).pid.exists()


@pytest.mark.long
def test_ctrl_c_while_data_are_prepared_stops_with_a_checkpoint(tmp_path: Path) -> None:
    given = {
        **OPTIMISED,
        "N_TRAIN": 5010,
        "N_VALIDATE": 100,
        "N_TEST": 100,
        "N_EPOCH": 12,
        "MODEL_SEED": 1,
        "N_INPUT_DELAY": 3,
        "INPUT_DELAY": 5,
        "AUGMENTATION": "{random_shift:2,ID_jitter:1}",
        "NUM_HIDDEN": 30,
        "DT_MS": 0.2,
    }
    whole, folder = tmp_path / "whole", tmp_path / "run"
    assert here("train", *overrides(given), f"hydra.run.dir={whole}").returncode == 0
    process = start("train", *overrides(given), f"hydra.run.dir={folder}")
    wait_for_epochs(folder, 1, process)
    process.send_signal(signal.SIGINT)
    code, said = end(process)
    assert code == 130, said
    assert "stopped: by Ctrl-C" in said
    assert here("resume", str(folder), "backend.threads=3").returncode == 0
    assert_same_run(folder, whole)
