"""Launching the jobs of a multirun: those of its folder that are neither finished nor at work."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from snnrun.commands.jobs import asked_of, in_its_folder, to_run, values_of, words_of
from snnrun.commands.multirun import Multirun
from snnrun.record.paths import MULTIRUN
from snnrun.sweeps.asked import begun_by, is_sweep, read_asked


def launch(
    arguments: Sequence[str], *, launcher: Any, config: Any, size: int | None
) -> list[Sequence[Any]]:
    """Launch jobs, and return what Hydra says of them, by batches.

    How a job ended, its run folder says, where there is one; without one its error is raised once
    all of its batch have run.

    Args:
        arguments: The overrides of the command.
        launcher: Hydra's.
        config: As composed of them, with Hydra's own node.
        size: So many jobs are launched together; None: all.

    Raises:
        SnnrunError: The folder holds another sweep, or a job without a folder failed.
    """
    if Multirun.refusal is not None:
        raise Multirun.refusal
    folder = Path(config.hydra.sweep.dir)
    folder.mkdir(parents=True, exist_ok=True)
    OmegaConf.save(config, folder / MULTIRUN)
    kept, values = is_sweep(folder), values_of(arguments)
    asked = read_asked(folder) if kept else [asked_of(config, "", arguments)]
    jobs = to_run(folder, Multirun.failed) if kept else list(asked[0].jobs)
    begun = begun_by(asked)
    returned = []
    for start in range(0, len(jobs), size or max(1, len(jobs))):
        batch = jobs[start : start + (size or len(jobs))]
        first = batch[0].number
        words = [words_of(values, job, begun[job.number].base) for job in batch]
        if [job.number for job in batch] != list(range(first, first + len(batch))):
            words = [in_its_folder(own, job) for own, job in zip(words, batch, strict=True)]
        results = launcher.launch(words, initial_job_idx=first)
        returned.append(results)
        Multirun.returned += zip(batch, results, strict=True) if kept else ()
        for result in () if kept else results:
            _ = result.return_value  # raises what the job did
    return returned
