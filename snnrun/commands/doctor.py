"""`snnrun doctor`: what this machine has, and what is missing."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from snnrun.errors import BuildError, ConfigError
from snnrun.files import cache_root, home, size_of, why_not
from snnrun.machine import usable_cores
from snnrun.numbers import size_in_words
from snnrun.version import __version__

WIDTH = 21  # of the names
PYTHONS = ((3, 10), (3, 15))  # from, up to but not including
PACKAGES = (
    "hydra-core",
    "omegaconf",
    "pyyaml",
    "numpy",
    "sympy",
    "h5py",
    "rich",
    "pooch",
    "requests",
)
OPTIONAL = {  # package -> what needs it, and the extra that installs it
    "matplotlib": ("snnrun plot", "plot"),
    "plotly": ("snnrun report and watch", "page"),
    "nir": ("NIR files", "nir"),
    "optuna": ("sweep=optuna", "search"),
    "hydra-joblib-launcher": ("hydra/launcher=joblib", "sweeps"),
    "mpi4py": ("one run on several processes", "mpi"),
}
HELP = """\
usage: snnrun doctor

Shows Python, packages, compiler, cores, folders, and what there is for the GeNN backend. The exit
code is 0 if `snnrun train` can run and every folder can be used, else 1.
"""


class Finding(NamedTuple):
    """One line of the report.

    ``missing``: training needs it; ``wrong``: training goes on without it. The text says the cure.
    """

    name: str
    text: str
    missing: bool = False
    wrong: bool = False


def run(arguments: Sequence[str]) -> int:
    if arguments:
        raise ConfigError(f"snnrun doctor takes no arguments, got: {' '.join(arguments)}")
    missing = wrong = 0
    for finding in findings():
        mark = "MISSING" if finding.missing else "WRONG" if finding.wrong else ""
        print(f"{finding.name:<{WIDTH}} {f'{mark} {finding.text}'.strip()}")
        missing += finding.missing
        wrong += finding.wrong
    print()
    if missing:
        print(f"training cannot run: {missing} of the above must be mended first")
        return 1
    if wrong:
        print(f"training can run, but {wrong} of the above should be mended")
        return 1
    print("training can run: snnrun train")
    return 0


def findings() -> Iterator[Finding]:
    """Yield everything there is to say, in order."""
    yield Finding("snnrun", f"{__version__} in {Path(__file__).resolve().parents[1]}")
    yield _python()
    for name in PACKAGES:
        version = installed_version(name)
        yield Finding(name, version or f"install it: pip install {name}", missing=version is None)
    for name, (use, extra) in OPTIONAL.items():
        how = f"not installed; needed for {use} only: pip install '.[{extra}]' in a clone"
        yield Finding(name, installed_version(name) or how)
    yield _compiler()
    yield Finding("cores", _cores())
    yield from _folders()
    yield Finding("PyGeNN", _pygenn())
    yield Finding("genn (pip)", _wrong_genn())
    yield Finding("nvcc", _nvcc())
    yield Finding("CUDA_PATH", os.environ.get("CUDA_PATH") or _no_cuda_path())


def _python() -> Finding:
    low, high = PYTHONS
    text = f"{platform.python_version()} at {sys.executable}"
    if low <= sys.version_info[:2] < high:
        return Finding("Python", text)
    wanted = f"from {low[0]}.{low[1]} up to, not including, {high[0]}.{high[1]}"
    return Finding("Python", f"{text}; install one {wanted}", missing=True)


def _compiler() -> Finding:
    from snnrun.backends.native.compiler import find_compiler

    try:
        compiler = find_compiler(None)
    except BuildError as error:
        return Finding("C++ compiler", str(error), missing=True)
    return Finding("C++ compiler", f"{compiler.path} ({compiler.version})")


def _cores() -> str:
    count = os.cpu_count() or 1
    usable = usable_cores()
    return f"{usable} of {count} usable" if usable != count else str(count)


def _folders() -> Iterator[Finding]:
    from snnrun.backends.native.build import named_cache

    if home() is None:
        text = "HOME names none; what is kept for later runs needs one: export HOME=FOLDER"
        yield Finding("home", text, wrong=True)
    named = named_cache(None)
    cure = "name another with SNNRUN_CACHE or backend.cache_dir"
    yield _folder("build cache", named or cache_root() / "build", cure, needed=named is not None)
    given = os.environ.get("SNNRUN_DATA", "").strip()
    data = Path(os.path.expanduser(given)) if given else cache_root() / "data"
    yield _folder("data folder", data, "name another with SNNRUN_DATA or dataset.path")


def _folder(name: str, folder: Path, cure: str, needed: bool = False) -> Finding:
    """Return whether a folder can be written to; ``needed``: training stops without it."""
    problem = why_not(folder, make=False)
    if not problem:
        return Finding(name, f"{folder} ({_size(folder)})")
    text = f"{folder} cannot be written to ({problem}); {cure}"
    return Finding(name, text, missing=needed, wrong=not needed)


def _size(folder: Path) -> str:
    return size_in_words(size_of(folder)) if folder.is_dir() else "not made yet"


def _pygenn() -> str:
    from snnrun.backends.genn import pygenn

    version = pygenn.version_of_pygenn()
    if version is None:
        return f"not installed; needed for backend=genn only. {pygenn.INSTALL}"
    try:
        module = pygenn.import_pygenn()
    except BuildError as error:
        return str(error)
    devices = ", ".join(pygenn.devices_of(module)) or "none"
    return f"{version}; backend.device can be: {devices}"


def _wrong_genn() -> str:
    version = installed_version("genn")
    if version is None:
        return "not installed, which is right: that package of the public index is something else"
    return f"{version} is not GeNN but another package of that name: pip uninstall genn"


def _nvcc() -> str:
    path = shutil.which("nvcc")
    if path is None:
        return "not found; needed for CUDA with backend=genn only"
    try:
        done = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{path} does not run: {error}"
    release = re.search(r"release ([\d.]+)", done.stdout)
    return f"{path} ({release.group(1) if release else 'no version'})"


def _no_cuda_path() -> str:
    from snnrun.backends.genn.pygenn import find_toolkit

    toolkit = find_toolkit("cuda")
    return "not set" + (f"; with backend=genn: export CUDA_PATH={toolkit}" if toolkit else "")


def installed_version(name: str) -> str | None:
    """Return the version of an installed package, or None."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
