"""The idx files of MNIST and its relatives: a big-endian header, then numbers.

0x00 0x00 K D      two zeros, the kind of numbers (8: unsigned bytes), D dimensions
D times 4 bytes    their lengths
numbers            big-endian
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from snnrun.datasets.files import open_packed
from snnrun.errors import DataError

# Kinds of numbers by their code
KINDS = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
UNSIGNED_BYTE = 8
HIGHEST = {"images": 255, "labels": 65_535}


def read_idx(path: Path, dimensions: int, what: str) -> np.ndarray:
    """Return the whole numbers in a plain, .gz or .zip idx file: uint8 images, or int32 labels.

    Raises DataError unless it holds ``dimensions`` dimensions, exactly as many bytes as its header
    says, and whole numbers from 0 on; ``what`` is "images" or "labels".
    """
    with open_packed(path, path.name.removesuffix(".zip")) as stream:
        content = stream.read()
    magic = content[:4]
    kind = KINDS.get(magic[2]) if len(magic) == 4 and magic[:2] == bytes(2) else None
    if kind is None or magic[3] != dimensions:
        expected = bytes([0, 0, UNSIGNED_BYTE, dimensions]).hex()
        raise DataError(
            f"{path} is not an idx file of {what}: it begins with 0x{magic.hex()}, expected "
            f"0x{expected}"
        )
    header = 4 + 4 * dimensions
    if len(content) < header:
        raise DataError(f"{path} is incomplete: it ends within its header")
    shape = struct.unpack(f">{dimensions}I", content[4:header])
    size = int(np.prod(shape, dtype=object)) * np.dtype(kind).itemsize
    if len(content) - header != size:
        raise DataError(
            f"{path} does not fit its header: {' x '.join(map(str, shape))} {what} are "
            f"{size} bytes, but it holds {len(content) - header}"
        )
    numbers = np.frombuffer(content, kind, offset=header).reshape(shape)
    return _whole(numbers, path, what).astype(np.uint8 if what == "images" else np.int32)


def _whole(numbers: np.ndarray, path: Path, what: str) -> np.ndarray:
    """Return the numbers if they are what images or labels are made of, else raise DataError."""
    if numbers.dtype.kind == "f":
        fractional = numbers != np.floor(numbers)  # NaN too
        if fractional.any():
            hint = "; multiply grey values of 0 to 1 by 255" if what == "images" else ""
            raise DataError(
                f"{path}: {what} must be whole numbers from 0 to {HIGHEST[what]}, got "
                f"{numbers[fractional][0]:g}{hint}"
            )
    if numbers.dtype != np.uint8 and numbers.size:
        lowest, highest = numbers.min(), numbers.max()
        if lowest < 0 or highest > HIGHEST[what]:
            raise DataError(
                f"{path}: {what} must be whole numbers from 0 to {HIGHEST[what]}, got {lowest:g} "
                f"to {highest:g}"
            )
    return numbers
