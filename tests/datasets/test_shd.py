"""The HDF5 layout of SHD: units, packed files, damage."""

from __future__ import annotations

import fcntl
import gzip
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from samples import make_config, write_shd

from snnrun.datasets import Splits, load
from snnrun.datasets.contents import contents_in
from snnrun.datasets.shd import SHD
from snnrun.errors import DataError

TWO = [([0.0, 0.0015, 0.25, 1.5], [0, 699, 5, 6]), ([0.0005, 0.0006], [7, 7])]


def read(folder: Path, **keys: Any) -> Splits:
    merge = keys.pop("merge", True)
    dataset = {"name": "shd", "path": str(folder), "merge": merge}
    return load(make_config(dataset=dataset, **({"TRIAL_MS": 1000.0} | keys)))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_seconds_become_the_steps_computed_by_hand(tmp_path: Path, dtype: Any) -> None:
    write_shd(tmp_path / "shd_train.h5", TWO, labels=[19, 0], dtype=dtype)
    data = read(tmp_path, N_TEST=0).train.data
    assert data.events(0)[0].tolist() == [0, 1, 250]
    assert data.events(0)[1].tolist() == [0, 699, 5]
    assert data.events(1)[0].tolist() == [0]
    assert (data.outside, data.merged) == (1, 1)
    assert data.labels.tolist() == [19, 0]
    assert data.speakers.tolist() == [4, 5]
    assert data.class_names[19] == "word19"
    assert (data.n_channels, data.n_classes, data.n_steps) == (700, 20, 1000)


def test_a_table_of_half_floats_gives_the_same_steps_as_arithmetic(tmp_path: Path) -> None:
    seconds = np.arange(0, 1.2, 0.0007).astype(np.float16)
    channels = (np.arange(len(seconds)) % 700).tolist()
    data = []
    for dtype in (np.float16, np.float64):  # the same values, once read by the table
        write_shd(tmp_path / "shd_train.h5", [(seconds.tolist(), channels)], dtype=dtype)
        data.append(read(tmp_path, N_TEST=0, DT_MS=0.5).train.data)
    assert np.array_equal(data[0].step_by_channel, data[1].step_by_channel)
    assert data[0].outside == data[1].outside > 0


def test_events_of_a_channel_in_a_step_are_kept_if_asked_for(tmp_path: Path) -> None:
    write_shd(tmp_path / "shd_train.h5", TWO)
    data = read(tmp_path, N_TEST=0, merge=False).train.data
    assert data.events(1)[1].tolist() == [7, 7]
    assert data.merged == 0


def test_the_train_file_is_split_and_the_test_file_is_the_test_set(shd_folder: Path) -> None:
    splits = read(shd_folder, N_VALIDATE=8)
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (32, 8, 10)
    assert "32 train, 8 validation, 10 test; 700 inputs, 20 classes" in splits.description
    assert splits.test.data is not splits.train.data


def test_speakers_and_class_names_may_be_missing(tmp_path: Path) -> None:
    write_shd(tmp_path / "shd_train.h5", TWO, labels=[0, 7], extra=False)
    data = read(tmp_path, N_TEST=0).train.data
    assert data.speakers is None
    assert data.class_names == tuple("01234567")
    with pytest.raises(DataError, match="shd does not tell speakers apart; use EVALUATION=random"):
        read(tmp_path, N_TEST=0, EVALUATION="speaker")


def test_the_test_file_is_needed_only_for_a_test(shd_folder: Path) -> None:
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
    tmp_path: Path, shd_folder: Path, pack: Callable[[Path], None]
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


def test_a_packed_file_that_changed_is_unpacked_anew(tmp_path: Path) -> None:
    packed = tmp_path / "shd_train.h5.gz"
    for labels, time in (([1, 2], 1), ([3, 4], 2)):  # of one size: only the time tells
        content = write_shd(tmp_path / "shd_train.h5", TWO, labels=labels).read_bytes()
        packed.write_bytes(gzip.compress(content, compresslevel=0))
        (tmp_path / "shd_train.h5").unlink()
        os.utime(packed, (time, time))
        assert read(tmp_path, N_TEST=0).train.data.labels.tolist() == labels
    assert len(list((tmp_path / "cache").rglob("*.h5"))) == 1


