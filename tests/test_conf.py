"""The configuration files: what they compose is what the schema says."""

from __future__ import annotations

import re
from itertools import combinations, product
from pathlib import Path

import pytest
from long import long_but
from omegaconf import DictConfig
from runs import composed, here, write_mnist

from snnrun.commands.arguments import split
from snnrun.commands.choices import groups
from snnrun.commands.compose import configured as settled
from snnrun.config import Config, conf_dir, flat
from snnrun.errors import ConfigError
from snnrun.keys.files import options_of
from snnrun.keys.kinds import plain
from snnrun.presets import NO_FIGURE, read
from snnrun.schema import DATASETS, SCHEMA

GROUPS = groups([conf_dir()])
PRESETS = [name for name in GROUPS["preset"] if name != "none"]


def table(*overrides: str) -> DictConfig:
    """Return what is composed without the recommended setting."""
    return composed(*overrides, "preset=none")


def checked(*overrides: str) -> Config:
    return settled(split(overrides))


def is_chosen(name: str, backend: str, rule: str) -> bool:
    """Return whether a key is one of a backend and a rule, or of none in particular."""
    chosen = {"rule": rule, "optimiser": "adam", "schedule": "constant"}
    if (group := name.partition(".")[0]) in chosen:
        return name in options_of(group, chosen[group])
    conditions = SCHEMA[name].active_if if name.startswith("backend.") else ()
    return not conditions or any(c.holds({"backend.name": backend}) for c in conditions)


def dataset_of(preset: str) -> str:
    """Return the data set of a preset: its name begins with it, or with the rule for patterns."""
    if preset.startswith("superspike"):
        return "pattern"
    return max((name for name in DATASETS if preset.startswith(name)), key=len)


# Every pair of a data set, a backend and a rule, the backends taken in turn
CHOICES = [
    (dataset, GROUPS["backend"][(i + j) % len(GROUPS["backend"])], rule)
    for i, dataset in enumerate(DATASETS)
    for j, rule in enumerate(GROUPS["rule"])
]


@pytest.mark.parametrize(("dataset", "backend", "rule"), long_but(CHOICES, CHOICES[::4], "-".join))
def test_the_files_of_a_data_set_compose_the_defaults_and_no_other_key(
    dataset: str, backend: str, rule: str
) -> None:
    chosen = table(f"dataset={dataset}", f"backend={backend}", f"rule={rule}")
    values = flat(chosen)
    defaults = {
        name: plain(key.default_of(dataset))
        for name, key in SCHEMA.items()
        if is_chosen(name, backend, rule)
    }
    assert values == {**defaults, "backend.name": backend, "rule.name": rule}


# What superspike, the rule of dataset=pattern, does not take
REFUSED = {
    ("pattern", "recurrent"): "needs RECURRENT=false",
    ("pattern", "layers"): "network.layers: rule=superspike",
    ("pattern", "graph"): "network.populations: rule=superspike",
}
# Where there is no class to predict
_NO_LABELS = ["COLLECT_CONFUSION=false", "REC_PREDICTIONS=false"]
UNLABELLED = {"pattern": _NO_LABELS, "pattern_generation": _NO_LABELS}
# Where neurons have no current that could be recorded
_POTENTIALS = ["REC_NEURONS=[[hidden,V],[output,V]]"]
WITHOUT_CURRENT = {"pattern_generation": _POTENTIALS, "evidence_accumulation": _POTENTIALS}


NETWORKS = [name for name in GROUPS["network"] if name != "nir"]
RECORDS = [("none", []), ("spikes", ["preset=none"]), ("everything", [])]
# Every pair of a network, what is recorded and a data set, the records taken in turn
NETWORK_CHOICES = [
    (dataset, network, *RECORDS[(i + j) % len(RECORDS)])
    for i, dataset in enumerate(DATASETS)
    for j, network in enumerate(NETWORKS)
]


@pytest.mark.long
@pytest.mark.parametrize(("dataset", "network", "record", "preset"), NETWORK_CHOICES)
def test_every_choice_of_network_and_record_works_with_every_data_set(
    dataset: str, network: str, record: str, preset: list[str]
) -> None:
    words = [f"dataset={dataset}", f"network={network}", f"record={record}", *preset]
    if refused := REFUSED.get((dataset, network)):
        with pytest.raises(ConfigError, match=refused):
            checked(*words)
        return
    words += UNLABELLED.get(dataset, [])
    if record == "everything":
        words += WITHOUT_CURRENT.get(dataset, [])
    config = checked(*words)
    assert config.network.name == network
    assert config.record.name == record
    assert bool(config.RECURRENT) == (network == "recurrent")
    assert bool(config.REC_SPIKES) == (record != "none")


