"""Run folders: what a run writes, and how to read it back."""

from snnrun.errors import RecordError
from snnrun.record.reader import Run, load_run
from snnrun.record.spikes import SpikeRecord

__all__ = ["RecordError", "Run", "SpikeRecord", "load_run"]
