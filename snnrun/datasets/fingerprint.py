"""What tells data apart: sizes, counts, and a hash of everything that was loaded.

A run stores it, so that it does not go on with other data unnoticed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

import numpy as np

from snnrun.datasets.spikes import SpikeData, Splits

WORDS = 1 << 16  # hashed at a time: half a megabyte, which stays in the cache
SEED = 2718281828

Part = dict[str, int | str]
Fingerprint = dict[str, Part]


def fingerprint(splits: Splits, n_test: int | None = None) -> Fingerprint:
    """Return split -> examples, events, classes and channels of its data, and a hash of them.

    How many of these examples were chosen stands there too, and the hash tells which. Those of the
    test may be others when a run goes on, so that it says for which ``n_test`` (N_TEST) it holds.
    """
    known: dict[int, str] = {}
    found: Fingerprint = {}
    for split in splits.all():
        data = split.data
        if id(data) not in known:
            known[id(data)] = _digest_of(data)
        found[split.name] = {
            "examples": len(data),
            "chosen": len(split.examples),
            "events": data.n_events,
            "classes": data.n_classes,
            "channels": data.n_channels,
            "hash": _digest(known[id(data)], split.examples),
        }
    if "test" in found:
        found["test"]["asked"] = "all" if n_test is None else n_test
    return found


def to_text(found: Fingerprint) -> str:
    """Return a fingerprint as it is stored."""
    return json.dumps(found, sort_keys=True)


def differences(stored: str, now: Fingerprint) -> str:
    """Return how data differ from those whose fingerprint was stored; empty where they do not.

    Only splits that both have are compared, and tests of as many examples.
    """
    before: Mapping[str, Part] = json.loads(stored)
    lines = []
    for name, part in now.items():
        if name not in before or all(part.get(key) == v for key, v in before[name].items()):
            continue  # fingerprints of older versions have fewer entries
        if part.get("asked") != before[name].get("asked"):
            continue
        counts = [
            f"{part[key]:,} {key} (were {before[name][key]:,})"
            for key in ("examples", "events", "classes", "channels")
            if part[key] != before[name].get(key)
        ]
        counts += [
            f"{part['chosen']:,} of its examples (were {had:,})"
            for had in (before[name].get("chosen"),)
            if not counts and had not in (None, part["chosen"])
        ]
        other = "equal counts, but other content or another choice of examples"
        lines.append(f"{name}: {', '.join(counts) or other}")
    return "; ".join(lines)


def _digest_of(data: SpikeData) -> str:
    """Return the hash of the events, in the order that has fewer pointers, and of the labels."""
    by_step = data.n_steps < data.n_channels
    pointers = data.step_pointers if by_step else data.channel_pointers
    events = data.channel_by_step if by_step else data.step_by_channel
    arrays = [data.offsets, data.labels, pointers, events]
    if data.targets is not None:
        arrays += [data.targets.offsets, data.targets.steps, data.targets.neurons]
    if data.courses is not None:
        arrays += [data.courses.values, data.courses.rows]
    return _digest(f"{data.n_steps} {data.n_channels}", *arrays)


def _digest(text: str, *arrays: np.ndarray) -> str:
    """Return a hash of a text and arrays, as 16 hexadecimal digits.

    BLAKE2b would take 5 % of the time of loading. So each run of words is first brought down to one
    word, its product with as many fixed odd ones modulo 2^64, which no change of a word leaves as
    it was.
    """
    weights = np.random.PCG64(SEED).random_raw(WORDS) | np.uint64(1)
    state = hashlib.blake2b(text.encode(), digest_size=8)
    for array in arrays:
        state.update(f"{array.dtype.str} {array.shape}".encode())
        content = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        whole = len(content) // 8 * 8
        words = content[:whole].view("<u8")
        for start in range(0, len(words), WORDS):
            run = words[start : start + WORDS]
            state.update(int(np.dot(run, weights[: len(run)])).to_bytes(8, "little"))
        state.update(content[whole:].tobytes())
    return state.hexdigest()
