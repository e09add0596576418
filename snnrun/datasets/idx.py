"""The idx files of MNIST and its relatives: a big-endian header, then bytes.

0x00 0x00 0x08 D   two zeros, 8 for unsigned bytes, D dimensions
D times 4 bytes    their lengths
bytes              the numbers
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from snnrun.datasets.files import open_packed
from snnrun.errors import DataError

UNSIGNED_BYTE = 8


def read_idx(path: Path, dimensions: int, what: str) -> np.ndarray:
    """Return the uint8 array in a plain, .gz or .zip idx file.

    Raises DataError unless it holds ``dimensions`` dimensions and exactly as many bytes as its
    header says; ``what`` ("images", "labels") is for the message.
    """
    with open_packed(path, path.name.removesuffix(".zip")) as stream:
        content = stream.read()
    magic, expected = content[:4].hex(), bytes([0, 0, UNSIGNED_BYTE, dimensions]).hex()
    if magic != expected:
        raise DataError(
            f"{path} is not an idx file of {what}: it begins with 0x{magic}, expected 0x{expected}"
        )
    header = 4 + 4 * dimensions
    if len(content) < header:
        raise DataError(f"{path} is incomplete: it ends within its header")
    shape = struct.unpack(f">{dimensions}I", content[4:header])
    if len(content) - header != int(np.prod(shape, dtype=object)):
        raise DataError(
            f"{path} does not fit its header: {' x '.join(map(str, shape))} {what} are "
            f"{int(np.prod(shape, dtype=object))} bytes, but it holds {len(content) - header}"
        )
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)
