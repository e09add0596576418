from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from record_samples import record_spikes, sample_record, sample_spikes

from snnrun.record import Run, load_run
from snnrun.record import recordings as module
from snnrun.record.paths import SPIKES, VARIABLES, WEIGHTS, RunPaths
from snnrun.record.recordings import Recordings
from snnrun.streams import stream


@pytest.fixture
def paths(tmp_path: Path) -> RunPaths:
    paths = RunPaths(tmp_path / "run")
    sample_record(paths, epochs=0).write()
    return paths


@pytest.fixture
def recordings(paths: RunPaths) -> Recordings:
    return Recordings(paths, dt_ms=0.5, trial_ms=10.0)


def run_of(paths: RunPaths) -> Run:
    return load_run(paths.root)


def test_spikes_read_back_and_say_when_and_in_which_unit(
    paths: RunPaths, recordings: Recordings
) -> None:
    spikes = {"hidden": sample_spikes(), "output": sample_spikes(n_neurons=2)}
    record_spikes(recordings, 3, 7, "validation", **spikes)
    for name, expected in spikes.items():
        found = run_of(paths).spikes(3, 7, name)
        np.testing.assert_equal(vars(found), vars(expected))
        assert [v.dtype for v in (found.times_ms, found.ids, found.offsets)] == ["f4", "i4", "i8"]
    when = {"epoch": 3, "trial": 7, "phase": "validation", "dt_ms": 0.5, "trial_ms": 10.0}
    with h5py.File(paths.part(SPIKES, 3, 7)) as file:
        assert dict(file.attrs) == when
        times = file["hidden/times_ms"]
        assert (times.attrs["unit"], times.compression, times.shuffle) == ("ms", "gzip", True)
        assert times.chunks


@pytest.mark.parametrize("buffer_steps", [1, 20, 50, 1_000_000])
def test_spikes_do_not_depend_on_the_buffer(
    paths: RunPaths, recordings: Recordings, buffer_steps: int
) -> None:
    rng = stream(1, "spikes")
    expected = [
        (np.sort(rng.random(n, np.float32)), rng.integers(4, size=n)) for n in (5, 0, 40_000, 3)
    ]
    with recordings.spike_writer(
        0, 1, {"hidden": 4}, phase="train", buffer_steps=buffer_steps
    ) as part:
        for example, spikes in enumerate(expected):
            part.add({"hidden": spikes}, example=example)
    found = run_of(paths).spikes(0, 1, "hidden")
    assert found.labels is None
    for k, (times, ids) in enumerate(expected):
        np.testing.assert_array_equal(found.example(k)[0], times)
        np.testing.assert_array_equal(found.example(k)[1], ids)


def test_spikes_beyond_the_buffer_are_not_held_in_memory(
    paths: RunPaths, recordings: Recordings
) -> None:
    with recordings.spike_writer(0, 0, {"hidden": 4}, phase="train", buffer_steps=40) as part:
        for example in range(5):
            part.add({"hidden": (np.ones(3), np.arange(3))}, example=example)
            held = sum(len(times) for times in part._times["hidden"])
            assert held == (3 if example % 2 == 0 else 0)  # 20 steps each: two fill the buffer


def test_spike_part_appears_only_when_it_is_complete(
    paths: RunPaths, recordings: Recordings
) -> None:
    writer = recordings.spike_writer(0, 0, {"hidden": 4}, phase="train", buffer_steps=1)
    part = writer.__enter__()
    part.add({"hidden": (np.ones(3), np.arange(3))}, example=0)
    assert run_of(paths).recorded()[SPIKES] == []
    stopped = ValueError("stopped")
    assert not writer.__exit__(ValueError, stopped, None)
    assert list(paths.part_folder(SPIKES).iterdir()) == []


def record_examples(recordings: Recordings, *examples: dict[str, Any]) -> None:
    """Record examples of one population of 4 neurons; each gives the arguments of ``add``."""
    with recordings.spike_writer(0, 0, {"hidden": 4}, phase="train", buffer_steps=1) as part:
        for example in examples:
            part.add(**example)


def test_spikes_that_do_not_fit_are_refused(recordings: Recordings) -> None:
    for spikes, message in (
        ({"output": ([1], [1])}, r"spikes of \['output'\] for a part of \['hidden'\]"),
        ({"hidden": ([1, 1], [1])}, "hidden: 2 spike times, but 1 neuron ids"),
    ):
        with pytest.raises(ValueError, match=message):
            record_examples(recordings, {"spikes": spikes, "example": 0})
    silent = {"spikes": {"hidden": ([], [])}, "example": 0}
    with pytest.raises(ValueError, match="1 labels for 2 examples"):
        record_examples(recordings, {**silent, "label": 1}, silent)


