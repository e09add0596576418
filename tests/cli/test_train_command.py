"""`snnrun train`, gradcheck and compile: what is handed on, and what becomes of errors."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import pytest
from cli_tools import Calls, Say, fail_with, refused, run_folders, train_with
from omegaconf import OmegaConf

from snnrun.cli import main
from snnrun.errors import NumericalError
from snnrun.presets import Setting


def test_train_hands_on_the_checked_configuration_and_its_folder(calls: Calls) -> None:
    assert main(["train", "dataset=shd", "N_EPOCHS=7", "MODEL_SEED=3"]) == 0
    [(name, config, folder, named)] = calls
    setting = Setting(preset="shd", by_default=True)
    assert (name, named["resume"], named["setting"]) == ("train", False, setting)
    assert named["progress"]
    assert (config.dataset.name, config.N_EPOCH, config.MODEL_SEED) == ("shd", 7, 3)
    assert [folder] == [f.absolute() for f in run_folders()]
    assert (folder / ".hydra" / "config.yaml").is_file()


def test_nothing_but_the_log_of_the_run_lies_in_its_folder(
    calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    main(["train"])
    [folder] = run_folders()
    assert [path.name for path in folder.iterdir()] == [".hydra"]
    saved = OmegaConf.load(folder / ".hydra" / "config.yaml")
    assert saved.MODEL_SEED == calls[0][1].MODEL_SEED is not None
    train_with(monkeypatch, lambda: logging.getLogger("snnrun").warning("grazes"))
    main(["train", f"hydra.run.dir={folder}", f"MODEL_SEED={saved.MODEL_SEED}"])
    assert "WARNING snnrun: grazes" in (folder / "run.log").read_text()


def test_runs_go_where_out_dir_says(calls: Calls, tmp_path: Path) -> None:
    main(["train", f"OUT_DIR={tmp_path / 'elsewhere'}"])
    assert calls[0][2].is_relative_to(tmp_path / "elsewhere" / "outputs")


def test_a_refused_configuration_makes_no_folder_and_removes_nothing(
    capsys: Say, calls: Calls
) -> None:
    refused(capsys, "train", "DT_MS=-1")
    assert list(Path().iterdir()) == []
    Path("mine").mkdir()
    refused(capsys, "train", "DT_MS=-1", "hydra.run.dir=mine")
    assert [path.name for path in Path().iterdir()] == ["mine"]
    assert list(Path("mine").iterdir()) == []


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (NumericalError("V is not finite"), 2, "snnrun: error: V is not finite\n"),
        (SystemExit(143), 143, ""),
        (KeyboardInterrupt(), 130, ""),
    ],
    ids=repr,
)
def test_errors_and_stops_of_a_run_end_with_their_code_and_without_traceback(
    error: BaseException,
    code: int,
    said: str,
    capsys: Say,
    calls: Calls,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fail_with(monkeypatch, error)
    assert main(["train"]) == code
    assert capsys.readouterr().err == said


@pytest.mark.parametrize(
    "error",
    # of the program; of the job, not of the run folder; one that was asked for
    [ZeroDivisionError("a"), FileNotFoundError("weights"), NumericalError("boom")],
    ids=repr,
)
def test_mistakes_in_the_program_and_what_is_asked_for_have_a_traceback(
    error: Exception, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_with(monkeypatch, error)
    monkeypatch.setenv("SNNRUN_TRACEBACK", "1" if isinstance(error, NumericalError) else "")
    with pytest.raises(type(error), match=str(error)):
        main(["train"])


def test_modules_in_the_current_folder_are_found(
    calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("my_neurons_here.py").write_text("slow = 5\n")
    found: list[int] = []
    train_with(monkeypatch, lambda: found.append(__import__("my_neurons_here").slow))
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
