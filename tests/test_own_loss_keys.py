"""Keys beside a loss of one's own: those that it names act, those of other losses are refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from snnrun.config import Config, from_dict
from snnrun.errors import ConfigError
from snnrun.network.build import find_loss

Make = Callable[..., Config]
DECLARATION = """\
from snnrun.models.losses import Loss, Readout

plain = Loss(name="plain", readout=Readout.WEIGHTED_SUM)
timed = Loss(name="timed", readout=Readout.WEIGHTED_SUM, weight="exp(-t/TAU_1)", keys=("TAU_1",))
"""


@pytest.fixture
def configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    (tmp_path / "losses_with_keys.py").write_text(DECLARATION)
    monkeypatch.syspath_prepend(tmp_path)

    def make(name: str, **keys: object) -> Config:
        return from_dict({"LOSS_TYPE": f"losses_with_keys.{name}", **keys})

    return make


def test_a_key_that_the_loss_does_not_name_is_refused(configured: Make) -> None:
    with pytest.raises(ConfigError, match="loss plain does not name it"):
        find_loss(configured("plain", TAU_0=3))
    with pytest.raises(ConfigError) as refused:
        find_loss(configured("timed", TAU_0=3, TAU_1=2, TAU_DECAY=9))
    said = str(refused.value)
    assert "2 problems" in said
    assert "in its keys (TAU_1)" in said
    assert "TAU_1=" not in said


def test_keys_that_the_loss_names_and_defaults_are_taken(configured: Make) -> None:
    assert find_loss(configured("timed", TAU_1=2.5)).name == "timed"
    assert find_loss(configured("plain", TAU_0=0.5, ETA=1e-3, TAU_MEM=11)).name == "plain"
    assert find_loss(configured("plain", dataset="shd", TAU_0=1.0)).name == "plain"
