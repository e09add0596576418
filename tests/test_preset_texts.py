"""What presets say of themselves: `snnrun presets`, and the hint of runs that took none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from runs import SMALL, overrides

from snnrun import presets as module
from snnrun import train
from snnrun.cli import main
from snnrun.config import from_dict
from snnrun.presets import Preset, presets, read, suggestion
from snnrun.schema import DATASETS

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
        "mine", "mnist", "", "an hour",
    )  # fmt: skip


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


def test_a_result_of_several_seeds_comes_before_a_higher_one_of_one_run() -> None:
    names = [preset.name for preset in presets() if preset.dataset == "mnist"]
    assert names.index("mnist_wp2021") == 0
    assert names.index("mnist_genn_best") < names.index("mnist_mlgenn")
    assert suggestion("mnist") == {
        "published": (
            "test 97.58 +- 0.12 % with other values; to reproduce it:",
            "snnrun train preset=mnist_wp2021",
        )
    }


@pytest.mark.parametrize("dataset", DATASETS)
def test_what_a_run_is_told_names_a_preset_of_its_data_set(dataset: str) -> None:
    of_dataset = {preset.name for preset in presets() if preset.dataset == dataset}
    for hint in suggestion(dataset).values():
        assert hint[1].removeprefix("snnrun train preset=") in of_dataset
    assert bool(suggestion(dataset)) == bool(of_dataset)


@pytest.mark.parametrize(
    ("name", "figure"), [("smnist_plain", "66.9 %"), ("dvs_small", "91.9 +- 0.4 %")]
)
def test_where_nothing_is_published_the_best_that_was_measured_is_named(
    name: str, figure: str
) -> None:
    assert suggestion(name.partition("_")[0]) == {
        "measured": (
            f"test {figure} with other values, measured here (`snnrun presets {name}` "
            "says how); none is published:",
            f"snnrun train preset={name}",
        )
    }


def test_without_any_figure_a_preset_is_called_neither(monkeypatch: pytest.MonkeyPatch) -> None:
    preset = Preset(name="x", dataset="mine", source="", published="none", here="", run_time="")
    monkeypatch.setattr(module, "presets", lambda: (preset,))
    assert suggestion("mine") == {
        "preset": (
            "other values for mine, without a published result:", "snnrun train preset=x"
        )
    }  # fmt: skip


def test_a_preset_that_needs_a_file_says_where_it_is_and_which_key_takes_it(capsys: Say) -> None:
    _, start, needs = suggestion("pattern")["preset"]
    assert start == "snnrun train preset=superspike_oxford"
    assert needs.startswith(
        "it needs themes/oxford-target.ras of https://github.com/fzenke/pub2018"
    )
    assert "dataset.target=FILE" in needs
    assert main(["presets", "superspike_oxford"]) == 0
    assert "needs: themes/oxford-target.ras of https://github.com" in capsys.readouterr().out
    assert len(suggestion("mnist")["published"]) == 2  # its data are fetched


def test_a_data_set_of_the_users_own_has_no_hint() -> None:
    assert suggestion("mylab.data.bars") == {}


KEYS = {**SMALL, "N_EPOCH": 1, "N_TRAIN": 20, "WRITE_TO_DISK": False}
HINT = "preset=yinyang_wp2021"


@pytest.mark.usefixtures("places")
@pytest.mark.parametrize(
    ("words", "times"),
    [([], 2), (["preset=none"], 2), (["preset=yinyang_wp2021", "TRIAL_MS=30"], 0)],
)
def test_a_run_without_a_preset_says_at_start_and_end_which_there_is(
    words: list[str], times: int, capsys: Say
) -> None:
    assert main(["train", *overrides(KEYS), *words, "dataset.input_ms=null"]) == 0
    said = capsys.readouterr().out
    assert said.count(f"snnrun train {HINT}") == times
    start, _, end = said.partition("\nfinished")
    assert (start.count(HINT) > 0) == (end.count(HINT) > 0) == (times > 0)


@pytest.mark.usefixtures("places")
def test_a_sweep_says_it_once(capsys: Say) -> None:
    assert main(["train", "--multirun", *overrides(KEYS), "ETA=1e-3,2e-3,3e-3"]) == 0
    said = capsys.readouterr().out
    assert said.count("\nfinished") == 3
    assert said.count(HINT) == 1
    assert said.index(HINT) < said.index("\nfinished")


@pytest.mark.usefixtures("places")
@pytest.mark.parametrize(("words", "times"), [([], 2), ([f"{HINT}", "TRIAL_MS=30"], 0)])
def test_a_resumed_run_says_it_as_the_run_did(words: list[str], times: int, capsys: Say) -> None:
    keys = overrides(KEYS | {"WRITE_TO_DISK": True})
    run = ["train", *keys, "dataset.input_ms=null", *words, "hydra.run.dir=run"]
    for command in (run, ["resume", "run", "N_EPOCH=2"]):
        assert main(command) == 0
        assert capsys.readouterr().out.count(HINT) == times


@pytest.mark.usefixtures("places")
@pytest.mark.parametrize(("preset", "times"), [({}, 2), ({"preset": "yinyang_genn"}, 0)])
def test_a_run_from_python_is_resumed_so_too(preset: dict, times: int, capsys: Say) -> None:
    keys = KEYS | {"WRITE_TO_DISK": True}
    train(keys | preset, "run")
    train(from_dict(keys), "checked")  # of which nobody knows whether it was a preset's
    capsys.readouterr()
    assert main(["resume", "run", "N_EPOCH=2"]) == 0
    assert capsys.readouterr().out.count(HINT) == times
    assert main(["resume", "checked", "N_EPOCH=2"]) == 0
    assert HINT not in capsys.readouterr().out


@pytest.mark.usefixtures("places")
@pytest.mark.parametrize(("more", "told"), [({}, True), ({"preset": "yinyang_genn"}, False)])
def test_the_python_interface_says_the_same(more: dict, told: bool, capsys: Say) -> None:
    train({**KEYS, **more})
    assert (HINT in capsys.readouterr().out) == told


def test_presets_lists_all_with_their_published_results(capsys: Say) -> None:
    assert main(["presets"]) == 0
    lines = capsys.readouterr().out.splitlines()
    names = [line.split()[0] for line in lines if line.startswith("  ")]
    assert names == [preset.name for preset in presets()]
    assert any(line.split()[1:] == ["test", "97.58", "+-", "0.12", "%"] for line in lines)


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
