"""The state of a search on disk: which trials there are, who works on which, how they went.

It is Optuna's journal, a file to which processes append; and beside it one small file for each
trial at work, which names the process. A trial whose process is dead is taken up by the next one.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from snnrun.config import differences
from snnrun.errors import ConfigError, RecordError
from snnrun.files import make_folders, one_at_a_time
from snnrun.record.owner import claim, running
from snnrun.record.paths import RunPaths
from snnrun.search.optuna import optuna
from snnrun.shell import setting
from snnrun.sweeps.asked import AskedJob, add_jobs

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

JOURNAL, WORKERS, STUDY = "search.journal", "search", "search"
DEFINITION = "definition"  # an attribute of the study
BEGUN, REASON, ENDED = "begun", "reason", "ended"  # attributes of trials


@dataclass(frozen=True)
class WorkerPaths(RunPaths):
    """The name of the file that says which process works on a trial; ``root`` holds all of them."""

    number: int = 0

    @property
    def pid(self) -> Path:  # type: ignore[override]
        """The file."""
        return self.root / f"trial{self.number:05d}.pid"

    def folders(self) -> tuple[Path, ...]:
        return (self.root,)


def is_search(folder: Path) -> bool:
    """Return whether a folder is that of a search."""
    return (folder / JOURNAL).is_file()


def read_study(folder: Path) -> Any:
    """Return Optuna's study of a folder, to be looked at.

    Raises:
        RecordError: There is none, or it cannot be read.
    """
    if not is_search(folder):
        raise RecordError(f"{folder}: is no folder of a search: it has no {JOURNAL}")
    with damaged(folder):
        return optuna(f"{folder / JOURNAL}").load_study(
            study_name=STUDY, storage=storage_of(folder)
        )


def storage_of(folder: Path) -> Any:
    """Return the journal of a folder as Optuna's storage; it is made if need be."""
    storages, path = optuna().storages, folder / JOURNAL
    lock = JournalLock(path, storages.journal.JournalFileOpenLock(str(path)))
    return storages.JournalStorage(storages.journal.JournalFileBackend(str(path), lock))


