"""DVS gestures: archives in the layout of the public ones, read as a stream; damage."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from samples import make_config

from snnrun.config import from_dict
from snnrun.datasets import Splits, commands, load
from snnrun.errors import DataError

Members = dict[str, Any]  # name within the archive -> array, or the bytes of the file


def archive(members: Members) -> bytes:
    """Return a tar archive with a folder and these files."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        folder = tarfile.TarInfo("ibmGesture")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
        for name, value in members.items():
            file = io.BytesIO(value if isinstance(value, bytes) else b"")
            if isinstance(value, np.ndarray):
                np.save(file, value)
            entry = tarfile.TarInfo(name)
            entry.size = len(file.getvalue())
            tar.addfile(entry, io.BytesIO(file.getvalue()))
    return content.getvalue()


def gestures(split: str, users: range, dtype: Any = np.int32) -> Members:
    """Return recordings of three classes by each user."""
    random = np.random.default_rng(users.start)
    members: Members = {f"ibmGesture{split}/README": b"no recording"}
    for user in users:
        for label in (0, 5, 10):
            n = int(random.integers(0, 90))
            columns = [random.integers(0, high, n) for high in (128, 128, 2)]
            times = np.sort(random.integers(0, 60, n))
            events = np.column_stack([*columns, times]).astype(dtype)
            members[f"ibmGesture{split}/user{user:02}_led/{label}.npy"] = events
    return members


def write(folder: Path, train: Members, test: Members) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for split, members in (("Train", train), ("Test", test)):
        packed = gzip.compress(archive(members), mtime=0)
        (folder / f"ibmGesture{split}.tar.gz").write_bytes(packed)
    return folder


TRAIN, TEST = gestures("Train", range(1, 5)), gestures("Test", range(24, 26))


@pytest.fixture
def dvs_folder(tmp_path: Path) -> Path:
    return write(tmp_path / "dvs", TRAIN, TEST)


def read(folder: Path, **keys: Any) -> Splits:
    options = {"downsample": 4} | {k: keys.pop(k) for k in list(keys) if k.islower()}
    dataset = {"name": "dvs", "path": str(folder), **options}
    return load(make_config(dataset=dataset, **({"TRIAL_MS": 50.0} | keys)))


