"""Small real runs: in this process, or in one of their own that can be sent signals and killed."""

from __future__ import annotations

import io
import re
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any
from unittest.mock import patch
from zipfile import ZipFile

import h5py
import numpy as np
import pytest
from omegaconf import DictConfig

from snnrun import run as story
from snnrun.backends.native.build import cache_folder
from snnrun.cli import main
from snnrun.commands import arguments, compose
from snnrun.config import Config, from_dict
from snnrun.interruption import Interrupted
from snnrun.record.notices import read_warnings
from snnrun.record.paths import RECORDING_KINDS, RunPaths
from snnrun.record.runfile import open_recorded, open_run
from snnrun.record.table import read_columns
from snnrun.run import train
from snnrun.stop import Stop
from snnrun.streams import stream
from snnrun.training import checkpoint

TIMEOUT_S = 120.0
TABLE = {"preset": "none"}  # of `snnrun train` and snnrun.train: not the recommended settings
SMALL: dict[str, Any] = {  # a Yin-Yang network that learns something in a fraction of a second
    "dataset": "yinyang",
    "NUM_HIDDEN": 30,
    "DT_MS": 0.2,
    "N_BATCH": 20,
    "N_TRAIN": 130,
    "N_VALIDATE": 50,
    "N_TEST": 50,
    "N_EPOCH": 3,
    "MODEL_SEED": 1,
    "W_REPORT_INTERVAL": 0,
}
LONG: dict[str, Any] = {**SMALL, "N_TRAIN": 3000, "N_EPOCH": 1000}
OPTIMISED: dict[str, Any] = {"backend.flags": ["-O1"]}  # pays from some thousand examples on
RECORDS: dict[str, Any] = {  # some of each kind
    "REC_SPIKES": ["hidden"],
    "REC_SPIKES_EPOCH_TRIAL": [[0, 0], [-1, 9]],
    "REC_NEURONS": [["hidden", "V"]],
    "REC_NEURONS_EPOCH_TRIAL": [[1, 2]],
    "W_OUTPUT_EPOCH_TRIAL": [[0, 0]],
    "TAU_OUTPUT_EPOCH_TRIAL": [[-1, 0]],
    "TRAIN_TAU": True,
    "COLLECT_CONFUSION": True,
    "REC_PREDICTIONS": True,
}

# Data sets and groups of run.h5 that depend on the clock. Everything else is the same, bit for bit,
# in a run that was stopped and resumed and in one that was not.
WALL_CLOCK = (
    "trials/seconds",
    "epochs/seconds",
    "epochs/examples_per_second",
    "epochs/peak_memory",
    "test/seconds",
    "test/examples_per_second",
    "timings",
    "tests",  # what was made when; the figures of the run's own test are in "test" too
)


def small(**keys: Any) -> Config:
    """Return the configuration of a small run with these keys changed."""
    return from_dict({**SMALL, **keys})


def composed(*words: str) -> DictConfig:
    """Return what Hydra composes of a command line, unchecked."""
    return compose.without_hydra(compose.composed(arguments.split(words))[0])


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "snnrun", *words]


def overrides(keys: Mapping[str, Any]) -> list[str]:
    """Return keys as words of a command line, on top of the table's values."""
    given = TABLE | dict(keys)
    return [f"{key}={str(value).replace(' ', '')}" for key, value in given.items()]


def own_cache(folder: Path) -> Path:
    """Make a build cache in which no program is; compilers' headers are those of all tests."""
    folder.mkdir()
    for header in cache_folder(None).glob("headers-*"):
        (folder / header.name).symlink_to(header)
    return folder


def snnrun(*words: str, **options: Any) -> subprocess.CompletedProcess:
    """Run a command to its end."""
    return subprocess.run(
        command(*words), capture_output=True, text=True, timeout=TIMEOUT_S, check=False, **options
    )


