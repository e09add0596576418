"""Tests that need what is not there are skipped, and the end of the suite says so loudly."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import pytest

_PREFIX = "NOT run: "


def leave_out(needing: Iterable[pytest.Item], why: str) -> None:
    """Skip tests, of which ``tell`` then says that they were not run, and ``why``."""
    for item in needing:
        item.add_marker(pytest.mark.skip(reason=f"{_PREFIX}{why}"))


def tell(terminal: pytest.TerminalReporter) -> None:
    """Say what was left out, also by the processes of pytest-xdist, which do not share a config."""
    reasons = Counter(
        reason.partition(_PREFIX)[2]
        for report in terminal.stats.get("skipped", [])
        if _PREFIX in (reason := str(report.longrepr[2]))
    )
    if reasons:
        terminal.section("not everything was tested", yellow=True, bold=True)
    for why, count in reasons.items():
        terminal.line(f"{count} tests were NOT run: {why}")
