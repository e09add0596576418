"""Several runs in one picture: what they are called, how they are told apart, what is overlaid."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from omegaconf import OmegaConf
from runs import SMALL, here, overrides, small

from snnrun.plots.groups import Group, folder_of, group, name_of, title_of
from snnrun.record.paths import RunPaths
from snnrun.record.reader import Run
from snnrun.record.saved import save_config
from snnrun.tasks import CLASSIFICATION, SPIKE_PATTERN, Task

pytest.importorskip("matplotlib")

from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from snnrun.plots.comparison import draw_comparison, label_of
from snnrun.plots.style import COLOURS, GREY, ORDERED, new_figure

LONG = "HIDDEN_TO_OUTPUT_CONNECTIVITY_OF_THE_SECOND_KIND"


def curves(task: Task, last: float, epochs: int = 4) -> dict[str, np.ndarray]:
    """Return the table of epochs of a run whose score rises to ``last``, less in validation."""
    rising = np.linspace(0.1, last, epochs)
    columns = {f"train_{task.score}": rising, f"validation_{task.score}": rising / 2}
    losses = {"train_loss": 1 - rising, "validation_loss": 2 - rising}
    return {"epoch": np.arange(epochs), **columns, **losses}


def made(settings: Mapping[str, Any], last: float = 0.9, **fields: Any) -> Group:
    task = fields.pop("task", CLASSIFICATION)
    given = {"name": "run", "named": False, "loss": "sum", **fields}
    return Group(settings=settings, task=task, runs=[curves(task, last)], **given)


def drawn(*groups: Group) -> Figure:
    figure = new_figure(10.5, 8.0)
    draw_comparison(figure, groups)
    return figure


def legend_of(figure: Figure) -> list[str]:
    return [text.get_text() for found in figure.legends for text in found.get_texts()]


def headline_of(figure: Figure) -> str:
    assert figure._suptitle is not None
    return figure._suptitle.get_text().replace("\n", " ")


def colours_of(figure: Figure, panel: int = 0) -> list[str]:
    return [to_hex(line.get_color()).upper() for line in figure.axes[panel].get_lines()]


def test_one_key_of_numbers_is_a_scale_of_colours() -> None:
    values = [0.001, 0.01, 0.1]
    figure = drawn(*(made({"ETA": value}) for value in values))
    assert colours_of(figure) == [to_hex(ORDERED(share)).upper() for share in (0.0, 0.5, 1.0)]
    bar = figure.axes[-1]
    assert bar.get_ylabel() == "ETA"
    assert [tick.get_text() for tick in bar.get_yticklabels()] == ["0.001", "0.01", "0.1"]
    assert not figure.legends


def test_a_second_key_of_few_values_is_told_by_dashes() -> None:
    pairs = [(eta, tau) for eta in (1.0, 2.0, 3.0) for tau in (True, False)]
    figure = drawn(*(made({"ETA": eta, "TRAIN_TAU": tau}) for eta, tau in pairs))
    assert [line.get_linestyle() for line in figure.axes[0].get_lines()] == ["-", "--"] * 3
    assert legend_of(figure) == ["TRAIN_TAU=true", "TRAIN_TAU=false"]


def test_runs_with_names_or_many_keys_have_a_colour_each() -> None:
    named = [made({"ETA": eta}, name=f"n{eta}", named=True) for eta in (1.0, 2.0, 3.0)]
    assert legend_of(drawn(*named)) == [f"n{eta}, ETA={eta}" for eta in (1.0, 2.0, 3.0)]
    keys = ("A", "B", "C", "D")
    many = [made(dict.fromkeys(keys, eta)) for eta in (1, 2, 3)]
    assert colours_of(drawn(*many)) == list(COLOURS[:3])


def test_of_many_runs_without_an_order_the_best_have_colours_and_names() -> None:
    groups = [made({"dataset": f"set{k}"}, last=0.2 + 0.02 * k) for k in range(30)]
    figure = drawn(*groups)
    shown = colours_of(figure)
    assert shown[-len(COLOURS) :] == list(reversed(COLOURS))
    assert set(shown[: -len(COLOURS)]) == {GREY.upper()}
    assert legend_of(figure) == [f"dataset=set{29 - k}" for k in range(len(COLOURS))]
    assert "In colour the best 7, by the score of the last epoch" in headline_of(figure)


def test_names_of_keys_that_are_too_long_leave_the_picture_whole() -> None:
    settings = [{f"{LONG}_{k}": f"value{k * n}" for k in range(9)} for n in (1, 2)]
    groups = [made(one, name="mnist") for one in settings]
    assert label_of(groups[0], True, 10.5) == f"mnist, {LONG}_0=value0, and 8 more keys"
    alike = [made({**{f"{LONG}_{k}": k for k in range(9)}, "ETA": eta}) for eta in ("a", "b")]
    assert legend_of(drawn(*alike))[1] == f"ETA=b, {LONG}_0=0, and 8 more keys"
    figure = drawn(*groups)
    figure.draw_without_rendering()
    edges = [found.get_window_extent() for found in figure.legends]
    assert all(0 <= box.x0 < box.x1 <= figure.bbox.width for box in edges)


def test_training_and_validation_have_one_range() -> None:
    figure = drawn(made({"A": "x"}), made({"A": "y"}, last=0.5))
    for left in (0, 2):
        assert figure.axes[left].get_ylim() == figure.axes[left + 1].get_ylim()


def test_tasks_and_losses_that_share_no_measure_are_not_overlaid() -> None:
    figure = drawn(
        made({"A": "x"}, loss="sum"),
        made({"A": "y"}, loss="max"),
        made({"A": "z"}, task=SPIKE_PATTERN, loss="van_rossum"),
    )
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles[::2] == ["Accuracy in training", "Skill in training", "Loss in training"]
    assert [len(axes.get_lines()) for axes in figure.axes] == [2, 2, 1, 1, 1, 1]
    said = headline_of(figure)
    assert "No loss is shown, as LOSS_TYPE differs: max, sum" in said
    assert "accuracy and skill are in rows of their own" in said


def test_what_was_not_validated_says_so() -> None:
    one = made({"A": "x"})
    run = {k: np.full(4, np.nan) if k.startswith("val") else v for k, v in one.runs[0].items()}
    figure = drawn(Group(name="a", settings={}, task=one.task, runs=[run]))
    assert [text.get_text() for text in figure.axes[1].texts] == ["no validation"]


def begun(folder: Path, preset: str = "none", words: tuple[str, ...] = ()) -> RunPaths:
    paths = RunPaths(folder)
    paths.hydra.mkdir(parents=True)
    composed = {"hydra": {"runtime": {"choices": {"preset": preset}}}}
    save_config(OmegaConf.create(composed), paths.composed)
    save_config(OmegaConf.create(list(words)), paths.overrides)
    return paths


def test_runs_are_called_by_name_preset_or_folder(tmp_path: Path) -> None:
    job = begun(tmp_path / "sweep" / "3")
    assert (name_of("unnamed", job), folder_of(job)) == ("", "sweep/3")
    assert title_of("unnamed", "shd", job) == "sweep/3, shd"
    preset = begun(tmp_path / "mine", preset="shd_best")
    assert name_of("unnamed", preset) == "shd_best"
    assert title_of("unnamed", "shd", preset) == "shd_best, shd (mine)"
    assert title_of("night", "shd", preset) == "night, shd (mine)"


def test_groups_are_in_the_order_of_numbers_and_told_by_what_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, configs = [], {}
    for k, eta in enumerate((10.0, 9.0, 0.5)):
        paths = begun(tmp_path / f"r{k}", preset=f"p{k}", words=(f"ETA={eta}",))
        configs[paths.root] = small(ETA=eta, NUM_HIDDEN=30 + k).to_dict()
        found.append(
            Run(paths=paths, sessions=[], epochs=curves(CLASSIFICATION, 0.5), test={}, finished="")
        )
    monkeypatch.setattr(Run, "config", property(lambda run: configs[run.paths.root]))
    assert [(one.name, one.told) for one in group(found)] == [
        *(("p2", ["ETA=0.5"]), ("p1", ["ETA=9.0"]), ("p0", ["ETA=10.0"]))
    ]
    save_config(OmegaConf.create({}), found[0].paths.composed)
    for run in found:
        save_config(OmegaConf.create({}), run.paths.composed)
    assert group(found)[0].told == ["ETA=0.5", "NUM_HIDDEN=32"]


def test_a_choice_is_told_as_it_was_given_without_the_options_that_follow_from_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, configs = [], {}
    for rule in ("eventprop", "surrogate", "eprop"):
        paths = begun(tmp_path / rule, words=(f"rule={rule}",))
        configs[paths.root] = small(rule=rule, LOSS_TYPE="max").to_dict()
        found.append(
            Run(paths=paths, sessions=[], epochs=curves(CLASSIFICATION, 0.5), test={}, finished="")
        )
    monkeypatch.setattr(Run, "config", property(lambda run: configs[run.paths.root]))
    assert [one.told for one in group(found)] == [
        ["rule=eprop"],
        ["rule=eventprop"],
        ["rule=surrogate"],
    ]
    steep = {"rule": "surrogate", "rule.scale": 50.0, "LOSS_TYPE": "max"}
    configs[found[2].paths.root] = small(**steep).to_dict()
    configs[found[0].paths.root] = small(**steep | {"rule.scale": None}).to_dict()
    assert {shown for one in group(found) for shown in one.told} >= {
        "rule.scale=50.0",
        "rule.scale=null",
    }


@pytest.mark.long
def test_runs_of_a_sweep_that_differ_by_seeds_are_compared_in_its_folder(tmp_path: Path) -> None:
    given = {k: v for k, v in SMALL.items() if k != "MODEL_SEED"} | {"N_EPOCH": 1}
    folder = tmp_path / "seeds"
    words = ["MODEL_SEED=1,2", f"hydra.sweep.dir={folder}"]
    assert here("train", "-m", *overrides(given), *words).returncode == 0
    RunPaths(folder / "1").run.unlink()
    done = here("plot", str(folder))
    assert done.stdout == f"{folder}/comparison.png\n", done.stderr
    assert "left out: " in done.stderr
    one_by_one = here("plot", *map(str, folder.glob("[!.]*")))
    assert one_by_one.stdout == done.stdout
    refused = here("plot", str(folder), "--what", "raster")
    assert (refused.returncode, "--what: is for one run" in refused.stderr) == (2, True)
