"""load(): data sets by name or dotted path, and those of a user's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snnrun.config import from_dict
from snnrun.datasets import DataFile, DataSet, load
from snnrun.errors import ConfigError, DataError

OWN = """
import numpy as np
from snnrun.datasets import DataSet, Events, Split, Splits, pack

def read(config):
    data = pack(
        Events(counts=np.array([2, 1]), times_ms=np.array([1.0, 2.0, 3.0]),
               channels=np.array([0, 1, 2])),
        labels=np.array([0, 1]), n_steps=config.steps, dt_ms=config.DT_MS, n_channels=3,
        n_classes=2, merge=config.dataset.merge, source="own",
    )
    return Splits(train=Split(name="train", data=data, examples=np.arange(2)))

def short(config):
    data = pack(Events(counts=np.array([0]), steps=np.zeros(0, int), channels=np.zeros(0, int)),
                labels=np.array([0]), n_steps=3, n_channels=1, n_classes=1)
    return Splits(train=Split(name="train", data=data, examples=np.arange(1)))

own = DataSet(name="own", title="three events", read=read)
too_short = DataSet(name="own", title="other steps", read=short)
nothing = DataSet(name="own", title="nothing", read=lambda config: None)
"""


@pytest.fixture
def own_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "own_spikes.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))
    return "own_spikes"


def test_a_data_set_of_ones_own_is_read_by_its_dotted_path(
    own_module: str, make_config: Callable[..., Any]
) -> None:
    splits = load(make_config(dataset={"name": f"{own_module}.own"}))
    assert splits.train.data.events(0)[0].tolist() == [1, 2]
    assert splits.train.labels.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("too_short", DataError, "its trials have 3 steps, but TRIAL_MS and DT_MS make 20"),
        ("nothing", DataError, r"its read\(\) must return Splits, got NoneType"),
        ("read", ConfigError, "this is a function, but must be a snnrun.datasets.DataSet"),
        ("owm", ConfigError, "has no 'owm'. Did you mean 'own'?"),
    ],
)
def test_a_wrong_data_set_of_ones_own_is_explained(
    own_module: str,
    make_config: Callable[..., Any],
    name: str,
    error: type[Exception],
    message: str,
) -> None:
    with pytest.raises(error, match=message):
        load(make_config(dataset={"name": f"{own_module}.{name}"}))


def test_an_unknown_name_lists_the_known_ones(make_config: Callable[..., Any]) -> None:
    with pytest.raises(ConfigError, match=r"Built in are dvs, mnist, .*shd.*Did you mean 'shd'"):
        load(make_config(dataset={"name": "shdd"}))


def test_declarations_check_themselves() -> None:
    with pytest.raises(DataError, match="split must be train, validation or test, got 'valid'"):
        DataFile(name="a", split="valid")
    with pytest.raises(DataError, match="url and md5 go together"):
        DataFile(name="a", split="train", url="http://localhost/a")
    with pytest.raises(DataError, match="one with files needs describe"):
        DataSet(name="a", title="", read=load, files=(DataFile(name="a", split="train"),))


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
    assert splits.validation is not None
    assert not np.intersect1d(splits.train.examples, splits.validation.examples).size
