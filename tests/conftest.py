"""Settings that all tests share."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from not_run import leave_out, tell

# Programs that tests build are kept between tests and between runs of the suite, apart from the
# user's.
os.environ.setdefault("SNNRUN_CACHE", str(Path(tempfile.gettempdir()) / "snnrun-test-cache"))
# Most tests train for a fraction of a second, for which optimisation does not pay. Those that train
# for longer (``runs.OPTIMISED``) or are about the bits that users get ask for it; all do with
# SNNRUN_CXXFLAGS= pytest.
os.environ.setdefault("SNNRUN_CXXFLAGS", "-O0")

# Several hundred processes are started, each of which would compile what it imports by itself
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# Hydra reads some twenty files for each configuration; where PyYAML comes with libyaml, that has
# the same results in a fraction of the time
yaml.SafeLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

# A suite that runs under nohup hands its ignored signals on to the programs that tests start
if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

HAS_PYGENN = find_spec("pygenn") is not None


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder with temporary files of its own; return the folder of those."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return temporary


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give each process neighbours in a row, which share programs; who is done takes of others."""
    if config.getoption("dist") != "load":  # asked for another way than that of -n
        return None
    from xdist.scheduler import WorkStealingScheduling

    return WorkStealingScheduling(config, log)


@pytest.fixture
def users_flags(monkeypatch: pytest.MonkeyPatch) -> None:
    """Build with the flags that users get, in this process and in those that it starts."""
    monkeypatch.delenv("SNNRUN_CXXFLAGS")


@pytest.hookimpl(trylast=True)  # of what -m leaves
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs PyGeNN where it is not installed."""
    if not HAS_PYGENN:
        needing = [item for item in items if item.get_closest_marker("genn")]
        leave_out(needing, "PyGeNN is not installed; `snnrun doctor` says how to get it")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say loudly what was not tested, here and in the folders below."""
    tell(terminalreporter)
