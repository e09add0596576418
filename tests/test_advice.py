"""Advice that is printed is followed: each setting that a refusal suggests is accepted."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from runs import small, write_mnist, write_shd, write_ssc
from yaml import safe_load

from snnrun.config import from_dict
from snnrun.datasets import load
from snnrun.errors import ConfigError, SnnrunError
from snnrun.keys.kinds import BOOL, COUNT, FLOAT, INT, TEXT
from snnrun.record.paths import RunPaths
from snnrun.run import train
from snnrun.schema import SCHEMA

Keys = Mapping[str, Any]
BLEND = {"blend": [0.5, 0.5]}
ADVICE = re.compile(r"\b(?:[Uu]se|[Gg]ive|[Tt]ry|as in)\b|\bneeds (?=\w+=)")
SETTING = re.compile(r"(?<![\w.])([A-Za-z][\w.]*)=(\[[^\]]*\]|[^\s,;`)]+)")


def suggestions(problem: str) -> list[dict[str, Any]]:
    """Return the settings that a line advises to give, those to be given together as one."""
    found = []
    _, *advice = ADVICE.split(problem, maxsplit=1)
    for clause in re.split(r",|;|\bor\b|`", advice[0] if advice else ""):
        pairs = SETTING.findall(clause.strip().rstrip("."))
        if pairs:
            found.append({name: safe_load(value) for name, value in pairs})
    return found


def other_value(name: str) -> Any:
    """Return an allowed value of a key that is not its default."""
    key = SCHEMA[name]
    if key.choices:
        return next(choice for choice in key.choices if choice != key.default)
    if key.kind is BOOL:
        return not key.default
    if name == "dataset.groups":
        return 4  # divides the channels
    if key.kind in (INT, COUNT):
        return (key.default or 0) + 1
    if key.kind is FLOAT:
        return key.default * 0.75 if key.default else 0.25
    return "another" if key.kind is TEXT else None


def problems(keys: Keys) -> set[str]:
    """Return the lines with which keys are refused; none if they are accepted."""
    try:
        from_dict(keys)
    except ConfigError as error:
        first, *rest = str(error).splitlines()
        return {line.strip() for line in rest} or {first}
    return set()


SITUATIONS: list[dict[str, Any]] = [
    {"TRIAL_MS": 30.05},
    {"TRIAL_MS": 0.01},
    {"EVALUATION": "validation_set"},
    {"REWIRE_SILENT": True, "TRAIN_W": False},
    {"rule": "surrogate"},
    {"rule": "surrogate", "dataset": "mnist", "LOSS_TYPE": "first_spike"},
    {"HIDDEN_NEURON_TYPE": "flux_LIF"},
    {"HIDDEN_NEURON_TYPE": "flux_LIF", "dataset": "shd"},
    {"rule": "stdp", "backend": "genn"},
    {"rule": "stdp", "backend": "genn", "dataset": "mnist"},
    {"dataset": "pattern", "rule": "eventprop"},
    {"rule": "superspike"},
    {"dataset": "shd", "rule": "superspike"},
    {"dataset": "pattern", "LOSS_TYPE": "max"},
    {"dataset": "yinyang", "LOSS_TYPE": "van_rossum"},
    {"EMA_WHICH": "training", "backend.threads": 2, "backend": "genn"},
    {"COLLECT_CONFUSION": True, "dataset": "pattern"},
]
BASES: list[dict[str, Any]] = [{}, {"dataset": "shd"}, {"dataset": "pattern"}]
CONDITIONAL = [
    {**base, name: other_value(name)}
    for base in BASES
    for name, key in SCHEMA.items()
    if key.active_if and other_value(name) is not None
]


@pytest.mark.parametrize("keys", [*SITUATIONS, *CONDITIONAL], ids=str)
def test_what_a_refusal_advises_is_accepted(keys: Keys) -> None:
    refused = problems(keys)
    for problem in refused:
        for advised in suggestions(problem):
            left = problems({**keys, **advised})
            assert left < refused, f"{problem}\n{advised} leads to\n{left - refused}"
        if "leave it out" in problem:
            name = problem.partition("=")[0].partition(":")[0]
            if name in keys:
                assert problems({k: v for k, v in keys.items() if k != name}) < refused


def test_the_situations_are_refused_with_advice() -> None:
    assert all(map(problems, SITUATIONS))
    assert sum(len(suggestions(p)) for keys in SITUATIONS for p in problems(keys)) > 15


FOLDERS: dict[str, Callable[[Path], Path]] = {
    "shd": write_shd,
    "tiny": partial(write_shd, examples=3),
    "ssc": write_ssc,
    "mnist": write_mnist,
    "many": partial(write_mnist, train=5010),
}


@pytest.mark.parametrize(
    ("files", "keys"),
    [
        ("tiny", {"dataset": "shd"}),
        ("shd", {"dataset": "shd"}),
        ("shd", {"dataset": "shd", "N_TRAIN": 10, "N_VALIDATE": 4, "N_TEST": 900}),
        ("shd", {"dataset": "shd", "N_TRAIN": None, "N_VALIDATE": 24}),
        ("shd", {"dataset": "shd", "N_TRAIN": None, "N_VALIDATE": 99}),
        ("shd", {"dataset": "shd", "N_TRAIN": 8, "N_VALIDATE": 4, "AUGMENTATION": BLEND}),
        ("mnist", {"dataset": "mnist"}),
        ("ssc", {"dataset": "ssc", "N_VALIDATE": 900}),
        ("many", {"dataset": "mnist", "N_TRAIN": 9, "N_TEST": 9, "EVALUATION": "speaker"}),
    ],
    ids=str,
)
def test_what_data_advise_is_accepted(files: str, keys: Keys, tmp_path: Path) -> None:
    given = {**keys, "dataset.path": str(FOLDERS[files](tmp_path / files))}
    with pytest.raises(SnnrunError) as refused:
        load(from_dict(given))
    together: dict[str, Any] = {}
    for line in str(refused.value).splitlines():
        advised = suggestions(line)
        assert advised, line
        together |= advised[0]
    assert load(from_dict({**given, **together})).train
    for advised in suggestions(str(refused.value).splitlines()[-1]):
        assert load(from_dict({**given, **together, **advised})).train


def test_the_best_epoch_is_that_of_training_where_nothing_is_validated(tmp_path: Path) -> None:
    assert from_dict({"N_VALIDATE": 20}).CHECKPOINT_BEST == "validation"
    config = small(N_VALIDATE=0, N_EPOCH=2, ETA_FAC=0.5, MIN_EPOCH_ETA_FIXED=1, PATIENCE=3)
    followed = (config.CHECKPOINT_BEST, config.EMA_WHICH, config.PATIENCE_WHICH)
    assert followed == ("training", "training", "training")
    train(config, tmp_path / "run")
    assert RunPaths(tmp_path / "run").best.exists()
