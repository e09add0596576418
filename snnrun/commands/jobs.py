"""The jobs of a multirun, as Hydra counts them: every combination of the values of several."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from snnrun.sweeps.asked import Asked, AskedJob

GRID = "BasicSweeper"  # the class of Hydra's own sweeper
NUMBERED = "${hydra.job.num}"  # the folder of a job, if nobody has asked for another
OF_THE_WHOLE = ("hydra.sweep.dir=", "hydra.mode=")


def asked_of(config: Any, name: str, words: Sequence[str]) -> Asked:
    """Return what is asked by a multirun, of whose start Hydra has told.

    Args:
        config: As Hydra has composed it, with its own node.
        name: Of the command.
        words: What the command was given.
    """
    own = config.hydra
    fixed, swept = split_words(own.overrides.task)
    sweep: Any = OmegaConf.to_container(own.sweep, resolve=False)
    folders = sweep["subdir"] == NUMBERED
    jobs: Iterable[tuple[str, ...]] = ()
    if str(own.sweeper.get("_target_", "")).endswith(GRID):
        params = [f"{key}={value}" for key, value in (own.sweeper.get("params") or {}).items()]
        more, also_swept = split_words(params)
        fixed, jobs = [*more, *fixed], combinations([*also_swept, *swept])
    return Asked(
        command=name,
        words=tuple(words),
        base=tuple(fixed),
        options=tuple(
            word for word in map(str, own.overrides.hydra) if not word.startswith(OF_THE_WHOLE)
        ),
        jobs=tuple(
            AskedJob(number=number, words=job, folder=str(number) if folders else "")
            for number, job in enumerate(jobs)
        ),
    )


def split_words(words: Iterable[str]) -> tuple[list[str], list[Any]]:
    """Return the words that all jobs have, and Hydra's reading of those with several values."""
    hydra = GlobalHydra.instance()
    loader = hydra.config_loader() if hydra.is_initialized() else None
    parsed = OverridesParser.create(config_loader=loader).parse_overrides(list(map(str, words)))
    fixed = [override for override in parsed if not override.is_sweep_override()]
    return (
        [f"{o.get_key_element()}={o.get_value_element_as_str()}" for o in fixed],
        [override for override in parsed if override.is_sweep_override()],
    )


def combinations(swept: Iterable[Any]) -> list[tuple[str, ...]]:
    """Return the words of each job: the last key changes first, as Hydra's sweeper has it."""
    values = {
        override.get_key_element(): [
            f"{override.get_key_element()}={value}" for value in override.sweep_string_iterator()
        ]
        for override in swept
    }
    return list(itertools.product(*values.values()))
