"""`snnrun resume`: go on with a run that was stopped."""

from __future__ import annotations

from collections.abc import Sequence

from snnrun.console import announce

HELP = """\
usage: snnrun resume [RUN] [KEY=VALUE ...]

Goes on with the run in folder RUN from its last checkpoint; without RUN, with the newest run below
./outputs. It ends with the same bits as a run that was never stopped. Of a run that has finished
nothing is changed, unless N_EPOCH or PATIENCE asks for more epochs; the exit code is 0.

examples:
  snnrun resume
  snnrun resume outputs/2026-11-21/18-03-12-123456
  snnrun resume outputs/2026-11-21/18-03-12-123456 N_EPOCH=200 ETA=1e-3

keys that may be changed (they hold from now on, for later resumes too):
{keys}
"""


def help_text() -> str:
    from snnrun.commands.saved_run import describe_changeable

    return HELP.format(keys=describe_changeable("resume"))


def run(arguments: Sequence[str]) -> int:
    from snnrun.commands.saved_run import find_run, going_on, load, log_to, nothing_left, setting_of

    folder, overrides = find_run(arguments, "resume")
    announce("resume", [folder, *overrides])
    if told := nothing_left(load(folder, overrides, "resume", keep=False), folder):
        print(told)
        return 0
    with going_on(folder, overrides) as config:
        log_to(folder)
        from snnrun.run import train

        train(config, folder, resume=True, setting=setting_of(folder, config))
    return 0
