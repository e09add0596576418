"""Which NVIDIA GPUs this process may use, asked of the driver.

GeNN ends the process where there is none, so that one has to know before it is asked.
"""

from __future__ import annotations

import ctypes

MAJOR, MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_*


def cuda_devices() -> list[tuple[int, int]]:
    """Return the compute capability of each GPU that CUDA_VISIBLE_DEVICES leaves visible."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
        if driver.cuInit(0) != 0:
            return []
        count = ctypes.c_int()
        driver.cuDeviceGetCount(ctypes.byref(count))
        return [_capability(driver, number) for number in range(count.value)]
    except (OSError, AttributeError):  # no driver, or a stand-in for one
        return []


def _capability(driver: ctypes.CDLL, number: int) -> tuple[int, int]:
    device, value = ctypes.c_int(), ctypes.c_int()
    driver.cuDeviceGet(ctypes.byref(device), number)
    found = []
    for attribute in (MAJOR, MINOR):
        driver.cuDeviceGetAttribute(ctypes.byref(value), attribute, device)
        found.append(value.value)
    return found[0], found[1]
