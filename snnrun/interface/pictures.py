"""Pictures of runs as Matplotlib figures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from snnrun.commands.saved_run import run_folder
from snnrun.interface.mistakes import brief
from snnrun.plots.library import require_matplotlib
from snnrun.record.reader import Run

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@brief
def plot(
    runs: Run | str | Path | Sequence[Run | str | Path], file: str | Path | None = None
) -> Figure:
    """Return a picture of the course of a run, or of several in comparison.

    Runs that differ only by seeds are shown as mean and standard deviation. A notebook shows the
    figure; Matplotlib's methods change it. More pictures: `snnrun plot`, FANCY_PLOTS.

    Args:
        runs: A run or its folder, or several.
        file: Write it to this file too, in the format of its suffix (.png, .pdf, .svg).

    Raises:
        SnnrunError: There is no such run, no epoch has ended in one, or Matplotlib is missing.
    """
    require_matplotlib("snnrun.plot")
    from snnrun.commands.plot import writable
    from snnrun.plots.saved import comparison, course
    from snnrun.plots.style import save

    written = None if file is None else writable(Path(file).expanduser(), "file=")
    many = [runs] if isinstance(runs, Run | str | Path) else list(runs)
    shown = [run if isinstance(run, Run) else run_folder(str(run)) for run in many]
    figure = course(shown[0]) if len(shown) == 1 else comparison(shown)
    if written is not None:
        save(figure, written)
    return figure
