"""The tests of snnrun.testing use the hand-written oracle of the folder above."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from snnrun.compile import derive
from snnrun.compile.derive import Flow, Jump
from snnrun.models.declare import Neuron

sys.path.append(str(Path(__file__).parents[1]))


@pytest.fixture
def wrong_sign(monkeypatch: pytest.MonkeyPatch) -> None:
    """Break the derivation of what a spike's time does to the loss."""
    right = derive._jump

    def wrong(neuron: Neuron, flow: Flow, held: Flow | None, trained: tuple[str, ...]) -> Jump:
        jump = right(neuron, flow, held, trained)
        return replace(jump, drive=-jump.drive)

    monkeypatch.setattr(derive, "_jump", wrong)
