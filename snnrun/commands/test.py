"""`snnrun test`: evaluate a trained run on its test set."""

from __future__ import annotations

from collections.abc import Sequence

from snnrun.console import announce

HELP = """\
usage: snnrun test [RUN] [KEY=VALUE ...]

Evaluates the run in folder RUN on the test set of its data set; without RUN, the newest run below
./outputs. It uses the last checkpoint, or with LOAD_BEST=true the best one.

examples:
  snnrun test
  snnrun test outputs/2026-11-21/18-03-12-123456 LOAD_BEST=true
  snnrun test outputs/2026-11-21/18-03-12-123456 N_TEST=null COLLECT_CONFUSION=true

keys that may be changed:
{keys}
"""


def help_text() -> str:
    from snnrun.commands.saved_run import describe_changeable

    return HELP.format(keys=describe_changeable("test"))


def run(arguments: Sequence[str]) -> int:
    from snnrun.commands.saved_run import find_run, load, log_to

    folder, overrides = find_run(arguments, "test")
    announce("test", [folder, *overrides])
    config = load(folder, overrides, "test", keep=False)
    log_to(folder)
    from snnrun.run import test

    test(config, folder)
    return 0
