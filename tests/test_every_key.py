"""Every key of the reference's table, in each of its data sets, changes what it says it does.

The rows are in every_key.py. Keys of the network are looked for in the code that is generated, the
others in what a run records: all runs of a data set share one compiled program.
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from every_key import ROWS, ROWS_OF, UNSET, Row
from long import long_but
from runs import numbers, write_mnist, write_shd

from snnrun import Run, train
from snnrun.backends import genn
from snnrun.backends.genn.description import Description
from snnrun.backends.native.emit import generate
from snnrun.compile.program import Program
from snnrun.config import Config, from_dict
from snnrun.datasets import load
from snnrun.errors import SnnrunError
from snnrun.network.build import initial_weights
from snnrun.plots.style import Picture
from snnrun.record import provenance
from snnrun.record.spikes import SpikePartWriter
from snnrun.run import build_program
from snnrun.schema import ALIASES, SCHEMA
from snnrun.training import checkpoint

with (Path(__file__).parent / "parameters.csv").open(newline="") as file:
    TABLE = [(row["benchmark"], row["name"]) for row in csv.DictReader(file)]

# Of the keys of the table, in one data set and in those where they act otherwise, one in five
SOME = [*ROWS_OF, *{name: (benchmark, name) for benchmark, name in TABLE}.values()][::5]

SHAPES = {"yinyang": (5, 3), "mnist": (784, 10), "shd": (700, 20)}  # inputs, outputs
SMALL = {
    "DT_MS": 0.5,
    "NUM_HIDDEN": 12,
    "N_TRAIN": 15,
    **dict.fromkeys(("N_BATCH", "N_VALIDATE", "N_TEST"), 5),
    "N_EPOCH": 3,
    "MODEL_SEED": 1,
    "REC_PREDICTIONS": True,
    "W_OUTPUT_EPOCH_TRIAL": [[0, 0], [-1, 3]],  # at first, and after the last training batch
}
BASE: dict[str, dict[str, Any]] = {
    "yinyang": SMALL | {"W_REPORT_INTERVAL": 0},
    "mnist": SMALL,
    "shd": SMALL
    | {
        "DT_MS": 1.0,
        "TRIAL_MS": 80.0,
        "TRAIN_TAU": True,
        "ETA": 0.05,
        "INPUT_HIDDEN_MEAN": 0.3,
        "LR_EASE_IN_FACTOR": 1.0,
    },
}

Keys = dict[str, Any]
See = Callable[["Lab", Keys], Any]


class Lab:
    """Runs and programs of one data set; what was made for the same keys is not made again."""

    def __init__(self, name: str, folders: Mapping[str, Path]) -> None:
        self.name = name
        self.folders = folders
        self._group = {"name": name}
        if name in folders:
            self._group["path"] = str(folders[name])
        self._runs: dict[str, Run] = {}
        self._programs: dict[str, tuple[Program, Config]] = {}

    def keys(self, row: Row, name: str, changed: bool) -> Keys:
        """Return the keys of a run with or without the value of a row."""
        keys = BASE[self.name] | row.base
        if changed:
            keys.pop(ALIASES.get(name, name), None)
            keys[name] = row.value
            keys |= dict.fromkeys(row.drop, UNSET)
        return {key: value for key, value in keys.items() if value is not UNSET}

    def config(self, keys: Keys) -> Config:
        return from_dict({"dataset": self._group, **keys})

    def run(self, keys: Keys, **more: Any) -> Run:
        """Return a run that leaves nothing on disk."""
        return self._once(self._runs, keys, lambda: self.train(keys, WRITE_TO_DISK=False, **more))

    def train(self, keys: Keys, folder: Path | None = None, **more: Any) -> Run:
        backend = {"threads": 1}
        chosen = {"dataset": self._group, "preset": "none", "backend": backend, **keys, **more}
        return train(chosen, folder, progress=False)

    def program(self, keys: Keys) -> tuple[Program, Config]:
        """Return the program of a network with as many inputs and outputs as the data have."""
        return self._once(self._programs, keys, lambda: self._program(keys))

    def _program(self, keys: Keys) -> tuple[Program, Config]:
        config = self.config(keys)
        inputs, outputs = SHAPES[self.name]
        data = SimpleNamespace(n_channels=inputs, n_classes=outputs, shape=())
        return build_program(config, SimpleNamespace(train=SimpleNamespace(data=data))), config

    def _once(self, made: dict[str, Any], keys: Keys, make: Callable[[], Any]) -> Any:
        name = repr(sorted(keys.items(), key=str))
        if name not in made:
            made[name] = make()
        return made[name]


@pytest.fixture(scope="module")
def labs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Lab]]:
    top = tmp_path_factory.mktemp("data")
    folders = {"mnist": write_mnist(top / "mnist"), "shd": write_shd(top / "shd")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(top / "cache"))
        patch.setattr(os, "fsync", lambda file: None)  # both take a third of the time of a run
        patch.setattr(provenance, "git_commit", lambda *_: "")
        yield {name: Lab(name, folders) for name in SHAPES}


# ways to look


def source(lab: Lab, keys: Keys) -> str:
    """The generated code without its comments, and its numbers."""
    generated = generate(lab.program(keys)[0], "float32")
    numbers = [f"{name} = {value};" for name, value in generated.numbers.items()]
    return "\n".join([re.sub("//.*", "", generated.source), *numbers])


def start_weights(lab: Lab, keys: Keys) -> dict[str, np.ndarray]:
    program, config = lab.program(keys)
    return initial_weights(program.network, config.MODEL_SEED)


def learned(lab: Lab, keys: Keys) -> list[tuple[str, bytes]]:
    run = lab.run(keys)
    return sorted(numbers([run.weights(2, 3)]))


def first_weights(lab: Lab, keys: Keys) -> list[tuple[str, bytes]]:
    return sorted(numbers(lab.run(keys).weights(0, 0)))


def trained_tensors(lab: Lab, keys: Keys) -> list[str]:
    """Weights by projection, and parameters by population, that the training has changed."""
    run = lab.run(keys)
    names = []
    for part in (run.weights, run.parameters):
        first, last = part(0, 0), part(2, 3)
        names += [n.split("/")[0] for n in first if not np.array_equal(first[n], last[n])]
    return sorted(set(names))


def lifts(lab: Lab, keys: Keys) -> list[float]:
    """By how much input weights have changed from the first to the last epoch."""
    run = lab.run(keys)
    changes = run.weights(2, 3)["in_to_hid"] - run.weights(0, 0)["in_to_hid"]
    return sorted({round(float(change), 5) for change in changes.flat})


def shortest(name: str) -> See:
    return lambda lab, keys: round(float(lab.run(keys).parameters(2, 3)[f"hidden/{name}"].min()), 4)


def rates(lab: Lab, keys: Keys) -> list[float]:
    trials = lab.run(keys).trials
    first = (trials["trial"] == 0) & (trials["phase"] == 0)
    return [round(float(rate), 9) for rate in trials["learning_rate"][first]]


def batches(lab: Lab, keys: Keys) -> list[int]:
    trials = lab.run(keys).trials
    return list(trials["examples"][(trials["phase"] == 0) & (trials["epoch"] == 0)])


def train_order(lab: Lab, keys: Keys) -> list[int]:
    return list(lab.run(keys).predictions("train", 0)["example"])


def of_test(lab: Lab, keys: Keys) -> list[tuple[str, bytes]]:
    """Which test examples there are and, as generated ones have numbers alone, what they are."""
    run = lab.run(keys)
    return [*numbers(run.predictions("test")), *numbers(run.loss["test"])]


def validation_set(lab: Lab, keys: Keys) -> list[int]:
    return sorted(lab.run(keys).predictions("validation", 0)["example"])


def classes(lab: Lab, keys: Keys) -> tuple[list[int], int]:
    """Classes, as they are numbered in the files, of the training examples; the outputs."""
    split = load(lab.config(keys)).train
    everything = load(lab.config({**keys, "REDUCED_CLASSES": None})).train.data
    labels = {int(label) for label in everything.labels[split.examples]}
    return sorted(labels), split.data.n_classes


def recorded(kind: str) -> See:
    return lambda lab, keys: lab.run(keys).recorded()[kind]


def recorded_taus(lab: Lab, keys: Keys) -> list[tuple[int, int]]:
    """Where time constants were recorded without the weights."""
    run = lab.run(keys)
    return [at for at in run.recorded()["weights"] if not run.weights(*at) and run.parameters(*at)]


def input_spikes(lab: Lab, keys: Keys) -> np.ndarray:
    return lab.run(keys).spikes(0, 0, "input").ids


def predictions(lab: Lab, keys: Keys) -> int:
    run = lab.run(keys)
    try:
        return len(run.predictions("train", 0)["prediction"])
    except SnnrunError:
        return 0


def confusion(lab: Lab, keys: Keys) -> int:
    run = lab.run(keys)
    try:
        return int(run.confusion("train")[0].sum() + run.no_prediction("train")[0].sum())
    except (SnnrunError, KeyError):
        return 0


def top_folder(lab: Lab, keys: Keys) -> str:
    root = lab.train(keys).paths.root
    return root.resolve().relative_to(Path.cwd()).parts[0]


def files(lab: Lab, keys: Keys) -> list[Path]:
    lab.train(keys)
    found = [path for path in Path().rglob("*") if path.is_file()]
    for path in found:
        path.unlink()
    return found


def first_weights_after_a_run(lab: Lab, keys: Keys) -> str:
    """Say whose weights a run begins with that an earlier one of its name has gone before."""
    loads = {"LOAD_LAST", "LOAD_BEST"} & keys.keys()
    plain = {key: value for key, value in keys.items() if key not in loads}
    learning = plain | {"N_EPOCH": 2}
    earlier = lab.train(learning | {"MODEL_SEED": 7, "OUT_DIR": lab.name})
    found = lab.train(learning | dict.fromkeys(loads, True) | {"OUT_DIR": lab.name})
    begin = found.weights(0, 0)["in_to_hid"]
    saved = {
        name: checkpoint.load(getattr(earlier.paths, name))["tensors"]["in_to_hid"]["value"]
        for name in ("last", "best")
    }
    assert not np.array_equal(saved["last"], saved["best"])
    same = [name for name, weights in saved.items() if np.array_equal(weights, begin)]
    return same[0] if same else "new"


def refusal(lab: Lab, keys: Keys) -> str:
    try:
        lab.run(keys)
    except SnnrunError as error:
        return str(error)
    return ""


def refusal_of_an_empty_cache(lab: Lab, keys: Keys) -> str:
    if keys.get("BUILD", True):
        return refusal(lab, keys)
    backend = {"cache_dir": "nothing"}
    return refusal(lab, {**keys, "backend": backend})


def writes_of_spikes(lab: Lab, keys: Keys) -> int:
    written = []
    with pytest.MonkeyPatch.context() as patch:
        flush = SpikePartWriter._flush
        patch.setattr(SpikePartWriter, "_flush", lambda self: written.append(1) or flush(self))
        lab.train(keys, WRITE_TO_DISK=False)
    return len(written)


def pictures(lab: Lab, keys: Keys) -> list[str]:
    root = lab.train(keys).paths.root
    return sorted(path.stem for path in root.rglob("*.png"))


def courses_drawn(lab: Lab, keys: Keys) -> int:
    """How often the picture of the training was drawn."""
    drawn = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Picture, "draw", lambda picture, figure: drawn.append(picture.name))
        lab.train(keys)
    return drawn.count("training")


class BuildSeenError(Exception):
    """What GeNN would be asked to build."""


def genn_build(lab: Lab, keys: Keys) -> tuple[Description, Any]:
    """What the genn backend would build, for a GPU that need not be there."""
    program, _ = lab.program({key: keys[key] for key in BASE[lab.name]})
    select = SimpleNamespace(MANUAL="MANUAL", OPTIMAL="OPTIMAL")
    pygenn = SimpleNamespace(cuda_backend=SimpleNamespace(DeviceSelect=select))

    def build(pygenn: Any, description: Description, target: Any, *_: Any, **__: Any) -> None:
        raise BuildSeenError(description, target)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(genn, "require_genn", lambda config: (pygenn, "cuda"))
        patch.setattr(genn, "version_of_pygenn", lambda: "5.4")
        patch.setattr(genn, "build_model", build)
        with pytest.raises(BuildSeenError) as seen:
            genn.open_genn(program, lab.config({**keys, "backend": "genn"}), Path(), ())
    return seen.value.args


SEE: dict[str, See] = {
    "source": source,
    "start_weights": start_weights,
    "learned": learned,
    "first_weights": first_weights,
    "trained_tensors": trained_tensors,
    "shortest_tau_mem": shortest("tau_mem"),
    "shortest_tau_syn": shortest("tau_syn"),
    "lifts": lifts,
    "activity": lambda lab, keys: {n for n in lab.run(keys).epochs if "spikes" in n},
    "rates": rates,
    "batches": batches,
    "epochs": lambda lab, keys: len(lab.run(keys).epochs["epoch"]),
    "train_order": train_order,
    "test_examples": of_test,
    "test_count": lambda lab, keys: len(lab.run(keys).predictions("test")["example"]),
    "validation_set": validation_set,
    "validation_examples": lambda lab, keys: len(validation_set(lab, keys)),
    "classes": classes,
    "recorded_spikes": recorded("spikes"),
    "recorded_variables": recorded("variables"),
    "recorded_weights": recorded("weights"),
    "recorded_taus": recorded_taus,
    "train_input_spikes": lambda lab, keys: len(input_spikes(lab, keys)),
    "train_input_channels": lambda lab, keys: list(input_spikes(lab, keys)),
    "predictions": predictions,
    "confusion": confusion,
    "timings": lambda lab, keys: lab.run(keys).timings,
    "name": lambda lab, keys: lab.run(keys).provenance["name"],
    "top_folder": top_folder,
    "files": files,
    "pictures": pictures,
    "courses_drawn": courses_drawn,
    "first_weights_after_a_run": first_weights_after_a_run,
    "refusal": refusal,
    "refusal_of_an_empty_cache": refusal_of_an_empty_cache,
    "writes_of_spikes": writes_of_spikes,
    "genn_buffers": lambda lab, keys: str(genn_build(lab, keys)[0]),
    "genn_device": lambda lab, keys: genn_build(lab, keys)[1].preferences,
}


@pytest.mark.usefixtures("places")
@pytest.mark.parametrize(("benchmark", "name"), long_but(TABLE, SOME, "-".join))
def test_the_key_changes_what_it_says(benchmark: str, name: str, labs: dict[str, Lab]) -> None:
    row = ROWS_OF.get((benchmark, name), ROWS[name])
    lab, see = labs[benchmark], SEE[row.see]
    before = see(lab, lab.keys(row, name, changed=False))
    after = see(lab, lab.keys(row, name, changed=True))
    if row.expect is None:
        assert before != after, f"{name}={row.value} changes nothing"
    else:
        assert row.expect(before, after), (before, after)


@pytest.mark.parametrize("see", sorted({row.see for row in ROWS.values() if row.expect is None}))
def test_what_only_has_to_differ_does_not_do_so_by_itself(see: str, labs: dict[str, Lab]) -> None:
    lab = labs["shd"]
    keys = BASE["shd"] | {"REC_SPIKES": ["input"], "REC_SPIKES_EPOCH_TRIAL": [[0, 0]]}
    assert SEE[see](lab, keys) == SEE[see](Lab("shd", lab.folders), keys)


def test_no_key_of_the_table_is_left_out() -> None:
    assert {ALIASES.get(name, name) for name in ROWS} <= set(SCHEMA)
    assert {name for _, name in TABLE} == set(ROWS)
    assert set(ROWS_OF) <= set(TABLE)
    assert {row.see for row in (*ROWS.values(), *ROWS_OF.values())} == set(SEE)
