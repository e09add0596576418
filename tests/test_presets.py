"""Every preset, and pairs of all choices of the network, run: two mini-batches of real training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import test_pairs
import test_surrogate
from long import long_but
from pairwise import Pair, cover, pairs_of, pairwise
from parity import TAUS
from runs import write_dvs, write_mnist, write_nmnist, write_shd, write_ssc

from snnrun.commands.arguments import split
from snnrun.commands.choices import groups
from snnrun.commands.compose import configured
from snnrun.config import Config, conf_dir, from_dict
from snnrun.models.losses import LOSSES
from snnrun.models.neurons import DISCRETE, HIDDEN_NEURONS, NEURON_TYPES
from snnrun.models.nonlinear import NONLINEAR
from snnrun.models.surrogates import SURROGATES
from snnrun.record import load_run
from snnrun.record.paths import RunPaths
from snnrun.run import train
from snnrun.schema import SCHEMA
from snnrun.training import checkpoint

PRESETS = [name for name in groups([conf_dir()])["preset"] if name != "none"]
SOME = ("shd_mlgenn_blend",)
# Layers that are silent at first, and learn to spike in the course of an epoch of the public sets.
LOUDER = ("network.layers.0.forward.mean=0.3", "network.layers.1.forward.mean=0.5")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Small data in the formats of the public sets."""
    top = tmp_path_factory.mktemp("data")
    mnist = write_mnist(top / "mnist")
    return {
        "mnist": mnist,
        "smnist": mnist,
        "nmnist": write_nmnist(top / "nmnist"),
        "shd": write_shd(top / "shd", events=3000),
        "ssc": write_ssc(top / "ssc", events=3000),
        "dvs": write_dvs(top / "dvs", events=80_000),
    }


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what is converted of these small archives out of the user's cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def preset(name: str, folders: dict[str, Path], *more: str) -> Config:
    """Return the preset as it is composed, with few small mini-batches of small data."""
    sizes = {"N_TRAIN": 7, "N_BATCH": 4, "N_VALIDATE": 4, "N_TEST": 4, "N_EPOCH": 1}
    cfg = configured(split([f"preset={name}"]))
    if cfg.N_VALIDATE == 0:
        del sizes["N_VALIDATE"]
    if cfg.dataset.name == "pattern":  # one after the other, and no file
        sizes |= {"N_BATCH": 1, "TRIAL_MS": 190.0, "dataset.target": "null"}
        sizes |= {"dataset.rate": 40.0, "rule.update_ms": 100.0}
    if "blend" in cfg.AUGMENTATION:
        sizes["N_TRAIN"] = 37  # more than the files hold, so that some are blended
    words = [f"preset={name}", *more, *(f"{key}={value}" for key, value in sizes.items())]
    words.append("MODEL_SEED=1")
    if cfg.dataset.name in folders:
        words.append(f"dataset.path={folders[cfg.dataset.name]}")
    return configured(split(words))


@pytest.mark.parametrize("name", long_but(PRESETS, SOME))
def test_every_preset_trains(name: str, folders: dict[str, Path], tmp_path: Path) -> None:
    config = preset(name, folders, *(LOUDER if name.endswith("se_adlif") else ()))
    train(config, tmp_path)
    assert_trained(config, tmp_path)


