"""`snnrun export`: write a trained network for other programs."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from snnrun.commands.arguments import path_of, taken
from snnrun.errors import ConfigError, ModelError, did_you_mean

TO, OUTPUT, STEPPING = "--to", "--output", "--stepping"
SUFFIXES = {"nir": ".nir", "npz": ".npz", "torch": ".pt"}

HELP = f"""\
usage: snnrun export [RUN] {TO} nir|npz|torch [{OUTPUT} FILE] [{STEPPING} euler] [LOAD_BEST=true]

Writes the network of a run (without RUN, the newest below ./outputs) with the weights of its last
checkpoint, or with LOAD_BEST=true of the best one, to RUN/network.nir, .npz or .pt, or to FILE.

  nir     a graph of the Neuromorphic Intermediate Representation, which other programs read, and
          `snnrun train network=nir network.file=FILE` too; what NIR has no word for is refused
  npz     all arrays by name, for NumPy; of any network
  torch   the same as tensors, for torch.load

{STEPPING} euler: the graph has the time constants and factors with which programs that step by
forward Euler, as Norse and snnTorch do, take in steps of DT_MS the steps that are exact here.

docs/nir.md says what is in them.

examples:
  snnrun export {TO} nir
  snnrun export {TO} nir {STEPPING} euler {OUTPUT} for_norse.nir
  snnrun export outputs/2026-11-21/18-03-12-123456 {TO} npz {OUTPUT} weights.npz LOAD_BEST=true
"""


def help_text() -> str:
    return HELP


def run(arguments: Sequence[str]) -> int:
    to, words = taken(arguments, TO, "a format, as in --to nir")
    file, words = taken(words, OUTPUT, f"a file, as in {OUTPUT} net.nir")
    stepping, words = taken(words, STEPPING, f"a stepping, as in {STEPPING} euler")
    options = [TO, OUTPUT, STEPPING]
    for word in words:
        if word.startswith("-"):
            hint = did_you_mean(word, options)
            raise ConfigError(
                f"{word}: there is no such option.{hint} Options: {', '.join(options)}"
            )
        if "=" in word and word.partition("=")[0].isupper() and not word.startswith("LOAD_BEST="):
            raise ConfigError(f"{word}: snnrun export takes a run and LOAD_BEST=true alone")
    if to not in SUFFIXES:
        given = f"{TO} {to}" if to else f"{TO} is missing"
        raise ConfigError(
            f"{given}: give one of {', '.join(SUFFIXES)}, as in {TO} nir"
            + (did_you_mean(to, SUFFIXES) if to else "")
        )
    if stepping not in (None, "euler"):
        raise ConfigError(f"{STEPPING} {stepping}: must be euler, or left out")
    if stepping and to != "nir":
        raise ConfigError(f"{STEPPING} is for {TO} nir alone; {TO} {to} has the run's own numbers")
    from snnrun.commands.saved_run import find_run
    from snnrun.exchange.arrays import check_file
    from snnrun.files import atomic_file
    from snnrun.record.paths import RunPaths

    folder, overrides = find_run(words, "export")
    written = RunPaths(folder).exported.with_suffix(SUFFIXES[to])
    if file is not None:
        written = path_of(file)
        check_file(written, SUFFIXES[to])
    content = _content(to, folder, overrides, euler=stepping is not None)
    with atomic_file(written) as out:
        out.write(content)
    print(written)
    return 0


def _content(to: str, folder: Path, overrides: Sequence[str], *, euler: bool) -> bytes:
    """Return the content of the file."""
    trained = trained_of(folder, overrides)
    if to == "nir":
        return _nir(trained, euler and trained.about["integrator"] == "exact")
    from snnrun.exchange.arrays import npz_of, torch_of

    return npz_of(trained) if to == "npz" else torch_of(trained)


def _nir(trained: Any, euler: bool) -> bytes:
    from snnrun.exchange.nodes import require_nir
    from snnrun.exchange.writer import written

    nir = require_nir(f"snnrun export {TO} nir")
    graph, notices = written(trained, euler=euler)
    for notice in notices:
        print(f"note: {notice}", file=sys.stderr)
    image: Any = io.BytesIO()
    nir.write(image, graph)
    return bytes(image.getvalue())


def trained_of(folder: Path, overrides: Sequence[str] = ()) -> Any:
    """Return the network of a run with the weights of a checkpoint.

    Raises:
        CheckpointError: There is no such checkpoint.
    """
    from snnrun.commands.saved_run import load
    from snnrun.exchange.trained import Trained
    from snnrun.network.build import build_network
    from snnrun.record.paths import RunPaths
    from snnrun.training.checkpoint import load as load_checkpoint
    from snnrun.training.state import saved_ends

    config = load(folder, overrides, "test", keep=False)
    paths = RunPaths(folder)
    saved = load_checkpoint(paths.best if config.LOAD_BEST else paths.last)
    inputs, outputs, shape = saved_ends(saved)
    network = build_network(config, inputs, outputs, shape)
    if config.N_INPUT_DELAY:
        raise ModelError(
            f"N_INPUT_DELAY={config.N_INPUT_DELAY}: the input is several copies of the data, which "
            "no file can say; delays of projections can be written"
        )
    about = {
        "run": folder.name,
        "dataset": config.dataset.name,
        "epochs": int(saved["epoch"]),
        "trial_ms": float(config.TRIAL_MS),
        "loss": str(config.LOSS_TYPE),
        "integrator": str(config.network.integrator),
    }
    return Trained.of(network, saved["tensors"], config.DT_MS, about)
