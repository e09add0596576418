"""What a network that learned Yin-Yang makes of every point of its square."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from snnrun.datasets.grid import Grid
from snnrun.datasets.spikes import Split, Splits
from snnrun.datasets.yinyang import CLASS_NAMES, R_BIG, YINYANG, classify, part_of
from snnrun.errors import RecordError
from snnrun.plots.records import Asked, Records, Tensors
from snnrun.plots.style import BLACK, BLUE, GREY, ORANGE, VERMILION, Picture, legend_below, tidy
from snnrun.training.evaluate import run_examples
from snnrun.training.state import load_tensors

SIDE = 120  # points along a side of the square
COLOURS = (GREY, BLUE, ORANGE, VERMILION)  # of no decision, and of the classes


def applies(records: Records) -> bool:
    """Return whether there is such a picture of a run."""
    config = records.config
    able = config.dataset.name == YINYANG.name and config.REDUCED_CLASSES is None
    return able and records.opener is not None and records.checkpoint is not None


def decisions(records: Records, asked: Asked) -> Picture:
    """Return the decisions at the last checkpoint, or where all that is learned was recorded."""
    tensors, when = records.tensors(asked)
    return _picture(records, when, lambda: next(_predictions(records, [tensors])))


def decisions_over_time(records: Records, moments: Iterable[Asked]) -> Iterator[Picture]:
    """Yield the decisions at recorded moments, for an animation."""
    found = [records.tensors(asked) for asked in moments]
    predictions = _predictions(records, [tensors for tensors, _ in found])
    for (_, when), predicted in zip(found, predictions, strict=True):
        yield _picture(records, when, partial(np.asarray, predicted))


def _picture(records: Records, when: str, predictions: Callable[[], np.ndarray]) -> Picture:
    title = f"{records.title}: decisions {when}"
    return Picture("decisions", (6.2, 6.8), title, lambda figure: _draw(figure, predictions()))


def points() -> np.ndarray:
    """Return the middles of the fields of a grid on the unit square, [SIDE * SIDE, 2], by rows."""
    middles = (np.arange(SIDE) + 0.5) / SIDE
    x, y = np.meshgrid(middles, middles)
    return np.column_stack([x.ravel(), y.ravel()])


def _predictions(records: Records, states: Iterable[Tensors]) -> Iterator[np.ndarray]:
    """Yield the predicted class of each point, -1: none, for each state of what is learned."""
    config, saved, xy = records.config, records.checkpoint, points()
    assert saved is not None
    assert records.opener is not None
    grid = Grid.of(config)
    data = grid.put(part_of(xy, classify(*xy.T)))
    train, test = (Split(name=n, data=data, examples=np.arange(len(xy))) for n in ("train", "test"))
    splits = grid.with_channels_rescaled(Splits(train=train, test=test), config.RESCALE_X)
    assert splits.test is not None
    with records.opener(config, splits) as backend:
        for state in states:
            missing = [name for name in saved["tensors"] if name not in state]
            if missing:
                raise RecordError(
                    f"decisions: {', '.join(missing)} was not recorded then; W_OUTPUT_EPOCH_TRIAL "
                    "and W_REPORT_INTERVAL record all that is learned"
                )
            tensors = {name: {"value": np.ascontiguousarray(state[name])} for name in state}
            where = str(records.run.paths.last)
            load_tensors({**saved, "tensors": tensors}, backend, states=False, where=where)
            yield run_examples(config, backend, splits, splits.test).prediction


def _draw(figure: Figure, predicted: np.ndarray) -> None:
    axes = figure.add_subplot()
    xy = points()
    right = predicted == classify(*xy.T)
    inside = np.hypot(*(xy - R_BIG).T) <= R_BIG
    colours = ListedColormap([[0.5 + 0.5 * c for c in to_rgb(colour)] for colour in COLOURS])
    image = predicted.reshape(SIDE, SIDE)
    axes.imshow(image, colours, vmin=-1.5, vmax=2.5, origin="lower", extent=(0, 1, 0, 1))
    _draw_borders(axes)
    tidy(axes, f"{right[inside].mean():.1%} of the circle as it should be", "x", "y")
    axes.grid(visible=False)
    names = {-1: "none", **dict(enumerate(CLASS_NAMES))}
    there = [k for k in names if k >= 0 or (predicted < 0).any()]
    handles = [Patch(color=colours(k + 1)) for k in there]
    legend_below(figure, handles, [names[k] for k in there])


def _draw_borders(axes: Axes) -> None:
    """Draw the borders of the true classes."""
    line = np.linspace(0, 1, 5 * SIDE)
    x, y = np.meshgrid(line, line)
    inside = np.hypot(x - R_BIG, y - R_BIG) <= R_BIG
    for label in range(len(CLASS_NAMES)):
        within = inside & (classify(x, y) == label)
        axes.contour(x, y, within, levels=[0.5], colors=BLACK, linewidths=1.2)
