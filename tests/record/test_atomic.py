from __future__ import annotations

import errno
import os
import resource
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import Mock

import h5py
import numpy as np
import pytest

from snnrun.errors import RecordError
from snnrun.files import atomic_file, remove_stale, write_error
from snnrun.record.hdf5 import atomic_hdf5


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond ``size`` bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def write(path: Path, content: bytes = b"new") -> None:
    with atomic_file(path) as file:
        file.write(content)


def write_array(path: Path, size: int, error: type[BaseException] | None = None) -> None:
    with atomic_hdf5(path) as file:
        file["x"] = np.arange(size)
        if error is not None:
            raise error


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_file_has_its_new_content_after_the_block_and_not_before(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    with atomic_file(path) as file:
        file.write(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == ["a"]


def test_file_is_as_readable_for_others_as_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "ordinary").write_bytes(b"")
    with atomic_file(tmp_path / "a") as file:
        file.write(b"new")
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "ordinary").stat().st_mode


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_error_in_the_block_leaves_the_old_file_alone(
    tmp_path: Path, error: type[BaseException]
) -> None:
    path = tmp_path / "a.h5"
    path.write_bytes(b"old")
    with pytest.raises(error):
        write_array(path, 10, error)
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a.h5"]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_failing_system_call_leaves_the_old_file_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    (tmp_path / "a").write_bytes(b"old")
    monkeypatch.setattr(os, call, Mock(side_effect=OSError(errno.EIO, os.strerror(errno.EIO))))
    with pytest.raises(RecordError, match=r"cannot write .*a: Input/output error"):
        write(tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"old"
    assert names(tmp_path) == ["a"]


def test_error_about_another_file_is_not_blamed_on_this_one(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="elsewhere"), atomic_file(tmp_path / "a"):
        (tmp_path / "elsewhere").read_bytes()


def test_hdf5_file_reads_back(tmp_path: Path) -> None:
    data = np.arange(100_000, dtype="f4")
    with atomic_hdf5(tmp_path / "a.h5") as file:
        file.create_dataset("x", data=data, chunks=(1000,), compression="gzip", shuffle=True)
        file["x"].attrs["unit"] = "ms"
    with h5py.File(tmp_path / "a.h5") as file:
        np.testing.assert_array_equal(file["x"][()], data)
        assert file["x"].attrs["unit"] == "ms"


@pytest.mark.parametrize("size", [0, 3_000])
def test_hdf5_file_that_meets_a_limit_anywhere_is_an_error_that_says_so(
    tmp_path: Path, size: int
) -> None:
    path = tmp_path / "a.h5"
    path.write_bytes(b"old")
    refused = pytest.raises(RecordError, match=r"a\.h5: the file would grow .*ulimit -f")
    with largest_file(size), refused:
        write_array(path, 10_000)
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a.h5"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("a small file system can be mounted by root only")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_full_disk_keeps_the_old_file_and_says_what_to_do(small_disk: Path) -> None:
    path = small_disk / "run.h5"
    write_array(path, 10)
    with pytest.raises(RecordError, match=r"run\.h5: the disk is full.*Free some space"):
        write_array(path, 100_000)
    with h5py.File(path) as file:
        np.testing.assert_array_equal(file["x"][()], np.arange(10))
    assert names(small_disk) == ["run.h5"]
    with pytest.raises(RecordError, match="the disk is full"):
        write(path, bytes(100_000))
    assert names(small_disk) == ["run.h5"]


def test_folder_without_permission_is_an_error_that_names_it() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o555)
        me = os.geteuid()
        if me == 0:
            os.seteuid(65534)  # root may write everywhere
        try:
            with pytest.raises(RecordError, match=r"cannot be written to .*Change its permissions"):
                write(folder / "a")
        finally:
            os.seteuid(me)
            folder.chmod(0o755)
        assert names(folder) == []


def test_missing_folder_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"there is no folder .*gone"):
        write_array(tmp_path / "gone" / "a.h5", 1)


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.EDQUOT, "quota"),
        (errno.EROFS, "choose another folder"),
        (errno.EISDIR, "Move it away"),
        (errno.EIO, "Check the disk"),
    ],
)
def test_every_kind_of_failure_comes_with_advice(number: int, advice: str) -> None:
    error = write_error(Path("outputs/run.h5"), OSError(number, os.strerror(number)))
    assert "outputs/run.h5" in str(error)
    assert advice in str(error)


def test_only_stale_temporary_files_are_removed(tmp_path: Path) -> None:
    for name in (".run.h5.0123abcd.tmp", "run.h5", ".hidden", "notes.tmp", ".run.h5.xyz.tmp"):
        (tmp_path / name).write_bytes(b"")
    assert [path.name for path in remove_stale(tmp_path)] == [".run.h5.0123abcd.tmp"]
    assert names(tmp_path) == [".hidden", ".run.h5.xyz.tmp", "notes.tmp", "run.h5"]
    assert remove_stale(tmp_path / "none") == []
