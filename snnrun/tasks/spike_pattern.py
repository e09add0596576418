"""Reproducing target spikes (dataset=pattern).

The loss of an example is the running mean of the squared error of the outputs (time constant
rule.tau_error), averaged over outputs and scaled as in the published code, at its end; or that of
the loss function. An epoch's figures are those of its last example.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from snnrun.numbers import number, percent
from snnrun.tasks.error_task import ErrorTask
from snnrun.tasks.task import Column, Columns, Figures

RATIO = "error_ratio"

FIGURES = {
    RATIO: Column(
        "1",
        "loss relative to that of silent outputs in the steady state of the repeated "
        "pattern; skill is 1 minus it",
    ),
    "van_rossum_distance": Column(
        "ms",
        "half the integral over the trial of the squared difference of target and "
        "output spikes, filtered with a double exponential of peak 1; mean over outputs",
    ),
    "hits_2ms": Column("1", "share of target spikes with a spike of their output within 2 ms"),
    "hits_5ms": Column("1", "share of target spikes with a spike of their output within 5 ms"),
    "spurious_5ms": Column(
        "1", "share of output spikes without a target of their output within 5 ms"
    ),
    "rate_hidden": Column("Hz", "mean rate of the hidden neurons"),
    "rate_output": Column("Hz", "mean rate of the outputs"),
}


class SpikePattern(ErrorTask):
    """The score is the skill: 1 minus the error relative to that of silent outputs."""

    def of_epoch(self, batches: Columns) -> Figures:
        figures = {name: float(batches[name][-1]) for name in FIGURES if name in batches}
        return {"loss": float(batches["loss"][-1]), self.score: 1.0 - figures[RATIO], **figures}

    def of_test(
        self, loss: np.ndarray, prediction: np.ndarray, labels: np.ndarray, figures: Columns
    ) -> Figures:
        means = {
            name: float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")
            for name, values in figures.items()
        }
        ratio = float(figures[RATIO][-1])
        return {self.score: 1.0 - ratio, "loss": float(loss[-1]), **means, RATIO: ratio}

    def says(self, score: float) -> str:
        return f"error {1 - score:.3f} of that of silent outputs"

    def cells(self, row: Mapping[str, float | int | None]) -> tuple[str, str, str]:
        return (
            number(row.get(RATIO)),
            percent(row.get("hits_5ms")),
            percent(row.get("spurious_5ms")),
        )

    def about(self, epochs: Columns, scores: Figures, losses: Figures) -> list[tuple[str, str]]:
        ratio = epochs.get(RATIO, np.empty(0))
        said = f"{ratio[-1]:.3f} of that of silent outputs, last epoch" if len(ratio) else ""
        return [("error", said)]

    def fallen(self, split: str, now: float, best: float) -> str:
        return (
            f"the {split} error rose to {1 - now:.2f} of that of silent outputs from {1 - best:.2f}"
        )

    def at_chance(self, now: float, chance: float) -> str:
        return "the error was not below that of silent outputs"


SPIKE_PATTERN = SpikePattern(
    name="spike pattern",
    score="skill",
    score_column=Column(
        "1", "1 minus the error of {of} examples relative to that of silent outputs"
    ),
    figures=FIGURES,
    test_figures={
        name: replace(
            column,
            meaning=column.meaning + "; running mean over the test's trials"
            if name == RATIO
            else column.meaning + "; mean over the test's trials",
        )
        for name, column in FIGURES.items()
    },
    word="error",
    short="error",
    heading=("error", "within 5 ms"),
    subheading=("ratio", "hits", "spur."),
    score_axis="1 - error / silent",
    loss_axis="error",
    classes=False,
    score_is_loss=True,
    targets=True,
    older_names={
        "accuracy": "skill",
        "train_accuracy": "train_skill",
        "validation_accuracy": "validation_skill",
    },
)
