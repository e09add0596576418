"""Whether matplotlib is there. The only module of plots that a run without plots imports."""

from __future__ import annotations

import importlib

from snnrun.errors import ConfigError

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
