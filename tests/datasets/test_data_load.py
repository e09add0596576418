"""load(): data sets by name or dotted path, and those of a user's own."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from samples import make_config

from snnrun.config import from_dict
from snnrun.datasets import DataFile, find, load
from snnrun.errors import ConfigError, DataError
from snnrun.keys.files import DATASETS, OF_DATASETS, conf_dir

OWN = """
import numpy as np
from snnrun.datasets import DataSet, Events, Part

def part(request, n):
    events = Events(counts=np.repeat([2, 1], n), times_ms=np.repeat([1.0, 2.0, 3.0], n),
                    channels=np.arange(3 * n) % 3)
    labels = np.repeat([0, 1], n)
    return Part(events=events, labels=labels, n_channels=3, n_classes=2, speakers=labels)

def read(request):
    return {name: part(request, 1) for name in request.parts}

def whole(request):
    return {"train": part(request, 4), "validation": part(request, 2), "test": part(request, 1)}

own = DataSet(name="own", title="three events", read=read)
three = DataSet(name="own", title="three parts", read=whole)
only = DataSet(name="own", title="no test", read=lambda request: {"train": part(request, 4)})
nothing = DataSet(name="own", title="nothing", read=lambda request: None)
"""


@pytest.fixture
def own_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "own_spikes.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))
    return "own_spikes"


def test_a_data_set_of_ones_own_is_read_by_its_dotted_path(own_module: str) -> None:
    splits = load(make_config(dataset={"name": f"{own_module}.own"}))
    assert splits.train.data.events(0)[0].tolist() == [1, 2]
    assert splits.train.labels.tolist() == [0, 1]


def test_the_examples_of_ones_own_are_chosen_as_those_of_any(own_module: str) -> None:
    def sizes(name: str, **keys: Any) -> list[int]:
        config = make_config(dataset={"name": f"{own_module}.{name}"}, **keys)
        return [len(split) for split in load(config).all()]

    assert sizes("three", N_VALIDATE=3, N_TEST=1) == [5, 3, 1]
    assert sizes("three", N_VALIDATE=None, EVALUATION="validation_set") == [8, 4, 2]
    assert sizes("three", REDUCED_CLASSES=(0,), N_VALIDATE=1) == [3, 1, 1]
    assert sizes("three", EVALUATION="speaker") == [4, 4, 2]
    assert sizes("only") == [8]
    with pytest.raises(ConfigError, match="dataset own has no validation set of its own"):
        sizes("only", EVALUATION="validation_set", N_VALIDATE=None)
    with pytest.raises(DataError, match="N_TEST=3 asks for more than the 0 examples of test data"):
        sizes("only", N_TEST=3)
    with pytest.raises(DataError, match="N_TRAIN=9 asks for 9 examples, but train data holds 8"):
        sizes("three", N_TRAIN=9)


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("nothing", DataError, r"must return a snnrun.datasets.Part for each of .* got NoneType"),
        ("read", ConfigError, "this is a function, but must be a snnrun.datasets.DataSet"),
        ("owm", ConfigError, "has no 'owm'. Did you mean 'own'?"),
    ],
)
def test_a_wrong_data_set_of_ones_own_is_explained(
    own_module: str, name: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        load(make_config(dataset={"name": f"{own_module}.{name}"}))


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"Built in are dvs, .*mnist, .*shd.*Did you mean 'shd'"):
        load(make_config(dataset={"name": "shdd"}))


@pytest.mark.parametrize("name", DATASETS)
def test_the_file_of_a_data_set_says_what_its_declaration_says(name: str) -> None:
    dataset, values = find(name), OF_DATASETS[name]
    assert dataset.name == values["dataset.name"] == name
    assert dataset.generated == (not dataset.files) == ("dataset.path" not in values)
    assert dataset.made_for_trial == ("dataset.start" not in values)
    assert dataset.own_validation == (values.get("EVALUATION") == "validation_set")


TOY = """
import numpy as np
from snnrun.datasets.declaration import DataSet, Part
from snnrun.datasets.packing import Events

def read(request):
    events = Events(counts=np.ones(4, int), values=np.linspace(0, 1, 4), channels=np.arange(4))
    part = Part(events=events, labels=np.arange(4) % 2, n_channels=4, n_classes=2)
    return dict.fromkeys(request.parts, part)

TOY = DataSet(
    name="toy", title="one spike each", read=read, generated=True, made_for_trial=True
)
"""
TOY_YAML = """\
# @package _global_
dataset: {name: toy, input_ms: 9.0}
TRIAL_MS: 12.0
N_TRAIN: 3
N_VALIDATE: 1
N_TEST: 4
"""
USE_TOY = """
from snnrun.cli import main
from snnrun.config import from_dict
from snnrun.datasets import load

print([len(split) for split in load(from_dict({"dataset": "toy"})).all()], flush=True)
for words in (["data", "info", "dataset=toy"], ["keys", "TRIAL_MS"],
              ["train", "dataset=toy", "dataset.start=1"], ["train", "dataset.name=toi"]):
    main(words)
"""


def test_one_module_and_one_file_make_a_built_in_data_set(tmp_path: Path) -> None:
    for folder in ("snnrun", "conf"):
        shutil.copytree(conf_dir().parent / folder, tmp_path / folder)
    (tmp_path / "snnrun" / "datasets" / "toy.py").write_text(TOY)
    (tmp_path / "conf" / "dataset" / "toy.yaml").write_text(TOY_YAML)
    done = subprocess.run(
        [sys.executable, "-c", USE_TOY], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stdout.startswith("[3, 1, 4]\ntoy: one spike each\n"), done.stderr
    assert "12.0 (toy)" in done.stdout
    said = " ".join(done.stderr.split())
    assert (
        "dataset.start=1.0: has no effect unless dataset.name is dvs or nmnist or shd or ssc, and"
        in said
    )
    assert "it is toy; leave it out" in said
    assert "Did you mean 'toy'?" in said


def test_declarations_check_themselves() -> None:
    with pytest.raises(DataError, match="split must be train, validation or test, got 'valid'"):
        DataFile(name="a", split="valid")
    with pytest.raises(DataError, match="url and md5 go together"):
        DataFile(name="a", split="train", url="http://localhost/a")


def test_the_real_configuration_is_understood(mnist_folder: Path) -> None:
    yinyang = load(from_dict({"N_TRAIN": "3 mini-batches", "N_BATCH": 8, "N_TEST": 5}))
    assert len(yinyang.train) == 24
    config = from_dict(
        {
            "dataset": {"name": "mnist", "path": str(mnist_folder)},
            "N_TRAIN": None,
            "N_VALIDATE": 6,
            "N_TEST": None,
        }
    )
    splits = load(config)
    assert len(splits.train) == 24
    assert not np.intersect1d(splits.train.examples, splits.validation.examples).size
