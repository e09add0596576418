"""Small files in the formats of the public data sets, and a stand-in for the configuration."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
import pytest


@pytest.fixture(autouse=True)
def own_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep every test out of the real cache, and away from any proxy."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.delenv("SNNRUN_DATA", raising=False)


def _config(**changes: Any) -> SimpleNamespace:
    values: dict[str, Any] = {
        "DT_MS": 1.0,
        "TRIAL_MS": 20.0,
        "N_TRAIN": None,
        "N_VALIDATE": 0,
        "N_TEST": None,
        "EVALUATION": "random",
        "TRAIN_DATA_SEED": 123,
        "TEST_DATA_SEED": 456,
        "SPEAKER_LEFT": (0,),
        "REDUCED_CLASSES": None,
        "AUGMENTATION": {},
        "RESCALE_T": 1.0,
        "RESCALE_X": 1.0,
        "BALANCE_TRAIN_CLASSES": False,
        "BALANCE_EVAL_CLASSES": False,
        "N_INPUT_DELAY": 0,
        "INPUT_DELAY": 50.0,
        "SHUFFLE": True,
    }
    dataset = {"name": "yinyang", "path": None, "fetch": False, "merge": True, "input_ms": None,
               "start": 0.0}  # fmt: skip
    dataset |= changes.pop("dataset", {})
    values |= changes
    steps = round(values["TRIAL_MS"] / values["DT_MS"])
    return SimpleNamespace(dataset=SimpleNamespace(**dataset), steps=steps, **values)


@pytest.fixture
def make_config() -> Callable[..., SimpleNamespace]:
    return _config


def _write_shd(
    path: Path,
    examples: list[tuple[list[float], list[int]]],
    labels: list[int] | None = None,
    dtype: Any = np.float16,
    extra: bool = True,
    classes: int = 20,
) -> Path:
    """Write (times in s, channels) of each example in the layout of SHD."""
    path.parent.mkdir(parents=True, exist_ok=True)
    n = len(examples)
    with h5py.File(path, "w") as file:
        times = file.create_dataset("spikes/times", (n,), h5py.vlen_dtype(dtype))
        units = file.create_dataset("spikes/units", (n,), h5py.vlen_dtype(np.uint16))
        for row, (seconds, channels) in enumerate(examples):
            times[row] = np.array(seconds, dtype)
            units[row] = np.array(channels, np.uint16)
        numbers = np.arange(n) % classes if labels is None else labels
        file["labels"] = np.array(numbers, np.uint16)
        if extra:
            file["extra/speaker"] = np.arange(n).astype(np.uint16) % 3 + 4
            file["extra/keys"] = np.array([f"word{number}" for number in range(classes)], "S")
    return path


@pytest.fixture
def write_shd() -> Callable[..., Path]:
    return _write_shd


def _examples(n: int, random: np.random.Generator) -> list[tuple[list[float], list[int]]]:
    sizes = random.integers(0, 30, n)
    return [(sorted(random.random(m) * 0.02), random.integers(0, 700, m).tolist()) for m in sizes]


@pytest.fixture
def shd_folder(tmp_path: Path) -> Path:
    """A folder with 40 training and 10 test examples in the layout of SHD."""
    random = np.random.default_rng(1)
    _write_shd(tmp_path / "shd" / "shd_train.h5", _examples(40, random))
    _write_shd(tmp_path / "shd" / "shd_test.h5", _examples(10, random))
    return tmp_path / "shd"


@pytest.fixture
def ssc_folder(tmp_path: Path) -> Path:
    """A folder with 40 training, 20 validation and 10 test examples in the layout of SSC."""
    random = np.random.default_rng(3)
    for split, n in (("train", 40), ("valid", 20), ("test", 10)):
        _write_shd(tmp_path / "ssc" / f"ssc_{split}.h5", _examples(n, random), classes=35)
    return tmp_path / "ssc"


def idx_bytes(array: np.ndarray) -> bytes:
    """Return an array as an idx file: of unsigned bytes, or of short integers if need be."""
    code, kind = (8, "u1") if array.max(initial=0) < 256 else (11, ">i2")
    header = bytes([0, 0, code, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.astype(kind).tobytes()


@pytest.fixture
def write_mnist() -> Callable[..., Path]:
    """Write the four idx files: pack is None (plain) or "gz"; returns the folder."""

    def write(folder: Path, train: tuple, test: tuple, pack: str | None = "gz") -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        for start, (images, labels) in (("train", train), ("t10k", test)):
            for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
                content = idx_bytes(np.asarray(array))
                name = f"{start}-{kind}-ubyte"
                if pack == "gz":
                    (folder / f"{name}.gz").write_bytes(gzip.compress(content, mtime=0))
                else:
                    (folder / name).write_bytes(content)
        return folder

    return write


@pytest.fixture
def mnist_folder(tmp_path: Path, write_mnist: Callable[..., Path]) -> Path:
    """A folder with 30 training and 10 test images of 3 x 4 pixels."""
    random = np.random.default_rng(2)
    train = (random.integers(0, 256, (30, 3, 4)), np.arange(30) % 10)
    test = (random.integers(0, 256, (10, 3, 4)), np.arange(10))
    return write_mnist(tmp_path / "mnist", train, test)
