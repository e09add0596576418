"""Runs with rule=superspike: what they learn and record; test_resume.py stops and kills some."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from runs import OPTIMISED, here, overrides

from snnrun import Run, load_run, train
from snnrun.cli import main
from snnrun.config import from_dict
from snnrun.errors import ConfigError
from snnrun.gradcheck import check_gradients
from snnrun.record.paths import RunPaths
from snnrun.tasks.spike_pattern import FIGURES

# Updates that are not aligned with trials, and recordings in all kinds of epochs
KEYS: dict[str, Any] = {
    **OPTIMISED,
    "dataset": "pattern",
    "dataset.channels": 30,
    "dataset.outputs": 20,
    "dataset.rate": 30,
    "rule.feedback": "random",
    "rule.delay_ms": 0.8,
    "rule.het_rho": 0.1,
    "rule.update_ms": 70,
    "rule.cut_every": 900,
    "TRIAL_MS": 200,
    "NUM_HIDDEN": 40,
    "MODEL_SEED": 1,
    "N_EPOCH": 4,
    "N_TRAIN": 400,
    "N_VALIDATE": 2,
    "N_TEST": 2,
    "REC_SPIKES": "[input,hidden,output]",
    "REC_SPIKES_EPOCH_TRIAL": "[[0,0],[2,300],[-1,399],[1,401]]",
    "REC_NEURONS": "[[output,V]]",
    "REC_NEURONS_EPOCH_TRIAL": "[[1,7]]",
    "W_REPORT_INTERVAL": 300,
    "W_EPOCH_INTERVAL": 2,
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished") / "run"
    done = here("train", *overrides(KEYS), f"hydra.run.dir={folder}")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.long
def test_records_have_the_figures_of_patterns(finished: Path) -> None:
    run = load_run(finished)
    trials = run.trials
    train_rows = trials["phase"] == 0
    assert set(FIGURES) <= trials.keys()
    assert set(FIGURES) <= run.epochs.keys()
    assert set(FIGURES) <= run.test.keys()
    last = np.flatnonzero(train_rows & (trials["trial"] == 399))
    for name in FIGURES:
        assert run.epochs[name].tolist() == trials[name][last].tolist()
    np.testing.assert_allclose(run.epochs["train_skill"], 1 - run.epochs["error_ratio"])
    assert run.epochs["train_loss"].tolist() == trials["loss"][last].tolist()
    assert np.isfinite(run.epochs["validation_skill"]).all()
    assert run.epochs["error_ratio"][-1] < 0.7 < trials["error_ratio"][0]
    assert {n for n in run.timings if n.startswith("kernel_")} == {
        "kernel_neurons",
        "kernel_feedback",
        "kernel_synapses",
        "kernel_updates",
    }
    assert np.unique(trials["learning_rate"][train_rows]).tolist() == pytest.approx([0.1, 1.0])


def test_recorded_spikes_are_those_of_the_trial(finished: Path) -> None:
    run = load_run(finished)
    assert run.recorded()["spikes"] == [(0, 0), (1, 401), (2, 300), (3, 399)]
    trials = run.trials
    for epoch, trial in run.recorded()["spikes"]:
        row = np.flatnonzero((trials["epoch"] == epoch) & (trials["trial"] == trial))[0]
        for name, size in (("hidden", 40), ("output", 20)):
            if trial == 401:  # of the validation, whose first trial the second one follows
                continue
            spikes = run.spikes(epoch, trial, name)
            assert len(spikes.ids) == trials[f"hidden_spikes/{name}"][row]
            assert len(spikes.ids) / size / 0.2 == pytest.approx(trials[f"rate_{name}"][row])
    first, later = (run.spikes(*at, "input") for at in ((0, 0), (2, 300)))
    assert first.ids.tolist() == later.ids.tolist()  # the input is frozen


@pytest.mark.long
def test_the_pattern_is_drawn(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    assert main(["plot", str(finished)]) == 0
    picture = RunPaths(finished).plot("pattern")
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert str(picture.parent) in capsys.readouterr().out


@pytest.mark.long
def test_one_neuron_learns_five_spikes() -> None:
    """Zenke & Ganguli 2018, Fig. 2; theirs is solved after some 500 trials, this one sooner."""
    run = learn({"channels": 100, "outputs": 1}, {"feedback": "none"}, N_EPOCH=50, TRIAL_MS=500.0)
    trials = run.trials
    solved = (trials["hits_2ms"] == 1) & (trials["spurious_5ms"] == 0)
    assert trials["error_ratio"][0] > 0.9
    assert solved.any()
    assert trials["error_ratio"][-1] < 0.2


@pytest.mark.long
def test_hidden_neurons_and_symmetric_feedback_lower_the_error() -> None:
    data = {"channels": 40, "outputs": 30, "rate": 20.0}
    run = learn(data, {}, N_EPOCH=12, TRIAL_MS=400.0, NUM_HIDDEN=64)
    assert run.epochs["error_ratio"][-1] < 0.45
    assert run.trials["error_ratio"][0] > 0.8


def learn(data: dict[str, Any], rule: dict[str, Any], **keys: Any) -> Run:
    config = {
        "dataset": {"name": "pattern", **data},
        "rule": {"name": "superspike", **rule},
        **OPTIMISED,
        "MODEL_SEED": 1,
        "WRITE_TO_DISK": False,
        "preset": "none",
        **keys,
    }
    return train(config, progress=False)


def test_there_is_no_gradient_to_check() -> None:
    with pytest.raises(ConfigError, match="rule=superspike: follows the gradient of no loss"):
        check_gradients(from_dict({"dataset": "pattern", "MODEL_SEED": 1}))


@pytest.mark.parametrize(
    ("network", "said"),
    [
        (
            {"layers": [{"size": 10, "recurrent": True}]},
            "network.layers: rule=superspike trains one",
        ),
        (
            {"hidden_trained": ["v_thresh"]},
            "network.hidden_trained=.*has no effect with rule=super",
        ),
    ],
    ids=["layers", "trained thresholds"],
)
def test_networks_that_the_rule_cannot_train_are_refused(network: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        from_dict({"dataset": "pattern", "network": network})
