"""`snnrun runs`: the list of runs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from snnrun.errors import ConfigError

HELP = """\
usage: snnrun runs [FOLDER]

Lists the runs in FOLDER/outputs, the newest first: how far each came and how good it is. Without
FOLDER, the current one; with OUT_DIR=FOLDER in `snnrun train`, that one.

examples:
  snnrun runs
  snnrun runs /scratch/experiments
"""


def help_text() -> str:
    """Return what `snnrun runs --help` prints."""
    return HELP


def run(arguments: Sequence[str]) -> int:
    """Carry out `snnrun runs`."""
    if len(arguments) > 1:
        raise ConfigError(f"snnrun runs takes one folder, got: {' '.join(arguments)}")
    root = Path(arguments[0] if arguments else ".")
    if not root.is_dir():
        raise ConfigError(f"{root}: there is no such folder")
    from snnrun.report.runs import list_runs

    list_runs(root, sys.stdout)
    return 0
