"""What a kind of task says of itself to records, displays, plots and warnings."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

Columns = Mapping[str, np.ndarray]
Figures = dict[str, float]

# What the keys call the splits by which a run may be judged (EMA_WHICH, CHECKPOINT_BEST, ...).
SPLITS: Mapping[str, str] = {"training": "train", "validation": "validation"}


@dataclass(frozen=True)
class Column:
    """A column of a table. Integers have an entry in every row; other columns may hold NaN."""

    unit: str
    meaning: str
    dtype: type = np.float64


@dataclass(frozen=True, kw_only=True, eq=False)
class Task(ABC):
    """A kind of task.

    The score of a task is one number by which epochs and runs are compared: more is better, and 1
    is perfect. Its columns are named by the split: ``train_accuracy``.

    Args:
        name: What ``run.h5`` calls it.
        score: Name of the score.
        score_column: The score in a table; ``{of}`` says of which examples.
        figures: Columns that each mini-batch has beside loss and score.
        test_figures: Those of a test, where they mean something else.
        word: The score in a sentence, as in "by training accuracy".
        short: The score in a line about progress.
        heading: Above the three cells of ``cells``: over the first one, and over the other two.
        subheading: Below that, one for each.
        score_axis: Label of the score in a plot; ``loss_axis`` that of the loss.
        classes: Examples have classes, which are predicted.
        targets: The outputs are to emit target spikes.
        score_is_loss: The score follows from the loss, which thus tells nothing more.
        older_names: Column of a run of an older version -> what it is called now.
    """

    name: str
    score: str
    score_column: Column
    figures: Mapping[str, Column] = field(default_factory=dict)
    test_figures: Mapping[str, Column] = field(default_factory=dict)
    word: str
    short: str
    heading: tuple[str, str]
    subheading: tuple[str, str, str]
    score_axis: str
    loss_axis: str
    classes: bool = True
    targets: bool = False
    score_is_loss: bool = False
    older_names: Mapping[str, str] = field(default_factory=dict)

    def column(self, split: str) -> str:
        """Return the column of the score of "train" or "validation" in the table of epochs."""
        return f"{split}_{self.score}"

    def scores(self, epochs: Columns, which: str) -> np.ndarray | None:
        """Return the scores by which a key judges, float64 [epochs], or None if there are none.

        ``which`` is the key's value, one of SPLITS or anything else for none.
        """
        column = epochs.get(self.column(SPLITS.get(which, "")))
        return column if column is not None and np.isfinite(column).any() else None

    @abstractmethod
    def of_epoch(self, batches: Columns) -> Figures:
        """Return ``loss``, the score and ``figures`` of a split in an epoch.

        Args:
            batches: The table of its mini-batches (snnrun.record.columns.TRIALS), one at least.
        """

    @abstractmethod
    def of_test(
        self, loss: np.ndarray, prediction: np.ndarray, labels: np.ndarray, figures: Columns
    ) -> Figures:
        """Return ``loss``, the score and ``figures`` of examples, all given as [examples]."""

    @abstractmethod
    def cell(self, score: float | None) -> str:
        """Return a score in at most 8 characters."""

    @abstractmethod
    def in_text(self, score: float) -> str:
        """Return a score after its name."""

    @abstractmethod
    def says(self, score: float) -> str:
        """Return a score as it stands in a sentence."""

    @abstractmethod
    def cells(self, row: Mapping[str, float | int | None]) -> tuple[str, str, str]:
        """Return three figures of an epoch for the table on the screen."""

    @abstractmethod
    def about(self, epochs: Columns, scores: Figures, losses: Figures) -> list[tuple[str, str]]:
        """Return label and text of lines on what a run has reached, given figures by split."""

    @abstractmethod
    def chance(self, labels: np.ndarray) -> float | None:
        """Return the score of who has learned nothing; None where there is nothing to learn."""

    @abstractmethod
    def spread(self, score: float, examples: int) -> float | None:
        """Return the standard deviation of a score over choices of so many examples, if any."""

    @abstractmethod
    def fallen(self, split: str, now: float, best: float) -> str:
        """Say that a score has fallen."""

    @abstractmethod
    def at_chance(self, now: float, chance: float) -> str:
        """Say that a score is that of who has learned nothing."""
