"""What the system does not give: threads, processes, memory. Each ends in one message."""

from __future__ import annotations

import mmap
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from runs import SMALL, command, overrides, small, snnrun

from snnrun import errors, needs
from snnrun.backends.native import of_threads
from snnrun.backends.native.compiler import find_compiler
from snnrun.config import from_dict
from snnrun.datasets import load
from snnrun.errors import ConfigError, ResourceError
from snnrun.machine import Node, available_memory, forget_peak_memory, peak_memory, usable_cores
from snnrun.record import load_run
from snnrun.record.paths import RunPaths
from snnrun.run import network_of, train

# Stands between a program and the system, and gives it only so many threads, or no memory.
SCARCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
static int given;
int pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*f)(void *), void *x) {
    static int (*create)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    if (!create) create = dlsym(RTLD_NEXT, "pthread_create");
    if (__sync_fetch_and_add(&given, 1) >= atoi(getenv("THREADS_GIVEN"))) return EAGAIN;
    return create(t, a, f, x);
}
int no_memory;
void *aligned_alloc(size_t alignment, size_t size) {
    static void *(*allocate)(size_t, size_t);
    if (!allocate) allocate = dlsym(RTLD_NEXT, "aligned_alloc");
    return no_memory ? 0 : allocate(alignment, size);
}
"""


@pytest.fixture(scope="module")
def scarce(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scarce")
    (folder / "scarce.c").write_text(SCARCE)
    compiler = find_compiler(None)
    subprocess.run(
        [*compiler.command, "-xc", "scarce.c", "-shared", "-fPIC", "-ldl", "-o", "scarce.so"],
        cwd=folder,
        check=True,
    )
    return folder / "scarce.so"


@pytest.mark.skipif(sys.platform != "linux", reason="LD_PRELOAD")
@pytest.mark.parametrize(
    ("given", "keys", "said"),
    [
        (0, [], "the system gives no more threads or processes"),
        pytest.param(
            4,
            ["backend.threads=16"],
            "the system gives no more threads, and backend.threads=16",
            marks=pytest.mark.long,
        ),
        (1, ["backend.threads=1", "AUGMENTATION={random_shift: 2}"], "gives no more threads or"),
    ],
)
def test_too_few_threads_are_one_message(
    scarce: Path, tmp_path: Path, given: int, keys: list[str], said: str
) -> None:
    folder = tmp_path / "run"
    environment = {**os.environ, "LD_PRELOAD": str(scarce), "THREADS_GIVEN": str(given)}
    done = snnrun("train", *overrides(SMALL), *keys, f"hydra.run.dir={folder}", env=environment)
    assert done.returncode == 2, done.stdout + done.stderr
    assert re.fullmatch(rf"snnrun: error: .*{re.escape(said)}.*\n", done.stderr), done.stderr
    assert not RunPaths(folder).pid.exists()


MEMORY = """
import ctypes, sys
import numpy as np
from pathlib import Path
sys.path.insert(0, {tests!r})
from oracle import problem
from parity import native, program_of, data_of
from snnrun.backends.base import NO_NOISE
from snnrun.errors import ResourceError
given = problem(spread=0.0, examples=32, seed=3)
backend = native(program_of(given, 0.1, train=()), threads=3)
data = data_of(given, 0.1)
def learn():
    rates = np.array([1e-9])
    return backend.train(data, np.arange(32), 32, rates, 0, NO_NOISE)
scarce = ctypes.c_int.in_dll(ctypes.CDLL(None), "no_memory")
scarce.value = 1
try:
    learn()
except ResourceError as error:
    told = error
scarce.value = 0
print("told:", told)
try:
    learn()
except ResourceError as error:
    print("afterwards:", error)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="LD_PRELOAD")
def test_memory_that_ends_inside_a_thread_is_an_error_and_stays_one(scarce: Path) -> None:
    script = MEMORY.format(tests=str(Path(__file__).parent))
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "LD_PRELOAD": str(scarce), "THREADS_GIVEN": "1000"},
    )
    assert done.returncode == 0, done.stderr
    assert "told: not enough memory for 3 threads; set backend.threads to fewer" in done.stdout
    assert "afterwards: not enough memory" in done.stdout


def test_more_threads_than_cores_are_noticed(tmp_path: Path) -> None:
    many = usable_cores() + 1
    train(small(N_EPOCH=1, backend={"threads": many}), tmp_path / "run")
    log = RunPaths(tmp_path / "run").log.read_text()
    assert f"backend.threads={many}, but this process may use {many - 1} core" in log
    assert "threads beyond the cores" in load_run(tmp_path / "run").warnings["what"]
    assert of_threads(usable_cores()) == []
    with pytest.raises(ConfigError, match=r"backend\.threads=5000"):
        small(backend={"threads": 5000})


@pytest.mark.parametrize("error", [MemoryError("Unable to allocate 9 TiB"), BlockingIOError(11)])
def test_what_python_says_of_limits_is_told_in_words(error: Exception) -> None:
    said = r"memory: Unable to allocate 9 TiB|processes"
    with pytest.raises(ResourceError, match=said), errors.told():
        raise error
    with pytest.raises(RuntimeError, match="another"), errors.told():
        raise RuntimeError("another")


