"""`snnrun train`: compose a configuration, train, record."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snnrun.commands.arguments import CommandLine, describe_groups, split
from snnrun.commands.hydra_app import NOWHERE, PRINTING, carry_out, run_hydra
from snnrun.config import Config
from snnrun.presets import Setting

if TYPE_CHECKING:
    from omegaconf import DictConfig

HELP = """\
usage: snnrun train [KEY=VALUE ...] [GROUP=CHOICE ...] [options]

Trains a spiking network and writes a run folder outputs/<date>/<time>/ with its metrics,
checkpoints and what REC_* keys ask for. Ctrl-C writes a checkpoint first, and
`snnrun resume` goes on from it, or the same command in the same folder (hydra.run.dir=FOLDER,
--multirun with hydra.sweep.dir=FOLDER).

examples:
  snnrun train                                         Yin-Yang with its recommended setting
  snnrun train dataset=mnist preset=none               MNIST with the values of its table
  snnrun train preset=yinyang_wp2021                   a published result, data set included
  snnrun train dataset=shd network=recurrent LOSS_TYPE=sum N_BATCH=64
  snnrun train dataset=mnist dataset.path=/data/mnist N_TRAIN=null
  snnrun train record=spikes backend.threads=2 MODEL_SEED=1
  snnrun train --multirun MODEL_SEED=1,2,3 ETA=1e-3,5e-3
  snnrun train HIDDEN_NEURON_TYPE=mylab.neurons.alif2 --config-dir my_conf preset=mine

groups and their choices:
{groups}

keys: `snnrun keys` explains them all, `snnrun keys ETA` one, `snnrun keys 'REC_*'` some.
Values with brackets or spaces need quotes: 'REC_SPIKES=[hidden]' 'N_TRAIN="100 mini-batches"'

options:
  -m, --multirun         one run for each combination of comma-separated values
  --cfg job              print the composed configuration instead of running
  --config-dir FOLDER    a folder with your own dataset/, preset/, ... files
  --info                 where the configuration comes from
  --hydra-help           more of Hydra's options
SNNRUN_TRACEBACK=1 shows the traceback of an error.
"""


def help_text() -> str:
    """Return what `snnrun train --help` prints."""
    return HELP.format(groups=describe_groups())


def run(arguments: Sequence[str]) -> int:
    """Carry out `snnrun train`."""
    with no_run_folder(split(arguments)) as settings:
        return run_hydra(task, arguments, settings)


def task(cfg: DictConfig) -> Any:
    """Carry out one training run; what it returns is what sweepers optimise."""
    return carry_out(cfg, partial(_train, cfg))


@contextmanager
def no_run_folder(line: CommandLine) -> Iterator[Sequence[str]]:
    """Give settings that keep Hydra from making a run folder, if WRITE_TO_DISK=false is given.

    Where a file says so, ``carry_out`` removes the folder of the run.
    """
    given = [word.partition("=")[2] for word in line.overrides if word.startswith("WRITE_TO_DISK=")]
    if not given or given[-1].lower() != "false" or line.options.keys() & set(PRINTING):
        yield ()
    elif "--multirun" in line.options:
        from snnrun.commands.typed import as_typed

        with tempfile.TemporaryDirectory(prefix="snnrun-") as folder:
            yield (*NOWHERE, as_typed(f"hydra.sweep.dir={folder}"))
    else:
        yield (*NOWHERE, "hydra.run.dir=.")


def _train(cfg: DictConfig, config: Config, folder: Path, setting: Setting) -> Any:
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    from snnrun.commands import again
    from snnrun.commands.finished import nothing_left
    from snnrun.interruption import Interrupted
    from snnrun.record.owner import claim
    from snnrun.record.paths import RunPaths
    from snnrun.run import train
    from snnrun.stop import stop_requests

    try:
        if not config.WRITE_TO_DISK:
            return train(config, folder, setting=setting)
        # a launcher's handler puts the job back into the queue: the folder must be free by then
        with stop_requests(), claim(RunPaths(folder)):
            config, resume = again.begin(cfg, config, folder)
            if resume and (told := nothing_left(config, folder)):
                print(told, flush=True)
                return again.score(folder, config)
            return train(config, folder, resume=resume, setting=setting)
    except Interrupted as stopped:
        if HydraConfig.get().mode != RunMode.MULTIRUN or not stopped.time_is_up:
            raise
        return stopped.score  # TIME_LIMIT is of one run, and the others go on