def test_variables_read_back(paths: RunPaths, recordings: Recordings) -> None:
    rng = stream(1, "variables")
    voltage = rng.standard_normal((3, 20, 300)).astype(np.float32)  # more than one chunk
    current = rng.standard_normal((3, 20, 2)).astype(np.float32)
    recordings.variables(
        1,
        2,
        {("hidden", "V"): voltage, ("output", "I"): current},
        phase="train",
        units={("hidden", "V"): "1", ("output", "I"): "1"},
        examples=np.array([4, 9, 2]),
    )
    run = run_of(paths)
    np.testing.assert_array_equal(run.variables(1, 2, "hidden", "V"), voltage)
    np.testing.assert_array_equal(run.variables(1, 2, "output", "I"), current)
    np.testing.assert_array_equal(run.variable_examples(1, 2), [4, 9, 2])


def test_chunks_of_variables_fit_the_cache_of_hdf5(paths: RunPaths, recordings: Recordings) -> None:
    values = {("hidden", "V"): np.zeros((2, 2_000, 700), np.float32)}
    recordings.variables(
        0, 0, values, phase="train", units={("hidden", "V"): "1"}, examples=np.arange(2)
    )
    with h5py.File(paths.part(VARIABLES, 0, 0)) as file:
        one, steps, neurons = file["hidden/V"].chunks
    assert (one, neurons) == (1, 700)
    assert 2**19 < 4 * steps * neurons <= 2**20


def test_weights_and_parameters_read_back(paths: RunPaths, recordings: Recordings) -> None:
    weights = stream(1, "weights").standard_normal((5, 3)).astype(np.float32)
    recordings.weights(
        0,
        4,
        {"in_to_hid": weights, "empty": np.zeros((0, 3), np.float32)},
        phase="train",
        parameters={("hidden", "tau_mem"): np.array([20.0, 21.0])},
        parameter_units={("hidden", "tau_mem"): "ms"},
    )
    recordings.weights(1, 0, {"in_to_hid": weights}, phase="train")
    run = run_of(paths)
    np.testing.assert_array_equal(run.weights(0, 4)["in_to_hid"], weights)
    assert run.weights(0, 4)["empty"].shape == (0, 3)
    np.testing.assert_array_equal(run.parameters(0, 4)["hidden/tau_mem"], [20, 21])
    assert run.parameters(1, 0) == {}
    with h5py.File(paths.part(WEIGHTS, 0, 4)) as file:
        assert file["parameters/hidden/tau_mem"].attrs["unit"] == "ms"


def test_index_file_shows_all_parts_from_any_working_folder(
    paths: RunPaths, recordings: Recordings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for epoch in range(3):
        recordings.weights(epoch, 0, {"in_to_hid": np.full((2, 2), epoch)}, phase="train")
    recordings.flush()
    moved = paths.root.rename(tmp_path / "moved")
    monkeypatch.chdir("/")
    with h5py.File(RunPaths(moved).index(WEIGHTS)) as file:
        assert list(file) == ["e00000_t000000", "e00001_t000000", "e00002_t000000"]
        assert file["e00002_t000000/weights/in_to_hid"][0, 0] == 2


def test_index_is_written_with_the_first_part_and_not_too_often(
    paths: RunPaths, recordings: Recordings, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])

    def linked() -> int:
        with h5py.File(paths.index(WEIGHTS)) as file:
            return len(file)

    recordings._next_linking = 0.0
    recordings.weights(0, 0, {}, phase="train")
    assert linked() == 1
    recordings._next_linking = 5.0
    recordings.weights(0, 1, {}, phase="train")
    assert linked() == 1
    now[0] = 6.0
    recordings.weights(0, 2, {}, phase="train")
    assert linked() == 3


def test_discarded_parts_are_gone_and_recorded_again(
    paths: RunPaths, recordings: Recordings
) -> None:
    cursors = [(0, 0), (0, 5), (1, 0), (1, 5), (2, 0)]
    for cursor in cursors:
        recordings.weights(*cursor, {"in_to_hid": np.zeros((2, 2))}, phase="train")
    resumed = Recordings(paths, dt_ms=0.5, trial_ms=10.0)
    resumed.discard_after(1, 5)
    assert run_of(paths).recorded()[WEIGHTS] == cursors[:3]
    with h5py.File(paths.index(WEIGHTS)) as file:
        assert len(file) == 3
    resumed.weights(1, 5, {"in_to_hid": np.ones((2, 2))}, phase="train")
    resumed.flush()
    assert run_of(paths).weights(1, 5)["in_to_hid"][0, 0] == 1
    with h5py.File(paths.index(WEIGHTS)) as file:
        assert len(file) == 4


def test_part_that_is_recorded_again_replaces_the_old_one(
    paths: RunPaths, recordings: Recordings
) -> None:
    for value in (1, 2):
        recordings.weights(0, 0, {"in_to_hid": np.full((2, 2), value)}, phase="train")
    assert run_of(paths).weights(0, 0)["in_to_hid"][0, 0] == 2
    assert os.listdir(paths.part_folder(WEIGHTS)) == ["e00000_t000000.h5"]
