"""backend.cuda_graph: a pass is captured when it runs again, and is one launch from then on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from runs import small
from superspike_problem import config_of

from snnrun.backends import genn
from snnrun.backends.genn.compilers import compiler_for, flags_for
from snnrun.errors import ConfigError

# A driver that notes which steps were launched; a capture takes them instead, and fails on demand.
DRIVER = r"""
#include <stddef.h>
#include <stdlib.h>
#include <stdio.h>
typedef struct { int count, steps[100]; } Graph;
static Graph *capturing; static int living, launches;
void kernel(int step) {
    if (capturing) capturing->steps[capturing->count++] = step;
    else { printf("%d ", step); launches++; }
}
int cuStreamBeginCapture_v2(void *s, int mode) {
    if (s != (void *)2 || mode != 2) return 900;
    capturing = calloc(1, sizeof(Graph)); living++; return 0;
}
int cuStreamEndCapture(void *s, void **g) {
    int broken = getenv("BROKEN") != NULL;
    *g = broken ? NULL : capturing; living -= broken; capturing = NULL; return broken ? 906 : 0;
}
int cuGraphGetNodes(Graph *g, void *nodes, size_t *n) { *n = g->count; return nodes != NULL; }
int cuGraphInstantiateWithFlags(void **x, Graph *g, unsigned long long flags) {
    Graph *copy = malloc(sizeof(Graph)); *copy = *g; *x = copy; living++; return flags != 0;
}
int cuGraphLaunch(Graph *g, void *s) {
    printf("[ "); for (int i = 0; i < g->count; i++) printf("%d ", g->steps[i]);
    printf("] "); launches++; return s != (void *)2;
}
int cuGraphExecDestroy(Graph *x) { living--; return 0; }
int cuGraphDestroy(Graph *g) { living--; return 0; }
void told(void) { printf("| %d launches, %d graphs", launches, living); fflush(stdout); }
"""
PROGRAM = """
import ctypes
from snnrun.backends.genn.cuda_graph import PassGraphs
from snnrun.errors import BuildError
driver = ctypes.CDLL("libcuda.so.1")
graphs = PassGraphs(lambda steps, first: [driver.kernel(first + k) for k in range(steps)])
try:
    for steps, first in ((3, 0), (3, 0), (2, 5), (3, 0), (2, 5)):
        graphs.run(steps, first)
except BuildError as error:
    driver.kernel(77)
    driver.told()
    raise SystemExit(f"said: {error}")
assert graphs.kernels == {(3, 0): 3, (2, 5): 2}
graphs.close()
driver.told()
"""


def run(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    (folder / "driver.c").write_text(DRIVER)
    library = folder / "libcuda.so.1"
    subprocess.run(
        ["cc", "-shared", "-fPIC", "-w", "-o", str(library), str(folder / "driver.c")], check=True
    )
    return subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, "LD_LIBRARY_PATH": str(folder), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_steps_are_captured_when_they_run_again_and_are_one_launch_from_then_on(
    tmp_path: Path,
) -> None:
    done = run(tmp_path)
    assert done.returncode == 0, done.stderr
    wanted = "0 1 2 [ 0 1 2 ] 5 6 [ 0 1 2 ] [ 5 6 ] | 8 launches, 0 graphs"
    assert done.stdout == wanted


def test_a_capture_that_fails_says_which_key_does_without_and_leaves_the_device_usable(
    tmp_path: Path,
) -> None:
    done = run(tmp_path, BROKEN="1")
    assert done.returncode == 1
    assert done.stdout == "0 1 2 77 | 4 launches, 0 graphs"
    assert "cuStreamEndCapture failed with error 906" in done.stderr
    assert "use backend.cuda_graph=false" in done.stderr


def test_code_that_is_captured_launches_into_the_default_stream_of_its_thread(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CUDA_PATH", str(tmp_path))
    monkeypatch.delenv("NVCC_APPEND_FLAGS", raising=False)
    nvcc = compiler_for("cuda", None)
    flags = {
        graphs: flags_for("cuda", nvcc, ["-g"], optimize=True, graphs=graphs)["NVCC_APPEND_FLAGS"]
        for graphs in (False, True)
    }
    assert flags == {False: "-g", True: "--default-stream=per-thread -g"}


@pytest.mark.parametrize("device", ["hip", "single_threaded_cpu"])
def test_devices_without_cuda_refuse_graphs(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(genn, "import_pygenn", lambda: SimpleNamespace())
    monkeypatch.setattr(genn, "choose_device", lambda pygenn, wanted: wanted)
    monkeypatch.setattr(genn, "require_toolkit", lambda device: None)
    config = small(backend={"name": "genn", "device": device, "cuda_graph": True})
    with pytest.raises(ConfigError, match=r"backend\.cuda_graph=true: CUDA alone has graphs"):
        genn.require_genn(config)


def test_a_rule_that_learns_online_refuses_graphs() -> None:
    with pytest.raises(ConfigError, match=r"backend\.cuda_graph=true: has no effect"):
        config_of({}, {"name": "genn", "cuda_graph": True})
