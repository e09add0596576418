"""Pictures one after the other, as a GIF."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from matplotlib.animation import PillowWriter
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from snnrun.files import atomic_file
from snnrun.plots.style import Picture, Size

SUFFIX = ".gif"
DPI = 80
_SECONDS, _FASTEST = 6.0, 10  # of the whole where there are enough frames, and frames per second


def write_animation(
    frames: Sequence[Picture], path: Path, size: Size | None = None, dpi: float | None = None
) -> None:
    """Write pictures of one kind to a GIF, whole or not at all; all have the same ranges."""
    figures = [frame.figure(size or frames[0].size) for frame in frames]
    _give_same_ranges(figures)
    rate = min(_FASTEST, max(1, round(len(frames) / _SECONDS)))
    writer = PillowWriter(fps=rate)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, f"animation{SUFFIX}")  # Pillow goes by the suffix
        with writer.saving(figures[0], str(file), dpi or DPI):
            for figure in figures:
                writer.fig = figure
                writer.grab_frame()
        with atomic_file(path) as written:
            written.write(file.read_bytes())


def _give_same_ranges(figures: Sequence[Figure]) -> None:
    """Let axes that stand in the same place have the same limits, and images the same colours."""
    if len({len(figure.axes) for figure in figures}) > 1:
        return
    for several in zip(*(figure.axes for figure in figures), strict=True):
        images = [image for axes in several for image in axes.get_images()]
        if images:
            low, high = zip(*(image.get_clim() for image in images), strict=True)
            for image in images:
                image.set_clim(min(low), max(high))
        elif several[0].get_label() != "<colorbar>":
            for which in ("xlim", "ylim"):
                _widen(several, which)


def _widen(several: Sequence[Axes], which: str) -> None:
    limits = [getattr(axes, f"get_{which}")() for axes in several]
    low, high = zip(*limits, strict=True)
    for axes in several:
        axes.set(**{which: (min(low), max(high))})
