"""Connections that need no shape: all, one to one, random ones, and given lists."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from snnrun.connectivity import Connectivity, Ends, Pairs, option
from snnrun.errors import ModelError
from snnrun.keys.kinds import BOOL, FLOAT, INT, TEXT, Kind

TARGETS_AT_A_TIME = 256
GIVEN = "a list of [presynaptic, postsynaptic] neurons, as in [[0, 0], [0, 1], [2, 1]]"


def one_to_one(pre: int, post: int, random: np.random.Generator) -> Pairs:
    """Connect each neuron with the one of the same number."""
    if pre != post:
        raise ModelError(f"one_to_one connects as many neurons, not {pre} with {post}")
    return np.arange(pre), np.arange(pre)


# Random


def sparse(
    ends: Ends,
    random: np.random.Generator,
    *,
    probability: float | None,
    fan_in: int | None,
    self: bool,
) -> Pairs:
    """Connect each pair with a probability, or each target with so many sources."""
    without_self = ends.same and not self
    if fan_in is not None:
        return _with_fan_in(ends, random, fan_in, without_self)
    assert probability is not None  # check lets nothing else through
    pairs = _chosen(ends.pre * ends.post, probability, random)
    pre, post = np.divmod(pairs, ends.post)
    keep = (pre != post) | (not without_self)
    return pre[keep], post[keep]


def _chosen(count: int, probability: float, random: np.random.Generator) -> np.ndarray:
    """Return which of ``count`` things are chosen, each with this probability, rising.

    The distances between them are drawn, so that only those which are chosen cost anything.
    """
    expected = count * probability
    at_once = int(expected + 4 * expected**0.5) + 16
    found, last = [], -1
    while last < count:
        steps = last + np.cumsum(np.minimum(random.geometric(probability, at_once), count + 1))
        found.append(steps)
        last = int(steps[-1])
    chosen = np.concatenate(found)
    return chosen[chosen < count]


def _with_fan_in(ends: Ends, random: np.random.Generator, fan_in: int, without_self: bool) -> Pairs:
    most = ends.pre - without_self
    if fan_in > most:
        apart = " other" if without_self else ""
        raise ModelError(
            f"fan_in={fan_in}, but there are {most}{apart} presynaptic neurons for each target; "
            f"take {most} or fewer"
        )
    sources = np.empty((ends.post, fan_in), np.int64)
    for first in range(0, ends.post, TARGETS_AT_A_TIME):
        block = np.arange(first, min(first + TARGETS_AT_A_TIME, ends.post))
        order = random.random((len(block), ends.pre))
        if without_self:
            order[np.arange(len(block)), block] = 2.0  # after all others
        chosen = np.argpartition(order, fan_in - 1, axis=1)[:, :fan_in]
        sources[block] = chosen
    targets = np.repeat(np.arange(ends.post), fan_in)
    return _sorted(sources.ravel(), targets)


def _one_of_two(probability: float | None, fan_in: int | None, self: bool) -> Iterator[str]:
    if (probability is None) == (fan_in is None):
        given = "neither" if fan_in is None else "both"
        yield (
            f"sparse takes either probability, as in {{kind: sparse, probability: 0.1}}, or "
            f"fan_in, as in {{kind: sparse, fan_in: 16}}; got {given}"
        )


# Given


def _pairs(value: Any) -> tuple[tuple[int, int], ...]:
    if not isinstance(value, list | tuple):
        raise ValueError(value)
    for item in value:
        whole = isinstance(item, list | tuple) and len(item) == 2
        if not whole or any(isinstance(n, bool) or not isinstance(n, int) for n in item):
            raise ValueError(value)
    return tuple((pre, post) for pre, post in value)


def listed(
    pre: int,
    post: int,
    random: np.random.Generator,
    *,
    file: str | None,
    synapses: Sequence[tuple[int, int]] | None,
) -> Pairs:
    """Return the pairs of a file, or those that are given."""
    if file is not None:
        return _sorted(*_read(Path(file).expanduser()))
    pairs = np.array(synapses, np.int64).reshape(-1, 2)
    return _sorted(pairs[:, 0], pairs[:, 1])


def _read(path: Path) -> Pairs:
    """Return the two ends of the synapses in a file."""
    readers = {".npy": _read_npy, ".npz": _read_npz, ".csv": _read_csv}
    if path.suffix not in readers:
        raise ModelError(
            f"file {path}: its name must end in .npy (numbers [synapses, 2]), .npz (arrays pre and "
            "post) or .csv (two columns)"
        )
    try:
        pre, post = readers[path.suffix](path)
    except FileNotFoundError:
        raise ModelError(
            f"file {path}: there is no such file; relative paths are from the folder {Path.cwd()}"
        ) from None
    except (OSError, ValueError, EOFError) as error:
        raise ModelError(f"file {path}: cannot be read: {error}") from error
    if pre.dtype.kind not in "iu" or post.dtype.kind not in "iu":
        raise ModelError(f"file {path}: must hold whole numbers, got {pre.dtype} and {post.dtype}")
    return pre, post


def _read_npy(path: Path) -> Pairs:
    pairs = np.load(path, allow_pickle=False)
    if pairs.ndim != 2 or pairs.shape[1] != 2:
        raise ValueError(
            "it must hold [presynaptic, postsynaptic] of each synapse, numbers [synapses, 2], but "
            f"has the shape {list(pairs.shape)}"
        )
    return pairs[:, 0], pairs[:, 1]


def _read_npz(path: Path) -> Pairs:
    with np.load(path, allow_pickle=False) as arrays:
        if not {"pre", "post"} <= set(arrays.files):
            raise ValueError(f"it must have arrays pre and post, but has {', '.join(arrays.files)}")
        return arrays["pre"], arrays["post"]


def _read_csv(path: Path) -> Pairs:
    with path.open(encoding="utf-8") as file:
        names = file.readline()
    head = int(any(letter.isalpha() for letter in names))
    pairs = np.loadtxt(path, np.int64, delimiter=",", skiprows=head, ndmin=2)
    if pairs.shape[1] != 2:
        raise ValueError(f"it must have two columns, but has {pairs.shape[1]}")
    return pairs[:, 0], pairs[:, 1]


def _sorted(pre: np.ndarray, post: np.ndarray) -> Pairs:
    """Return both in the order of presynaptic neurons, and then of postsynaptic ones."""
    if len(pre) != len(post):
        return pre, post  # which Synapses refuses
    order = np.lexsort((post, pre))
    return pre[order], post[order]


def _file_or_pairs(file: str | None, synapses: Sequence[Any] | None) -> Iterator[str]:
    if (file is None) == (synapses is None):
        given = "neither" if file is None else "both"
        yield (
            "list takes either file, as in {kind: list, file: synapses.csv}, or synapses, as in "
            f"{{kind: list, synapses: [[0, 0], [0, 1]]}}; got {given}"
        )


DENSE = Connectivity(name="dense", meaning="all neurons are connected")
ONE_TO_ONE = Connectivity(
    name="one_to_one", meaning="each neuron with the one of its number", synapses=one_to_one
)
SPARSE = Connectivity(
    name="sparse",
    meaning="random pairs, drawn from the seed MODEL_SEED and the name of the projection",
    between=sparse,
    check=_one_of_two,
    options=(
        option(
            "probability",
            FLOAT,
            "Probability with which a pair is connected.",
            default=None,
            above=0,
            maximum=1,
            nullable=True,
            null="fan_in says how many",
        ),
        option(
            "fan_in",
            INT,
            "Presynaptic neurons of each target, exactly.",
            default=None,
            minimum=1,
            nullable=True,
            null="probability says how many",
        ),
        option(
            "self",
            BOOL,
            "Whether a neuron may be connected with itself, where source and target are one "
            "population.",
            default=True,
        ),
    ),
)
LIST = Connectivity(
    name="list",
    meaning="the pairs that a file or the configuration lists",
    synapses=listed,
    check=_file_or_pairs,
    options=(
        option(
            "file",
            TEXT,
            "A .npy file of whole numbers [synapses, 2], a .npz file of arrays pre and post, or a "
            ".csv file of two columns, with or without a line of names.",
            default=None,
            nullable=True,
            null="synapses are given",
        ),
        option(
            "synapses",
            Kind(text=GIVEN, convert=_pairs),
            "The pairs.",
            default=None,
            nullable=True,
            null="they are in a file",
        ),
    ),
)
