"""`snnrun resume` and `snnrun test`: a run's own configuration, and what may change of it."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from cli_tools import Calls, Say, refused, run_folders, train_with
from omegaconf import OmegaConf

from snnrun.cli import main
from snnrun.presets import Setting


@pytest.fixture
def trained(calls: Calls) -> Path:
    """Return the folder of a run that was trained."""
    main(["train", "dataset=shd", "N_EPOCH=5"])
    calls.clear()
    return run_folders()[0]


def test_resume_goes_on_with_the_newest_run(trained: Path, calls: Calls) -> None:
    main(["compile"])
    calls.clear()
    assert main(["resume"]) == 0
    [(name, config, folder, named)] = calls
    setting = Setting(preset="shd", by_default=True)
    assert (name, folder, named) == ("train", trained, {"resume": True, "setting": setting})
    assert (config.dataset.name, config.N_EPOCH) == ("shd", 5)


def test_the_newest_run_may_be_a_job_of_a_multirun(trained: Path, calls: Calls) -> None:
    main(["train", "-m", "ETA=1e-3,1e-2"])
    calls.clear()
    main(["resume"])
    assert calls[0][2].as_posix().startswith("outputs/multirun/")
    assert calls[0][1].ETA == 0.01


def test_what_a_resume_changes_holds_for_later_ones(trained: Path, calls: Calls) -> None:
    before = (trained / ".hydra" / "config.yaml").read_text()
    main(["resume", str(trained), "N_EPOCHS=9", "REC_SPIKES=[hidden]", "backend.threads=1"])
    main(["resume", str(trained), "N_EPOCH=12"])
    main(["resume", str(trained)])
    first, second, third = (config for _, config, *_ in calls)
    assert (first.N_EPOCH, first.REC_SPIKES, first.backend.threads) == (9, ("hidden",), 1)
    assert (second.N_EPOCH, second.REC_SPIKES) == (12, ("hidden",))
    assert third == second
    assert (trained / ".hydra" / "config.yaml").read_text() == before


def test_a_run_that_was_killed_before_its_seed_was_kept_gets_one(
    trained: Path, calls: Calls
) -> None:
    file = trained / ".hydra" / "config.yaml"
    saved = OmegaConf.load(file)
    saved.MODEL_SEED = None
    OmegaConf.save(saved, file)
    main(["resume"])
    main(["resume"])
    assert calls[0][1].MODEL_SEED == calls[1][1].MODEL_SEED


@pytest.mark.parametrize(
    ("override", "fragment"),
    [
        ("NUM_HIDDEN=3", "NUM_HIDDEN=3: cannot be changed by `snnrun resume`"),
        (
            "network.projections.0.delay.max=9",
            "network.projections.0.delay.max=9: cannot be changed by `snnrun resume`",
        ),
        ("dataset=mnist", "takes single keys, not groups"),
        ("hydra.run.dir=x", "takes single keys, not groups"),
        ("N_EPOCH=3,4", "one run is one configuration"),
        ("+ETA=3", "takes KEY=VALUE only"),
        ("~ETA", "nowhere"),
        ("ETAA=3", "Did you mean 'ETA'"),
        ("N_EPOCH=-1", "a whole number >= 0"),
    ],
)
def test_resume_refuses_what_would_make_another_run(
    trained: Path, override: str, fragment: str, calls: Calls, capsys: Say
) -> None:
    if override.startswith("~"):  # no KEY=VALUE, so it is taken for a folder
        assert "does not exist" in refused(capsys, "resume", override)
    else:
        assert fragment in refused(capsys, "resume", str(trained), override)
    assert calls == []
    assert not (trained / ".hydra" / "resumed_overrides.yaml").exists()


def test_a_refusal_lists_the_keys_that_this_run_uses(calls: Calls, capsys: Say) -> None:
    def changeable(*words: str) -> list[str]:
        folder = words[0].partition("=")[2]
        assert main(["train", *words, f"hydra.run.dir={folder}"]) == 0
        said = refused(capsys, "resume", folder, "rule.r0=2")
        return said.partition("it can change: ")[2].strip().split(", ")

    online = changeable("dataset=pattern")
    assert "N_EPOCH" in online
    assert "backend.threads" in online
    assert not {"ETA", "ADAM_BETA1", "LR_EASE_IN_FACTOR", "N_MAX_SPIKE", "EMA_WHICH"} & {*online}
    scheduled = changeable("dataset=yinyang", "ETA_FAC=0.5")
    assert {"ETA", "ADAM_BETA1", "EMA_WHICH"} < {*scheduled}
    assert "EMA_WHICH" not in changeable("dataset=mnist", "backend=native")
    assert "N_MAX_SPIKE" in changeable("dataset=smnist", "backend=genn")


def test_resume_logs_to_the_run(
    trained: Path, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_with(monkeypatch, lambda: logging.getLogger("snnrun").warning("again"))
    main(["resume", str(trained)])
    assert "WARNING snnrun: again" in (trained / "run.log").read_text()


def test_test_chooses_its_own_checkpoint(calls: Calls) -> None:
    main(["train", "dataset=shd", "LOAD_LAST=true"])
    calls.clear()
    assert main(["test", "LOAD_BEST=true", "N_TEST=64"]) == 0
    [(name, config, folder, _)] = calls
    assert (name, folder) == ("test", run_folders()[0])
    assert (config.LOAD_LAST, config.LOAD_BEST, config.N_TEST) == (False, True, 64)
    assert not (folder / ".hydra" / "resumed_overrides.yaml").exists()


def test_the_keys_that_may_change_are_in_the_help(capsys: Say) -> None:
    main(["resume", "--help"])
    text = capsys.readouterr().out
    assert "N_EPOCH," in text
    assert "NUM_HIDDEN" not in text


def small_run() -> Path:
    """Train a small network, and return the run folder."""
    sizes = ["NUM_HIDDEN=5", "N_TRAIN=32", "N_VALIDATE=0", "N_TEST=0", "N_EPOCH=1"]
    assert main(["train", "preset=none", *sizes, "CHECKPOINT_BEST=training"]) == 0
    return run_folders()[0]


def test_a_run_is_no_sweep_to_go_on_with(capsys: Say) -> None:
    folder = str(small_run())
    capsys.readouterr()
    for action in (["resume", folder], ["add", folder, "ETA=1"]):
        said = refused(capsys, "sweep", *action)
        assert "is a run and no sweep; go on with `snnrun resume" in said


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (b"\xdc\xe1", "config.yaml: damaged (UnicodeDecodeError"),
        (b"ETA: [1", "config.yaml: damaged (ParserError"),
        (b"ETA: 1", "config.yaml: holds no configuration of a run"),
        (b"", "config.yaml: holds no configuration of a run"),
    ],
)
@pytest.mark.parametrize("command", ["resume", "test"])
def test_a_configuration_that_is_damaged_is_named(
    trained: Path, capsys: Say, command: str, damage: bytes, told: str
) -> None:
    (trained / ".hydra" / "config.yaml").write_bytes(damage)
    assert told in refused(capsys, command, str(trained))


def test_the_table_of_runs_takes_a_run_folder(capsys: Say) -> None:
    folder = small_run()
    capsys.readouterr()
    assert main(["runs", str(folder)]) == 0
    assert str(folder) in capsys.readouterr().out
