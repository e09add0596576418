"""What a user is told where a buffer or the memory of the GPU is full."""

from __future__ import annotations

import ctypes
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from gpu.choice import Choice
from gpu.found import hold_context
from gpu.outcome import TOP, SkippedError, require, snnrun

from snnrun import load_run
from snnrun.backends.genn.driver import free_memory

SMALL = (
    "preset=none",
    "dataset=yinyang",
    "N_TRAIN=40",
    "N_VALIDATE=10",
    "N_TEST=10",
    "N_BATCH=20",
    "N_EPOCH=1",
    "NUM_HIDDEN=20",
    "DT_MS=0.2",
    "MODEL_SEED=1",
    "INPUT_HIDDEN_MEAN=3",  # so that neurons spike more than once
)
LEFT = 2**30  # bytes of the GPU that are left free where its memory is taken: CUDA needs half of it


def full_buffers(choice: Choice, folder: Path, place: Path) -> dict[str, Any]:
    """A buffer that is too small ends the run with what it needs, or is counted where asked."""
    words = [*SMALL, *choice.words(), "N_MAX_SPIKE=1"]
    said = snnrun("train", *words, f"hydra.run.dir={place / 'stopped'}", code=2)
    _require_words(said, r"N_MAX_SPIKE=1,", r"backend\.on_full_buffer=report")
    words += ["backend.on_full_buffer=report", f"hydra.run.dir={place / 'reported'}"]
    snnrun("train", *words)
    dropped = load_run(place / "reported").epochs["dropped_spikes/hidden"][0]
    require(dropped > 0, "no spike was reported as learned without its gradient")
    return {"message": _message(said), "reported spikes": int(dropped)}


def too_large(choice: Choice, folder: Path, place: Path) -> dict[str, Any]:
    """A network of 256 GB is refused before anything is built, with what takes how much."""
    if choice.device != "cuda":
        raise SkippedError(f"memory is counted on CUDA, not on {choice.device}")
    if free_memory(0) is None:
        raise SkippedError("this driver does not tell its free memory")
    words = [*SMALL, *choice.words(), "NUM_HIDDEN=8000", "N_BATCH=1000", "network=recurrent"]
    said = snnrun("train", *words, f"hydra.run.dir={place / 'run'}", code=2)
    _require_words(said, r"not enough memory on the GPU", r"gradients of each example \(N_BATCH")
    return {"message": _message(said)}


def taken(choice: Choice, folder: Path, place: Path) -> dict[str, Any]:
    """A network that the GPU could hold is refused while another process has the memory."""
    if choice.device != "cuda":
        raise SkippedError(f"memory is counted on CUDA, not on {choice.device}")
    memory = _take_all_but(LEFT)
    try:
        if _free_to_others() > LEFT:
            raise SkippedError("this driver does not tell what other programs have taken")
        words = [*SMALL, *choice.words(), "NUM_HIDDEN=2000", "N_BATCH=100", "network=recurrent"]
        said = snnrun("train", *words, f"hydra.run.dir={place / 'run'}", code=2)
    finally:
        ctypes.CDLL("libcuda.so.1").cuMemFree_v2(memory)
    _require_words(said, r"not enough memory on the GPU", r"are free")
    return {"message": _message(said)}


def _free_to_others() -> int:
    """Return the bytes that the driver tells another process are free."""
    program = "from snnrun.backends.genn.driver import free_memory; print(free_memory(0) or 0)"
    told = subprocess.run([sys.executable, "-c", program], cwd=TOP, capture_output=True, check=True)
    return int(told.stdout)


def _take_all_but(left: int) -> ctypes.c_uint64:
    """Allocate the memory of the first GPU but for ``left`` bytes; return the address."""
    driver, address, free = hold_context(), ctypes.c_uint64(), free_memory(0)
    if free is None:
        raise SkippedError("this driver does not tell its free memory")
    error = driver.cuMemAlloc_v2(ctypes.byref(address), ctypes.c_size_t(free - left))
    require(error == 0, f"the driver did not give {free - left} bytes: error {error}")
    return address


def _require_words(said: str, *patterns: str) -> None:
    for pattern in patterns:
        require(
            re.search(pattern, said, re.DOTALL) is not None,
            f"{pattern!r} is not said: {said[-800:]}",
        )
    require("Traceback" not in said, f"a traceback: {said[-800:]}")


def _message(said: str) -> str:
    """Return the message of an error, in one line."""
    return " ".join(said[said.find("error:") :].split())
