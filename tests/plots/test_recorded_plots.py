"""`snnrun plot` of what a run has recorded: trials, what is learned by epoch, animations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from omegaconf import OmegaConf
from runs import here, small, stopped_at

from snnrun.commands import plot as command
from snnrun.config import Config
from snnrun.errors import ConfigError, RecordError
from snnrun.record.paths import RunPaths
from snnrun.record.reader import load_run
from snnrun.record.saved import save_composed
from snnrun.run import built, train
from snnrun.training import checkpoint

pytest.importorskip("matplotlib")

from matplotlib.figure import Figure
from PIL import Image

from snnrun.plots import decisions, saved
from snnrun.plots.activity import activity
from snnrun.plots.confusion import confusion
from snnrun.plots.learned import learned
from snnrun.plots.potentials import Course, potentials
from snnrun.plots.records import Asked, Records, chosen
from snnrun.plots.style import Picture, shortened, width_of, wrapped

RECORDED: dict[str, Any] = {
    "TRAIN_TAU": True,
    "COLLECT_CONFUSION": True,
    "DEBUG_HIDDEN_N": True,
    "REC_SPIKES": ["input", "hidden", "output"],
    "REC_SPIKES_EPOCH_TRIAL": [[0, 0], [0, 5], [1, 7], [-1, 2]],
    "REC_NEURONS": [["hidden", "V"], ["output", "V"]],
    "REC_NEURONS_EPOCH_TRIAL": [[0, 5]],
    "W_OUTPUT_EPOCH_TRIAL": [[0, 0], [1, 0], [2, 0]],
}


def configured(folder: Path, **keys: Any) -> Config:
    """Return a small configuration, which is in the folder of a run that begins."""
    config = small(**keys)
    save_composed(RunPaths(folder), OmegaConf.create(config.to_dict()), [])
    return config


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recorded") / "run"
    train(configured(folder, **RECORDED), folder)
    return folder


@pytest.fixture
def records(folder: Path) -> Records:
    return Records(load_run(folder), built)


def one(records: Records, name: str, **asked: int) -> Picture:
    [picture] = saved.pictures(records, [name], Asked(**asked))
    return picture


def dashes(figure: Figure, panel: int) -> np.ndarray:
    """Return the spikes that a panel shows, [spikes, time and neuron]."""
    return max((line.get_xydata() for line in figure.axes[panel].get_lines()), key=len)


def title_of(figure: Figure) -> str:
    assert figure._suptitle is not None
    return figure._suptitle.get_text().replace("\n", " ")


def test_of_several_recorded_trials_the_one_asked_for_is_shown() -> None:
    recorded = [(0, 0), (0, 5), (1, 7), (3, 2)]
    wanted = {(): (3, 2), (0,): (0, 0), (0, 5): (0, 5), (-1,): (3, 2), (-2,): (1, 7)}
    for asked, cursor in wanted.items():
        given = dict(zip(("epoch", "trial"), asked, strict=False))
        assert chosen(recorded, Asked(**given), "spikes") == cursor
    assert chosen(recorded, Asked(trial=0), "spikes") == (0, 0)
    with pytest.raises(RecordError, match=r"--epoch 2: no spikes .* \(0, 0\), \(0, 5\), \(1, 7\)"):
        chosen(recorded, Asked(epoch=2), "spikes")


def test_silent_neurons_are_counted_in_a_bar_of_their_own() -> None:
    means = np.array([0.0] * 83 + [0.001] * 76 + [2.0] * 41)
    [axes] = activity({"hidden": means}, "spikes").figure().axes
    counts, silent = axes.containers
    assert axes.get_title(loc="left") == "hidden: 83 of 200 silent"
    assert [bar.get_height() for bar in silent] == [83]
    assert silent[0].get_x() + silent[0].get_width() <= 0
    assert [bar.get_height() for bar in counts if bar.get_height()] == [76, 41]


def test_undecided_examples_have_a_column_where_there_are_some() -> None:
    decided = np.array([[3, 1], [0, 4], [0, 0]])
    for none, columns in ((0, ["a", "b"]), (2, ["a", "b", "none"])):
        figure = confusion(
            {"test": decided + np.array([[0], [0], [none]])}, ["a", "b"], "c"
        ).figure()
        assert [tick.get_text() for tick in figure.axes[0].get_xticklabels()] == columns


def test_texts_that_are_too_long_are_broken_or_end_in_dots() -> None:
    text = "HIDDEN_TO_OUTPUT_CONNECTIVITY=a_value " * 9
    assert width_of(shortened(text, 10, 3), 10) <= 3 < width_of(text, 10)
    assert shortened("ETA=0.1", 10, 3) == "ETA=0.1"
    assert all(width_of(line, 10) < 4.5 for line in wrapped(text, 10, 4).splitlines())


def test_of_many_neurons_the_traces_are_those_that_move_most() -> None:
    values = np.zeros((10, 40))
    values[5, 3::4] = np.arange(10)
    figure = potentials([Course(population="a", variable="V", values=values)], 5.0, "V").figure()
    traces, image = figure.axes[:2]
    assert sorted(line.get_ydata().max() for line in traces.get_lines()) == [3, 4, 5, 6, 7, 8, 9]
    assert "7 of 40" in traces.get_title(loc="left")
    np.testing.assert_array_equal(image.get_images()[0].get_array(), values.T)


@pytest.mark.long
def test_the_raster_shows_the_recorded_spikes_of_the_example(records: Records) -> None:
    picture = one(records, "raster", epoch=0, trial=5, example=3)
    figure = picture.figure()
    for panel, name in enumerate(("input", "hidden", "output")):
        times, ids = records.run.spikes(0, 5, name).example(3)
        np.testing.assert_array_equal(dashes(figure, panel), np.column_stack([times, ids]))
    record = records.run.spikes(0, 5, "input")
    assert record.labels is not None
    label = ("yin", "yang", "dot")[record.labels[3]]
    assert "epoch 0, trial 5 (training), example 3 of 0 to 19" in picture.title
    assert f"number {record.examples[3]} of its data: class {record.labels[3]} ({label})" in (
        picture.title
    )
    assert "epoch 1, trial 7 (validation)" in one(records, "raster", epoch=1).title
    assert "epoch 2, trial 2 (training), example 0" in one(records, "raster").title


@pytest.mark.long
def test_potentials_are_the_recorded_ones_with_threshold_and_spikes(records: Records) -> None:
    figure = one(records, "potentials", example=3).figure()
    values = records.run.variables(0, 5, "hidden", "V")[3]
    traces, image = figure.axes[:2]
    np.testing.assert_array_equal(image.get_images()[0].get_array(), values.T)
    shown = np.stack(
        [line.get_ydata() for line in traces.get_lines() if len(line.get_ydata()) > 99]
    )
    np.testing.assert_array_equal(shown, values.T[np.sort(np.argsort(-np.ptp(values, 0))[:7])])
    lines = {line.get_label(): line for line in traces.get_lines()}
    assert set(lines["threshold"].get_ydata()) == {1.0}
    assert "spike, at the upper edge" in lines


@pytest.mark.long
def test_what_is_learned_is_shown_over_the_epochs_and_when_it_was_recorded(
    records: Records,
) -> None:
    figure = one(records, "weights_by_epoch").figure()
    median = next(line for line in figure.axes[0].get_lines() if line.get_label() == "median")
    np.testing.assert_array_equal(median.get_xdata(), [0, 1, 2, 3])
    recorded = [records.run.weights(epoch, 0)["in_to_hid"] for epoch in range(3)]
    np.testing.assert_allclose(median.get_ydata()[:3], [np.median(w) for w in recorded])
    taus = one(records, "time_constants_by_epoch").figure().axes[0].get_lines()[0]
    assert taus.get_ydata()[0] == 20.0
    counts = one(records, "weights", epoch=1).figure().axes[0].containers[0]
    edges = [bar.get_x() for bar in counts]
    assert min(edges) == pytest.approx(recorded[1].min())
    assert "weights at epoch 1, trial 0" in one(records, "weights", epoch=1).title
    assert "weights after epoch 2" in one(records, "weights").title
    assert "confusion after epoch 2" in one(records, "confusion").title
    assert "the training of epoch 2" in one(records, "activity").title


@pytest.mark.long
def test_activity_is_that_of_the_records(records: Records) -> None:
    epochs = records.run.epochs
    figure = one(records, "activity_by_epoch").figure()
    spikes, silent = figure.axes[0], figure.axes[len(figure.axes) // 2]
    np.testing.assert_array_equal(
        spikes.get_lines()[0].get_ydata(), epochs["spikes_per_neuron/hidden"]
    )
    np.testing.assert_array_equal(
        silent.get_lines()[0].get_ydata(), epochs["silent_neurons/hidden"]
    )
    assert silent.get_ylabel() == "silent neurons of 30"
    assert spikes.collections  # DEBUG_HIDDEN_N: the deviation as a band
    [axes] = one(records, "activity").figure().axes
    count = int(epochs["silent_neurons/hidden"][-1])
    assert axes.get_title(loc="left") == f"hidden: {count} of 30 silent"


@pytest.mark.long
def test_the_decisions_are_those_of_the_network_at_that_time(records: Records) -> None:
    last = one(records, "decisions").figure()
    image = np.asarray(last.axes[0].get_images()[0].get_array())
    from snnrun import evaluate

    run = records.run.paths.root
    data = decisions.part_of(decisions.points(), np.zeros(decisions.SIDE**2, int)).events
    times = np.asarray(data.values).reshape(-1, 5) * (30 - 4 * 0.2) + 2 * 0.2
    some = range(0, len(times), 997)
    found = evaluate(run, [(times[k] + 1e-6, np.arange(5)) for k in some])
    np.testing.assert_array_equal(found.predictions, image.ravel()[list(some)])
    first = one(records, "decisions", epoch=0).figure()
    assert (np.asarray(first.axes[0].get_images()[0].get_array()) != image).any()
    assert "decisions at epoch 0, trial 0" in title_of(first)


@pytest.mark.long
def test_everything_that_was_recorded_is_drawn_at_any_size(folder: Path, tmp_path: Path) -> None:
    done = here("plot", str(folder), "--size", "6x4", "--dpi", "50")
    assert done.stdout == f"{RunPaths(folder).plots}\n", done.stderr
    drawn = {path.stem: Image.open(path).size for path in RunPaths(folder).plots.iterdir()}
    assert {name for name in saved.NAMES if name not in drawn} == {
        *("pattern", "fields", "kernels", "delays", "delays_by_epoch")
    }
    assert set(drawn.values()) == {(300, 200)}
    file = tmp_path / "raster.svg"
    done = here("plot", str(folder), "--what", "raster", "--epoch", "-1", "--output", str(file))
    assert done.returncode == 0
    assert b"<svg" in file.read_bytes()


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "frames"), [("training", 3), ("confusion", 3), ("weights", 3), ("decisions", 3)]
)
def test_an_animation_goes_through_the_epochs(
    folder: Path, tmp_path: Path, name: str, frames: int
) -> None:
    file = tmp_path / f"{name}.gif"
    words = ["--what", name, "--output", str(file), "--size", "5x4", "--dpi", "40"]
    assert here("plot", str(folder), *words).returncode == 0
    with Image.open(file) as image:
        assert image.n_frames == frames  # type: ignore[attr-defined]
        assert image.size == (200, 160)


@pytest.mark.long
def test_the_animation_of_a_raster_goes_through_the_trial(records: Records) -> None:
    frames = saved.frames(records, "raster", Asked(epoch=0, trial=5, example=3))
    times, ids = records.run.spikes(0, 5, "hidden").example(3)
    for k in (0, len(frames) // 2, len(frames) - 1):
        until = 30.0 * (k + 1) / len(frames)
        seen = times <= until
        line = frames[k].figure().axes[1].get_lines()[0]
        np.testing.assert_array_equal(line.get_xydata(), np.column_stack([times, ids])[seen])


@pytest.mark.long
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--what", "rastr"], "no such picture. Did you mean 'raster'? Pictures: training, "),
        (["--what", "rastr"], "Of this run there are: training, activity, "),
        (["--what", "fields,raster"], "has nothing for it: fields needs a checkpoint, and inputs"),
        (["--what", "raster", "--epoch", "9"], "(0, 0), (0, 5), (1, 7), (2, 2)"),
        (["--what", "raster", "--example", "20"], "has the examples 0 to 19"),
        (["--what", "training", "--epoch", "1"], "no effect on training; it is for confusion, "),
        (["--epoch", "9"], "recorded (epoch, trial): (0, 0)"),
        (["--what", "confusion", "--epoch", "3"], "recorded epochs: 0 to 2"),
        (["--what", "network", "--output", "n.gif"], "is no animation; there are training, "),
        (["--what", "raster,weights", "--output", "n.png"], "is one picture, and --what names 2"),
    ],
)
def test_what_is_not_there_is_refused_with_what_there_is(
    folder: Path, words: list[str], message: str
) -> None:
    done = here("plot", str(folder), *words)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.startswith("snnrun: error: --")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--epoch", "x"], "--epoch x: must be a whole number"),
        (["--trial", "-1"], "--trial -1: must be a whole number from 0 on"),
        (["--size", "8"], "must be width and height in inches, 1 to 100, as in --size 8x4.5"),
        (["--dpi", "5"], "--dpi 5: must be a whole number from 10 to 1200"),
        (["--what"], "--what: needs names of pictures"),
    ],
)
def test_options_of_the_wrong_form_are_refused(words: list[str], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        command.read(words)
    assert message in str(caught.value)


def test_help_names_every_picture_and_option() -> None:
    words = command.HELP.replace(",", " ").split()
    assert set(saved.NAMES) <= set(words)
    assert all(option in command.HELP for option in command.PLOT_OPTIONS)


@pytest.mark.long
def test_a_run_in_its_first_epoch_shows_what_it_has_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert stopped_at(3, configured(tmp_path, **RECORDED), tmp_path, monkeypatch)
    assert "epoch" not in load_run(tmp_path).epochs
    done = here("plot", str(tmp_path))
    assert done.returncode == 0, done.stderr
    drawn = {path.stem for path in RunPaths(tmp_path).plots.iterdir()}
    assert {"raster", "weights", "network"} <= drawn
    assert "training" not in drawn
    trials = checkpoint.load(RunPaths(tmp_path).last)["trial"]
    assert trials
    title = one(Records(load_run(tmp_path)), "weights").title
    assert f"weights in epoch 0, after {trials} trial" in title


@pytest.mark.long
def test_parts_of_what_is_learned_are_shown_as_far_as_they_were_recorded(tmp_path: Path) -> None:
    keys = {"REC_SYNAPSES": [["in_to_hid", "g"]], "REC_SYNAPSES_EPOCH_TRIAL": [[1, 0]]}
    train(small(N_EPOCH=2, **keys), tmp_path)
    records = Records(load_run(tmp_path), built)
    [axes] = one(records, "weights", epoch=1).figure().axes
    assert axes.get_title(loc="left") == "in_to_hid"
    assert records.network is not None
    assert not learned(records.network, {}).weights
    picture = one(records, "decisions", epoch=1)
    with pytest.raises(RecordError, match="hid_to_out was not recorded then; W_OUTPUT_EPOCH"):
        picture.figure()
