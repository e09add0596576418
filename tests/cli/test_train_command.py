"""`snnrun train`, gradcheck and compile: what is handed on, and what becomes of errors."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import pytest
from cli_tools import Calls, Say, fail_with, refused, run_folders
from omegaconf import OmegaConf

from snnrun.cli import main
from snnrun.errors import NumericalError
from snnrun.presets import Setting


def test_train_hands_on_the_checked_configuration_and_its_folder(calls: Calls) -> None:
    assert main(["train", "dataset=shd", "N_EPOCHS=7", "MODEL_SEED=3"]) == 0
    [(name, config, folder, named)] = calls
    setting = Setting(preset="shd", by_default=True)
    assert (name, named) == ("train", {"resume": False, "setting": setting})
    assert (config.dataset.name, config.N_EPOCH, config.MODEL_SEED) == ("shd", 7, 3)
    assert [folder] == [f.absolute() for f in run_folders()]
    assert (folder / ".hydra" / "config.yaml").is_file()


def test_no_log_of_hydras_lies_about(calls: Calls) -> None:
    main(["train"])
    assert [path.name for path in run_folders()[0].iterdir()] == [".hydra"]


def test_the_log_of_a_run_is_in_its_folder(calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    run = sys.modules["snnrun.run"]
    monkeypatch.setattr(
        run, "train", lambda *_, **__: logging.getLogger("snnrun").warning("grazes")
    )
    main(["train"])
    assert "WARNING snnrun: grazes" in (run_folders()[0] / "run.log").read_text()


def test_a_drawn_seed_is_kept_with_the_run(calls: Calls) -> None:
    main(["train"])
    saved = OmegaConf.load(run_folders()[0] / ".hydra" / "config.yaml")
    assert saved.MODEL_SEED == calls[0][1].MODEL_SEED is not None


def test_runs_go_where_out_dir_says(calls: Calls, tmp_path: Path) -> None:
    main(["train", f"OUT_DIR={tmp_path / 'elsewhere'}"])
    assert calls[0][2].is_relative_to(tmp_path / "elsewhere" / "outputs")


def test_a_refused_configuration_leaves_no_folder(capsys: Say, calls: Calls) -> None:
    refused(capsys, "train", "DT_MS=-1")
    assert list(Path().iterdir()) == []
    main(["train"])
    refused(capsys, "train", "DT_MS=-1")
    assert len(run_folders()) == 1


def test_a_refused_configuration_never_removes_what_was_there(capsys: Say, calls: Calls) -> None:
    Path("mine").mkdir()
    Path("mine/notes.txt").write_text("keep")
    refused(capsys, "train", "DT_MS=-1", "hydra.run.dir=mine")
    assert Path("mine/notes.txt").read_text() == "keep"
    assert [path.name for path in Path("mine").iterdir()] == ["notes.txt"]


def test_errors_of_a_run_are_shown_without_traceback(
    capsys: Say, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_with(monkeypatch, NumericalError("V of hidden is not finite since epoch 3"))
    assert main(["train"]) == 2
    assert capsys.readouterr().err == "snnrun: error: V of hidden is not finite since epoch 3\n"


def test_a_traceback_can_be_asked_for(
    calls: Calls, monkeypatch: pytest.MonkeyPatch, capsys: Say
) -> None:
    fail_with(monkeypatch, NumericalError("boom"))
    monkeypatch.setenv("SNNRUN_TRACEBACK", "1")
    with pytest.raises(NumericalError, match="boom"):
        main(["train"])


def test_exit_codes_of_stopped_runs_are_passed_on(
    calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_with(monkeypatch, SystemExit(143))
    assert main(["train"]) == 143
    fail_with(monkeypatch, KeyboardInterrupt())
    assert main(["train"]) == 130


def test_mistakes_in_the_program_keep_their_traceback(
    calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_with(monkeypatch, ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        main(["train"])
    fail_with(monkeypatch, FileNotFoundError("weights"))  # of the job, not of the run folder
    with pytest.raises(FileNotFoundError):
        main(["train"])


def test_modules_in_the_current_folder_are_found(
    calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("my_neurons_here.py").write_text("slow = 5\n")
    run = sys.modules["snnrun.run"]
    found: list[int] = []
    monkeypatch.setattr(
        run, "train", lambda *_, **__: found.append(__import__("my_neurons_here").slow)
    )
    assert main(["train", "HIDDEN_NEURON_TYPE=my_neurons_here.slow"]) == 0
    assert found == [5]


def test_a_folder_of_the_users_adds_presets_and_data_sets(calls: Calls, capsys: Say) -> None:
    for name, text in {
        "preset/mine.yaml": "# @package _global_\nETA: 1.0e-2\nN_EPOCHS: 3\n",
        "preset/wrong.yaml": "# @package _global_\nETTA: 1.0e-2\n",
        "preset/broken.yaml": "# @package _global_\nA: [",
        "dataset/bars.yaml": "# @package _global_\ndataset:\n  name: mylab.data.bars\n  size: 3\n",
    }.items():
        file = Path("my_conf", name)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    own = ["--config-dir", "my_conf"]
    assert main(["train", "preset=mine", *own, "dataset=bars", "dataset.size=4"]) == 0
    config = calls[0][1]
    assert (config.ETA, config.N_EPOCH) == (0.01, 3)
    assert (config.dataset.name, config.dataset.size) == ("mylab.data.bars", 4)
    assert "ETTA: there is no such key" in refused(capsys, "train", *own, "preset=wrong")
    assert "while parsing" in refused(capsys, "train", *own, "preset=broken")
    assert "Did you mean 'mine'" in refused(capsys, "train", "preset=mne", *own)


def test_gradcheck_leaves_nothing_behind_even_in_a_run_folder(calls: Calls, capsys: Say) -> None:
    Path(".hydra").mkdir()
    for name in ("config.yaml", "hydra.yaml", "overrides.yaml"):
        Path(".hydra", name).write_text("of a run")
    assert main(["gradcheck", "dataset=shd"]) == 0
    [(name, config, _)] = calls
    assert (name, config.dataset.name) == ("check_gradients", "shd")
    refused(capsys, "gradcheck", "DT_MS=-1")
    assert [p.name for p in Path().iterdir()] == [".hydra"]
    assert {p.read_text() for p in Path(".hydra").iterdir()} == {"of a run"}


def test_gradients_that_do_not_agree_end_with_an_error(
    calls: Calls, monkeypatch: pytest.MonkeyPatch, capsys: Say
) -> None:
    monkeypatch.setattr(sys.modules["snnrun.gradcheck"], "check_gradients", lambda config: False)
    assert "do not agree" in refused(capsys, "gradcheck")


def test_compile_writes_apart_from_the_runs(calls: Calls) -> None:
    assert main(["compile"]) == 0
    [(name, _, folder, _)] = calls
    assert name == "compile_only"
    assert folder.is_relative_to(Path("outputs/compile").absolute())
