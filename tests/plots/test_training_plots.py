"""TRAINING_PLOT and FANCY_PLOTS: which pictures there are, what is in them, what they change."""

from __future__ import annotations

import itertools
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from long import long_but
from runs import (
    LONG,
    SMALL,
    assert_same_run,
    command,
    overrides,
    small,
    snnrun,
    stopped_at_an_epoch,
)

from snnrun.config import from_dict
from snnrun.errors import ConfigError, RecordError
from snnrun.page.course import _rate as rate_of
from snnrun.plots import live
from snnrun.plots.training import course
from snnrun.plots.window import Window
from snnrun.record.paths import RunPaths
from snnrun.record.reader import load_run
from snnrun.run import train
from snnrun.tasks import CLASSIFICATION

matplotlib = pytest.importorskip("matplotlib")

PLOTS: dict[str, Any] = {
    "TRAINING_PLOT": True,
    "FANCY_PLOTS": True,
    "COLLECT_CONFUSION": True,
    "TRAIN_TAU": True,
}
ALL = {"training", "raster", "network", "weights", "activity", "confusion", "time_constants"}


@pytest.fixture(autouse=True)
def no_display(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def plotted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plots") / "run"
    train(small(**PLOTS), folder)
    return folder


def size_of_png(path: Path) -> tuple[int, int]:
    """Decode a picture whole and return its width and height in pixels."""
    from matplotlib.image import imread

    pixels = imread(path)
    assert pixels.std() > 0.01, "an empty picture"
    return pixels.shape[1], pixels.shape[0]


def pictures(folder: Path) -> set[str]:
    return {path.stem for path in RunPaths(folder).plots.iterdir()}


def test_a_run_leaves_every_picture_whole_and_says_where(plotted: Path) -> None:
    assert pictures(plotted) == ALL
    for name in ALL:
        width, height = size_of_png(RunPaths(plotted).plot(name))
        assert 200 < width < 1500
        assert 250 < height < 1500
    assert f"{RunPaths(plotted).plots}: plots" in RunPaths(plotted).log.read_text()


def test_without_the_keys_there_are_none_and_the_bits_are_the_same(
    plotted: Path, tmp_path: Path
) -> None:
    train(small(COLLECT_CONFUSION=True, TRAIN_TAU=True), tmp_path)
    assert not RunPaths(tmp_path).plots.exists()
    assert_same_run(plotted, tmp_path)


def test_each_key_makes_its_own_pictures(tmp_path: Path) -> None:
    train(small(N_EPOCH=1, TRAINING_PLOT=True), tmp_path / "a")
    assert pictures(tmp_path / "a") == {"training"}
    unwatched = {"N_VALIDATE": 0, "CHECKPOINT_BEST": "neither"}
    train(small(N_EPOCH=1, FANCY_PLOTS=True, **unwatched), tmp_path / "b")
    assert pictures(tmp_path / "b") == {"raster", "network", "weights", "activity"}


def test_pictures_are_made_at_the_interval_and_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[tuple[str, int]] = []

    def note_fancy(self: live.LivePlots, epoch: int, counts: np.ndarray) -> None:
        drawn.append(("fancy", epoch))

    def note_course(self: live.LivePlots) -> None:
        drawn.append(("course", len(self._record.epochs) - 1))

    monkeypatch.setattr(live.LivePlots, "_fancy", note_fancy)
    monkeypatch.setattr(live.LivePlots, "_training", note_course)
    train(small(**PLOTS, TRAINING_PLOT_INTERVAL=2, N_EPOCH=5), tmp_path)
    assert [epoch for kind, epoch in drawn if kind == "fancy"] == [1, 3, 4]
    assert [epoch for kind, epoch in drawn if kind == "course"] == [1, 3, 4, 4]  # with the test


def test_the_curves_are_the_recorded_columns(plotted: Path) -> None:
    run = load_run(plotted)
    figure = course(run.epochs, run.task, run.test).figure()
    accuracy, loss, rate, activity, silent = figure.axes
    for axes, quantity in ((accuracy, "accuracy"), (loss, "loss")):
        training, validation, test = axes.get_lines()
        for line, split in ((training, "train"), (validation, "validation")):
            np.testing.assert_array_equal(line.get_xdata(), run.epochs["epoch"])
            np.testing.assert_array_equal(line.get_ydata(), run.epochs[f"{split}_{quantity}"])
        np.testing.assert_array_equal(test.get_xydata(), [[2, run.test[quantity]]])
    for axes, column in (
        (rate, "learning_rate"),
        (activity, "spikes_per_neuron/hidden"),
        (silent, "silent_neurons/hidden"),
    ):
        np.testing.assert_array_equal(axes.get_lines()[0].get_ydata(), run.epochs[column])


def test_the_rate_has_a_log_axis_where_it_falls_steadily_and_none_where_it_ends_at_zero() -> None:
    epochs = np.arange(40)
    cosine = 5e-3 * (1 + np.cos(np.pi * (epochs + 0.99) / 40)) / 2
    for rates, scale in ((cosine, "linear"), (5e-3 * 0.7**epochs, "log")):
        columns = {"epoch": epochs, "train_loss": 1.0 + epochs, "train_accuracy": epochs / 40}
        figure = course({**columns, "learning_rate": rates}, CLASSIFICATION).figure()
        assert figure.axes[2].get_yscale() == scale
        axis = rate_of({**columns, "learning_rate": rates}).views[0].layout["yaxis"]
        assert axis.get("type", "linear") == scale


@pytest.mark.parametrize("count", [1, 300])
def test_the_axis_of_epochs_has_whole_numbers_that_do_not_overlap(count: int) -> None:
    epochs = {"epoch": np.arange(count)} | {
        name: np.linspace(2, 1, count)
        for name in ("train_loss", "train_accuracy", "learning_rate", "spikes_per_neuron/hidden")
    }
    figure = course(epochs, CLASSIFICATION).figure()
    figure.draw_without_rendering()
    for axes in figure.axes:
        low, high = axes.get_xlim()
        ticks = [x for x in axes.get_xticks() if low <= x <= high]
        assert ticks
        assert all(x == round(x) for x in ticks)
        boxes = [t.label1.get_window_extent() for t in axes.xaxis.get_major_ticks()]
        boxes = [b for b, x in zip(boxes, axes.get_xticks(), strict=True) if low <= x <= high]
        assert all(a.x1 < b.x0 for a, b in itertools.pairwise(boxes))


@pytest.mark.long
def test_a_run_that_is_resumed_goes_on_with_its_plots(tmp_path: Path, plotted: Path) -> None:
    folder = tmp_path / plotted.name  # which is in the titles
    train(small(**PLOTS, N_EPOCH=1), folder)
    RunPaths(folder).plot("training").unlink()
    train(small(**PLOTS), folder, resume=True)
    assert pictures(folder) == ALL
    for name in ("weights", "raster", "activity", "confusion", "time_constants"):
        pair = [RunPaths(one).plot(name).read_bytes() for one in (folder, plotted)]
        assert pair[0] == pair[1], name


@pytest.mark.usefixtures("places")
@pytest.mark.long
def test_ctrl_c_leaves_a_valid_picture() -> None:
    words = [*overrides(LONG), "TRAINING_PLOT=true", "TRAINING_PLOT_INTERVAL=1000"]
    code, said = stopped_at_an_epoch([*command("train"), *words, "hydra.run.dir=run"])
    assert code == 128 + signal.SIGINT, said
    assert size_of_png(Path("run/plots/training.png"))[0] > 400


BLOCKED = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "matplotlib":
            raise ModuleNotFoundError("No module named 'matplotlib'", name="matplotlib")
sys.meta_path.insert(0, Blocker())
from snnrun.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.usefixtures("places")
@pytest.mark.parametrize("key", long_but(["TRAINING_PLOT", "FANCY_PLOTS"], ["FANCY_PLOTS"]))
@pytest.mark.long
def test_without_matplotlib_a_run_stops_before_it_begins(key: str) -> None:
    words = ["train", *overrides(SMALL), "hydra.run.dir=run"]
    run = [sys.executable, "-c", BLOCKED, *words]
    done = subprocess.run([*run, f"{key}=true"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == (
        f"snnrun: error: {key}=true: needs matplotlib, which is not installed. Install it: "
        "pip install '.[plot]' in the folder of snnrun's source, or pip install matplotlib\n"
    )
    assert not Path("run/run.h5").exists()
    done = subprocess.run([*run, "N_EPOCH=1"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr  # nothing else needs it


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"TRAINING_PLOT": True, "WRITE_TO_DISK": False}, "TRAINING_PLOT=true: plots are files.*"),
        ({"FANCY_PLOTS": True, "WRITE_TO_DISK": False}, "FANCY_PLOTS=true: plots are files.*"),
        ({"TRAINING_PLOT_INTERVAL": 3}, "TRAINING_PLOT_INTERVAL=3"),
    ],
)
def test_plots_without_effect_are_refused(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        from_dict(keys)


@pytest.mark.long
@pytest.mark.usefixtures("places")
def test_a_broken_display_costs_one_warning_and_no_picture(monkeypatch: Any) -> None:
    monkeypatch.setenv("DISPLAY", ":4711")
    monkeypatch.delenv("MPLBACKEND", raising=False)
    words = ["train", *overrides(SMALL), "TRAINING_PLOT=true", "TRAINING_PLOT_INTERVAL=1"]
    done = snnrun(*words, "hydra.run.dir=run")
    assert done.returncode == 0, done.stderr
    assert (done.stdout + done.stderr).count("no window for the plots") == 1
    assert size_of_png(Path("run/plots/training.png"))[0] > 400


def test_a_window_that_fails_is_given_up_with_one_warning(monkeypatch: Any) -> None:
    import matplotlib.pyplot as plt
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    monkeypatch.setenv("DISPLAY", ":0")
    matplotlib.use("agg")
    monkeypatch.setattr(FigureCanvasAgg, "required_interactive_framework", "test", raising=False)
    monkeypatch.setattr("matplotlib.figure.Figure.show", lambda self: None)
    said: list[str] = []
    window = Window("title", (4.0, 3.0), said.append)
    seen: list[str] = []
    window.show(lambda figure: seen.append(figure.canvas.manager.get_window_title() or "title"))
    assert len(seen) == 1
    monkeypatch.setattr(FigureCanvasAgg, "draw_idle", lambda self: 1 / 0)
    for _ in range(2):
        window.show(lambda figure: seen.append("again"))
        window.refresh()
    assert len(seen) == 2
    assert said == [
        "no window for the plots (division by zero); the files are written all the same"
    ]
    plt.close("all")


@pytest.mark.long
def test_a_picture_that_fails_ends_no_run_but_a_full_disk_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*arguments: Any) -> None:
        raise ValueError("wrong shape")

    monkeypatch.setattr(live, "raster", fail)
    train(small(**PLOTS, TRAINING_PLOT_INTERVAL=2), tmp_path / "a")
    assert pictures(tmp_path / "a") == ALL - {"raster"}
    assert capsys.readouterr().out.count("no more plots of the raster: ValueError: wrong") == 1
    (tmp_path / "b" / "plots").mkdir(parents=True)
    (tmp_path / "b" / "plots" / "training.png").mkdir()
    with pytest.raises(RecordError, match=r"training\.png: a folder has this name"):
        train(small(**PLOTS), tmp_path / "b")
