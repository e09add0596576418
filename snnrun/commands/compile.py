"""`snnrun compile`: generate and build a network's program without running it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from snnrun.errors import ConfigError

if TYPE_CHECKING:
    from snnrun.commands.application import Job

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


def run(arguments: Sequence[str]) -> int:
    from snnrun.commands.application import Application

    return Application(name="compile", work=_compile, settings=SETTINGS).run(arguments)


def _compile(job: Job) -> Any:
    from snnrun.commands.application import save
    from snnrun.run import compile_only

    if not job.config.WRITE_TO_DISK:
        raise ConfigError("WRITE_TO_DISK=false: snnrun compile is there to write the code")
    save(job.cfg, job.folder, job.config.MODEL_SEED)
    return compile_only(job.config, job.folder)
