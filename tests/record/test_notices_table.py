"""What a run noticed: shown once and when it lasts, kept for each epoch, the same after a stop."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from record_samples import resumed, sample_record
from runs import comparable

from snnrun.notice import Notice
from snnrun.record import load_run
from snnrun.record.notices import Notices
from snnrun.record.paths import RunPaths
from snnrun.record.reader import hold
from snnrun.record.writer import RunRecord
from snnrun.terminal.notices import counted, enter

OF_DATA = Notice(what="late spikes", message="half of the spikes come \u00e0 la fin", share=0.5)


def silent(epoch: int, where: str = "hidden") -> Notice:
    return Notice(
        what="silent layer",
        where=where,
        message=f"{where} \u00e9tait silent",
        epoch=epoch,
        share=1.0,
    )


@pytest.fixture
def paths(tmp_path: Path) -> RunPaths:
    return RunPaths(tmp_path / "run")


def test_every_notice_is_a_row_with_its_epoch_and_share(paths: RunPaths) -> None:
    record = sample_record(paths)
    enter([OF_DATA, Notice(what="threads", message="9 threads on 2 cores")], record.notices)
    enter([silent(1)], record.notices)
    record.write()
    for run in (load_run(paths.root), hold(load_run(paths.root))):
        found = run.warnings
        assert found["epoch"].tolist() == [-1, -1, 1]
        assert found["what"].tolist() == ["late spikes", "threads", "silent layer"]
        assert found["where"].tolist() == ["", "", "hidden"]
        np.testing.assert_array_equal(found["share"], [0.5, np.nan, 1.0])
        assert found["message"].tolist() == [
            OF_DATA.message,
            "9 threads on 2 cores",
            "hidden \u00e9tait silent",
        ]
    with h5py.File(paths.run) as file:
        assert all(file[f"warnings/{name}"].attrs["meaning"] for name in found)


def test_a_run_that_noticed_nothing_has_an_empty_table_and_so_has_an_older_one(
    paths: RunPaths,
) -> None:
    sample_record(paths).write()
    expected = {"epoch": "i", "what": "O", "where": "O", "share": "f", "message": "O"}
    for _ in range(2):
        found = load_run(paths.root).warnings
        assert {name: column.dtype.kind for name, column in found.items()} == expected
        assert {len(column) for column in found.values()} == {0}
        assert not len(resumed(paths).notices)
        with h5py.File(paths.run, "a") as file:
            file.pop("warnings", None)


def test_what_lasts_is_shown_at_first_and_then_rarely() -> None:
    notices = Notices()
    shown = {epoch: enter([silent(epoch)], notices) for epoch in range(3, 200)}
    assert shown[3] == ["epoch 3: hidden \u00e9tait silent"]
    assert shown[12] == ["epochs 3 to 12: hidden \u00e9tait silent"]
    assert [epoch for epoch, lines in shown.items() if lines] == [3, 12, 102]
    assert len(notices) == 197


def test_what_comes_back_and_what_is_elsewhere_is_news() -> None:
    notices = Notices()
    for epoch in (0, 1, 2):
        enter([silent(epoch)], notices)
    assert enter([silent(4)], notices) == ["epoch 4: hidden \u00e9tait silent"]
    assert enter([silent(4, "hidden1")], notices) == ["epoch 4: hidden1 \u00e9tait silent"]


def test_the_end_of_a_run_counts_each_kind() -> None:
    notices = Notices()
    enter([OF_DATA, silent(2), silent(3), silent(7), silent(3, "hidden1")], notices)
    assert counted(notices) == [
        "late spikes: before the first epoch",
        "silent layer (hidden): in 3 epochs, from 2 to 7",
        "silent layer (hidden1): in epoch 3",
    ]


@pytest.mark.parametrize("cursor", [(0, 0), (1, 1), (2, 0), (3, 0)])
def test_a_resumed_run_has_the_rows_of_one_that_was_not_stopped(
    tmp_path: Path, cursor: tuple[int, int]
) -> None:
    def noticing(record: RunRecord, first: int) -> list[str]:
        said = enter([OF_DATA], record.notices)
        return said + [line for e in range(first, 3) for line in enter([silent(e)], record.notices)]

    whole, stopped = RunPaths(tmp_path / "whole"), RunPaths(tmp_path / "stopped")
    for paths in (whole, stopped):
        record = sample_record(paths)
        noticing(record, 0)
        record.write()
    record = resumed(stopped)
    record.truncate(*cursor)
    assert len(record.notices) == 1 + cursor[0]
    assert noticing(record, cursor[0])[0] == OF_DATA.message  # another user may be looking
    record.write()
    one, two = (load_run(paths.root).warnings for paths in (whole, stopped))
    for name, column in one.items():
        np.testing.assert_array_equal(column, two[name])
    compared = comparable(whole.root)
    assert compared["warnings/epoch"].tolist() == [0, 1, 2]  # not what is said of a machine
    assert compared["warnings/message"].tolist() == ["hidden \u00e9tait silent".encode()] * 3
