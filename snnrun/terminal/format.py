"""Numbers and tables as text, for terminals of 80 columns."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import product

from snnrun.numbers import duration, number, scientific
from snnrun.shell import wrapped
from snnrun.tasks import Task

Info = Mapping[str, str | Sequence[str]]
Row = Mapping[str, float | int | None]

_LABEL_WIDTH = 12
# Of an epoch: learning rate, its time, loss in training, spikes, silent neurons, time left
_LEFT_OUT_FIRST = (7, 8, 1, 5, 6, 9)


def listing(entries: Info, width: int) -> list[str]:
    """Return labelled entries as lines; long ones are wrapped between words, a Line nowhere."""
    lines = []
    longest = max((len(label) + 1 for label in entries), default=0)
    label_width = max(_LABEL_WIDTH, longest)
    for label, value in entries.items():
        first = f"  {label:<{label_width}}"
        for item in [value] if isinstance(value, str) else value:
            lines += wrapped(item, width, first, " " * len(first))
            first = " " * len(first)
    return lines


def fitting_columns(layers: Sequence[str], width: int) -> list[int]:
    """Return which cells of an epoch a line of ``width`` has room for."""
    widths = _column_widths(layers)
    columns = list(range(len(widths)))
    for column in _LEFT_OUT_FIRST:
        if sum(widths[kept] for kept in columns) <= width:
            break
        columns.remove(column)
    return columns


def epoch_heading(layers: Sequence[str], columns: Sequence[int], task: Task) -> list[str]:
    """Return the lines above the rows of ``epoch_cells``."""
    widths = _column_widths(layers)
    left, right = task.heading
    over_two = f"{right:>{widths[3] + widths[4]}}"
    parts = (over_two[: widths[3]], over_two[widths[3] :])
    upper = ("", "", left, *parts, "spikes", "silent", "learning", "epoch", "time")
    lower = ("epoch", "loss", *task.subheading, "/neuron", "neur.", "rate", "took", "left")
    return [
        "* marks the best epoch so far",
        *("".join(f"{line[k]:>{widths[k]}}" for k in columns) for line in (upper, lower)),
    ]


def epoch_cells(
    row: Row, layers: Sequence[str], task: Task, seconds_left: float | None, best: bool = False
) -> list[str]:
    """Return the cells of an epoch, each with the blanks that separate it from the one before.

    ``row`` is the row that ``RunRecord.epoch`` takes. Figures of several ``layers`` are joined by
    "/"; the best epoch so far has a star.
    """
    digits = ".2f" if len(layers) == 1 else ".1f"
    per_neuron = _by_layer(row, "spikes_per_neuron", layers, digits)
    quiet = _by_layer(row, "silent_neurons", layers, ".0f")
    texts = (
        f"{'*' if best else ' '}{row['epoch']:>4}",
        number(row.get("train_loss")),
        *task.cells(row),
        per_neuron,
        quiet,
        scientific(row.get("learning_rate")),
        duration(row.get("seconds")),
        duration(seconds_left),
    )
    first, *widths = _column_widths(layers)
    cells = [f"{f' {text}':>{width}}" for text, width in zip(texts[1:], widths, strict=True)]
    return [f"{texts[0]:>{first}}", *cells]


def epoch_notes(row: Row, layers: Sequence[str]) -> list[str]:
    """Return the lines below an epoch: neurons rewired before it, the spread of their spikes."""
    lines = []
    for layer in layers:
        count = row.get(f"rewired_neurons/{layer}")
        if count:
            neurons = f"{count:,.0f} silent neuron{'s' if count > 1 else ''}"
            lines.append(f"  {layer}: {neurons} rewired before this epoch")
    for layer, phase in product(layers, ("train", "validation")):
        before = "validation_" if phase == "validation" else ""
        if f"{before}spikes_per_neuron_std/{layer}" not in row:
            continue
        text = f"  {layer} {phase:10}"
        for name, tail in (("spikes", ""), ("sd", "_std"), ("min", "_min"), ("max", "_max")):
            text += f"  {name} {_spikes(row.get(f'{before}spikes_per_neuron{tail}/{layer}'))}"
        silent = row.get(f"{before}silent_neurons/{layer}")
        lines.append(f"{text}  silent {silent:,.0f}")
    return lines


def _spikes(value: float | None) -> str:
    """Return spikes per neuron and trial in at most 6 characters."""
    return "-" if value is None else f"{value:.2f}" if value < 100 else f"{value:.1f}"


def hidden_layers(row: Row) -> list[str]:
    """Return the hidden populations of which a row holds spikes per neuron."""
    prefix = "spikes_per_neuron/"
    names = [name.removeprefix(prefix) for name in row if name.startswith(prefix)]
    return [name for name in names if name != "output"]


def _column_widths(layers: Sequence[str]) -> tuple[int, ...]:
    more = max(0, len(layers) - 2)
    return 5, 9, 8, 9, 8, 8 + 5 * more, 7 + 4 * more, 9, 8, 8


def _by_layer(row: Row, figure: str, layers: Sequence[str], digits: str) -> str:
    values = (row.get(f"{figure}/{layer}") for layer in layers)
    return "/".join("-" if v is None or math.isnan(v) else f"{v:{digits}}" for v in values) or "-"
