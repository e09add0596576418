"""Which NVIDIA GPUs this process may use, and their free memory, asked of the driver.

GeNN ends the process where there is none, or too little, so that one has to know before it is
asked.
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


def free_memory(number: int | None) -> int | None:
    """Return the free bytes of GPU ``number`` of those that are visible; None: the most of any.

    None is also returned where the driver does not tell.
    """
    count = len(cuda_devices())
    numbers = range(count) if number is None else [number]
    found = [_free(at) for at in numbers if at < count]
    known = [free for free in found if free is not None]
    return max(known, default=None)


def _free(number: int) -> int | None:
    """Ask in the context that GeNN's kernels will have, whose own memory is then counted."""
    free, total, context = ctypes.c_size_t(), ctypes.c_size_t(), ctypes.c_void_p()
    device = ctypes.c_int()
    try:
        driver = ctypes.CDLL("libcuda.so.1")
        driver.cuDeviceGet(ctypes.byref(device), number)
        if driver.cuDevicePrimaryCtxRetain(ctypes.byref(context), device) != 0:
            return None
        try:
            driver.cuCtxPushCurrent_v2(context)
            failed = driver.cuMemGetInfo_v2(ctypes.byref(free), ctypes.byref(total))
            driver.cuCtxPopCurrent_v2(ctypes.byref(context))
        finally:
            driver.cuDevicePrimaryCtxRelease_v2(device)
    except (OSError, AttributeError):
        return None
    return None if failed else free.value
