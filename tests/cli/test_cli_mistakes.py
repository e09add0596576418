"""What a user sees when a command line is wrong: one message, exit code 2, no traces."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest
from cli_tools import Calls, Say, refused

from snnrun.cli import main


@pytest.mark.parametrize(
    ("words", "fragment"),
    [
        (["trian"], "trian: there is no such command. Did you mean 'train'?"),
        (["dataset=shd"], "a command comes first, as in `snnrun train dataset=shd`"),
        (
            ["train", "dataset=yingyang"],
            "must be one of dvs, evidence_accumulation, mnist, nmnist, pattern, "
            "pattern_generation, sequence_toy, shd, smnist, ssc, yinyang. Did you mean",
        ),
        (["train", "dataset=null"], "dataset=null: must be one of dvs, evidence_accumulation"),
        (["train", "-m", "rule=eventprop,bptt"], "rule=bptt: must be one of eprop, eventprop"),
        (["train", "backend=gen"], "must be one of genn, native, numpy. Did you mean 'genn'?"),
        (["train", "PIPELINE=true"], "PIPELINE=true: has no effect unless backend.name is genn"),
        (["train", "rule.scale=3"], "rule.scale=3.0: has no effect unless rule.name is surrogate"),
        (["train", "rule.scale=3"], "use rule=surrogate LOSS_TYPE=max, leave it out"),
        (["gradcheck", "rule=stdp", "rule.r0=3"], "unless rule.name is superspike, and it is stdp"),
        (["train", "backend=genn", "backend.threads=2"], "and it is genn; use backend=native"),
        (["train", "rule.r1=3"], "no such key. `snnrun keys rule` lists the options of rule"),
        (["train", "rule.scal=3"], "'rule.scale'? It is an option of rule=surrogate or"),
        (["train", "rule.mut=3"], "'rule.mu'? It is an option of rule=stdp."),
        (["train", "network.layers={size: 3}"], "network.layers={size: 3}: must be a list of lay"),
        (["train", "AUGMENTATION=[3]"], "AUGMENTATION=[3]: must be a mapping of augmentations"),
        (["train", "network.layers.size=3"], "its entries have numbers, from 0, as in network"),
        (["train", "network.layers.0.size=3"], "the list that is chosen has no such entry"),
        (["train", "dataset=mylab.data.x"], "dataset.name=mylab.data.x"),
        (["train", "datset=shd"], "datset: there is no such group or key. Did you mean 'dataset'?"),
        (["train", "dataset.pth=x"], "Did you mean 'dataset.path'?"),
        (["train", "eta=1"], "Did you mean 'ETA'?"),
        (["train", "shd"], "shd: did you mean dataset=shd?"),
        (["train", "go"], "settings are given as KEY=VALUE"),
        (["train", "ETA=[1"], "ETA=[1: must be a number > 0"),
        (["train", "--multrun"], "Did you mean '--multirun'?"),
        (["train", "--config-dir"], "--config-dir: needs a value"),
        (["train", "--config-dir", "none", "ETA=1"], "none: there is no such folder"),
        (["train", "N_EPOCH=3", "N_EPOCHS=4"], "N_EPOCHS=4: another spelling of N_EPOCH"),
        (["train", "+UNKNOWN=1"], "UNKNOWN: there is no such key"),
        (["train", "~ETAA"], "Could not delete from config"),
        (["train", "hydra.runn.dir=x"], "hydra.runn"),
        (["train", "+hydra.callbacks.x._target_=nowhere.X"], "Error locating target 'nowhere.X'"),
        (["train", "ETA=-1"], "ETA=-1: must be a number > 0"),
        (["train", "OUT_DIR=/dev/null"], "the run folder cannot be made"),
        (["data"], "needs one of info, verify, fetch, got nothing"),
        (["data", "inf"], "Did you mean 'info'?"),
        (["data", "info", "--from", "x"], "belongs to `snnrun data fetch`"),
        (["data", "fetch", "--from"], "needs a folder"),
        (["data", "info", "-m"], "takes --from and --config-dir only"),
        (["data", "info", "dataset=iris"], "dataset=iris: must be one of"),
        (["runs", "a", "b"], "takes one folder"),
        (["runs", "nowhere"], "there is no such folder"),
        (["doctor", "now"], "takes no arguments"),
        (["plot"], "there is no run in ./outputs"),
        (["plot", "nowhere"], "nowhere: does not exist"),
        (["plot", "--outptu", "x.png"], "Did you mean '--output'?"),
        (["plot", "--output"], "--output: needs a file"),
        (["plot", "--output=x.bmp"], "x.bmp: must end in one of .png, .pdf, .svg"),
        (["plot", "--output", "no/x.png"], "there is no folder no"),
        (["plot", "ETA=1"], "takes run folders and --output FILE, no keys"),
        (["keys", "QQQ"], "QQQ: there is no such key"),
        (["resume"], "there is no run in ./outputs"),
        (["resume", "nowhere"], "nowhere: does not exist"),
        (["train", "rule=eprop ETA=1"], "one word; give each its own: rule=eprop ETA=1\n"),
        (["train", "ETA=1 N_EPOCH=2"], "ETA=1 N_EPOCH=2: these are several settings in one word"),
        (["test", "."], ".: is no run folder"),
        (["train", f"MODEL_SEED={10**20}"], f"MODEL_SEED={10**20}: whole numbers may be as large"),
        (["train", f"N_EPOCH={10**20}"], "as large as 9223372036854775807 (64 bits)"),
        (["train", "--experimental-rerun", "x"], "--experimental-rerun x: there is no such file"),
        (["train", "=3"], "=3: settings are given as KEY=VALUE"),
        (["train", "-m", "hydra/launcher=near", "ETA=1,2"], "near: must be one of basic, "),
        (["train", "-m", "hydra/sweeper=broom", "ETA=1,2"], "broom: must be one of basic, grid"),
        (["train", "--config-name", "mine"], "there is no mine.yaml; --config-dir says where"),
    ],
    ids=lambda v: " ".join(v) if isinstance(v, list) else "",
)
def test_mistakes_are_met_with_one_message(
    words: list[str], fragment: str, capsys: Say, calls: Calls
) -> None:
    assert fragment in refused(capsys, *words)
    assert calls == []
    assert list(Path().iterdir()) == [] or words[-1] == "OUT_DIR=/dev/null"


def test_several_mistakes_are_listed_together(capsys: Say) -> None:
    message = refused(capsys, "train", "ETAA=1", "dataset=shdd", "DT=2")
    assert message.splitlines()[0] == "snnrun: error: 3 problems on the command line:"
    assert len(message.splitlines()) == 4


@pytest.mark.parametrize(
    ("file", "text", "fragment"),
    [
        ("preset/mine", b"ETA: 1e-3\n", "preset/mine.yaml: its first line must be `# @package _gl"),
        ("preset/mine", b"", "preset/mine.yaml: its first line must be `# @package _global_`"),
        ("dataset/mine", b"TRIAL_MS: 9\n", "dataset/mine.yaml: its first line must be `# @packag"),
        ("preset/mine", b"\xff", "preset/mine.yaml: is no text in UTF-8"),
        ("preset/mine", b"# @package _global_\ndefaults: shd\n", "defaults must be a list"),
        ("preset/mine", b"# @package _global_\nETA: [1\n", "mine.yaml"),
        ("preset/mine", b"# @package _global_\nnetwork: [1]\n", "preset/mine.yaml: a list stands"),
    ],
)
@pytest.mark.parametrize("options", [[], ["--cfg", "job"]], ids=["run", "cfg"])
def test_a_file_of_ones_own_that_is_wrong_is_told_by_one_message(
    file: str, text: bytes, fragment: str, options: list[str], capsys: Say, calls: Calls
) -> None:
    path = Path("my_conf", f"{file}.yaml")
    path.parent.mkdir(parents=True)
    path.write_bytes(text)
    words = [f"{path.parent.name}=mine", "--config-dir", "my_conf", *options]
    assert fragment in refused(capsys, "train", *words)
    assert calls == []


def test_a_file_that_holds_options_of_its_group_needs_no_such_line(calls: Calls) -> None:
    Path("my_conf/backend").mkdir(parents=True)
    Path("my_conf/backend/mine.yaml").write_text("name: native\nthreads: 3\n")
    assert main(["train", "--config-dir", "my_conf", "backend=mine"]) == 0
    assert calls[0][1].backend.threads == 3


def test_a_launcher_that_gets_no_more_processes_says_so(
    calls: Calls, capsys: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    def launch() -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr("hydra.main", lambda **_: lambda _: launch)
    assert main(["train", "-m", "MODEL_SEED=1,2"]) == 2
    assert "the system gives no more threads or processes" in capsys.readouterr().err


def test_a_launcher_of_slurm_where_there_is_none_is_told_by_one_message(
    calls: Calls, capsys: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    assert main(["train", "-m", "hydra/launcher=submitit_slurm", "MODEL_SEED=1,2"]) == 2
    assert "there is no srun here" in capsys.readouterr().err


@pytest.mark.skipif(
    bool(find_spec("hydra_plugins") and find_spec("hydra_plugins.hydra_joblib_launcher")),
    reason="the launchers are installed",
)
def test_a_launcher_that_is_not_installed_is_named_with_how_to_get_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    said = refused(capsys, "train", "-m", "hydra/launcher=joblib", "MODEL_SEED=1,2")
    assert "needs hydra-joblib-launcher, which is not installed" in said
    assert "pip install '.[sweeps]'" in said
