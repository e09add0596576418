"""Naming the class of each example."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from snnrun.numbers import number, percent
from snnrun.tasks.task import Column, Columns, Figures, Task


class Classification(Task):
    """The score is the share of examples whose class is named."""

    def of_epoch(self, batches: Columns) -> Figures:
        examples = batches["examples"]
        total = int(examples.sum())
        return {
            "loss": float((batches["loss"] * examples).sum()) / total,
            self.score: float(batches["correct"].sum()) / total,
        }

    def of_test(
        self, loss: np.ndarray, prediction: np.ndarray, labels: np.ndarray, figures: Columns
    ) -> Figures:
        return {self.score: float((prediction == labels).mean()), "loss": float(loss.mean())}

    def cell(self, score: float | None) -> str:
        return percent(score)

    def in_text(self, score: float) -> str:
        return f"{100 * score:.2f} %"

    def says(self, score: float) -> str:
        return percent(score)

    def cells(self, row: Mapping[str, float | int | None]) -> tuple[str, str, str]:
        return (
            percent(row.get(self.column("train"))),
            number(row.get("validation_loss")),
            percent(row.get(self.column("validation"))),
        )

    def about(self, epochs: Columns, scores: Figures, losses: Figures) -> list[tuple[str, str]]:
        validation = self.scores(epochs, "validation")
        best = ""
        if validation is not None:
            best = f"{np.nanargmax(validation)}, validation {self.in_text(np.nanmax(validation))}"
        return [
            ("accuracy", ", ".join(f"{name} {self.in_text(s)}" for name, s in scores.items())),
            ("loss", ", ".join(f"{name} {value:.4g}" for name, value in losses.items())),
            ("best epoch", best),
        ]

    def chance(self, labels: np.ndarray) -> float | None:
        share = float(np.bincount(labels).max()) / len(labels)
        return share if share < 1 else None

    def spread(self, score: float, examples: int) -> float | None:
        return math.sqrt(score * (1 - score) / examples)

    def fallen(self, split: str, now: float, best: float) -> str:
        return f"{split} accuracy fell to {now:.1%} from {best:.1%}"

    def at_chance(self, now: float, chance: float) -> str:
        return (
            f"training accuracy was that of guessing ({now:.1%}; the most frequent class is "
            f"{chance:.1%})"
        )


CLASSIFICATION = Classification(
    name="classification",
    score="accuracy",
    score_column=Column("1", "share of {of} examples classified correctly"),
    word="accuracy",
    short="acc",
    heading=("train", "validation"),
    subheading=("acc", "loss", "acc"),
    score_axis="correctly classified",
    loss_axis="mean over the examples",
)
