"""Finding PyGeNN and what it can do, with messages that say how to mend what is missing."""

from __future__ import annotations

import importlib
import os
import shutil
from importlib import metadata
from pathlib import Path
from typing import Any

from snnrun.backends.genn.driver import cuda_devices
from snnrun.errors import BuildError
from snnrun.shell import quoted

VERSIONS = ((5, 4), (6, 0))  # from, up to but not including
DEVICES = ("cuda", "hip", "single_threaded_cpu")  # in the order in which they are preferred
TOOLKITS = {  # the variable that names its folder, its compiler, and a header of it
    "cuda": ("CUDA_PATH", "nvcc", "cuda_runtime.h"),
    "hip": ("HIP_PATH", "hipcc", "hip/hip_runtime.h"),
}
GUIDE = "https://genn-team.github.io/installation.html"
INSTALL = (
    "It is optional, has no wheel and is built from source: install libffi (Debian: libffi-dev and "
    f"pkg-config), set CUDA_PATH if there is a GPU, and follow {GUIDE}. The package called genn in "
    "the public index is something else"
)


def version_of_pygenn() -> str | None:
    """Return the installed version, or None."""
    try:
        return metadata.version("pygenn")
    except metadata.PackageNotFoundError:
        return None


def import_pygenn() -> Any:
    """Return the module.

    Raises:
        BuildError: It is missing, of another version, or cannot be imported.
    """
    version = version_of_pygenn()
    if version is None:
        raise BuildError(
            f"backend=genn needs PyGeNN, which is not installed. {INSTALL}. backend=native needs "
            "nothing but a C++ compiler"
        )
    low, high = VERSIONS
    if not low <= _numbers(version) < high:
        raise BuildError(
            f"PyGeNN {version} is installed; backend=genn needs {low[0]}.{low[1]} or a later "
            f"{low[0]}.x. {INSTALL}"
        )
    try:
        return importlib.import_module("pygenn")
    except Exception as error:  # whatever its compiled parts complain about
        raise BuildError(
            f"PyGeNN {version} is installed but cannot be imported: {error}. Build it anew: {GUIDE}"
        ) from error


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdigit())


def devices_of(pygenn: Any) -> tuple[str, ...]:
    """Return the backends that this PyGeNN can use, the preferred one first."""
    modules = importlib.import_module(f"{pygenn.__name__}.genn_model").backend_modules
    return tuple(name for name in DEVICES if name in modules)


def choose_device(pygenn: Any, wanted: str | None) -> str:
    """Return the backend of GeNN to use: ``wanted``, or the first that there is and can run.

    Raises:
        BuildError: This PyGeNN does not have it, with what it has and why that may be; or there is
            no GPU for it.
    """
    found = devices_of(pygenn)
    usable = [device for device in found if device != "cuda" or cuda_devices()]
    if wanted is None and usable:
        return usable[0]
    if wanted in usable:
        return str(wanted)
    if wanted in found:
        raise BuildError(
            f"backend.device={wanted}: the driver shows no GPU to this process. Is there one, and "
            "does the environment's CUDA_VISIBLE_DEVICES leave it visible? "
            "backend.device=single_threaded_cpu needs none"
        )
    has = ", ".join(found) or "none at all"
    raise BuildError(
        f"backend.device={wanted}: this PyGeNN does not have it; it has: {has}. {_why(wanted)}"
    )


def _why(device: str | None) -> str:
    if device == "cuda":
        return (
            "Either it was built without CUDA (set CUDA_PATH and install it again), or the NVIDIA "
            "driver is missing here (then libcuda.so.1 is not found and GeNN leaves CUDA out)"
        )
    if device == "hip":
        return "Either it was built without HIP (set HIP_PATH), or the AMD driver is missing here"
    return f"Install it again: {GUIDE}"


def require_toolkit(device: str) -> None:
    """Raise BuildError where what GeNN builds with, beside a C++ compiler, cannot be found."""
    if device in TOOLKITS:
        _require_compiler(device)
    if shutil.which("make") is None:
        raise BuildError(
            "GeNN builds with make, which is not installed (Debian and Ubuntu: apt install make)"
        )


def find_toolkit(device: str) -> Path | None:
    """Return the folder of the toolkit for a GPU, as its variable should name it, or None."""
    _, program, header = TOOLKITS[device]
    there = shutil.which(program)
    folders = [Path(there).resolve().parents[1]] if there else []
    for top in ("/usr/local", "/opt"):
        folders += sorted(Path(top).glob("cuda*" if device == "cuda" else "rocm*"))
    needed = (Path("bin") / program, Path("include") / header)
    return next((f for f in folders if all((f / name).exists() for name in needed)), None)


def _require_compiler(device: str) -> None:
    variable, program, _ = TOOLKITS[device]
    folder = os.environ.get(variable)
    if folder and (Path(folder) / "bin" / program).exists():
        return
    there = find_toolkit(device)
    cure = f"export {variable}={quoted(str(there))}" if there else "Install it"
    got = f"{variable}={folder}, where there is no bin/{program}" if folder else "it is not set"
    raise BuildError(
        f"backend.device={device} compiles with {program}, which GeNN looks for in ${variable}: "
        f"{got}. {cure}"
    )
