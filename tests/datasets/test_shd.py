"""The HDF5 layout of SHD: units, packed files, damage."""

from __future__ import annotations

import gzip
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from snnrun.datasets import Splits, load
from snnrun.datasets.heidelberg import describe_file
from snnrun.datasets.shd import describe
from snnrun.errors import DataError

TWO = [([0.0, 0.0015, 0.25, 1.5], [0, 699, 5, 6]), ([0.0005, 0.0006], [7, 7])]


@pytest.fixture
def read(make_config: Callable[..., Any]) -> Callable[..., Splits]:
    def from_folder(folder: Path, **keys: Any) -> Splits:
        merge = keys.pop("merge", True)
        dataset = {"name": "shd", "path": str(folder), "merge": merge}
        return load(make_config(dataset=dataset, **({"TRIAL_MS": 1000.0} | keys)))

    return from_folder


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_seconds_become_the_steps_computed_by_hand(
    tmp_path: Path, write_shd: Callable[..., Path], read: Callable[..., Splits], dtype: Any
) -> None:
    write_shd(tmp_path / "shd_train.h5", TWO, labels=[19, 0], dtype=dtype)
    data = read(tmp_path, N_TEST=0).train.data
    assert data.events(0)[0].tolist() == [0, 1, 250]
    assert data.events(0)[1].tolist() == [0, 699, 5]
    assert data.events(1)[0].tolist() == [0]
    assert (data.outside, data.merged) == (1, 1)
    assert data.labels.tolist() == [19, 0]
    assert data.speakers is not None
    assert data.speakers.tolist() == [4, 5]
    assert data.class_names[19] == "word19"
    assert (data.n_channels, data.n_classes, data.n_steps) == (700, 20, 1000)


def test_a_table_of_half_floats_gives_the_same_steps_as_arithmetic(
    tmp_path: Path, write_shd: Callable[..., Path], read: Callable[..., Splits]
) -> None:
    seconds = np.arange(0, 1.2, 0.0007).astype(np.float16)
    channels = (np.arange(len(seconds)) % 700).tolist()
    data = []
    for dtype in (np.float16, np.float64):  # the same values, once read by the table
        write_shd(tmp_path / "shd_train.h5", [(seconds.tolist(), channels)], dtype=dtype)
        data.append(read(tmp_path, N_TEST=0, DT_MS=0.5).train.data)
    assert np.array_equal(data[0].step_by_channel, data[1].step_by_channel)
    assert data[0].outside == data[1].outside > 0


def test_events_of_a_channel_in_a_step_are_kept_if_asked_for(
    tmp_path: Path, write_shd: Callable[..., Path], read: Callable[..., Splits]
) -> None:
    write_shd(tmp_path / "shd_train.h5", TWO)
    data = read(tmp_path, N_TEST=0, merge=False).train.data
    assert data.events(1)[1].tolist() == [7, 7]
    assert data.merged == 0


def test_the_train_file_is_split_and_the_test_file_is_the_test_set(
    shd_folder: Path, read: Callable[..., Splits]
) -> None:
    splits = read(shd_folder, N_VALIDATE=8)
    assert splits.validation is not None
    assert splits.test is not None
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (32, 8, 10)
    assert "32 train, 8 validation, 10 test; 700 inputs, 20 classes" in splits.description
    assert splits.test.data is not splits.train.data


def test_speakers_and_class_names_may_be_missing(
    tmp_path: Path, write_shd: Callable[..., Path], read: Callable[..., Splits]
) -> None:
    write_shd(tmp_path / "shd_train.h5", TWO, extra=False)
    data = read(tmp_path, N_TEST=0).train.data
    assert data.speakers is None
    assert data.class_names[19] == "19"


def test_the_test_file_is_needed_only_for_a_test(
    shd_folder: Path, read: Callable[..., Splits]
) -> None:
    (shd_folder / "shd_test.h5").unlink()
    assert read(shd_folder, N_TEST=0).test is None
    with pytest.raises(DataError, match=r"shd_test.h5 .*expected in .*shd, which holds shd_train"):
        read(shd_folder)


def pack_gz(path: Path) -> None:
    with gzip.open(f"{path}.gz", "wb") as out:
        out.write(path.read_bytes())
    path.unlink()


def pack_zip(path: Path) -> None:
    with zipfile.ZipFile(f"{path}.zip", "w") as archive:
        archive.write(path, path.name)
    path.unlink()


@pytest.mark.parametrize("pack", [pack_gz, pack_zip])
def test_packed_files_are_unpacked_to_the_cache_once(
    tmp_path: Path,
    shd_folder: Path,
    read: Callable[..., Splits],
    pack: Callable[[Path], None],
) -> None:
    expected = read(shd_folder).train.data
    for name in ("shd_train.h5", "shd_test.h5"):
        pack(shd_folder / name)
    assert np.array_equal(read(shd_folder).train.data.channel_by_step, expected.channel_by_step)
    copies = sorted((tmp_path / "cache").rglob("*.h5"))
    assert len(copies) == 2
    assert not list(shd_folder.glob("*.h5"))
    before = [copy.stat().st_mtime_ns for copy in copies]
    read(shd_folder)
    assert [copy.stat().st_mtime_ns for copy in copies] == before


