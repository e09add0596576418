"""What a GPU is given, made and looked at without one: compilers and their flags, units, memory."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from runs import small
from test_genn_description import SETTINGS
from test_golden import PROGRAMS, program

from snnrun.backends import genn
from snnrun.backends.genn.build import Target
from snnrun.backends.genn.compilers import compiler_for
from snnrun.backends.genn.describe import describe
from snnrun.backends.genn.description import Description
from snnrun.backends.genn.device import Device
from snnrun.backends.genn.memory import EVENTS, GRADIENTS, NEURONS, SPIKES, memory_of
from snnrun.backends.genn.settings import CPU, at_once
from snnrun.cli import main
from snnrun.datasets import load
from snnrun.errors import BuildError, ConfigError
from snnrun.run import build_program

GIGABYTE = 10**9


class BuildSeenError(Exception):
    """What GeNN would be asked to build."""


def script(file: Path, *lines: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(("#!/bin/sh", *lines)) + "\n")
    file.chmod(0o755)


@pytest.fixture
def gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Let there be a GPU of 80 GB, and the compilers for it in the folder that is returned."""
    toolkit = tmp_path / "toolkit"
    script(
        toolkit / "bin" / "nvcc",
        "echo 'nvcc: NVIDIA (R) Cuda compiler driver'",
        "echo 'Cuda compilation tools, release 13.0, V13.0.88'",
        "echo Build",
    )
    script(toolkit / "bin" / "hipcc", "echo 'HIP version: 6.2.0'")
    for name in ("CUDA_PATH", "HIP_PATH"):
        monkeypatch.setenv(name, str(toolkit))
    for name in ("NVCC_APPEND_FLAGS", "HIPCC_COMPILE_FLAGS_APPEND", "HIP_PLATFORM", "CXX"):
        monkeypatch.delenv(name, raising=False)
    select = SimpleNamespace(MANUAL="MANUAL", OPTIMAL="OPTIMAL")
    pygenn = SimpleNamespace(cuda_backend=SimpleNamespace(DeviceSelect=select))

    def build(pygenn: Any, description: Description, target: Target, *_: Any, **__: Any) -> None:
        raise BuildSeenError(description, target)

    monkeypatch.setattr(genn, "import_pygenn", lambda: pygenn)
    monkeypatch.setattr(genn, "choose_device", lambda pygenn, wanted: wanted or "cuda")
    monkeypatch.setattr(genn, "cuda_devices", lambda: [(9, 0)])
    monkeypatch.setattr(genn, "free_memory", lambda number: 80 * GIGABYTE)
    monkeypatch.setattr(genn, "version_of_pygenn", lambda: "5.4")
    monkeypatch.setattr(genn, "build_model", build)
    return toolkit


def built(backend: dict[str, Any] | None = None, **keys: Any) -> tuple[Description, Target]:
    """Return what GeNN would be asked to build."""
    config = small(backend={"name": "genn", **(backend or {})}, **keys)
    splits = load(config)
    with pytest.raises(BuildSeenError) as seen:
        genn.open_genn(build_program(config, splits), config, Path(), [splits.train.data])
    return seen.value.args


def test_nvcc_compiles_for_cuda_and_is_named(gpu: Path) -> None:
    _, target = built()
    assert target.compiler.version == "nvcc: Cuda compilation tools, release 13.0, V13.0.88"
    assert target.command == f"{gpu}/bin/nvcc"
    assert target.environment == {"NVCC_APPEND_FLAGS": ""}
    _, target = built({"device": "hip"})
    assert target.compiler.version == "hipcc: HIP version: 6.2.0"


def test_the_flags_of_the_user_are_kept_and_come_before_those_of_the_configuration(
    gpu: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NVCC_APPEND_FLAGS", "-allow-unsupported-compiler")
    _, target = built({"optimize_code": False, "flags": ["-maxrregcount=64"]})
    wanted = "-allow-unsupported-compiler --fmad=false -maxrregcount=64"
    assert target.environment == {"NVCC_APPEND_FLAGS": wanted}
    assert target.command == f"{gpu}/bin/nvcc {wanted}"
    monkeypatch.setenv("HIPCC_COMPILE_FLAGS_APPEND", "-v")
    _, target = built({"device": "hip", "optimize_code": False, "flags": ["-g"]})
    assert target.environment == {"HIPCC_COMPILE_FLAGS_APPEND": "-v -ffp-contract=off -g"}
    monkeypatch.setenv("HIP_PLATFORM", "nvidia")
    assert target.environment == {
        "NVCC_APPEND_FLAGS": "-allow-unsupported-compiler --fmad=false -g"
    }


def test_a_compiler_of_the_configuration_is_nvccs_for_the_host(gpu: Path) -> None:
    _, target = built({"compiler": "g++"})
    assert target.environment["NVCC_APPEND_FLAGS"].startswith("-ccbin /")
    assert target.environment["NVCC_APPEND_FLAGS"].endswith("/g++")
    with pytest.raises(BuildError, match=r"backend.compiler=no_such: this is no C"):
        built({"compiler": "no_such"})
    with pytest.raises(ConfigError, match=r"backend.compiler=g\+\+ -m64: nvcc, .* one program"):
        built({"compiler": "g++ -m64"})
    with pytest.raises(ConfigError, match=r"hipcc compiles for backend.device=hip, and takes no"):
        built({"compiler": "g++", "device": "hip"})


@pytest.mark.parametrize("flag", ["-Xcompiler -g", '-DX="a"', "a\\b"])
def test_a_flag_that_nvcc_cannot_be_given_is_refused(gpu: Path, flag: str) -> None:
    with pytest.raises(ConfigError, match=r"backend.flags: .* \$NVCC_APPEND_FLAGS.*-Xcompiler,-g"):
        built({"flags": [flag]})


@pytest.mark.parametrize("name", ["NVCC_APPEND_FLAGS", "NVCC_PREPEND_FLAGS", "NVCC_CCBIN"])
def test_what_nvcc_reads_from_the_environment_is_part_of_the_builds_key(
    gpu: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    description, target = built()
    key = target.key(description)
    assert key == target.key(description)
    monkeypatch.setenv(name, "-G")
    assert target.key(description) != key


def test_a_toolkit_that_says_no_version_is_named_all_the_same(gpu: Path) -> None:
    script(gpu / "bin" / "nvcc", "exit 1")
    assert compiler_for("cuda", None).version == "nvcc"


def test_a_gpu_is_chosen_by_its_number_or_by_genn(gpu: Path) -> None:
    for device, chosen in (("cuda", {"device_select_method": "MANUAL"}), ("hip", {})):
        _, target = built({"device": device}, CUDA_VISIBLE_DEVICES=True)
        assert target.preferences == {**chosen, "manual_device_id": 0}
    _, target = built({"device": "hip"}, CUDA_VISIBLE_DEVICES=False)
    assert target.preferences == {}


def groups_of(description: Description) -> dict[str, SimpleNamespace]:
    """Return what stands for the groups of a loaded model, which are given their numbers."""
    given: dict[str, float] = {}
    return {
        part.name: SimpleNamespace(set_dynamic_param_value=lambda *number: given.update([number]))
        for part in description.parts
    }


def test_kernels_are_timed_where_that_costs_nothing(gpu: Path) -> None:
    """On a GPU each step would wait for its kernels: there, passes are timed."""
    for timing in (True, False):
        assert not built(TIMING=timing)[1].times_kernels
    assert Target(device=CPU, compiler=compiler_for(CPU, None), timing=True).times_kernels
    description = built()[0]
    model = SimpleNamespace(load=lambda: None)
    device = Device(model, groups_of(description), description, apart=True)
    assert device.times() == {}
    with device.timed("forward"):
        subprocess.run(["sleep", "0.05"], check=True)
    with device.timed("forward"):
        subprocess.run(["sleep", "0.05"], check=True)
    assert list(device.times()) == ["forward"]
    assert device.times()["forward"] >= 0.1


@pytest.mark.parametrize(
    ("batch", "unit"), [(1, 1), (1023, 1023), (1024, 512), (2046, 1023), (2500, 834)]
)
def test_a_mini_batch_that_genn_cannot_run_at_once_is_cut_into_even_units(
    gpu: Path, batch: int, unit: int
) -> None:
    assert at_once("cuda", batch) == unit
    assert at_once(CPU, batch) == 1
    assert built(N_BATCH=batch, N_TRAIN=3000, NUM_HIDDEN=5)[0].batch == unit


def test_a_pipeline_that_needs_a_whole_mini_batch_at_once_is_refused_where_it_is_cut(
    gpu: Path,
) -> None:
    keys = {"PIPELINE": True, "AVG_SNSUM": True, "REG_TYPE": "simple", "NUM_HIDDEN": 5}
    assert built(N_BATCH=1000, N_TRAIN=1000, **keys)[0].batch == 1000
    with pytest.raises(ConfigError, match="CUDA runs 600 of N_BATCH=1200; use PIPELINE=false"):
        built(N_BATCH=1200, N_TRAIN=1200, **keys)


@pytest.mark.parametrize("name", PROGRAMS)
def test_no_neuron_divides_to_know_its_step(name: str) -> None:
    description = describe(program(PROGRAMS[name]), SETTINGS[name])
    codes = [n.sim_code for n in description.neurons]
    codes += [s.event_condition for s in description.synapses]
    assert any("(int)t" in code for code in codes)
    assert not [code for code in codes if "rint" in code or "/ dt" in code]


@pytest.mark.parametrize("name", PROGRAMS)
def test_gradients_of_each_example_have_no_memory_on_the_host(name: str) -> None:
    hidden = {
        (s.name, v.name)
        for s in describe(program(PROGRAMS[name]), SETTINGS[name]).synapses
        for v in s.variables
        if v.hidden
    }
    trained = {
        s.name
        for s in describe(program(PROGRAMS[name]), SETTINGS[name]).synapses
        if not s.name.endswith("_falling")
    }
    assert hidden == {(projection, "gradient") for projection in trained}


def test_memory_is_counted_array_by_array(gpu: Path) -> None:
    keys = {"NUM_HIDDEN": 30, "N_BATCH": 20, "N_MAX_SPIKE": 40}
    description, _ = built(**keys)
    parts = memory_of(description)
    assert parts[GRADIENTS] == 4 * 20 * (5 * 30 + 30 * 3)
    # the step, and a state at it; whether it was the last one
    assert parts[SPIKES] == (2 + 4) * 20 * (30 + 3) * 40 + 20 * (30 + 3)
    assert memory_of(description, {("input", "event_step"): 1000})[EVENTS] == 2000 + 4 * 6
    double, _ = built({"precision": "float64"}, **keys)
    assert memory_of(double)[GRADIENTS] == 2 * parts[GRADIENTS]
    assert parts[NEURONS] < 10**6  # what can grow much has a name of its own


def test_too_little_memory_is_refused_before_the_build_with_the_keys_to_change(
    gpu: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(genn, "free_memory", lambda number: GIGABYTE // 2)
    built()
    with pytest.raises(ConfigError, match=r"needs 1\.0\d GB, and 500 MB are free") as said:
        built(NUM_HIDDEN=2000, N_BATCH=500, N_TRAIN=500, N_MAX_SPIKE=300)
    for words in ("N_BATCH, N_MAX_SPIKE, NUM_HIDDEN", "backend.precision=float32", "MB the spikes"):
        assert words in str(said.value)


def test_too_little_memory_ends_the_command_with_one_message(
    gpu: Path, monkeypatch: pytest.MonkeyPatch, places: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(genn, "free_memory", lambda number: 10**7)
    assert main(["train", "backend=genn", "N_TRAIN=300", "N_VALIDATE=50", "N_TEST=50"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("snnrun: error: not enough memory on the GPU: this network needs ")
    assert said.count("\n") == 1


def test_tables_that_grow_beyond_the_memory_are_refused_before_they_are_loaded(gpu: Path) -> None:
    loads, unloads = [], []
    model = SimpleNamespace(load=lambda: loads.append(1), unload=lambda: unloads.append(1))
    table = SimpleNamespace(set_init_values=lambda values: None)
    description = built()[0]
    groups = groups_of(description)
    groups["input"].extra_global_params = {"event_step": table}
    device = Device(model, groups, description, apart=True, free=lambda: GIGABYTE)
    device.resize("input", {"event_step": np.zeros(10**6, np.uint16)})
    with pytest.raises(ConfigError, match=r"1\.00 GB are free.* the events of the data"):
        device.resize("input", {"event_step": np.zeros(10**9, np.uint16)})
    device.close()
    assert len(loads) == len(unloads) == 2  # GeNN fails where it unloads what is not loaded


DRIVER = r"""
#include <stddef.h>
static int held = 0;
int cuInit(unsigned f) { return 0; }
int cuDeviceGetCount(int *n) { *n = 2; return 0; }
int cuDeviceGet(int *d, int n) { *d = n; return 0; }
int cuDeviceGetAttribute(int *v, int a, int d) { *v = a == 75 ? 9 : 0; return 0; }
int cuDevicePrimaryCtxRetain(void **c, int d) { held++; *c = (void*)(long)(d + 1); return 0; }
int cuDevicePrimaryCtxRelease_v2(int d) { held--; return 0; }
static void *now;
int cuCtxPushCurrent_v2(void *c) { now = c; return 0; }
int cuCtxPopCurrent_v2(void **c) { *c = now; now = 0; return 0; }
int cuMemGetInfo_v2(size_t *f, size_t *t) { *f = 5000000000ul * (size_t)now; *t = 9; return !now; }
int contexts(void) { return held + (now != 0); }
"""


def test_the_driver_is_asked_for_the_free_memory_of_the_gpu_that_runs(tmp_path: Path) -> None:
    (tmp_path / "driver.c").write_text(DRIVER)
    library = tmp_path / "libcuda.so.1"
    subprocess.run(
        ["cc", "-shared", "-fPIC", "-o", str(library), str(tmp_path / "driver.c")], check=True
    )
    code = (
        "import ctypes; from snnrun.backends.genn.driver import free_memory as f;"
        "print(f(0), f(1), f(None), f(7), ctypes.CDLL('libcuda.so.1').contexts())"
    )
    for folder, wanted in (
        (tmp_path, "5000000000 10000000000 10000000000 None 0"),
        (tmp_path / "nowhere", "None None None None"),
    ):
        done = subprocess.run(
            [
                sys.executable,
                "-c",
                code
                if folder == tmp_path
                else code.replace(", ctypes.CDLL('libcuda.so.1').contexts()", ""),
            ],
            env={**os.environ, "LD_LIBRARY_PATH": str(folder)},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.split() == wanted.split()