# memory


def test_a_network_that_needs_too_much_memory_is_refused_before_its_build(tmp_path: Path) -> None:
    words = [*overrides({**SMALL, "NUM_HIDDEN": 100000000}), f"hydra.run.dir={tmp_path}/run"]
    done = subprocess.run(
        command("train", *words), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert re.match(
        r"snnrun: error: NUM_HIDDEN=100000000, .*: the run would need about [\d.]+ [TG]B of "
        r"memory, and [\d.]+ [GMk]B are available here:\n  [\d.]+ [TG]B for ",
        done.stderr,
    ), done.stderr
    assert "building" not in done.stdout


@pytest.mark.parametrize(
    ("keys", "named"),
    [
        ({"NUM_HIDDEN": 3000000, "RECURRENT": True, "HIDDEN_HIDDEN_MEAN": 0.0}, "RECURRENT=true"),
        ({"NUM_HIDDEN": 300000, "N_HID_LAYER": 2}, "N_HID_LAYER=2"),
        ({"NUM_HIDDEN": 1000000, "N_INPUT_DELAY": 100, "INPUT_DELAY": 0.2}, "N_INPUT_DELAY=100"),
        (
            {
                "NUM_HIDDEN": 2000,
                "TRIAL_MS": 2000.0,
                "LOSS_TYPE": "sum",
                "backend": {"threads": 500},
            },
            "TRIAL_MS=2000.0, DT_MS=0.2, backend.threads=500",
        ),
        (
            {
                "NUM_HIDDEN": 20000,
                "RECURRENT": True,
                "HIDDEN_HIDDEN_MEAN": 0.0,
                "N_BATCH": 512,
                "rule": "surrogate",
                "LOSS_TYPE": "max",
            },
            "N_BATCH=512",
        ),
        ({"N_TRAIN": 10**10}, "N_TRAIN=10000000000"),
        (
            {
                "NUM_HIDDEN": 200,
                "network.populations": [{"name": "a", "size": 40000}, {"name": "b", "size": 9999}],
                "network.projections": [
                    {"from": "input", "to": "a"},
                    {"from": "a", "to": "b"},
                    {"from": "b", "to": "output"},
                    {"from": "a", "to": "output"},
                ],
                "backend": "numpy",
            },
            "network.populations=[{name: a, size: 40000}, {name: b, size: 9999}]",
        ),
    ],
)
def test_each_key_that_makes_a_run_large_is_named(
    keys: dict, named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(needs, "available_memory", lambda: 1 << 34)
    config = from_dict({**SMALL, **keys})
    with pytest.raises(ResourceError) as error:
        train(config, tmp_path / "run")
    assert named in str(error.value).partition(": the run would need")[0]


def test_ranks_of_a_node_are_judged_together(monkeypatch: pytest.MonkeyPatch) -> None:
    config = from_dict({**SMALL, "NUM_HIDDEN": 4000, "RECURRENT": True})
    network = network_of(config, load(config))
    own = sum(part.size for part in needs.parts_of(config, network, ranks=3)) + needs.LIBRARIES
    monkeypatch.setattr(needs, "available_memory", lambda: own)
    data = 1 << 30

    def judge(*nodes: tuple[int, int]) -> None:
        given = [Node(name=f"n{k}", processes=n, free=free) for k, (n, free) in enumerate(nodes)]
        needs.require_memory(config, network, given, data)

    judge((1, own), (2, 2 * own + data))  # rank 0 alone needs no copy of its data
    with pytest.raises(
        ResourceError, match=r"the 2 ranks on n0 share its memory\. They would need"
    ):
        judge((2, 2 * own + data - 1), (1, own + data))
    with pytest.raises(ResourceError, match=r"NUM_HIDDEN=4000.*: the 1 ranks on n1 share"):
        judge((2, 2 * own + data), (1, own + data - 1))


@pytest.mark.skipif(sys.platform != "linux", reason="the system does not keep the limit")
def test_a_limit_on_the_memory_of_a_process_is_known() -> None:
    program = "from snnrun.machine import available_memory; print(available_memory())"
    line = ["sh", "-c", 'ulimit -d 400000 && exec "$@"', "sh", sys.executable, "-c", program]
    done = subprocess.run(line, capture_output=True, text=True, check=True)
    assert 0 < int(done.stdout) < 400_000 * 1024


MEASURED = """
import re
from pathlib import Path
from snnrun import needs
from snnrun.config import from_dict
from snnrun.datasets import load
from snnrun.run import network_of, train
estimates = []
def note(config, parts):
    estimates.append(sum(p.size for p in parts) + needs.LIBRARIES + needs.resident_memory())
needs._require = note
train(from_dict({keys!r}), Path({folder!r}))
# of this program alone: ru_maxrss begins with that of the process that started it
[peak] = re.findall(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())
print("ratio", estimates[-1] / (int(peak) * 1024))
"""


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="peak memory in kB")
@pytest.mark.parametrize(
    "keys",
    [
        {"NUM_HIDDEN": 4000, "DT_MS": 0.01, "TRIAL_MS": 60.0},
        pytest.param(
            {"NUM_HIDDEN": 2500, "RECURRENT": True, "HIDDEN_HIDDEN_MEAN": 0.0},
            marks=pytest.mark.long,
        ),
        pytest.param(
            {
                "NUM_HIDDEN": 1500,
                "RECURRENT": True,
                "HIDDEN_HIDDEN_MEAN": 0.0,
                "rule": "surrogate",
                "LOSS_TYPE": "max",
            },
            marks=pytest.mark.long,
        ),
        pytest.param(
            {
                "network.populations": [{"name": "a"}, {"name": "b"}],
                "network.projections": [
                    {"from": "input", "to": "a"},
                    {
                        "from": "a",
                        "to": "b",
                        "delay": {"kind": "synaptic", "max": 3, "train": True},
                    },
                    {"from": "b", "to": "a"},
                    {"from": "b", "to": "output"},
                ],
                "NUM_HIDDEN": 1200,
                "DT_MS": 1.0,
                "backend": "numpy",
            },
            marks=pytest.mark.long,
        ),
        pytest.param(
            {"NUM_HIDDEN": 1000, "DT_MS": 0.5, "backend": "numpy"}, marks=pytest.mark.long
        ),
    ],
)
def test_the_estimate_is_within_a_factor_of_two_of_what_a_run_takes(
    keys: dict, tmp_path: Path
) -> None:
    assert 0.5 < estimate_over_peak(keys, tmp_path) < 2.0


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="peak memory in kB")
@pytest.mark.parametrize(
    ("kind", "keys"),
    [
        ("synaptic", {"NUM_HIDDEN": 1400, "DT_MS": 0.5}),
        ("axonal", {"NUM_HIDDEN": 1400, "DT_MS": 0.5}),
        ("dendritic", {"NUM_HIDDEN": 1000, "DT_MS": 0.02, "TRIAL_MS": 100.0}),
        ("axonal", {"NUM_HIDDEN": 500, "DT_MS": 0.02, "TRIAL_MS": 100.0, "rule": "surrogate"}),
    ],
)
def test_the_estimate_for_delays_is_within_30_percent_of_what_a_run_takes(
    kind: str, keys: dict, tmp_path: Path
) -> None:
    late = {"from": "a", "to": "a", "mean": 0.0, "std": 0.01}
    late["delay"] = {"kind": kind, "max": 5, "train": True}
    network = {
        "network.populations": [{"name": "a"}],
        "network.projections": [{"from": "input", "to": "a"}, late, {"from": "a", "to": "output"}],
    }
    keys = {"LOSS_TYPE": "sum", **network, **keys}
    assert 0.7 < estimate_over_peak(keys, tmp_path) < 1.3


