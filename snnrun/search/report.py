"""What is said of a search: a line for each trial, the history, importance of keys, the best."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from snnrun.numbers import csv_text, percent, table
from snnrun.record.ending import PRUNED
from snnrun.search.objective import Objective
from snnrun.search.optuna import optuna
from snnrun.search.settings import GROUP
from snnrun.search.study import DEFINITION, ENDED, REASON, read_study
from snnrun.sweeps.sweep import Job, read_sweep

FEWEST = 4  # trials with a value from which on keys are ranked
BEST = "*"
STATES = {"COMPLETE": "finished", "PRUNED": PRUNED, "FAIL": "failed", "RUNNING": "begun"}


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A trial as it stands.

    Args:
        number: From 0.
        state: finished, pruned, exploded, failed, begun (at work, or to be gone on with), waiting.
        parameters: Key -> value.
        values: Of the objectives: means over its runs; empty without them.
        reason: Why it has none.
        epochs: That its runs have trained, and that they would train in all.
        jobs: Numbers of its runs.
    """

    number: int
    state: str
    parameters: Mapping[str, Any]
    values: tuple[float, ...]
    reason: str
    epochs: tuple[int, int]
    jobs: range


@dataclass(frozen=True, kw_only=True)
class Report:
    """A search as it stands. Made by ``read_search``."""

    folder: Path
    study: Any
    objectives: tuple[Objective, ...]
    trials: tuple[Trial, ...]

    @property
    def names(self) -> list[str]:
        """The keys that are searched."""
        return list(dict.fromkeys(name for trial in self.trials for name in trial.parameters))

    @cached_property
    def best(self) -> tuple[Trial, ...]:
        """The best trial; of several objectives all trials that none beats in everything."""
        done = [trial for trial in self.trials if trial.values]
        if len(self.objectives) > 1:
            return tuple(one for one in done if not any(self._beats(two, one) for two in done))
        best: Trial | None = None
        for trial in done:
            if best is None or self.objectives[0].better(trial.values[0], best.values[0]):
                best = trial
        return () if best is None else (best,)

    def best_so_far(self) -> np.ndarray:
        """Return the best value of the first objective up to each trial, NaN before there is one.

        float64 [trials].
        """
        column = [trial.values[0] if trial.values else np.nan for trial in self.trials]
        best = self.objectives[0].best(np.array(column, float))
        return np.where(np.isfinite(best), best, np.nan)

    def importance(self) -> list[Mapping[str, float]]:
        """Return for each objective key -> share of its importance, the largest first.

        By PED-ANOVA (Watanabe et al., 2023): how much the values of a key differ between the best
        trials and all. Empty where there are too few trials.
        """
        if sum(bool(trial.values) for trial in self.trials) < FEWEST or len(self.names) < 2:
            return [{} for _ in self._places]
        find = optuna().importance.get_param_importances
        if len(self.objectives) == 1:
            return [find(self.study)]
        with warnings.catch_warnings():  # it says which targets are good ones: low values
            warnings.simplefilter("ignore")
            return [find(self.study, target=self._lower_is_better(k)) for k in self._places]

    @property
    def _places(self) -> range:
        return range(len(self.objectives))

    def _lower_is_better(self, place: int) -> Callable[[Any], float]:
        sign = -1.0 if self.objectives[place].maximise else 1.0
        return lambda trial: sign * trial.values[place]

    def _beats(self, one: Trial, other: Trial) -> bool:
        """Return whether a trial is at least as good in all, and better in one."""
        pairs = list(zip(self.objectives, one.values, other.values, strict=True))
        return not any(objective.better(b, a) for objective, a, b in pairs) and any(
            objective.better(a, b) for objective, a, b in pairs
        )


def read_search(folder: Path) -> Report:
    """Return how the search in a folder stands; also while it runs.

    Raises:
        RecordError: There is none, or its files cannot be read.
        ConfigError: Optuna is not installed.
    """
    return report_of(folder, read_study(folder), read_sweep(folder).jobs)


def report_of(folder: Path, study: Any, found: Sequence[Job] = ()) -> Report:
    """Return how a search stands by Optuna's study; without its jobs no epochs are counted."""
    definition = study.user_attrs.get(DEFINITION, {})
    seeds = int(definition.get(f"{GROUP}.seeds", 1))
    names = definition.get(f"{GROUP}.objective", ())
    jobs = {job.number: job for job in found}
    trials = tuple(
        _trial(trial, [jobs[n] for n in _numbers(trial.number, seeds) if n in jobs], seeds)
        for trial in study.get_trials(deepcopy=False)
    )
    objectives = tuple(Objective(name=name) for name in names)
    return Report(folder=folder, study=study, objectives=objectives, trials=trials)


