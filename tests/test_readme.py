"""What the README, the tutorial and the models' README say is so: commands, keys, links, code."""

from __future__ import annotations

import ast
import inspect
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest

from snnrun import __version__, train
from snnrun.commands import data, plot
from snnrun.commands.arguments import CommandLine, check, parse, split
from snnrun.commands.completion import OF_FOLDERS
from snnrun.commands.compose import configured
from snnrun.commands.keys import find
from snnrun.commands.names import COMMANDS, SWEEP_ACTIONS
from snnrun.commands.saved_run import read_overrides
from snnrun.commands.typed import as_typed
from snnrun.compile.derive import derive
from snnrun.datasets import load
from snnrun.errors import ConfigError, ModelError
from snnrun.models.declare import Neuron
from snnrun.models.losses import Loss
from snnrun.models.neurons import ROCKPOOL_LIF, TAU_MEM
from snnrun.network.build import find_neuron
from snnrun.record import Run, SpikeRecord, load_run
from snnrun.schema import KEYS

ROOT = Path(__file__).parents[1]
README, MODELS = ROOT / "README.md", ROOT / "snnrun" / "models" / "README.md"
DATA = ROOT / "docs" / "data.md"
HOUSE = Path(__file__).parents[1] / "docs" / "architecture.md"
PLOTS, TUTORIAL = ROOT / "docs" / "plots.md", ROOT / "docs" / "tutorial.md"
SWEEPS, PAGE = ROOT / "docs" / "sweeps.md", ROOT / "docs" / "page.md"
RUNS, LOGGERS = ROOT / "docs" / "runs.md", ROOT / "docs" / "loggers.md"
FILE = re.compile(r"# ((?:mylab|my_conf)/\S+)")  # what an example that is a file begins with


def name_of(document: Path) -> str:
    return str(document.relative_to(ROOT))


