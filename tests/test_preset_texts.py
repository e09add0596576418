"""What presets say of themselves: `snnrun presets`, and the head of a run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from long import long_but
from runs import SMALL, overrides

from snnrun import train
from snnrun.cli import main
from snnrun.config import from_dict
from snnrun.presets import Preset, Setting, presets, read, said_of
from snnrun.schema import DATASETS, SCHEMA

Say = pytest.CaptureFixture[str]

HEADER = """\
# @package _global_
# snnrun train preset=mine
# source: a paper,
#   and its second line
# published: test 97.5 +- 0.12 % (10 seeds,
#   last epoch)
# run time: an hour
# a note that belongs to nothing
defaults:
  - override /dataset: mnist
"""

PUBLISHED = [
    ("test 97.58 +- 0.12 % (10 seeds)", "97.58 +- 0.12 %", (True, True, True, 97.58)),
    ("test 98 %", "98 %", (True, True, False, 98.0)),
    ("train 99 %, test 98 %", "", (False, False, False, 0.0)),
    ("none, a figure only", "", (False, False, False, 0.0)),
]


def test_the_header_of_a_preset_is_read_with_lines_that_go_on(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(HEADER)
    found = read(file)
    assert found.source == "a paper, and its second line"
    assert found.published == "test 97.5 +- 0.12 % (10 seeds, last epoch)"
    assert (found.name, found.dataset, found.here, found.run_time) == (
        "mine",
        "mnist",
        "",
        "an hour",
    )


@pytest.mark.parametrize(("published", "figure", "rank"), PUBLISHED)
def test_the_figure_is_the_test_accuracy(published: str, figure: str, rank: tuple) -> None:
    preset = Preset(name="x", dataset="mnist", source="", published=published, here="", run_time="")
    assert (preset.figure, preset.rank) == (figure, rank)


HERE = [
    ("on a stand-in (N_TEST=60): test 89.6 +- 1.8 % after", "89.6 +- 1.8 %", (True, True, 89.6)),
    ("test 66.9 % after 30 epochs; 63.0 % after 60", "66.9 %", (True, False, 66.9)),
    ("training 66.9 %", "", (False, False, 0.0)),
]


@pytest.mark.parametrize(("here", "figure", "rank"), HERE)
def test_a_figure_measured_here_counts_where_none_is_published(
    here: str, figure: str, rank: tuple
) -> None:
    preset = Preset(name="x", dataset="mnist", source="", published="none", here=here, run_time="")
    assert (preset.figure_here, preset.rank) == (figure, (False, *rank))
    published = replace(preset, published="test 50 %")
    assert published.rank == (True, True, False, 50.0)
    assert published.rank > preset.rank


def test_of_a_data_set_the_recommended_preset_comes_first_and_then_the_best() -> None:
    names = [preset.name for preset in presets() if preset.dataset == "mnist"]
    assert names[:2] == ["mnist", "mnist_wp2021"]
    assert names.index("mnist_genn_best") < names.index("mnist_mlgenn")


@pytest.mark.parametrize("dataset", DATASETS)
def test_every_data_set_has_a_recommended_preset_which_says_for_which_rules(dataset: str) -> None:
    [recommended] = [preset for preset in presets() if preset.name == dataset]
    assert recommended.recommended
    assert recommended.dataset == dataset
    assert set(recommended.rules) <= set(SCHEMA["rule.name"].choices)
    assert recommended.rules


BY_DEFAULT = Setting(preset="shd", by_default=True)
SAID = [
    (Setting(preset=None), ("shd", "eventprop"), ""),
    (Setting(preset="none"), ("mylab.data.bars", "eventprop"), ""),
    (Setting(preset="shd_best"), ("shd", "eventprop"), ""),
    (BY_DEFAULT, ("shd", "eventprop"), "preset shd, recommended for this data set (preset=none: "),
    (Setting(preset="none"), ("shd", "eventprop"), "the table's values; recommended is preset=shd"),
    (Setting(preset="none"), ("shd", "stdp"), "rule=surrogate or rule=eprop"),
    (replace(BY_DEFAULT, left_out=("ETA", "TAU_0")), ("shd", "eventprop"), "its ETA, TAU_0: no"),
    (Setting(preset="shd_best", left_out=("ETA",)), ("shd", "eventprop"), "preset shd_best"),
]


@pytest.mark.parametrize(("setting", "of", "words"), SAID)
def test_a_run_says_where_its_values_are_from_and_what_else_there_is(
    setting: Setting, of: tuple[str, str], words: str
) -> None:
    lines = said_of(setting, *of).get("setting", "")
    text = lines if isinstance(lines, str) else " ".join(lines)
    assert words in text
    assert bool(words) == bool(text)


KEYS = {**SMALL, "N_EPOCH": 1, "N_TRAIN": 20, "WRITE_TO_DISK": False}
TAKEN = "preset yinyang, recommended for this data set (preset=none: the table's values)"
RECOMMENDED = "the table's values; recommended is preset=yinyang"
RUNS = [([], TAKEN), (["preset=none"], RECOMMENDED), (["preset=yinyang_wp2021"], "")]


@pytest.mark.usefixtures("places")
@pytest.mark.parametrize(("words", "said"), long_but(RUNS, RUNS[1:2], lambda run: " ".join(run[0])))
def test_the_head_of_a_run_and_of_a_resumed_one_say_it_once(
    words: list[str], said: str, capsys: Say
) -> None:
    words = [*words, *overrides(KEYS | {"WRITE_TO_DISK": True})[1:], "TRIAL_MS=40"]
    for command in (["train", *words, "hydra.run.dir=run"], ["resume", "run", "N_EPOCH=2"]):
        assert main(command) == 0
        start, _, end = " ".join(capsys.readouterr().out.split()).partition("finished")
        assert [text for text in (TAKEN, RECOMMENDED) if text in start] == [said] * bool(said)
        assert "recommended" not in end


@pytest.mark.usefixtures("places")
@pytest.mark.parametrize(("words", "said"), long_but(RUNS, RUNS[:1], lambda run: " ".join(run[0])))
def test_the_same_holds_in_python(words: list[str], said: str, capsys: Say) -> None:
    keys = KEYS | {"WRITE_TO_DISK": True, "TRIAL_MS": 40.0}
    train(keys | dict(word.split("=") for word in words), "run")
    train(from_dict(keys), "checked")  # of which nobody knows whether it was a preset's
    out = " ".join(capsys.readouterr().out.split())
    assert [text for text in (TAKEN, RECOMMENDED) if text in out] == [said] * bool(said)
    assert main(["resume", "run", "N_EPOCH=2"]) == 0
    assert said in " ".join(capsys.readouterr().out.split())
    assert main(["resume", "checked", "N_EPOCH=2"]) == 0
    assert "recommended" not in capsys.readouterr().out


def test_a_preset_that_needs_a_file_says_where_it_is_and_which_key_takes_it(capsys: Say) -> None:
    assert main(["presets", "superspike_oxford"]) == 0
    assert "needs: themes/oxford-target.ras of https://github.com" in capsys.readouterr().out


def test_presets_lists_all_with_their_published_results(capsys: Say) -> None:
    assert main(["presets"]) == 0
    lines = capsys.readouterr().out.splitlines()
    listed = [line.split() for line in lines if line.startswith("  ")]
    assert [words[0] for words in listed] == [preset.name for preset in presets()]
    marked = [words[0] for words in listed if words[1:] and words[1].startswith("recom")]
    assert sorted(marked) == sorted(DATASETS)
    assert any(
        line.split()[1:] == ["test", "97.58", "+-", "0.12", "%", "published"] for line in lines
    )


def test_presets_tells_all_of_those_that_match(capsys: Say) -> None:
    assert main(["presets", "mnist_wp2021"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("mnist_wp2021\n    published: test 97.58 +- 0.12 % (10 seeds")
    assert "source: Wunderlich & Pehle 2021" in said
    assert "start: snnrun train preset=mnist_wp2021" in said
    assert main(["presets", "yinyang", "*plain"]) == 0
    said = capsys.readouterr().out
    starts = [line for line in said.splitlines() if line and not line.startswith(" ")]
    matching = [preset.name for preset in presets() if preset.dataset == "yinyang"]
    assert starts[: len(matching)] == matching
    assert {name.rpartition("_")[2] for name in starts[len(matching) :]} == {"plain"}


def test_presets_refuses_what_matches_none(capsys: Say) -> None:
    assert main(["presets", "mnist_wp2012"]) == 2
    assert "no such preset. Did you mean 'mnist_wp2021'?" in capsys.readouterr().err
