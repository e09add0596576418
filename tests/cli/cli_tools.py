"""What the tests of the command line share."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from snnrun.cli import main

Calls = list[tuple[Any, ...]]
FIRST_LINE = re.compile(r"(snnrun [a-z]+.*\n)*")  # the command, which is said before all else
Say = pytest.CaptureFixture[str]


def train_with(monkeypatch: pytest.MonkeyPatch, work: Callable[[], object]) -> None:
    """Let a run do this instead of training."""
    monkeypatch.setattr(sys.modules["snnrun.run"], "train", lambda *_, **__: work())


def fail_with(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def fail() -> None:
        raise error

    train_with(monkeypatch, fail)


def refused(capsys: Say, *words: str) -> str:
    """Return what a command line that is refused says on standard error."""
    assert main(words) == 2
    said = capsys.readouterr()
    assert FIRST_LINE.fullmatch(said.out)
    assert said.err.startswith("snnrun: error: ")
    assert "Traceback" not in said.err
    return said.err


def run_folders() -> list[Path]:
    return sorted(Path("outputs").glob("[0-9]*/*"))
