"""Hydra works after each command: options anywhere, --cfg, --info, multirun."""

from __future__ import annotations

import pytest
from cli_tools import Calls, Say
from omegaconf import OmegaConf

from snnrun.cli import main
from snnrun.commands.arguments import split
from snnrun.errors import ConfigError


def test_options_may_stand_anywhere_and_go_in_front() -> None:
    line = split(["dataset=shd", "-m", "ETA=1", "-cd", "x", "-p", "all"])
    assert line.overrides == ["dataset=shd", "ETA=1"]
    assert line.option_words() == ["--multirun", "--config-dir=x", "--package=all"]
    assert split(["--info", "ETA=1"]).options == {"--info": "all"}
    assert split(["--info", "defaults"]).options == {"--info": "defaults"}
    with pytest.raises(ConfigError, match="no such option"):
        split(["--nope"])
    with pytest.raises(ConfigError, match="--multirun and --cfg exclude each other"):
        split(["-m", "ETA=1,2", "--cfg=job"])


def test_cfg_prints_the_composed_configuration(capsys: Say, calls: Calls) -> None:
    assert main(["train", "dataset=shd", "N_EPOCHS=7", "--cfg", "job"]) == 0
    printed = OmegaConf.create(capsys.readouterr().out)
    assert (printed.dataset.name, printed.N_EPOCH) == ("shd", 7)
    assert calls == []


@pytest.mark.parametrize(
    ("words", "fragment"),
    [(["dataset=shd", "--info", "defaults"], "dataset/shd"), (["--hydra-help"], "Hydra")],
)
def test_hydras_information_is_reachable(words: list[str], fragment: str, capsys: Say) -> None:
    assert main(["train", *words]) == 0
    assert fragment in capsys.readouterr().out


@pytest.mark.long
def test_a_multirun_makes_a_run_of_every_combination(calls: Calls) -> None:
    assert main(["train", "N_EPOCHS=3,4", "-m", "dataset=shd,yinyang"]) == 0
    made = [(config.N_EPOCH, config.dataset.name) for _, config, *_ in calls]
    assert made == [(3, "shd"), (3, "yinyang"), (4, "shd"), (4, "yinyang")]
    folders = [folder for _, _, folder, _ in calls]
    assert [folder.name for folder in folders] == ["0", "1", "2", "3"]
    assert all("outputs/multirun/" in folder.as_posix() for folder in folders)


def test_options_of_a_rule_are_given_and_swept_as_others_are(calls: Calls) -> None:
    words = ["rule=surrogate", "LOSS_TYPE=max", "rule.scale=3,4"]
    assert main(["train", "-m", *words]) == 0
    assert main(["train", "network.layers=[{forward: {rule: stdp}}]", "rule.w_max=0.5"]) == 0
    assert [config.rule.scale for _, config, *_ in calls] == [3.0, 4.0, None]
    assert calls[-1][1].rule.w_max == 0.5


@pytest.mark.parametrize("sweeper", ["grid", "basic"])
def test_a_value_may_follow_another_that_is_swept(calls: Calls, capsys: Say, sweeper: str) -> None:
    words = ["preset=none", "NAME=${LOSS_TYPE}_${ETA}", f"hydra/sweeper={sweeper}"]
    assert main(["train", "-m", *words, "LOSS_TYPE=max,sum", "ETA=0.5"]) == 0
    assert [config.NAME for _, config, *_ in calls] == ["max_0.5", "sum_0.5"]
    assert main(["train", "-m", *words, "LOSS_TYPE=max", "ETA=-1"]) != 0
    assert "ETA=-1: must be a number > 0" in "".join(capsys.readouterr())


def test_a_failing_job_does_not_stop_the_others(calls: Calls, capsys: Say) -> None:
    assert main(["train", "ETA=1e-3,-1,1e-2", "-m"]) == 2
    assert [config.ETA for _, config, *_ in calls] == [0.001, 0.01]
    said = capsys.readouterr()
    assert "1/3  job 1 ETA=-1     refused  ETA=-1: must be a number > 0" in said.out
    assert "Traceback" not in said.err
