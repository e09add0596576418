from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from snnrun.record import SpikeRecord


def record(**changes: Any) -> SpikeRecord:
    arguments: dict[str, Any] = {
        "times_ms": np.array([1.0, 2.0, 2.0, 5.0], np.float32),
        "ids": np.array([2, 0, 2, 1], np.int32),
        "offsets": np.array([0, 3, 3, 4]),
        "examples": np.array([10, 11, 12]),
        "n_neurons": 3,
    }
    return SpikeRecord(**(arguments | changes))


def test_example_has_its_own_spikes() -> None:
    times, ids = record().example(0)
    np.testing.assert_array_equal(times, [1, 2, 2])
    np.testing.assert_array_equal(ids, [2, 0, 2])
    assert len(record().example(1)[0]) == 0
    assert len(record()) == 3


def test_counts_per_example_and_neuron() -> None:
    np.testing.assert_array_equal(record().counts(), [[1, 0, 2], [0, 0, 0], [0, 1, 0]])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ids": np.array([0])}, "4 spike times, but 1 neuron ids"),
        ({"offsets": np.array([0, 4])}, "2 offsets for 3 examples"),
        ({"offsets": np.array([0, 3, 2, 4])}, "offsets must ascend"),
        ({"offsets": np.array([0, 1, 2, 3])}, "offsets must ascend from 0 to .*4"),
        ({"n_neurons": 2}, r"neuron ids must lie in 0\.\.1"),
        ({"labels": np.array([1])}, "1 labels for 3 examples"),
    ],
)
def test_parts_that_do_not_fit_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        record(**changes)
