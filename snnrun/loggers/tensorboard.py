"""``logger=tensorboard``: event files in the folder ``tensorboard`` of the run folder."""

from __future__ import annotations

import struct
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.types_pb2 import DT_STRING
from tensorboard.plugins.hparams.metadata import (
    PLUGIN_DATA_VERSION,
    PLUGIN_NAME,
    SESSION_START_INFO_TAG,
)
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionStartInfo
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from snnrun.loggers.base import LoggedRun, Logger, Row, ends, epoch_of, figures
from snnrun.record.paths import RunPaths


class TensorBoard(Logger):
    """Writes a scalar for each figure, the configuration as text and as hyperparameters, pictures.

    A process that goes on writes a file of its own, which begins by taking back whatever an earlier
    one holds of the epochs that come again.
    """

    def begin(self, run: LoggedRun) -> int:
        folder = RunPaths(run.folder).tensorboard
        goes_on = any(folder.glob("*tfevents*"))
        first = min(run.logged, run.epochs) if goes_on else 0
        self._last = max(first - 1, 0)
        self._writer = EventFileWriter(str(folder))
        if goes_on:
            again = SessionLog(status=SessionLog.START)
            self._writer.add_event(Event(wall_time=time.time(), step=first, session_log=again))
        else:
            self._add(0, [_hyperparameters(run.config)])
        lines = (f"    {key}: {value}" for key, value in run.config.items())
        self._add(first, [_text("config", "\n".join(lines))])
        self._writer.flush()
        return first

    def log(self, rows: Sequence[Row]) -> None:
        for row, when in zip(rows, ends(rows), strict=True):
            self._last = epoch_of(row)
            self._add(self._last, map(_scalar, *zip(*figures(row).items(), strict=True)), when)
        self._writer.flush()

    def finish(self, test: Mapping[str, float], pictures: Sequence[Path]) -> None:
        self._add(self._last, [_scalar(name, value) for name, value in test.items()])
        self._add(self._last, [_picture(file) for file in pictures])
        self._writer.flush()

    def close(self, state: str) -> None:
        self._writer.close()

    def _add(self, step: int, values: Iterable[Summary.Value], when: float | None = None) -> None:
        event = Event(wall_time=when or time.time(), step=step, summary=Summary(value=values))
        self._writer.add_event(event)


def _scalar(name: str, value: float) -> Summary.Value:
    return Summary.Value(tag=name, simple_value=value)


def _text(name: str, text: str) -> Summary.Value:
    plugin = SummaryMetadata.PluginData(plugin_name="text")
    return Summary.Value(
        tag=name,
        metadata=SummaryMetadata(plugin_data=plugin),
        tensor=TensorProto(dtype=DT_STRING, string_val=[text.encode()]),
    )


def _hyperparameters(config: Mapping[str, Any]) -> Summary.Value:
    """Return what TensorBoard's table of hyperparameters is made of."""
    info = SessionStartInfo()
    for key, value in config.items():
        if isinstance(value, bool):
            info.hparams[key].bool_value = value
        elif isinstance(value, int | float):
            info.hparams[key].number_value = value
        else:
            info.hparams[key].string_value = str(value)
    content = HParamsPluginData(session_start_info=info, version=PLUGIN_DATA_VERSION)
    plugin = SummaryMetadata.PluginData(
        plugin_name=PLUGIN_NAME, content=content.SerializeToString()
    )
    return Summary.Value(tag=SESSION_START_INFO_TAG, metadata=SummaryMetadata(plugin_data=plugin))


def _picture(file: Path) -> Summary.Value:
    content = file.read_bytes()
    width, height = struct.unpack(">II", content[16:24])  # where PNG has them
    image = Summary.Image(width=width, height=height, colorspace=4, encoded_image_string=content)
    return Summary.Value(tag=file.stem, image=image)