def test_a_damaged_packed_file_leaves_nothing_in_the_cache(
    tmp_path: Path, shd_folder: Path
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


def test_a_truncated_file_is_refused(shd_folder: Path) -> None:
    path = shd_folder / "shd_train.h5"
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(DataError, match=r"shd_train.h5 is not a whole HDF5 file.*truncated"):
        read(shd_folder)
    path.write_text("<html>not found</html>")
    with pytest.raises(DataError, match=r"shd_train.h5 is not a whole HDF5 file"):
        read(shd_folder)


def replaced(name: str, values: np.ndarray | None = None) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file[name]
        if values is not None:
            file[name] = values

    return change


def changed(name: str, row: int, value: Any) -> Callable[[h5py.File], None]:
    return lambda file: file[name].__setitem__(row, value)


def with_no_number(file: h5py.File) -> None:
    file["spikes/times"][6] = np.array([0.1, np.nan], np.float16)
    file["spikes/units"][6] = np.array([1, 2], np.uint16)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (replaced("spikes/units"), "has no spikes/units: the layout of the Heidelberg sets has"),
        (
            replaced("spikes/times", np.zeros(40, np.float16)),
            "spikes/times must hold one vector of floats per example, got float16",
        ),
        (
            replaced("labels", np.zeros(39, np.uint16)),
            r"labels has shape \(39,\), but spikes/times \(40,\)",
        ),
        (
            changed("labels", 3, 20),
            "labels run from 0 to 20, but extra/keys names 20 classes, so they mu",
        ),
        (
            changed("spikes/times", 5, np.zeros(99, np.float16)),
            r"example 5 has \d+ times but \d+ channels",
        ),
        (with_no_number, "not.* number"),
        (
            replaced("extra/keys", np.array(["a", "b"], "S")),
            r"names 20 classes \(word0, .*\), but that of .* 2 classes \(a, b\); files",
        ),
        (
            changed("extra/keys", 3, b"other"),
            "extra/keys names 20 classes .* of one set must have the same",
        ),
    ],
)
def test_a_file_of_another_layout_is_refused(
    shd_folder: Path, change: Callable[[h5py.File], None], message: str
) -> None:
    with h5py.File(shd_folder / "shd_train.h5", "r+") as file:
        change(file)
    with pytest.raises(DataError, match=message) as caught:
        read(shd_folder)
    assert "shd_train.h5" in str(caught.value)


def channels_up_to(highest: int, n: int = 20) -> list[tuple[list[float], list[int]]]:
    """Return examples with two events each, one of them of the highest channel."""
    return [([0.001, 0.002], [number % highest, highest]) for number in range(n)]


@pytest.mark.parametrize(
    ("train", "test", "expected"),
    [(63, 40, 64), (20, 63, 64), (699, 30, 700), (650, 600, 700), (767, 767, 768), (511, 9, 512)],
)
def test_the_number_of_channels_is_that_of_the_files(
    tmp_path: Path, train: int, test: int, expected: int
) -> None:
    for split, highest in (("train", train), ("test", test)):
        write_shd(tmp_path / f"shd_{split}.h5", channels_up_to(highest), classes=4)
    splits, alone = read(tmp_path), read(tmp_path, N_TEST=0)
    for data in (splits.train.data, splits.test.data, alone.train.data):
        assert (data.n_channels, data.n_classes) == (expected, 4)
    assert splits.train.data.events(3)[1].tolist() == [3, train]
    assert splits.test.data.events(3)[1].tolist() == [3, test]
    for part in contents_in(tmp_path, make_config(dataset={"name": "shd"}), SHD):
        assert part.channels == expected


def test_the_number_of_classes_is_that_of_the_names(tmp_path: Path) -> None:
    for split in ("train", "test"):
        write_shd(tmp_path / f"shd_{split}.h5", channels_up_to(699), classes=10)
    data = read(tmp_path).train.data
    assert data.n_classes == 10
    assert data.class_names == tuple(f"word{number}" for number in range(10))


def test_without_names_the_labels_of_all_files_count(tmp_path: Path) -> None:
    for split, labels in (("train", [0, 1]), ("test", [2, 5])):
        write_shd(tmp_path / f"shd_{split}.h5", TWO, labels=labels, extra=False)
    assert read(tmp_path).train.data.n_classes == 6
    assert read(tmp_path, N_TEST=0).train.data.n_classes == 6  # though the test file is not read


