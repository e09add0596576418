"""DVS128 gestures (Amir et al. 2017, CVPR): eleven hand and arm gestures before an event camera.

Squares of f x f pixels (dataset.downsample, by default 4 as in the reference) are one input for
each polarity: channel (floor(y / f) 128 / f + floor(x / f)) 2 + polarity, so 32 x 32 x 2 = 2048
inputs; squares at an edge may be smaller. Times are the milliseconds of the files; the reference
takes them for a thousand times as many. Users 1 to 23 are in the training archive (1,077
recordings), 24 to 29 in the test archive (264). Each recording holds one gesture, as tonic cuts
them. ``speakers`` are the users. Archives of other cameras and other classes are read alike.

Source: https://zenodo.org/records/8060604, a copy of tonic's archives; the MD5 sums are tonic's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from math import ceil, prod, sqrt
from pathlib import Path

import numpy as np

from snnrun.datasets.declaration import DataFile, DataSet, Part, Request
from snnrun.datasets.files import find_file, needed, readable
from snnrun.datasets.gestures import converted, places
from snnrun.datasets.grid import LEAST_USED
from snnrun.datasets.hdf5 import opened
from snnrun.datasets.packing import Events
from snnrun.datasets.spikes import MAX_INDEX, Image
from snnrun.errors import DataError

SIDE = 128  # pixels of the public set's camera along x and y
SITE = "https://zenodo.org/records/8060604/files"
CLASS_NAMES = (
    "hand clapping",
    "right hand wave",
    "left hand wave",
    "right arm clockwise",
    "right arm counter-clockwise",
    "left arm clockwise",
    "left arm counter-clockwise",
    "arm roll",
    "air drums",
    "air guitar",
    "other",
)


def _file(name: str, split: str, md5: str) -> DataFile:
    return DataFile(name=name, split=split, url=f"{SITE}/{name}.gz", md5=md5)


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What a set shows: the pixels of its camera, and its classes."""

    width: int
    height: int
    n_classes: int

    @classmethod
    def of(cls, sizes: Sequence[tuple[int, int]], highest_label: int) -> Scene:
        """Return the scene of archives whose pixels reach to these (width, height)."""
        width, height = (max(1, *side) for side in zip(*sizes, (1, 1), strict=True))
        if LEAST_USED * SIDE <= max(width, height) <= SIDE:
            width = height = SIDE
        return cls(width=width, height=height, n_classes=highest_label + 1)

    def columns(self, factor: int) -> int:
        """Return how many squares of ``factor`` x ``factor`` pixels lie beside each other."""
        return ceil(self.width / factor)

    def image(self, factor: int) -> Image:
        """Return rows and columns of squares, and their channels: one for each polarity."""
        return ceil(self.height / factor), self.columns(factor), 2

    def channels(self, factor: int) -> int:
        """Return how many inputs there are: two for each square."""
        return prod(self.image(factor))

    @property
    def is_public(self) -> bool:
        """Whether it is that of the public set."""
        return (self.width, self.height, self.n_classes) == (SIDE, SIDE, len(CLASS_NAMES))

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the gestures, or numbers where there are others."""
        count = self.n_classes
        return CLASS_NAMES if count == len(CLASS_NAMES) else tuple(map(str, range(count)))


def read(request: Request) -> dict[str, Part]:
    """Return the parts, their pixels joined to squares of dataset.downsample."""
    factor, folder = request.options.downsample, request.folder
    sources = {f.split: (readable(folder, f), f.name) for f in needed(DVS, request.parts)}
    paths = {split: converted(*source) for split, source in sources.items()}
    scene = _scene_of(list(paths.values()))
    if not scene.is_public:  # it is that of all archives, whichever of them are read
        there = [file for file in DVS.files if find_file(folder, file)]
        scene = _scene_of([converted(readable(folder, file), file.name) for file in there])
    _check_size(scene, factor)
    return {n: _part(path, str(sources[n][0]), factor, scene) for n, path in paths.items()}


def _part(path: Path, source: str, factor: int, scene: Scene) -> Part:
    with opened(path) as file:
        labels, users, events = file["labels"][:], file["users"][:], len(file["pixels"])
    return Part(
        events=partial(event_blocks, path, factor, scene),
        labels=labels,
        n_channels=scene.channels(factor),
        n_classes=scene.n_classes,
        speakers=None if (users < 0).any() else users,
        class_names=scene.class_names,
        source=source,
        at_most_events=events,
        image=scene.image(factor),
    )


def _scene_of(paths: Sequence[Path]) -> Scene:
    sizes, highest = [], 0
    for path in paths:
        with opened(path) as file:
            sizes.append((int(file.attrs["width"]), int(file.attrs["height"])))
            highest = max(highest, int(file["labels"][:].max()))
    return Scene.of(sizes, highest)


def _check_size(scene: Scene, factor: int) -> None:
    """Raise DataError where there would be more inputs than can be stored."""
    if scene.channels(factor) <= MAX_INDEX:
        return
    least = int(sqrt(2 * scene.width * scene.height / MAX_INDEX))
    while scene.channels(least) > MAX_INDEX:
        least += 1
    raise DataError(
        f"dataset.downsample={factor}: {scene.width} x {scene.height} pixels are "
        f"{scene.channels(factor)} inputs, and {MAX_INDEX} can be stored; use "
        f"dataset.downsample={least} or more"
    )


def event_blocks(path: Path, factor: int, scene: Scene) -> Iterator[Events]:
    """Yield the events of each recording of a converted archive, on the coarser grid of pixels."""
    columns, start = scene.columns(factor), 0
    with opened(path) as file:
        pixels, times = file["pixels"], file["times_ms"]  # open throughout: chunks stay unpacked
        for count in file["counts"][:]:
            rows = slice(start, start + count)
            x, y, polarity = places(pixels[rows])
            yield Events(
                counts=np.array([count]),
                times_ms=times[rows],
                channels=(y // factor * columns + x // factor) * 2 + polarity,
            )
            start += count


DVS = DataSet(
    name="dvs",
    title="DVS128 gestures (Amir et al. 2017, CVPR, pages 7243-7252)",
    read=read,
    files=(
        _file("ibmGestureTrain.tar", "train", "3a8f0d4120a166bac7591f77409cb105"),
        _file("ibmGestureTest.tar", "test", "56070e45dadaa85fff82e0fbfbc06de5"),
    ),
)
