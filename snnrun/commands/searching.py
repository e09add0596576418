"""A multirun with ``sweep=optuna``: what Hydra composes of it, and the runs of its trials."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobStatus, run_job
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict

from snnrun.commands.application import Application
from snnrun.commands.compose import Origin, compose_words, settled
from snnrun.commands.jobs import numbers_name_folders
from snnrun.commands.multirun import HERE, Multirun
from snnrun.commands.result import again
from snnrun.commands.train import train_job
from snnrun.compile.program import task_of
from snnrun.config import Config, flat, validate
from snnrun.errors import ConfigError
from snnrun.network.build import find_loss
from snnrun.record.paths import MULTIRUN
from snnrun.search import processes, report
from snnrun.search.methods import pruner_of, sampler_of
from snnrun.search.objective import objectives_of
from snnrun.search.optuna import optuna
from snnrun.search.progress import showing
from snnrun.search.settings import CHOICE, GROUP, USUAL_TRIALS, Settings, settings_of
from snnrun.search.space import Space, space_of
from snnrun.search.study import Book
from snnrun.search.trials import Outcome, Watch, Worker
from snnrun.shell import command
from snnrun.sweeps.asked import Asked, read_asked, write_asked
from snnrun.sweeps.settings import fold
from snnrun.sweeps.sweep import read_sweep

OURS = f"{GROUP}={CHOICE}"
SEED, FIRST_SEED = "MODEL_SEED", 1


@dataclass(frozen=True, kw_only=True)
class Launcher:
    """Trains the runs of trials in this process, as Hydra's own launcher runs its jobs.

    Args:
        context, task, config: What Hydra gives a sweeper.
        search: The words of the search itself, with which Hydra composes each job; a run is not
            told of them.
    """

    context: Any
    task: Application
    config: DictConfig
    search: Sequence[str]

    def __call__(self, words: Sequence[str], index: int, watch: Watch | None) -> Outcome:
        """Train one run; see snnrun.search.trials.Launch."""
        loader = self.context.config_loader
        composed = loader.load_sweep_config(self.config, [*self.search, *words])
        with open_dict(composed):
            del composed[GROUP]
            composed.hydra.overrides.task = list(words)
            composed.hydra.runtime.choices[GROUP] = None
            composed.hydra.job.id, composed.hydra.job.num = str(index), index
            composed.hydra.mode = RunMode.MULTIRUN
        done = run_job(
            hydra_context=self.context,
            task_function=replace(self.task, work=partial(train_job, watch=watch)),
            config=composed,
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
        )
        own: Any = done.hydra_cfg
        folder = Path(own.hydra.runtime.output_dir)
        if done.status == JobStatus.FAILED:  # the public name of the value prints it as well
            return Outcome(folder=folder, error=done._return_value)
        return Outcome(folder=folder)


def search(words: Sequence[str], *, context: Any, task: Any, config: DictConfig) -> None:
    """Carry out a search.

    Args:
        words: Overrides, with what is searched.
        context, task, config: What Hydra gives a sweeper.

    Raises:
        ConfigError: The search cannot be as it is asked for.
        SystemExit: A stop was asked for.
    """
    if not isinstance(task, Application) or task.name != "train":
        raise ConfigError(f"{OURS}: is for snnrun train")
    if not str(config.hydra.launcher.get("_target_", "")).endswith(HERE):
        raise ConfigError(
            f"{OURS}: starts its own processes (sweep.n_jobs), and takes no hydra/launcher. On a "
            "cluster, start the same command in several jobs with the same hydra.sweep.dir: they "
            "search together"
        )
    if config.hydra.sweeper.get("max_batch_size"):
        raise ConfigError(
            "hydra.sweeper.max_batch_size: a search has no batches; sweep.n_jobs is how many "
            "trials run at the same time"
        )
    optuna(OURS)
    given: Any = OmegaConf.to_container(config[GROUP], resolve=True)
    settings = settings_of(given)
    own = [word for word in words if _is_of_the_search(word)]
    parser = OverridesParser.create(config_loader=context.config_loader)
    parsed = parser.parse_overrides([word for word in words if word not in own])
    space = space_of(parsed, settings.sampler)
    example, seed = _example(space, config)
    space = replace(space, fixed=tuple(w for w in space.fixed if not w.startswith(f"{SEED}=")))
    launcher = Launcher(context=context, task=task, config=config, search=own)
    worker = _worker(settings, space, example, seed, launcher)
    folder = worker.book.folder
    _begin(worker, config)
    if processes.is_one_of_several():
        processes.stop_with_parent()
        worker.work()
        return
    with showing(folder, worker.book.n_trials) as shown:
        if settings.n_jobs > 1:
            processes.search(worker.book, settings.n_jobs, shown)
        else:
            worker.ended = shown
            worker.work()
    print("\n".join(_end(folder)), flush=True)


def _end(folder: Path) -> list[str]:
    """Return how a search went: the best trial and its command, and the importance of keys.

    Raises:
        ConfigError: No trial has a value.
    """
    found = report.read_search(folder)
    if not found.best and (failed := [trial for trial in found.trials if trial.reason]):
        raise ConfigError(
            f"no trial has a value; of {len(found.trials)} the first ended so: {failed[0].reason}"
        )
    lines = ["", *report.summary(found)]
    if len(found.best) == 1:
        sweep = read_sweep(folder)
        numbers = found.best[0].jobs
        settings = [s for s in fold(sweep.jobs) if any(job.number in numbers for job in s.jobs)]
        lines += [f"  {again(sweep, setting)}" for setting in settings[:1]]
    further = [command("sweep", "history", folder), command("plot", folder)]
    return [*lines, "", *report.importance(found), "", f"more: {further[0]}", f"      {further[1]}"]


def _is_of_the_search(word: str) -> bool:
    return word.lstrip("+~").startswith((f"{GROUP}=", f"{GROUP}."))


def _example(space: Space, config: DictConfig) -> tuple[Config, int]:
    """Return the checked configuration of one trial, and the seed of the first run of all.

    Raises:
        ConfigError: Neither the least values of all keys nor the largest can be trained with.
    """
    sources = config.hydra.runtime.config_sources
    folders = [Path(source.path) for source in sources if source.schema == "file"]
    problem: ConfigError | None = None
    for place in (0, -1):
        ends = {d.name: d.ends()[place] for d in space.dimensions}
        try:
            cfg = compose_words(
                [*space.fixed, *space.overrides(ends)], folders, name=config.hydra.job.config_name
            )
            own = settled(cfg, Origin.of(cfg.hydra))[0]
            return validate(own), FIRST_SEED if own.get(SEED) is None else int(own[SEED])
        except ConfigError as error:
            problem = problem or error
    assert problem is not None
    raise problem


def _worker(
    settings: Settings, space: Space, example: Config, seed: int, launcher: Launcher
) -> Worker:
    """Return who works on the trials.

    Args:
        settings: Of the search.
        space: What is searched.
        example: The configuration of one trial.
        seed: MODEL_SEED of the first run of each trial.
        launcher: Trains the runs.

    Raises:
        ConfigError: The settings do not go with the runs.
    """
    if not example.WRITE_TO_DISK:
        raise ConfigError("WRITE_TO_DISK=false: a search reads what its runs have written")
    task = task_of(find_loss(example))
    objectives = objectives_of(settings.objective, settings.prunes, example, task)
    most = [int(d.highest) for d in space.dimensions if d.name == "N_EPOCH"]
    n_epoch = max([example.N_EPOCH, *most])
    steps = n_epoch * settings.seeds
    if settings.prunes and settings.min_epochs >= steps:
        raise ConfigError(
            f"sweep.min_epochs={settings.min_epochs}: must be less than the {steps} epochs of a "
            f"trial, or sweep.pruner={settings.pruner} ends none"
        )
    grid = space.grid() if settings.sampler == "grid" else []
    book = Book(
        folder=Path(launcher.config.hydra.sweep.dir).absolute(),
        definition=_definition(settings, space, launcher.config),
        directions=[objective.direction for objective in objectives],
        distributions=space.distributions(),
        sampler=sampler_of(settings),
        seed=settings.seed,
        pruner=pruner_of(settings, steps),
        n_trials=settings.n_trials or len(grid) or USUAL_TRIALS,
        grid=grid,
    )
    return Worker(
        book=book,
        settings=settings,
        space=space,
        objectives=objectives,
        n_epoch=n_epoch,
        launch=launcher,
        first_seed=seed,
        numbered=numbers_name_folders(launcher.config),
    )


def _definition(settings: Settings, space: Space, config: DictConfig) -> dict[str, Any]:
    """Return what may not change when a search goes on."""
    kept = ("sampler", "seed", "seeds", "startup_trials", "objective", "pruner", "min_epochs")
    return {
        **_values(config),
        **{f"{GROUP}.{name}": getattr(settings, name) for name in kept},
        **{dimension.name: str(dimension) for dimension in space.dimensions},
    }


def _values(config: DictConfig) -> dict[str, Any]:
    """Return key -> value of what all runs have."""
    kept = [str(key) for key in config if key not in ("hydra", GROUP)]
    return flat(OmegaConf.masked_copy(config, kept))


def _begin(worker: Worker, config: DictConfig) -> None:
    """Write to the folder what is searched, and begin the study or go on with it."""
    folder = worker.book.folder
    folder.mkdir(parents=True, exist_ok=True)
    _ = worker.book.study
    if processes.is_one_of_several():
        return
    OmegaConf.save(config, folder / MULTIRUN)
    name, words = Multirun.given
    asked = Asked(command=name, words=words, base=worker.space.fixed, config=_values(config))
    if asked.words not in [one.words for one in read_asked(folder)]:
        write_asked(folder, asked)
