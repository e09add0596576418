"""Values of Python, spelled for the command line, are read back as they were."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from snnrun.commands.arguments import parse
from snnrun.interface.keys import as_overrides

TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]))
PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT
WORDS = st.from_regex(r"[A-Za-z_][A-Za-z_0-9]{0,8}", fullmatch=True)
VALUES = st.recursive(PLAIN, lambda x: st.lists(x) | st.dictionaries(WORDS, x), max_leaves=8)


@given(VALUES)
def test_hydra_reads_every_value_back(value: object) -> None:
    [override] = parse(as_overrides({"NAME": value}))
    assert override.value() == value
    assert type(override.value()) is type(value)


def test_options_stand_in_a_mapping_of_their_group() -> None:
    words = as_overrides({"backend": {"threads": np.int64(2)}, "dataset": {"path": Path("a b")}})
    assert words == ["backend.threads=2", "dataset.path='a b'"]
