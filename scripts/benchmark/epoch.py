"""A whole epoch at the size of SHD, as `snnrun train` runs it, against its kernels alone."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np

TRAIN, TEST, EVENTS = 8156, 512, 8000
PLAIN = (
    "dataset=shd",
    "preset=none",
    "N_TRAIN=7644",
    "N_VALIDATE=512",
    "INPUT_HIDDEN_MEAN=0.02",
    "INPUT_HIDDEN_STD=0.01",
    "HIDDEN_OUTPUT_MEAN=0.0",
    "HIDDEN_OUTPUT_STD=0.03",
    "PDROP_INPUT=0.0",
    "ETA=1e-9",
    "N_EPOCH=5",
)
SETTINGS = {
    "feed-forward": PLAIN,
    "recurrent": (*PLAIN, "network=recurrent", "HIDDEN_HIDDEN_MEAN=0.0", "HIDDEN_HIDDEN_STD=0.02"),
    "shd_best": ("preset=shd_best", "N_EPOCH=3"),
}


def write_data(folder: Path, train: int = TRAIN, test: int = TEST, events: int = EVENTS) -> None:
    """Write files in the layout of SHD, with random events; by itself of SHD's size."""
    draw = np.random.default_rng(1)
    folder.mkdir(parents=True, exist_ok=True)
    for name, count in (("train", train), ("test", test)):
        with h5py.File(folder / f"shd_{name}.h5", "w") as file:
            times = file.create_dataset("spikes/times", (count,), h5py.vlen_dtype(np.float16))
            units = file.create_dataset("spikes/units", (count,), h5py.vlen_dtype(np.uint16))
            for row in range(count):
                length = draw.uniform(0.7, 1.0)
                times[row] = np.sort(draw.random(events) * length).astype(np.float16)
                units[row] = draw.integers(0, 700, events).astype(np.uint16)
            file["labels"] = (np.arange(count) % 20).astype(np.uint16)
            file["extra/speaker"] = (np.arange(count) % 12).astype(np.uint16)
            file["extra/keys"] = np.array([f"class {k}" for k in range(20)], "S")


def measure(folder: Path, name: str) -> dict[str, float]:
    """Train some epochs; return seconds per epoch, those of its kernels, and memory in MB.

    The first epoch is left out of the medians: it converts and packs the data.
    """
    from snnrun.record import load_run

    out = folder / f"run-{name}"
    command = [sys.executable, "-m", "snnrun", "train", *SETTINGS[name]]
    command += ["N_TEST=0", "MODEL_SEED=1"]
    command += [f"dataset.path={folder / 'shd'}", f"hydra.run.dir={out}"]
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    total = time.perf_counter() - began
    run = load_run(out)
    epochs = run.epochs["epoch"]
    kernels = [float(run.trials["seconds"][run.trials["epoch"] == e].sum()) for e in epochs]
    return {
        "epoch": float(np.median(run.epochs["seconds"][1:])),
        "kernels": float(np.median(kernels[1:])),
        "whole run": total,
        "outside epochs": total - float(run.epochs["seconds"].sum()),
        "events MB": TRAIN * EVENTS * 4 / 1e6,
        "memory MB": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e3,
    }
