"""What a check can end with beside its figures, and how it runs snnrun."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]


class FailedError(Exception):
    """What a check found wrong, in words."""


class SkippedError(Exception):
    """Why a check means nothing here."""


def snnrun(*words: str, code: int = 0) -> str:
    """Run a command of snnrun, which has to end with ``code``; return what it said."""
    command = [sys.executable, "-m", "snnrun", *words]
    done = subprocess.run(
        command, cwd=TOP, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode != code:
        said = done.stdout.strip()[-1500:]
        raise FailedError(
            f"snnrun {' '.join(words)}: exit code {done.returncode} instead of {code}: {said}"
        )
    return done.stdout


def require(condition: bool, why: str) -> None:
    """Raise FailedError with ``why`` where a condition does not hold."""
    if not condition:
        raise FailedError(why)
