"""What a run whose numbers exploded says to try."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from runs import SMALL, overrides, small
from test_guards import message

from snnrun.commands.arguments import split
from snnrun.commands.compose import configured
from snnrun.errors import NumericalError
from snnrun.run import train

SGD = {"optimiser": "sgd", "LR_EASE_IN_FACTOR": 1.0}


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({**SGD, "ETA": 1e9}, "learning rate 1e+09"),
        ({**SGD, "ETA": 1e9, "optimiser.clip_norm": 1e3}, "optimiser.clip_norm=200.0"),
        ({**SGD, "ETA": 1e9, "optimiser.clip_value": 1e3}, "optimiser.clip_value=200.0"),
        (
            {**SGD, "optimiser.rates": {"output": 1e9}},
            "learning rate 1e+09). No checkpoint was written before. "
            "Try ETA=0.001 optimiser.rates.output=200000000.0, ",
        ),
        ({"rule": "surrogate", "LOSS_TYPE": "max", "ETA": 1e9}, "optimiser.clip_norm=1.0"),
    ],
)
def test_what_an_explosion_advises_works_as_it_is_printed(
    tmp_path: Path, keys: dict[str, Any], told: str
) -> None:
    said = message(NumericalError, small(**keys), tmp_path / "run")
    assert told in said
    keys = dict(keys)
    rates = keys.pop("optimiser.rates", {})
    given = overrides({**SMALL, **keys, **{f"optimiser.rates.{n}": r for n, r in rates.items()}})
    advised = said.partition(" Try ")[2].removesuffix(" or smaller initial weights").split(", ")
    for setting in advised:
        words = [*given, *setting.split()]
        assert configured(split(words)) != configured(split(given)), setting
    first = configured(split([*given, "ETA=0.005", "optimiser.rates.output=0.005"]))
    train(first, tmp_path / "calmer")
