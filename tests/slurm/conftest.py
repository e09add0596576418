"""A Slurm on this machine, started for the tests that ask for one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from one_machine import Slurm

NOT_RUN = pytest.StashKey[int]()


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
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what needs a Slurm where none can run, and count it."""
    needing = [item for item in items if "slurm" in getattr(item, "fixturenames", ())]
    why = Slurm.missing() if needing else ""
    for item in needing if why else ():
        item.add_marker(pytest.mark.skip(reason=f"no Slurm: {why}"))
    config.stash[NOT_RUN] = len(needing) if why else 0


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Say loudly that Slurm was not tried."""
    count = config.stash.get(NOT_RUN, 0)
    if count:
        terminalreporter.section("Slurm is not installed", yellow=True, bold=True)
        terminalreporter.line(f"{count} tests of jobs of Slurm were NOT run: {Slurm.missing()}")
