"""The results as a table for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

COLUMNS = (
    "ms per batch",
    "kernels per step",
    "launches per batch",
    "memory counted (MB)",
    "memory taken (MB)",
    "loss",
)


def table_of(results: Sequence[dict[str, Any]]) -> str:
    """Return the table: what there is, each check, then what was measured."""
    lines: list[str] = []
    for result in results:
        if result["part"] == "found":
            lines += [f"{name:18} {value}" for name, value in result.get("figures", {}).items()]
    lines += ["", f"{'check':61} {'state':8} {'s':>6}"]
    for result in results:
        lines.append(f"{result['name']:61} {result['state']:8} {result['seconds']:6.1f}")
        if result["state"] != "passed":
            lines += [f"    {line}" for line in (result["why"], *result.get("said", ()))]
        elif "ms per batch" not in result["figures"] and result["part"] != "found":
            lines += [f"    {name}: {_shown(v)}" for name, v in result["figures"].items()]
    timed = [r for r in results if "ms per batch" in r.get("figures", {})]
    if timed:
        lines += ["", f"{'network':55}" + "".join(f" {name:>20}" for name in COLUMNS)]
    for result in timed:
        values = (_shown(result["figures"].get(name)) for name in COLUMNS)
        lines.append(f"{result['name']:55}" + "".join(f" {value:>20}" for value in values))
    return "\n".join(lines)


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
