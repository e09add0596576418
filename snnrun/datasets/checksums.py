"""Whether a file is the published one, and whether it changed since it was put in place.

Published checksums are those of the files as they are downloaded. So that an unpacked file can be
verified too, fetching writes what it saw into ``snnrun-files.json`` beside the files.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from snnrun.datasets.declaration import DataFile
from snnrun.datasets.files import find_file
from snnrun.errors import DataError
from snnrun.files import atomic_path

RECORD_NAME = "snnrun-files.json"


@dataclass(frozen=True, kw_only=True)
class Status:
    """State of one file: public is None where nothing is known of its origin."""

    path: Path | None  # None: missing
    public: bool | None
    intact: bool  # False: missing, or changed since it was fetched
    text: str


def digest(path: Path, algorithm: str) -> str:
    """Return the MD5 or SHA-256 sum of a file as hexadecimal digits."""
    # MD5 only because the data sets publish it; told so, or it is refused on FIPS machines
    state = hashlib.new(algorithm, usedforsecurity=False)
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            state.update(block)
    return state.hexdigest()


def is_published(path: Path, file: DataFile) -> bool:
    """Return whether ``path`` is, byte for byte, the published file."""
    return file.md5 is not None and path.name == file.published and digest(path, "md5") == file.md5


def status(folder: Path, file: DataFile) -> Status:
    """Return the state of one file of a data set in ``folder``; reads it from end to end."""
    path = find_file(folder, file)
    if path is None:
        return Status(path=None, public=None, intact=False, text="missing")
    if is_published(path, file):
        return Status(path=path, public=True, intact=True, text="public file, checksum ok")
    entry = read_record(folder).get(path.name)
    if entry is not None:
        if digest(path, "sha256") != entry["sha256"]:
            return Status(
                path=path, public=False, intact=False, text="changed since it was fetched"
            )
        texts = {True: "public file, checksum ok", False: f"not the public file; {entry['origin']}"}
        text = texts.get(entry["public"], f"unchanged since it was {entry['origin']}")
        return Status(path=path, public=entry["public"], intact=True, text=text)
    if path.name == file.published and file.md5 is not None:
        return Status(path=path, public=False, intact=True, text="not the public file")
    return Status(path=path, public=None, intact=True, text="origin unknown (no checksum for it)")


def read_record(folder: Path) -> dict[str, Any]:
    """Return what fetching wrote about the files in ``folder``, by file name."""
    path = folder / RECORD_NAME
    try:
        record = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise DataError(f"{path} is damaged ({error}); delete it") from error
    return record if isinstance(record, dict) else {}


def add_record(folder: Path, name: str, *, origin: str, public: bool | None) -> None:
    """Note the sum and origin of the file ``name`` that was just put into ``folder``."""
    record = read_record(folder)
    record[name] = {"sha256": digest(folder / name, "sha256"), "origin": origin, "public": public}
    with atomic_path(folder / RECORD_NAME) as partial:
        partial.write_text(json.dumps(record, indent=2, sort_keys=True) + "\n")