@pytest.mark.parametrize("pack", [pack_gz, pack_zip])
def test_messages_name_the_packed_file_that_the_user_has(
    shd_folder: Path, pack: Callable[[Path], None]
) -> None:
    path = shd_folder / "shd_train.h5"
    with h5py.File(path, "r+") as file:
        file["labels"][3] = 20
    pack(path)
    with pytest.raises(DataError) as caught:
        read(shd_folder)
    [packed] = shd_folder.glob("shd_train.h5.*")
    assert str(caught.value).startswith(f"{packed}: labels run from 0 to 20")


def test_members_that_macos_adds_to_an_archive_are_passed_over(shd_folder: Path) -> None:
    expected = read(shd_folder).train.data.channel_by_step
    path = shd_folder / "shd_train.h5"
    with zipfile.ZipFile(f"{path}.zip", "w") as archive:
        for name in (
            "__MACOSX/data/._shd_train.h5",
            "__MACOSX/data/shd_train.h5",
            "data/.DS_Store",
        ):
            archive.writestr(name, b"\0\5\x16\7 what macOS adds")
        archive.write(path, "data/shd_train.h5")
    path.unlink()
    assert np.array_equal(read(shd_folder).train.data.channel_by_step, expected)


def read_by_another_process(folder: Path) -> tuple[int, str, str]:
    program = (
        "import sys; from snnrun.config import from_dict; from snnrun.datasets import load;"
        "data = {'name': 'shd', 'path': sys.argv[1]};"
        "print(len(load(from_dict({'dataset': data, 'N_TRAIN': None, 'N_VALIDATE': 0})).train))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(folder)], capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout.strip(), done.stderr


def test_a_file_is_read_while_another_process_has_locked_it(shd_folder: Path) -> None:
    with (shd_folder / "shd_train.h5").open("rb+") as other:
        fcntl.flock(other, fcntl.LOCK_EX)  # as HDF5 does where it writes
        code, said, errors = read_by_another_process(shd_folder)
    assert (code, said) == (0, "40"), errors


def test_a_file_that_is_open_for_writing_elsewhere_is_not_called_damaged(
    tmp_path: Path, shd_folder: Path
) -> None:
    path = shd_folder / "shd_train.h5"
    with h5py.File(path, "r") as old, h5py.File(tmp_path / "new.h5", "w", libver="latest") as new:
        for name in old:
            old.copy(name, new)
    (tmp_path / "new.h5").replace(path)
    with h5py.File(path, "r+", libver="latest"):
        code, _, errors = read_by_another_process(shd_folder)
    assert code == 1
    assert "shd_train.h5: another program has this file open for writing" in errors
    assert "not a whole" not in errors
    assert read_by_another_process(shd_folder)[0] == 0  # once it is closed


def test_a_file_that_may_not_be_read_says_so(
    shd_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("h5py.File", refuse)
    with pytest.raises(
        DataError, match=r"shd_train.h5: you may not read this file. Change its per"
    ):
        read(shd_folder)


def test_a_description_counts_what_is_in_a_file(tmp_path: Path) -> None:
    for split in ("train", "test"):
        write_shd(tmp_path / f"shd_{split}.h5", [*TWO, ([], [])])
    contents, _ = contents_in(tmp_path, make_config(dataset={"name": "shd"}), SHD)
    assert (contents.examples, contents.classes, contents.events) == (3, 3, 6)
    assert (contents.least_events, contents.most_events) == (0, 4)
    assert contents.last_ms == 1500.0
    assert contents.speakers == (4, 5, 6)


def test_sizes_beyond_the_file_are_refused_before_it_is_read(
    shd_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "snnrun.datasets.heidelberg.event_blocks", lambda *_: pytest.fail("was read")
    )
    with pytest.raises(DataError, match="N_TRAIN=7644 with N_VALIDATE=512 asks for 8156 examples"):
        read(shd_folder, N_TRAIN=7644, N_VALIDATE=512)
    shutil.rmtree(shd_folder)
    with pytest.raises(DataError, match="which does not exist"):
        read(shd_folder)
