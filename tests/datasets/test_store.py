"""Data on a disk: the same as in memory, in files that go when nobody uses them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from runs import SMALL, TABLE, assert_same_run, command, overrides, snnrun, write_shd
from samples import make_config
from test_block import assert_same_data

from snnrun.datasets import Events, SpikeData, load, pack
from snnrun.datasets.store import OnDisk, file_of
from snnrun.errors import DataError

LIMIT_KB = 300_000  # of the memory that a process may have for itself
LARGE = {  # 10,000 examples of 10,000 steps, whose starts take 400 MB
    **TABLE,
    "N_TRAIN": 10_000,
    "N_VALIDATE": 0,
    "N_TEST": 32,
    "N_EPOCH": 1,
    "TRIAL_MS": 1000,
    "TAU_1": 100,
    "NUM_HIDDEN": 8,
    "MODEL_SEED": 1,
    "backend.threads": 1,
}
AUGMENTED = {"AUGMENTATION.random_shift": 4, "RESCALE_X": 0.5, "BALANCE_TRAIN_CLASSES": True}


def drawn(on_disk: Path | None, examples: int = 30) -> SpikeData:
    draw = np.random.default_rng(3)
    counts = draw.integers(0, 20, examples)
    steps, channels = draw.integers(-2, 12, counts.sum()), draw.integers(0, 7, counts.sum())
    return pack(
        Events(counts=counts, steps=steps, channels=channels),
        labels=np.arange(examples) % 3,
        n_steps=10,
        n_channels=7,
        n_classes=3,
        on_disk=on_disk,
    )


@pytest.mark.parametrize("examples", [0, 30])
def test_data_on_a_disk_are_those_in_memory(tmp_path: Path, examples: int) -> None:
    assert_same_data(drawn(tmp_path / "new", examples), drawn(None, examples))


def test_files_go_with_the_data(tmp_path: Path) -> None:
    data = drawn(tmp_path)
    assert len(list(tmp_path.iterdir())) == 4
    assert {file_of(data.step_pointers), file_of(data.channel_by_step)} < set(tmp_path.iterdir())
    assert file_of(data.step_pointers[1:]) is None
    del data
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="there are no locks")
def test_files_of_a_process_that_was_killed_go_with_the_next_one(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys; sys.path[:0] = sys.argv[2:]; from pathlib import Path;"
        "from test_store import drawn; data = drawn(Path(sys.argv[1]));"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    used = drawn(tmp_path)
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path), *sys.path], check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(list(tmp_path.iterdir())) == 8
    again = drawn(tmp_path)
    assert len(list(tmp_path.iterdir())) == 8
    assert_same_data(again, used)


def test_a_folder_that_cannot_be_written_to_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"DATA_ON_DISK=.*file: the spikes .* name another folder"):
        drawn(tmp_path / "file")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no full disk")
def test_a_full_disk_is_refused_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    growing = OnDisk(np.uint32, tmp_path)
    monkeypatch.setattr(growing, "_file", open("/dev/full", "wb"))  # noqa: SIM115
    with pytest.raises(DataError, match=r"No space left on device\. They need room on a"):
        growing.append(np.zeros(10_000, np.uint32))


def test_a_set_with_fewer_channels_is_cut_on_a_disk_too(tmp_path: Path) -> None:
    shd = write_shd(tmp_path / "shd", examples=24)
    dataset = {"name": "shd", "path": str(shd)}
    here, there = (
        load(make_config(dataset=dataset, DATA_ON_DISK=folder, RESCALE_X=0.5))
        for folder in (None, str(tmp_path / "files"))
    )
    assert there.train.data.on_disk
    assert_same_data(there.train.data, here.train.data)


@pytest.mark.parametrize("more", [{}, {"backend": "numpy"}, {"PDROP_INPUT": 0.2}])
def test_a_run_from_a_disk_has_the_bits_of_one_from_memory(tmp_path: Path, more: dict) -> None:
    folders = [tmp_path / name for name in ("memory", "disk")]
    for folder, files in zip(folders, (None, tmp_path / "files"), strict=True):
        keys = {**SMALL, "N_EPOCH": 2, **more} | ({"DATA_ON_DISK": str(files)} if files else {})
        done = snnrun("train", *overrides(keys), f"hydra.run.dir={folder}")
        assert done.returncode == 0, done.stderr
    assert_same_run(*folders)
    assert not list((tmp_path / "files").iterdir())


@pytest.mark.long
def test_augmented_data_from_a_disk_have_the_same_bits(tmp_path: Path) -> None:
    shd = write_shd(tmp_path / "shd", examples=60)
    keys = {"dataset": "shd", "dataset.path": str(shd), "N_TRAIN": None, "N_VALIDATE": 20}
    keys |= {"N_EPOCH": 2, "N_BATCH": 8, "NUM_HIDDEN": 20, "TRIAL_MS": 100, "MODEL_SEED": 1}
    folders = [tmp_path / name for name in ("memory", "disk")]
    for folder, files in zip(folders, (None, str(tmp_path / "files")), strict=True):
        words = overrides(keys | AUGMENTED | {"DATA_ON_DISK": files})
        done = snnrun("train", *words, f"hydra.run.dir={folder}")
        assert done.returncode == 0, done.stderr
    assert_same_run(*folders)


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="the system does not keep the limit")
def test_data_larger_than_the_memory_that_a_process_may_have_train_from_a_disk(
    tmp_path: Path,
) -> None:
    def limited(*words: str) -> subprocess.CompletedProcess:
        line = ["sh", "-c", f'ulimit -d {LIMIT_KB} && exec "$@"', "sh", *command("train", *words)]
        return subprocess.run(line, capture_output=True, text=True, timeout=300, check=False)

    words = [*overrides(LARGE), f"hydra.run.dir={tmp_path / 'run'}"]
    refused = limited(*words)
    assert refused.returncode == 2
    assert "memory" in refused.stderr
    done = limited(*words, f"DATA_ON_DISK={tmp_path / 'files'}")
    assert done.returncode == 0, done.stderr
