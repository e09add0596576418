"""The tests that a run makes at its end: of its last weights, and of the best that it has had."""

from __future__ import annotations

from snnrun.backends.base import Backend
from snnrun.config import Config
from snnrun.datasets.spikes import Splits
from snnrun.record.evaluation import Weights
from snnrun.record.writer import RunRecord
from snnrun.training.evaluate import evaluate
from snnrun.training.keeper import Keeper
from snnrun.training.state import State, load_tensors


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
        load_tensors(best, backend, moments=False, where="the best checkpoint")
        test(Weights(kind="best", epochs=best["epoch"]))
    finally:
        for name, values in last.items():
            backend.set(name, values)
        if carried:
            backend.carry(carried)
