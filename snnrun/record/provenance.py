"""Where a run comes from: versions, machine, seeds, command, configuration. Never fails."""

from __future__ import annotations

import os
import platform
import shlex
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from omegaconf import OmegaConf

from snnrun.machine import usable_cores
from snnrun.version import __version__

CONFIG = "config"  # the one entry that is a text of many lines
SEEDS = ("MODEL_SEED", "TRAIN_DATA_SEED", "TEST_DATA_SEED")  # the keys of all seeds
PACKAGE = Path(__file__).resolve().parent.parent
DATA = "data"  # what tells the data apart from others, as JSON


def provenance(
    config: Mapping[str, Any],
    *,
    name: str,
    dataset: str,
    epochs: int,
    seeds: Mapping[str, int],
    data: str = "",
    backend: str = "",
    compiled: str = "",
    command: Sequence[str] | None = None,
) -> dict[str, str | int]:
    """Return what ``run.h5`` says about the origin of its numbers.

    Args:
        config: The complete configuration (``Config.to_dict()``), stored as YAML.
        name: What the user calls the run.
        dataset: Name of the data set.
        epochs: Number of epochs that the run is to have.
        seeds: Every seed as used, the drawn ones too.
        data: The fingerprint of the data that were loaded (snnrun.datasets.fingerprint).
        backend: What runs the network: precision, threads, compiler.
        compiled: The command that compiled it, with all flags.
        command: The command line; that of this process if not given.
    """
    program = {DATA: data, "backend": backend, "compiled": compiled}
    entries: dict[str, str | int] = {
        "name": name,
        "dataset": dataset,
        "n_epochs": epochs,
        **{f"seed_{key}": int(value) for key, value in seeds.items()},
        "command": shlex.join(sys.argv if command is None else command),
        "folder": _working_folder(),
        "git_commit": git_commit(),
        **{name: text for name, text in program.items() if text},
        "start_time": datetime.now().astimezone().isoformat(timespec="seconds"),
        "snnrun": __version__,
        "snnrun_commit": package_commit(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "h5py": h5py.__version__,
        "hdf5": h5py.version.hdf5_version,
        "platform": platform.platform(),
        "hostname": socket.gethostname(),
        "cpu": _cpu_model(),
        "cores": os.cpu_count() or 0,
        "cores_usable": usable_cores(),
        CONFIG: OmegaConf.to_yaml(OmegaConf.create(dict(config))),
    }
    return {
        key: printable(value) if isinstance(value, str) else value for key, value in entries.items()
    }


def git_commit(folder: Path = Path()) -> str:
    """Return the commit of the (working) folder, with "+changes" if files differ."""
    place = ("-C", str(folder))
    try:
        commit = _git(*place, "rev-parse", "--verify", "HEAD")
        return commit + ("+changes" if _git(*place, "status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.SubprocessError):
        return ""


def package_commit(package: Path = PACKAGE) -> str:
    """Return the commit of this package if it is used from a clone, else an empty text.

    A copy that pip has installed may lie in a repository that has nothing to do with it.
    """
    try:
        _git("-C", str(package), "ls-files", "--error-unmatch", "version.py")
    except (OSError, subprocess.SubprocessError):
        return ""
    return git_commit(package)


def _git(*arguments: str) -> str:
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}
    command = ["git", *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=2, check=True, env=environment
    )
    return done.stdout.strip()


def _working_folder() -> str:
    try:
        return os.getcwd()
    except OSError:  # deleted under our feet
        return ""


def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
            if line.startswith(("model name", "Model", "cpu model")):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def printable(value: str) -> str:
    """Return text that HDF5 can store: arguments and paths may hold bytes that are not UTF-8."""
    return value.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")
