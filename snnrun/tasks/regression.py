"""Following target courses with the potentials of the outputs.

The error of an example is its loss relative to that of outputs which hold the mean of the targets;
with the mean squared error (LOSS_TYPE=mse) this is the normalised mean squared error, the squared
error over the variance of the targets in all examples of the file.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from snnrun.numbers import number
from snnrun.tasks.error_task import ErrorTask
from snnrun.tasks.task import Column, Columns, Figures

NMSE = "nmse"

FIGURES = {
    NMSE: Column(
        "1",
        "loss relative to that of outputs that hold the mean of the targets; with LOSS_TYPE=mse "
        "the mean squared error over the variance of the targets; r2 is 1 minus it",
    )
}


class Regression(ErrorTask):
    """The score is r2: 1 minus the normalised mean squared error."""

    def of_epoch(self, batches: Columns) -> Figures:
        examples = batches["examples"]
        total = int(examples.sum())
        loss, nmse = (float((batches[n] * examples).sum()) / total for n in ("loss", NMSE))
        return {"loss": loss, self.score: 1.0 - nmse, NMSE: nmse}

    def of_test(
        self, loss: np.ndarray, prediction: np.ndarray, labels: np.ndarray, figures: Columns
    ) -> Figures:
        nmse = float(figures[NMSE].mean())
        return {self.score: 1.0 - nmse, "loss": float(loss.mean()), NMSE: nmse}

    def says(self, score: float) -> str:
        return f"normalised mean squared error {1 - score:.4g}"

    def cells(self, row: Mapping[str, float | int | None]) -> tuple[str, str, str]:
        validation = row.get(self.column("validation"))
        return number(row.get(NMSE)), number(row.get("validation_loss")), self.cell(validation)

    def about(self, epochs: Columns, scores: Figures, losses: Figures) -> list[tuple[str, str]]:
        validation = self.scores(epochs, "validation")
        best = ""
        if validation is not None:
            lowest = 1 - np.nanmax(validation)
            best = f"{np.nanargmax(validation)}, validation {lowest:.4g}"
        errors = (f"{name} {1 - score:.4g}" for name, score in scores.items())
        return [
            ("normalised mean squared error", ", ".join(errors)),
            ("loss", ", ".join(f"{name} {value:.4g}" for name, value in losses.items())),
            ("best epoch", best),
        ]

    def fallen(self, split: str, now: float, best: float) -> str:
        return (
            f"the {split} error rose to {1 - now:.2g} from {1 - best:.2g} of the targets' variance"
        )

    def at_chance(self, now: float, chance: float) -> str:
        return "the error was not below that of outputs that hold the mean of the targets"


REGRESSION = Regression(
    name="regression",
    score="r2",
    score_column=Column("1", "1 minus the normalised mean squared error of {of} examples"),
    figures=FIGURES,
    test_figures=FIGURES,
    word="normalised error",
    short="nmse",
    heading=("train", "validation"),
    subheading=("nmse", "loss", "nmse"),
    score_axis="1 - normalised mean squared error",
    loss_axis="mean over the examples",
    classes=False,
    score_is_loss=True,
)
