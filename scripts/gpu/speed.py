"""One epoch each of Yin-Yang and of a set of SHD's size: milliseconds, launches and memory.

Launches are counted in the code that GeNN made: each step of a pass launches every kernel of two
files once, and each mini-batch every update of a third; as a CUDA graph a pass is one launch. The
two passes are one with PIPELINE=true. Memory is counted from the description of the network, and,
on a GPU, taken from what its driver has free before and during the run, with what CUDA itself takes
for a process.
"""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from benchmark import epoch
from gpu.choice import Choice
from gpu.found import hold_context
from gpu.outcome import require, snnrun

from snnrun import load_run
from snnrun.backends.genn import description_of, room_for
from snnrun.backends.genn import settings_of as settings_of_run
from snnrun.backends.genn.driver import free_memory
from snnrun.backends.genn.memory import memory_of
from snnrun.config import Config, from_dict
from snnrun.datasets import load
from snnrun.run import build_program

LAUNCH = re.compile(r"<<<")
POLL_S = 0.2
LARGE = 256  # examples of the larger mini-batches
SHD_TRAIN, SHD_TEST = 2048, 128  # a quarter of the examples of SHD, with as many events each
EVENTS = epoch.EVENTS
MOST_SPIKES = 300
GRAPH = "backend.cuda_graph=true"


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A run that is timed."""

    name: str
    words: tuple[str, ...]
    native: bool = False


def settings_of(choice: Choice) -> list[Setting]:
    """Return the runs: each network with native, and on the device in each way of running it."""
    found = []
    ways = [("PIPELINE=false",), ("PIPELINE=true",)]
    if choice.device == "cuda":
        ways += [(*way, GRAPH) for way in ways]
    for network, words in _networks(choice).items():
        batch = 4 if choice.small else 32
        name, given = f"{network}, batch {batch}", (*words, f"N_BATCH={batch}")
        found.append(Setting(name=f"{name}, native", words=given, native=True))
        found += [_setting(name, (*given, *way), way) for way in ways]
        if not choice.small and "shd" in network:
            name, given = f"{network}, batch {LARGE}", (*words, f"N_BATCH={LARGE}")
            found.append(_setting(name, (*given, *ways[-1]), ways[-1]))
    return found


def _setting(name: str, words: tuple[str, ...], way: tuple[str, ...]) -> Setting:
    return Setting(name=", ".join([name, *way]).replace("backend.", ""), words=words)


def _networks(choice: Choice) -> dict[str, tuple[str, ...]]:
    common = ("preset=none", "N_EPOCH=1", "MODEL_SEED=1", "N_TEST=0", "ETA=1e-6")
    shd = [*common, "dataset=shd", "network=recurrent", "INPUT_HIDDEN_STD=0.01"]
    shd += ["HIDDEN_HIDDEN_MEAN=0.0", "HIDDEN_HIDDEN_STD=0.02"]
    shd += ["HIDDEN_OUTPUT_MEAN=0.0", "HIDDEN_OUTPUT_STD=0.03", "PDROP_INPUT=0.0", "DT_MS=1"]
    if choice.small:
        yinyang = ("NUM_HIDDEN=20", "N_TRAIN=8", "N_VALIDATE=4", "DT_MS=0.5")
        small = (*shd, "N_TRAIN=8", "N_VALIDATE=4", "TRIAL_MS=50", "INPUT_HIDDEN_MEAN=0.1")
        return {
            "yinyang 20": (*common, "dataset=yinyang", *yinyang),
            "shd 32 recurrent": (*small, "NUM_HIDDEN=32"),
            "shd 64 recurrent": (*small, "NUM_HIDDEN=64"),
        }
    full = (*shd, f"N_TRAIN={SHD_TRAIN - 256}", "N_VALIDATE=256", "TRIAL_MS=1000")
    full += ("INPUT_HIDDEN_MEAN=0.02",)  # some 20 spikes of a hidden neuron in a trial
    return {
        "yinyang 200": (*common, "dataset=yinyang", "NUM_HIDDEN=200"),
        "shd 256 recurrent": (*full, "NUM_HIDDEN=256"),
        "shd 1024 recurrent": (*full, "NUM_HIDDEN=1024"),
    }


def write_data(choice: Choice, folder: Path, place: Path) -> dict[str, Any]:
    """Write the made-up set for all runs."""
    counts = (16, 4, 4000) if choice.small else (SHD_TRAIN, SHD_TEST, EVENTS)
    epoch.write_data(folder / "shd", *counts)
    return dict(zip(("examples", "test examples", "events each"), counts, strict=True))


def _words(setting: Setting, choice: Choice, folder: Path) -> list[str]:
    words = [*setting.words]
    if setting.native:
        words.append("backend=native")
    else:
        words += [*choice.words(), f"N_MAX_SPIKE={MOST_SPIKES}"]
    return words + ([f"dataset.path={folder / 'shd'}"] if "dataset=shd" in words else [])


def build(setting: Setting, choice: Choice, folder: Path, place: Path) -> dict[str, Any]:
    """Build a program into the build cache, so that nothing is built while time counts."""
    snnrun("compile", *_words(setting, choice, folder), f"hydra.run.dir={place / 'code'}")
    return {}


def measure(setting: Setting, choice: Choice, folder: Path, place: Path) -> dict[str, Any]:
    """Train one epoch; return its figures."""
    run, words = place / "run", _words(setting, choice, folder)
    with _Memory(choice.device == "cuda" and not setting.native) as memory:
        snnrun("train", *words, f"hydra.run.dir={run}")
    told = load_run(run)
    trained = told.trials["phase"] == 0
    seconds = told.trials["seconds"][trained]
    loss = float(told.epochs["train_loss"][0])
    spikes = float(told.epochs["spikes_per_neuron/hidden"][0])
    require(bool(np.isfinite(loss)) and spikes > 0, f"loss {loss}, {spikes} spikes per neuron")
    found = {
        "ms per batch": 1e3 * float(np.median(seconds)),
        "first ms": 1e3 * float(seconds[0]),
        "batches": int(trained.sum()),
        "loss": loss,
        "spikes per neuron": spikes,
    }
    if setting.native:
        return found
    config = from_dict(told.config)
    splits = load(config)
    program = build_program(config, splits)
    description = description_of(program, settings_of_run(program, config, choice.device))
    counted = sum(memory_of(description, room_for(program, [splits.train.data])).values())
    return (
        found
        | _launches(run, config, program.steps)
        | {"memory counted (MB)": counted / 1e6, "memory taken (MB)": memory.taken}
    )


def _launches(run: Path, config: Config, steps: int) -> dict[str, int]:
    """Return how many kernels a step runs, and how many launches a mini-batch needs."""
    (code,) = (run / "code").glob("snnrun_*_CODE")

    def count(name: str) -> int:
        return len(LAUNCH.findall((code / name).read_text()))

    kernels = count("synapseUpdate.cc") + count("neuronUpdate.cc")
    of_pass = 1 if config.backend.cuda_graph else (steps + 1) * kernels  # the first one sets states
    passes = 1 if config.PIPELINE else 2
    return {
        "kernels per step": kernels,
        "launches per batch": passes * of_pass + count("customUpdate.cc"),
    }


class _Memory:
    """How much less is free on the first GPU than at the beginning, at most, in MB.

    The driver's context, which it is asked in, is kept meanwhile: making one takes long.
    """

    def __init__(self, known: bool) -> None:
        self.taken: float | None = None
        self._known = known
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self) -> None:
        start = free_memory(0)
        while start is not None and not self._over.wait(POLL_S):
            free = free_memory(0)
            if free is not None:
                self.taken = max(self.taken or 0.0, (start - free) / 1e6)

    def __enter__(self) -> _Memory:
        if self._known:
            hold_context()
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._known:
            self._thread.join()
