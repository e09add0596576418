"""The tests of snnrun.testing use the hand-written oracle of the folder above."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from snnrun.compile import derive
from snnrun.compile.derive import Jump

sys.path.append(str(Path(__file__).parents[1]))


@pytest.fixture
def wrong_sign(monkeypatch: pytest.MonkeyPatch) -> None:
    """Break the derivation of what a spike's time does to the loss."""
    right = derive._jump

    def wrong(*given: Any) -> Jump:
        jump = right(*given)
        return replace(jump, strength=-jump.strength)

    monkeypatch.setattr(derive, "_jump", wrong)
