"""What presets say of themselves: `snnrun presets`, and the hint of runs that took none."""

from __future__ import annotations

from pathlib import Path

import pytest
from runs import SMALL, overrides

from snnrun import train
from snnrun.cli import main
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
    ("test 97.58 +- 0.12 % (10 seeds)", "97.58 +- 0.12 %", (True, True, 97.58)),
    ("test 98 %", "98 %", (True, False, 98.0)),
    ("train 99 %, test 98 %", "", (False, False, 0.0)),
    ("none, a figure only", "", (False, False, 0.0)),
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
    hint = suggestion(dataset).get("published", ())
    assert bool(hint) == bool(of_dataset)
    if hint:
        assert hint[1].removeprefix("snnrun train preset=") in of_dataset


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
