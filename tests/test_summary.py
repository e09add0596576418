"""What a run says of itself at its start: what changes its training, nothing that is off."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from long import long_but
from runs import small

from snnrun.record.paths import RunPaths
from snnrun.run import train

SIMPLE = {"REG_TYPE": "simple", "LBD_UPPER": 1e-9, "LBD_LOWER": 2e-3, "NU_UPPER": 14.0}
WHOLE_LAYER = {"REG_TYPE": "Thomas1", "RHO_UPPER": 900.0, "GLB_UPPER": 3e-5, "AVG_SNSUM": True}


def said_of(folder: Path, **keys: Any) -> dict[str, str]:
    """Return what the log of a run says at its start, as label -> text on one line."""
    train(small(N_EPOCH=1, N_TRAIN=20, **keys), folder)
    said: dict[str, str] = {}
    for line in RunPaths(folder).log.read_text().partition("\n\n")[0].splitlines()[1:]:
        label, text = line[2:13].strip(), line[13:].strip()
        name = label or list(said)[-1]
        said[name] = f"{said.get(name, '')} {text}".strip()
    return said


TOLD = [
    ({"HIDDEN_NOISE": 0.01}, "HIDDEN_NOISE 0.01"),
    ({"PDROP_INPUT": 0.05, "PDROP_HIDDEN": 0.1}, "PDROP_INPUT 0.05, PDROP_HIDDEN 0.1"),
    (SIMPLE, "regulariser simple (LBD_UPPER 1e-09, LBD_LOWER 0.002, NU_UPPER 14)"),
    (
        {**WHOLE_LAYER, "HIDDEN_NOISE": 0.2},
        "HIDDEN_NOISE 0.2, regulariser Thomas1 (LBD_UPPER 5e-06, LBD_LOWER 0.001, NU_UPPER 2, "
        "RHO_UPPER 900, GLB_UPPER 3e-05, of mini-batch means)",
    ),
]


@pytest.mark.parametrize(("keys", "told"), long_but(TOLD, TOLD[3:], lambda case: case[1]))
def test_a_run_says_what_acts_only_in_training(
    keys: dict[str, Any], told: str, tmp_path: Path
) -> None:
    assert said_of(tmp_path, **keys)["in training"] == told


def test_a_run_says_how_its_examples_are_augmented(tmp_path: Path) -> None:
    said = said_of(tmp_path, AUGMENTATION={"random_shift": 2.5, "random_dilate": [0.9, 1.1]})
    assert said["augmented"] == "random_shift 2.5, random_dilate [0.9, 1.1]"


def test_a_run_says_what_its_learning_rate_waits_for(tmp_path: Path) -> None:
    eased = {"LR_EASE_IN_FACTOR": 1.05, "schedule": "cosine", "schedule.warmup": 0.5}
    plan = said_of(tmp_path / "a", **eased)["plan"]
    assert plan.endswith(
        "ETA 0.005 from batch 142 on (LR_EASE_IN_FACTOR 1.05), cosine, warm-up of 0.5 epochs"
    )
    assert said_of(tmp_path / "b")["plan"].endswith("adam, ETA 0.005")


def test_a_run_says_nothing_of_what_is_off(tmp_path: Path) -> None:
    said = said_of(tmp_path)
    assert said.keys() >= {"data", "network", "rule", "backend", "plan", "seeds", "folder"}
    assert not said.keys() & {"in training", "augmented", "rewiring", "delay line"}
