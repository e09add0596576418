"""All steps of a pass as one CUDA graph: launched at once, where GeNN launches each kernel.

A pass launches the same kernels with the same arguments every time: only numbers in the device's
memory differ. Steps that are run for the second time are captured (the first time CUDA may still
load kernels, which it cannot do in a capture), and launched as a graph from then on. That needs
code which launches into the default stream of its thread, PER_THREAD: CUDA does not capture the
older default stream. Copies and whatever else goes to that one still wait for the graph and are
waited for, as before.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from contextlib import suppress

from snnrun.errors import BuildError

PER_THREAD = "--default-stream=per-thread"  # nvcc's flag
STREAM = ctypes.c_void_p(2)  # CU_STREAM_PER_THREAD
RELAXED = 2  # CU_STREAM_CAPTURE_MODE_RELAXED: memory may be freed meanwhile

Steps = tuple[int, int]  # how many, from which on


class PassGraphs:
    """The graphs of a loaded model; ``launch`` runs ``steps`` steps of it from ``first`` on."""

    def __init__(self, launch: Callable[[int, int], None]) -> None:
        self._launch = launch
        self._driver = ctypes.CDLL("libcuda.so.1")
        self._seen: set[Steps] = set()
        self._graphs: dict[Steps, ctypes.c_void_p] = {}
        self.kernels: dict[Steps, int] = {}  # of each graph

    def run(self, steps: int, first: int) -> None:
        """Run steps.

        Raises:
            BuildError: CUDA cannot capture or launch them.
        """
        key = steps, first
        if key not in self._seen:
            self._seen.add(key)
            self._launch(steps, first)
            return
        if key not in self._graphs:
            self._graphs[key] = self._capture(key)
        self._call("cuGraphLaunch", self._graphs[key], STREAM)

    def close(self) -> None:
        """Free the graphs."""
        while self._graphs:
            _, graph = self._graphs.popitem()
            with suppress(BuildError):
                self._call("cuGraphExecDestroy", graph)
        self._seen.clear()

    def _capture(self, key: Steps) -> ctypes.c_void_p:
        graph, executable, count = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_size_t()
        self._call("cuStreamBeginCapture_v2", STREAM, ctypes.c_int(RELAXED))
        try:
            self._launch(*key)
        finally:  # or nothing could be launched any more
            error = self._driver.cuStreamEndCapture(STREAM, ctypes.byref(graph))
        _require(error, "cuStreamEndCapture")
        try:
            self._call("cuGraphGetNodes", graph, None, ctypes.byref(count))
            flags = ctypes.c_ulonglong(0)
            self._call("cuGraphInstantiateWithFlags", ctypes.byref(executable), graph, flags)
        finally:
            self._call("cuGraphDestroy", graph)
        self.kernels[key] = count.value
        return executable

    def _call(self, name: str, *arguments: object) -> None:
        try:
            function = getattr(self._driver, name)
        except AttributeError as error:
            raise BuildError(
                f"backend.cuda_graph=true: the driver has no {name}; CUDA 11.4 or later has. Use a "
                "newer driver, or backend.cuda_graph=false"
            ) from error
        _require(function(*arguments), name)


def _require(error: int, name: str) -> None:
    if error:
        raise BuildError(
            f"backend.cuda_graph=true: CUDA could not make the steps of a pass one launch ({name} "
            f"failed with error {error}); use backend.cuda_graph=false"
        )
