"""What is said of a sweep in the end: its table, the best setting, and how to go on."""

from __future__ import annotations

from pathlib import Path

from snnrun.commands.arguments import split
from snnrun.record.provenance import SEEDS
from snnrun.shell import Line, command, terminal_width
from snnrun.sweeps.asked import Asked
from snnrun.sweeps.settings import Setting, best_of, fold, judged_by, value_of
from snnrun.sweeps.status import count_line
from snnrun.sweeps.sweep import FAILED, OPEN, Sweep
from snnrun.sweeps.table import as_text, percent

DRAWN = "MODEL_SEED"  # where none is given


def result_lines(sweep: Sweep) -> list[str]:
    """Return the table of a sweep, its best setting, and what is left of it."""
    settings = fold(sweep.jobs)
    lines = ["", *as_text(settings, terminal_width())] if len(sweep.jobs) > 1 else []
    best = best_of(settings)
    if best is not None and len(settings) > 1:
        lines += ["", *best_lines(sweep, best)]
    return [*lines, "", *standing(sweep)]


def best_lines(sweep: Sweep, best: Setting) -> list[str]:
    """Return the best setting, and the command that runs it again."""
    by = judged_by(sweep.jobs)
    word = "validation" if by == "validation" else "training"
    values = " ".join(f"{key}={value}" for key, value in best.values.items())
    runs = f"{len(best.finished)} run{'s' if len(best.finished) > 1 else ''}"
    return [
        f"best by {word}: {values or 'the only setting'} ({percent(best.figure(by))} %, {runs})",
        f"  {again(sweep, best)}",
    ]


def again(sweep: Sweep, setting: Setting) -> Line:
    """Return the command that runs a setting again: with all seeds, also such as were drawn."""
    jobs = setting.finished or setting.jobs
    words = {word.partition("=")[0]: word for word in (*jobs[0].base, *jobs[0].words)}
    several = False
    for key in SEEDS:
        values = [v for v in dict.fromkeys(value_of(job, key) for job in jobs) if v.isdecimal()]
        if len(values) > 1 or (values and key == DRAWN):
            words[key] = f"{key}={','.join(values)}"
        several |= len(values) > 1
    return command("train", *options_of(sweep), *(["-m"] if several else []), *words.values())


def options_of(sweep: Sweep) -> list[str]:
    """Return the options of the command that began a sweep, without that for several runs."""
    asked = next((asked for asked in sweep.asked if asked.words), Asked())
    line = split(asked.words)
    line.options.pop("--multirun", None)
    own = line.options.get("--config-dir")
    if own and Path(asked.cwd) != Path.cwd():  # where it was relative to
        line.options["--config-dir"] = str(Path(asked.cwd, own))
    return line.option_words()


def standing(sweep: Sweep, stopped: bool = False) -> list[str]:
    """Return how many jobs are in which state, and the commands with which the others go on."""
    lines = [("stopped; " if stopped else "") + count_line(sweep)]
    if sweep.of_state(*OPEN):
        lines += [
            "those that are not finished go on from their checkpoints, the others begin, with",
            f"  {command('sweep', 'resume', sweep.folder)}",
        ]
    if sweep.of_state(*FAILED):
        lines += [
            "those that failed are run again with",
            f"  {command('sweep', 'resume', sweep.folder, '--failed')}",
        ]
    if sweep.of_state("running"):
        lines += ["those that run are seen with", f"  {command('sweep', 'status', sweep.folder)}"]
    return lines
