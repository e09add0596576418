"""Tests of a run, each with what was tested: which weights, on which data, when, by what command.

``run.h5`` keeps all of them, oldest first: those that the run made itself when it ended, and those
of `snnrun test`. None takes the place of another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import h5py
import numpy as np
from omegaconf import OmegaConf

from snnrun.record.columns import OUTCOMES
from snnrun.record.hdf5 import atomic_hdf5
from snnrun.record.paths import RunPaths
from snnrun.record.provenance import CONFIG
from snnrun.record.runfile import (
    open_run,
    read_figures,
    read_provenance,
    write_provenance,
    write_test,
)
from snnrun.record.table import read_columns

GROUP = "tests"

_FIGURES, _ORIGIN, _CONFUSION, _PREDICTIONS = "figures", "origin", "confusion", "predictions"
_MATRIX_MEANING = "examples [predicted class (the last row: none decided), true class]"

Kind = Literal["last", "best"]


@dataclass(frozen=True, kw_only=True)
class Weights:
    """Which weights were tested.

    Args:
        kind: "last" or "best", as the checkpoints of a run are called.
        epochs: How many epochs of training they had.
        trials: How many mini-batches of the next epoch, where training was stopped within it.
    """

    kind: Kind
    epochs: int
    trials: int = 0

    def __str__(self) -> str:
        within = f" and {self.trials} mini-batches" if self.trials else ""
        return f"{self.kind}, after {self.epochs} epochs{within}"


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """One test of a run.

    Args:
        weights: Which weights were tested.
        figures: ``loss``, the score of the task, ... (snnrun.record.columns.TEST).
        final: Made by the run itself when it ended; otherwise by `snnrun test`.
        n_examples: How many examples it had; 0 where an older run does not say.
        when: When it ended, as ISO 8601.
        origin: Configuration, seeds, command, versions and machine of the process that made it.
        confusion: Examples as [predicted, true], int32; the last row counts those for which no
            output decided. None without COLLECT_CONFUSION.
        predictions: ``example``, ``label`` and ``prediction`` (-1: none), each int32 [examples];
            empty without REC_PREDICTIONS.
    """

    weights: Weights
    figures: dict[str, float]
    final: bool
    n_examples: int
    when: str
    origin: Mapping[str, str | int]
    confusion: np.ndarray | None = None
    predictions: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def config(self) -> dict[str, Any]:
        """The configuration that the test had."""
        config = OmegaConf.to_container(OmegaConf.create(str(self.origin[CONFIG])))
        return {str(key): value for key, value in dict(config).items()}  # type: ignore[arg-type]

    @property
    def dataset(self) -> str:
        """The name of the data set, and where it was read if a path was given."""
        options = self.config.get("dataset")
        path = options.get("path") if isinstance(options, Mapping) else None
        return f"{self.origin['dataset']}" + (f" in {path}" if path else "")

    @property
    def seed(self) -> int | None:
        """TEST_DATA_SEED as it was; None where an older run does not say."""
        seed = self.origin.get("seed_TEST_DATA_SEED")
        return None if seed is None else int(seed)


def final_tests(tests: Sequence[Evaluation]) -> list[Evaluation]:
    """Return those that a run made when it ended last: of its last weights, then of its best ones.

    The latter is missing where the last epoch is the best, and where no best is kept.
    """
    own = [test for test in tests if test.final]
    last = [number for number, test in enumerate(own) if test.weights.kind == "last"]
    return own[last[-1] :] if last else []


def now() -> str:
    """Return the time as a record has it, ISO 8601 with seconds."""
    return datetime.now().astimezone().isoformat(timespec="seconds")


def write_tests(file: h5py.File, tests: Sequence[Evaluation]) -> None:
    """Write every test as a group of ``tests``, by its number from 0."""
    for number, test in enumerate(tests):
        group = file.create_group(f"{GROUP}/{number}")
        group.attrs["weights"] = test.weights.kind
        group.attrs["epochs"] = test.weights.epochs
        group.attrs["trials"] = test.weights.trials
        group.attrs["final"] = test.final
        group.attrs["examples"] = test.n_examples
        group.attrs["when"] = test.when
        write_test(group.create_group(_FIGURES), test.figures)
        write_provenance(group.create_group(_ORIGIN), test.origin)
        if test.confusion is not None:
            group[_CONFUSION] = test.confusion
            group[_CONFUSION].attrs["meaning"] = _MATRIX_MEANING
        for name, values in test.predictions.items():
            data = group.create_dataset(f"{_PREDICTIONS}/{name}", data=values, dtype="i4")
            data.attrs["meaning"] = OUTCOMES[name].meaning


def read_tests(file: h5py.File) -> list[Evaluation]:
    """Return the tests of a run, oldest first; of a run of an older snnrun, the one that it has."""
    if GROUP not in file:
        return _of_an_older_run(file)
    return [_read(file[GROUP][number]) for number in sorted(file[GROUP], key=int)]


def add_test(paths: RunPaths, test: Evaluation) -> None:
    """Add a test to ``run.h5`` and leave everything else in it as it is."""
    with open_run(paths) as old, atomic_hdf5(paths.run) as new:
        for name, value in old.attrs.items():
            new.attrs[name] = value
        for name in old.keys() - {GROUP}:
            old.copy(name, new)
        write_tests(new, [*read_tests(old), test])


def _read(group: h5py.Group) -> Evaluation:
    about = group.attrs
    return Evaluation(
        weights=Weights(
            kind=about["weights"], epochs=int(about["epochs"]), trials=int(about["trials"])
        ),
        figures=test_figures(group[_FIGURES]),
        final=bool(about["final"]),
        n_examples=int(about["examples"]),
        when=str(about["when"]),
        origin=read_provenance(group[_ORIGIN]),
        confusion=group[_CONFUSION][()] if _CONFUSION in group else None,
        predictions=read_columns(group[_PREDICTIONS]) if _PREDICTIONS in group else {},
    )


def _of_an_older_run(file: h5py.File) -> list[Evaluation]:
    figures = test_figures(file["test"])
    if not figures:
        return []
    weights = Weights(kind="last", epochs=len(file["epochs"].get("epoch", ())))
    return [
        Evaluation(
            weights=weights,
            figures=figures,
            final=True,
            n_examples=0,
            when=str(file.attrs["finished"]),
            origin=read_provenance(file),
        )
    ]


def test_figures(group: h5py.Group) -> dict[str, float]:
    """Return the figures of a test by name."""
    return {name: float(value) for name, value in read_figures(group).items()}
