"""Sequential MNIST: crossings of thresholds, against a loop over pixels and thresholds."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from samples import make_config, write_mnist

from snnrun.config import from_dict
from snnrun.datasets import Splits, commands, load
from snnrun.datasets.files import data_folder
from snnrun.datasets.mnist import MNIST
from snnrun.datasets.smnist import SMNIST, count_crossings
from snnrun.errors import DataError

IMAGES = np.array([[[0, 1, 2], [128, 254, 255]], [[255, 255, 0], [100, 100, 99]]])
PAIR = (IMAGES, [3, 7])


def read(folder: Path, **options: Any) -> Splits:
    keys = {name: options.pop(name) for name in list(options) if name.isupper()}
    code = {"thresholds": 49, "pixel_ms": 2.0, "repeats": 2, **options}
    dataset = {"name": "smnist", "path": str(folder), **code}
    return load(make_config(dataset=dataset, **{"TRIAL_MS": 100.0, **keys}))


def slow_events(
    image: np.ndarray, thresholds: int, pixel_ms: float, repeats: int, dt_ms: float
) -> Counter:
    """Return how often each (step, channel) occurs, pixel by pixel and threshold by threshold."""
    grey = [int(g) for g in image.ravel()]
    theta = [int(254 * j / (thresholds - 1)) for j in range(thresholds)]
    found: Counter = Counter()
    for pixel, g in enumerate(grey):
        channels = [2 * thresholds] if g == 255 else []
        if pixel + 1 < len(grey):
            after = grey[pixel + 1]
            channels += [j for j, t in enumerate(theta) if g < t <= after]
            channels += [thresholds + j for j, t in enumerate(theta) if after < t <= g]
        for repeat in range(repeats):
            step = int((pixel + repeat / repeats) * pixel_ms / dt_ms + 1e-6)
            found.update((step, channel) for channel in channels)
    return found


def events(splits: Splits, example: int) -> Counter:
    steps, channels = splits.train.data.events(example)
    return Counter(zip(steps.tolist(), channels.tolist(), strict=True))


def test_an_image_becomes_the_spikes_counted_by_hand(tmp_path: Path) -> None:
    folder = write_mnist(tmp_path / "m", PAIR, PAIR)
    splits = read(folder, thresholds=3, pixel_ms=1.0, repeats=1)  # thresholds 0, 127, 254
    # rises through 127 after pixel 2 and through 254 after pixel 3; pixel 5 is as bright as can be
    assert sorted(events(splits, 0)) == [(2, 1), (3, 2), (5, 6)]
    # two touches, then a fall through both thresholds
    assert sorted(events(splits, 1)) == [(0, 6), (1, 4), (1, 5), (1, 6)]
    assert splits.train.data.n_channels == 7
    assert splits.train.data.labels.tolist() == [3, 7]


@pytest.mark.parametrize("dt_ms", [1.0, 0.5])
@pytest.mark.parametrize(
    ("thresholds", "pixel_ms", "repeats"), [(49, 2.0, 2), (39, 1.0, 1), (2, 3.0, 3), (255, 2.0, 1)]
)
def test_the_code_is_that_of_the_loop(
    tmp_path: Path, thresholds: int, pixel_ms: float, repeats: int, dt_ms: float
) -> None:
    random = np.random.default_rng(5)
    images = random.integers(0, 256, (150, 3, 5)) * random.integers(0, 2, (150, 3, 5))
    images[random.random(images.shape) < 0.1] = 255
    images[7] = 0  # an image without any event, within a block
    folder = write_mnist(tmp_path / "m", (images, np.arange(150) % 10), PAIR)
    code = {"thresholds": thresholds, "pixel_ms": pixel_ms, "repeats": repeats}
    splits = read(folder, N_TEST=0, DT_MS=dt_ms, **code)
    total = 0
    for example, image in enumerate(images):
        expected = slow_events(image, dt_ms=dt_ms, **code)
        assert events(splits, example) == expected
        total += sum(expected.values())
    assert splits.train.data.dropped == 0
    assert (
        splits.train.data.n_events == total == count_crossings(images, thresholds).sum() * repeats
    )


def test_spikes_of_a_crossing_in_one_step_are_merged_or_kept(tmp_path: Path) -> None:
    folder = write_mnist(tmp_path / "m", PAIR, PAIR)
    code = {"thresholds": 49, "pixel_ms": 2.0, "repeats": 4}
    expected = slow_events(IMAGES[0], dt_ms=1.0, **code)
    assert set(expected.values()) == {2}
    merged = read(folder, **code)
    assert events(merged, 0) == Counter(expected.keys())
    assert merged.train.data.merged == merged.train.data.n_events
    assert events(read(folder, merge=False, **code), 0) == expected


def test_pixels_beyond_the_trial_are_dropped_and_counted(tmp_path: Path) -> None:
    splits = read(write_mnist(tmp_path / "m", PAIR, PAIR), TRIAL_MS=8.0)
    assert max(step for step, _ in events(splits, 0)) < 8
    lost = sum(
        number
        for image in IMAGES
        for (step, _), number in slow_events(image, 49, 2.0, 2, 1.0).items()
        if step >= 8
    )
    assert splits.train.data.outside == lost > 0


def test_the_defaults_are_those_of_the_data_set(mnist_folder: Path) -> None:
    config = from_dict(
        {"dataset": {"name": "smnist", "path": str(mnist_folder)}, "N_TRAIN": 20, "N_VALIDATE": 10}
    )
    splits = load(config)
    assert (splits.train.data.n_channels, splits.train.data.n_steps) == (99, 1500)
    assert [len(split) for split in splits.all()] == [20, 10, 10]
    assert "smnist: 20 train, 10 validation" in splits.description


def test_its_files_are_those_of_mnist(
    mnist_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = make_config(
        dataset={"name": "smnist", "thresholds": 49, "pixel_ms": 2.0, "repeats": 2}
    )
    assert data_folder(SMNIST, None) == data_folder(MNIST, None)
    commands.fetch(make_config(dataset={"name": "mnist"}), mnist_folder)
    capsys.readouterr()
    commands.info(config)
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["channels", "99", "99"] in lines
    assert ["examples", "30", "10"] in lines


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"dataset smnist: train-images.* which does not exist"):
        read(tmp_path / "nowhere")
