"""The keys ``sweep.*`` of a search: conf/sweep/optuna.yaml has their defaults."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from snnrun.config import listed
from snnrun.errors import ConfigError, did_you_mean
from snnrun.keys.files import options_of
from snnrun.keys.key import Key
from snnrun.keys.kinds import INT, TEXT, Kind

GROUP, CHOICE = "sweep", "optuna"
SECTION = "search (sweep=optuna)"
SAMPLERS = ("tpe", "random", "grid", "cmaes")
NO_PRUNER = "none"
PRUNERS = (NO_PRUNER, "median", "halving", "hyperband")
USUAL_TRIALS = 50
_DEFAULTS = options_of(GROUP, CHOICE)


def _texts(value: Any) -> tuple[str, ...]:
    """Return one text, or a list of different ones, as a tuple."""
    texts = (value,) if isinstance(value, str) else tuple(value)
    if not texts or not all(isinstance(t, str) and t for t in texts) or len({*texts}) < len(texts):
        raise ValueError(value)
    return texts


TEXT_OR_TEXTS = Kind(text="a text, or a list of different ones", convert=_texts)


def _key(name: str, meaning: str, kind: Kind = INT, **more: Any) -> Key:
    default = _DEFAULTS[f"{GROUP}.{name}"]
    full = f"{GROUP}.{name}"
    return Key(name=full, section=SECTION, kind=kind, default=default, meaning=meaning, **more)


_count = partial(_key, minimum=1)
KEYS = {
    key.name: key
    for key in (
        _key(
            "sampler",
            "What suggests the values of the next trial: tpe (tree-structured Parzen estimators), "
            "random, grid (all combinations, in an order drawn by sweep.seed), cmaes (evolution of "
            "a covariance matrix; for ranges of numbers).",
            TEXT,
            choices=SAMPLERS,
        ),
        _count(
            "n_trials",
            "Trials in all, of all processes together. The same command with more goes on.",
            nullable=True,
            null=f"{USUAL_TRIALS}, and all combinations of a grid",
        ),
        _count("n_jobs", "Trials that run at the same time, each in a process of its own."),
        _key(
            "seed",
            "Seed of the sampler. With one process at a time the same seed suggests the same "
            "trials, also after a kill.",
            minimum=0,
        ),
        _count(
            "seeds",
            "Runs of a trial, with MODEL_SEED, MODEL_SEED + 1, ... (from 1 where it is null). "
            "The trial's value is their mean.",
        ),
        _key(
            "startup_trials",
            "Trials at the start that tpe draws at random, and before whose end median ends none.",
            minimum=0,
        ),
        _key(
            "objective",
            "What is optimised: the score or the loss, as in validation_accuracy, validation_loss "
            "or train_loss, of the best epoch; seconds of all its epochs; hidden_spikes of a "
            "training example. With a list the trials that none beats in everything are found.",
            TEXT_OR_TEXTS,
        ),
        _key(
            "pruner",
            "What ends a trial early, by the objective after each of its epochs: median (it is "
            "worse than half of the others were then), halving (successive halving), hyperband "
            "(several halvings at once), none.",
            TEXT,
            choices=PRUNERS,
        ),
        _count("min_epochs", "Epochs that a trial has before the pruner may end it."),
    )
}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The checked values of ``sweep.*``."""

    sampler: str
    n_trials: int | None
    n_jobs: int
    seed: int
    seeds: int
    startup_trials: int
    objective: tuple[str, ...]
    pruner: str
    min_epochs: int

    @property
    def prunes(self) -> bool:
        """Whether trials may be ended early."""
        return self.pruner != NO_PRUNER


def settings_of(given: Mapping[str, Any]) -> Settings:
    """Return the checked settings of a search.

    Args:
        given: Name without ``sweep.`` -> value, as composed.

    Raises:
        ConfigError: With a line for each that is wrong.
    """
    wrong = [unknown(f"{GROUP}.{name}") for name in given if f"{GROUP}.{name}" not in KEYS]
    values = {}
    for full, key in KEYS.items():
        name = full.removeprefix(f"{GROUP}.")
        values[name], problem = key.convert(given.get(name, key.default))
        wrong += [problem] * bool(problem)
    if not wrong:
        wrong = list(_without_effect(values))
    if wrong:
        raise ConfigError(listed(wrong, "of the search"))
    return Settings(**values)


def _without_effect(values: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong of values that are right by themselves."""
    sampler, pruner = values["sampler"], values["pruner"]
    idle = {
        "min_epochs": pruner == NO_PRUNER,
        "startup_trials": sampler != "tpe" and pruner != "median",
    }
    for name, is_idle in idle.items():
        key = KEYS[f"{GROUP}.{name}"]
        if is_idle and values[name] != key.convert(key.default)[0]:
            yield (
                f"{key.name}={values[name]}: has no effect with sweep.sampler={sampler} and "
                f"sweep.pruner={pruner}"
            )
    if pruner != NO_PRUNER and len(values["objective"]) > 1:
        names = ",".join(values["objective"])
        yield (
            f"sweep.pruner={pruner}: a trial with several objectives ({names}) cannot be "
            "compared before its end; leave the pruner out, or give one objective"
        )


def unknown(name: str) -> str:
    """Return the line that refuses a key ``sweep.*`` that does not exist."""
    return f"{name}: there is no such key.{did_you_mean(name, KEYS)} There are {', '.join(KEYS)}"


def misplaced(override: Any, chosen: bool) -> str:
    """Return what is wrong of a word of a command line as far as searches go, or "".

    Args:
        override: As Hydra has parsed it.
        chosen: Whether there is a search, or may be one.
    """
    name, line = override.key_or_group, override.input_line
    mine = name.startswith(f"{GROUP}.")
    if mine and name not in KEYS:
        return unknown(name)
    if chosen or not (mine or override.is_interval_sweep()):
        return ""
    what = "is of a search" if mine else "only a search draws from an interval"
    instead = "" if mine else f", or give values, as in {name}=A,B with --multirun"
    return f"{line}: {what}; add {GROUP}={CHOICE}{instead}"
