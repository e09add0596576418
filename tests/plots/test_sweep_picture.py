"""`snnrun plot` of a sweep: the score by its keys, and the curves of its settings."""

from __future__ import annotations

import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from runs import SMALL, here, overrides

from snnrun import plot
from snnrun.errors import RecordError
from snnrun.plots.sweep import Axis, sweep_picture
from snnrun.sweeps.settings import fold
from snnrun.sweeps.sweep import Sweep, read_sweep

pytest.importorskip("matplotlib")


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    """Two keys with values of three, of which one is refused, and two seeds."""
    folder = tmp_path_factory.mktemp("sweeps") / "grid"
    given = {k: v for k, v in SMALL.items() if k not in ("MODEL_SEED", "N_BATCH")} | {"N_EPOCH": 2}
    words = ["ETA=0.02,0.002,-1", "N_BATCH=20,5", "MODEL_SEED=1,2", f"hydra.sweep.dir={folder}"]
    assert here("train", "-m", *overrides(given), *words).returncode == 2
    return read_sweep(folder)


@pytest.mark.long
def test_a_sweep_gets_its_picture_in_its_folder(sweep: Sweep) -> None:
    done = here("plot", str(sweep.folder))
    assert done.stdout == f"{sweep.folder}/sweep.png\n", done.stderr
    assert (sweep.folder / "sweep.png").read_bytes().startswith(b"\x89PNG")


def test_the_heat_map_has_the_means_and_the_title_what_is_left_out(sweep: Sweep) -> None:
    figure = sweep_picture(sweep)
    assert figure._suptitle is not None
    assert figure._suptitle.get_text() == "grid: 8 finished runs; left out: 4 refused"
    [image] = [image for axes in figure.axes for image in axes.get_images()]
    wanted = {
        (s.values["ETA"], s.values["N_BATCH"]): s.figure("validation").mean
        for s in fold([job for job in sweep.jobs if job.state == "finished"])
    }
    shown = np.array([[wanted[eta, n] for n in ("5", "20")] for eta in ("0.002", "0.02")])
    np.testing.assert_array_equal(image.get_array(), shown)


def test_the_score_by_a_key_is_that_of_all_its_runs_in_the_order_of_numbers(sweep: Sweep) -> None:
    figure = sweep_picture(sweep, ["ETA"])
    axes = figure.axes[0]
    assert axes.get_xscale() == "log"
    [line] = [x for x in axes.get_lines() if len(x.get_xdata()) == 2 and x.get_ls() == "-"]
    jobs = [job for job in sweep.jobs if job.state == "finished"]
    means = [
        np.mean([j.validation_score for j in jobs if float(j.settings["ETA"]) == eta])
        for eta in (0.002, 0.02)
    ]
    np.testing.assert_allclose(line.get_xydata(), list(zip((0.002, 0.02), means, strict=True)))
    curves = figure.axes[1].get_lines()
    assert [len(curve.get_xdata()) for curve in curves] == [2, 2]


def test_few_settings_of_two_keys_are_named_in_the_order_of_their_curves(sweep: Sweep) -> None:
    figure = sweep_picture(sweep)
    (axes,) = [axes for axes in figure.axes if axes.get_legend()]
    legend = axes.get_legend()
    assert legend is not None
    keys = legend.get_title().get_text().split(", ")
    ends = {str(line.get_label()): float(line.get_xydata()[-1, 1]) for line in axes.get_lines()}
    assert set(ends) == {
        ", ".join(job.settings[key] for key in keys)
        for job in sweep.jobs
        if job.state == "finished"
    }
    named = [text.get_text() for text in legend.get_texts()]
    assert [ends[name] for name in named] == sorted(ends.values(), reverse=True)
    assert len({line.get_color() for line in axes.get_lines()}) == len(ends) == 4


def test_one_run_is_a_picture_too_and_runs_without_the_score_are_counted(sweep: Sweep) -> None:
    done = [job for job in sweep.jobs if job.state == "finished"]
    figure = sweep_picture(replace(sweep, jobs=(done[0], *sweep.jobs[-1:])))
    assert figure._suptitle is not None
    assert figure._suptitle.get_text() == "grid: 1 finished run; left out: 1 refused"
    without = replace(done[1], validation_score=math.nan)
    figure = sweep_picture(replace(sweep, jobs=(done[0], without, done[4])))
    assert figure._suptitle is not None
    assert figure._suptitle.get_text() == "grid: 2 finished runs; left out: 1 without the score"


def test_python_shows_it_too(sweep: Sweep) -> None:
    figure = plot(sweep.folder)
    assert figure._suptitle is not None
    assert figure._suptitle.get_text().startswith("grid: 8 finished runs")


def test_runs_that_were_put_into_a_folder_are_shown_like_a_sweep(
    sweep: Sweep, tmp_path: Path
) -> None:
    for job in (sweep.jobs[0], sweep.jobs[4]):
        shutil.copytree(job.folder, tmp_path / "mine" / job.folder.name)
    assert here("plot", str(tmp_path / "mine")).stdout == f"{tmp_path}/mine/sweep.png\n"


def test_texts_are_an_axis_too_and_stand_evenly() -> None:
    axis = Axis("LOSS_TYPE", ("max", "sum", "sum_weigh_exp"))
    assert [axis.height(value) for value in axis.values] == [0.0, 0.5, 1.0]
    assert not axis.logarithmic
    assert Axis("ETA", ("0.001", "0.1")).logarithmic


def test_mistakes_are_named(sweep: Sweep, tmp_path: Path) -> None:
    said = here("plot", str(sweep.folder), "--by", "ETB").stderr
    assert "ETB: there is no such key. Did you mean 'ETA'?" in said
    assert "--by ETA: give the folder of one sweep" in here("plot", "--by", "ETA").stderr
    nothing = Sweep(folder=tmp_path, asked=(), jobs=())
    with pytest.raises(RecordError, match="no job has finished, so there is nothing to plot yet"):
        sweep_picture(nothing)
