"""`snnrun gradcheck`: are the derived gradients right?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snnrun.commands.hydra_app import NOWHERE, carry_out, run_hydra
from snnrun.config import Config
from snnrun.errors import NumericalError
from snnrun.presets import Setting

if TYPE_CHECKING:
    from omegaconf import DictConfig

HELP = """\
usage: snnrun gradcheck [KEY=VALUE ...] [GROUP=CHOICE ...] [options]

Compares the gradients that the learning rule gives for a network and loss with finite differences;
the exit code is 0 if they agree. Writes no run folder. Takes the same keys, groups and options as
`snnrun train`.

examples:
  snnrun gradcheck
  snnrun gradcheck dataset=shd network=recurrent HIDDEN_NEURON_TYPE=ALIF
  snnrun gradcheck LOSS_TYPE=mylab.losses.margin
"""

# Hydra makes a run folder before it asks; the folder that is there already will do.
SETTINGS = ("hydra.run.dir=.", *NOWHERE)


def help_text() -> str:
    """Return what `snnrun gradcheck --help` prints."""
    return HELP


def run(arguments: Sequence[str]) -> int:
    """Carry out `snnrun gradcheck`."""
    return run_hydra(task, arguments, SETTINGS)


def task(cfg: DictConfig) -> Any:
    """Check the gradients of one configuration."""
    return carry_out(cfg, _gradcheck)


def _gradcheck(config: Config, folder: Path, setting: Setting) -> None:
    from snnrun.run import gradcheck

    if not gradcheck(config):
        raise NumericalError("the gradients and the finite differences above do not agree")
