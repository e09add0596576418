"""Which class is taken for which, by epoch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress

import numpy as np

from snnrun.errors import RecordError
from snnrun.page.parts import Chart, Section, View, missing
from snnrun.page.traces import axis, literal, packed
from snnrun.record.reader import Run

MOST_EPOCHS = 12  # that can be chosen
MOST_FIELDS = 60_000  # of all matrices of a split, in the page
MOST_COUNTS = 12  # classes up to which every field holds its number
KEY = "COLLECT_CONFUSION=true"


def confusion(run: Run) -> Section:
    """Return the matrices of training, validation and test."""
    found = [chart for split in ("validation", "test", "train") for chart in _chart(run, split)]
    if not found and not run.task.classes:
        return Section("Confusion", [missing("The task has no classes.")])
    return Section("Confusion", found or [missing("No confusion matrix was collected.", KEY)])


def _chart(run: Run, split: str) -> Iterator[Chart]:
    with suppress(RecordError):  # not collected
        counts, none = run.confusion(split), run.no_prediction(split)
        classes = counts.shape[-1]
        names = list(run.class_names) or [str(k) for k in range(classes)]
        most = int(np.clip(MOST_FIELDS // max(1, counts[0].size), 1, MOST_EPOCHS))
        views = []
        for epoch in spread(np.flatnonzero((counts.sum((1, 2)) + none.sum(1)) > 0), most):
            label = "" if split == "test" else f"epoch {epoch}"
            matrix = np.concatenate([counts[epoch], none[epoch][None]])
            views.append(View([_matrix(matrix.T, names)], _layout(), label))
        if views:
            title = "Training" if split == "train" else split.capitalize()
            yield Chart(title, views, height=min(760, 250 + 16 * classes), latest=True)


def spread(values: Sequence[int] | np.ndarray, most: int) -> list[int]:
    """Return at most so many of some values, evenly spread, the first and the last among them."""
    if len(values) <= most:
        return [int(value) for value in values]
    places = np.linspace(0, len(values) - 1, most).round().astype(int) if most > 1 else [-1]
    return [int(values[place]) for place in places]


def _matrix(counts: np.ndarray, names: Sequence[str]) -> dict:
    """Return the heat map of counts [true, predicted]; the last column: no output decided."""
    rows = [literal(name) for name in names]
    columns = list(rows)
    if counts[:, -1].any():
        columns.append("none")
    else:
        counts = counts[:, :-1]
    share = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    trace = {
        "type": "heatmap",
        "x": columns,
        "y": rows,
        "z": packed(share),
        "zmin": 0,
        "zmax": 1,
        "colorscale": "Cividis",
        "text": counts.tolist(),
        "hovertemplate": "true %{y}, predicted %{x}: %{text} examples, %{z:.1%}<extra></extra>",
        "colorbar": {
            "title": {"text": "share of the true class", "side": "right"},
            "tickformat": ".0%",
            "thickness": 12,
        },
    }
    if len(names) <= MOST_COUNTS:
        trace["texttemplate"] = "%{text}"
    return trace


def _layout() -> dict:
    return {
        "xaxis": axis("predicted class", type="category", showgrid=False),
        "yaxis": axis("true class", type="category", autorange="reversed", showgrid=False),
    }
