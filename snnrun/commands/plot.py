"""`snnrun plot`: pictures of runs, from their records."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from snnrun.commands.arguments import path_of, taken
from snnrun.commands.names import PLOT_OPTIONS
from snnrun.errors import ConfigError, did_you_mean

OUTPUT = "--output"
FORMATS = (".png", ".pdf", ".svg")
ANIMATION = ".gif"
COMPARISON = "comparison.png"
BY = "--by"
MOMENT = ("--epoch", "--trial", "--example")

HELP = f"""\
usage: snnrun plot [RUN] [--what NAME,...] [--epoch N] [--trial N] [--example N] [{OUTPUT} FILE]
       snnrun plot RUN RUN ... [{OUTPUT} FILE]
       snnrun plot FOLDER [{BY} KEY,...] [{OUTPUT} FILE]
       with any of them: [--size WIDTHxHEIGHT] [--dpi N]

One run (without RUN, the newest below ./outputs): everything that it has recorded, as far as it has
come, to RUN/plots; with {OUTPUT} its course, or the one picture of --what, to FILE.
  --what     training, activity, activity_by_epoch, confusion, raster, potentials, pattern, network,
             weights, fields, kernels, time_constants, delays, weights_by_epoch, delays_by_epoch,
             time_constants_by_epoch, decisions (of Yin-Yang: what becomes of every point)
  --epoch    of raster, potentials, confusion, and of what is learned, where it was recorded then;
             from 0, -1: the last that was recorded
  --trial    the mini-batch of that epoch, from 0; without it the first that was recorded
  --example  of raster and potentials: the place in the mini-batch, from 0
Several runs: their courses in one picture, {COMPARISON} in the current folder (of the runs of a
sweep in its folder) or FILE. Runs that differ only by seeds are shown as mean and standard
deviation. The folder of a sweep: the score by each key that differs (or those of {BY}), by all of
them, and the curves, to FOLDER/sweep.png or FILE. The folder of a search: its trials, how much each
key matters, and the keys of the trials, to FOLDER/search.png or FILE.
The format is that of FILE's suffix: .png, .pdf, .svg, or .gif, an animation: of raster through the
trial, of the others through the epochs. --size in inches. Needs matplotlib.
During the training: TRAINING_PLOT=true FANCY_PLOTS=true.

examples:
  snnrun plot
  snnrun plot outputs/2026-11-21/18-03-12-123456 {OUTPUT} course.pdf --size 8x4.5
  snnrun plot outputs/2026-11-21/18-03-12-123456 --what raster --epoch -1 --example 3
  snnrun plot --what training {OUTPUT} training.gif
  snnrun plot outputs/multirun/2026-11-21/18-03-12-123456 {OUTPUT} seeds.png
"""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a command line asks for.

    Args:
        folders: Of runs, or of a sweep.
        output: The file to write; None for the usual one.
        what: Names of pictures.
        moment: "epoch", "trial" and "example", those that are given.
        by: Keys.
        size: Width and height in inches.
        dpi: Dots per inch.
    """

    folders: Sequence[str]
    output: Path | None
    what: Sequence[str]
    moment: dict[str, int]
    by: Sequence[str]
    size: tuple[float, float] | None
    dpi: float | None

    def refuse_for_several(self, why: str) -> None:
        """Raise ConfigError where something is asked for that only one run has."""
        options = ["--what"] * bool(self.what) + [f"--{name}" for name in self.moment]
        if options:
            raise ConfigError(f"{options[0]}: is for one run, and {why}")
        if self.output is not None and self.output.suffix.lower() == ANIMATION:
            raise ConfigError(f"{OUTPUT} {self.output}: animations are of one run, and {why}")


def run(arguments: Sequence[str]) -> int:
    wanted = read(arguments)
    from snnrun.plots.library import require_matplotlib

    require_matplotlib("snnrun plot")
    from snnrun.plots.folder import picture_of

    folder = path_of(wanted.folders[0]) if len(wanted.folders) == 1 else None
    whole = picture_of(folder, wanted.by) if folder is not None else None
    if wanted.by and whole is None:
        keys = ",".join(wanted.by)
        raise ConfigError(f"{BY} {keys}: give the folder of one sweep whose keys differ")
    if folder is not None and whole is not None:
        wanted.refuse_for_several(f"{folder} holds several")
        name, figure = whole
        written = [_saved(figure, wanted.output or folder / name, wanted)]
    else:
        written = _of_runs(wanted)
    print("\n".join(map(str, written)))
    return 0


def _of_runs(wanted: Wanted) -> list[Path]:
    """Make the pictures of one run, or of several in comparison; return where they are."""
    from snnrun.commands.saved_run import find_run, run_folder
    from snnrun.plots.comparison import comparison
    from snnrun.record.paths import MULTIRUN

    runs = [run_folder(one, "plot") for one in _each_run(wanted.folders)]
    runs = runs or [find_run([], "plot")[0]]
    if len(runs) == 1:
        return _of_one(wanted, runs[0])
    wanted.refuse_for_several(f"these are {len(runs)}")
    left_out: list[str] = []
    figure = comparison(runs, left_out, wanted.size)
    for why in left_out:
        print(f"left out: {why}", file=sys.stderr)
    tops = {one.parent for one in runs}
    place = tops.pop() if len(tops) == 1 else Path()
    usual = (place if (place / MULTIRUN).is_file() else Path()) / COMPARISON
    return [_saved(figure, wanted.output or usual, wanted)]


