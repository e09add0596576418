"""`snnrun train`: compose a configuration, train, record."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snnrun import slurm
from snnrun.commands.choices import describe_groups

if TYPE_CHECKING:
    from snnrun.commands.application import Application, Job
    from snnrun.training.early import OnEpoch

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
  snnrun train sweep=optuna 'ETA=interval(1e-4,1e-2)' NUM_HIDDEN=64,128
  snnrun train HIDDEN_NEURON_TYPE=mylab.neurons.alif2 --config-dir my_conf preset=mine

groups and their choices:
{groups}

keys: `snnrun keys` explains them all, `snnrun keys ETA` one, `snnrun keys 'REC_*'` some.
Values with brackets or spaces need quotes: 'REC_SPIKES=[hidden]' 'N_TRAIN="100 mini-batches"'

options:
  -m, --multirun         one run for each combination of comma-separated values
  sweep=optuna           a search: Optuna chooses which values to try next (docs/search.md)
  --cfg job              print the composed configuration instead of running
  --config-dir FOLDER    a folder with your own dataset/, preset/, ... files
  --info                 where the configuration comes from
  --hydra-help           more of Hydra's options
SNNRUN_TRACEBACK=1 shows the traceback of an error.
"""


def help_text() -> str:
    return HELP.format(groups=describe_groups())


def run(arguments: Sequence[str]) -> int:
    return application().run(arguments)


def application() -> Application:
    """Return the command as Hydra runs it."""
    from snnrun.commands.application import Application

    return Application(name="train", work=train_job)


def train_job(job: Job, *, watch: Callable[[Path], OnEpoch] | None = None) -> Any:
    """Train in the folder of a job, from its checkpoint if there is one.

    Args:
        job: What to train.
        watch: Given the run folder, returns what is called after each epoch.

    Returns what a sweep optimises.
    """
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    from snnrun.commands import again
    from snnrun.commands.saved_run import nothing_left
    from snnrun.interruption import Interrupted
    from snnrun.record.owner import claim
    from snnrun.record.paths import RunPaths
    from snnrun.run import train
    from snnrun.stop import stop_requests

    folder, alone = job.folder, HydraConfig.get().mode != RunMode.MULTIRUN
    try:
        if not job.config.WRITE_TO_DISK:
            return train(job.config, folder, setting=job.setting)
        # a launcher's handler puts the job back into the queue: the folder must be free by then
        with stop_requests(), claim(RunPaths(folder)):
            config, resume = again.begin(job)
            if resume and (told := nothing_left(config, folder)):
                if alone:
                    print(told, flush=True)
                return again.score(folder, config)
            on_epoch = watch(folder) if watch else None
            return train(
                config,
                folder,
                resume=resume,
                setting=job.setting,
                progress=alone,
                on_epoch=on_epoch,
            )
    except Interrupted as stopped:
        slurm.requeue_if_preempted()
        if alone or not stopped.time_is_up:
            raise
        return stopped.score  # TIME_LIMIT is of one run, and the others go on
