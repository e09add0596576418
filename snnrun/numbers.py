"""Numbers as text, in few characters, and tables of them."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any


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
    return f"{value:.4f}" if plain else scientific(value)


def scientific(value: float | None) -> str:
    """Return a number as ``5.00e-03``."""
    return "-" if value is None or math.isnan(value) else f"{value:.2e}"


def rate(per_second: float | None) -> str:
    """Return examples per second in at most 6 characters."""
    if per_second is None or not math.isfinite(per_second):
        return "-"
    for limit, divisor, letter in ((9.95, 1, ""), (9_995, 1, ""), (999_500, 1e3, "k")):
        if per_second < limit:
            digits = 1 if limit < 10 or letter else 0
            return f"{per_second / divisor:.{digits}f}{letter}"
    return f"{per_second / 1e6:.1f}M"


def size_in_words(size: float) -> str:
    """Return a number of bytes as a person writes it: 3.1 GB; "-" of NaN."""
    if math.isnan(size):
        return "-"
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:,.3g} TB" if size < 1000 else f"{size:,.0f} TB"


def table(rows: Sequence[Sequence[str]], left: Collection[int] = (), gap: str = " ") -> list[str]:
    """Return rows of cells as lines whose columns stand below each other, some to the left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    sides = ["<" if column in left else ">" for column in range(len(widths))]
    return [
        gap.join(
            f"{cell:{side}{width}}" for cell, side, width in zip(row, sides, widths, strict=True)
        ).rstrip()
        for row in rows
    ]


def csv_text(rows: Sequence[Mapping[str, Any]], columns: Iterable[str] = ()) -> str:
    """Return rows with the same columns as CSV, under their names; None is an empty cell.

    ``columns`` are the names where there is no row.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0] if rows else columns), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
