"""Composing the configuration of a command line without running Hydra's application."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from snnrun.commands.arguments import CommandLine, check
from snnrun.config import conf_dir
from snnrun.errors import ConfigError
from snnrun.shell import hydra_quoted

if TYPE_CHECKING:
    from omegaconf import DictConfig


def compose(line: CommandLine) -> DictConfig:
    """Return what Hydra composes from a command line, unchecked but for its names.

    Raises:
        ConfigError: A key, group or choice does not exist, or a file is wrong.
    """
    overrides = check(line)
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from hydra.errors import HydraException

    if "--config-dir" in line.options:
        own = Path(line.options["--config-dir"]).absolute()
        if not own.is_dir():
            raise ConfigError(f"--config-dir {own}: there is no such folder")
        overrides = [f"hydra.searchpath=[{hydra_quoted(f'file://{own}')}]", *overrides]
    outer = GlobalHydra.instance().hydra  # of a user's own application that calls us
    GlobalHydra.instance().hydra = None
    try:
        with initialize_config_dir(str(conf_dir()), version_base="1.3"):
            return hydra_compose("config", overrides)
    except HydraException as error:
        raise ConfigError(str(error)) from error
    finally:
        GlobalHydra.instance().hydra = outer