def here(*words: str) -> subprocess.CompletedProcess:
    """Carry out a command in this process, which takes a fraction of the time of ``snnrun``."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
    argv = patch.object(sys, "argv", ["snnrun", *words])
    with redirect_stdout(out), redirect_stderr(err), argv:
        code = main(words)
    for file in (out, err):
        file.seek(0)
    return subprocess.CompletedProcess(words, code, out.read(), err.read())


def start(*words: str) -> subprocess.Popen:
    """Start a command; what it prints can be read from ``stdout``."""
    return subprocess.Popen(
        command(*words), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def end(process: subprocess.Popen) -> tuple[int, str]:
    """Wait for a process and return its exit code and what it printed."""
    try:
        said, _ = process.communicate(timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        said, _ = process.communicate()
        raise AssertionError(f"it hangs; so far it said:\n{said}") from None
    return process.returncode, said


def epochs_done(folder: Path) -> int:
    """Return how many epochs run.log reports, over all processes that worked on the run."""
    log = RunPaths(folder).log
    text = log.read_text() if log.exists() else ""
    return len(re.findall(r"^[* ] +\d+ +\d[\d.e+-]* +\d[\d.]*%? ", text, re.MULTILINE))


def stopped_at_an_epoch(command: list[str], number: int = signal.SIGINT) -> tuple[int, str]:
    """Send a signal to a command once its first epoch has ended; return how it ended."""
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1
    )
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if line.startswith(("*   0 ", "    0 ")):
            process.send_signal(number)
            break
    code, rest = end(process)
    return code, said + rest


class StopAt(Stop):
    """Asks to stop when it is looked at for the given time."""

    def __init__(self, looks: int) -> None:
        super().__init__()
        self._looks = looks

    def __bool__(self) -> bool:
        self._looks -= 1
        if self._looks == 0:
            self.signal = 15
        return super().__bool__()


def stopped_at(look: int, config: Config, folder: Path, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Train until the loop has looked for requests that often; return whether it came to that."""

    @contextmanager
    def requests() -> Iterator[Stop]:
        yield StopAt(look)

    with monkeypatch.context() as changed:
        changed.setattr(story, "stop_requests", requests)
        try:
            train(config, folder)
        except Interrupted:
            return True
    return False


def wait_for(condition: Callable[[], bool], process: subprocess.Popen) -> None:
    """Wait until something has happened that a process is to do."""
    limit = time.monotonic() + TIMEOUT_S
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < limit, "it has not happened"
        time.sleep(0.02)


def wait_for_epochs(folder: Path, count: int, process: subprocess.Popen) -> None:
    """Wait until a run has ended ``count`` epochs."""
    wait_for(lambda: epochs_done(folder) >= count, process)


