"""`snnrun compile`: generate and build a network's program without running it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snnrun.commands.hydra_app import carry_out, run_hydra, save_composed
from snnrun.config import Config
from snnrun.errors import ConfigError
from snnrun.presets import Setting

if TYPE_CHECKING:
    from omegaconf import DictConfig

HELP = """\
usage: snnrun compile [KEY=VALUE ...] [GROUP=CHOICE ...] [options]

Derives the network's forward and backward pass, writes the generated code to a folder below
outputs/compile/, and builds it into the cache, where `snnrun train` finds it. Takes the same keys,
groups and options as `snnrun train`.

examples:
  snnrun compile
  snnrun compile dataset=shd network=recurrent HIDDEN_NEURON_TYPE=ALIF
  snnrun compile backend.compiler=clang++ 'backend.flags=[-O2]'
"""

SETTINGS = (
    "hydra.run.dir='${home:${OUT_DIR}}/outputs/compile/${now:%Y-%m-%d}/${now:%H-%M-%S-%f}'",
)


def help_text() -> str:
    """Return what `snnrun compile --help` prints."""
    return HELP


def run(arguments: Sequence[str]) -> int:
    """Carry out `snnrun compile`."""
    return run_hydra(task, arguments, SETTINGS)


def task(cfg: DictConfig) -> Any:
    """Build the program of one configuration."""
    return carry_out(cfg, partial(_compile, cfg))


def _compile(cfg: DictConfig, config: Config, folder: Path, setting: Setting) -> Any:
    from snnrun.run import compile_only

    if not config.WRITE_TO_DISK:
        raise ConfigError("WRITE_TO_DISK=false: snnrun compile is there to write the code")
    save_composed(cfg, folder, config.MODEL_SEED)
    return compile_only(config, folder)
