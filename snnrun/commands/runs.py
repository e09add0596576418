"""`snnrun runs`: the list of runs."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from snnrun.commands.arguments import path_of
from snnrun.errors import ConfigError

HELP = """\
usage: snnrun runs [FOLDER]

Lists the runs in FOLDER/outputs, the newest first: how many of its epochs each has done, how it
ended, and its accuracies. Without FOLDER, those below the current folder; of runs that were given
OUT_DIR=FOLDER, those below that. FOLDER may also be that of a sweep, or hold runs itself.

  train%, valid%  accuracy of the last epoch on the training and the validation set
  test%           accuracy on the test set: at the end of the run, or else of the last `snnrun test`
  best%           the same with the best weights, as CHECKPOINT_BEST chose them, not the last ones
  state           {states}

examples:
  snnrun runs
  snnrun runs /scratch/experiments
"""


def help_text() -> str:
    from snnrun.record.ending import STATES

    width = max(map(len, STATES))
    lines = [f"{state:<{width}}  {meaning}" for state, meaning in STATES.items()]
    return HELP.format(states=f"\n{' ' * 18}".join(lines))


def run(arguments: Sequence[str]) -> int:
    if len(arguments) > 1:
        raise ConfigError(f"snnrun runs takes one folder, got: {' '.join(arguments)}")
    root = path_of(arguments[0] if arguments else ".")
    if not root.is_dir():
        raise ConfigError(f"{root}: there is no such folder")
    from snnrun.report.runs import list_runs

    list_runs(root, sys.stdout)
    return 0
