"""Composing the configuration of a command line without running Hydra's application."""

from __future__ import annotations

import re
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from snnrun.commands.arguments import CommandLine, check
from snnrun.commands.setting import Origin, origin_of
from snnrun.config import conf_dir
from snnrun.errors import ConfigError, SnnrunError
from snnrun.shell import hydra_quoted

if TYPE_CHECKING:
    from omegaconf import DictConfig

_NO_ENTRY = re.compile(
    r"Error merging override \+*(?P<override>(?P<key>[\w.]+?)\.\d+[.=].*)\nlist index out of range"
)
_NO_GROUPS = re.compile(
    r"(?P<file>preset/[^:\s]+): Default List Overrides are not allowed.*override /?(?P<group>\w+)=",
    re.DOTALL,
)
_NO_MERGE = re.compile(
    r"In '(?P<file>[^']+)': ConfigTypeError.*\nCannot merge (Dict|List)Config with (Dict|List)"
)


_ONE_AT_A_TIME = threading.RLock()  # Hydra keeps what it composes with in variables of the process


def compose(line: CommandLine) -> DictConfig:
    """Return what Hydra composes from a command line, unchecked but for its names.

    Several threads may compose at once, also while an application of Hydra's runs in the process.

    Raises:
        ConfigError: A key, group or choice does not exist, or a file is wrong.
    """
    return composed(line)[0]


def composed(line: CommandLine) -> tuple[DictConfig, Origin]:
    """Return what Hydra composes from a command line, as ``compose``, and of what it is made."""
    with _ONE_AT_A_TIME:
        overrides = check(line)
    own = Path(line.options["--config-dir"]).absolute() if "--config-dir" in line.options else None
    if own is not None and not own.is_dir():
        raise ConfigError(f"--config-dir {own}: there is no such folder")
    return compose_words(overrides, [own] if own is not None else [])


def compose_words(overrides: Sequence[str], folders: Sequence[Path]) -> tuple[DictConfig, Origin]:
    """Return what Hydra composes from overrides and our and more folders, and of what it is made.

    Raises:
        ConfigError: A file is wrong, or a choice is in none of the folders.
    """
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from omegaconf import flag_override

    from snnrun.commands.hydra_setup import VERSION

    more = ", ".join(hydra_quoted(f"file://{folder}") for folder in folders if folder != conf_dir())
    words = [f"hydra.searchpath=[{more}]"] * bool(more) + [*overrides]
    with _ONE_AT_A_TIME:
        with (
            refused_in_our_words(),
            _outer_application_kept(),
            initialize_config_dir(str(conf_dir()), **VERSION),
        ):
            cfg = hydra_compose("config", words, return_hydra_config=True)
        origin = origin_of(cfg.hydra)
    with flag_override(cfg, ["struct", "readonly"], False):
        del cfg["hydra"]
    return cfg, origin


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


@contextmanager
def refused_in_our_words() -> Iterator[None]:
    """Make a ConfigError of what Hydra refuses, and of a file that is no YAML or no text."""
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError  # type: ignore[import-untyped]

    try:
        yield
    except SnnrunError:
        raise
    except (HydraException, OmegaConfBaseException, YAMLError) as error:
        raise ConfigError(in_our_words(error)) from error
    except ValueError as error:
        frames = traceback.extract_tb(error.__traceback__)
        if not any(frame.name == "load_configuration" for frame in frames):  # Hydra's
            raise
        what = "a file is no text in UTF-8: " if isinstance(error, UnicodeDecodeError) else ""
        raise ConfigError(f"the configuration cannot be read: {what}{error}") from error


def in_our_words(error: BaseException) -> str:
    """Return an error of Hydra's with its cause, or our own words where Hydra has none."""
    cause = f"\n{error.__cause__}" if error.__cause__ is not None else ""
    text = f"{error}{cause}".strip()
    beyond, groups = _NO_ENTRY.match(text), _NO_GROUPS.search(text)
    if beyond is not None:
        return (
            f"{beyond['override']}: the list that is chosen has no such entry; give it whole, as "
            f"in '{beyond['key']}=[...]', or choose a file that has this entry"
        )
    mixed = _NO_MERGE.search(text)
    if mixed is not None:
        return f"{mixed['file']}.yaml: a list stands where a mapping belongs, or the reverse"
    if groups is None:
        return text
    name = groups["file"].removeprefix("preset/")
    return (
        f"{groups['file']}.yaml: is taken for dataset={name} where no preset is given, and cannot "
        f"choose groups; leave out its line `override /{groups['group']}: ...` and give keys, or "
        "give the file another name"
    )
