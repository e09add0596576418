"""A Slurm on this machine, started for the tests that ask for one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from not_run import leave_out
from one_machine import Slurm


@pytest.fixture(scope="session")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slurm]:
    """Start one, and end it with all its jobs."""
    cluster = Slurm(Path(tmp_path_factory.mktemp("slurm")))
    with pytest.MonkeyPatch.context() as patch:
        for name, value in cluster.environment.items():
            patch.setenv(name, value)
        cluster.start()
        try:
            yield cluster
        finally:
            cluster.stop()


@pytest.hookimpl(trylast=True)  # of what -m leaves
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs a Slurm where none can run."""
    needing = [item for item in items if "slurm" in getattr(item, "fixturenames", ())]
    if needing and (why := Slurm.missing()):
        leave_out(needing, f"no Slurm: {why}")
