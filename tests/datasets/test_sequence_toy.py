"""The order of two inputs: what it consists of, and that delays tell the classes apart."""

from __future__ import annotations

import numpy as np
import pytest
from samples import make_config

from snnrun import train
from snnrun.commands.arguments import split
from snnrun.commands.compose import configured
from snnrun.datasets import load

SIZES = {"N_TRAIN": 60, "N_VALIDATE": 60, "N_TEST": 60, "TRIAL_MS": 40.0, "DT_MS": 0.5}


def test_the_class_is_the_order_of_two_inputs_10_ms_apart() -> None:
    splits = load(make_config(dataset={"name": "sequence_toy"}, **SIZES))
    for split_ in splits.all():
        data = split_.data
        steps = data.step_by_channel.reshape(-1, 2)  # of input 0 and of input 1
        assert np.array_equal(data.labels, np.arange(60) % 2)
        later = np.where(data.labels == 0, steps[:, 1] - steps[:, 0], steps[:, 0] - steps[:, 1])
        assert (later == 20).all()
        first = steps.min(axis=1)
        assert first.min() >= 0
        assert first.max() < 20  # a quarter of the trial
        assert len(set(first)) > 10
    assert (data.n_channels, data.n_classes, data.n_steps) == (2, 2, 80)
    assert data.class_names == ("0 before 1", "1 before 0")


def test_the_parts_have_streams_of_their_own_and_a_larger_one_begins_with_a_smaller() -> None:
    config = make_config(dataset={"name": "sequence_toy"}, **SIZES)
    parts = [part.data.step_by_channel.tolist() for part in load(config).all()]
    assert len({tuple(steps) for steps in parts}) == 3
    larger = load(make_config(dataset={"name": "sequence_toy"}, **SIZES | {"N_TRAIN": 90}))
    assert larger.train.data.step_by_channel[:120].tolist() == parts[0]


@pytest.mark.parametrize(
    ("word", "share"),
    [("", 1.0), pytest.param("network.projections.0.delay=null", 0.5, marks=pytest.mark.long)],
)
def test_learned_delays_get_all_right_and_equal_weights_without_them_half(
    word: str, share: float
) -> None:
    """Every example is seen six times, as in the publication."""
    words = ["preset=sequence_toy", "backend=numpy", "N_EPOCH=3", "N_VALIDATE=20", "N_TEST=20"]
    for seed in range(1, 6):
        kept = [f"MODEL_SEED={seed}", f"TRAIN_DATA_SEED={seed}", "WRITE_TO_DISK=false"]
        run = train(configured(split([*words, *filter(None, [word]), *kept])), progress=False)
        assert run.test["accuracy"] == share
