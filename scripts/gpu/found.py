"""What of PyGeNN, of CUDA and of a GPU there is."""

from __future__ import annotations

import ctypes
import os
import platform
from pathlib import Path
from typing import Any

from gpu.choice import Choice

from snnrun.backends.genn.compilers import compiler_for
from snnrun.backends.genn.driver import cuda_devices, free_memory
from snnrun.backends.genn.pygenn import (
    choose_device,
    devices_of,
    import_pygenn,
    require_toolkit,
    version_of_pygenn,
)
from snnrun.version import __version__


def check(choice: Choice, folder: Path, place: Path) -> dict[str, Any]:
    """Return versions and devices; raise where the chosen device cannot be used."""
    pygenn = import_pygenn()
    device = choose_device(pygenn, choice.device)
    require_toolkit(device)
    free = free_memory(0) if device == "cuda" else None
    return {
        "snnrun": __version__,
        "Python": platform.python_version(),
        "PyGeNN": f"{version_of_pygenn()} with {', '.join(devices_of(pygenn))}",
        "device": device,
        "GPUs": [{"name": name, "capability": c} for name, c in _gpus()],
        "driver's CUDA": _driver(),
        "compiler": compiler_for(device, None).version,
        "free memory (MB)": None if free is None else round(free / 1e6),
        "cores": os.cpu_count(),
    }


def _gpus() -> list[tuple[str, str]]:
    found = []
    for number, (major, minor) in enumerate(cuda_devices()):
        name = ctypes.create_string_buffer(100)
        device = ctypes.c_int()
        driver = ctypes.CDLL("libcuda.so.1")
        driver.cuDeviceGet(ctypes.byref(device), number)
        try:
            driver.cuDeviceGetName(name, len(name), device)
        except AttributeError:  # a stand-in for a driver
            name.value = b"unknown"
        found.append((name.value.decode(), f"{major}.{minor}"))
    return found


def _driver() -> str | None:
    """Return the version of CUDA that the driver runs."""
    if not cuda_devices():
        return None
    version = ctypes.c_int()
    try:
        ctypes.CDLL("libcuda.so.1").cuDriverGetVersion(ctypes.byref(version))
    except AttributeError:  # a stand-in for a driver
        return None
    return f"{version.value // 1000}.{version.value % 1000 // 10}"


def hold_context() -> ctypes.CDLL:
    """Make the first GPU's context that of this thread, as long as the process lasts."""
    cuda_devices()  # initialises the driver
    driver, device, context = ctypes.CDLL("libcuda.so.1"), ctypes.c_int(), ctypes.c_void_p()
    driver.cuDeviceGet(ctypes.byref(device), 0)
    driver.cuDevicePrimaryCtxRetain(ctypes.byref(context), device)
    driver.cuCtxSetCurrent(context)
    return driver
