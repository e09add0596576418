"""Whether matplotlib is there. The only module of plots that a run without plots imports."""

from __future__ import annotations

import importlib
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from snnrun.config import Config
from snnrun.errors import ConfigError

if TYPE_CHECKING:
    from snnrun.plots.live import LivePlots

INSTALL = "pip install '.[plot]' in the folder of snnrun's source, or pip install matplotlib"


def require_matplotlib(asked_by: str) -> None:
    """Import matplotlib.

    Raises:
        ConfigError: It is not installed, or does not load.
    """
    try:
        importlib.import_module("matplotlib.figure")
    except ImportError as error:
        missing = isinstance(error, ModuleNotFoundError) and error.name == "matplotlib"
        why = "which is not installed" if missing else f"which cannot be loaded ({error})"
        raise ConfigError(f"{asked_by}: needs matplotlib, {why}. Install it: {INSTALL}") from error


def require_plots(config: Config) -> None:
    """Refuse a run whose plots cannot be made, before anything is built.

    Raises:
        ConfigError: matplotlib is missing.
    """
    for key in ("TRAINING_PLOT", "FANCY_PLOTS"):
        if getattr(config, key):
            require_matplotlib(f"{key}=true")


def live_plots(stack: ExitStack, config: Config, *arguments: Any) -> LivePlots | None:
    """Return ``LivePlots`` of these arguments, closed with ``stack``; None if not asked for."""
    if not (config.TRAINING_PLOT or config.FANCY_PLOTS):
        return None
    plots: LivePlots = importlib.import_module("snnrun.plots.live").LivePlots(config, *arguments)
    stack.callback(plots.close)
    return plots
