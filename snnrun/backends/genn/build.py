"""Builds a GeNN model in a run folder, or takes a copy of the same one from the build cache.

GeNN writes to FOLDER/NAME_CODE and builds there. NAME holds a hash of all that the library depends
on, so the code of two programs never meets, in one folder or one process. Compiler flags are not
part of GeNN's own hash.
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from snnrun.backends.genn.compilers import flags_for, key_of
from snnrun.backends.genn.description import Description
from snnrun.backends.genn.driver import cuda_devices
from snnrun.backends.genn.model import Assembler
from snnrun.backends.genn.pygenn import version_of_pygenn
from snnrun.backends.genn.settings import CPU
from snnrun.backends.native.compiler import Compiler
from snnrun.errors import BuildError
from snnrun.files import write_error

LOG, TEXT = "build.log", "model.txt"
LOG_LINES = 40
LIBRARY = "librunner.so"


@dataclass(frozen=True, kw_only=True)
class Target:
    """What a model is built for.

    Args:
        device: GeNN's backend.
        compiler: What compiles the code: a C++ compiler, nvcc or hipcc.
        flags: Flags for it, beside GeNN's own.
        optimize: -O3 and fast arithmetic, for the host and the device; else -O2 and IEEE 754.
        preferences: Of GeNN's backend, by name.
        timing: Whether kernels are timed; on a GPU, which would have to wait in every step for it,
            they never are.
        graphs: Whether the steps of a pass are launched as one CUDA graph.
    """

    device: str
    compiler: Compiler
    flags: tuple[str, ...] = ()
    optimize: bool = False
    preferences: Mapping[str, Any] = field(default_factory=dict)
    timing: bool = False
    graphs: bool = False

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables from which the build takes compiler and flags.

        Raises:
            ConfigError: A flag cannot be given to the compiler.
        """
        return flags_for(
            self.device, self.compiler, self.flags, optimize=self.optimize, graphs=self.graphs
        )

    @property
    def command(self) -> str:
        """The compiler with the flags that it gets beside GeNN's own."""
        given = self.environment
        return given.get("CXX") or " ".join([self.compiler.command[0], *given.values()]).strip()

    @property
    def times_kernels(self) -> bool:
        """Whether GeNN times its kernels."""
        return self.timing and self.device == CPU

    def key(self, description: Description) -> str:
        """Return a hash of everything that the built library depends on."""
        parts = [description.code(), self.device, self.command, self.compiler.version]
        parts += [str(self.optimize), repr(sorted(self.preferences.items(), key=str))]
        parts += [str(self.times_kernels), version_of_pygenn() or "", key_of(self.environment)]
        # GeNN compiles for the GPU that is there, of which its own hash knows nothing
        parts.append(str(cuda_devices()) if self.device == "cuda" else "")
        return sha256("\0".join(parts).encode()).hexdigest()[:16]


@dataclass(frozen=True, kw_only=True)
class Built:
    """A built model, its groups by name, its target, its code, and whether the cache had it."""

    model: Any
    groups: dict[str, Any]
    target: Target
    folder: Path
    cached: bool


def build_model(
    pygenn: Any,
    description: Description,
    target: Target,
    code: Path,
    cache: Path,
    *,
    only_cached: bool,
) -> Built:
    """Build the model in the folder ``code``.

    Raises:
        BuildError: GeNN or a compiler failed (with the end of the log), or ``only_cached`` and
            there is nothing to reuse.
    """
    name = f"snnrun_{target.key(description)}"
    folder, kept = code / f"{name}_CODE", cache / f"genn-{name}"
    try:
        code.mkdir(parents=True, exist_ok=True)
        (code / TEXT).write_text(description.text())
        cached = (folder / LIBRARY).exists() or _copy(kept, folder)
    except OSError as error:
        raise write_error(code, error) from error
    if only_cached and not cached:
        raise BuildError(
            f"BUILD=false, but this network has not been built before (looked in {code} and "
            f"{cache}). Run once with BUILD=true"
        )
    model = pygenn.GeNNModel(
        description.precision,
        name,
        backend=target.device,
        time_precision="float",
        optimize_code=target.optimize,
        **target.preferences,
    )
    model.timing_enabled = target.times_kernels
    groups = Assembler(pygenn, model, description).groups
    log = code / LOG
    try:
        with _quiet(log), _environment(**target.environment):
            model.build(str(code))
    except (RuntimeError, ValueError, subprocess.CalledProcessError, OSError) as error:
        ended_by = -getattr(error, "returncode", 0)
        if ended_by == signal.SIGINT:  # Ctrl-C reaches make as well, and so may SIGTERM
            raise KeyboardInterrupt from error
        if ended_by == signal.SIGTERM:
            raise SystemExit(128 + signal.SIGTERM) from error
        raise BuildError(_failure(error, target, log)) from error
    if not cached:
        with suppress(OSError):  # a cache that cannot be written costs a later run its build
            _keep(folder, kept)
    return Built(model=model, groups=groups, target=target, folder=folder, cached=cached)


def _copy(kept: Path, folder: Path) -> bool:
    """Copy what was built before; times of files are kept, by which make sees that all is done."""
    if not (kept / LIBRARY).exists():
        return False
    shutil.rmtree(folder, ignore_errors=True)  # of a build or a copy that broke off
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".copying-") as temporary:
        try:
            shutil.copytree(kept, Path(temporary) / "code")
        except shutil.Error as error:
            raise OSError(errno.ENOSPC, f"its code cannot be copied: {error}") from error
        os.rename(Path(temporary) / "code", folder)
    return True


def _keep(folder: Path, kept: Path) -> None:
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=kept.parent, prefix=".building-") as temporary:
        shutil.copytree(folder, Path(temporary) / "code")
        with suppress(OSError):  # another process was first
            os.rename(Path(temporary) / "code", kept)


def _failure(error: Exception, target: Target, log: Path) -> str:
    text = log.read_text(errors="replace") if log.exists() else ""
    lines = [line for line in text.splitlines() if line.strip()][-LOG_LINES:]
    tail = "\n".join(lines)
    return (
        f"GeNN could not build the network for {target.device}: {error}\n"
        f"Compiler: {target.command}\nEnd of {log}:\n{tail}"
    )


@contextmanager
def _environment(**values: str) -> Iterator[None]:
    """Set environment variables for the length of the block: make reads them."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def _quiet(log: Path) -> Iterator[None]:
    """Send what GeNN, make and the compilers print to ``log``; they write to the descriptors."""
    sys.stdout.flush()
    sys.stderr.flush()
    saved = [os.dup(1), os.dup(2)]
    try:
        with log.open("wb") as file:
            for descriptor in (1, 2):
                os.dup2(file.fileno(), descriptor)
            yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for descriptor, was in zip((1, 2), saved, strict=True):
            os.dup2(was, descriptor)
            os.close(was)
