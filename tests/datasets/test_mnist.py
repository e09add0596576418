"""MNIST's idx files: the latency code, packed and plain files, damage."""

from __future__ import annotations

import gzip
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from samples import idx_bytes, make_config, write_mnist

from snnrun.datasets import load
from snnrun.datasets.recipe import recipe_of
from snnrun.errors import DataError

IMAGES = np.array([[[0, 1, 2], [128, 254, 255]], [[0, 0, 0], [0, 0, 255]]])
PAIR = (IMAGES, [3, 7])
LABELS = gzip.compress(idx_bytes(np.arange(30) % 10))


def test_pixels_become_the_spikes_computed_by_hand(tmp_path: Path) -> None:
    folder = write_mnist(tmp_path / "m", PAIR, PAIR)
    splits = load(make_config(dataset={"name": "mnist", "path": str(folder)}))
    data = splits.train.data
    # T = 20 ms, d = 1 ms: t = (255 - g) / 255 * 16 + 2, so 17.87, 9.97, 2.06 and 2.0 ms
    assert data.events(0)[0].tolist() == [2, 2, 9, 17]
    assert data.events(0)[1].tolist() == [4, 5, 3, 2]
    assert data.events(1)[0].tolist() == [2]
    assert data.events(1)[1].tolist() == [5]
    assert data.labels.tolist() == [3, 7]
    assert (data.n_channels, data.n_classes, data.n_steps) == (6, 8, 20)
    assert splits.validation is None


def test_images_are_shifted_along_rows_and_columns_in_training(tmp_path: Path) -> None:
    images = np.zeros((60, 5, 6), int)
    images[:, 2, 3] = 255  # one bright pixel
    pair = (images, [0, 1] * 30)
    folder = write_mnist(tmp_path / "m", pair, pair)
    config = make_config(
        dataset={"name": "mnist", "path": str(folder)}, AUGMENTATION={"image_shift": 2}
    )
    splits = load(config)
    for split, places in ((splits.train, {8, 9, 10, 14, 15, 16, 20, 21, 22}), (splits.test, {15})):
        shown = recipe_of(config, splits, split).prepared(0, split.examples, split.labels)
        assert set(shown.channel_by_step.tolist()) == places


def test_channels_that_are_no_pixels_are_not_shifted_as_an_image(mnist_folder: Path) -> None:
    mnist = {"dataset": {"name": "mnist", "path": str(mnist_folder)}, "RESCALE_X": 0.5}
    yinyang = {"dataset": {"name": "yinyang"}, "N_TRAIN": 9, "N_VALIDATE": 9, "N_TEST": 9}
    for keys in (mnist, yinyang):
        with pytest.raises(DataError, match="image_shift: the channels of"):
            load(make_config(**keys, AUGMENTATION={"image_shift": 2}))


def test_plain_gz_and_zip_files_hold_the_same(tmp_path: Path, mnist_folder: Path) -> None:
    plain, zipped = tmp_path / "plain", tmp_path / "zipped"
    plain.mkdir()
    zipped.mkdir()
    for packed in mnist_folder.iterdir():
        name = packed.name.removesuffix(".gz")
        (plain / name).write_bytes(gzip.decompress(packed.read_bytes()))
        with zipfile.ZipFile(zipped / f"{name}.zip", "w") as archive:
            archive.write(plain / name, f"some/folder/{name}")
    data = [
        load(make_config(dataset={"name": "mnist", "path": str(folder)})).train.data
        for folder in (mnist_folder, plain, zipped)
    ]
    for other in data[1:]:
        assert np.array_equal(data[0].channel_by_step, other.channel_by_step)
        assert np.array_equal(data[0].labels, other.labels)


@pytest.mark.parametrize(
    ("train", "test", "classes"),
    [([3, 25], [3, 7], 26), ([0, 1], [1, 2], 3), ([0, 300], [1, 0], 301)],
)
def test_the_number_of_classes_is_that_of_the_labels_of_both_files(
    tmp_path: Path, train: list[int], test: list[int], classes: int
) -> None:
    folder = write_mnist(tmp_path / "m", (IMAGES, train), (IMAGES, test))
    dataset = {"name": "mnist", "path": str(folder)}
    assert load(make_config(dataset=dataset)).train.data.n_classes == classes
    assert load(make_config(dataset=dataset, N_TEST=0)).train.data.n_classes == classes


