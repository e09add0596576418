"""What a process knows of the job of Slurm that it is in, and asks of Slurm for it."""

from __future__ import annotations

import os


def job() -> str:
    """Return the number of the job, of a task of an array as in 12_3; an empty string outside."""
    array = os.environ.get("SLURM_ARRAY_JOB_ID")
    if array:
        return f"{array}_{os.environ.get('SLURM_ARRAY_TASK_ID', '')}"
    return os.environ.get("SLURM_JOB_ID", "")
