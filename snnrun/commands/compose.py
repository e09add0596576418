"""Composing the configuration of a command line without running Hydra's application."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from snnrun.commands.arguments import CommandLine, check
from snnrun.config import conf_dir
from snnrun.errors import ConfigError
from snnrun.shell import hydra_quoted

if TYPE_CHECKING:
    from omegaconf import DictConfig


_ONE_AT_A_TIME = threading.RLock()  # Hydra keeps what it composes with in variables of the process


def compose(line: CommandLine) -> DictConfig:
    """Return what Hydra composes from a command line, unchecked but for its names.

    Several threads may compose at once, also while an application of Hydra's runs in the process.

    Raises:
        ConfigError: A key, group or choice does not exist, or a file is wrong.
    """
    with _ONE_AT_A_TIME:
        overrides = check(line)
        if "--config-dir" in line.options:
            own = Path(line.options["--config-dir"]).absolute()
            if not own.is_dir():
                raise ConfigError(f"--config-dir {own}: there is no such folder")
            place = hydra_quoted(f"file://{own}")
            overrides = [f"hydra.searchpath=[{place}]", *overrides]
        return _compose(overrides)


def _compose(overrides: list[str]) -> DictConfig:
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from hydra.errors import HydraException

    from snnrun.commands.hydra_setup import VERSION

    try:
        with _outer_application_kept(), initialize_config_dir(str(conf_dir()), **VERSION):
            return hydra_compose("config", overrides)
    except HydraException as error:
        raise ConfigError(str(error)) from error


@contextmanager
def _outer_application_kept() -> Iterator[None]:
    """Take away what Hydra holds of a user's own application that calls us, and give it back."""
    from hydra.core.global_hydra import GlobalHydra
    from hydra.version import VersionBase

    outer, base = GlobalHydra.instance().hydra, VersionBase.instance().version_base
    GlobalHydra.instance().hydra = None
    try:
        yield
    finally:
        GlobalHydra.instance().hydra = outer
        VersionBase.instance().version_base = base
