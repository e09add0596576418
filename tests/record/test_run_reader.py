from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from record_samples import add_epoch, record_spikes, sample_record, sample_spikes

from snnrun.record import RecordError, Run, load_run
from snnrun.record.owner import claim
from snnrun.record.paths import SPIKES, RunPaths
from snnrun.record.recordings import Recordings


@pytest.fixture
def paths(tmp_path: Path) -> RunPaths:
    paths = RunPaths(tmp_path / "run")
    record = sample_record(paths)
    record.write()
    recordings = Recordings(paths, dt_ms=1.0, trial_ms=10.0)
    record_spikes(recordings, 0, 1, hidden=sample_spikes(), output=sample_spikes())
    recordings.variables(
        2,
        3,
        {("hidden", "V"): np.zeros((1, 10, 4))},
        phase="train",
        units={("hidden", "V"): "1"},
        examples=np.array([0]),
    )
    return paths


def test_run_knows_its_configuration_and_origin(paths: RunPaths) -> None:
    run = load_run(str(paths.root))
    assert run.config == {"ETA": 0.005, "dataset": {"name": "yinyang"}}
    assert run.provenance["name"] == "sample"
    assert run.recorded() == {"spikes": [(0, 1)], "variables": [(2, 3)], "weights": []}
    assert not run.finished


def test_run_can_be_read_while_it_goes_on(paths: RunPaths) -> None:
    with claim(paths):
        record = sample_record(paths, epochs=1)
        record.write()
        early = load_run(paths.root)
        assert early.running
        with h5py.File(paths.run):  # a viewer has it open
            add_epoch(record, 1)
            record.write()
        assert len(early.epochs["epoch"]) == 1
        assert len(load_run(paths.root).epochs["epoch"]) == 2


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (
            lambda run: run.spikes(0, 1, "hiden"),
            r"'hiden' was not recorded; recorded: hidden, output\. Did you mean 'hidden'\?",
        ),
        (
            lambda run: run.spikes(5, 0, "hidden"),
            r"no spikes recorded at epoch 5, trial 0\. \(Epoch, trial\) recorded: \(0, 1\)",
        ),
        (
            lambda run: run.variables(2, 3, "hidden", "I"),
            "'hidden/I' was not recorded; recorded: hidden/V",
        ),
        (
            lambda run: run.weights(0, 0),
            "no weights recorded at .* none at all: ask for them with W_OUTPUT_EPOCH_TRIAL",
        ),
        (lambda run: run.confusion("test"), "no confusion matrices of 'test'. .*train, validation"),
        (
            lambda run: run.predictions("train", 7),
            "no predictions of e00007. .*e00000, e00001, e00",
        ),
        (lambda run: run.predictions("train"), "say of which epoch"),
        (lambda run: run.predictions("tain", 0), "'tain' was not recorded; .*Did you mean 'train'"),
    ],
)
def test_error_lists_what_was_recorded(
    paths: RunPaths, ask: Callable[[Run], object], message: str
) -> None:
    run = load_run(paths.root)
    with pytest.raises(RecordError, match=message):
        ask(run)


def test_error_does_not_list_hundreds_of_recordings(paths: RunPaths) -> None:
    for trial in range(200):
        paths.part(SPIKES, 1, trial).touch()
    with pytest.raises(RecordError, match=r"\(1, 8\), \.\.\. \(201 in all\)$"):
        load_run(paths.root).spikes(9, 9, "hidden")


def test_folder_without_a_run_is_an_error_that_says_so(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="there is no such folder"):
        load_run(tmp_path / "none")
    with pytest.raises(RecordError, match=r"holds no run\.h5"):
        load_run(tmp_path)


@pytest.mark.parametrize("keep", [0, 100, 5_000])
def test_damaged_file_is_an_error_that_names_it(paths: RunPaths, keep: int) -> None:
    paths.run.write_bytes(paths.run.read_bytes()[:keep])
    with pytest.raises(RecordError, match=r"run\.h5: damaged"):
        load_run(paths.root)


def test_file_of_another_program_is_an_error_that_says_so(paths: RunPaths) -> None:
    with h5py.File(paths.run, "w") as file:
        file["x"] = 1
    with pytest.raises(RecordError, match="not written by snnrun"):
        load_run(paths.root)


def test_damaged_part_does_not_hide_the_others(paths: RunPaths) -> None:
    path = paths.part(SPIKES, 0, 2)
    path.write_bytes(b"damaged")
    run = load_run(paths.root)
    assert len(run.spikes(0, 1, "hidden")) == 2
    with pytest.raises(RecordError, match=r"e00000_t000002\.h5: damaged"):
        run.spikes(0, 2, "hidden")