def numbers(value: Any, name: str = "") -> Iterator[tuple[str, bytes]]:
    """Yield every value of a nested dictionary by its path, as bytes."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from numbers(inner, f"{name}/{key}")
    elif isinstance(value, np.ndarray):
        yield name, f"{value.dtype}{value.shape}".encode() + value.tobytes()
    else:
        yield name, repr(value).encode()


def comparable(folder: str | Path) -> dict[str, np.ndarray]:
    """Return every number that a run has recorded, except those that depend on the clock.

    A run that was killed and resumed has the same bits here as one that was never stopped.
    """
    paths = RunPaths(Path(folder))
    with open_run(paths) as file:
        columns = {
            f"{group}/{name}": values
            for group in file.keys() & {"trials", "epochs", "test", "confusion"}
            for name, values in read_columns(file[group]).items()
            if f"{group}/{name}" not in WALL_CLOCK
        }
        predicted = list(file.get("predictions", ()))
        noticed = read_warnings(file)
    # before the first epoch it is the machine that is spoken of
    later = noticed["epoch"] >= 0
    columns |= {f"warnings/{name}": _as_bytes(values[later]) for name, values in noticed.items()}
    files = {f"predictions/{name}": paths.prediction_part(name) for name in predicted}
    for kind in RECORDING_KINDS:
        files |= {f"{kind}/{path.stem}": path for path in paths.parts(kind).values()}
    for prefix, path in files.items():
        with open_recorded(path) as file:
            columns |= {f"{prefix}/{name}": values for name, values in read_columns(file).items()}
    return dict(sorted(columns.items()))


def _as_bytes(column: np.ndarray) -> np.ndarray:
    return np.char.encode(column.astype(str)) if column.dtype == object else column


def assert_same_run(folder: Path, other: Path, *, checkpoints: bool = True) -> None:
    """Compare all recorded numbers and the checkpoints of two runs, bit for bit."""
    one, two = (dict(numbers(comparable(f))) for f in (folder, other))
    assert one.keys() == two.keys()
    assert [name for name in one if one[name] != two[name]] == []
    for name in ("last", "best") if checkpoints else ():
        one, two = (
            dict(numbers(checkpoint.load(getattr(RunPaths(f), name)))) for f in (folder, other)
        )
        assert one.keys() == two.keys()
        assert [key for key in one if one[key] != two[key]] == []


def write_shd(folder: Path, *, examples: int = 24, events: int = 200) -> Path:
    """Write training and test files in the layout of SHD: each class a group of channels."""
    return _write_heidelberg(folder, "shd", {"train": examples, "test": 8}, 20, events)


def write_ssc(folder: Path, *, events: int = 200) -> Path:
    """Write the three files of SSC, as ``write_shd``."""
    return _write_heidelberg(folder, "ssc", {"train": 35, "valid": 8, "test": 8}, 35, events)


def _write_heidelberg(
    folder: Path, dataset: str, sizes: Mapping[str, int], n_classes: int, events: int
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, n in sizes.items():
        draw = stream(1, f"{dataset} {name}")
        labels = np.arange(n) % n_classes
        with h5py.File(folder / f"{dataset}_{name}.h5", "w") as file:
            times = file.create_dataset("spikes/times", (n,), h5py.vlen_dtype(np.float16))
            units = file.create_dataset("spikes/units", (n,), h5py.vlen_dtype(np.uint16))
            for row, label in enumerate(labels):
                count = int(draw.integers(events * 3 // 4, events * 5 // 4))
                times[row] = np.sort(draw.random(count) * 0.08).astype(np.float16)
                units[row] = (label * 700 // n_classes + draw.integers(0, 300, count)) % 700
            file["labels"] = labels.astype(np.uint16)
            file["extra/speaker"] = (np.arange(n) % 3 + 4 * (name == "test")).astype(np.uint16)
    return folder


def write_mnist(folder: Path, *, train: int = 30, test: int = 10) -> Path:
    """Write the four idx files with images of noise."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, n in (("train", train), ("t10k", test)):
        images = stream(2, f"mnist {name}").integers(0, 256, (n, 28, 28), np.uint8)
        for kind, array in (("images-idx3", images), ("labels-idx1", np.arange(n) % 10)):
            header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
            content = header + array.astype(np.uint8).tobytes()
            (folder / f"{name}-{kind}-ubyte").write_bytes(content)
    return folder


def write_nmnist(folder: Path, *, examples: int = 2, events: int = 4000) -> Path:
    """Write the two archives of N-MNIST: noise over 300 ms, each class in its own rows."""
    folder.mkdir(parents=True, exist_ok=True)
    for split in ("Train", "Test"):
        draw = stream(5, f"nmnist {split}")
        with ZipFile(folder / f"{split}.zip", "w") as archive:
            for number, label in np.ndindex(examples, 10):
                x, y, polarity = (draw.integers(0, most, events) for most in (34, 7, 2))
                time = np.sort(draw.integers(0, 300_000, events))
                high = polarity << 7 | time >> 16
                columns = np.column_stack([x, y + 3 * label, high, time >> 8 & 255, time & 255])
                content = columns.astype(np.uint8).tobytes()
                archive.writestr(f"{split}/{label}/{number:05d}.bin", content)
    return folder


def write_dvs(folder: Path, *, users: int = 1, events: int = 20_000) -> Path:
    """Write the two archives of gestures: noise over two seconds, each class in its own rows."""
    folder.mkdir(parents=True, exist_ok=True)
    for split in ("Train", "Test"):
        draw = stream(3, f"dvs {split}")
        with tarfile.open(folder / f"ibmGesture{split}.tar.gz", "w:gz", compresslevel=1) as archive:
            for user, label in np.ndindex(users, 11):
                columns = [draw.integers(0, most, events) for most in (128, 60, 2, 2000)]
                columns[1] += 6 * label
                content = io.BytesIO()
                np.save(content, np.column_stack(columns).astype(np.int16))
                entry = tarfile.TarInfo(f"ibmGesture{split}/user{user:02}_led/{label}.npy")
                entry.size = content.tell()
                archive.addfile(entry, io.BytesIO(content.getvalue()))
    return folder
