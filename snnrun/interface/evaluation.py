"""Evaluating stored weights: predictions, scores and spikes on a data set or on arrays."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from snnrun.backends.base import Backend, Trial
from snnrun.commands.saved_run import load, run_folder
from snnrun.config import Config, validate
from snnrun.console import brief, find_users_modules
from snnrun.datasets import load as load_data
from snnrun.datasets.feed import feed
from snnrun.datasets.spikes import Split, Splits
from snnrun.errors import ConfigError, DataError, RecordError, either
from snnrun.interface.arrays import Pair, splits_of
from snnrun.interface.keys import as_overrides
from snnrun.interface.ranks import shared
from snnrun.interface.scores import Scores
from snnrun.interface.training import composed_of
from snnrun.network.build import find_loss, initial_weights
from snnrun.record.paths import RunPaths
from snnrun.record.reader import Run
from snnrun.record.spikes import SpikeRecord
from snnrun.run import built
from snnrun.tasks import CLASSIFICATION, Task
from snnrun.training.checkpoint import load as load_checkpoint
from snnrun.training.evaluate import run_examples
from snnrun.training.recorder import layer_of, spikes_of
from snnrun.training.state import load_tensors, saved_ends

SPLITS = ("train", "validation", "test")
WEIGHTS = ("last", "best")
OF_START = "start"
UNTRAINED = {"rule": "surrogate", "N_EPOCH": 0}  # which takes neurons of all kinds
Variable = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What a trained network made of some examples (E of them).

    Args:
        weights: Which weights it was, "last", "best" or, of a network that is not trained, "start".
        epochs: How many epochs these had been trained for.
        examples: Index of each example in its data, int64 [E].
        predictions: Predicted classes, int32 [E]; -1 where no output decided.
        labels: True classes, int32 [E]; None where they are not known.
        losses: Loss of each example, float64 [E]; None where the labels are not known.
        scores: Score of each class, float64 [E, classes], the highest one is the prediction;
            None unless asked for. ``snnrun keys LOSS_TYPE`` says what they are.
        spikes: Population -> its spikes, of the populations that were asked for.
        variables: (population, variable) -> its values at the end of each step, float32 [E, steps,
            neurons], of those that were asked for.
        task: What the network learned to do; it names the score.
        figures: Those of the task, such as ``error_ratio`` -> float64 [E].
    """

    weights: str
    epochs: int
    examples: np.ndarray
    predictions: np.ndarray
    labels: np.ndarray | None
    losses: np.ndarray | None
    task: Task = CLASSIFICATION
    scores: np.ndarray | None = None
    spikes: Mapping[str, SpikeRecord] = field(default_factory=dict)
    variables: Mapping[Variable, np.ndarray] = field(default_factory=dict)
    figures: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def accuracy(self) -> float:
        """Share of examples whose class was predicted; NaN where there are no known classes."""
        return self.score if self.task is CLASSIFICATION else float("nan")

    @property
    def score(self) -> float:
        """Score of the task, more is better: accuracy, skill of a spike pattern, r2 of courses.

        NaN where the labels or targets are not known.
        """
        if self.labels is None or self.losses is None or not len(self.labels):
            return float("nan")
        found = self.task.of_test(self.losses, self.predictions, self.labels, self.figures)
        return found[self.task.score]

    @property
    def loss(self) -> float:
        """Mean loss; NaN where the labels are not known."""
        return float("nan") if self.losses is None else float(np.mean(self.losses))

    def __repr__(self) -> str:
        about = f"{len(self.examples):,} examples, {self.weights} weights (epochs: {self.epochs})"
        known = f", {self.task.score} {self.task.in_text(self.score)}, loss {self.loss:.4g}"
        return f"<Evaluation: {about}{known if self.labels is not None else ''}>"