def plain(change: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    """Return the function that changes what is packed."""
    return lambda content: gzip.compress(change(gzip.decompress(content)))


def as_kind(code: int, kind: str) -> Callable[[bytes], bytes]:
    def written(content: bytes) -> bytes:
        head = 4 + 4 * content[3]
        numbers = np.frombuffer(content, np.uint8, offset=head).astype(kind).tobytes()
        return bytes([0, 0, code, content[3]]) + content[4:head] + numbers

    return plain(written)


@pytest.mark.parametrize(("code", "kind"), [(11, ">i2"), (12, ">i4"), (13, ">f4"), (14, ">f8")])
def test_whole_numbers_of_any_kind_are_read_as_bytes_are(
    mnist_folder: Path, code: int, kind: str
) -> None:
    config = make_config(dataset={"name": "mnist", "path": str(mnist_folder)})
    expected = load(config).train.data
    for path in mnist_folder.iterdir():
        path.write_bytes(as_kind(code, kind)(path.read_bytes()))
    data = load(config).train.data
    assert np.array_equal(data.channel_by_step, expected.channel_by_step)
    assert np.array_equal(data.labels, expected.labels)


def test_fractional_pixels_and_labels_are_refused(mnist_folder: Path) -> None:
    config = make_config(dataset={"name": "mnist", "path": str(mnist_folder)})
    for name, value, message in (
        ("train-images-idx3-ubyte.gz", 0.5, "images must be whole .*, got 0.5; multiply grey val"),
        ("train-labels-idx1-ubyte.gz", 1.5, "labels must be whole numbers from 0 to 65535, got 1"),
        (
            "train-images-idx3-ubyte.gz",
            256,
            "images must be whole numbers from 0 to 255, got .*256",
        ),
    ):
        path = mnist_folder / name
        before = path.read_bytes()
        last = np.array([value], ">f4").tobytes()
        path.write_bytes(plain(lambda c, last=last: c[:-4] + last)(as_kind(13, ">f4")(before)))
        with pytest.raises(DataError, match=message) as caught:
            load(config)
        assert str(path) in str(caught.value)
        path.write_bytes(before)


def test_files_that_do_not_fit_together_are_refused(tmp_path: Path) -> None:
    dataset = {"name": "mnist", "path": str(tmp_path / "m")}
    write_mnist(tmp_path / "m", (IMAGES, [3]), PAIR)
    with pytest.raises(DataError, match=r"holds 2 images, but train-labels.* 1 labels"):
        load(make_config(dataset=dataset))
    write_mnist(tmp_path / "m", PAIR, (IMAGES[:, :, :2], [1, 2]))
    with pytest.raises(DataError, match="training images are 2 x 3, test images 2 x 2"):
        load(make_config(dataset=dataset))
    write_mnist(tmp_path / "m", (IMAGES[:0], []), PAIR)
    with pytest.raises(DataError, match="holds no pixels"):
        load(make_config(dataset=dataset))


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda c: LABELS, "begins with 0x00000801, expected 0x00000803"),
        (lambda c: c[:-9], r"train-images-idx3-ubyte.gz is damaged or incomplete"),
        (
            plain(lambda c: b"\0\0\x0a\x03" + c[4:]),
            r"is not an idx file of images: it begins with 0x00000a03, expected 0x0000",
        ),
        (plain(lambda c: c[:-5]), r"30 x 3 x 4 images are 360 bytes, but it holds 355"),
        (plain(lambda c: c + b"\0"), r"30 x 3 x 4 images are 360 bytes, but it holds 361"),
        (plain(lambda c: c[:7]), r"is incomplete: it ends within its header"),
        (lambda content: b"<html>not found</html>", r"is damaged or incomplete: Not a gzipped"),
    ],
)
def test_a_damaged_file_is_refused(
    mnist_folder: Path, harm: Callable[[bytes], bytes], message: str
) -> None:
    path = mnist_folder / "train-images-idx3-ubyte.gz"
    path.write_bytes(harm(path.read_bytes()))
    with pytest.raises(DataError, match=message):
        load(make_config(dataset={"name": "mnist", "path": str(mnist_folder)}))
