"""Help, version, start-up: answered at once, without anything heavy."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from cli_tools import Say

from snnrun import __version__
from snnrun.cli import main
from snnrun.commands.names import COMMANDS


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"]])
def test_without_a_command_snnrun_explains_itself(words: list[str], capsys: Say) -> None:
    assert main(words) == 0
    text = capsys.readouterr().out
    assert all(f"\n  {command} " in text for command in COMMANDS)
    assert "snnrun train dataset=shd" in text


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_with_its_usage(command: str, capsys: Say) -> None:
    assert main([command, "--help"]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"usage: snnrun {command}")
    assert "examples:" in text or command == "doctor"
    assert max(map(len, text.splitlines())) <= 120


def test_help_of_train_shows_groups_and_where_keys_are(capsys: Say) -> None:
    main(["train", "ETA=1", "-h"])
    text = capsys.readouterr().out
    assert "  dataset=dvs|evidence_accumulation|mnist|nmnist|pattern|" in text
    assert "yinyang_wp2021" in text
    assert "snnrun keys" in text


def test_the_version_is_the_packages(capsys: Say) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"snnrun {__version__}\n"


LIGHT = """
import sys
from snnrun.cli import main
main(sys.argv[1:])
heavy = {"hydra", "omegaconf", "numpy", "h5py", "sympy", "rich", "pooch"} & set(sys.modules)
sys.exit(f"imported {heavy}" if heavy else 0)
"""


@pytest.mark.parametrize(
    "words", [["--help"], ["train", "--help"], ["keys", "ETA"], ["-sc", "query=bash"]], ids=" ".join
)
def test_nothing_heavy_is_imported_for_help_keys_and_completion(words: list[str]) -> None:
    environment = {**os.environ, "COMP_LINE": "snnrun train dataset=s"}
    done = subprocess.run(
        [sys.executable, "-c", LIGHT, *words], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_the_module_is_the_command_and_errors_end_with_code_2() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "snnrun", "train", "ETAA=3"], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == (
        "snnrun: error: ETAA: there is no such key. Did you mean 'ETA'? "
        "`snnrun keys` lists them all\n"
    )


def test_a_closed_pipe_is_quiet() -> None:
    program = f"{sys.executable} -m snnrun keys | head -1"
    done = subprocess.run(program, shell=True, capture_output=True, text=True)
    assert done.stdout == "general parameters\n"
    assert done.stderr == ""
