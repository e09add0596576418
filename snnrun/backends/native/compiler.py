"""Which C++ compiler there is, and the flags it gets."""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from snnrun.errors import BuildError

ANSWER_S = 30
CANDIDATES = ("g++", "clang++", "c++")
HOW_TO_INSTALL = (
    "Install one (Debian and Ubuntu: apt install g++; Fedora: dnf install gcc-c++; macOS: "
    "xcode-select --install), or take the one that pip can install: pip install "
    "'snnrun[compiler]'. Small networks run without one: backend=numpy"
)


@dataclass(frozen=True, kw_only=True)
class Compiler:
    """A C++17 compiler: the command that starts it, what it says of itself, and its kind."""

    command: tuple[str, ...]
    version: str
    kind: str  # gcc, clang or zig

    @property
    def path(self) -> str:
        """The command as text."""
        return shlex.join(self.command)


def find_compiler(wanted: str | None = None) -> Compiler:
    """Return the compiler that ``wanted`` names, else $CXX, else the first that is installed.

    Raises:
        BuildError: There is none, or the one asked for does not run.
    """
    for source, text in (("backend.compiler", wanted), ("CXX", os.environ.get("CXX"))):
        if text and text.strip():
            return _asked_for(source, text)
    for name in CANDIDATES:
        path = shutil.which(name)
        if path and (compiler := _probe((path,))):
            return compiler
    if find_spec("ziglang") is not None:
        compiler = _probe((sys.executable, "-m", "ziglang", "c++"))
        if compiler:
            return compiler
    raise BuildError(
        f"no C++ compiler: looked for {', '.join(CANDIDATES)} and the Python package ziglang. "
        + HOW_TO_INSTALL
    )


def _asked_for(source: str, text: str) -> Compiler:
    try:
        command = shlex.split(text)
    except ValueError as error:  # a quote that is not closed
        raise BuildError(f"{source}={text}: cannot be read as a command: {error}") from error
    path = shutil.which(os.path.expanduser(command[0]))
    compiler = _probe((path, *command[1:])) if path else None
    if compiler is None:
        raise BuildError(
            f"{source}={text}: this is no C++ compiler that runs here (one answers to --version "
            f"within {ANSWER_S} s). Give its name or path, or leave it out to take the first of "
            f"{', '.join(CANDIDATES)}"
        )
    return compiler


def _probe(command: tuple[str, ...]) -> Compiler | None:
    try:
        done = subprocess.run(
            [*command, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=ANSWER_S,
            check=False,
        )
    except BlockingIOError:  # the system gives no process to try it with
        raise
    except (OSError, subprocess.TimeoutExpired):
        return None
    if done.returncode != 0 or not done.stdout.strip():
        return None
    version = done.stdout.splitlines()[0].strip()
    kind = "gcc"
    if "clang" in version.lower():
        kind = "zig" if "ziglang" in command else "clang"
    return Compiler(command=command, version=version, kind=kind)


def flags(compiler: Compiler, *, contraction: bool, extra: tuple[str, ...]) -> list[str]:
    """Return the flags of a build. Without ``contraction`` no multiply and add are fused.

    $SNNRUN_CXXFLAGS and then ``extra`` follow the program's own, so that they outdo them.

    Raises:
        BuildError: $SNNRUN_CXXFLAGS ends within a quotation.
    """
    chosen = ["-std=c++17", "-O3", "-fno-math-errno", "-fno-trapping-math"]
    chosen += ["-shared", "-fPIC", "-pthread", "-Wno-psabi", "-Wno-unknown-pragmas"]
    # programs of one process (a sweep) have functions and variables of the same names
    chosen += ["-fvisibility=hidden", "-fvisibility-inlines-hidden"]
    chosen.append("-mcpu=native" if platform.machine() in ("aarch64", "arm64") else "-march=native")
    chosen.append("-ffp-contract=fast" if contraction else "-ffp-contract=off")
    if compiler.kind == "zig":
        chosen.append("-fno-sanitize=undefined")  # on by default there
    given = os.environ.get("SNNRUN_CXXFLAGS", "")
    try:
        return [*chosen, *shlex.split(given), *extra]
    except ValueError as error:
        raise BuildError(
            f"SNNRUN_CXXFLAGS={given}: {error}. Give flags as in a shell, for example -O1 -g"
        ) from error


def processor() -> str:
    """Return text that differs between processors for which ``-march=native`` may differ."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return f"{platform.machine()} {platform.processor()}"
    wanted = ("vendor_id", "cpu family", "model\t", "model name", "flags", "Features", "CPU part")
    return "\n".join(sorted({x for x in text.splitlines() if x.startswith(wanted)}))