def _numbers(trial: int, seeds: int) -> range:
    return range(trial * seeds, (trial + 1) * seeds)


def _trial(found: Any, jobs: Sequence[Job], seeds: int) -> Trial:
    state = found.state.name
    complete = state == "COMPLETE"
    whole = seeds * max((job.n_epochs for job in jobs), default=0)
    return Trial(
        number=found.number,
        state=found.user_attrs.get(ENDED) or STATES.get(state, "waiting"),
        parameters=found.params or found.system_attrs.get("fixed_params", {}),
        values=tuple(found.values) if complete else (),
        reason=found.user_attrs.get(REASON, ""),
        epochs=(sum(job.epochs for job in jobs), whole),
        jobs=_numbers(found.number, seeds),
    )


def history(report: Report) -> list[str]:
    """Return the trials as a table, the best marked."""
    best = {trial.number for trial in report.best}
    heading = ["trial", *(o.name for o in report.objectives), "", "state", "epochs", *report.names]
    rows = [heading]
    for trial in report.trials:
        values = [told_value(v) for v in trial.values] or ["-"] * len(report.objectives)
        mark = BEST if trial.number in best else ""
        epochs = f"{trial.epochs[0]}/{trial.epochs[1]}" if trial.epochs[1] else "-"
        keys = [_parameter(trial.parameters.get(name)) for name in report.names]
        rows.append([str(trial.number), *values, mark, trial.state, epochs, *keys])
    at = 1 + len(report.objectives)
    return table(rows, (at, at + 1))


def as_objects(report: Report) -> list[dict[str, Any]]:
    """Return each trial with all digits, for JSON and CSV; null where there is no value."""
    return [
        {
            "trial": trial.number,
            "state": trial.state,
            **{
                objective.name: trial.values[place] if trial.values else None
                for place, objective in enumerate(report.objectives)
            },
            "best": trial in report.best,
            "epochs": trial.epochs[0],
            "of_epochs": trial.epochs[1],
            **{name: trial.parameters.get(name) for name in report.names},
            "reason": trial.reason,
        }
        for trial in report.trials
    ]


def as_csv(report: Report) -> str:
    """Return the same as CSV."""
    return csv_text(as_objects(report))


def importance(report: Report) -> list[str]:
    """Return how much each key matters, as a table."""
    shares = report.importance()
    if not any(shares):
        return [
            f"importance of keys: needs {FEWEST} finished trials and two keys"
            if len(report.names) > 1
            else "importance of keys: there is only one"
        ]
    heading = ["key", *(f"importance for {o.name}" for o in report.objectives)]
    names = list(shares[0]) or report.names
    rows = [[name, *(percent(share.get(name, 0.0)) for share in shares)] for name in names]
    return table([heading, *rows], (0,))


def summary(report: Report) -> list[str]:
    """Return in a few lines how a search stands: counts, epochs saved, the best trials."""
    states = [trial.state for trial in report.trials]
    counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    lines = [f"search: {len(report.trials)} trials: {counts}"]
    ended = [trial for trial in report.trials if trial.state == PRUNED]
    if ended:
        left = sum(trial.epochs[1] - trial.epochs[0] for trial in ended)
        whole = sum(trial.epochs[1] for trial in report.trials)
        lines.append(f"pruning saved {left} of {whole} epochs ({percent(left / max(whole, 1))})")
    if len(report.objectives) > 1 and report.best:
        names = [objective.name for objective in report.objectives]
        rows = [["trial", *names, *report.names]]
        for trial in sorted(report.best, key=lambda trial: trial.values):
            keys = [_parameter(trial.parameters.get(name)) for name in report.names]
            rows.append([str(trial.number), *map(told_value, trial.values), *keys])
        lines += ["trials that none beats in everything:", *table(rows)]
    elif report.best:
        (best,) = report.best
        lines.append(f"best: trial {best.number}, {told_values(report, best)}: {words_of(best)}")
    return lines


def told_values(report: Report, trial: Trial) -> str:
    """Return the objectives and the values of a trial."""
    pairs = zip(report.objectives, trial.values, strict=True)
    return ", ".join(f"{objective.name} {told_value(value)}" for objective, value in pairs)


def words_of(trial: Trial) -> str:
    """Return the keys of a trial as KEY=VALUE, shortened."""
    return " ".join(f"{name}={_parameter(value)}" for name, value in trial.parameters.items())


def told_value(number: float) -> str:
    """Return the value of an objective as text."""
    return f"{number:.4f}" if 0.01 <= abs(number) < 1000 else f"{number:.4g}"


def _parameter(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
