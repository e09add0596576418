"""Slurm: what a process knows of the job that it is in, and jobs that are submitted."""

from __future__ import annotations

import os
import re
import subprocess
import sys


def job() -> str:
    """Return the number of the job, of a task of an array as in 12_3; an empty string outside."""
    array = os.environ.get("SLURM_ARRAY_JOB_ID")
    if array:
        return f"{array}_{os.environ.get('SLURM_ARRAY_TASK_ID', '')}"
    return os.environ.get("SLURM_JOB_ID", "")


def requeue_if_preempted() -> None:
    """Put this job back into the queue if Slurm takes its place away for another one.

    Slurm does that by itself with jobs that it has to end. One that writes its checkpoint and ends
    within the time that it is given (GraceTime of its partition) would count as done.
    """
    number = os.environ.get("SLURM_JOB_ID")
    if not number:
        return
    try:
        about = ask("scontrol", "show", "job", "--oneliner", number)
        wanted = "JobState=RUNNING" in about and "Requeue=1" in about  # another run may have asked
        if wanted and re.search(r"\bPreemptTime=\d", about):
            ask("scontrol", "requeue", number)
    except (OSError, subprocess.SubprocessError) as error:
        why = getattr(error, "stderr", "") or error
        print(f"job {number} is not put back into the queue: {why}", file=sys.stderr, flush=True)


def ask(*words: str) -> str:
    """Return what a command of Slurm's prints.

    Raises:
        OSError: There is no such command.
        subprocess.SubprocessError: It fails, or does not answer within a minute.
    """
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout
