"""What GeNN's code is compiled with, and how that is given flags.

CPU     the C++ compiler, from $CXX of GeNN's Makefile
CUDA    nvcc, which takes further flags from $NVCC_APPEND_FLAGS
HIP     hipcc, from $HIPCC_COMPILE_FLAGS_APPEND; for NVIDIA's GPUs it calls nvcc
"""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from snnrun.backends.genn.cuda_graph import PER_THREAD
from snnrun.backends.genn.pygenn import TOOLKITS
from snnrun.backends.genn.settings import CPU
from snnrun.backends.native.compiler import Compiler, find_compiler
from snnrun.errors import ConfigError

NVCC, HIPCC = "NVCC_APPEND_FLAGS", "HIPCC_COMPILE_FLAGS_APPEND"
# Beside GeNN's -O3 -ffast-math, since its loops over synapses do not vectorise (an index of 32 bits
# may wrap around); without optimisation GeNN gives no level at all.
CPU_FAST, CPU_EXACT = "-funroll-loops", "-O2"
EXACT = {NVCC: "--fmad=false", HIPCC: "-ffp-contract=off"}  # their defaults fuse two roundings
# What the compilers of GPUs read besides
READ = ("HIP_PLATFORM", "NVCC_PREPEND_FLAGS", "NVCC_CCBIN", "HIPCC_LINK_FLAGS_APPEND")


def compiler_for(device: str, wanted: str | None) -> Compiler:
    """Return the compiler of GeNN's code; ``wanted`` is the value of backend.compiler.

    Raises:
        BuildError: ``wanted`` does not run, or there is no C++ compiler.
        ConfigError: ``wanted`` cannot be used for this device.
    """
    host = find_compiler(wanted)
    if device == CPU:
        return host
    _, program, _ = TOOLKITS[device]
    if wanted is None:
        return _of_toolkit(device)
    if _variable(device) != NVCC:
        raise ConfigError(
            f"backend.compiler={wanted}: {program} compiles for backend.device={device}, and takes "
            "no other C++ compiler; leave backend.compiler out"
        )
    if len(host.command) > 1:
        raise ConfigError(
            f"backend.compiler={wanted}: nvcc, which compiles for backend.device={device}, takes a "
            "C++ compiler that is one program without arguments, such as g++ or /usr/bin/g++-13"
        )
    return _of_toolkit(device, host=host.command[0])


def _of_toolkit(device: str, host: str = "") -> Compiler:
    """Return nvcc or hipcc, with the C++ compiler that it is told to use."""
    variable, program, _ = TOOLKITS[device]
    path = str(Path(os.environ.get(variable, "")) / "bin" / program)
    command = (path, "-ccbin", host) if host else (path,)
    return Compiler(command=command, version=_version(path, program), kind=program)


def _version(path: str, program: str) -> str:
    try:
        done = subprocess.run(
            [path, "--version"], capture_output=True, text=True, timeout=60, check=False
        )
        lines = [line for line in done.stdout.splitlines() if "version" in line or "rele" in line]
    except (OSError, subprocess.TimeoutExpired):
        lines = []
    return f"{program}: {lines[-1].strip()}" if lines else program


def _variable(device: str) -> str:
    """Return the environment variable from which the compiler of a GPU's code takes flags."""
    nvidia = device == "cuda" or os.environ.get("HIP_PLATFORM") == "nvidia"
    return NVCC if nvidia else HIPCC


def flags_for(
    device: str, compiler: Compiler, flags: Sequence[str], *, optimize: bool, graphs: bool = False
) -> dict[str, str]:
    """Return the environment variables that give a build its flags, those of the user in front.

    ``graphs``: the steps of a pass are to be captured as a CUDA graph.

    Raises:
        ConfigError: One of ``flags`` (backend.flags) cannot be given to the compiler.
    """
    if device == CPU:
        level = CPU_FAST if optimize else CPU_EXACT
        return {"CXX": shlex.join([*compiler.command, level, *flags])}
    variable = _variable(device)
    for flag in flags:
        if set(flag) & set(" \t\n'\"\\"):
            raise ConfigError(
                f"backend.flags: {flag!r} holds blanks, quotes or backslashes, which ${variable}, "
                f"from which {compiler.kind} takes it, cannot hold; give each flag by itself, "
                "such as [-Xcompiler,-g]"
            )
    given = [os.environ.get(variable, ""), *compiler.command[1:]]
    given += [] if optimize else [EXACT[variable]]
    given += [PER_THREAD] if graphs else []
    return {variable: " ".join(word for word in (*given, *flags) if word)}


def key_of(variables: Mapping[str, str]) -> str:
    """Return everything in the environment that the compilers read, for the key of a build."""
    read = {name: os.environ[name] for name in READ if name in os.environ}
    return repr(sorted({**read, **variables}.items()))
