"""`snnrun report`: a page with all that a run, a sweep or several runs have recorded."""

from __future__ import annotations

import sys
import webbrowser
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from snnrun.commands.arguments import choice_among, path_of, taken
from snnrun.errors import ConfigError, RecordError, SnnrunError

if TYPE_CHECKING:
    from snnrun.page.parts import Page
    from snnrun.page.settings import Reference
    from snnrun.sweeps.sweep import Job

OUTPUT, OPEN = "--output", "--open"
PAGE = "page.html"
ENDINGS = (".html", ".htm")

HELP = f"""\
usage: snnrun report [RUN | SWEEP | RUN RUN ...] [{OUTPUT} FILE.html] [{OPEN}]

Writes one HTML file, which needs no network and no other file, for a browser.

One run (without RUN, the newest below ./outputs), to RUN/{PAGE}: what ran, curves, results,
confusion, activity, spikes, potentials, weights, delays, time constants, network, derived
equations, warnings, configuration and what it has otherwise than its preset, links to the files.
What was not recorded is named with the key that records it.
The folder of a sweep, to SWEEP/{PAGE}: its table, curves, scores by each key, the differences of
any two runs, all runs. Several runs in the same way, to ./{PAGE}.

  {OUTPUT}  another file
  {OPEN}    opens it in the browser

Needs Plotly and matplotlib. While a run goes on: snnrun watch.

examples:
  snnrun report {OPEN}
  snnrun report outputs/2026-11-21/18-03-12-123456 {OUTPUT} run.html
  snnrun report outputs/multirun/2026-11-21/18-03-12-123456
"""


def run(arguments: Sequence[str]) -> int:
    file, words = taken(arguments, OUTPUT, f"a file, as in {OUTPUT} {PAGE}")
    opens, folders = choice_among(words, (OPEN,), [OUTPUT])
    refuse_keys("report", folders)
    from snnrun.files import atomic_file
    from snnrun.page.document import as_html, require_plotly

    require_plotly("snnrun report")
    place, make = subject(folders, "report")
    output = place / PAGE if file is None else _writable(path_of(file))
    page = as_html(make(output.parent))
    with atomic_file(output) as written:
        written.write(page.encode())
    print(output)
    if opens and not webbrowser.open(output.resolve().as_uri()):
        print(f"{OPEN}: no browser was found; open {output} in one", file=sys.stderr)
    return 0


def refuse_keys(command: str, words: Sequence[str]) -> None:
    """Raise ConfigError for KEY=VALUE, which a page has no use for."""
    from snnrun.commands.saved_run import names_folder

    for word in words:
        if "=" in word and not names_folder(word):
            raise ConfigError(f"{word}: snnrun {command} takes folders of runs, no keys")


def subject(folders: Sequence[str], command: str) -> tuple[Path, Callable[[Path | None], Page]]:
    """Return the folder in which a page belongs, and what makes it.

    That takes the folder of the page, from which its links lead, or None for a page without links,
    and reads what there is when it is called.

    Args:
        folders: As given: none for the newest run, one of a run or a sweep, or several.
        command: Which command it is for.

    Raises:
        SnnrunError: A folder holds no run.
    """
    from snnrun.commands.saved_run import find_run

    paths = [path_of(folder) for folder in folders] or [find_run([], command)[0]]
    if len(paths) > 1:
        return Path(), lambda beside: _of_several(paths, beside)
    if is_many(paths[0]):
        return paths[0], lambda beside: _of_sweep(paths[0], beside)
    return paths[0], lambda beside: _of_run(paths[0], beside, command)


def is_many(folder: Path) -> bool:
    """Return whether a folder holds runs and is none."""
    from snnrun.record.summary import run_folders

    first = next(run_folders(folder), None)
    return is_sweep(folder) or (first is not None and first != folder)


def is_sweep(folder: Path) -> bool:
    """Return whether a folder is that of a multirun, whether or not one of its runs has begun."""
    from snnrun.record.paths import MULTIRUN
    from snnrun.sweeps import asked

    return asked.is_sweep(folder) or (folder / MULTIRUN).is_file()


def _of_run(folder: Path, beside: Path | None, command: str) -> Page:
    from snnrun.commands.saved_run import run_folder
    from snnrun.page.run import page_of_run
    from snnrun.record.reader import load_run

    run_folder(str(folder), command)
    return page_of_run(load_run(folder), reference_of(folder), beside)


def _of_sweep(folder: Path, beside: Path | None) -> Page:
    from snnrun.page.searched import search
    from snnrun.page.several import Several, page_of_several
    from snnrun.sweeps.sweep import read_sweep

    jobs = read_sweep(folder).jobs
    if not jobs:
        raise RecordError(f"{folder}: holds no run. `snnrun runs` lists the runs")
    title = f"Sweep {folder.resolve().name}"
    return page_of_several(Several(title, jobs, beside, search(folder)))


def _of_several(folders: Sequence[Path], beside: Path | None) -> Page:
    from snnrun.page.several import Several, page_of_several
    from snnrun.sweeps.sweep import read_sweep

    found: dict[tuple[Path, int], Job] = {}
    for folder in folders:
        jobs = read_sweep(folder).jobs
        if not jobs:
            raise RecordError(f"{folder}: holds no run. `snnrun runs` lists the runs")
        for job in jobs:
            place = job.folder.resolve(), 0 if job.created else job.number  # once it has a folder
            found.setdefault(place, replace(job, number=len(found)))
    return page_of_several(Several(f"{len(found)} runs", list(found.values()), beside))


def reference_of(folder: Path) -> Reference | None:
    """Return what Hydra composes of the choices of a run without the keys that were given.

    None where it does not say what was chosen, or that can no longer be composed.
    """

    from snnrun.commands.compose import Origin, compose_words, settled
    from snnrun.config import flat, validate
    from snnrun.page.settings import Reference
    from snnrun.presets import NONE
    from snnrun.record.paths import RunPaths
    from snnrun.record.provenance import SEEDS
    from snnrun.record.saved import load_config

    noted = RunPaths(folder).composed
    if not noted.is_file():
        return None
    with suppress(SnnrunError):
        origin = Origin.of(load_config(noted).hydra)
        groups = [f"{group}={choice}" for group, choice in origin.groups.items()]
        words = [*groups, *([] if origin.by_default else [f"preset={origin.preset}"])]
        folders = [path for path in origin.folders if path.is_dir()]
        cfg = compose_words(words, folders)
        cfg, setting = settled(cfg, Origin.of(cfg.hydra))
        told = f"preset {setting.preset}" if setting.preset != NONE else "the table"
        chosen = ", ".join(g for g in groups if g in origin.overrides)
        name = f"{told} with {chosen}" if chosen else told
        seeds = {key: value for key, value in flat(cfg).items() if key in SEEDS}  # not drawn ones
        return Reference(name, flat(validate(cfg).to_dict()) | seeds)
    return None


def _writable(file: Path) -> Path:
    """Return a file to which the page can be written.

    Raises:
        ConfigError: Its name does not end as that of a page, or there is no such folder.
    """
    if file.suffix.lower() not in ENDINGS:
        raise ConfigError(f"{OUTPUT} {file}: must end in one of {', '.join(ENDINGS)}")
    if not file.parent.is_dir():
        raise ConfigError(f"{OUTPUT} {file}: there is no folder {file.parent}")
    return file
