"""`snnrun data`, runs, keys, doctor."""

from __future__ import annotations

import re
import shutil
import threading
from pathlib import Path

import pytest
from cli_tools import Calls, Say

from snnrun.cli import main
from snnrun.commands import doctor
from snnrun.errors import BuildError
from snnrun.schema import DATASETS


@pytest.fixture
def data_calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    from snnrun.datasets import commands

    noted: Calls = []
    for name in ("info", "verify", "fetch"):
        monkeypatch.setattr(
            commands, name, lambda *arguments, name=name: noted.append((name, *arguments))
        )
    return noted


@pytest.mark.parametrize(
    ("words", "handed_on"),
    [
        (["verify", "dataset=shd", "dataset.path=/data"], ("verify", "shd", "/data")),
        (["fetch", "--from", "~/mine", "dataset=mnist"], ("fetch", "mnist", Path.home() / "mine")),
        (["fetch", "--from=~/mine", "dataset=mnist"], ("fetch", "mnist", Path.home() / "mine")),
        (["fetch", "dataset=mnist"], ("fetch", "mnist", None)),
    ],
)
def test_data_hands_on_the_data_set_and_a_folder(
    words: list[str], handed_on: tuple[object, ...], data_calls: Calls
) -> None:
    assert main(["data", *words]) == 0
    [(name, config, *source)] = data_calls
    assert (name, config.dataset.name, *(source or [config.dataset.path])) == handed_on


def test_data_info_without_a_choice_is_about_all(data_calls: Calls) -> None:
    main(["data", "info"])
    assert [config.dataset.name for _, config in data_calls] == list(DATASETS)


def test_runs_lists_the_runs_of_a_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from snnrun.sweeps import runs

    roots: list[Path] = []
    monkeypatch.setattr(runs, "find_runs", lambda root: roots.append(root) or [])
    assert main(["runs"]) == main(["runs", str(tmp_path)]) == 0
    assert roots == [Path(), tmp_path]


def test_keys_explains_one_key_and_names_its_relatives(capsys: Say) -> None:
    assert main(["keys", "dt_ms"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "DT_MS Length of a time step." in text
    assert "a number > 0 (ms)" in text
    assert "1.0 (dvs, evidence_accumulation, mnist, nmnist, pattern_generation" in text
    assert "0.1 (pattern, yinyang)" in text
    main(["keys", "N_EPOCHS"])
    assert "\nN_EPOCH\n" in capsys.readouterr().out
    main(["keys", "ETA"])
    assert "see also: ETA_DECAY, ETA_DELAY, ETA_DELAY_DECAY, ETA_FAC" in capsys.readouterr().out


def test_keys_finds_parts_and_patterns_and_all(capsys: Say) -> None:
    main(["keys", "rec_*_epoch*"])
    text = capsys.readouterr().out
    assert "REC_SPIKES_EPOCH_TRIAL" in text
    assert "\nREC_SPIKES\n" not in text
    main(["keys", "backend"])
    assert "backend.threads" in capsys.readouterr().out
    main(["keys"])
    assert capsys.readouterr().out.count("allowed: ") > 110


def test_keys_says_what_is_allowed_and_what_it_depends_on(capsys: Say) -> None:
    main(["keys", "REWIRE_LIFT", "B_INCR", "rule.name"])
    text = capsys.readouterr().out
    assert "has an effect if HIDDEN_NEURON_TYPE is ALIF" in text
    assert "one of eventprop, surrogate, eprop, superspike, stdp" in text


def test_doctor_says_that_training_can_run(capsys: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    from snnrun.backends.native import compiler

    found = compiler.Compiler(command=("/bin/c++",), version="c++ 12", kind="gcc")
    monkeypatch.setattr(compiler, "find_compiler", lambda wanted: found)
    assert main(["doctor"]) == 0
    text = capsys.readouterr().out
    for word in ("Python", "numpy", "/bin/c++ (c++ 12)", "cores", "build cache", "data folder"):
        assert word in text
    assert "something else" in text  # the package called genn
    assert text.endswith("training can run: snnrun train\n")


def test_doctor_says_what_commands_need_further_packages(
    capsys: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "installed_version", lambda n: None if n == "plotly" else "1.0")
    main(["doctor"])
    text = capsys.readouterr().out
    assert (
        "plotly                not installed; needed for snnrun report and watch only: "
        "pip install '.[page]' in a clone\n" in text
    )
    assert "matplotlib            1.0\n" in text


def test_every_extra_that_doctor_names_is_one_with_that_package() -> None:
    project = (Path(__file__).parents[2] / "pyproject.toml").read_text()
    for package, (_, extra) in doctor.OPTIONAL.items():
        (line,) = re.findall(rf"^{extra} = (\[.*\])$", project, re.MULTILINE)
        assert f'"{package}>=' in line


def test_doctor_says_what_is_missing(capsys: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    from snnrun.backends.native import compiler
    from snnrun.commands import doctor

    def none(wanted: str | None) -> None:
        raise BuildError("no C++ compiler: install one")

    monkeypatch.setattr(compiler, "find_compiler", none)
    monkeypatch.setattr(doctor, "installed_version", lambda n: None if n == "rich" else "1.0")
    monkeypatch.setenv("SNNRUN_DATA", "/proc/data")
    assert main(["doctor"]) == 1
    text = capsys.readouterr().out
    assert "MISSING no C++ compiler: install one" in text
    assert "MISSING install it: pip install rich" in text
    assert "1.0 is not GeNN" in text
    assert "WRONG /proc/data cannot be written to" in text
    assert "training cannot run: 2 of the above" in text


def test_doctor_counts_a_cache_in_which_a_build_comes_and_goes(tmp_path: Path) -> None:
    (tmp_path / "kept").write_bytes(bytes(2_000_000))
    (tmp_path / "gone").symlink_to(tmp_path / "removed meanwhile")
    ended = threading.Event()

    def build() -> None:
        while not ended.is_set():
            place = tmp_path / ".building"
            place.mkdir()
            (place / "program.so").write_bytes(b"0")
            shutil.rmtree(place)

    builder = threading.Thread(target=build)
    builder.start()
    try:
        assert {doctor._size(tmp_path) for _ in range(300)} == {"2 MB"}
    finally:
        ended.set()
        builder.join()
