"""Numbers and tables as text, for terminals of 80 columns."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import product

from snnrun.shell import wrapped

Info = Mapping[str, str | Sequence[str]]
Row = Mapping[str, float | int | None]

_LABEL_WIDTH = 12
# Of an epoch: learning rate, its time, loss in training, spikes, silent neurons, time left
_LEFT_OUT_FIRST = (7, 8, 1, 5, 6, 9)


def duration(seconds: float | None) -> str:
    """Return a time span as ``1.23s``, ``12.3s``, ``1:05``, ``2:01:05`` or ``3d 04h``."""
    if seconds is None or not math.isfinite(seconds):
        return "-"
    if seconds < 9.995:
        return f"{seconds:.2f}s"
    if seconds < 59.95:
        return f"{seconds:.1f}s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
    return f"{hours // 24}d {hours % 24:02d}h"


def percent(share: float | None) -> str:
    """Return a share of 1 as ``98.12%``."""
    return "-" if share is None or math.isnan(share) else f"{100 * share:.2f}%"


def number(value: float | None) -> str:
    """Return a loss in at most 8 characters."""
    if value is None or math.isnan(value):
        return "-"
    plain = value == 0 or 0.01 <= abs(value) < 1000
    return f"{value:.4f}" if plain else _scientific(value)


def rate(per_second: float | None) -> str:
    """Return examples per second in at most 6 characters."""
    if per_second is None or not math.isfinite(per_second):
        return "-"
    for limit, divisor, letter in ((9.95, 1, ""), (9_995, 1, ""), (999_500, 1e3, "k")):
        if per_second < limit:
            digits = 1 if limit < 10 or letter else 0
            return f"{per_second / divisor:.{digits}f}{letter}"
    return f"{per_second / 1e6:.1f}M"


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


def epoch_heading(layers: Sequence[str], columns: Sequence[int], pattern: bool) -> list[str]:
    """Return the lines above the rows of ``epoch_cells``; ``pattern``: of target spikes."""
    widths = _column_widths(layers)
    (left, right), below = (("train", "validation"), ("loss", "acc", "loss", "acc"))
    if pattern:
        (left, right), below = (("error", "within 5 ms"), ("loss", "ratio", "hits", "spur."))
    over_two = f"{right:>{widths[3] + widths[4]}}"
    parts = (over_two[: widths[3]], over_two[widths[3] :])
    upper = ("", "", left, *parts, "spikes", "silent", "learning", "epoch", "time")
    lower = ("epoch", *below, "/neuron", "neur.", "rate", "took", "left")
    return [
        "* marks the best epoch so far",
        *("".join(f"{line[k]:>{widths[k]}}" for k in columns) for line in (upper, lower)),
    ]


def epoch_cells(
    row: Row, layers: Sequence[str], seconds_left: float | None, best: bool = False
) -> list[str]:
    """Return the cells of an epoch, each with the blanks that separate it from the one before.

    ``row`` is the row that ``RunRecord.epoch`` takes. Figures of several ``layers`` are joined by
    "/"; the best epoch so far has a star. Rows of a task with target spikes have the error relative
    to that of silent outputs, and the shares of hit targets and spurious spikes.
    """
    digits = ".2f" if len(layers) == 1 else ".1f"
    per_neuron = _by_layer(row, "spikes_per_neuron", layers, digits)
    quiet = _by_layer(row, "silent_neurons", layers, ".0f")
    figures = [
        percent(row.get("train_accuracy")),
        number(row.get("validation_loss")),
        percent(row.get("validation_accuracy")),
    ]
    if is_pattern(row):
        figures = [
            number(row.get("error_ratio")),
            percent(row.get("hits_5ms")),
            percent(row.get("spurious_5ms")),
        ]
    texts = (
        f"{'*' if best else ' '}{row['epoch']:>4}",
        number(row.get("train_loss")),
        *figures,
        per_neuron,
        quiet,
        _scientific(row.get("learning_rate")),
        duration(row.get("seconds")),
        duration(seconds_left),
    )
    widths = _column_widths(layers)
    return [f"{text:>{width}}" for text, width in zip(texts, widths, strict=True)]


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


def is_pattern(row: Row) -> bool:
    """Return whether a row is of a task with target spikes."""
    return "error_ratio" in row


def hidden_layers(row: Row) -> list[str]:
    """Return the hidden populations of which a row holds spikes per neuron."""
    prefix = "spikes_per_neuron/"
    names = [name.removeprefix(prefix) for name in row if name.startswith(prefix)]
    return [name for name in names if name != "output"]


def _scientific(value: float | None) -> str:
    return "-" if value is None or math.isnan(value) else f"{value:.2e}"


def _column_widths(layers: Sequence[str]) -> tuple[int, ...]:
    more = max(0, len(layers) - 2)
    return 5, 9, 8, 9, 8, 8 + 5 * more, 7 + 4 * more, 9, 8, 8


def _by_layer(row: Row, figure: str, layers: Sequence[str], digits: str) -> str:
    values = (row.get(f"{figure}/{layer}") for layer in layers)
    return "/".join("-" if v is None or math.isnan(v) else f"{v:{digits}}" for v in values) or "-"