def slow_events(recording: np.ndarray, factor: int, dt_ms: float) -> list[tuple[int, int]]:
    """Return the sorted (step, channel) pairs of a recording in a trial of 50 ms."""
    pairs = []
    for x, y, polarity, t in recording.tolist():
        place = int(y // factor) * (128 // factor) + int(x // factor)
        if t < 50:
            pairs.append((int(t / dt_ms + 1e-6), int(place * 2 + polarity)))
    return sorted(pairs)


def arrays(members: Members) -> list[np.ndarray]:
    return [value for value in members.values() if isinstance(value, np.ndarray)]


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.uint16, np.float64])
@pytest.mark.parametrize(("factor", "dt_ms"), [(4, 1.0), (1, 0.5), (64, 2.0)])
def test_recordings_become_the_events_of_the_loop(
    tmp_path: Path, dtype: Any, factor: int, dt_ms: float
) -> None:
    train = gestures("Train", range(1, 5), dtype)
    folder = write(tmp_path / "dvs", train, TEST)
    for merge in (True, False):
        splits = read(folder, downsample=factor, DT_MS=dt_ms, merge=merge)
        assert splits.test is not None
        for split, members in ((splits.train, train), (splits.test, TEST)):
            for example, recording in enumerate(arrays(members)):
                steps, channels = split.data.events(example)
                expected = slow_events(recording, factor, dt_ms)
                expected = sorted(set(expected)) if merge else expected
                assert list(zip(steps.tolist(), channels.tolist(), strict=True)) == expected
    data = splits.train.data
    assert (data.n_channels, data.n_classes) == (2 * (128 // factor) ** 2, 11)
    assert data.outside == sum((recording[:, 3] >= 50).sum() for recording in arrays(train)) > 0


def test_names_tell_class_and_user(dvs_folder: Path) -> None:
    data = read(dvs_folder).train.data
    assert data.labels.tolist() == [0, 5, 10] * 4
    assert data.speakers.tolist() == np.repeat([1, 2, 3, 4], 3).tolist()
    assert (data.class_names[0], data.class_names[10]) == ("hand clapping", "other")


def test_a_folder_without_a_user_leaves_the_speakers_out(tmp_path: Path) -> None:
    train = {"ibmGestureTrain/someone/3.npy": np.zeros((1, 4), int), **TRAIN}
    assert read(write(tmp_path / "dvs", train, TEST)).train.data.speakers is None


def test_an_archive_is_converted_once_and_again_when_it_changes(
    tmp_path: Path, dvs_folder: Path
) -> None:
    read(dvs_folder, N_TEST=0)
    [copy] = (tmp_path / "cache").rglob("*.h5")
    before = copy.stat().st_mtime_ns
    read(dvs_folder, N_TEST=0, downsample=8)  # the copy holds the camera's own pixels
    assert copy.stat().st_mtime_ns == before
    write(dvs_folder, gestures("Train", range(7, 9)), TEST)
    os.utime(dvs_folder / "ibmGestureTrain.tar.gz", (1, 1))
    assert read(dvs_folder, N_TEST=0).train.data.speakers.tolist() == [7, 7, 7, 8, 8, 8]
    assert len(list((tmp_path / "cache").rglob("*.h5"))) == 1


def test_a_plain_tar_is_read_too(dvs_folder: Path) -> None:
    expected = read(dvs_folder).train.data.channel_by_step
    for packed in list(dvs_folder.iterdir()):
        packed.with_suffix("").write_bytes(gzip.decompress(packed.read_bytes()))
        packed.unlink()
    assert np.array_equal(read(dvs_folder).train.data.channel_by_step, expected)


def camera(width: int, height: int, labels: range, user: int = 1) -> Members:
    """Return a recording of each class whose events reach into the camera's last corner."""
    corner = [[width - 1, height - 1, 1, 7], [0, 0, 0, 3], [width // 2, 0, 1, 5]]
    return {f"ibmGesture/user{user:02}/{label}.npy": np.array(corner) for label in labels}


@pytest.mark.parametrize(
    ("width", "height", "factor", "channels"),
    [(34, 34, 4, 162), (240, 180, 4, 5400), (128, 128, 3, 3698), (100, 128, 128, 2)],
)
def test_other_cameras_and_classes_are_those_of_the_archives(
    tmp_path: Path, width: int, height: int, factor: int, channels: int
) -> None:
    smaller = camera(9, 9, range(1), user=2)  # a test set that does not fill the camera
    folder = write(tmp_path / "dvs", camera(width, height, range(4)), smaller)
    splits, alone = read(folder, downsample=factor), read(folder, downsample=factor, N_TEST=0)
    for data in (splits.train.data, alone.train.data):
        assert (data.n_channels, data.n_classes) == (channels, 4)
        assert data.class_names == tuple("0123")
        assert data.events(0)[1][-1] == channels - 1
    write(tmp_path / "turned", smaller, camera(width, height, range(4)))
    turned = read(tmp_path / "turned", downsample=factor, N_TEST=0)
    assert (turned.train.data.n_channels, turned.train.data.n_classes) == (channels, 4)


def test_a_camera_with_too_many_pixels_is_told_which_squares_fit(tmp_path: Path) -> None:
    folder = write(tmp_path / "dvs", camera(1280, 720, range(2)), camera(1280, 720, range(2)))
    with pytest.raises(
        DataError, match=r"downsample=4: 1280 x 720 .*; use dataset.downsample=6 or"
    ):
        read(folder)
    assert read(folder, downsample=6).train.data.n_channels == 2 * 214 * 120


def test_members_that_macos_adds_are_passed_over(tmp_path: Path, dvs_folder: Path) -> None:
    litter = b"\0\5\x16\7 what macOS adds"
    more: Members = {}
    for name, value in TRAIN.items():
        more |= {name: value, name.replace("/user", "/._user", 1): litter}
        folder, _, file = name.rpartition("/")
        more |= {f"{folder}/._{file}": litter, f"__MACOSX/{name}": litter, "a/.DS_Store": litter}
    (tmp_path / "mac").mkdir()
    with_litter = read(write(tmp_path / "mac", more, TEST))
    expected = read(dvs_folder)
    assert len(with_litter.train) == len(expected.train) == 12
    assert np.array_equal(
        with_litter.train.data.channel_by_step, expected.train.data.channel_by_step
    )


def cut_after(size: int) -> Callable[[bytes], bytes]:
    """Return what cuts an archive off so many bytes after the beginning of a recording."""

    def harm(content: bytes) -> bytes:
        plain = gzip.decompress(content)
        return gzip.compress(plain[: plain.index(b"ibmGestureTrain/user02_led/10.npy") + size])

    return harm


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda c: c[: len(c) // 2], "is damaged or incomplete"),
        (lambda c: gzip.compress(b"<html>not found</html>" * 99), "is not a whole tar archive"),
        (cut_after(300), "is not a whole tar archive"),
        (cut_after(600), "is not a whole"),
        (cut_after(0), "is not a whole tar archive: it breaks off before its end"),
        (lambda c: c[:-8] + bytes(4) + c[-4:], "is damaged or incomplete: CRC check failed"),
        (lambda content: b"<html>not found</html>", "is damaged or incomplete: Not a gzipped"),
    ],
)
def test_a_damaged_archive_is_refused_and_leaves_nothing_in_the_cache(
    tmp_path: Path, dvs_folder: Path, harm: Callable[[bytes], bytes], message: str
) -> None:
    path = dvs_folder / "ibmGestureTrain.tar.gz"
    path.write_bytes(harm(path.read_bytes()))
    with pytest.raises(DataError, match=message) as caught:
        read(dvs_folder)
    assert "ibmGestureTrain.tar.gz" in str(caught.value)
    assert not [found for found in (tmp_path / "cache").rglob("*") if found.is_file()]


def recording(column: int | None = None, value: float = 0) -> np.ndarray:
    events = np.ones((3, 4))
    if column is not None:
        events[1, column] = value
    return events


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({}, r"holds no recordings; the layout is ibmGesture.../USER/CLASS.npy"),
        ({"a/user1/1000.npy": recording()}, "user1/1000.npy has no class in its name"),
        ({"a/user1/wave.npy": recording()}, "user1/wave.npy has no class in its name"),
        ({"a/user1/1.npy": b"no array"}, "user1/1.npy is not a whole NumPy file"),
        ({"a/user1/1.npy": b""}, "user1/1.npy is not a whole NumPy file"),
        ({"a/user1/1.npy": np.zeros((4, 3))}, r"must hold the four columns .* shape \(4, 3\)"),
        ({"a/user1/1.npy": np.zeros((4, 4), "S3")}, "must hold the four columns .* got .S3"),
        (
            {"a/user1/1.npy": recording(0, 1e5)},
            r"x runs from 1.0 to 1000.*, but must be 0 to 32767",
        ),
        ({"a/user1/1.npy": recording(1, -1)}, r"y runs from -1.0 to 1.0, but must be 0 to 32767"),
        ({"a/user1/1.npy": recording(2, 2)}, r"p runs from 1.0 to 2.0, but must be 0 to 1"),
        ({"a/user1/1.npy": recording(0, 3.5)}, r"x must be a whole number, .* got 3.5"),
        ({"a/user1/1.npy": recording(1, np.nan)}, "y runs from nan to nan, but must be 0 to"),
        ({"a/user1/1.npy": recording(3, np.nan)}, "example 0 has a time that is not a number"),
    ],
)
def test_an_archive_of_another_layout_is_refused(
    tmp_path: Path, members: Members, message: str
) -> None:
    folder = write(tmp_path / "dvs", members, TEST)
    with pytest.raises(DataError, match=message) as caught:
        read(folder)
    assert "ibmGestureTrain.tar.gz" in str(caught.value)


def test_info_verify_and_fetch_know_the_archives(
    tmp_path: Path, dvs_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = make_config(dataset={"name": "dvs", "downsample": 4}, TRIAL_MS=60.0)
    commands.fetch(config, dvs_folder)
    commands.verify(config)
    capsys.readouterr()
    commands.info(config)
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["examples", "12", "6"] in lines
    assert ["classes", "3", "3"] in lines
    counts = [sum(map(len, arrays(members))) for members in (TRAIN, TEST)]
    assert ["events", *map(str, counts)] in lines
    assert ["speakers", *"1234", "24", "25"] in lines


def test_the_defaults_are_those_of_the_data_set(dvs_folder: Path) -> None:
    config = from_dict(
        {"dataset": {"name": "dvs", "path": str(dvs_folder)}, "N_TRAIN": 8, "N_VALIDATE": 4}
    )
    data = load(config).train.data
    assert (data.n_channels, data.n_steps) == (2048, 18000)
