"""Every test of the command line works in an empty folder, with a stand-in for the run itself."""

from __future__ import annotations

import logging
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cli_tools import Calls


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Work in an empty folder, and leave what Hydra changes in the process as it was."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
    monkeypatch.delenv("SNNRUN_TRACEBACK", raising=False)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "argv", ["snnrun"])
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:], root.level = handlers, level


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """Stand in for what has tests of its own, and note how it is called."""
    noted: Calls = []

    def note(name: str) -> Callable[..., bool]:
        return lambda *arguments, **named: noted.append((name, *arguments, named)) is None

    for module, names in {
        "run": ("train", "test", "compile_only"),
        "gradcheck": ("check_gradients",),
    }.items():
        stand_in = types.ModuleType(f"snnrun.{module}")
        for name in names:
            setattr(stand_in, name, note(name))
        monkeypatch.setitem(sys.modules, stand_in.__name__, stand_in)
    return noted