def estimate_over_peak(keys: dict, folder: Path) -> float:
    """Train a network on few examples; return its estimated memory over what it took."""
    small_data = {"N_TRAIN": 16, "N_VALIDATE": 8, "N_TEST": 8, "N_EPOCH": 1, "N_BATCH": 16}
    keys = {**SMALL, **small_data, "backend": {"threads": 2}, **keys}
    script = MEASURED.format(keys=keys, folder=str(folder / "run"))
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stderr
    return float(done.stdout.rpartition("ratio ")[2])


def system(root: Path, **files: str) -> Path:
    for name, text in files.items():
        file = root / name.replace("__", "/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return root


@pytest.mark.skipif(sys.platform != "linux", reason="counted anew on Linux only")
def test_the_most_memory_held_is_counted_anew_for_each_run() -> None:
    size = 200_000_000
    held = mmap.mmap(-1, size)  # what malloc gives may be memory that was free, and stay held
    for page in range(0, size, mmap.PAGESIZE):
        held[page] = 1
    before = peak_memory()
    held.close()
    forget_peak_memory()
    assert peak_memory() < before - size // 2


def test_the_memory_that_is_left_is_the_least_of_system_and_groups(tmp_path: Path) -> None:
    root = system(tmp_path, proc__meminfo="MemTotal: 9000 kB\nMemAvailable: 4000 kB\n")
    assert available_memory(root) == 4000 * 1024
    group = root / "sys/fs/cgroup/job/step"
    system(root, proc__self__cgroup="0::/job/step\n")
    system(group, **{"memory.max": "max", "memory.current": "5"})
    assert available_memory(root) == 4000 * 1024
    system(
        group.parent,
        **{
            "memory.max": "1000000",
            "memory.current": "400000",
            "memory.stat": "anon 3\ninactive_file 100000\n",
        },
    )
    assert available_memory(root) == 700000
    system(root, proc__self__cgroup="4:cpu:/x\n5:memory:/docker/1\n")
    old = root / "sys/fs/cgroup/memory"
    system(old, **{"memory.limit_in_bytes": "300000", "memory.usage_in_bytes": "250000"})
    assert available_memory(root) == 50000