@brief
@shared
def evaluate(
    run: Run | str | Path | Mapping[str, Any],
    data: str | np.ndarray | Sequence[Pair] = "test",
    *,
    labels: np.ndarray | None = None,
    courses: np.ndarray | None = None,
    weights: str = "last",
    scores: bool = False,
    spikes: Sequence[str] = (),
    variables: Sequence[Variable] = (),
    keys: Mapping[str, Any] | None = None,
) -> Evaluation:
    """Run the stored weights of a run on examples, without learning. Nothing is written.

    Args:
        run: A run, or its folder; or the keys of a network that is not trained, as {"network":
            "nir", "network.file": "net.nir", "DT_MS": 0.1, "TRIAL_MS": 100}.
        data: "train", "validation" or "test" of the run's data set; or spikes: counts [examples,
            steps, channels], or a pair (times in ms, channels) for each example.
        labels: The classes of spikes that are given as arrays, integers [examples], if known.
        courses: Their target courses, numbers [examples, steps, outputs], of a network that
            learned some, if known.
        weights: "last" or "best" (CHECKPOINT_BEST).
        scores: Return the score of each class too. This, like ``spikes``, runs the examples one by
            one, which takes longer.
        spikes: Populations whose spikes to return: "input", "hidden", "output".
        variables: Pairs of a population and a variable whose course to return: ("output", "V").
        keys: Keys to change, those that `snnrun test` may change: {"dataset.path": "elsewhere"}.

    Raises:
        SnnrunError: Anything that the user can put right.
    """
    find_users_modules(os.getcwd())
    if weights not in WEIGHTS:
        raise ConfigError(f"weights={weights!r}: must be {either(WEIGHTS)}")
    if isinstance(run, Mapping):
        weighing = _of_keys({**run, **(keys or {})})
    else:
        weighing = _of_run(run, weights, keys or {})
    config = weighing.config
    known = isinstance(data, str) or labels is not None or courses is not None
    if isinstance(data, str):
        for name, value in (("labels", labels), ("courses", courses)):
            if value is not None:
                raise ConfigError(f"{name}: those of {data!r} are in the data set; leave them out")
        splits = _of_dataset(config, data)
    else:
        config = validate({**config.to_dict(), "AUGMENTATION": {}})  # arrays are taken as they are
        splits = _of_arrays(config, data, labels, courses, weighing.ends())
    with built(config, splits) as backend:
        weighing.load(backend)
        found = _evaluation(config, backend, splits, scores, spikes, variables)
    found = replace(found, weights=weighing.kind, epochs=weighing.epochs)
    return found if known else replace(found, labels=None, losses=None, figures={})


def _of_arrays(
    config: Config,
    data: np.ndarray | Sequence[Pair],
    labels: np.ndarray | None,
    courses: np.ndarray | None,
    ends: tuple[int, int, tuple[int, ...]],
) -> Splits:
    """Return spikes that are given as arrays; targets that are not known are 0 throughout."""
    learns_courses = find_loss(config).readout.courses
    for name, value, meant in (
        ("labels", labels, not learns_courses),
        ("courses", courses, learns_courses),
    ):
        if value is not None and not meant:
            has = "target courses and no classes" if learns_courses else "no target courses"
            raise ConfigError(f"{name}: this network has learned {has}; leave them out")
    if learns_courses and courses is None:
        courses = np.zeros((len(data), config.steps, ends[1]))
    return splits_of(config, data, labels, courses, *ends)


@dataclass(frozen=True, kw_only=True)
class _Weighing:
    """Which weights a network is given.

    Args:
        config: Its configuration.
        kind: Which weights they are; ``epochs`` how long they were trained.
        ends: Returns input channels, classes and the shape of the channels.
        load: Gives a backend the weights.
    """

    config: Config
    kind: str
    epochs: int
    ends: Callable[[], tuple[int, int, tuple[int, ...]]]
    load: Callable[[Backend], None]


def _of_run(run: Any, weights: str, keys: Mapping[str, Any]) -> _Weighing:
    folder = _folder(run)
    config = load(folder, as_overrides(keys), "test", keep=False)
    checkpoint: Path = getattr(RunPaths(folder), weights)
    saved = load_checkpoint(checkpoint)

    def give(backend: Backend) -> None:
        load_tensors(saved, backend, states=False, where=str(checkpoint))

    return _Weighing(
        config=config,
        kind=weights,
        epochs=int(saved["epoch"]),
        ends=lambda: _ends(config, saved),
        load=give,
    )


def _of_keys(keys: Mapping[str, Any]) -> _Weighing:
    """Return a network that keys describe, as it starts."""
    config = validate(composed_of(UNTRAINED | dict(keys))[0])

    def ends() -> tuple[int, int, tuple[int, ...]]:
        first, last = config.graph.input.fields, config.graph.populations[-1].fields
        if "size" not in first or "size" not in last:
            raise ConfigError(
                "data: how many channels and classes a network without training has is not known; "
                "give network.file, which says it, or name a data set's examples"
            )
        return first["size"], last["size"], first.get("shape", ())

    def give(backend: Backend) -> None:
        for name, values in initial_weights(backend.program.network, config.MODEL_SEED).items():
            backend.set(name, values)

    return _Weighing(config=config, kind=OF_START, epochs=0, ends=ends, load=give)


def _folder(run: Run | str | Path) -> Path:
    """Return the folder of a run that has stored weights."""
    if isinstance(run, Run):
        if run.held:
            raise RecordError(
                "this run kept nothing on disk (WRITE_TO_DISK=false), so its weights are gone; "
                "train it with WRITE_TO_DISK true"
            )
        run = run.paths.root
    return run_folder(str(run))


