from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import h5py
import pytest
from omegaconf import OmegaConf
from runs import small

from snnrun.backends.native.compiler import find_compiler
from snnrun.record import load_run
from snnrun.record.provenance import git_commit, package_commit, provenance
from snnrun.record.runfile import read_provenance, write_provenance
from snnrun.run import train


def origin(**changes: Any) -> dict[str, str | int]:
    arguments: dict[str, Any] = {
        "name": "t",
        "dataset": "yinyang",
        "epochs": 3,
        "seeds": {"MODEL_SEED": 7},
        "command": ["snnrun", "train", "NAME=two words"],
    }
    return provenance({"ETA": 1e-5, "dataset": {"name": "yinyang"}}, **(arguments | changes))


def test_provenance_names_versions_machine_seeds_and_command() -> None:
    found = origin()
    for key in ("snnrun", "python", "numpy", "h5py", "cpu", "hostname", "start_time", "platform"):
        assert found[key], key
    assert found["seed_MODEL_SEED"] == 7
    assert found["command"] == "snnrun train 'NAME=two words'"
    assert 1 <= int(found["cores_usable"]) <= int(found["cores"])


def test_configuration_is_yaml_that_reads_back() -> None:
    text = str(origin()["config"])
    assert OmegaConf.to_container(OmegaConf.create(text)) == {
        "ETA": 1e-5,
        "dataset": {"name": "yinyang"},
    }


def test_provenance_reads_back_whatever_it_holds(tmp_path: Path) -> None:
    long = "x" * 100_000  # longer than an attribute of HDF5 may be
    entries = origin(command=[long, os.fsdecode(b"not \xff utf-8"), "NUL \0"], name="é")
    with h5py.File(tmp_path / "p.h5", "w") as file:
        write_provenance(file, entries)
    with h5py.File(tmp_path / "p.h5") as file:
        assert read_provenance(file) == entries
    assert long in str(entries["command"])
    assert "\\udcff" in str(entries["command"])


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=n", "-c", "user.email=e"]
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=folder, check=True, capture_output=True
    )
    return done.stdout.decode().strip()


def test_commit_of_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert git_commit() == ""
    git(tmp_path, "init")
    assert git_commit() == ""
    (tmp_path / "a").write_text("1")
    git(tmp_path, "add", "a")
    git(tmp_path, "commit", "-m", "first")
    commit = git(tmp_path, "rev-parse", "HEAD")
    assert git_commit() == commit
    (tmp_path / "a").write_text("2")
    assert git_commit() == f"{commit}+changes"


def test_provenance_does_without_git_and_without_a_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    monkeypatch.setenv("PATH", "")
    gone.rmdir()
    found = origin()
    assert found["git_commit"] == ""
    assert found["folder"] == ""


def test_commit_of_the_package_is_that_of_a_clone_and_not_of_what_it_is_installed_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    package = tmp_path / "snnrun"
    package.mkdir()
    (package / "version.py").write_text("")
    (tmp_path / "a").write_text("1")
    git(tmp_path, "init")
    git(tmp_path, "add", "a")
    git(tmp_path, "commit", "-m", "a project, with the package installed in its folder")
    assert package_commit(package) == ""
    git(tmp_path, "add", "snnrun")
    git(tmp_path, "commit", "-m", "a clone")
    assert package_commit(package) == git(tmp_path, "rev-parse", "HEAD")


def test_a_run_says_which_compiler_and_flags_its_numbers_are_from(tmp_path: Path) -> None:
    train(small(N_EPOCH=1), tmp_path)
    found = load_run(tmp_path).provenance
    version = find_compiler(None).version
    assert str(found["backend"]).startswith("native, float32, ")
    assert version in str(found["backend"])
    assert {"-O3", "-ffp-contract=fast"} <= set(str(found["compiled"]).split())
