"""What `snnrun data info | verify | fetch` print, and when they fail."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from samples import make_config

from snnrun.datasets import commands
from snnrun.errors import DataError


def test_info_tells_place_sizes_and_contents(
    shd_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    commands.info(make_config(dataset={"name": "shd", "path": str(shd_folder)}))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("shd: Spiking Heidelberg Digits")
    assert lines[1] == f"folder {shd_folder}"
    size = f"{(shd_folder / 'shd_train.h5').stat().st_size:,}"
    assert any(line.split() == ["shd_train.h5", "train", size, "bytes"] for line in lines)
    assert ["examples", "40", "10"] in [line.split() for line in lines]
    assert ["speakers", *"456456"] in [line.split() for line in lines]


def test_info_of_missing_files_tells_how_to_get_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    commands.info(make_config(dataset={"name": "mnist"}))
    text = capsys.readouterr().out
    assert f"folder {tmp_path / 'cache/snnrun/data/mnist'}" in text
    assert [line.split()[-1] for line in text.splitlines()[3:7]] == ["missing"] * 4
    assert "snnrun data fetch dataset=mnist" in text


def test_a_generated_set_is_described_from_its_examples(capsys: pytest.CaptureFixture[str]) -> None:
    config = make_config(N_TRAIN=60, N_VALIDATE=30, N_TEST=30)
    commands.info(config)
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["train", "validation", "test"] in lines
    assert ["examples", "60", "30", "30"] in lines
    assert ["events", "300", "150", "150"] in lines
    last = next(line for line in lines if line[:2] == ["last", "event"])
    assert all(15 <= float(time) <= 18 for time in last[3:])  # 2 ms at least, 18 ms at most
    commands.fetch(config)
    text = capsys.readouterr().out
    assert text.startswith("yinyang: ")
    assert "nothing to fetch" in text
    commands.verify(config)
    assert capsys.readouterr().out.startswith("yinyang: ")
    with pytest.raises(DataError, match="yinyang has no files"):
        commands.fetch(config, Path("/"))


def test_verify_says_what_the_checksums_say(
    mnist_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    commands.verify(make_config(dataset={"name": "mnist", "path": str(mnist_folder)}))
    text = capsys.readouterr().out
    assert text.startswith("mnist: MNIST")
    assert text.count("not the public file") == 5
    assert text.splitlines()[-1] == "layout ok; these are not the public files"


def test_verify_fails_for_missing_damaged_and_changed_files(
    tmp_path: Path, shd_folder: Path
) -> None:
    config = make_config(dataset={"name": "shd", "path": str(tmp_path / "copy")})
    with pytest.raises(DataError, match="copy, which does not exist"):
        commands.verify(config)
    commands.fetch(config, shd_folder)
    path = tmp_path / "copy" / "shd_train.h5"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(
        DataError, match=r"shd_train.h5: changed since fetched. Remove and fetch an"
    ):
        commands.verify(config)
    (tmp_path / "copy" / "snnrun-files.json").unlink()
    path.write_bytes(path.read_bytes()[:-900])
    with pytest.raises(DataError, match="is not a whole HDF5 file"):
        commands.verify(config)


def test_fetch_from_a_folder_prints_what_it_took(
    tmp_path: Path, shd_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = make_config(dataset={"name": "shd"})
    commands.fetch(config, shd_folder)
    text = capsys.readouterr().out
    assert text.startswith("shd: Spiking Heidelberg Digits")
    assert f"{tmp_path / 'cache/snnrun/data/shd/shd_train.h5'}: layout ok" in text
    assert ["examples", "40", "10"] in [line.split() for line in text.splitlines()]
    commands.verify(config)
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == "layout ok; nothing tells whether these are the public files"


def test_an_error_of_the_file_system_is_one_message(tmp_path: Path, shd_folder: Path) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("")
    config = make_config(dataset={"name": "shd", "path": str(blocker / "below")})
    with pytest.raises(DataError, match=r"dataset shd: .*Not a directory"):
        commands.fetch(config, shd_folder)
    shutil.rmtree(shd_folder)
    with pytest.raises(DataError, match="there is no such folder"):
        commands.fetch(config, shd_folder)
