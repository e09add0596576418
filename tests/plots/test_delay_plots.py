"""delays.png: the delays of each projection over the training; weights where there are synapses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from runs import small

from snnrun.config import Config
from snnrun.network.build import build_network
from snnrun.record import load_run
from snnrun.record.paths import RunPaths
from snnrun.run import train
from snnrun.training.checkpoint import load as load_checkpoint

matplotlib = pytest.importorskip("matplotlib")

from snnrun.plots.delays import courses, histograms_of_delays  # noqa: E402
from snnrun.plots.learned import histograms_of_weights, learned, pictures_of  # noqa: E402
from snnrun.plots.records import Records  # noqa: E402
from snnrun.plots.saved import write_all  # noqa: E402

SPARSE = {"kind": "sparse", "fan_in": 3}
PROJECTIONS: list[dict[str, Any]] = [
    {"from": "input", "to": "a", "delay": {"max": 5, "train": True}, "mean": 1.8, "std": 0.8},
    {
        "from": "a",
        "to": "b",
        "connectivity": SPARSE,
        "mean": 4.0,
        "delay": {"kind": "synaptic", "start": {"uniform": [1, 3]}, "max": 6, "train": True},
    },
    {"from": "a", "to": "output", "delay": 2.0},
    {"from": "b", "to": "output", "delay": {"kind": "dendritic", "start": [1, 2, 4]}},
    {"from": "b", "to": "a", "connectivity": {"kind": "list", "synapses": [[0, 0], [3, 5]]}},
]
POPULATIONS = [{"name": "a", "size": 12}, {"name": "b", "size": 9}]


def configured(**keys: Any) -> Config:
    graph = {"network.populations": POPULATIONS, "network.projections": PROJECTIONS}
    return small(**graph, backend="numpy", NUM_HIDDEN=200, ETA_DELAY=0.3, N_TRAIN=60, **keys)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("delays") / "run"
    moments = [[epoch, trial] for epoch in range(3) for trial in (0, 1)]
    train(configured(N_EPOCH=3, DELAY_OUTPUT_EPOCH_TRIAL=moments, FANCY_PLOTS=True), folder)
    return folder


def tensors_of(run: Path) -> dict[str, np.ndarray]:
    saved = load_checkpoint(RunPaths(run).last)["tensors"]
    return {name: kept["value"] for name, kept in saved.items()}


@pytest.mark.long
def test_a_run_with_delays_gets_the_picture_while_it_trains_and_afterwards(run: Path) -> None:
    file = RunPaths(run).plot("delays")
    live = file.read_bytes()
    file.unlink()
    write_all(Records(load_run(run)), ["delays"])
    assert live[:4] == file.read_bytes()[:4] == b"\x89PNG"
    assert live != file.read_bytes()  # only afterwards with what was recorded


def test_delays_are_counted_where_there_are_synapses_from_the_start_to_now(run: Path) -> None:
    network, tensors = build_network(configured(), 5, 3), tensors_of(run)
    found = {course.projection: course for course in courses(network, tensors, {})}
    assert list(found) == ["input_to_a", "a_to_b", "b_to_output"]  # not the one that is 2 ms
    assert [len(course.now) for course in found.values()] == [5, 3 * 9, 3]
    mask = network.projections[2].synapses
    assert mask is not None
    np.testing.assert_array_equal(found["a_to_b"].now, tensors["a_to_b_delays"][mask.mask])
    [(when, start)] = found["a_to_b"].before
    assert when == "at the start"
    assert start.min() >= 1
    assert (start != found["a_to_b"].now).any()
    assert not found["b_to_output"].before


def test_moments_between_are_those_that_were_recorded_evenly_chosen(run: Path) -> None:
    network, tensors = build_network(configured(), 5, 3), tensors_of(run)
    recorded = load_run(run)
    moments = {f"{e}.{t}": recorded.delays(e, t) for e in range(3) for t in (0, 1)}
    [course, other, fixed] = courses(network, tensors, moments)
    assert [when for when, _ in course.before] == ["at the start", "0.0", "1.0", "1.1", "2.1"]
    np.testing.assert_array_equal(course.before[3][1], moments["1.1"]["input_to_a"].ravel())
    assert not fixed.before
    figure = histograms_of_delays([course, other, fixed], "Delays").figure()
    axes = figure.axes[1]
    assert axes.get_title(loc="left") == "a_to_b"
    assert axes.get_ylabel() == "synapses"
    assert sum(bar.get_height() for bar in axes.containers[0]) == 27
    shown = [text.get_text() for text in figure.legends[0].get_texts()]
    assert shown == ["now", "at the start", "0.0", "1.0", "1.1", "2.1"]


def test_histograms_of_weights_count_synapses_and_nothing_else(run: Path) -> None:
    network, tensors = build_network(configured(), 5, 3), tensors_of(run)
    found = learned(network, tensors)
    figure = histograms_of_weights(found.weights, "Weights").figure()
    counted = {
        axes.get_title(loc="left"): sum(bar.get_height() for bar in axes.containers[0])
        for axes in figure.axes
    }
    assert counted == {
        "input_to_a": 5 * 12,
        "b_to_a": 2,
        "a_to_b": 3 * 9,
        "a_to_output": 12 * 3,
        "b_to_output": 9 * 3,
    }


def test_the_picture_of_the_network_tells_the_delays_of_now(run: Path) -> None:
    network, tensors = build_network(configured(), 5, 3), tensors_of(run)
    pictures = {
        picture.name: picture for picture in pictures_of(learned(network, tensors), "a run", "now")
    }
    assert list(pictures) == ["weights", "delays", "network"]
    shown = [text.get_text() for text in pictures["network"].figure().axes[0].texts]
    low, high = tensors["input_to_a_delays"].min(), tensors["input_to_a_delays"].max()
    assert high > 0
    assert f"axonal delays of {round(low, 2):g} to {round(high, 2):g} ms" in shown
    assert "axonal delay of 2 ms" in shown
    assert "dendritic delays of 1 to 4 ms" in shown
