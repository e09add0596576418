"""A user's own neuron, loss, data set and preset, in a folder outside the package."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from snnrun.compile.program import compile_program
from snnrun.config import from_dict
from snnrun.datasets import load
from snnrun.errors import ConfigError, DataError, ModelError
from snnrun.load import load_object
from snnrun.models.losses import MAX
from snnrun.network.build import build_network, find_loss, find_neuron
from snnrun.record.reader import load_run
from snnrun.rules import find_rule
from snnrun.testing import check_model
from snnrun.training.checkpoint import load as load_checkpoint

NEURONS = '''
from snnrun.models.declare import Neuron, Parameter
from snnrun.models.neurons import TAU_MEM, TAU_SYN, V_THRESH

tired = Neuron(
    name="tired",
    equations="""
        dV/dt = (v_rest + I - W - V) / tau_mem
        dI/dt = -I / tau_syn
        dW/dt = (a * (V - v_rest) - W) / tau_w   # follows the potential, and grows with each spike
    """,
    threshold="V >= v_thresh",
    reset="""
        V = v_rest
        W = W + jump
    """,
    initial={"V": "v_start"},
    parameters=(
        TAU_MEM,
        TAU_SYN,
        V_THRESH,
        Parameter(name="v_rest", default=0.1, unit="1", meaning="resting potential"),
        Parameter(name="v_start", default=0.1, unit="1", meaning="potential before the trial"),
        Parameter(name="a", default=0.4, unit="1", meaning="adaptation below the threshold"),
        Parameter(name="jump", default=0.1, unit="1", meaning="adaptation by a spike"),
        Parameter(
            name="tau_w", default=60.0, unit="ms", positive=True, meaning="time constant of W"
        ),
    ),
    meaning="leaky integrate-and-fire neuron with an adaptation current",
    source="Brette & Gerstner 2005, J Neurophysiol 94:3637, without the exponential",
)
'''

LOSSES = """
from snnrun.models.losses import Loss
from snnrun.models.readouts import Readout

late = Loss(
    name="late",
    readout=Readout.WEIGHTED_SUM,
    score="2 * y",
    weight="t / T",
    label_term="0.01 * y**2",
    meaning="cross entropy of potentials that count more towards the end of the trial",
    source="this test",
)

softplus = Readout(
    name="softplus",
    meaning="what of the potential is above 0, more or less, late in the trial",
    integrand="log(1 + exp(4 * V)) / 4 * t / T",
)
soft = Loss(
    name="soft",
    readout=softplus,
    score="3 * y",
    meaning="cross entropy of a readout of our own",
    source="this test",
)
"""

DATA = """
import numpy as np

from snnrun.datasets import DataSet, Events, Part


def read(request):
    return {name: part(request, request.seeds[name]) for name in request.parts}


def part(request, seed):
    # Two bars of five channels: the class is the one that is active
    n, draw = request.options.size, np.random.default_rng(seed)
    labels = np.arange(n) % 2
    channels = draw.integers(0, 5, (n, 12)) + 5 * labels[:, None]
    events = Events(
        counts=np.full(n, 12),
        times_ms=draw.uniform(0, 0.7 * request.trial_ms, 12 * n),
        channels=channels.ravel(),
    )
    return Part(events=events, labels=labels, n_channels=10, n_classes=2)


bars = DataSet(name="bars", title="two bars", read=read)
"""

DATASET_YAML = """\
# @package _global_
dataset:
  name: mylab.data.bars
  size: 48
TRIAL_MS: 20.0
DT_MS: 0.5
N_VALIDATE: 8
"""

PRESET_YAML = """\
# @package _global_
# snnrun train --config-dir my_conf preset=mine
defaults:
  - override /dataset: bars

HIDDEN_NEURON_TYPE: mylab.neurons.tired
LOSS_TYPE: mylab.losses.late
network:
  hidden_parameters:
    v_rest: 0.2
RECURRENT: true
NUM_HIDDEN: 12
INPUT_HIDDEN_MEAN: 1.0
INPUT_HIDDEN_STD: 0.4
HIDDEN_HIDDEN_MEAN: 0.0
HIDDEN_HIDDEN_STD: 0.1
N_BATCH: 16
N_EPOCH: 1
MODEL_SEED: 7
"""


def documented(page: str) -> str:
    """Return the first Python file that a page of the documentation shows."""
    text = (Path(__file__).parents[1] / "docs" / page).read_text(encoding="utf-8")
    return text.split("```python\n")[1].split("```")[0]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    files = {
        "mylab/__init__.py": "",
        "mylab/neurons.py": NEURONS,
        "mylab/losses.py": LOSSES,
        "mylab/data.py": DATA,
        "mylab/rules.py": documented("rules.md"),
        "mylab/connectivity.py": documented("networks.md"),
        "my_conf/dataset/bars.yaml": DATASET_YAML,
        "my_conf/preset/mine.yaml": PRESET_YAML,
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


@pytest.fixture
def importable(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder, with its modules importable in this process, each time anew."""
    monkeypatch.syspath_prepend(str(folder))
    yield folder
    for name in [name for name in sys.modules if name.split(".")[0] == "mylab"]:
        del sys.modules[name]


