"""Builds generated code, once: the cache's key holds all that a shared library depends on."""

from __future__ import annotations

import os
import shlex
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from pathlib import Path

from snnrun.backends.native.compiler import Compiler, flags, processor
from snnrun.backends.native.precompiled import precompiled
from snnrun.backends.native.processes import run
from snnrun.errors import BuildError
from snnrun.files import cache_root, one_at_a_time, usable

LOG_LINES = 40


@dataclass(frozen=True, kw_only=True)
class Build:
    """A shared library and how it came to be."""

    library: Path
    cached: bool
    command: str


def cache_folder(wanted: str | None) -> Path:
    """Return the folder of built code: ``wanted``, else $SNNRUN_CACHE, else ~/.cache/snnrun.

    Where the last cannot be used, it is a temporary one, and that is said.
    """
    named = named_cache(wanted)
    return usable(cache_root() / "build", "SNNRUN_CACHE") if named is None else named


def named_cache(wanted: str | None) -> Path | None:
    """Return the folder of built code that the user has named, or None."""
    if wanted:
        return Path(os.path.expanduser(wanted))
    named = os.environ.get("SNNRUN_CACHE", "").strip()
    return Path(os.path.expanduser(named)) / "build" if named else None


def runtime_headers() -> dict[str, str]:
    """Return the static C++ headers by file name."""
    folder = files(__package__) / "runtime"
    return {f.name: f.read_text() for f in folder.iterdir() if f.name.endswith(".hpp")}


def build(
    source: str,
    compiler: Compiler,
    *,
    contraction: bool,
    extra_flags: tuple[str, ...] = (),
    cache: Path,
    only_cached: bool = False,
    say: Callable[[], object] = lambda: None,
) -> Build:
    """Return the shared library of ``source``, built unless the cache has it.

    The key covers source, headers, flags, compiler and processor, since nodes of a cluster share
    the cache. Processes that want the same library at the same time wait for the one that builds
    it, and where the disk has no locks all build: it appears under its final name complete.
    ``say`` is called before something is compiled.

    Raises:
        BuildError: The compiler failed (with the command and the end of its log), the cache folder
            cannot be written, or ``only_cached`` and there is nothing to reuse.
    """
    headers = runtime_headers()
    options = flags(compiler, contraction=contraction, extra=extra_flags)
    parts = [source, *(headers[name] for name in sorted(headers)), *options]
    parts += [compiler.path, compiler.version, processor()]
    key = sha256("\0".join(parts).encode()).hexdigest()[:24]
    library = cache / key / "program.so"
    command = shlex.join([*compiler.command, *options, "program.cpp", "-o", "program.so"])
    if _is_there(library):
        return Build(library=library, cached=True, command=command)
    if only_cached:
        raise BuildError(
            f"BUILD=false, but this program has not been built before (looked in {cache}). "
            "Run once with BUILD=true"
        )
    say()
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with _alone(cache / f".{key}.lock"):
            if _is_there(library):
                return Build(library=library, cached=True, command=command)
            with tempfile.TemporaryDirectory(dir=cache, prefix=".building-") as folder:
                with precompiled(cache, headers, compiler, options) as include:
                    _compile(Path(folder), source, headers, [*compiler.command, *options], include)
                if not (Path(folder) / "program.so").is_file():
                    raise BuildError(
                        f"{compiler.path}: made nothing, though it reports no error; this is no "
                        "C++ compiler. It was asked for by backend.compiler or CXX.\n"
                        f"Command: {command}"
                    )
                (cache / key).mkdir(exist_ok=True)
                for name in (*headers, "program.cpp", "program.so"):
                    os.replace(Path(folder) / name, cache / key / name)
    except BlockingIOError:  # no process for the compiler: not the folder's fault
        raise
    except OSError as error:
        raise BuildError(
            f"the build folder {cache} cannot be used: {error}. Make room or make it "
            "writable, or name another one with backend.cache_dir=FOLDER"
        ) from error
    return Build(library=library, cached=False, command=command)


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Let one process into the block; who comes after the lock is removed finds what was built."""
    with one_at_a_time(lock):
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)


def _is_there(file: Path) -> bool:
    try:
        return file.exists()
    except OSError:  # within a folder that may not be entered, which writing to it will tell
        return False


def _compile(
    folder: Path, source: str, headers: dict[str, str], command: list[str], include: list[str]
) -> None:
    """Compile ``source`` in ``folder``; ``include``: flags that only save time."""
    for name, text in headers.items():
        (folder / name).write_text(text)
    (folder / "program.cpp").write_text(source)
    command = [*command, "program.cpp", "-o", "program.so"]
    code, said = run([*command, *include], folder)
    if code != 0 and include:  # a compiler may refuse a header that another one made
        code, said = run(command, folder)
    if code != 0:
        log = "\n".join(said.splitlines()[-LOG_LINES:])
        raise BuildError(
            f"the compiler failed (exit code {code}).\n"
            f"Command: {shlex.join(command)}\nEnd of its output:\n{log}"
        )
