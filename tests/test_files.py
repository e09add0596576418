"""A home or cache that cannot be used: a run works without, and doctor says and counts it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from snnrun import files
from snnrun.backends.native.build import cache_folder
from snnrun.cli import main
from snnrun.commands import doctor
from snnrun.datasets.declaration import find
from snnrun.datasets.files import data_folder, find_file
from snnrun.errors import DataError

Say = pytest.CaptureFixture[str]
NOBODY = 65534


@pytest.fixture(autouse=True)
def no_names(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("SNNRUN_CACHE", "SNNRUN_DATA", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    before = dict(files._made)
    files._made.clear()
    yield
    files._made.update(before)


def a_file_as_home(tmp_path: Path) -> str:
    """Return a home in which nothing can be made, by root neither."""
    (tmp_path / "home").write_text("")
    return str(tmp_path / "home")


@pytest.mark.parametrize("home", ["", " ", "/proc/none", "/dev/null", "FILE"])
def test_without_a_usable_home_builds_are_kept_for_the_process(
    home: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Say
) -> None:
    monkeypatch.setenv("HOME", a_file_as_home(tmp_path) if home == "FILE" else home)
    first = cache_folder(None)
    assert first == cache_folder(None)
    (first / "x").write_text("")
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "SNNRUN_CACHE=FOLDER names a folder for good" in said


def test_an_unusable_xdg_folder_is_done_without(
    monkeypatch: pytest.MonkeyPatch, capsys: Say
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/cache")
    assert os.access(cache_folder(None), os.W_OK)
    assert "/proc/cache/snnrun/build" in capsys.readouterr().err


def test_a_temporary_cache_is_gone_with_the_process(tmp_path: Path) -> None:
    code = "from snnrun.backends.native.build import cache_folder; print(cache_folder(None))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "HOME": "/proc/none"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert not Path(done.stdout.strip()).exists()


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_a_home_that_may_not_be_entered_is_no_home(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    home.chmod(0)
    code = (
        "import os, sys\n"
        f"sys.path[:0] = {sys.path!r}\n"
        "from snnrun.files import why_not, cache_root\n"
        "from snnrun.backends.native.build import cache_folder\n"
        f"os.getuid() or os.setuid({NOBODY})\n"
        "print(why_not(cache_root(), make=False)); print(os.access(cache_folder(None), os.W_OK))\n"
    )
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    home.chmod(0o755)
    assert done.stdout.split("\n")[:2] == ["Permission denied", "True"], done.stderr


def test_data_in_a_place_that_cannot_be_looked_into_are_refused_with_the_way_out(
    tmp_path: Path,
) -> None:
    shd = find("shd")
    folder = data_folder(shd, "x" * 300)
    with pytest.raises(DataError, match="or the variable SNNRUN_DATA"):
        find_file(folder, shd.files[0])


@pytest.mark.parametrize(
    ("name", "value", "mark"),
    [
        ("HOME", "/proc/none", "WRONG"),
        ("HOME", "", "WRONG"),
        ("XDG_CACHE_HOME", "/proc/none", "WRONG"),
        ("SNNRUN_DATA", "/proc/none", "WRONG"),
        ("SNNRUN_CACHE", "/proc/none", "MISSING"),
    ],
)
def test_doctor_says_and_counts_a_folder_that_cannot_be_used(
    name: str, value: str, mark: str, monkeypatch: pytest.MonkeyPatch, capsys: Say, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv(name, value)
    assert main(["doctor"]) == 1
    lines = capsys.readouterr().out.splitlines()
    marked = [line for line in lines if f" {mark} " in line]
    assert marked
    can = "cannot run: " if mark == "MISSING" else "can run, but "
    assert lines[-1].startswith(f"training {can}{len(marked)} of the above")
    assert all("name another" in line or "export HOME" in line for line in marked)


def test_doctor_makes_no_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert [f.missing or f.wrong for f in doctor._folders()] == [False, False]
    assert list(tmp_path.iterdir()) == []
