"""The course of the training in a window, where there is a display.

A window never holds the training up and never ends it: without a display there is none, and a
display that fails, at the start or later, is given up with one warning.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from typing import Any

from matplotlib.figure import Figure

Warn = Callable[[str], None]


class Window:
    """A window that shows one figure, drawn anew at each ``show``.

    Args:
        title: Of the window.
        size: In inches.
        warn: Who is told, once, that there will be no window any more.
    """

    def __init__(self, title: str, size: tuple[float, float], warn: Warn) -> None:
        self._warn = warn
        self._figure: Any = None
        self._plt: Any = None
        if has_display() and threading.current_thread() is threading.main_thread():
            self._guarded(lambda: self._open(title, size))

    def show(self, draw: Callable[[Figure], None]) -> None:
        """Draw into the window, unless it was closed."""
        if self._figure is not None and not self._plt.fignum_exists(self._figure.number):
            self._figure = None  # its user has closed it
        if self._figure is not None:
            self._guarded(lambda: self._redraw(draw))

    def refresh(self) -> None:
        """Let the window answer its user; cheap, to be called often."""
        if self._figure is not None:
            self._guarded(self._figure.canvas.flush_events)

    def close(self) -> None:
        """Take the window away."""
        if self._figure is not None:
            self._guarded(lambda: self._plt.close(self._figure))
        self._figure = None

    def _open(self, title: str, size: tuple[float, float]) -> None:
        import matplotlib.pyplot as plt

        figure = plt.figure(num=title, figsize=size, layout="constrained")
        if getattr(figure.canvas, "required_interactive_framework", None) is None:
            plt.close(figure)
            if "MPLBACKEND" not in os.environ:  # otherwise this is what was asked for
                raise RuntimeError("matplotlib finds no toolkit for windows that works")
            return
        figure.show()
        self._plt, self._figure = plt, figure

    def _redraw(self, draw: Callable[[Figure], None]) -> None:
        self._figure.clear()
        draw(self._figure)
        self._figure.canvas.draw_idle()
        self._figure.canvas.flush_events()

    def _guarded(self, action: Callable[[], None]) -> None:
        try:
            action()
        except Exception as error:  # toolkits raise what they like, and training matters more
            self._figure = None
            self._warn(f"no window for the plots ({error}); the files are written all the same")


def has_display() -> bool:
    """Return whether the session seems to have a display."""
    if sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
