"""The table of a cross-validation: accuracies of each run, their mean and standard deviation."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np

from snnrun.record.atomic import atomic_file
from snnrun.record.reader import Run

ACCURACIES = ("best_accuracy", "last_accuracy", "train_accuracy")
_HEADING = ("left out", "speaker", "epochs", "best%", "in epoch", "last%", "train%")


@dataclass(frozen=True, kw_only=True)
class Fold:
    """One run: which speaker was left out, and accuracies as shares of 1."""

    speaker_left: int  # place in the list of speakers
    speaker: int
    epochs: int
    best_accuracy: float  # of the validation, that is of the speaker left out
    best_epoch: int
    last_accuracy: float
    train_accuracy: float  # of the last epoch


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
    """Print the table."""
    rows: list[tuple[str, ...]] = [_HEADING]
    for fold in folds:
        best, last, train = (_percent(getattr(fold, name)) for name in ACCURACIES)
        rows.append(
            (str(fold.speaker_left), str(fold.speaker), str(fold.epochs), best,
             str(fold.best_epoch), last, train)
        )  # fmt: skip
    for name, of in (("mean", mean_of), ("sd", sd_of)):
        best, last, train = (_percent(of(folds, each)) for each in ACCURACIES)
        rows.append((name, "", "", best, "", last, train))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.2f}"
