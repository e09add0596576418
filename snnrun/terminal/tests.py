"""The tests of a run as a small table."""

from __future__ import annotations

from collections.abc import Sequence

from snnrun.numbers import number, table
from snnrun.record.evaluation import Evaluation
from snnrun.tasks import Task

_LEFT = (0, 2, 7)  # columns of words


def table_of_tests(tests: Sequence[Evaluation], task: Task) -> list[str]:
    """Return a heading and a line per test, oldest first; the run's own is marked as such."""
    heading = ("weights", "epochs", "data", "examples", "seed", task.word, "loss", "when")
    return table([heading, *(_cells(test, task) for test in tests)], _LEFT)


def _cells(test: Evaluation, task: Task) -> tuple[str, ...]:
    within = f"+{test.weights.trials}" if test.weights.trials else ""
    return (
        test.weights.kind,
        f"{test.weights.epochs}{within}",
        str(test.origin["dataset"]),
        str(test.n_examples or "-"),
        "-" if test.seed is None else str(test.seed),
        task.cell(test.figures.get(task.score)),
        number(test.figures.get("loss")),
        test.when[5:16].replace("T", " "),
    )