def _of_one(wanted: Wanted, folder: Path) -> list[Path]:
    """Make the pictures of one run; return their files, or the folder of all."""
    from snnrun.plots.animation import write_animation
    from snnrun.plots.records import Asked, Records
    from snnrun.plots.saved import COURSE, frames, pictures, write_all
    from snnrun.plots.style import DPI, save
    from snnrun.record.reader import load_run

    asked = Asked(**wanted.moment)
    records = Records(load_run(folder), opened)
    output, look = wanted.output, (wanted.size, wanted.dpi or DPI)
    if output is None:
        left_out: list[str] = []
        written = write_all(records, wanted.what, asked, *look, left_out)
        for why in left_out:
            print(f"left out: {why}", file=sys.stderr)
        return written if wanted.what else [records.run.paths.plots]
    what = wanted.what or [COURSE]
    if len(what) > 1:
        raise ConfigError(f"{OUTPUT} {output}: is one picture, and --what names {len(what)}")
    if output.suffix.lower() == ANIMATION:
        write_animation(frames(records, what[0], asked), output, wanted.size, wanted.dpi)
    else:
        [picture] = pictures(records, what, asked)
        save(picture.figure(wanted.size), output, look[1])
    return [output]


def opened(*arguments: Any) -> AbstractContextManager[Any]:
    """Build a network, which few pictures need."""
    from snnrun.run import built

    return built(*arguments)


def _saved(figure: Any, file: Path, wanted: Wanted) -> Path:
    from snnrun.plots.style import DPI, save

    if wanted.size is not None:
        figure.set_size_inches(*wanted.size)
    save(figure, file, wanted.dpi or DPI)
    return file


def read(arguments: Sequence[str]) -> Wanted:
    """Return what the arguments ask for.

    Raises:
        ConfigError: An option or setting that plot does not take, or a file it cannot write.
    """
    from snnrun.commands.saved_run import names_folder

    by, words = taken(arguments, BY, f"keys, as in {BY} ETA,NUM_HIDDEN")
    what, words = taken(words, "--what", "names of pictures, as in --what raster,weights")
    size, words = taken(words, "--size", "width and height in inches, as in --size 8x4.5")
    dpi, words = taken(words, "--dpi", "dots per inch, as in --dpi 200")
    file, words = taken(words, OUTPUT, f"a file, as in {OUTPUT} course.png")
    moment = {}
    for option in MOMENT:
        text, words = taken(words, option, f"a whole number, as in {option} 0")
        if text is not None:
            moment[option.lstrip("-")] = _whole(option, text)
    for word in words:
        if word.startswith("-"):
            hint = did_you_mean(word, PLOT_OPTIONS)
            raise ConfigError(
                f"{word}: there is no such option.{hint} Options: {', '.join(PLOT_OPTIONS)}"
            )
        if "=" in word and not names_folder(word):
            raise ConfigError(f"{word}: snnrun plot takes run folders and {OUTPUT} FILE, no keys")
    return Wanted(
        folders=words,
        output=None if file is None else writable(path_of(file), f"{OUTPUT} ", ANIMATION),
        what=_list(what),
        moment=moment,
        by=_list(by),
        size=None if size is None else _size(size),
        dpi=None if dpi is None else _dpi(dpi),
    )


def _list(text: str | None) -> list[str]:
    return [name for name in (text or "").split(",") if name]


def _whole(option: str, text: str) -> int:
    if not re.fullmatch(r"-?\d+" if option == "--epoch" else r"\d+", text):
        least = "" if option == "--epoch" else " from 0 on"
        raise ConfigError(f"{option} {text}: must be a whole number{least}")
    return int(text)


def _size(text: str) -> tuple[float, float]:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)x(\d+(?:\.\d+)?)", text)
    if not match or not all(1 <= float(side) <= 100 for side in match.groups()):
        raise ConfigError(
            f"--size {text}: must be width and height in inches, 1 to 100, as in --size 8x4.5"
        )
    return float(match[1]), float(match[2])


def _dpi(text: str) -> float:
    if not text.isdecimal() or not 10 <= int(text) <= 1200:
        raise ConfigError(f"--dpi {text}: must be a whole number from 10 to 1200")
    return float(text)


def _each_run(folders: Sequence[str]) -> list[str]:
    """Return every folder once, and for a multirun's folder, or what lies in it, its runs."""
    from snnrun.record.paths import MULTIRUN

    found: dict[Path, str] = {}
    for folder in folders:
        path = path_of(folder)
        if path.is_file() and (path.parent / MULTIRUN).is_file():  # of `multirun/date/time/*`
            continue
        inner = sorted(path.glob("*/.hydra")) if (path / MULTIRUN).is_file() else []
        for one in [str(place.parent) for place in inner] or [folder]:
            found.setdefault(Path(one).resolve(), one)
    return list(found.values())


def writable(file: Path, option: str, *more: str) -> Path:
    """Return a file to which a picture can be written; ``option`` is what it was given by.

    Raises:
        ConfigError: Its format is unknown, or there is no such folder.
    """
    formats = (*FORMATS, *more)
    if file.suffix.lower() not in formats:
        raise ConfigError(f"{option}{file}: must end in one of {', '.join(formats)}")
    if not file.parent.is_dir():
        raise ConfigError(f"{option}{file}: there is no folder {file.parent}")
    return file
