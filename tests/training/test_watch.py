"""What is noticed in the figures of epochs, and what is not: figures as runs may have them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from runs import SMALL, small

from snnrun.config import from_dict
from snnrun.datasets import load
from snnrun.notice import Notice
from snnrun.record import load_run
from snnrun.run import build_program, train
from snnrun.training.watch import Stride, Watched, noticed, watched

HIDDEN = SMALL["NUM_HIDDEN"]
SHARED = {"kind": "conv1d", "kernel": 1, "channels": 6}  # of 5 channels, so 30 neurons
WELL = [0.5, 0.7, 0.8, 0.85, 0.9, 0.9, 0.91, 0.9]
SIZES = 1.7, 0.9  # of the weights to the hidden layer and to the output


@pytest.fixture(scope="module")
def runs() -> Mapping[str, Watched]:
    """Runs of 1,000 examples and 1,000 more of validation, with keys that matter here."""
    changes: dict[str, dict[str, Any]] = {
        "plain": {},
        "unvalidated": {"N_VALIDATE": 0, "CHECKPOINT_BEST": "training"},
        "few validated": {"N_VALIDATE": 20},
        "eased in": {"LR_EASE_IN_FACTOR": 1.03},  # over 234 of 50 updates in an epoch
        "vanishing rate": {"ETA_DECAY": 0.01},
        "by a surrogate": {"rule": "surrogate"},
        "not for spike times": {"LOSS_TYPE": "first_spike"},
        "of shared weights": {
            "network.layers": [{"name": "hidden", "forward": {"connectivity": SHARED}}]
        },
        "with a way around": {
            "network.populations": [{"name": "hidden"}, {"name": "other"}],
            "network.projections": [
                {"from": a, "to": b}
                for a in ("input", "hidden", "other")
                for b in ("hidden", "other", "output")
                if a != b
            ],
        },
    }
    sizes = {"N_TRAIN": 1000, "N_VALIDATE": 1000, "N_EPOCH": 40, "LOSS_TYPE": "max"}
    configs = {
        name: small(**sizes | {"NUM_HIDDEN": 200 if "shared" in name else HIDDEN} | keys)
        for name, keys in changes.items()
    }
    configs["pattern"] = from_dict({"dataset": "pattern", "NUM_HIDDEN": HIDDEN})
    made = {}
    for name, config in configs.items():
        splits = load(config)
        made[name] = watched(config, splits, build_program(config, splits))
    return made


def epochs(run: Watched, accuracy: Sequence[float], **columns: Any) -> dict[str, np.ndarray]:
    """Return figures of as many epochs as there are accuracies; all else is as it should be."""
    n = len(accuracy)
    usual = {
        "epoch": np.arange(n),
        run.task.column("train"): accuracy,
        run.task.column("validation"): accuracy if run.validated else np.full(n, np.nan),
        "train_loss": [1.1 - float(a) for a in accuracy],
        "learning_rate": 5e-3,
        "silent_neurons/hidden": 3,
        "spikes_per_neuron/hidden": 1.0,
    }
    given = {name.replace("__", "/"): values for name, values in columns.items()}
    return {k: np.broadcast_to(np.array(v, float), n) for k, v in (usual | given).items()}


def trained(figures: Mapping[str, np.ndarray], *sizes: float) -> list[Stride]:
    """Return arrays of these sizes that are trained with the learning rate of the last epoch."""
    return [Stride(rate=float(figures["learning_rate"][-1]), size=size) for size in sizes]


def kinds(found: Sequence[Notice]) -> list[str]:
    return [notice.what for notice in found]


def found_in(run: Watched, accuracy: Sequence[float], **columns: Any) -> list[Notice]:
    figures = epochs(run, accuracy, **columns)
    return noticed(figures, run, trained(figures, *SIZES))


def test_nothing_is_noticed_in_a_run_that_goes_well(runs: Mapping[str, Watched]) -> None:
    for run in runs.values():
        for n in range(1, len(WELL) + 1):
            assert found_in(run, WELL[:n]) == []


@pytest.mark.parametrize(("silent", "share"), [(30, 1.0), (16, 16 / 30), (15, None), (0, None)])
def test_a_layer_that_is_silent_or_mostly_so_is_noticed(
    runs: Mapping[str, Watched], silent: int, share: float | None
) -> None:
    found = found_in(runs["plain"], WELL, silent_neurons__hidden=silent)
    assert kinds(found) == ([] if share is None else ["silent layer"])
    for notice in found:
        assert (notice.where, notice.share, notice.epoch) == ("hidden", share, len(WELL) - 1)
        assert "REWIRE_SILENT=true" in notice.message
        assert "ETA=" not in notice.message  # it was so from the start
        assert ("so nothing can be learned" in notice.message) == (silent == 30)


def test_a_surrogate_still_learns_what_leads_to_silent_neurons(runs: Mapping[str, Watched]) -> None:
    (notice,) = found_in(runs["by a surrogate"], WELL, silent_neurons__hidden=30)
    assert "so of their weights only those that lead to them are learned" in notice.message


def test_a_silent_population_with_a_way_around_it_stops_only_what_is_behind_it(
    runs: Mapping[str, Watched],
) -> None:
    (notice,) = found_in(runs["with a way around"], WELL, silent_neurons__hidden=30)
    assert "had no spike in training, so nothing is learned through them" in notice.message


def test_no_new_weights_are_advised_where_neurons_share_them(runs: Mapping[str, Watched]) -> None:
    (notice,) = found_in(runs["of shared weights"], WELL, silent_neurons__hidden=30)
    assert "Try INPUT_HIDDEN_MEAN=" in notice.message
    assert "REWIRE_SILENT" not in notice.message


def test_a_layer_that_falls_silent_in_training_was_taught_too_fast(
    runs: Mapping[str, Watched],
) -> None:
    accuracy = [0.9, 0.94, 0.5]
    notice, _ = found_in(runs["plain"], accuracy, silent_neurons__hidden=[2, 10, 20])
    assert "20 of 30 neurons of hidden had no spike in training" in notice.message
    assert notice.message.endswith("Try ETA=0.001, or REWIRE_SILENT=true REWIRE_LIFT=0.78")
    (notice,) = found_in(runs["plain"], WELL[:3], silent_neurons__hidden=[2, 10, 20])
    assert notice.message.endswith("To wake them, try REWIRE_SILENT=true REWIRE_LIFT=0.78")


@pytest.mark.parametrize(
    ("name", "accuracy", "fell"),
    [
        ("plain", [0.9, 0.94, 0.67], True),  # a third of what lies above guessing
        ("plain", [0.9, 0.94, 0.80], False),
        ("plain", [0.4, 0.45, 0.35], True),
        ("plain", [0.35, 0.38, 0.34], False),  # sampling explains it
        ("unvalidated", [0.9, 0.94, 0.60], True),
        ("few validated", [0.6, 0.75, 0.55], False),  # of 20 examples
        ("few validated", [0.6, 0.95, 0.35], True),
        ("pattern", [0.0, 0.8, 0.5], True),
        ("pattern", [0.0, 0.8, 0.6], False),
        ("pattern", [-0.4, 0.05, -0.04], False),
    ],
)
def test_accuracy_that_collapses_is_noticed(
    runs: Mapping[str, Watched], name: str, accuracy: list[float], fell: bool
) -> None:
    found = [n for n in found_in(runs[name], accuracy) if n.what == "collapse"]
    assert bool(found) is fell
    for notice in found:
        assert "in epoch 1. Try " in notice.message
        assert ("rule.r0=0.2" if name == "pattern" else "ETA=0.001") in notice.message
        where = {"plain": "validation accuracy", "unvalidated": "training accuracy"}
        if name in where:
            assert notice.where == where[name]
            assert f"to {accuracy[-1]:.1%} from {accuracy[1]:.1%}" in notice.message


def test_a_pattern_that_is_lost_is_spoken_of_as_an_error(runs: Mapping[str, Watched]) -> None:
    (notice,) = found_in(runs["pattern"], [0.0, 0.8, 0.5])
    assert notice.where == "training error"
    assert "rose to 0.50 of that of silent outputs from 0.20" in notice.message


@pytest.mark.parametrize(
    ("loss", "fell"), [([1.0, 0.3, 1.1], True), ([1.0, 0.3, 0.9], False), ([1.0, 0.6, 1.1], False)]
)
def test_a_loss_that_is_back_above_its_start_is_noticed(
    runs: Mapping[str, Watched], loss: list[float], fell: bool
) -> None:
    found = found_in(runs["plain"], [0.8, 0.9, 0.85], train_loss=loss)
    assert [(n.what, n.where) for n in found] == [("collapse", "training loss")] * fell


@pytest.mark.parametrize(
    ("name", "accuracy", "loss", "guesses"),
    [
        ("plain", [0.33, 0.35, 0.34], 1.0986, True),
        ("plain", [0.33, 0.35], 1.0986, False),  # too early to say
        ("plain", [0.6, 0.33, 0.35], 1.0986, False),  # a collapse, not yet this
        ("plain", [0.33, 0.42, 0.34], 1.0986, False),
        ("plain", [0.33, 0.35, 0.34], 1.05, False),  # it has begun to learn
        ("plain", [0.33, 0.35, 0.34], [9.0, 6.0, 4.0], False),  # it gets better
        ("plain", [0.33, 0.35, 0.34], [4.0, 6.0, 9.0], True),
        ("not for spike times", [0.0, 0.0, 0.0], 0.2, True),  # no log(n) of this loss
        ("eased in", [0.33, 0.35, 0.34, 0.34, 0.33, 0.34, 0.33], 1.0986, False),
        ("eased in", [0.33, 0.35, 0.34, 0.34, 0.33, 0.34, 0.33, 0.34], 1.0986, True),
        ("pattern", [-0.05, 0.004, 0.0], 1.0, True),
        ("pattern", [-0.05, 0.0, 0.05], 1.0, False),
    ],
)
def test_a_network_that_learns_nothing_is_noticed(
    runs: Mapping[str, Watched], name: str, accuracy: list[float], loss: Any, guesses: bool
) -> None:
    found = kinds(found_in(runs[name], accuracy, train_loss=loss))
    assert ("nothing learned" in found) is guesses


def test_what_to_do_about_a_network_that_learns_nothing_depends_on_why(
    runs: Mapping[str, Watched],
) -> None:
    flat = [0.33, 0.35, 0.34]

    def advice(name: str = "plain", **columns: Any) -> str:
        found = found_in(runs[name], flat, **{"train_loss": 1.0986, **columns})
        return next(n.message for n in found if n.what == "nothing learned").split("Try ")[1]

    assert advice() == "ETA=0.025"
    assert advice(train_loss=5.0) == "ETA=0.001"
    assert advice(silent_neurons__hidden=HIDDEN) == "REWIRE_SILENT=true REWIRE_LIFT=0.78"
    assert advice("vanishing rate", learning_rate=[5e-3, 5e-5, 5e-7]) == "ETA_DECAY=0.891"


@pytest.mark.parametrize(
    ("rate", "n", "still"),
    [(5e-3, 3, False), (1e-4, 3, False), (5e-7, 3, True), (5e-7, 40, False), (0.0, 3, True)],
)
def test_a_learning_rate_that_moves_no_weight_is_noticed(
    runs: Mapping[str, Watched], rate: float, n: int, still: bool
) -> None:
    found = found_in(runs["plain"], [0.9] * n, learning_rate=rate)
    assert kinds(found) == ["no learning rate"] * still


def test_a_learning_rate_is_judged_by_the_size_of_the_weights(runs: Mapping[str, Watched]) -> None:
    figures = epochs(runs["plain"], [0.9] * 3, learning_rate=5e-6)
    assert noticed(figures, runs["plain"], trained(figures, 50.0, 60.0))
    assert not noticed(figures, runs["plain"], trained(figures, 50.0, 0.1))
    assert not noticed(figures, runs["plain"], [])  # nothing is trained by it


@pytest.mark.parametrize(
    ("eta", "output", "still", "said"),
    [
        (5e-7, 5e-3, False, ""),  # the output goes on learning
        (5e-3, 5e-8, False, ""),  # the hidden layer does
        (5e-7, 5e-8, True, "with learning rates of 5e-08 to 5e-07, what is left"),
    ],
)
def test_learning_that_stands_still_is_judged_by_the_rates_of_all_groups(
    tmp_path: Path, eta: float, output: float, still: bool, said: str
) -> None:
    keys = {"ETA": eta, "optimiser.rates": {"output": output}, "LR_EASE_IN_FACTOR": 1.0}
    train(small(**keys, LOSS_TYPE="max"), tmp_path)
    rows = load_run(tmp_path).warnings
    found = [
        str(m)
        for w, m in zip(rows["what"], rows["message"], strict=True)
        if w == "no learning rate"
    ]
    assert bool(found) == still
    assert said in "".join(found)
    if still:  # and what to try is larger for both
        assert "optimiser.rates.output=" in found[0]


def test_spikes_without_gradient_are_noticed_with_their_share(runs: Mapping[str, Watched]) -> None:
    (notice,) = found_in(runs["plain"], WELL, dropped_spikes__hidden=600)
    assert (notice.what, notice.where) == ("spikes without gradient", "hidden")
    assert notice.share == 600 / (HIDDEN * 1000)
    assert "600 of 30,000 spikes of hidden exceeded N_MAX_SPIKE=400" in notice.message
