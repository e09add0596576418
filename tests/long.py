"""Cases that are tried where the tests marked ``long`` are: all of a kind, but for a few."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest


def long_but(
    cases: Iterable[Any], kept: Sequence[Any], name: Callable[[Any], str] = str
) -> list[Any]:
    """Return cases as parameters of a test, marked ``long`` but for those that are ``kept``."""
    cases = list(cases)
    assert all(case in cases for case in kept), kept
    return [
        pytest.param(
            *(case if isinstance(case, tuple) else [case]),
            id=name(case),
            marks=() if case in kept else pytest.mark.long,
        )
        for case in cases
    ]
