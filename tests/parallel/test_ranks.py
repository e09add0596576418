"""One run on several ranks: the bits of one process, and one message where it cannot be."""

from __future__ import annotations

import socket
import subprocess
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from mpi import environment, on_ranks
from runs import (
    RECORDS,
    SMALL,
    TABLE,
    TIMEOUT_S,
    assert_same_run,
    comparable,
    overrides,
    snnrun,
    write_mnist,
    write_shd,
)

from snnrun.config import from_dict
from snnrun.datasets import load
from snnrun.machine import memory_of_node
from snnrun.needs import parts_of
from snnrun.run import network_of

pytestmark = pytest.mark.mpi
WORDS = overrides({**SMALL, **RECORDS, "N_EPOCH": 2})


def run(line: list[str], **more: str) -> subprocess.CompletedProcess:
    environ = environment() | more
    return subprocess.run(
        line, capture_output=True, text=True, timeout=TIMEOUT_S, check=False, env=environ
    )


def ranks(count: int, *words: str, **more: str) -> subprocess.CompletedProcess:
    return run(on_ranks(count, *words), **more)


def test_three_ranks_train_to_the_bits_of_one_process(tmp_path: Path) -> None:
    one, three = tmp_path / "one", tmp_path / "three"
    assert snnrun("train", *WORDS, f"hydra.run.dir={one}").returncode == 0
    done = ranks(3, "train", *WORDS, "backend.threads=2", f"hydra.run.dir={three}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 ranks, each native, float32, 2 threads" in done.stdout
    assert done.stdout.count("finished") == 1  # rank 0 alone has the terminal
    assert_same_run(one, three)


def test_without_mpi4py_several_processes_do_not_begin(tmp_path: Path) -> None:
    (tmp_path / "mpi4py.py").write_text("raise ImportError\n")
    folder = tmp_path / "run"
    refused = ranks(
        2, "train", *WORDS, f"hydra.run.dir={folder}", PYTHONPATH=str(tmp_path), SNNRUN_TRACEBACK=""
    )
    assert refused.returncode == 2
    assert refused.stderr.count("mpiexec has started 2 processes of snnrun, which share") == 1
    assert "pip install 'snnrun[mpi]'" in refused.stderr
    assert not folder.exists()


@pytest.mark.long
def test_more_ranks_than_examples_of_a_mini_batch_are_refused(tmp_path: Path) -> None:
    refused = ranks(3, "train", *WORDS, "N_BATCH=2", f"hydra.run.dir={tmp_path / 'run'}")
    assert refused.returncode == 2
    assert "3 ranks, but a mini-batch of N_BATCH=2 has parts for 2" in refused.stderr


@pytest.mark.long
def test_ranks_with_other_words_are_refused_with_the_difference(tmp_path: Path) -> None:
    first = on_ranks(1, "train", *WORDS, f"hydra.run.dir={tmp_path / 'run'}")
    other = [":", *on_ranks(1, "train", *WORDS, "MODEL_SEED=7")[1:]]
    refused = run([*first, *other])
    assert refused.returncode == 2
    assert "the ranks must be alike:\n  command line: rank 0 (process" in refused.stderr
    assert "MODEL_SEED=7" in refused.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["dataset=pattern", "rule=superspike"], "rule=superspike changes weights while examples"),
        (
            ["rule=eprop", "rule.update_steps=10", "LOSS_TYPE=avg_xentropy"],
            "rule.update_steps=10: weights change while the examples of a mini-batch run",
        ),
        pytest.param(
            ["-m", "MODEL_SEED=1,2", "hydra/launcher=joblib"],
            "share nothing with the ranks",
            marks=pytest.mark.skipif(
                not (
                    find_spec("hydra_plugins") and find_spec("hydra_plugins.hydra_joblib_launcher")
                ),
                reason="hydra-joblib-launcher is not installed",
            ),
        ),
    ],
)
@pytest.mark.long
def test_what_ranks_cannot_share_is_refused(tmp_path: Path, words: list[str], what: str) -> None:
    given = TABLE if "dataset=pattern" in words else {**SMALL, "N_EPOCH": 1}
    given = {key: value for key, value in given.items() if key != "MODEL_SEED"}
    refused = ranks(2, "train", *overrides(given), *words, f"OUT_DIR={tmp_path}")
    assert refused.returncode == 2, refused.stdout + refused.stderr
    assert what in refused.stderr


@pytest.mark.long
@pytest.mark.parametrize("backend", ["native", "numpy"])
def test_a_stopped_run_goes_on_with_other_ranks_to_the_same_end(
    tmp_path: Path, backend: str
) -> None:
    words = overrides({**SMALL, "N_EPOCH": 2, "backend": backend})
    one, many = tmp_path / "one", tmp_path / "many"
    assert snnrun("train", *words, f"hydra.run.dir={one}").returncode == 0
    stopped = ranks(3, "train", *words, "N_EPOCH=1", f"hydra.run.dir={many}")
    assert stopped.returncode == 0, stopped.stdout + stopped.stderr
    done = ranks(2, "resume", str(many), "N_EPOCH=2")
    assert done.returncode == 0, done.stdout + done.stderr
    if backend == "native":
        assert comparable(one)["epochs/train_loss"].tobytes() == (
            comparable(many)["epochs/train_loss"].tobytes()
        )
    np.testing.assert_allclose(
        comparable(many)["epochs/train_loss"], comparable(one)["epochs/train_loss"], rtol=1e-9
    )


