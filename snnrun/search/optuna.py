"""Whether Optuna is there, which only searches import."""

from __future__ import annotations

import importlib
import warnings
from typing import Any

from snnrun.errors import ConfigError

INSTALL = "pip install '.[search]' in the folder of snnrun's source, or pip install optuna cmaes"
OLDEST = 5


def optuna(asked_by: str = "sweep=optuna", also: str = "") -> Any:
    """Return the package, which says nothing of its own but errors.

    Args:
        asked_by: Who needs it, for the message.
        also: A further package that is needed.

    Raises:
        ConfigError: One of them is not installed, too old, or does not load.
    """
    for name in filter(None, ("optuna", also)):
        try:
            found = importlib.import_module(name)
        except ImportError as error:
            missing = isinstance(error, ModuleNotFoundError) and error.name == name
            why = "which is not installed" if missing else f"which cannot be loaded ({error})"
            raise ConfigError(f"{asked_by}: needs {name}, {why}. Install it: {INSTALL}") from error
    found = importlib.import_module("optuna")
    if int(found.__version__.partition(".")[0]) < OLDEST:
        raise ConfigError(
            f"{asked_by}: needs optuna >= {OLDEST}, and {found.__version__} is installed. Install "
            f"it: {INSTALL}"
        )
    found.logging.set_verbosity(found.logging.ERROR)
    warnings.filterwarnings("ignore", category=found.exceptions.ExperimentalWarning)
    return found
