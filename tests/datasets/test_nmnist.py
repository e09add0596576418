"""N-MNIST: archives in the layout of the published ones, event by event; damage."""

from __future__ import annotations

from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np
import pytest

from snnrun.config import Config, from_dict
from snnrun.datasets import commands, load
from snnrun.errors import DataError
from snnrun.run import build_program

Recording = list[tuple[int, int, int, int]]  # x, y, polarity, time in us
SIDE = 34


def packed(events: Recording) -> bytes:
    """Return the bytes of a recording."""
    return b"".join(bytes([x, y]) + (p << 23 | t).to_bytes(3, "big") for x, y, p, t in events)


def recording(seed: int) -> Recording:
    random = np.random.default_rng(seed)
    columns = [random.integers(0, high, 30) for high in (SIDE, SIDE, 2)]
    times = np.sort(random.integers(0, 20_000, 30))
    return [(int(x), int(y), int(p), int(t)) for x, y, p, t in zip(*columns, times, strict=True)]


TRAIN = {f"Train/{k % 3}/{k:05d}.bin": recording(k) for k in range(9)}
TEST = {f"Test/{k}/{k:05d}.bin": recording(50 + k) for k in range(3)}


def write(folder: Path, name: str, members: dict[str, bytes]) -> None:
    with ZipFile(folder / name, "w", ZIP_DEFLATED) as archive:
        archive.writestr("Train/", b"")
        archive.writestr("__MACOSX/Train/0/._00000.bin", b"litter")
        for path, content in members.items():
            archive.writestr(path, content)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path, "Train.zip", {path: packed(events) for path, events in TRAIN.items()})
    write(tmp_path, "Test.zip", {path: packed(events) for path, events in TEST.items()})
    return tmp_path


def configured(folder: Path, downsample: int = 1, **keys: object) -> Config:
    data = {"name": "nmnist", "path": str(folder), "downsample": downsample, "merge": False}
    sizes = {"TRIAL_MS": 25.0, "N_VALIDATE": 0, "N_TEST": None, "N_BATCH": 3, "MODEL_SEED": 1}
    return from_dict({"dataset": data, **sizes, **keys})


@pytest.mark.parametrize("factor", [1, 4])
def test_each_event_is_a_spike_of_its_pixel_and_polarity(folder: Path, factor: int) -> None:
    splits = load(configured(folder, factor))
    side = -(-SIDE // factor)
    assert splits.test is not None
    for split, recordings in ((splits.train, TRAIN), (splits.test, TEST)):
        data = split.data
        assert data.image == (side, side, 2)
        assert (data.n_channels, data.n_classes) == (2 * side * side, 10)
        np.testing.assert_array_equal(data.labels, [int(path.split("/")[1]) for path in recordings])
        for example, events in enumerate(recordings.values()):
            wanted = np.zeros((25, side, side, 2), int)
            for x, y, polarity, time in events:
                wanted[time // 1000, y // factor, x // factor, polarity] += 1
            found = np.zeros((25, data.n_channels), int)
            first, last = data.offsets[example : example + 2]
            pointers = data.channel_pointers[example]
            channels = np.repeat(np.arange(data.n_channels), np.diff(pointers))
            np.add.at(found, (data.step_by_channel[first:last], channels), 1)
            np.testing.assert_array_equal(found, wanted.reshape(25, -1))


def test_times_go_on_after_an_overflow(folder: Path) -> None:
    events = [(1, 1, 0, 8_000), (0, 240, 0, 0), (1, 2, 1, 100), (0, 240, 1, 5), (2, 2, 1, 1_700)]
    write(folder, "Train.zip", {"Train/0/1.bin": packed(events), "Train/1/2.bin": packed([])})
    data = load(configured(folder, N_BATCH=1)).train.data
    assert data.n_events == 3
    np.testing.assert_array_equal(data.step_by_channel, [8, 8, 18])


def test_a_convolution_begins_at_its_pixels(folder: Path) -> None:
    layers = [{"forward": {"connectivity": {"kind": "conv2d", "kernel": 5, "channels": 3}}}]
    config = configured(folder, 2, **{"network.layers": layers})
    program = build_program(config, load(config))
    assert program.network.input.grid == (17, 17, 2)
    assert program.network.layers[0].population.grid == (13, 13, 3)


def test_what_the_archives_hold_is_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    commands.verify(configured(folder))
    said = capsys.readouterr().out
    assert "train (34 x 34 pixels)" in said
    assert "2,312" in said


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({}, r"holds no recordings; the layout is Train/CLASS/NUMBER.bin"),
        ({"Train/ten/1.bin": packed([])}, "Train/ten/1.bin is in no folder of a class"),
        ({"Train/10/1.bin": packed([])}, "Train/10/1.bin is in no folder of a class"),
        ({"Train/1/1.bin": b"1234567"}, "1.bin has 7 bytes, which are no whole events of 5 bytes"),
        ({"Train/1/1.bin": packed([(34, 3, 0, 1)])}, "an event at x=34, y=3 at most; pixels are 0"),
    ],
)
def test_archives_of_another_layout_are_refused(
    folder: Path, members: dict[str, bytes], message: str
) -> None:
    write(folder, "Train.zip", members)
    with pytest.raises(DataError, match=f"Train.zip.*{message}"):
        load(configured(folder))


def test_damaged_archives_are_refused(folder: Path) -> None:
    file = folder / "Train.zip"
    content = file.read_bytes()
    file.write_bytes(content[:-100])
    with pytest.raises(DataError, match=r"Train.zip is not a whole zip archive"):
        load(configured(folder))
    start = content.index(b"00004.bin") + 15
    file.write_bytes(content[:start] + bytes(20) + content[start + 20 :])
    with pytest.raises(DataError, match=r"Train.zip is damaged"):
        load(configured(folder))


def test_archives_that_are_missing_are_asked_for(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"Train.zip, Test.zip .* expected in") as caught:
        load(configured(tmp_path))
    assert "copy files that you have" in str(caught.value)