def _of_dataset(config: Config, name: str) -> Splits:
    """Return the run's data with the split that is asked for as the one to test, unchanged."""
    if name not in SPLITS:
        raise ConfigError(f"data={name!r}: must be {either(SPLITS)}, or spikes as arrays")
    splits = load_data(config)
    split: Split | None = getattr(splits, name)
    if split is None:
        size = {"test": "N_TEST", "validation": "N_VALIDATE"}[name]
        raise DataError(
            f"dataset {config.dataset.name} has no {name} examples here; {size} asks for some"
        )
    return replace(splits, test=Split(name="test", data=split.data, examples=split.examples))


def _ends(config: Config, saved: Mapping[str, Any]) -> tuple[int, int, tuple[int, ...]]:
    """Return input channels, classes and the shape of the channels, from a checkpoint."""
    inputs, outputs, shape = saved_ends(saved)
    return inputs // (1 + config.N_INPUT_DELAY), outputs, shape


def _evaluation(
    config: Config,
    backend: Backend,
    splits: Splits,
    scores: bool,
    names: Sequence[str],
    variables: Sequence[Variable],
) -> Evaluation:
    """Return what the network makes of the test split."""
    assert splits.test is not None
    network = backend.program.network
    known = ("input", *(c.population.name for c in backend.program.populations))
    for name in names:
        if name not in known:
            raise ConfigError(f"spikes: {name!r} must be one of {', '.join(known)}")
    _refuse_unknown(backend, variables)
    scorer = Scores(backend.program) if scores else None
    results = run_examples(config, backend, splits, splits.test)
    about = {"examples": splits.test.examples, "labels": splits.test.labels}
    one_by_one = _OneByOne(config, backend, scorer, names, variables)
    if scores or names or variables:
        one_by_one.run(splits)
    return Evaluation(
        weights="",
        epochs=0,
        **about,
        predictions=results.prediction,
        losses=results.loss,
        scores=np.array(one_by_one.scores) if scores else None,
        spikes={
            name: SpikeRecord(
                **one_by_one.spikes(name),
                **about,
                n_neurons=network.size(name),
                predictions=results.prediction,
            )
            for name in names
        },
        variables={pair: np.stack(found) for pair, found in one_by_one.variables.items()},
        figures=results.figures,
        task=backend.program.task,
    )


def _refuse_unknown(backend: Backend, variables: Sequence[Variable]) -> None:
    """Raise ConfigError for a variable that there is not."""
    there = [
        (compiled.population.name, variable)
        for compiled in backend.program.populations
        for variable in compiled.dynamics.neuron.variables
    ]
    for pair in variables:
        if tuple(pair) not in there:
            raise ConfigError(f"variables: {pair!r} must be one of {', '.join(map(str, there))}")


class _OneByOne:
    """Runs examples by themselves, and keeps what only this shows of them."""

    def __init__(
        self,
        config: Config,
        backend: Backend,
        scorer: Scores | None,
        names: Sequence[str],
        variables: Sequence[Variable],
    ) -> None:
        self.scores: list[np.ndarray] = []
        self._config, self._backend, self._scorer = config, backend, scorer
        self._kept: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {name: [] for name in names}
        self.variables: dict[Variable, list[np.ndarray]] = {(p, v): [] for p, v in variables}

    def run(self, splits: Splits) -> None:
        """Run every example of the test split, in its order."""
        assert splits.test is not None
        at = 0
        with feed(self._config, splits, splits.test, epochs=1) as examples:
            while at < examples.trials:
                served = examples.serve(0, at, examples.trials)
                for example in served.examples:
                    self._keep(self._backend.trial(served.data, int(example)))
                at = served.last

    def spikes(self, name: str) -> dict[str, np.ndarray]:
        """Return what a SpikeRecord has of a population's spikes."""
        times, ids = zip(*self._kept[name], strict=True)
        return {
            "times_ms": np.concatenate(times).astype(np.float32),
            "ids": np.concatenate(ids).astype(np.int32),
            "offsets": np.cumsum([0, *map(len, ids)], dtype=np.int64),
        }

    def _keep(self, trial: Trial) -> None:
        if self._scorer is not None:
            self.scores.append(self._scorer.of(trial))
        for name, kept in self._kept.items():
            kept.append(spikes_of(self._backend.program, trial, name))
        for (population, variable), courses in self.variables.items():
            states = trial.states[layer_of(self._backend.program, population)]
            courses.append(states[variable].astype(np.float32))
