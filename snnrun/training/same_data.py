"""Whether a run that goes on finds the data that it has trained on so far."""

from __future__ import annotations

from typing import Any

from snnrun.datasets.fingerprint import Fingerprint, differences
from snnrun.errors import DataError
from snnrun.notice import Notice
from snnrun.record.paths import RunPaths
from snnrun.record.provenance import DATA
from snnrun.record.runfile import open_run, sessions
from snnrun.shell import command


def require_same_data(config: Any, paths: RunPaths, now: Fingerprint) -> tuple[Notice, ...]:
    """Raise DataError where the data of the run in ``paths`` were others than those ``now``.

    With dataset.changed=accept that is a notice instead. Runs that noted no fingerprint, as those
    of earlier versions, are not compared.
    """
    if not paths.run.exists():
        return ()
    with open_run(paths) as file:
        noted = [str(session[DATA]) for session in sessions(file) if DATA in session]
    other = differences(noted[-1], now) if noted else ""
    if not other:
        return ()
    if config.dataset.changed == "accept":
        text = f"the run goes on with other data than before: {other}"
        return (Notice(what="other data", message=text),)
    go_on = command("resume", paths.root, "dataset.changed=accept")
    raise DataError(
        f"dataset {config.dataset.name}: the data are not those that the run in {paths.root} has "
        f"trained on: {other}. Give it the data back (dataset.path=FOLDER), start another run, or "
        f"go on with these:\n  {go_on}"
    )
