"""What a linear classifier makes of a data set: a figure that a network should be above.

    python tests/baseline.py dataset=dvs dataset.path=FOLDER dataset.downsample=8 TRIAL_MS=2100

The features of an example are the square roots of how many events it has in each of BINS parts of
the trial and each of GROUPS groups of neighbouring channels (words of their own: bins=8 groups=128;
groups=null: each channel by itself), standardised with the training examples. The classifier is a
multinomial logistic regression whose weights w cost l2/2 |w|^2 beside the mean cross entropy; l2 is
chosen by five-fold cross validation within the training set, with whole speakers left out where
they are known. All other words are keys of the configuration; if they do not say otherwise, all of
the training file is for training, and all events of a channel in a step count.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from runs import composed

from snnrun.config import validate
from snnrun.datasets import Split, Splits, load
from snnrun.errors import ConfigError, SnnrunError
from snnrun.streams import stream

BINS, GROUPS, FOLDS = 8, 128, 5
STRENGTHS = tuple(10.0 ** (k / 2) for k in range(4, -7, -1))  # 100 .. 1e-3, the strongest first
MOST_STEPS, ENOUGH = 500, 1e-4  # of the size of the gradient at the start
KEYS = {"EVALUATION": "random", "N_TRAIN": "null", "N_VALIDATE": "0", "CHECKPOINT_BEST": "neither"}


class Baseline(NamedTuple):
    """Shares of right answers: of the folds left out, and of all with the chosen strength."""

    left_out: np.ndarray  # [STRENGTHS]
    chosen: float
    train: float
    test: float


def pooled(split: Split, bins: int = BINS, groups: int | None = GROUPS) -> np.ndarray:
    """Return the square roots of the event counts, float64 [examples, bins groups]."""
    data = split.data
    groups = min(groups or data.n_channels, data.n_channels)
    features = np.empty((len(split), bins * groups))
    for row, example in enumerate(split.examples.tolist()):
        steps, channels = (events.astype(np.int64) for events in data.events(example))
        cells = steps * bins // data.n_steps * groups + channels * groups // data.n_channels
        features[row] = np.bincount(cells, minlength=bins * groups)
    return np.sqrt(features)


class Logistic:
    """Multinomial logistic regression for several strengths l2 of the cost of the weights.

    The weights that matter lie in the space of the examples. Along its singular vectors (values s,
    n examples) the second derivative of the objective is at most s^2 / 2n + l2 (Boehning 1992,
    doi:10.1007/BF00048682), so steps of the gradient over this descend; Nesterov's momentum, begun
    anew where it points uphill, makes them fast. Intercepts cost nothing.
    """

    def __init__(self, features: np.ndarray, labels: np.ndarray, n_classes: int) -> None:
        n = len(features)
        self.mean, spread = features.mean(axis=0), features.std(axis=0)
        self.scale = np.where(spread > 0, spread, 1.0)
        left, size, self.axes = np.linalg.svd((features - self.mean) / self.scale, False)
        used = size > 1e-9 * size[0]  # centring alone makes one of n vanish
        self.axes = self.axes[used]
        self.inputs = np.column_stack([left[:, used] * size[used], np.ones(n)])
        self.curvature = np.append(size[used] ** 2, n) / (2 * n)
        self.targets = np.eye(n_classes)[labels]
        self.weights = np.zeros((len(self.curvature), n_classes))

    def fit(self, strength: float, enough: float = ENOUGH) -> Logistic:
        """Fit with l2 = ``strength``, from the weights that there are."""
        cost = np.append(np.full(len(self.curvature) - 1, strength), 0.0)[:, None]
        bound = self.curvature[:, None] + cost
        start = np.abs(self.inputs.T @ (1 / self.targets.shape[1] - self.targets)).max()
        weights, ahead, momentum = self.weights, self.weights, 1.0
        for _ in range(MOST_STEPS):
            outputs = self.inputs @ ahead
            powers = np.exp(outputs - outputs.max(axis=1, keepdims=True))
            errors = powers / powers.sum(axis=1, keepdims=True) - self.targets
            gradient = self.inputs.T @ errors / len(errors) + cost * ahead
            if np.abs(gradient).max() * len(errors) <= enough * start:
                weights = ahead
                break
            new = ahead - gradient / bound
            if (gradient * (new - weights)).sum() > 0:
                momentum = 1.0
            following = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
            ahead = new + (momentum - 1) / following * (new - weights)
            weights, momentum = new, following
        self.weights = weights
        return self

    def outputs(self, features: np.ndarray) -> np.ndarray:
        """Return the logarithms of the probabilities, up to a constant, [examples, classes]."""
        inputs = (features - self.mean) / self.scale @ self.axes.T
        return inputs @ self.weights[:-1] + self.weights[-1]

    def accuracy(self, features: np.ndarray, labels: np.ndarray) -> float:
        """Return the share of right answers."""
        return float((self.outputs(features).argmax(axis=1) == labels).mean())


def folds_of(split: Split) -> np.ndarray:
    """Return the fold of each example, int [examples], by speakers where there are enough."""
    members = np.arange(len(split))
    if split.data.speakers is not None:
        speakers = np.unique(split.data.speakers[split.examples], return_inverse=True)[1]
        members = speakers if speakers.max() >= FOLDS - 1 else members
    return (stream(0, "baseline folds").permutation(members.max() + 1) % FOLDS)[members]


def baseline(splits: Splits, bins: int = BINS, groups: int | None = GROUPS) -> Baseline:
    """Choose the strength within the training set, and apply the classifier to the test set."""
    if splits.test is None:
        raise ConfigError("N_TEST=0: a baseline is a figure of the test set; leave N_TEST out")
    x, y = pooled(splits.train, bins, groups), splits.train.labels
    n_classes, fold = splits.train.data.n_classes, folds_of(splits.train)
    right = np.zeros(len(STRENGTHS))
    for k in range(FOLDS):
        model, out = Logistic(x[fold != k], y[fold != k], n_classes), fold == k
        right += [model.fit(s).accuracy(x[out], y[out]) * out.sum() for s in STRENGTHS]
    model = Logistic(x, y, n_classes).fit(chosen := STRENGTHS[int(right.argmax())])
    test = model.accuracy(pooled(splits.test, bins, groups), splits.test.labels)
    return Baseline(right / len(y), chosen, model.accuracy(x, y), test)


def main(words: Sequence[str]) -> None:
    """Print the baseline of the data set that ``words`` describe."""
    keys = {
        "preset": "none",
        "dataset.merge": "false",
        **KEYS,
        **dict(word.partition("=")[::2] for word in words),
    }
    bins, groups = int(keys.pop("bins", BINS)), keys.pop("groups", GROUPS)
    splits = load(validate(composed(*(f"{key}={keys[key]}" for key in keys))))
    found = baseline(splits, bins, None if groups == "null" else int(groups))
    shares = dict(zip(STRENGTHS, found.left_out, strict=True))
    print(splits.description)
    print("left out, by l2, in %:", ", ".join(f"{s:.2g}: {100 * shares[s]:.1f}" for s in shares))
    print(f"l2 {found.chosen:.3g}: train {100 * found.train:.1f} %, test {100 * found.test:.1f} %")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except SnnrunError as error:
        sys.exit(str(error))
