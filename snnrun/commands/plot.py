"""`snnrun plot`: pictures of runs, from their records."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from snnrun.commands.arguments import path_of, taken
from snnrun.errors import ConfigError, did_you_mean

OUTPUT = "--output"
FORMATS = (".png", ".pdf", ".svg")
COMPARISON = "comparison.png"
BY = "--by"

HELP = f"""\
usage: snnrun plot [RUN ...] [{OUTPUT} FILE] [{BY} KEY,...]

One run (without RUN, the newest below ./outputs): its course, network, weights, time constants,
delays and, with COLLECT_CONFUSION, confusion matrix, to RUN/plots; with {OUTPUT}, its course to
FILE.
Several runs: their courses in one picture, {COMPARISON} or FILE. Runs that differ only by seeds
are shown as mean and standard deviation. The folder of a sweep: the score by each key that differs
(or those of {BY}), by all of them, and the curves, to FOLDER/sweep.png or FILE. The folder of a
search: its trials, how much each key matters, and the keys of the trials, to FOLDER/search.png or
FILE.
The format is that of FILE's suffix: .png, .pdf, .svg. Needs matplotlib.
During the training: TRAINING_PLOT=true FANCY_PLOTS=true.

examples:
  snnrun plot
  snnrun plot outputs/2026-11-21/18-03-12-123456 {OUTPUT} course.pdf
  snnrun plot outputs/multirun/2026-11-21/18-03-12-123456 {OUTPUT} seeds.png
"""


def run(arguments: Sequence[str]) -> int:
    by, words = taken(arguments, BY, f"keys, as in {BY} ETA,NUM_HIDDEN")
    keys = [key for key in (by or "").split(",") if key]
    folders, output = read(words)
    from snnrun.plots.library import require_matplotlib

    require_matplotlib("snnrun plot")
    from snnrun.plots.folder import picture_of
    from snnrun.plots.style import save

    whole = picture_of(path_of(folders[0]), keys) if len(folders) == 1 else None
    if keys and whole is None:
        raise ConfigError(f"{BY} {','.join(keys)}: give the folder of one sweep whose keys differ")
    if whole is not None:
        name, figure = whole
        written = output or path_of(folders[0]) / name
        save(figure, written)
    else:
        written = _of_runs(folders, output)
    print(written)
    return 0


def _of_runs(folders: Sequence[str], output: Path | None) -> Path:
    """Make the pictures of one run, or of several in comparison, and return where they are."""
    from snnrun.commands.saved_run import find_run, run_folder
    from snnrun.plots.saved import comparison, course, plot_run
    from snnrun.plots.style import save

    runs = [run_folder(folder, "plot") for folder in _each_run(folders)]
    runs = runs or [find_run([], "plot")[0]]
    if len(runs) > 1:
        written, left_out = output or Path(COMPARISON), list[str]()
        save(comparison(runs, left_out), written)
        for why in left_out:
            print(f"left out: {why}", file=sys.stderr)
        return written
    if output is None:
        return plot_run(runs[0])
    save(course(runs[0]), output)
    return output


def read(arguments: Sequence[str]) -> tuple[list[str], Path | None]:
    """Return the run folders and the file of the arguments.

    Raises:
        ConfigError: An option or setting that plot does not take, or a file it cannot write.
    """
    from snnrun.commands.saved_run import names_folder

    file, words = taken(arguments, OUTPUT, f"a file, as in {OUTPUT} course.png")
    for word in words:
        if word.startswith("-"):
            hint = did_you_mean(word, [OUTPUT])
            raise ConfigError(f"{word}: there is no such option.{hint} Options: {OUTPUT}")
        if "=" in word and not names_folder(word):
            raise ConfigError(f"{word}: snnrun plot takes run folders and {OUTPUT} FILE, no keys")
    return words, None if file is None else writable(path_of(file), f"{OUTPUT} ")


def _each_run(folders: Sequence[str]) -> list[str]:
    """Return every folder once, and for a multirun's folder, or what lies in it, its runs."""
    from snnrun.record.paths import MULTIRUN

    found: dict[Path, str] = {}
    for folder in folders:
        path = path_of(folder)
        if path.name == MULTIRUN and path.is_file():  # of `multirun/date/time/*`
            continue
        inner = sorted(path.glob("*/.hydra")) if (path / MULTIRUN).is_file() else []
        for one in [str(place.parent) for place in inner] or [folder]:
            found.setdefault(Path(one).resolve(), one)
    return list(found.values())


def writable(file: Path, option: str) -> Path:
    """Return a file to which a picture can be written; ``option`` is what it was given by.

    Raises:
        ConfigError: Its format is unknown, or there is no such folder.
    """
    if file.suffix.lower() not in FORMATS:
        raise ConfigError(f"{option}{file}: must end in one of {', '.join(FORMATS)}")
    if not file.parent.is_dir():
        raise ConfigError(f"{option}{file}: there is no folder {file.parent}")
    return file