def assert_trained(config: Config, folder: Path) -> None:
    """Look at the figures of the run, and whether everything that is trained has moved."""
    run = load_run(folder)
    size = config.N_BATCH
    batches = [size] * (config.N_TRAIN // size) + [config.N_TRAIN % size] * (size > 1)
    assert list(run.trials["examples"][run.trials["phase"] == 0]) == batches
    assert np.isfinite(run.trials["loss"]).all()
    assert np.isfinite(run.test["loss"])
    assert run.finished
    for name, tensor in checkpoint.load(RunPaths(folder).last)["tensors"].items():
        assert np.isfinite(tensor["value"]).all(), name
        if "first" in tensor:
            assert tensor["first"].any(), f"{name} got no gradient"


def flowing(key: str) -> tuple[str, ...]:
    """Return the neurons of a key that are declared by linear equations; test_flows has others."""
    return tuple(
        name
        for name in SCHEMA[key].choices
        if name not in DISCRETE and NEURON_TYPES[name][0].name not in NONLINEAR
    )


CHOICES: dict[str, tuple[Any, ...]] = {
    "HIDDEN_NEURON_TYPE": flowing("HIDDEN_NEURON_TYPE"),
    "LOSS_TYPE": tuple(LOSSES),
    "RECURRENT": (False, True),
    "N_HID_LAYER": (1, 2, 3),
    "OUTPUT_NEURON_TYPE": flowing("OUTPUT_NEURON_TYPE"),
    "TRAIN_TAU": (False, True),
    "TRAIN_TAU_OUTPUT": (False, True),
    "TAU_REF": (0.0, 3.0),
    "integrator": ("exact", "euler"),
}
SURROGATE_CHOICES: dict[str, tuple[Any, ...]] = {
    "HIDDEN_NEURON_TYPE": ("LIF", "ALIF", *(n for n in DISCRETE if n in HIDDEN_NEURONS)),
    "surrogate": SCHEMA["rule.surrogate"].choices,
    "LOSS_TYPE": ("max", "avg_xentropy", "sum_weigh_input"),
    "RECURRENT": (False, True),
    "N_HID_LAYER": (1, 2),
    "OUTPUT_NEURON_TYPE": SCHEMA["OUTPUT_NEURON_TYPE"].choices,
    "TRAIN_TAU": (False, True),
    "detach_reset": (False, True, ("V",)),
}
# the whole weight is added to the potential, or a tenth of it
INPUT_MEANS = {"rockpool_LIF_delta": 0.01, "spytorch_LIF": 0.01, "SE_adLIF": 0.5}
# Pairs of these are in programs whose gradients are held against a reference: only what else a
# configuration can choose is combined here.
FACTORS = {
    "HIDDEN_NEURON_TYPE": "model",
    "LOSS_TYPE": "loss",
    "RECURRENT": "recurrent",
    "N_HID_LAYER": "hidden_layers",
    "integrator": "integrator",
    "surrogate": "surrogate",
    "detach_reset": "detach",
}
VALUES: dict[tuple[str, Any], tuple[str, Any]] = {
    ("HIDDEN_NEURON_TYPE", "hetLIF"): ("spread", 0.1),
    ("TAU_REF", 0.0): ("t_ref", 0.0),
    ("TAU_REF", 3.0): ("t_ref", 1.0),
    ("TRAIN_TAU", False): ("train", ()),
    ("TRAIN_TAU", True): ("train", TAUS),
}


def held_by(factors: Mapping[str, tuple[Any, ...]]) -> Callable[[Pair], bool]:
    """Return whether the combinations of ``factors`` have a pair of choices."""

    def has(key: str, value: Any) -> bool:
        known = value.lower() if key == "HIDDEN_NEURON_TYPE" else value
        name, known = VALUES.get((key, value), (FACTORS.get(key, ""), known))
        return known in factors.get(name, ())

    return lambda pair: all(has(key, value) for key, value in pair)


BOTH = (
    (CHOICES, held_by(test_pairs.FACTORS)),
    (SURROGATE_CHOICES, held_by(test_surrogate.FACTORS)),
)
FOUND = [pairwise(choices, held) for choices, held in BOTH]


def name_of(chosen: dict[str, Any]) -> str:
    return "-".join(map(str, chosen.values()))


# every pair without a compiler; with it every choice
COMPILED = cover(FOUND[0]) + cover(FOUND[1])
RUNS = [("numpy", chosen) for chosen in FOUND[0] + FOUND[1]]
RUNS += [("native", chosen) for chosen in COMPILED]
SOME_RUNS = [("native", chosen) for chosen in COMPILED[::7]]


@pytest.mark.parametrize(
    ("backend", "chosen"), long_but(RUNS, SOME_RUNS, lambda run: f"{run[0]}-{name_of(run[1])}")
)
def test_every_pair_of_choices_trains(
    backend: str, chosen: dict[str, Any], folders: dict[str, Path], tmp_path: Path
) -> None:
    keys = {key: value for key, value in chosen.items() if key.isupper()}
    rule = {key: chosen[key] for key in ("surrogate", "detach_reset") if key in chosen}
    resets = NEURON_TYPES[chosen["HIDDEN_NEURON_TYPE"]][0].system.resets
    if isinstance(rule.get("detach_reset"), tuple) and "V" not in resets:
        rule["detach_reset"] = tuple(resets)[:1]  # neurons name their states as they like
    for name in SURROGATES[chosen["surrogate"]].keys if rule else ():
        if name in ("scale", "width"):
            rule[name] = 1.0  # so flat that potentials far from the threshold pass something on
    config = from_dict(
        {
            **keys,
            "backend": backend,
            "rule": {"name": "surrogate", **rule} if rule else "eventprop",
            "dataset": {"name": "shd", "path": str(folders["shd"])},
            "network": {"integrator": chosen.get("integrator", "exact")},
            "DT_MS": 2.0,
            "TRIAL_MS": 100.0,
            "NUM_HIDDEN": 17,
            "INPUT_HIDDEN_MEAN": INPUT_MEANS.get(chosen["HIDDEN_NEURON_TYPE"], 0.04),
            "INPUT_HIDDEN_STD": 0.02,
            **({"HIDDEN_HIDDENFWD_MEAN": 0.5} if chosen["N_HID_LAYER"] > 1 else {}),
            "HIDDEN_OUTPUT_MEAN": 0.3,  # spikes of the outputs wait for recurrent ones
            "N_TRAIN": 7,
            "N_BATCH": 4,
            "N_VALIDATE": 4,
            "N_TEST": 4,
            "N_EPOCH": 1,
            "MODEL_SEED": 1,
        }
    )
    train(config, tmp_path)
    assert_trained(config, tmp_path)


@pytest.mark.parametrize(("choices", "held"), BOTH, ids=["eventprop", "surrogate"])
def test_the_combinations_hold_every_pair_that_no_reference_has(
    choices: dict[str, tuple[Any, ...]], held: Callable[[Pair], bool]
) -> None:
    keys, found = list(choices), pairwise(choices, held)
    present = {frozenset(pair) for chosen in found for pair in pairs_of(chosen, keys)}
    left = 0
    for a, b in combinations(keys, 2):
        for x in choices[a]:
            for y in choices[b]:
                if held(((a, x), (b, y))):
                    left += 1
                else:
                    assert frozenset([(a, x), (b, y)]) in present
    assert left > 50
    assert all({chosen[key] for chosen in found} == set(choices[key]) for key in keys)
    assert len(found) < 70
