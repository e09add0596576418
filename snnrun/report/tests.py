"""The tests of a run as a small table."""

from __future__ import annotations

from collections.abc import Sequence

from snnrun.record.evaluation import Evaluation
from snnrun.report.format import number, percent

_HEADING = ("weights", "epochs", "data", "examples", "seed", "accuracy", "loss", "when")
_LEFT = (0, 2, 7)  # columns of words


def tests_table(tests: Sequence[Evaluation]) -> list[str]:
    """Return a heading and a line per test, oldest first; the run's own is marked as such."""
    rows = [_HEADING, *map(_cells, tests)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADING))]
    return [
        " ".join(
            f"{cell:<{width}}" if column in _LEFT else f"{cell:>{width}}"
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _cells(test: Evaluation) -> tuple[str, ...]:
    within = f"+{test.weights.trials}" if test.weights.trials else ""
    return (
        test.weights.kind,
        f"{test.weights.epochs}{within}",
        str(test.origin["dataset"]),
        str(test.n_examples or "-"),
        "-" if test.seed is None else str(test.seed),
        percent(test.figures.get("accuracy")),
        number(test.figures.get("loss")),
        test.when[5:16].replace("T", " "),
    )
