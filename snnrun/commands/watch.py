"""`snnrun watch`: the page of a run or sweep while it goes on, in a browser."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from snnrun.commands.arguments import choice_among, path_of, taken
from snnrun.commands.report import is_many, is_sweep, refuse_keys, subject
from snnrun.errors import ConfigError

if TYPE_CHECKING:
    from snnrun.page.parts import Page

PORT, HOST = "--port", "--host"
HIGHEST_PORT = 65535

HELP = f"""\
usage: snnrun watch [RUN | SWEEP] [{PORT} N] [{HOST} ADDRESS]

Serves the page of `snnrun report` to a browser and keeps it up to date while the run or the sweep
goes on (without a folder: the newest below ./outputs, or the sweep that it belongs to). Open the
link that it prints; Ctrl-C ends it. It only reads, and nothing is served without the token in the
link.

  {PORT}  of this machine; without it any that is free
  {HOST}  address at which it listens; without it 127.0.0.1, which only this machine reaches.
          With another one whoever sees the link can read the page

From another machine, without {HOST}: ssh -L 8000:127.0.0.1:8000 MACHINE, and there
snnrun watch {PORT} 8000

examples:
  snnrun watch
  snnrun watch outputs/multirun/2026-11-21/18-03-12-123456 {PORT} 8000
"""


def run(arguments: Sequence[str]) -> int:
    port, words = taken(arguments, PORT, f"a number, as in {PORT} 8000")
    host, words = taken(words, HOST, f"an address, as in {HOST} 0.0.0.0")
    _, folders = choice_among(words, (), [PORT, HOST])
    number = _number(port)
    refuse_keys("watch", folders)
    if len(folders) > 1:
        raise ConfigError(f"snnrun watch takes one run or sweep, got: {' '.join(folders)}")
    from snnrun.commands.saved_run import run_folder
    from snnrun.page.document import require_plotly

    require_plotly("snnrun watch")
    from snnrun.page.server import LOCAL, Live, Server

    folder = path_of(folders[0]) if folders else _newest()
    if not is_many(folder):
        run_folder(str(folder), "watch")
    live = Live(lambda: _page(folder), lambda: _state(folder))
    with Server(live, host or LOCAL, number) as server:
        print(f"{server.link}\nshows {folder}; Ctrl-C ends it", flush=True)
        server.serve_forever()
    return 0


def _number(port: str | None) -> int:
    if port is None:
        return 0
    if not port.isdecimal() or not 1 <= int(port) <= HIGHEST_PORT:
        raise ConfigError(f"{PORT} {port}: must be a whole number from 1 to {HIGHEST_PORT}")
    return int(port)


def _newest() -> Path:
    """Return the newest run, or the sweep to which it belongs."""
    from snnrun.commands.saved_run import find_run

    folder = find_run([], "watch")[0]
    return folder.parent if is_sweep(folder.parent) else folder


def _page(folder: Path) -> Page:
    """Return the page of a run or sweep, which may not have recorded anything yet."""
    from snnrun.page.about import not_begun
    from snnrun.record.paths import RunPaths

    if not is_many(folder) and not RunPaths(folder).run.exists():
        return not_begun(RunPaths(folder))
    return subject([str(folder)], "watch")[1](None)


def _state(folder: Path) -> str:
    """Return in short how a run or sweep stands: what it has written, and how its runs are."""
    from snnrun.page.parts import mark
    from snnrun.record.paths import RunPaths
    from snnrun.record.summary import read_summary
    from snnrun.sweeps.sweep import read_sweep

    paths = RunPaths(folder)
    if is_many(folder):
        return mark(repr(read_sweep(folder).jobs))
    files = [path for path in (paths.run, paths.end, paths.last) if path.exists()]
    return mark(repr((read_summary(folder).state, [path.stat().st_mtime_ns for path in files])))