def blocks(document: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", document.read_text(), re.DOTALL)


def shell_commands(document: Path) -> Iterator[list[str]]:
    """Yield the words of every command: of the shell examples, and those within the prose."""
    yield from example_commands(document)
    for code in re.findall(r"`(snnrun\s[^`]+)`", document.read_text()):
        yield shlex.split(code)


def example_commands(document: Path) -> Iterator[list[str]]:
    """Yield the words of every command of the shell examples."""
    for block in blocks(document, "sh"):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            while "&&" in words:
                end = words.index("&&")
                yield words[:end]
                words = words[end + 1 :]
            yield words


SNNRUN = [
    words[1:]
    for document in (README, DATA, MODELS, PLOTS, PAGE, SWEEPS, TUTORIAL, RUNS, LOGGERS)
    for words in shell_commands(document)
    if words[0].rpartition("/")[2] == "snnrun"
]


def write_network(path: Path) -> None:
    """Write a network in NIR, of ten neurons."""
    parameters = ("tau", "r", "v_leak", "v_threshold", "v_reset")
    neurons = nir.LIF(**{name: np.ones(10) for name in parameters})
    shape = (2, 34, 34)
    flat = nir.Flatten(input_type={"input": np.array(shape)}, start_dim=0)
    linear = nir.Linear(weight=np.ones((10, np.prod(shape))))
    nir.write(path, nir.NIRGraph.from_list(flat, linear, neurons))


@pytest.fixture
def users_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with the files that the README shows, which is the current one."""
    found = [
        block for d in (README, DATA) for kind in ("python", "yaml") for block in blocks(d, kind)
    ]
    for block in found:
        if name := FILE.search(block):
            path = tmp_path / name[1]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block)
    write_network(tmp_path / "net.nir")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name in [name for name in sys.modules if name.split(".")[0] == "mylab"]:
        del sys.modules[name]


def compose(words: list[str]) -> Any:
    """Return the checked configuration of a command line; of a sweep, that of its first run."""
    line = split(words)
    check(line)
    first = [
        word.partition(",")[0] if override.is_sweep_override() else word
        for word, override in zip(line.overrides, parse(line.overrides), strict=True)
        if not override.key_or_group.startswith("hydra")
    ]
    return configured(CommandLine(options=line.options, overrides=first))


def test_the_documents_have_the_commands_that_are_checked_here() -> None:
    assert {words[0] for words in SNNRUN} == set(COMMANDS)
    assert len(SNNRUN) >= 25


@pytest.mark.usefixtures("users_folder")
@pytest.mark.parametrize("words", SNNRUN, ids=" ".join)
def test_every_command_exists_and_its_configuration_is_right(words: list[str]) -> None:
    command, *rest = words
    assert command in COMMANDS
    if command == "data":
        assert rest.pop(0) in data.ACTIONS
        compose(rest[: rest.index("--from")] if "--from" in rest else rest)
    elif command in ("resume", "test"):
        read_overrides([as_typed(word) for word in rest if "=" in word], command, {})
    elif command == "keys":
        assert not rest or find(rest).keys
    elif command == "plot":
        plot.read(rest)
    elif command == "sweep":
        assert rest[0] in SWEEP_ACTIONS
    elif command in OF_FOLDERS:
        assert {word for word in rest if word.startswith("-")} <= set(OF_FOLDERS[command])
    elif command in ("doctor", "presets"):
        assert not rest
    else:  # of a search, without it and the ranges that it draws from
        searches = ("sweep=", "interval(")
        compose([word for word in rest if not any(part in word for part in searches)])


def test_the_tutorial_has_seven_commands_and_the_last_one_makes_its_figure() -> None:
    shown = [words[1] for words in example_commands(TUTORIAL) if words[0] == "snnrun"]
    assert shown == ["data", "train", "test", "resume", "train", "runs", "plot"]
    assert f"]({TUTORIAL.relative_to(ROOT)})" in README.read_text()
    pictures = re.findall(r"!\[.*?\]\((.*?)\)", TUTORIAL.read_text())
    assert pictures == ["tutorial.png"]
    text = [line for block in blocks(TUTORIAL, "text") for line in block.splitlines()]
    assert max(map(len, text)) < 100


def test_every_key_that_the_readme_names_exists() -> None:
    named = set(re.findall(r"`([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)`", README.read_text()))
    assert len(named) > 10
    assert {name for name in named if not name.startswith("SNNRUN_")} <= set(KEYS)


def headings(page: Path) -> set[str]:
    """Return the headings of a page as links name them."""
    return {
        re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-")
        for heading in re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    }


@pytest.mark.parametrize("document", [README, MODELS, PLOTS, TUTORIAL, HOUSE], ids=name_of)
def test_every_link_within_the_repository_leads_somewhere(document: Path) -> None:
    found = re.findall(r"\]\(([^)]+)\)", document.read_text())
    links = [target for target in found if not target.startswith("http")]
    assert links
    for target in links:
        path, _, anchor = target.partition("#")
        page = document.parent / path if path else document
        assert page.exists(), target
        assert not anchor or anchor in headings(page), target


def test_the_page_about_the_house_names_every_room_and_nothing_that_is_gone() -> None:
    text = HOUSE.read_text()
    there = [path.as_posix() for path in (ROOT / "snnrun").rglob("*.[ph][yp]*")]
    for name in re.findall(r"`([\w./]+\.(?:py|hpp))`", text):
        assert (ROOT / name).exists() or any(path.endswith(f"/{name}") for path in there), name
    rooms = [path.name for path in (ROOT / "snnrun").iterdir() if (path / "__init__.py").exists()]
    for room in set(rooms) - {"interface", "testing"}:
        assert f" {room}/" in text, room


def test_the_example_of_reading_a_run_calls_what_there_is() -> None:
    [example] = [block for block in blocks(README, "python") if "load_run" in block]
    classes = {"run": Run, "spikes": SpikeRecord}
    found = 0
    for node in ast.walk(ast.parse(example)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            owner = classes.get(node.value.id)
            known = {*vars(owner), *getattr(owner, "__annotations__", {})} if owner else {node.attr}
            assert node.attr in known, ast.unparse(node)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = classes.get(ast.unparse(node.func.value))
            if owner is not None:
                arguments = {word.arg: None for word in node.keywords if word.arg}
                signature = inspect.signature(getattr(owner, node.func.attr))
                signature.bind(None, *node.args, **arguments)
                found += 1
    assert found > 4
    [call] = re.findall(r"\btrain\((\{.*\}), progress=False\)", example)
    inspect.signature(train).bind(ast.literal_eval(call), progress=False)
    compose([f"{name}={value}" for name, value in ast.literal_eval(call).items()])


@pytest.mark.usefixtures("users_folder")
def test_the_readmes_neuron_can_be_derived_and_its_preset_names_it() -> None:
    config = compose(["--config-dir", "my_conf", "preset=mine"])
    neuron, _ = find_neuron(config.HIDDEN_NEURON_TYPE, "HIDDEN_NEURON_TYPE")
    assert set(config.network.hidden_parameters) <= {p.name for p in neuron.parameters}
    assert derive(neuron, ("tau_mem",), refractory=False).jump is not None


@pytest.mark.usefixtures("users_folder")
def test_the_readmes_data_set_learns_as_it_is_pasted() -> None:
    [pasted] = [words for words in SNNRUN if words[0] == "train" and "dataset=bars" in words]
    done = subprocess.run(
        [sys.executable, "-m", "snnrun", *pasted, "MODEL_SEED=1"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "bars: 400 train, 100 validation, 500 test; 20 inputs, 2 classes" in done.stdout
    [run] = Path("outputs").glob("*/*")
    assert load_run(run).test["accuracy"] > 0.95


@pytest.mark.usefixtures("users_folder")
@pytest.mark.parametrize("below", ["yinyang", "mnist", "dvs"])
def test_a_data_set_may_be_named_on_the_command_line_alone(below: str) -> None:
    """The keys that another data set's file sets, and that have no effect, are no mistake then."""
    config = compose([f"dataset={below}", "dataset.name=mylab.data.bars", "+dataset.examples=60"])
    assert config.dataset.examples == 60
    with pytest.raises(ConfigError, match="N_MAX_SPIKE=7: has no effect"):
        compose([f"dataset={below}", "dataset.name=mylab.data.bars", "N_MAX_SPIKE=7"])
    without = compose([f"dataset={below}", "dataset.name=mylab.data.bars"])
    with pytest.raises(ConfigError, match=r"no 'examples'\. .* as \+dataset.examples=VALUE"):
        load(without)


def test_the_declarations_of_the_models_readme_are_accepted() -> None:
    names: dict[str, Any] = {}
    for block in blocks(MODELS, "python"):
        code = compile(block, str(MODELS), "exec")
        if "check_model" not in block:  # which builds programs; tests/test_extend.py calls it
            exec(code, names)
    assert isinstance(names["late"], Loss)
    assert derive(names["tired"], ("tau_mem", "tau_w"), refractory=True).jump is not None
    assert names["balanced"].ports == ("R", "I")
    assert derive(names["balanced"], ("tau_rise",), refractory=False).jump is not None
    bursting = names["bursting"].system
    assert (bursting.update, bursting.count) == (
        ROCKPOOL_LIF.system.update,
        ROCKPOOL_LIF.system.count,
    )


def test_the_error_that_the_models_readme_shows_is_the_one_that_is_raised() -> None:
    shown = re.search(r"ModelError: (neuron alpha.*?)\n\n", MODELS.read_text(), re.DOTALL)
    assert shown is not None
    [line] = re.findall(r"dV/dt = .*tau_men", shown[1])
    with pytest.raises(ModelError) as raised:
        Neuron(name="alpha", equations=f"{line}\ndI/dt = -I / tau_mem", parameters=(TAU_MEM,))
    first, statement, caret = shown[1].splitlines()
    assert str(raised.value) == f"{first}\n{statement[4:]}\n{caret[4:]}"


def test_code_given_to_python_on_the_command_line_compiles() -> None:
    given = [words[2] for words in shell_commands(README) if words[:2] == ["python", "-c"]]
    assert given
    for code in given:
        compile(code, "README.md", "exec")


def test_extras_that_the_readme_installs_exist() -> None:
    extras = set(re.findall(r"install [^`\n]*'\.\[(\w+)\]'", README.read_text()))
    project = (ROOT / "pyproject.toml").read_text()
    assert {"dev", "sweeps", "compiler"} <= extras
    assert all(f"\n{extra} = [" in project for extra in extras)


def test_the_readme_is_short() -> None:
    assert len(README.read_text().splitlines()) <= 285


def test_the_changelog_has_the_version_of_the_package() -> None:
    assert f"## [{__version__}] - " in (ROOT / "CHANGELOG.md").read_text()


def test_the_continuous_integration_runs_the_readmes_test_command() -> None:
    [command] = [
        line
        for block in blocks(README, "sh")
        for line in block.splitlines()
        if line.endswith("-m pytest -n auto")
    ]
    run = (ROOT / ".ci" / "run").read_text().replace('"', "").replace("$venv", ".venv-test")
    at = [run.index(part) for part in command.split(" && ")]
    assert at == sorted(at)


@pytest.mark.parametrize("script", [".ci/run", "scripts/check.sh"])
def test_the_scripts_can_be_run_and_check_style_and_types(script: str) -> None:
    path = ROOT / script
    assert os.access(path, os.X_OK)
    subprocess.run(["bash", "-n", str(path)], check=True)
    for words in ("-m ruff check .", "-m ruff format --check .", "-m mypy", "-m pytest"):
        assert words in path.read_text().replace('"', "")
