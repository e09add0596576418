"""The C interface of a built program: its structs, and what is handed over in them.

runtime/interface.hpp and the headers that use it have the other side; both are compared when a
program is loaded.
"""

from __future__ import annotations

import ctypes as c
from pathlib import Path

import numpy as np

from snnrun.backends.base import require_fitting
from snnrun.compile.program import Program
from snnrun.datasets.spikes import SpikeData
from snnrun.errors import BuildError


class Data(c.Structure):
    """The examples of a data set as the runtime sees them."""

    _fields_ = (
        ("steps", c.c_int32),
        ("channels", c.c_int32),
        ("offsets", c.c_void_p),
        ("step_pointers", c.c_void_p),
        ("channel_by_step", c.c_void_p),
        ("channel_pointers", c.c_void_p),
        ("step_by_channel", c.c_void_p),
        ("labels", c.c_void_p),
        ("target_offsets", c.c_void_p),
        ("target_step", c.c_void_p),
        ("target_neuron", c.c_void_p),
        ("courses", c.c_void_p),
        ("course_rows", c.c_void_p),
    )


class Job(c.Structure):
    """What one call does."""

    _fields_ = (
        ("data", c.POINTER(Data)),
        ("examples", c.c_void_p),
        ("count", c.c_int64),
        ("batch", c.c_int32),
        ("train", c.c_int32),
        ("rates", c.c_void_p),
        ("updates", c.c_int64),
        ("rank", c.c_int64),
        ("ranks", c.c_int64),
        ("exchange", c.c_void_p),
        ("dropout", c.c_double),
        ("key", c.c_uint64),
        ("in_network", c.c_int64),
        ("delay_width", c.c_double),
        ("loss", c.c_void_p),
        ("prediction", c.c_void_p),
        ("layer_spikes", c.c_void_p),
        ("neuron_spikes", c.c_void_p),
        ("activations", c.c_void_p),
        ("late_steps", c.c_int64),
        ("counts_inputs", c.c_int64),
        ("failed_batch", c.c_int64),
        ("failed_tensor", c.c_int32),
    )


class Connected(c.Structure):
    """A projection: its synapses, or none where all neurons are connected, and its bounds."""

    _fields_ = (
        ("count", c.c_int64),
        ("pre", c.c_void_p),
        ("post", c.c_void_p),
        ("place", c.c_void_p),
        ("weights", c.c_int64),
        ("shared", c.c_int64),
        ("low", c.c_double),
        ("high", c.c_double),
        ("most_delay", c.c_double),
        ("dropout", c.c_double),
    )


def described(struct: type[c.Structure]) -> str:
    """Return name, size and fields of a struct, as its other side in C++ describes itself."""
    names = [field[0] for field in struct._fields_]
    return " ".join([struct.__name__, str(c.sizeof(struct)), *names])


def pointer(array: np.ndarray, dtype: type) -> int:
    """Return the address of a contiguous array of ``dtype``."""
    if array.dtype != dtype or not array.flags.c_contiguous:
        raise TypeError(f"a contiguous {np.dtype(dtype)} array is needed, not {array.dtype}")
    return array.ctypes.data


def connections(program: Program) -> c.Array:
    """Return synapses and bounds of every projection, layer by layer."""
    found = []
    network = program.network
    for projection in (p for layer in network.layers for p in network.into(layer)):
        low, high = projection.bounds
        one = Connected(low=low, high=high, dropout=projection.dropout)
        if projection.delays is not None:
            one.most_delay = projection.delays.most
        if (given := projection.synapses) is not None:
            one.count, one.weights, one.shared = len(given.pre), given.count, given.shared
            one.pre, one.post = pointer(given.pre, np.int32), pointer(given.post, np.int32)
            one.place = pointer(given.place, np.int64)
        found.append(one)
    return (Connected * len(found))(*found)


def load_library(library: Path) -> c.CDLL:
    """Return a built program, loaded."""
    try:
        loaded = c.CDLL(str(library))
    except OSError as error:
        if "undefined symbol" in str(error):
            raise BuildError(
                f"{library} cannot be loaded: {error}. The compiler has not linked the library of "
                "C++, as a C compiler does not: name a C++ compiler with backend.compiler or CXX "
                "(g++ for gcc, clang++ for clang)"
            ) from error
        raise BuildError(
            f"{library} cannot be loaded: {error}. Delete its folder to build it anew; if the "
            "disk does not allow programs to run (noexec), name another folder with "
            "backend.cache_dir=FOLDER"
        ) from error
    loaded.snn_spikes.restype = c.c_int64
    for name in ("numbers", "interface", "create", "run", "gradient", "trial"):
        if hasattr(loaded, f"snn_{name}"):  # of a rule that learns online there are fewer
            getattr(loaded, f"snn_{name}").restype = c.c_char_p
    return loaded


def view_of(data: SpikeData, program: Program) -> Data:
    """Return the data as the runtime sees them; ConfigError where the program is for others."""
    require_fitting(data, program)
    targets, courses = data.targets, data.courses
    return Data(
        steps=data.n_steps,
        channels=data.n_channels,
        offsets=pointer(data.offsets, np.int64),
        step_pointers=pointer(data.step_pointers, np.uint32),
        channel_by_step=pointer(data.channel_by_step, np.uint16),
        channel_pointers=pointer(data.channel_pointers, np.uint32),
        step_by_channel=pointer(data.step_by_channel, np.uint16),
        labels=pointer(data.labels, np.int32),
        target_offsets=targets and pointer(targets.offsets, np.int64),
        target_step=targets and pointer(targets.steps, np.uint16),
        target_neuron=targets and pointer(targets.neurons, np.uint16),
        courses=courses and pointer(courses.values, np.float32),
        course_rows=courses and pointer(courses.rows, np.int64),
    )
