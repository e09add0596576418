"""The picture of a folder that holds more than a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from snnrun.plots.search import search_picture
from snnrun.plots.sweep import sweep_picture
from snnrun.search.report import read_search
from snnrun.search.study import is_search
from snnrun.sweeps.settings import setting_keys
from snnrun.sweeps.sweep import read_sweep


def picture_of(folder: Path, keys: Sequence[str] = ()) -> tuple[str, Figure] | None:
    """Return the usual name and the picture of the search, the sweep, or the runs in a folder.

    Args:
        folder: Any.
        keys: Of a sweep, those to show; without them all that differ, but for seeds.

    Returns:
        None of a run, and where there are none, or such that differ by seeds only.

    Raises:
        SnnrunError: Nothing has finished yet, or there is no such key.
    """
    if is_search(folder):
        return "search.png", search_picture(read_search(folder))
    sweep = read_sweep(folder)
    if not keys and not setting_keys(sweep.jobs):
        return None
    return "sweep.png", sweep_picture(sweep, keys)
