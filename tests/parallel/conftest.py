"""Tests of several ranks are left out, loudly, where there is no MPI."""

from __future__ import annotations

import mpi
import pytest
from not_run import leave_out


@pytest.hookimpl(trylast=True)  # of what -m leaves
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs ranks where none can run."""
    needing = [item for item in items if item.get_closest_marker("mpi")]
    if needing and (why := mpi.missing()):
        leave_out(needing, f"tests of ranks: {why}")
