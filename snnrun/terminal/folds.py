"""The table of a cross-validation: accuracies of each run, their mean and standard deviation.

The result is that of the last epoch. The best epoch is chosen on the very speaker that its accuracy
is reported of, so that it is too good; it is shown as such.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np

from snnrun.files import atomic_file
from snnrun.numbers import table
from snnrun.record.reader import Run

RESULT = "last_accuracy"
ACCURACIES = (RESULT, "train_accuracy", "best_accuracy")
_HEADING = ("left out", "speaker", "epochs", "last%", "train%", "best%*", "in epoch*")
_MEANING = """\
last%, the result: the speaker left out, after the last epoch; train%: the others then.
best%*: the epoch that did best on this very speaker. Chosen on what it reports, it is too good."""


@dataclass(frozen=True, kw_only=True)
class Fold:
    """One run: which speaker was left out, and accuracies as shares of 1."""

    speaker_left: int  # place in the list of speakers
    speaker: int
    epochs: int
    last_accuracy: float  # of the speaker left out, in the last epoch
    train_accuracy: float  # of the others, in the last epoch
    best_accuracy: float  # of the speaker left out, in the epoch that was best on this speaker
    best_epoch: int


def fold_of(run: Run, place: int, speaker: int) -> Fold:
    """Return the line of a finished run."""
    validation = run.epochs["validation_accuracy"]
    best = int(np.argmax(validation))
    return Fold(
        speaker_left=place,
        speaker=speaker,
        epochs=len(validation),
        best_accuracy=float(validation[best]),
        best_epoch=best,
        last_accuracy=float(validation[-1]),
        train_accuracy=float(run.epochs["train_accuracy"][-1]),
    )


def mean_of(folds: Sequence[Fold], name: str) -> float:
    """Return the mean of an accuracy over the runs."""
    return float(np.mean([getattr(fold, name) for fold in folds]))


def sd_of(folds: Sequence[Fold], name: str) -> float | None:
    """Return the sample standard deviation of an accuracy; None for a single run."""
    values = [getattr(fold, name) for fold in folds]
    return float(np.std(values, ddof=1)) if len(values) > 1 else None


def write_folds(folds: Sequence[Fold], path: Path) -> None:
    """Write the table as CSV: a line per run, then ``mean`` and ``sd`` of the accuracies."""
    text = io.StringIO()
    columns = [field.name for field in fields(Fold)]
    table = csv.DictWriter(text, columns, lineterminator="\n")
    table.writeheader()
    table.writerows(asdict(fold) for fold in folds)
    for name, of in (("mean", mean_of), ("sd", sd_of)):
        table.writerow({columns[0]: name, **{each: of(folds, each) for each in ACCURACIES}})
    with atomic_file(path) as file:
        file.write(text.getvalue().encode())


def show_folds(folds: Sequence[Fold]) -> None:
    """Print the table, and what its columns mean."""
    rows: list[tuple[str, ...]] = [_HEADING]
    for fold in folds:
        accuracies = (_percent(getattr(fold, name)) for name in ACCURACIES)
        counts = (str(fold.speaker_left), str(fold.speaker), str(fold.epochs))
        rows.append((*counts, *accuracies, str(fold.best_epoch)))
    for name, of in (("mean", mean_of), ("sd", sd_of)):
        rows.append((name, "", "", *(_percent(of(folds, each)) for each in ACCURACIES), ""))
    print("\n".join(table(rows, gap="  ")))
    print(_MEANING)


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.2f}"