class JournalLock:
    """Lets one process at a time append to a journal; one that is killed holds no lock.

    Optuna's own locks are files, which stay for half a minute when that happens.

    Args:
        path: The journal.
        other: Is used where the file system has no locks.
    """

    def __init__(self, path: Path, other: Any) -> None:
        self._path, self._other = path, other
        self._descriptor: int | None = None

    def acquire(self) -> bool:
        """Wait for the lock."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            if fcntl is None:
                raise OSError("no locks")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError:
            os.close(descriptor)
            return bool(self._other.acquire())
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        """Give it back."""
        if self._descriptor is None:
            self._other.release()
        else:
            os.close(self._descriptor)
            self._descriptor = None


@contextmanager
def damaged(folder: Path) -> Iterator[None]:
    """Say it where a journal cannot be read."""
    try:
        yield
    except (ValueError, KeyError) as error:
        raise RecordError(
            f"{folder / JOURNAL}: cannot be read ({error}); a line of it may be damaged. The runs "
            "beside it are whole: snnrun runs lists them"
        ) from error


def _require_same(there: Mapping[str, Any], now: Mapping[str, Any], folder: Path) -> None:
    """Refuse to go on with a search that was defined otherwise.

    Raises:
        ConfigError: With what differs.
    """
    found = differences(there, json.loads(json.dumps(now)))
    if found:
        lines = [
            f"{folder}: holds another search already:",
            *(f"  {name}: {difference}" for name, difference in found.items()),
            "Go on with it as it is there, or choose another folder: "
            + setting("hydra.sweep.dir", "FOLDER"),
        ]
        raise ConfigError("\n".join(lines))


@dataclass(frozen=True, kw_only=True)
class Book:
    """The trials of a search that is at work: they are taken from here, and entered.

    Args:
        folder: Of the sweep.
        definition: Key -> value of what may not change when the search goes on.
        directions: Optuna's words, one for each objective.
        distributions: Name -> what it is drawn from.
        sampler: Returns a sampler of a seed.
        seed: Of the search.
        pruner: Optuna's, or None.
        n_trials: Trials in all.
        grid: What to try, if that is known.
    """

    folder: Path
    definition: Mapping[str, Any]
    directions: Sequence[str]
    distributions: Mapping[str, Any]
    sampler: Callable[[int], Any]
    seed: int
    pruner: Any
    n_trials: int
    grid: Sequence[Mapping[str, Any]] = ()

    @cached_property
    def storage(self) -> Any:
        """The journal."""
        return storage_of(self.folder)

    @cached_property
    def study(self) -> Any:
        """Optuna's study, made if it is not there.

        Raises:
            ConfigError: The folder holds another search.
        """
        with damaged(self.folder), one_at_a_time(self.folder):
            make_folders(self.folder / WORKERS)
            study = optuna().create_study(
                storage=self.storage,
                study_name=STUDY,
                directions=list(self.directions),
                sampler=_sampler_per_trial(self.sampler, self.seed),
                pruner=self.pruner or optuna().pruners.NopPruner(),
                load_if_exists=True,
            )
            there = study.user_attrs.get(DEFINITION)
            if there is not None:
                _require_same(there, self.definition, self.folder)
                return study
            rows = list(self.grid)
            random.Random(self.seed).shuffle(rows)  # any part of it is a fair one
            for row in rows:
                study.enqueue_trial(dict(row), skip_if_exists=True)
            study.set_user_attr(DEFINITION, dict(self.definition))
            return study

    @contextmanager
    def next_trial(self) -> Iterator[Any]:
        """Give a trial to work on, Optuna's frozen one; None where nothing is left to begin.

        It is one that a dead process has left, or a new one. No other process is given it as long
        as the block lasts.
        """
        _ = self.study  # is made behind the same lock
        with ExitStack() as stack:
            with damaged(self.folder), one_at_a_time(self.folder):
                number = self._taken_up(stack)
                if number is None:
                    number = self._begun(stack)
            yield None if number is None else self.trial(number)

    def is_done(self) -> bool:
        """Return whether all trials have ended."""
        trials = self.study.get_trials(deepcopy=False)
        return not self._more() and all(trial.state.name != "RUNNING" for trial in trials)

    def trial(self, number: int) -> Any:
        """Return a trial as it is now."""
        return self.storage.get_trial(self.id_of(number))

    def id_of(self, number: int) -> int:
        """Return by which number the storage knows a trial."""
        study = self.storage.get_study_id_from_name(STUDY)
        return int(self.storage.get_trial_id_from_study_id_trial_number(study, number))

    def begin_run(self, number: int, place: int, job: AskedJob) -> None:
        """Write to the folder that a run of a trial begins, unless it was written before.

        Args:
            number: Of the trial.
            place: Of the run among those of the trial.
            job: The run.
        """
        if self.trial(number).user_attrs.get(BEGUN, 0) <= place:
            add_jobs(self.folder, [job])
            self.storage.set_trial_user_attr(self.id_of(number), BEGUN, place + 1)

    def report(self, number: int, step: int, value: float) -> bool:
        """Enter a value of a running trial, and return whether it is to be ended.

        A trial that was taken up again repeats steps: these are neither entered nor judged anew.
        """
        trial = self.trial(number)
        if trial.last_step is None or step > trial.last_step:
            self.storage.set_trial_intermediate_value(self.id_of(number), step, value)
            trial = self.trial(number)
        return step == trial.last_step and bool(self.study.pruner.prune(self.study, trial))

    def tell(
        self,
        number: int,
        state: str,
        values: Sequence[float] | None = None,
        about: Mapping[str, str] | None = None,
    ) -> None:
        """Enter how a trial ended.

        Args:
            number: Of the trial.
            state: COMPLETE, PRUNED or FAIL.
            values: Of the objectives, of one that is complete.
            about: Attributes of the trial.
        """
        for name, value in (about or {}).items():
            self.storage.set_trial_user_attr(self.id_of(number), name, value)
        kind = optuna().trial.TrialState[state]
        self.study.tell(number, values=values, state=kind, skip_if_finished=True)

    def _taken_up(self, stack: ExitStack) -> int | None:
        states = optuna().trial.TrialState
        for trial in self.study.get_trials(deepcopy=False, states=(states.RUNNING,)):
            if not running(self._worker(trial.number)) and self._claimed(trial.number, stack):
                return int(trial.number)
        return None

    def _begun(self, stack: ExitStack) -> int | None:
        if not self._more():
            return None
        number = int(self.study.ask(dict(self.distributions)).number)
        return number if self._claimed(number, stack) else None

    def _more(self) -> bool:
        """Return whether a further trial may begin."""
        trials = self.study.get_trials(deepcopy=False)
        waiting = sum(trial.state.name == "WAITING" for trial in trials)
        return len(trials) - waiting < self.n_trials and (waiting > 0 or not self.grid)

    def _claimed(self, number: int, stack: ExitStack) -> bool:
        try:
            stack.enter_context(claim(self._worker(number)))
        except RecordError:  # where there are no locks another process may have been faster
            return False
        return True

    def _worker(self, number: int) -> WorkerPaths:
        return WorkerPaths(self.folder / WORKERS, number)


def _sampler_per_trial(make: Callable[[int], Any], seed: int) -> Any:
    """Return a sampler that draws each trial from a new one, seeded by the trial's number too.

    What is suggested then follows from the trials before and the seed alone: it is the same after
    a kill, and processes that search together do not suggest the same.
    """
    samplers: dict[int, Any] = {}

    def of(trial: Any) -> Any:
        if trial.number not in samplers:
            samplers.clear()
            samplers[trial.number] = make(random.Random(f"{seed} {trial.number}").getrandbits(31))
        return samplers[trial.number]

    class PerTrial(optuna().samplers.BaseSampler):  # type: ignore[misc]
        def infer_relative_search_space(self, study: Any, trial: Any) -> Any:
            return of(trial).infer_relative_search_space(study, trial)

        def sample_relative(self, study: Any, trial: Any, space: Any) -> Any:
            return of(trial).sample_relative(study, trial, space)

        def sample_independent(self, study: Any, trial: Any, name: str, distribution: Any) -> Any:
            return of(trial).sample_independent(study, trial, name, distribution)

        def before_trial(self, study: Any, trial: Any) -> None:
            of(trial).before_trial(study, trial)

        def after_trial(self, study: Any, trial: Any, state: Any, values: Any) -> None:
            of(trial).after_trial(study, trial, state, values)

    return PerTrial()