def snnrun(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if k != "SNNRUN_TRACEBACK"}
    return subprocess.run(
        [sys.executable, "-m", "snnrun", *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


OWN = ("--config-dir", "my_conf", "preset=mine")


@pytest.mark.long
def test_a_network_of_a_users_own_parts_learns_two_batches(folder: Path) -> None:
    done = snnrun(folder, "train", *OWN, "backend.threads=1")
    assert done.returncode == 0, done.stderr
    [run] = (folder / "outputs").glob("*/*")
    record = load_run(run)
    assert record.finished
    assert record.config["HIDDEN_NEURON_TYPE"] == "mylab.neurons.tired"
    assert len(record.trials["loss"]) >= 2
    assert np.isfinite(record.trials["loss"]).all()
    assert record.trials["loss"][0] > 0
    assert 0 <= record.test["accuracy"] <= 1
    code = (run / "code" / "program.cpp").read_text()
    assert "dW/dt" in code
    assert "loss late" in code


@pytest.mark.long
def test_a_rule_of_a_users_own_from_the_documentation_trains_with_its_options(folder: Path) -> None:
    sizes = ("N_TRAIN=64", "N_VALIDATE=8", "N_TEST=8", "N_EPOCH=1", "NUM_HIDDEN=9")
    words = ("preset=none", *sizes, "backend.threads=1")
    own = ("rule.name=mylab.rules.CALM", "+rule.loss=0.4", "rule.a_plus=3")
    refused = snnrun(folder, "train", *words, *own)
    assert "rule.a_plus=3.0: has no effect" in refused.stderr
    done = snnrun(folder, "train", *words, *own[:-1])
    assert done.returncode == 0, done.stderr
    [run] = (folder / "outputs").glob("*/*")
    assert load_run(run).config["rule"]["loss"] == 0.4
    done = snnrun(folder, "train", *words, "rule.name=mylab.rules.THREE_FACTOR")
    assert done.returncode == 0, done.stderr
    [code] = set((folder / "outputs").glob("*/*/code/program.cpp")) - {run / "code/program.cpp"}
    assert "v_thresh" in code.read_text().partition("signal_plus(")[2]


@pytest.mark.long
def test_a_connectivity_of_a_users_own_from_the_documentation_trains(folder: Path) -> None:
    ring = "{connectivity: mylab.connectivity.RING}"
    layers = f"network.layers=[{{size: 12, forward: {ring}, recurrent: {ring}}}]"
    sizes = ("N_TRAIN=64", "N_VALIDATE=8", "N_TEST=8", "N_EPOCH=2")
    words = ("preset=none", *sizes, "backend.threads=1", "backend.flags=[-O1]")
    done = snnrun(folder, "train", *words, layers, "REC_SYNAPSES=[[hid_to_hid, g]]")
    assert done.returncode == 0, done.stderr
    [run] = (folder / "outputs").glob("*/*")
    weights = load_checkpoint(run / "checkpoints" / "last.h5")["tensors"]
    assert (np.count_nonzero(weights["hid_to_hid"]["value"], axis=1) == 2).all()
    assert np.count_nonzero(weights["in_to_hid"]["value"]) == 10


@pytest.mark.usefixtures("importable")
def test_a_projection_takes_a_rule_of_a_users_own_and_its_options() -> None:
    layers = [{"forward": {"rule": "mylab.rules.CALM"}, "size": 7}]
    config = from_dict({"network.layers": layers, "rule": {"loss": 0.3}, "MODEL_SEED": 1})
    [hidden, output] = build_network(config, 5, 3).layers
    assert hidden.forward.plastic is not None
    assert (hidden.forward.plastic.a_post, output.forward.plastic) == (-0.3, None)
    both = [*layers, {"forward": {"rule": "stdp"}}]
    two = build_network(from_dict({"network.layers": both, "MODEL_SEED": 1}), 5, 3)
    with pytest.raises(ModelError, match="by pairs of spikes in 2 ways"):
        compile_program(two, MAX, {}, steps=9, dt=1.0)
    with pytest.raises(ConfigError, match=r"rule\.loss=-1: must be a number >= 0"):
        from_dict({"network.layers": layers, "rule": {"loss": -1}})
    with pytest.raises(ConfigError, match=r"rule\.loss: there is no such key"):
        from_dict({"rule": {"loss": 0.3}})
    with pytest.raises(ConfigError, match="must be a snnrun Rule, but is of type Neuron"):
        from_dict({"rule": "mylab.neurons.tired"})


@pytest.mark.long
@pytest.mark.usefixtures("importable")
def test_the_users_neuron_and_loss_pass_the_check() -> None:
    neuron = load_object("mylab.neurons.tired", "HIDDEN_NEURON_TYPE")
    report = check_model(neuron, values={"v_rest": 0.2}, dts=(0.004,))
    assert "gradients are checked of tau_mem, tau_syn, v_thresh, v_rest, a, jump, tau_w" in str(
        report
    )
    assert check_model(load_object("mylab.losses.late", "LOSS_TYPE"), dts=(0.004,)).passed
    assert check_model(load_object("mylab.losses.soft", "LOSS_TYPE"), dts=(0.004,)).passed


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("HIDDEN_NEURON_TYPE=mylab.neurons.tried", "Did you mean 'tired'?"),
        ("dataset.name=nowhere.data.bars", "there is no module 'nowhere.data'"),
    ],
)
def test_a_dotted_path_that_leads_nowhere_gives_one_clear_error(
    folder: Path, word: str, hint: str
) -> None:
    done = snnrun(folder, "train", *OWN, word)
    assert done.returncode == 2
    assert done.stderr.startswith(f"snnrun: error: {word}: ")
    assert done.stderr.count("error") == 1
    assert "Traceback" not in done.stderr
    assert hint in done.stderr


