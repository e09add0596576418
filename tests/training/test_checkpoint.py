from __future__ import annotations

import math
import resource
from collections.abc import Callable
from operator import itemgetter
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from snnrun.errors import CheckpointError, RecordError
from snnrun.record.paths import RunPaths
from snnrun.streams import stream
from snnrun.training.checkpoint import load, save

VALUES: dict[str, Any] = {
    "float32": np.array([1.5, -0.0, np.inf, np.nan, 1e-45], np.float32),
    "float64": np.array([[0.1, 5e-324], [np.pi, -np.inf]]),
    "float16": np.array([1, 2], np.float16),
    "nan_with_payload": np.array([0x7FC12345], np.uint32).view(np.float32),
    "int32": np.array([-(2**31), 2**31 - 1], np.int32),
    "uint64": np.array([2**64 - 1], np.uint64),
    "uint8": np.arange(256, dtype=np.uint8),
    "bool": np.array([True, False]),
    "complex": np.array([1 + 2j]),
    "big_endian": np.arange(3, dtype=">f8"),
    "zero_dimensions": np.array(2.5, np.float32),
    "empty": np.zeros((0, 4), np.int64),
    "fortran_order": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "strided": np.arange(10)[::3],
}


@pytest.fixture
def paths(tmp_path: Path) -> RunPaths:
    return RunPaths(tmp_path)


def test_arrays_come_back_bit_for_bit(paths: RunPaths) -> None:
    save(paths.last, VALUES)
    for name, found in load(paths.last).items():
        assert isinstance(found, np.ndarray)
        assert (found.dtype, found.shape) == (VALUES[name].dtype, VALUES[name].shape), name
        assert found.tobytes() == VALUES[name].tobytes(), name
        found.flags.writeable = True  # it can be trained on


def test_scalars_come_back_with_their_type(paths: RunPaths) -> None:
    numbers = (np.float32(0.1), np.int64(-3), np.bool_(True), 0.1, math.inf, 5, 2**127 + 1, -7)
    others = (True, False, None, "", "two\nlines, \u00e9, NUL \0 and \udcff", {})
    saved = {f"{k}": value for k, value in enumerate((*numbers, *others))}
    save(paths.last, saved)
    found = load(paths.last)
    assert found == saved
    assert [type(value) for value in found.values()] == [type(value) for value in saved.values()]


def test_nesting_and_order_come_back(paths: RunPaths) -> None:
    state = {
        "weights": {"z": np.ones(2), "a": np.zeros(2)},
        "adam": {"step": 3, "first": {"hid to out": np.ones((2, 2))}},
        "epoch": 1,
    }
    save(paths.last, state)
    found = load(paths.last)
    assert list(found) == ["weights", "adam", "epoch"]
    assert list(found["weights"]) == ["z", "a"]
    np.testing.assert_array_equal(found["adam"]["first"]["hid to out"], np.ones((2, 2)))


def test_same_state_gives_the_same_file(paths: RunPaths) -> None:
    for path in (paths.last, paths.best):
        save(path, VALUES)
    assert paths.last.read_bytes() == paths.best.read_bytes()


def test_any_hdf5_program_can_read_a_checkpoint(paths: RunPaths) -> None:
    save(paths.last, {"weights": {"in_to_hid": np.arange(4)}})
    with h5py.File(paths.last) as file:
        np.testing.assert_array_equal(file["weights/in_to_hid"][()], np.arange(4))
    assert paths.last.read_bytes().startswith(b"snnrun checkpoint, format 1, ")


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"a": {"b": [1, 2]}}, "checkpoint /a/b: cannot hold a list"),
        ({"a": np.array(["x"])}, "checkpoint /a: cannot hold an array of dtype <U1"),
        ({"a": np.array([None])}, "cannot hold an array of dtype object"),
        ({"a/b": 1}, "key '/a/b': keys are non-empty strings without '/'"),
        ({"": 1}, "keys are non-empty strings"),
        ({1: 1}, "keys are non-empty strings"),
    ],
)
def test_what_cannot_be_kept_exactly_is_refused(
    paths: RunPaths, state: dict[Any, Any], message: str
) -> None:
    with pytest.raises(TypeError, match=message):
        save(paths.last, state)
    assert not paths.last.exists()


def flipped(place: int) -> Callable[[bytes], bytes]:
    return lambda whole: whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :]


def test_whatever_happened_to_a_checkpoint_is_found(paths: RunPaths) -> None:
    save(paths.last, {"weights": np.arange(100.0)})
    whole = paths.last.read_bytes()
    anywhere = "(damaged|truncated|written by a new)"
    for damage, message in (
        *((flipped(n), anywhere) for n in stream(1, "damage").integers(len(whole), size=200)),
        (lambda whole: whole + b"x", "damaged"),
        (
            lambda whole: whole.replace(b"format 1,", b"format 2,", 1),
            "written by a newer snnrun .*format 2.*Upgrade",
        ),
        *((itemgetter(slice(n)), "(damaged|truncated)") for n in (0, 1, 511, 512, 513, 2_000, -1)),
    ):
        paths.last.write_bytes(damage(whole))
        with pytest.raises(CheckpointError, match=rf"last\.h5: {message}"):
            load(paths.last)
    paths.last.write_bytes(whole)
    assert len(load(paths.last)["weights"]) == 100


def test_missing_checkpoint_says_what_else_there_is(paths: RunPaths) -> None:
    with pytest.raises(CheckpointError, match=r"there is no such checkpoint.*start the run again"):
        load(paths.last)
    save(paths.best, {"a": 1})
    with pytest.raises(CheckpointError, match=r"no such checkpoint.*best\.h5.*LOAD_BEST=true"):
        load(paths.last)
    paths.best.rename(paths.last)
    with pytest.raises(CheckpointError, match=r"no such checkpoint.*last\.h5.*LOAD_LAST=true"):
        load(paths.best)
    with pytest.raises(CheckpointError, match=r"The same folder holds last\.h5"):
        load(paths.checkpoints / "other.h5")


def test_checkpoint_of_a_run_whose_folder_was_deleted_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"there is no folder .*gone"):
        save(RunPaths(tmp_path / "gone").last, {"epoch": 1})


def test_unreadable_checkpoint_says_why(paths: RunPaths) -> None:
    paths.last.mkdir(parents=True)
    with pytest.raises(CheckpointError, match="cannot be read: Is a directory"):
        load(paths.last)


def test_checkpoint_that_cannot_be_written_leaves_the_last_one(paths: RunPaths) -> None:
    save(paths.last, {"epoch": 1})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        with pytest.raises(RecordError, match=r"last\.h5: the file would grow"):
            save(paths.last, {"epoch": 2, "weights": np.zeros(10_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert load(paths.last) == {"epoch": 1}
    assert [path.name for path in paths.checkpoints.iterdir()] == ["last.h5"]
