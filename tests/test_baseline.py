"""The linear baseline computes what it says, on data of which that is known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from baseline import FOLDS, STRENGTHS, Logistic, baseline, folds_of, main, pooled
from runs import write_dvs

from snnrun.config import from_dict
from snnrun.datasets import Events, Split, Splits, load, pack
from snnrun.errors import ConfigError

USERS = 5


@pytest.fixture(scope="module")
def gestures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Each class in rows of its own, which a linear classifier can tell apart."""
    return write_dvs(tmp_path_factory.mktemp("dvs"), users=USERS, events=3000)


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep what is converted of these small archives out of the user's cache."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def splits(gestures: Path) -> Splits:
    return load(
        from_dict(
            {
                "dataset": {"name": "dvs", "path": str(gestures), "downsample": 16, "merge": False},
                "TRIAL_MS": 2000.0,
                "DT_MS": 10.0,
                "N_TRAIN": None,
                "N_VALIDATE": 0,
                "CHECKPOINT_BEST": "neither",
            }
        )
    )


def with_labels(split: Split, labels: np.ndarray) -> Split:
    return replace(split, data=replace(split.data, labels=labels.astype(np.int32)))


def shuffled(split: Split, seed: int) -> Split:
    return with_labels(split, np.random.default_rng(seed).permutation(split.data.labels))


def test_features_are_roots_of_the_counts_in_parts_of_the_trial_and_groups_of_channels() -> None:
    data = pack(
        Events(
            counts=np.array([4, 1, 3]),
            steps=np.array([0, 0, 4, 9, 2, 5, 5, 5]),
            channels=np.array([0, 1, 5, 5, 0, 3, 3, 2]),
        ),
        labels=np.zeros(3, np.int64),
        n_steps=10,
        n_channels=6,
        n_classes=2,
        dt_ms=1.0,
        merge=False,
        source="these events",
    )
    split = Split(name="train", data=data, examples=np.array([2, 0]))
    root = np.sqrt
    assert pooled(split, bins=2, groups=3).tolist() == [
        [0, 0, 0, 0, root(3), 0],
        [root(2), 0, 1, 0, 0, 1],
    ]
    assert pooled(split, bins=1, groups=None)[0].tolist() == [0, 0, 1, root(2), 0, 0]


@pytest.mark.parametrize("strength", [3.0, 1e-2])
def test_no_change_of_weights_or_intercepts_lowers_what_the_fit_minimises(strength: float) -> None:
    random = np.random.default_rng(1)
    n, d, k = 30, 5, 3
    features, labels = random.normal(2.0, 3.0, (n, d)), random.integers(0, k, n)
    features[:, 4] = 1.0  # one that never changes
    model = Logistic(features, labels, k).fit(1.0).fit(strength, enough=1e-9)
    x = (features - features.mean(axis=0)) / np.where(features.std(axis=0) > 0, features.std(0), 1)

    def cost(weights: np.ndarray, intercepts: np.ndarray) -> float:
        outputs = x @ weights + intercepts
        right = outputs[np.arange(n), labels]
        cross_entropy = np.log(np.exp(outputs).sum(axis=1)) - right
        return cross_entropy.mean() + strength / 2 * (weights**2).sum()

    weights, intercepts = model.axes.T @ model.weights[:-1], model.weights[-1]
    assert np.allclose(model.outputs(features), x @ weights + intercepts)
    step = 1e-4
    for index in np.ndindex(d + 1, k):
        change = np.zeros((d + 1, k))
        change[index] = step
        up, down = (cost(weights + s * change[:d], intercepts + s * change[d]) for s in (1, -1))
        assert abs(up - down) / (2 * step) < 1e-7
        assert up + down > 2 * cost(weights, intercepts)


def test_classes_that_can_be_told_apart_are(splits: Splits) -> None:
    found = baseline(splits, bins=1, groups=None)
    assert found.left_out.max() == found.train == found.test == 1.0


def test_labels_that_mean_nothing_are_guessed(splits: Splits) -> None:
    assert splits.test is not None
    train, test = shuffled(splits.train, 1), shuffled(splits.test, 2)
    found = baseline(replace(splits, train=train, test=test), bins=1)
    for share in (found.left_out.max(), found.test):  # of 55: 9 +- 4 %
        assert 0.0 < share < 0.25


def test_the_test_set_has_no_say_in_the_strength(splits: Splits) -> None:
    assert splits.test is not None
    mixed = np.where(np.arange(len(splits.train)) % 3 == 0, 0, splits.train.data.labels)
    splits = replace(splits, train=with_labels(splits.train, mixed))
    one = baseline(splits, bins=1)
    other = baseline(replace(splits, test=shuffled(splits.test, 3)), bins=1)
    assert one.left_out.tolist() == other.left_out.tolist()
    assert one.chosen == other.chosen == STRENGTHS[one.left_out.argmax()]
    assert one.test > 0.5 > other.test


def test_no_speaker_is_in_two_folds(splits: Splits) -> None:
    fold, speakers = folds_of(splits.train), splits.train.data.speakers
    assert speakers is not None
    pairs = set(zip(fold.tolist(), speakers[splits.train.examples].tolist(), strict=True))
    assert len(pairs) == USERS
    assert np.bincount(fold).tolist() == [11 * USERS // FOLDS] * FOLDS
    alone = replace(splits.train.data, speakers=np.zeros_like(speakers))
    fold = folds_of(replace(splits.train, data=alone))
    assert np.bincount(fold).tolist() == [11 * USERS // FOLDS] * FOLDS


def test_the_command_says_what_it_found(gestures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["dataset=dvs", f"dataset.path={gestures}", "dataset.downsample=16", "DT_MS=10"]
    main([*words, "TRIAL_MS=2000", "bins=1", "groups=null"])
    said = capsys.readouterr().out
    assert f"dvs: {11 * USERS} train, {11 * USERS} test; 128 inputs" in said
    assert said.splitlines()[-1].endswith("train 100.0 %, test 100.0 %")
    with pytest.raises(ConfigError, match="N_TEST=0: a baseline is"):
        main([*words, "TRIAL_MS=2000", "N_TEST=0"])