@pytest.mark.long
def test_augmented_data_and_averaged_spikes_have_the_same_bits_on_ranks(tmp_path: Path) -> None:
    shd = write_shd(tmp_path / "shd", examples=24)
    keys = {
        "dataset": "shd",
        "dataset.path": str(shd),
        "N_TRAIN": 16,
        "N_VALIDATE": 8,
        "N_TEST": 0,
        "N_EPOCH": 2,
        "N_BATCH": 8,
        "NUM_HIDDEN": 30,
        "TRIAL_MS": 100,
        "AUGMENTATION.random_shift": 4,
        "REG_TYPE": "simple",
        "AVG_SNSUM": True,
        "LBD_UPPER": 1e-3,
        "NU_UPPER": 1,
        "MODEL_SEED": 1,
    }
    one, two = tmp_path / "one", tmp_path / "two"
    assert snnrun("train", *overrides(keys), f"hydra.run.dir={one}").returncode == 0
    done = ranks(2, "train", *overrides(keys), f"hydra.run.dir={two}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert_same_run(one, two)


@pytest.mark.long
def test_ranks_that_would_together_need_more_memory_than_their_node_has_are_refused(
    tmp_path: Path,
) -> None:
    free, config = memory_of_node(), from_dict({**SMALL, "NUM_HIDDEN": 1000, "RECURRENT": True})
    assert free is not None
    found = [part.size for part in parts_of(config, network_of(config, load(config)))]
    size = int(1000 * (0.5 * free / max(found)) ** 0.5)  # one process has room, three have not
    refused = ranks(
        3, "train", *WORDS, f"NUM_HIDDEN={size}", "RECURRENT=true", f"hydra.run.dir={tmp_path}/run"
    )
    assert refused.returncode == 2
    assert f"NUM_HIDDEN={size}" in refused.stderr
    assert f"the 3 ranks on {socket.gethostname()} share its memory" in refused.stderr
    assert "Start fewer ranks on a node, with more threads each" in refused.stderr


@pytest.mark.long
def test_data_larger_than_the_memory_that_a_rank_may_have_train_from_a_disk(tmp_path: Path) -> None:
    keys = {**TABLE, "N_TRAIN": 12_000, "N_VALIDATE": 0, "N_TEST": 32, "N_EPOCH": 1}
    keys |= {"TRIAL_MS": 1000, "TAU_1": 100, "NUM_HIDDEN": 8, "MODEL_SEED": 1}  # 480 MB
    words, limit = overrides(keys), ["sh", "-c", 'ulimit -d 400000 && exec "$@"', "sh"]
    one, two = tmp_path / "one", tmp_path / "two"
    assert snnrun("train", *words, f"hydra.run.dir={one}").returncode == 0

    def limited(*more: str) -> subprocess.CompletedProcess:
        mpiexec, n, count, *line = on_ranks(2, "train", *words, *more, f"hydra.run.dir={two}")
        return run([mpiexec, n, count, *limit, *line])

    refused = limited()
    assert refused.returncode == 2, refused.stdout
    assert "memory" in refused.stderr
    done = limited(f"DATA_ON_DISK={tmp_path / 'files'}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert_same_run(one, two)
    assert not list((tmp_path / "files").iterdir())


@pytest.mark.long
def test_weights_that_learn_by_stdp_have_the_same_bits_on_ranks(tmp_path: Path) -> None:
    keys = {"preset": "mnist_stdp", "dataset.path": str(write_mnist(tmp_path / "mnist", train=60))}
    keys |= {"N_TRAIN": 50, "N_VALIDATE": 10, "N_TEST": 0, "N_EPOCH": 2, "MODEL_SEED": 1}
    one, three = tmp_path / "one", tmp_path / "three"
    assert snnrun("train", *overrides(keys), f"hydra.run.dir={one}").returncode == 0
    done = ranks(3, "train", *overrides(keys), f"hydra.run.dir={three}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert_same_run(one, three)


@pytest.mark.long
def test_ranks_share_each_run_of_a_multirun(tmp_path: Path) -> None:
    words = [*WORDS, "-m", "NUM_HIDDEN=30,20"]
    one, two = tmp_path / "one", tmp_path / "two"
    assert snnrun("train", *words, f"hydra.sweep.dir={one}").returncode == 0
    done = ranks(2, "train", *words, f"hydra.sweep.dir={two}")
    assert done.returncode == 0, done.stdout + done.stderr
    for job in "01":
        assert_same_run(one / job, two / job)


@pytest.mark.long
@pytest.mark.genn
def test_genn_on_ranks_learns_what_it_learns_alone(tmp_path: Path) -> None:
    keys = {**SMALL, "N_EPOCH": 2, "N_TRAIN": 62, "N_TEST": 0, "backend": "genn"}  # 2 at the end
    keys |= {"REG_TYPE": "simple", "AVG_SNSUM": True, "NU_UPPER": 0.2, "LBD_UPPER": 0.01}
    words = overrides(keys)
    one, three = tmp_path / "one", tmp_path / "three"
    assert snnrun("train", *words, f"hydra.run.dir={one}").returncode == 0
    done = ranks(3, "train", *words, f"hydra.run.dir={three}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 ranks, each GeNN" in done.stdout
    expected, found = comparable(one), comparable(three)
    for column in ("epochs/train_loss", "epochs/validation_loss"):
        np.testing.assert_allclose(found[column], expected[column], rtol=1e-5)
