"""The configuration in a run folder, and how it was composed, where Hydra would write them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError  # type: ignore[import-untyped]

from snnrun.errors import RecordError
from snnrun.files import atomic_file, write_error
from snnrun.record.paths import RunPaths


def save_config(cfg: DictConfig | ListConfig, path: Path) -> None:
    """Write a configuration to the run folder, whole or not at all."""
    with atomic_file(path) as file:
        file.write(OmegaConf.to_yaml(cfg).encode())


def load_config(path: Path) -> Any:
    """Return a configuration, or a list of overrides, that a run folder has.

    Raises:
        RecordError: It cannot be read.
    """
    try:
        return OmegaConf.load(path)
    except FileNotFoundError as error:
        raise RecordError(f"{path}: is missing; was the run folder copied whole?") from error
    except (OSError, ValueError, YAMLError, OmegaConfBaseException) as error:
        raise RecordError(
            f"{path}: damaged ({type(error).__name__}: {str(error).splitlines()[0]}). If it was "
            "copied, copy it again; else check the disk"
        ) from error


def save_composed(
    paths: RunPaths, cfg: DictConfig | ListConfig, overrides: Iterable[str], hydra: Any = None
) -> None:
    """Write the configuration of a run that begins.

    Args:
        paths: The run folder, which is made if need be.
        cfg: The configuration.
        overrides: What it was composed of.
        hydra: Hydra's own node of it, with that as its one entry.

    Raises:
        RecordError: The folder cannot be written.
    """
    try:
        paths.hydra.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise write_error(paths.hydra, error) from error
    save_config(cfg, paths.config)
    if hydra is not None:
        save_config(hydra, paths.composed)
    save_config(OmegaConf.create(list(overrides)), paths.overrides)  # last: now the run has begun
