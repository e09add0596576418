"""Shell completion."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_tools import Say

from snnrun.cli import main
from snnrun.commands.names import COMMANDS


def completed(line: str, capsys: Say, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setenv("COMP_LINE", line)
    assert main(["-sc", "query=bash"]) == 0
    return capsys.readouterr().out.split()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("snnrun tr", ["train"]),
        ("snnrun ", list(COMMANDS)),
        ("/usr/bin/snnrun re", ["resume", "remove", "report"]),
        ("snnrun export --to n", ["nir", "npz"]),
        (
            "snnrun train dataset=",
            [
                "dataset=dvs",
                "dataset=evidence_accumulation",
                "dataset=mnist",
                "dataset=nmnist",
                "dataset=pattern",
                "dataset=pattern_generation",
                "dataset=sequence_toy",
                "dataset=shd",
                "dataset=smnist",
                "dataset=ssc",
                "dataset=yinyang",
            ],
        ),
        ("snnrun train ETA=1 -m dataset=sh", ["dataset=shd"]),
        ("snnrun train +preset=yinyang_w", ["+preset=yinyang_wp2021"]),
        ("snnrun train ET", ["ETA=", "ETA_DECAY=", "ETA_DELAY=", "ETA_DELAY_DECAY=", "ETA_FAC="]),
        ("snnrun train dataset.pa", ["dataset.path="]),
        ("snnrun train dataset.p", ["dataset.path=", "dataset.pixel_ms="]),
        ("snnrun train LOSS_TYPE=sum_weigh_s", ["LOSS_TYPE=sum_weigh_sigmoid"]),
        ("snnrun train SHUFFLE=", ["SHUFFLE=true", "SHUFFLE=false"]),
        ("snnrun train --mul", ["--multirun"]),
        ("snnrun train hydra/launch", ["hydra/launcher="]),
        ("snnrun train hydra.run.d", ["hydra.run.dir="]),
        ("snnrun crossv", ["crossval"]),
        ("snnrun crossval dataset=sh", ["dataset=shd"]),
        ("snnrun crossval SPEAK", ["SPEAKER_LEFT="]),
        (
            "snnrun train EVALUATION=",
            ["EVALUATION=random", "EVALUATION=speaker", "EVALUATION=validation_set"],
        ),
        ("snnrun data v", ["verify"]),
        ("snnrun data info dataset=m", ["dataset=mnist"]),
        ("snnrun resume outputs/x N_EP", ["N_EPOCH="]),
        ("snnrun resume outputs/x NUM_H", []),
        ("snnrun resume out", []),
        ("snnrun keys TAU_M", ["TAU_MEM"]),
        ("snnrun doctor ", []),
        ("snnrun plot ", []),
        ("snnrun plot --o", ["--output"]),
        ("snnrun remove --o", ["--older"]),
        ("snnrun runs --filter N_EP", ["N_EPOCH="]),
    ],
)
def test_completion_offers_what_may_stand_there(
    line: str, expected: list[str], capsys: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert completed(line, capsys, monkeypatch) == expected


def test_completion_knows_the_choices_of_a_users_folder(
    capsys: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("my_conf/preset").mkdir(parents=True)
    Path("my_conf/preset/mine.yaml").write_text("# @package _global_\n")
    line = "snnrun train --config-dir my_conf preset=mi"
    assert completed(line, capsys, monkeypatch) == ["preset=mine"]


def test_completion_is_installed_for_the_command(capsys: Say) -> None:
    assert main(["train", "-sc", "install=bash"]) == 0
    assert capsys.readouterr().out.endswith("-F hydra_bash_completion snnrun\n")
    assert main(["-sc", "install=bash"]) == 0
    assert "complete" in capsys.readouterr().out
