"""A run as one archive that can be unpacked and resumed at another place.

It holds one folder, the run folder as it is, and in it what the run needs besides: the modules of
models of one's own in ``modules/``, files that its configuration names in ``inputs/``. Nothing in
it leads to a place of the machine that it was packed on.
"""

from __future__ import annotations

import io
import os
import tarfile
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import Any

import yaml  # type: ignore[import-untyped]

from snnrun.errors import RecordError
from snnrun.files import atomic_path, is_temporary, write_error
from snnrun.record.owner import at_rest
from snnrun.record.paths import RunPaths

FORMATS = (".tar.gz", ".tgz", ".tar", ".zip")
OF_RUN = "run:inputs/"  # before the name of a file in a configuration: it is in the run folder

Add = Callable[[str, "Path | bytes"], None]


def pack(
    paths: RunPaths,
    target: Path,
    name: str,
    *,
    elsewhere: Mapping[str, Any],
    modules: Mapping[str, Path],
) -> None:
    """Write the archive of a run, whole or not at all.

    Args:
        paths: The run folder.
        target: The archive; its suffix, one of FORMATS, says which kind.
        name: Of the folder in it.
        elsewhere: Key of the configuration -> the value that it has at any other place.
        modules: Path below ``modules/`` -> the file.

    Raises:
        RecordError: A process is at work on the run, a file cannot be read, or the archive cannot
            be written.
    """
    try:
        with at_rest(paths), atomic_path(target) as temporary, _opened(temporary, target) as add:
            inputs: dict[str, Path] = {}
            changed = {
                paths.config: _config(paths.config, elsewhere, inputs),
                paths.resumed: _words(paths.resumed, elsewhere),
            }
            for path in _files(paths):
                add(f"{name}/{path.relative_to(paths.root).as_posix()}", changed.get(path) or path)
            for kept, path in inputs.items():
                add(f"{name}/{paths.inputs.name}/{kept}", path)
            for module, path in modules.items():
                if not (paths.modules / module).exists():
                    add(f"{name}/{paths.modules.name}/{PurePath(module).as_posix()}", path)
    except OSError as error:
        read = error.filename and Path(error.filename).is_relative_to(paths.root)
        if read:
            raise RecordError(f"{error.filename}: cannot be read ({error.strerror})") from error
        raise write_error(target, error) from error


def at_home(value: Any, root: Path) -> Any:
    """Return a value of a configuration with the paths that ``pack`` has put into it."""
    if isinstance(value, str) and value.startswith(OF_RUN):
        return str(RunPaths(root.absolute()).inputs / value.removeprefix(OF_RUN))
    if isinstance(value, Mapping):
        return {key: at_home(item, root) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [at_home(item, root) for item in value]
    return value


def _files(paths: RunPaths) -> Iterator[Path]:
    """Yield the files of a run that say something at another place too."""
    for place, below, names in os.walk(paths.root, followlinks=True):
        folder = Path(place)
        below[:] = sorted(
            name
            for name in below
            if not (is_temporary(name) or (folder == paths.wandb and (folder / name).is_symlink()))
        )
        for name in sorted(names):
            path = folder / name
            if path != paths.pid and not is_temporary(name) and path.is_file():
                yield path


def _config(file: Path, elsewhere: Mapping[str, Any], inputs: dict[str, Path]) -> bytes:
    """Return a configuration for another place, and enter the files that it needs there."""
    found = yaml.safe_load(file.read_text(encoding="utf-8"))
    for key, value in elsewhere.items():
        group, _, option = key.rpartition(".")
        (found[group] if group else found)[option] = value
    text: str = yaml.safe_dump(_portable(found, inputs), sort_keys=False, allow_unicode=True)
    return text.encode()


def _words(file: Path, elsewhere: Mapping[str, Any]) -> bytes:
    """Return what earlier resumes were given, without what holds for this place alone."""
    if not file.is_file():
        return b""
    words = yaml.safe_load(file.read_text(encoding="utf-8"))
    text: str = yaml.safe_dump([w for w in words if w.partition("=")[0] not in elsewhere])
    return text.encode()


def _portable(value: Any, inputs: dict[str, Path]) -> Any:
    """Return a value with each file that it names as one of the run folder."""
    if isinstance(value, dict):
        return {key: _portable(item, inputs) for key, item in value.items()}
    if isinstance(value, list):
        return [_portable(item, inputs) for item in value]
    if not isinstance(value, str) or not Path(value).suffix:
        return value
    file = Path(value).expanduser()
    if not file.is_file():
        return value
    name = next(n for n in _names(file) if inputs.setdefault(n, file) == file)
    return f"{OF_RUN}{name}"


def _names(file: Path) -> Iterator[str]:
    """Yield the name of a file, and then others for where it is taken."""
    yield file.name
    number = 2
    while True:
        yield f"{file.stem}-{number}{file.suffix}"
        number += 1


@contextmanager
def _opened(file: Path, target: Path) -> Iterator[Add]:
    """Give what adds a file, or the content of one, to a new archive of the kind of ``target``."""
    if target.suffix == ".zip":
        with zipfile.ZipFile(file, "x", zipfile.ZIP_DEFLATED) as packed:
            yield (
                lambda name, what: (
                    packed.writestr(name, what)
                    if isinstance(what, bytes)
                    else packed.write(what, name)
                )
            )
        return
    options: dict[str, Any] = {} if target.suffix == ".tar" else {"compresslevel": 6}
    how: Any = "x:gz" if options else "x"
    with tarfile.open(file, how, dereference=True, **options) as archive:

        def add(name: str, what: Path | bytes) -> None:
            if isinstance(what, Path):
                archive.add(what, name)
                return
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime = len(what), int(time.time())
            archive.addfile(entry, io.BytesIO(what))

        yield add
