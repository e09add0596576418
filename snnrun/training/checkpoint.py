"""Checkpoints: all that a bit-exact continuation needs, in an HDF5 file that knows if it is whole.

The first 512 bytes are a line of text (`head -1 last.h5`) with the format version, the length and
the SHA-256 of the rest, which HDF5 skips as its user block. A damaged file is therefore refused
before HDF5 reads a byte of it. Dictionaries are groups; arrays and scalars are data sets, bit for
bit; the attribute ``kind`` says which Python type a value had.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from snnrun.errors import CheckpointError
from snnrun.files import atomic_file, make_folders
from snnrun.record.paths import RunPaths

FORMAT = 1
_HEADER_BYTES = 512
_HEADER = re.compile(rb"snnrun checkpoint, format (\d+), (\d+) bytes, sha256 ([0-9a-f]{64})\n\0*")

State = Mapping[str, Any]


def save(path: str | Path, state: State) -> None:
    """Write a nested dict of arrays, numbers, strings, booleans, None and dicts, or nothing.

    Keys are strings without "/". Object arrays, lists and other types raise TypeError: convert them
    to arrays or dicts, so that it stays clear what comes back.
    """
    image = io.BytesIO()
    with h5py.File(image, "w", userblock_size=_HEADER_BYTES, track_order=True) as file:
        _write_group(file, state, "")
    content = image.getvalue()[_HEADER_BYTES:]
    digest = hashlib.sha256(content).hexdigest()
    header = f"snnrun checkpoint, format {FORMAT}, {len(content)} bytes, sha256 {digest}\n"
    make_folders(Path(path).parent)
    with atomic_file(path) as out:
        out.write(header.encode().ljust(_HEADER_BYTES, b"\0"))
        out.write(content)


def load(path: str | Path) -> dict[str, Any]:
    """Return the state that was saved: same nesting, order, types and bits.

    Raises CheckpointError if the file is missing, truncated, damaged or of a newer format.
    """
    path = Path(path)
    data = _read(path)
    match = _HEADER.fullmatch(data[:_HEADER_BYTES])
    if match is None:
        raise CheckpointError(
            f"{path}: damaged, or not a checkpoint of snnrun: the first line is missing."
            + _other_way(path)
        )
    version, length, digest = int(match[1]), int(match[2]), match[3].decode()
    if version > FORMAT:
        raise CheckpointError(
            f"{path}: written by a newer snnrun (format {version}; this one reads up to {FORMAT}). "
            "Upgrade snnrun: pip install --upgrade snnrun"
        )
    content = memoryview(data)[_HEADER_BYTES:]
    if len(content) < length:
        raise CheckpointError(
            f"{path}: truncated: {len(content)} of {length} bytes are there. Was it copied to a "
            "full disk, or the copy interrupted? Copy it again if the original exists."
            + _other_way(path)
        )
    if hashlib.sha256(content).hexdigest() != digest:
        raise CheckpointError(
            f"{path}: damaged: the content does not match its checksum. Restore it from a copy if "
            "there is one, and check the disk." + _other_way(path)
        )
    with h5py.File(io.BytesIO(data), "r", track_order=True) as file:
        return _read_group(file)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise CheckpointError(f"{path}: there is no such checkpoint." + _other_way(path)) from None
    except OSError as error:
        raise CheckpointError(
            f"{path}: cannot be read: {error.strerror}. Check its permissions and the disk."
            + _other_way(path)
        ) from error


def _other_way(path: Path) -> str:
    """Return what to do instead of loading ``path``, beginning with a space."""
    paths = RunPaths(path.parent.parent)
    if path == paths.last and paths.best.exists():
        return (
            f" The best checkpoint exists ({paths.best}): LOAD_BEST=true goes on from there. "
            "Otherwise start the run again"
        )
    if path == paths.best and paths.last.exists():
        return f" The last checkpoint exists ({paths.last}): LOAD_LAST=true goes on from there"
    beside = sorted(p.name for p in path.parent.glob("*.h5") if p != path)
    if beside:
        return f" The same folder holds {', '.join(beside)}"
    return " There is no other checkpoint beside it: start the run again"


def _write_group(group: h5py.Group, state: State, where: str) -> None:
    for key, value in state.items():
        name = f"{where}/{key}"
        if not isinstance(key, str) or not key or "/" in key or key in (".", ".."):
            raise TypeError(f"checkpoint key {name!r}: keys are non-empty strings without '/'")
        if isinstance(value, Mapping):
            _write_group(group.create_group(key, track_order=True), value, name)
            continue
        kind, data = _encode(value, name)
        group.create_dataset(key, data=data).attrs["kind"] = kind


def _encode(value: Any, name: str) -> tuple[str, Any]:
    """Return the kind of a value and what HDF5 stores for it."""
    if value is None:
        return "none", h5py.Empty("i1")
    if isinstance(value, np.ndarray | np.generic):
        if value.dtype.kind not in "biufc":
            raise TypeError(f"checkpoint {name}: cannot hold an array of dtype {value.dtype}")
        return ("array" if isinstance(value, np.ndarray) else "scalar"), value
    if isinstance(value, str):  # as bytes: HDF5 strings end at a NUL
        return "str", np.frombuffer(value.encode("utf-8", "surrogatepass"), np.uint8)
    if isinstance(value, bool):
        return "bool", np.bool_(value)
    if isinstance(value, int):  # as text: the states of random generators have 128 bits
        return "int", np.frombuffer(str(value).encode(), np.uint8)
    if isinstance(value, float):
        return "float", np.float64(value)
    raise TypeError(f"checkpoint {name}: cannot hold a {type(value).__name__}: {value!r}")


_DECODE = {
    "none": lambda data: None,
    "array": lambda data: np.array(data[()]),
    "scalar": lambda data: data[()],
    "str": lambda data: data[()].tobytes().decode("utf-8", "surrogatepass"),
    "bool": lambda data: bool(data[()]),
    "int": lambda data: int(data[()].tobytes()),
    "float": lambda data: float(data[()]),
}


def _read_group(group: h5py.Group) -> dict[str, Any]:
    state: dict[str, Any] = {}
    for key, item in group.items():
        is_group = isinstance(item, h5py.Group)
        state[key] = _read_group(item) if is_group else _DECODE[item.attrs["kind"]](item)
    return state
