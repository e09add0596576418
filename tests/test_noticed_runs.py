"""Real runs that go wrong are noticed, and what they are told to try helps; others go unnoticed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from long import long_but
from runs import OPTIMISED, SMALL, assert_same_run, overrides, small, stopped_at

from snnrun.cli import main
from snnrun.record import load_run
from snnrun.run import train
from snnrun.training import loop

LEARNS: dict[str, Any] = {**OPTIMISED, "N_TRAIN": 5000, "N_VALIDATE": 200, "ETA_DECAY": 1.0}
GONE_WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "weights too small": ({"INPUT_HIDDEN_MEAN": 0.0, "INPUT_HIDDEN_STD": 0.01}, "silent layer"),
    "weights too negative": ({"INPUT_HIDDEN_MEAN": -1.0, "N_EPOCH": 4}, "silent layer"),
    # learns in the first epoch; then the rate has grown to what no network survives
    "steps too large": (
        {**LEARNS, "ETA": 2.0, "LR_EASE_IN_FACTOR": 1.01, "N_EPOCH": 5},
        "collapse",
    ),
    "steps too small": ({"ETA": 1e-7, "N_EPOCH": 4}, "nothing learned"),
    "time steps too long": (
        {"LOSS_TYPE": "max", "HIDDEN_NEURON_TYPE": "Izhikevich", "DT_MS": 0.5},
        "long step",
    ),
    "steps that vanish": ({**LEARNS, "ETA_DECAY": 1e-3, "N_EPOCH": 4}, "no learning rate"),
}


def told(folder: Path, what: str) -> list[str]:
    """Return the settings that a run's notices say to try, each as words of a command line."""
    found = load_run(folder).warnings
    message = found["message"][found["what"] == what][-1]
    return [
        setting.strip()
        for setting in message.replace(", try ", ". Try ").partition("Try ")[2].split(", or ")
    ]


def count(folder: Path, what: str) -> int:
    """Return in how many epochs something was noticed."""
    return int((load_run(folder).warnings["what"] == what).sum())


@pytest.mark.usefixtures("places")
@pytest.mark.parametrize("why", long_but(GONE_WRONG, list(GONE_WRONG)[::3]))
def test_what_goes_wrong_is_noticed_and_what_is_told_helps(why: str, tmp_path: Path) -> None:
    keys, what = GONE_WRONG[why]
    train(small(**keys), tmp_path / "wrong")
    noticed = count(tmp_path / "wrong", what)
    assert noticed > 0
    settings = told(tmp_path / "wrong", what)
    assert all(settings)
    for number, setting in enumerate(settings):
        folder = tmp_path / f"better{number}"
        pasted = [*overrides({**SMALL, **keys}), *setting.split()]
        assert main(["train", *pasted, f"hydra.run.dir={folder}"]) == 0
        assert count(folder, what) < noticed, setting


def test_a_run_that_learns_notices_nothing(tmp_path: Path) -> None:
    train(small(**LEARNS, N_EPOCH=4), tmp_path)
    assert len(load_run(tmp_path).warnings["what"]) == 0


@pytest.mark.long
def test_a_run_that_was_stopped_notices_what_one_that_was_not_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = small(**GONE_WRONG["steps too large"][0])
    train(config, tmp_path / "whole")
    whole = load_run(tmp_path / "whole").warnings
    assert len(whole["what"]) > 3
    monkeypatch.setattr(loop, "CHUNK_S", 0.0)  # one mini-batch a call, on a machine of any speed
    looks = 15  # a time within an epoch after the first
    assert stopped_at(looks, config, tmp_path / "stopped", monkeypatch)
    train(config, tmp_path / "stopped", True)
    assert_same_run(tmp_path / "stopped", tmp_path / "whole")
    assert len(load_run(tmp_path / "stopped").sessions) == 2
    for name, column in load_run(tmp_path / "stopped").warnings.items():
        np.testing.assert_array_equal(column, whole[name])


def test_what_lasts_is_said_rarely_and_counted_at_the_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(small(INPUT_HIDDEN_MEAN=0.0, INPUT_HIDDEN_STD=0.01, N_EPOCH=11), tmp_path)
    for said in (capsys.readouterr().out, (tmp_path / "run.log").read_text()):
        shown = [line for line in said.splitlines() if "had no spike in training" in line]
        starts = ["epoch 0", "epochs 0 to 9"]
        assert [line.split(":")[1].strip() for line in shown] == starts
        assert "  warnings    silent layer (hidden): in 11 epochs, from 0 to 10\n" in said