def test_a_packed_file_that_changed_is_unpacked_anew(
    tmp_path: Path,
    write_shd: Callable[..., Path],
    read: Callable[..., Splits],
) -> None:
    packed = tmp_path / "shd_train.h5.gz"
    for labels, time in (([1, 2], 1), ([3, 4], 2)):  # of one size: only the time tells
        content = write_shd(tmp_path / "shd_train.h5", TWO, labels=labels).read_bytes()
        packed.write_bytes(gzip.compress(content, compresslevel=0))
        (tmp_path / "shd_train.h5").unlink()
        os.utime(packed, (time, time))
        assert read(tmp_path, N_TEST=0).train.data.labels.tolist() == labels
    assert len(list((tmp_path / "cache").rglob("*.h5"))) == 1


def test_a_damaged_packed_file_leaves_nothing_in_the_cache(
    tmp_path: Path, shd_folder: Path, read: Callable[..., Splits]
) -> None:
    pack_gz(shd_folder / "shd_train.h5")
    packed = shd_folder / "shd_train.h5.gz"
    packed.write_bytes(packed.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"shd_train.h5.gz is damaged or incomplete"):
        read(shd_folder)
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    (shd_folder / "shd_train.h5.zip").write_bytes(b"PK not a zip")
    packed.unlink()
    with pytest.raises(DataError, match=r"shd_train.h5.zip is damaged .*not a zip"):
        read(shd_folder)


def test_a_truncated_file_is_refused(shd_folder: Path, read: Callable[..., Splits]) -> None:
    path = shd_folder / "shd_train.h5"
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(DataError, match=r"shd_train.h5 is not a whole HDF5 file.*truncated"):
        read(shd_folder)
    path.write_text("<html>not found</html>")
    with pytest.raises(DataError, match=r"shd_train.h5 is not a whole HDF5 file"):
        read(shd_folder)


def without_units(file: h5py.File) -> None:
    del file["spikes/units"]


def with_flat_times(file: h5py.File) -> None:
    del file["spikes/times"]
    file["spikes/times"] = np.zeros(40, np.float16)


def with_few_labels(file: h5py.File) -> None:
    del file["labels"]
    file["labels"] = np.zeros(39, np.uint16)


def with_other_label(file: h5py.File) -> None:
    file["labels"][3] = 20


def with_other_channel(file: h5py.File) -> None:
    file["spikes/units"][2] = np.array([700], np.uint16)
    file["spikes/times"][2] = np.array([0.1], np.float16)


def with_one_more_time(file: h5py.File) -> None:
    file["spikes/times"][5] = np.zeros(len(file["spikes/units"][5]) + 1, np.float16)


def with_no_number(file: h5py.File) -> None:
    file["spikes/times"][6] = np.array([0.1, np.nan], np.float16)
    file["spikes/units"][6] = np.array([1, 2], np.uint16)


def with_few_names(file: h5py.File) -> None:
    del file["extra/keys"]
    file["extra/keys"] = np.array(["a", "b"], "S")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without_units, "has no spikes/units: the layout of the Heidelberg sets has"),
        (with_flat_times, "spikes/times must hold one vector of floats per example, got float16"),
        (with_few_labels, r"labels has shape \(39,\), but spikes/times \(40,\)"),
        (with_other_label, "labels run from 0 to 20, but must be 0 to 19"),
        (with_other_channel, "700.*0 to 699"),
        (with_one_more_time, r"example 5 has \d+ times but \d+ channels"),
        (with_no_number, "not.* number"),
        (with_few_names, "extra/keys has 2 names, expected 20"),
    ],
)
def test_a_file_of_another_layout_is_refused(
    shd_folder: Path,
    read: Callable[..., Splits],
    change: Callable[[h5py.File], None],
    message: str,
) -> None:
    with h5py.File(shd_folder / "shd_train.h5", "r+") as file:
        change(file)
    with pytest.raises(DataError, match=message) as caught:
        read(shd_folder)
    assert "shd_train.h5" in str(caught.value)
    with pytest.raises(DataError, match=message):
        describe(shd_folder)


def test_a_description_counts_what_is_in_a_file(
    tmp_path: Path, write_shd: Callable[..., Path]
) -> None:
    path = write_shd(tmp_path / "shd_train.h5", [*TWO, ([], [])])
    contents = describe_file(path, 700, 20)
    assert (contents.examples, contents.classes, contents.events) == (3, 3, 6)
    assert (contents.least_events, contents.most_events) == (0, 4)
    assert contents.last_ms == 1500.0
    assert contents.speakers == (4, 5, 6)


def test_sizes_beyond_the_file_are_refused_before_it_is_read(
    shd_folder: Path, read: Callable[..., Splits], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("snnrun.datasets.shd.event_blocks", lambda *_: pytest.fail("was read"))
    with pytest.raises(DataError, match="N_TRAIN=7644 with N_VALIDATE=512 asks for 8156 examples"):
        read(shd_folder, N_TRAIN=7644, N_VALIDATE=512)
    shutil.rmtree(shd_folder)
    with pytest.raises(DataError, match="which does not exist"):
        read(shd_folder)
