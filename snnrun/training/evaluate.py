"""The test: what a trained network makes of examples that had no part in its training.

A run makes it at its end: of its last weights, and of the best that it has had.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

import numpy as np

from snnrun.backends.base import Backend, Results
from snnrun.config import Config
from snnrun.datasets.feed import feed
from snnrun.datasets.spikes import Split, Splits
from snnrun.errors import DataError, NumericalError
from snnrun.record.evaluation import Evaluation, Weights, now
from snnrun.record.outcomes import PREDICTED, count_confusion
from snnrun.record.writer import RunRecord
from snnrun.training.activity import activity, spread
from snnrun.training.costs import costs_of, measured
from snnrun.training.keeper import Keeper
from snnrun.training.state import State, load_tensors


def evaluate(
    config: Config,
    backend: Backend,
    splits: Splits,
    *,
    weights: Weights,
    origin: Mapping[str, str | int],
    final: bool,
) -> Evaluation:
    """Run the test split with the weights that the backend holds, and return what came of it.

    Where speakers are known, accuracies of those that occur in training and of the others stand
    apart.

    Args:
        weights: Says which weights these are.
        origin: The provenance of this process.
        final: This is the run's own test at its end.

    Raises:
        DataError: There is no test set.
        NumericalError: The loss is not finite.
    """
    split = require_test_set(config, splits)
    started = time.monotonic()
    results = run_examples(config, backend, splits, split)
    seconds = time.monotonic() - started
    if results.failed_batch >= 0:
        raise NumericalError("the loss on the test set is not finite; the weights are beyond use")
    task, outcome = backend.program.task, (results.loss, results.prediction, split.labels)
    figures = {
        **task.of_test(*outcome, results.figures),
        **_by_speaker(results.prediction == split.labels, split, splits.train),
        "seconds": seconds,
        "examples_per_second": len(split) / seconds if seconds > 0 else float("nan"),
    }
    seen = backend.program, results.neuron_spikes, len(split)
    spikes = activity(*seen) | (spread(*seen) if config.DEBUG_HIDDEN_N else {})
    figures |= {name: float(value) for name, value in spikes.items()}
    costs = costs_of(config, backend.program)
    figures |= measured(costs, backend, results.activations, len(split))
    columns = (split.examples, split.labels, results.prediction)
    predicted = {name: np.asarray(c, np.int32) for name, c in zip(PREDICTED, columns, strict=True)}
    return Evaluation(
        weights=weights,
        figures={name: float(value) for name, value in figures.items()},
        final=final,
        n_examples=len(split),
        when=now(),
        origin=origin,
        confusion=_confusion(split, results.prediction) if config.COLLECT_CONFUSION else None,
        predictions=predicted if config.REC_PREDICTIONS else {},
    )


def require_test_set(config: Config, splits: Splits) -> Split:
    """Return the test set, or raise a DataError that says there is none."""
    if splits.test is None:
        raise DataError(
            f"dataset {config.dataset.name} has no test set here; N_TEST says how large it is"
        )
    return splits.test


def _confusion(split: Split, prediction: np.ndarray) -> np.ndarray:
    return count_confusion(split.labels, prediction, split.data.n_classes).astype(np.int32)


def run_examples(config: Config, backend: Backend, splits: Splits, split: Split) -> Results:
    """Return what comes of all examples of ``split``, in their order, without learning."""
    parts, at = [], 0
    backend.counts_inputs = True
    with feed(config, splits, split, epochs=1) as test:
        while at < test.trials:
            served = test.serve(0, at, test.trials)
            parts.append(backend.evaluate(served.data, np.ascontiguousarray(served.examples)))
            at = served.last
    counted = [part.activations for part in parts if part.activations is not None]
    return Results(
        loss=np.concatenate([part.loss for part in parts]),
        prediction=np.concatenate([part.prediction for part in parts]),
        layer_spikes=np.concatenate([part.layer_spikes for part in parts]),
        neuron_spikes=np.sum([part.neuron_spikes for part in parts], axis=0),
        failed_batch=max(part.failed_batch for part in parts),
        figures={
            name: np.concatenate([part.figures[name] for part in parts])
            for name in parts[0].figures
        },
        activations=np.sum(counted, axis=0) if counted else None,
    )


def _by_speaker(right: np.ndarray, split: Split, train: Split) -> dict[str, float]:
    if split.data.speakers is None or train.data.speakers is None:
        return {}
    known = np.isin(split.data.speakers[split.examples], train.data.speakers[train.examples])
    if known.all() or not known.any():
        return {}
    return {
        "accuracy_known_speakers": float(right[known].mean()),
        "accuracy_unseen_speakers": float(right[~known].mean()),
    }


def make_final_tests(
    config: Config,
    backend: Backend,
    splits: Splits,
    record: RunRecord,
    state: State,
    keeper: Keeper,
) -> None:
    """Test the last weights, and the best ones (CHECKPOINT_BEST) if those are others.

    The results are added to ``record``. The backend holds the last weights before and after.
    Without a test set nothing is done.
    """
    if splits.test is None:
        return

    def test(weights: Weights) -> None:
        record.add_test(
            evaluate(config, backend, splits, weights=weights, origin=record.origin, final=True)
        )

    test(Weights(kind="last", epochs=state.epoch))
    best = keeper.best(state.best_epoch) if 0 <= state.best_epoch < state.epoch - 1 else None
    if best is None:
        return
    last = {tensor.name: backend.get(tensor.name) for tensor in backend.program.tensors}
    carried = backend.carried()
    try:
        load_tensors(best, backend, states=False, where="the best checkpoint")
        test(Weights(kind="best", epochs=best["epoch"]))
    finally:
        for name, values in last.items():
            backend.set(name, values)
        if carried:
            backend.carry(carried)
