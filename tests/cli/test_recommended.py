"""The recommended setting of a data set: when it is taken, and what goes before it."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_tools import Calls, Say, refused, run_folders
from omegaconf import OmegaConf

import snnrun
from snnrun.cli import main
from snnrun.config import Config, from_dict
from snnrun.presets import Setting
from snnrun.schema import SCHEMA

TABLE = Setting(preset="none")


def taken(calls: Calls, *words: str) -> tuple[Config, Setting]:
    """Return the configuration and the setting with which a command line starts its run."""
    calls.clear()
    assert main(["train", *words]) == 0
    [(_, config, _, named)] = calls
    return config, named["setting"]


def by_default(name: str, *left_out: str) -> Setting:
    return Setting(preset=name, by_default=True, left_out=left_out)


def test_without_a_preset_the_recommended_one_of_the_data_set_is_taken(calls: Calls) -> None:
    config, setting = taken(calls)
    assert (config.dataset.name, setting) == ("yinyang", by_default("yinyang"))
    config, setting = taken(calls, "dataset=shd")
    assert (config.dataset.name, config.N_INPUT_DELAY, setting) == ("shd", 5, by_default("shd"))


def test_the_command_line_wins_over_it(calls: Calls) -> None:
    assert taken(calls, "dataset=shd", "N_INPUT_DELAY=2")[0].N_INPUT_DELAY == 2


def test_its_name_brings_the_data_set(calls: Calls) -> None:
    config, setting = taken(calls, "preset=shd", "ETA=0.5")
    assert config == taken(calls, "dataset=shd", "ETA=0.5", f"MODEL_SEED={config.MODEL_SEED}")[0]
    assert setting == Setting(preset="shd")
    # whoever names another data set means it
    assert taken(calls, "preset=shd", "dataset=ssc")[0].dataset.name == "ssc"


@pytest.mark.parametrize("word", ["preset=none", "preset=null", "~preset"])
def test_without_any_preset_all_values_are_those_of_the_table(calls: Calls, word: str) -> None:
    config, setting = taken(calls, "dataset=mnist", word, "MODEL_SEED=1")
    assert setting == TABLE
    assert config == from_dict({"dataset": "mnist", "MODEL_SEED": 1})


def in_sweep(calls: Calls, *words: str) -> list[tuple[str, Setting, float]]:
    """Return data set, setting and hidden neurons of the runs that a sweep starts."""
    calls.clear()
    assert main(["train", "-m", *words]) == 0
    return [(c.dataset.name, named["setting"], c.NUM_HIDDEN) for _, c, _, named in calls]


def test_a_sweep_takes_that_of_each_data_set(calls: Calls) -> None:
    for words, start in (
        (["dataset=yinyang,mnist"], by_default),
        (["preset=yinyang,mnist"], lambda name: Setting(preset=name)),
        (["preset=yinyang,mnist", "rule=stdp"], lambda name: Setting(preset=name)),
        (["dataset=yinyang,mnist", "rule=stdp"], lambda _: TABLE),
    ):
        found = in_sweep(calls, *words)
        assert [name for name, *_ in found] == ["yinyang", "mnist"]
        assert [(s.preset, s.by_default) for _, s, _ in found] == [
            (start(name).preset, start(name).by_default) for name in ("yinyang", "mnist")
        ]


@pytest.mark.parametrize("rule", [[], ["rule=stdp"]])
def test_presets_that_were_named_stay_in_a_sweep_as_they_do_alone(
    calls: Calls, rule: list[str]
) -> None:
    swept = in_sweep(calls, "preset=mnist,yinyang", *rule)
    alone = [taken(calls, f"preset={name}", *rule) for name in ("mnist", "yinyang")]
    assert swept == [(c.dataset.name, setting, c.NUM_HIDDEN) for c, setting in alone]
    assert swept[0][2] == 600 != SCHEMA["NUM_HIDDEN"].default_of("mnist")


def test_a_sweep_over_named_presets_is_added_to(calls: Calls) -> None:
    words = ["preset=mnist,yinyang", "rule=stdp", "hydra.sweep.dir=sweep"]
    assert in_sweep(calls, *words)[0][2] == 600
    calls.clear()
    assert main(["sweep", "add", "sweep", "NUM_HIDDEN=20"]) == 0
    added = [(c.dataset.name, c.ETA, named["setting"]) for _, c, _, named in calls][-2:]
    preset = taken(calls, "preset=mnist", "rule=stdp")[0]
    assert added[0] == ("mnist", preset.ETA, Setting(preset="mnist"))
    assert (added[1][0], added[1][2]) == ("yinyang", Setting(preset="yinyang"))


def test_a_sweep_compares_it_with_other_presets_of_the_data_set(calls: Calls, capsys: Say) -> None:
    assert main(["train", "-m", "preset=shd,shd_best,none"]) == 0
    assert [config.dataset.name for _, config, *_ in calls] == ["shd"] * 3
    assert [named["setting"].preset for *_, named in calls] == ["shd", "shd_best", "none"]
    capsys.readouterr()
    said = refused(capsys, "train", "-m", "preset=shd,mnist,mnist_wp2021")
    assert "preset=shd,mnist,mnist_wp2021: shd is for shd, mnist is for mnist" in said
    assert "sweep over mnist_wp2021 by itself" in said


@pytest.mark.parametrize("words", [["rule=stdp"], ["rule=stdp", "LOSS_TYPE=max"]])
def test_with_a_rule_that_it_is_not_for_the_table_is_taken(calls: Calls, words: list[str]) -> None:
    config, setting = taken(calls, "dataset=mnist", *words)
    assert setting == TABLE
    assert SCHEMA["NUM_HIDDEN"].default_of("mnist") == config.NUM_HIDDEN
    [folder] = run_folders()
    saved = OmegaConf.load(folder / ".hydra" / "config.yaml")
    assert saved.NUM_HIDDEN == config.NUM_HIDDEN
    calls.clear()
    assert main(["resume"]) == 0
    assert calls[0][1] == config
    assert calls[0][3]["setting"].preset == "none"


def test_with_a_rule_that_it_is_for_as_well_it_stays(calls: Calls) -> None:
    assert taken(calls, "dataset=shd", "rule=surrogate")[1] == by_default("shd")


def test_what_has_no_effect_with_a_choice_gives_way_to_it(calls: Calls) -> None:
    config, setting = taken(calls, "dataset=shd", "network=layers")
    assert "NUM_HIDDEN" not in setting.left_out  # 256 in the table too
    config, setting = taken(calls, "dataset=mnist", "network=layers")
    assert setting == by_default("mnist", "NUM_HIDDEN")
    assert SCHEMA["NUM_HIDDEN"].default_of("mnist") == config.NUM_HIDDEN
    calls.clear()
    assert main(["resume"]) == 0  # its own file has what became of it
    assert calls[0][1] == config


def test_a_named_network_goes_before_its_recurrence(calls: Calls) -> None:
    config, setting = taken(calls, "dataset=shd", "network=feedforward")
    assert (config.RECURRENT, setting.left_out) == (
        False,
        ("RECURRENT", "HIDDEN_HIDDEN_MEAN", "HIDDEN_HIDDEN_STD"),
    )
    assert taken(calls, "dataset=shd", "network=recurrent")[0].RECURRENT is True


def test_a_chosen_preset_gives_way_too(calls: Calls) -> None:
    _, setting = taken(calls, "preset=mnist_128_first_spike", "LOSS_TYPE=max")
    assert setting.left_out[:2] == ("TAU_0", "TAU_1")
    assert not setting.by_default


def test_what_was_typed_is_refused_where_it_has_no_effect(calls: Calls, capsys: Say) -> None:
    said = refused(capsys, "train", "dataset=mnist", "network=layers", "NUM_HIDDEN=3", "TAU_0=3")
    assert "NUM_HIDDEN=3: has no effect" in said or "TAU_0=3.0: has no effect" in said


def test_a_clash_with_it_is_told_from_a_mistake(calls: Calls, capsys: Say) -> None:
    said = refused(capsys, "train", "dataset=shd", "TRIAL_MS=100")
    assert "N_INPUT_DELAY=5" in said
    assert "preset=none" in said
    assert "preset=none" not in refused(capsys, "train", "dataset=shd", "ETA=-1")


def test_data_sets_of_ones_own_have_none_or_their_own(calls: Calls, capsys: Say) -> None:
    for name, text in {
        "dataset/bars.yaml": "# @package _global_\ndataset:\n  name: mylab.data.bars\n",
        "dataset/dots.yaml": "# @package _global_\ndataset:\n  name: mylab.data.dots\n",
        "preset/dots.yaml": "# @package _global_\nETA: 0.25\n",
        "preset/mine.yaml": "# @package _global_\ndefaults:\n  - shd\n  - _self_\n"
        "  - override /dataset: shd\nETA: 0.5\n",
        "dataset/lines.yaml": "# @package _global_\ndataset:\n  name: mylab.data.lines\n",
        "preset/lines.yaml": "# @package _global_\ndefaults:\n  - override /network: recurrent\n",
    }.items():
        file = Path("my_conf", name)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    own = ["--config-dir", "my_conf"]
    assert taken(calls, *own, "dataset=bars")[1] == TABLE
    config, setting = taken(calls, *own, "dataset=dots")
    assert (config.ETA, setting) == (0.25, by_default("dots"))
    assert taken(calls, *own, "preset=dots")[0].dataset.name == "mylab.data.dots"
    config, _ = taken(calls, *own, "preset=mine")  # upon that of a data set
    assert (config.ETA, config.N_INPUT_DELAY, config.dataset.name) == (0.5, 5, "shd")
    assert taken(calls, "dataset.name=mylab.data.bars", "N_MAX_SPIKE=1500")[1] == TABLE
    said = refused(capsys, "train", *own, "dataset=lines")
    assert "preset/lines" in said
    assert "leave out its line `override /network: ...`" in said


def test_the_printed_configuration_is_the_one_that_runs(calls: Calls, capsys: Say) -> None:
    for words in (
        ["dataset=mnist", "rule=stdp"],
        ["dataset=mnist", "network=layers"],
        ["preset=shd"],
    ):
        capsys.readouterr()
        assert main(["train", *words, "MODEL_SEED=1", "--cfg", "job"]) == 0
        printed = OmegaConf.create(capsys.readouterr().out)
        config, _ = taken(calls, *words, "MODEL_SEED=1")
        assert {k: printed[k] for k in ("NUM_HIDDEN", "ETA", "N_INPUT_DELAY", "RECURRENT")} == {
            k: config.get(k) for k in ("NUM_HIDDEN", "ETA", "N_INPUT_DELAY", "RECURRENT")
        }


@pytest.mark.long
def test_python_takes_it_alike() -> None:
    keys = {"N_TRAIN": 32, "N_VALIDATE": 32, "N_TEST": 0, "N_EPOCH": 1, "WRITE_TO_DISK": False}
    run = snnrun.train(keys, progress=False)
    assert run.config["LOSS_TYPE"] == "first_spike_wp"
    table = snnrun.train({**keys, "preset": None, "NUM_HIDDEN": 30}, progress=False)
    assert table.config["LOSS_TYPE"] == SCHEMA["LOSS_TYPE"].default_of("yinyang")
