"""Output that cannot be written, streams that are closed, encodings that lack letters."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SNNRUN = f"'{sys.executable}' -m snnrun"


def shell(line: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        ["bash", "-c", line],
        env={**os.environ, **environment},
        capture_output=True,
        timeout=120,
        check=False,
    )


def test_a_full_disk_behind_standard_output_is_one_message() -> None:
    for command in ("presets", "keys", "--version"):  # more, and less, than a buffer
        done = shell(f"{SNNRUN} {command} > /dev/full")
        assert (done.returncode, done.stdout) == (2, b"")
        assert done.stderr == (
            b"snnrun: error: standard output cannot be written to: No space left on device\n"
        )


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&- <&-"])
def test_closed_streams_are_no_hindrance(closed: str, tmp_path: Path) -> None:
    done = shell(f"cd {tmp_path}; {SNNRUN} keys ETA {closed}; echo $? > code")
    assert (tmp_path / "code").read_text() == "0\n"
    assert done.stderr == b""
    assert (b"Learning rate" in done.stdout or b"learning rate" in done.stdout) == (
        ">&-" not in closed.replace("2>&-", "")
    )


def test_a_file_that_is_opened_never_becomes_standard_output(tmp_path: Path) -> None:
    code = (
        "import os, sys; from snnrun.console import make_usable; make_usable()\n"
        "file = open('file', 'w'); print('lost'); sys.stderr.write('lost')\n"
        "os.system('echo lost')\n"
        "assert file.fileno() > 2\n"
    )
    done = shell(f"cd {tmp_path}; '{sys.executable}' -c \"{code}\" >&- 2>&- <&-; echo $? > code")
    assert (tmp_path / "code").read_text() == "0\n", done
    assert (tmp_path / "file").read_text() == ""


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8", "cp1252"])
def test_every_text_can_be_written_to_every_encoding(encoding: str, tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path / "日本 é ") + b"\xff"
    line = b"cd '" + os.fsencode(tmp_path) + b"'; " + SNNRUN.encode() + b" resume '" + folder + b"'"
    done = subprocess.run(
        ["bash", "-c", line],
        env={**os.environ, "PYTHONIOENCODING": encoding},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 2
    assert b"does not exist" in done.stderr
    assert b"Traceback" not in done.stderr
    assert (b"\\u65e5" if encoding != "utf-8" else "日".encode()) in done.stderr
    assert b"\xff:" in done.stderr


def test_a_current_folder_that_is_gone_is_one_message(tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    done = shell(f"cd {tmp_path}/gone; rmdir ../gone; {SNNRUN} runs")
    assert done.returncode == 2
    assert done.stderr.startswith(b"snnrun: error: the current folder is gone")
