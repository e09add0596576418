"""`snnrun runs`: the list of runs."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from snnrun.commands.arguments import choice_among, path_of, taken, taken_all
from snnrun.errors import ConfigError

FORMATS = ("--csv", "--json")
HELP = """\
usage: snnrun runs [FOLDER] [--filter KEY=VALUE ...] [--sort KEY] [--csv|--json]

Lists the runs in FOLDER/outputs, the newest first: how many of its epochs each has done, how it
ended, its accuracies, the settings that differ between them, and its notes (`snnrun note`). Without
FOLDER, those below the current folder; of runs that were given OUT_DIR=FOLDER, those below that.
FOLDER may also be that of a sweep, of several sweeps, or hold runs itself.

  train%, valid%  accuracy of the last epoch on the training and the validation set
  test%           accuracy on the test set: at the end of the run, or else of the last `snnrun test`
  best%           the same with the best weights, as CHECKPOINT_BEST chose them, not the last ones
  size            of all its files
  state           {states}

  --filter        only runs with this value of a key, which may have * and ?; again for further
                  keys. State too (state=failed), and one of several TAGS (TAGS=paper)
  --sort          by a key, or by created, epochs, train, validation, test, best, seconds, size,
                  memory (the most a run held), operations, energy; with - before it the other
                  way round: --sort=-validation
  --csv, --json   all digits; scores as shares of 1, times in seconds, sizes in bytes; operations
                  and energy (nJ) of an example of the test, or else of the last epoch

examples:
  snnrun runs
  snnrun runs /scratch/experiments --sort validation
  snnrun runs --filter dataset=shd --filter 'ETA=0.00*' --csv
"""


def help_text() -> str:
    from snnrun.record.ending import STATES

    width = max(map(len, STATES))
    lines = [f"{state:<{width}}  {meaning}" for state, meaning in STATES.items()]
    return HELP.format(states=f"\n{' ' * 18}".join(lines))


def run(arguments: Sequence[str]) -> int:
    filters, words = taken_all(arguments, "--filter", "KEY=VALUE, as in --filter ETA=0.001")
    by, words = taken(words, "--sort", "a key, as in --sort ETA")
    shape, words = choice_among(words, FORMATS, ["--filter", "--sort"])
    if len(words) > 1:
        raise ConfigError(f"snnrun runs takes one folder, got: {' '.join(words)}")
    root = path_of(words[0] if words else ".")
    if not root.is_dir():
        raise ConfigError(f"{root}: there is no such folder")
    from snnrun.sweeps import runs
    from snnrun.sweeps.settings import kept

    found = runs.find_runs(root)
    jobs = kept(found, filters)
    if by:
        jobs = runs.in_order(jobs, by)
    if shape:
        print(runs.as_csv(jobs) if shape == "--csv" else runs.as_json(jobs), end="")
    elif jobs:
        runs.show_runs(jobs, root, sys.stdout)
    else:
        print(f"None of {len(found)} runs fits --filter" if found else runs.no_runs(root))
    return 0