@pytest.mark.parametrize(
    ("cases", "factors"),
    [
        (CHOICES, (DATASETS, GROUPS["backend"], GROUPS["rule"])),
        (NETWORK_CHOICES, (DATASETS, NETWORKS, [name for name, _ in RECORDS])),
    ],
    ids=["backends and rules", "networks and records"],
)
def test_the_choices_that_are_tried_hold_every_pair(cases: list[tuple], factors: tuple) -> None:
    for one, other in combinations(range(3), 2):
        pairs = {(case[one], case[other]) for case in cases}
        assert pairs == set(product(factors[one], factors[other]))


@pytest.mark.parametrize("record", GROUPS["record"])
def test_every_choice_of_record_works_with_several_layers(record: str) -> None:
    checked("N_HID_LAYER=2", "RECURRENT=true", f"record={record}", "N_EPOCH=1")


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_chooses_its_data_set_and_is_right(preset: str) -> None:
    config = checked(f"preset={preset}")
    assert config.dataset.name == dataset_of(preset)


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_opens_with_command_source_result_and_run_time(preset: str) -> None:
    file = conf_dir() / "preset" / f"{preset}.yaml"
    lines = file.read_text().splitlines()
    assert lines[:2] == ["# @package _global_", f"# snnrun train preset={preset}"]
    said = read(file)
    assert (said.name, said.dataset) == (preset, dataset_of(preset))
    assert said.source
    assert said.run_time
    assert said.figure or said.published.startswith(NO_FIGURE), said.published
    labels = [line for line in lines if re.match(r"# [a-z][a-z ]*: ", line)]
    texts = (said.source, said.published, said.here, said.chosen, said.run_time, said.rules)
    texts = (*texts, said.needs)
    assert len(labels) == sum(map(bool, texts))


@pytest.mark.parametrize("page", ["networks.md", "rules.md"])
def test_networks_of_the_documentation_work_as_written(page: str, tmp_path: Path) -> None:
    text = (conf_dir().parent / "docs" / page).read_text(encoding="utf-8")
    examples = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert examples
    (tmp_path / "network").mkdir()
    for number, example in enumerate(examples):
        (tmp_path / "network" / f"example{number}.yaml").write_text(example)
        words = ["--config-dir", str(tmp_path), f"network=example{number}"]
        assert settled(split(words)).layers


def test_graphs_of_the_documentation_run_as_written(tmp_path: Path) -> None:
    text = (conf_dir().parent / "docs" / "networks.md").read_text(encoding="utf-8")
    examples = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    (tmp_path / "network").mkdir()
    few = ["N_TRAIN=8", "N_VALIDATE=2", "N_TEST=2", "N_EPOCH=1", "DT_MS=1"]
    few.append(f"OUT_DIR={tmp_path}")
    for number, example in enumerate(examples):
        (tmp_path / "network" / f"example{number}.yaml").write_text(example)
        choice = [f"network=example{number}", *re.findall(r"dataset=\w+", example)]
        if len(choice) > 1:
            choice.append(f"dataset.path={write_mnist(tmp_path / 'mnist')}")
        done = here("train", "--config-dir", str(tmp_path), *choice, "backend=numpy", *few)
        assert done.returncode == 0, done.stderr


def test_the_preset_of_wunderlich_and_pehle_is_theirs() -> None:
    config = checked("preset=yinyang_wp2021")
    assert (config.N_TRAIN, config.N_TEST, config.N_EPOCH, config.N_BATCH) == (5000, 1000, 100, 32)
    assert config.NUM_HIDDEN == 200
    assert config.LOSS_TYPE in ("first_spike_exp", "first_spike_wp")
    assert (config.TAU_0, config.TAU_1, config.ALPHA) == (0.5, 6.4, 0.003)
    assert (config.ETA, config.ETA_DECAY) == (0.005, 0.95)


def test_the_files_are_found_and_travel_in_the_wheel() -> None:
    assert (conf_dir() / "config.yaml").is_file()
    project = Path(__file__).parents[1] / "pyproject.toml"
    assert 'conf = "snnrun/conf"' in project.read_text()


@pytest.mark.parametrize("file", sorted(conf_dir().rglob("*.yaml")), ids=lambda f: f.stem)
def test_the_files_are_short_of_100_columns_and_say_what_they_are(file: Path) -> None:
    lines = file.read_text().splitlines()
    assert max(map(len, lines)) <= 100
    assert any(line.startswith("# ") and "@package" not in line for line in lines[:3])