@pytest.mark.usefixtures("importable")
def test_a_module_whose_declaration_is_wrong_is_named_with_the_key(tmp_path: Path) -> None:
    Path(tmp_path, "unsteady.py").write_text(
        "from snnrun.models.declare import Neuron\n"
        "N = Neuron(name='n', equations='dV/dt = -V / 20', input='I', threshold='V >= 1', "
        "reset='V = 0', parameters=(), meaning='m', source='s')\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(tmp_path)
        told = r"^rule.name=unsteady.RULE: importing unsteady failed: neuron n: input 'I' is no"
        with pytest.raises(ConfigError, match=told):
            find_rule("unsteady.RULE")


@pytest.mark.usefixtures("importable")
def test_a_dotted_path_to_something_else_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"HIDDEN_NEURON_TYPE.*Neuron, but is of type Loss$"):
        find_neuron("mylab.losses.late", "HIDDEN_NEURON_TYPE")
    with pytest.raises(ConfigError, match=r"LOSS_TYPE.*Loss, but is of type Neuron$"):
        find_loss(from_dict({"dataset": "shd", "LOSS_TYPE": "mylab.neurons.tired"}))


def test_an_error_within_the_users_module_is_told_apart(importable: Path) -> None:
    (importable / "mylab" / "broken.py").write_text("import a_module_that_is_not_there\n")
    with pytest.raises(
        ConfigError, match=r"importing mylab\.broken failed: No module named 'a_mod"
    ):
        load_object("mylab.broken.neuron", "HIDDEN_NEURON_TYPE")


def test_a_key_that_the_users_neuron_lacks_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "plain_neurons.py").write_text("from snnrun.models.neurons import LIF as own\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    config = from_dict({"HIDDEN_NEURON_TYPE": "plain_neurons.own", "TAU_B": 30.0})
    with pytest.raises(ConfigError, match=r"TAU_B=30\.0: has no effect, as neuron lif has no"):
        build_network(config, 5, 3)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("\nx = 1 / 0\n", r'.py", line 2: ZeroDivisionError'),
        ("def f(:\n", r"line 1(.|\n)*SyntaxErr"),
    ],
)
def test_a_module_that_fails_is_told_with_the_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, said: str
) -> None:
    (tmp_path / "module_that_fails.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError, match=f"LOSS_TYPE=module_that_fails.x: importing.*{said}"):
        load_object("module_that_fails.x", "LOSS_TYPE")


READ = """\
import numpy as np
from snnrun.datasets import DataSet

def read(request):
    return np.arange(request.options.examples)

own = DataSet(name="own", title="own", read=read)
"""


def test_a_data_set_whose_reading_fails_is_told_with_the_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data_that_fail.py").write_text(READ)
    monkeypatch.syspath_prepend(tmp_path)
    config = from_dict({"dataset": {"name": "data_that_fail.own", "examples": "abc"}})
    with pytest.raises(DataError, match=r'data_that_fail.own: its.*fail.py", line 5: \w+Error'):
        load(config)
