"""Tests of several ranks are left out, loudly, where there is no MPI."""

from __future__ import annotations

import mpi
import pytest

NOT_RUN = pytest.StashKey[int]()


@pytest.hookimpl(trylast=True)  # of what -m leaves
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what needs ranks where none can run, and count it."""
    why = mpi.missing()
    needing = [item for item in items if why and item.get_closest_marker("mpi")]
    for item in needing:
        item.add_marker(pytest.mark.skip(reason=why))
    config.stash[NOT_RUN] = len(needing)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Say loudly that ranks were not tried."""
    count = config.stash.get(NOT_RUN, 0)
    if count:
        terminalreporter.section("MPI is not there", yellow=True, bold=True)
        terminalreporter.line(f"{count} tests of ranks were NOT run: {mpi.missing()}")
