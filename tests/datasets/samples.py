"""Small files in the formats of the public data sets, and a stand-in for the configuration."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np

Examples = list[tuple[list[float], list[int]]]  # times in s, channels

KEYS: dict[str, Any] = {
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
    "DATA_ON_DISK": None,
}
OPTIONS = {
    "name": "yinyang",
    "path": None,
    "fetch": False,
    "merge": True,
    "input_ms": None,
    "start": 0.0,
}


def make_config(**changes: Any) -> SimpleNamespace:
    dataset = SimpleNamespace(**OPTIONS | changes.pop("dataset", {}))
    values = KEYS | changes
    steps = round(values["TRIAL_MS"] / values["DT_MS"])
    return SimpleNamespace(dataset=dataset, steps=steps, **values)


def write_shd(
    path: Path,
    examples: Examples,
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


def random_examples(n: int, random: np.random.Generator) -> Examples:
    sizes = random.integers(0, 30, n)
    return [(sorted(random.random(m) * 0.02), random.integers(0, 700, m).tolist()) for m in sizes]


def idx_bytes(array: np.ndarray) -> bytes:
    """Return an array as an idx file: of unsigned bytes, or of short integers if need be."""
    code, kind = (8, "u1") if array.max(initial=0) < 256 else (11, ">i2")
    header = bytes([0, 0, code, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.astype(kind).tobytes()


def write_mnist(folder: Path, train: tuple, test: tuple, packed: bool = True) -> Path:
    """Write the four idx files with (images, labels), as .gz or plain; return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for start, pair in (("train", train), ("t10k", test)):
        for kind, array in zip(("images-idx3", "labels-idx1"), pair, strict=True):
            content, name = idx_bytes(np.asarray(array)), f"{start}-{kind}-ubyte"
            if packed:
                (folder / f"{name}.gz").write_bytes(gzip.compress(content, mtime=0))
            else:
                (folder / name).write_bytes(content)
    return folder
