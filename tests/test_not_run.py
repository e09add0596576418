"""What a suite leaves out, its end says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = f"""
import sys
sys.path.append({str(Path(__file__).parent)!r})
from not_run import leave_out, tell

def pytest_collection_modifyitems(items):
    leave_out([item for item in items if "far" in item.name], "there is no moon")

def pytest_terminal_summary(terminalreporter):
    tell(terminalreporter)
"""


@pytest.mark.parametrize("processes", [[], ["-n", "2"]])
def test_the_end_of_a_suite_says_what_was_not_run_and_why(
    tmp_path: Path, processes: list[str]
) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST)
    for name, tests in {"one": ["near", "far", "far_too"], "other": ["near"]}.items():
        text = "\n".join(f"def test_{test}(): pass" for test in tests)
        (tmp_path / f"test_{name}.py").write_text(text)

    def said(*words: str) -> str:
        whole = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *processes, *words]
        done = subprocess.run(whole, cwd=tmp_path, capture_output=True, text=True, check=True)
        return done.stdout

    assert "2 tests were NOT run: there is no moon" in said()
    assert "NOT run" not in said("test_other.py")
