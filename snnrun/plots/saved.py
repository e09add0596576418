"""Pictures from the records of runs that exist: which there are, and those that are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from snnrun.errors import ConfigError, RecordError, SnnrunError, did_you_mean
from snnrun.plots import training
from snnrun.plots.activity import activity, activity_by_epoch
from snnrun.plots.by_epoch import over_epochs
from snnrun.plots.comparison import with_epochs
from snnrun.plots.confusion import confusion
from snnrun.plots.decisions import applies, decisions, decisions_over_time
from snnrun.plots.learned import pictures_of
from snnrun.plots.raster import raster_over_time
from snnrun.plots.records import Asked, Records, after, counted
from snnrun.plots.style import DPI, Picture, Size, evenly
from snnrun.plots.trials import example_of, rasters, side_by_side, variables
from snnrun.record.columns import PHASES
from snnrun.record.reader import Run

Draw = Callable[[Records, Asked], Iterator[Picture]]
COURSE = "training"
MOMENT, EXAMPLE = ("--epoch", "--trial"), ("--epoch", "--trial", "--example")


@dataclass(frozen=True)
class Kind:
    """Pictures that are drawn together.

    Args:
        needs: Name of each -> what a run must have for it.
        draw: Yields those for which there is something; raises RecordError where what is asked for
            was not recorded.
        takes: Options that choose what is shown.
    """

    needs: Mapping[str, str]
    draw: Draw
    takes: tuple[str, ...] = ()


def _course(records: Records, asked: Asked) -> Iterator[Picture]:
    if len(records.run.epochs.get("epoch", ())):
        yield _training(records.run, records.title)


def _training(run: Run, title: str, until: int | None = None) -> Picture:
    """Return the course of a run, of its first ``until`` epochs."""
    count = len(run.epochs["epoch"])
    epochs = {name: values[:until] for name, values in run.epochs.items()}
    test = run.test if until in (None, count) else None
    return training.course(epochs, run.task, test, title)


def _learned(records: Records, asked: Asked) -> Iterator[Picture]:
    if records.network is None:
        return
    tensors, when = records.tensors(asked)
    earlier = {
        f"epoch {epoch}" + (f", trial {trial}" if trial else ""): records.run.delays(epoch, trial)
        for epoch, trial in (records.run.recorded()["weights"] if not asked.given else ())
        if (epoch, trial) > (0, 0)
    }
    earlier = {when: delays for when, delays in earlier.items() if delays}
    found = records.learned(tensors, earlier)
    yield from pictures_of(found, records.title, when, records.run.config["dataset"]["name"])


def _activity(records: Records, asked: Asked) -> Iterator[Picture]:
    saved, network = records.checkpoint, records.network
    if saved is None or network is None or "neuron_spikes" not in saved:
        return
    epoch = saved["epoch"] - (saved["trial"] == 0)
    trials = records.run.trials
    here = (trials["epoch"] == epoch) & (trials["phase"] == PHASES["train"])
    here &= (trials["trial"] < saved["trial"]) | (saved["trial"] == 0)
    examples, at, found = int(trials["examples"][here].sum()), 0, {}
    for layer in network.layers:
        neuron, size = layer.population.neuron, layer.population.size
        if neuron is not None and neuron.threshold and layer is not network.layers[-1]:
            found[layer.population.name] = saved["neuron_spikes"][at : at + size] / max(1, examples)
        at += size
    if examples and found:
        title = f"{records.title}: spikes of hidden neurons in the training of epoch {epoch}"
        yield activity(found, title)


def _activity_by_epoch(records: Records, asked: Asked) -> Iterator[Picture]:
    epochs = records.run.epochs
    if len(epochs.get("epoch", ())) and any(c.startswith("spikes_per_neuron/") for c in epochs):
        populations = records.network.populations if records.network else ()
        sizes = {population.name: population.size for population in populations}
        yield activity_by_epoch(epochs, sizes, f"{records.title}: activity")


def _confusion(records: Records, asked: Asked) -> Iterator[Picture]:
    """Yield the matrices of an epoch, of the last one with the test's."""
    run, found = records.run, {}
    epochs = [int(epoch) for epoch in run.epochs.get("epoch", ())]
    for split in ("train", "validation", "test"):
        with suppress(RecordError):  # not collected
            counts, none = run.confusion(split), run.no_prediction(split)
            found[split] = np.concatenate([counts, none[:, None]], axis=1)
    if "validation" in found:
        found.pop("train", None)
    when = "of the test"
    if asked.given:
        found.pop("test", None)
    if found.keys() - {"test"}:
        epoch = epochs[-1] if asked.epoch is None else counted(epochs, asked.epoch)
        if epoch not in epochs:
            raise RecordError(
                f"--epoch {epoch}: no confusion matrix was recorded then; recorded epochs: "
                f"{epochs[0]} to {epochs[-1]}"
            )
        when, place = after(epoch + 1), epochs.index(epoch)
        found = {s: counts[place if s != "test" else -1] for s, counts in found.items()}
    else:
        found = {split: counts[-1] for split, counts in found.items()}
    if found:
        yield confusion(found, run.class_names, f"{records.title}: confusion {when}")


def _decisions(records: Records, asked: Asked) -> Iterator[Picture]:
    if applies(records):
        yield decisions(records, asked)


_EPOCHS = "an epoch that has ended"
_WEIGHTS = "weights that were recorded (W_REPORT_INTERVAL, W_OUTPUT_EPOCH_TRIAL, REC_SYNAPSES)"
_CHECKPOINT = "a checkpoint"
KINDS = (
    Kind({COURSE: _EPOCHS}, _course),
    Kind({"activity": _CHECKPOINT}, _activity),
    Kind({"activity_by_epoch": _EPOCHS}, _activity_by_epoch),
    Kind({"confusion": "COLLECT_CONFUSION=true"}, _confusion, ("--epoch",)),
    Kind({"raster": "REC_SPIKES"}, rasters, EXAMPLE),
    Kind({"potentials": "REC_NEURONS"}, variables, EXAMPLE),
    Kind({"pattern": "dataset=pattern and REC_SPIKES"}, lambda r, _: side_by_side(r)),
    Kind(
        {
            "network": _CHECKPOINT,
            "weights": _CHECKPOINT,
            "fields": "a checkpoint, and inputs that are the pixels of a square",
            "kernels": "a checkpoint, and a convolution",
            "time_constants": "a checkpoint, and TRAIN_TAU or time constants that are drawn",
            "delays": "a checkpoint, and delays that learn or differ",
        },
        _learned,
        MOMENT,
    ),
    Kind(
        {
            "weights_by_epoch": _WEIGHTS,
            "delays_by_epoch": "delays that learn",
            "time_constants_by_epoch": "time constants that learn",
        },
        lambda records, _: over_epochs(records),
    ),
    Kind({"decisions": "dataset=yinyang, and a checkpoint"}, _decisions, MOMENT),
)
NAMES = {name: kind for kind in KINDS for name in kind.needs}
MOVING = tuple(  # of which there are animations
    name
    for name in NAMES
    if name == COURSE or ("--epoch" in NAMES[name].takes and name not in ("potentials", "network"))
)


def write_all(
    records: Records,
    what: Sequence[str] = (),
    asked: Asked | None = None,
    size: Size | None = None,
    dpi: float = DPI,
    left_out: list[str] | None = None,
) -> list[Path]:
    """Make pictures of one run in its folder ``plots``, and return their files.

    Args:
        records: The run.
        what: Names of pictures; without them all for which there is something.
        asked: What of it to show.
        size: Of each, in inches.
        dpi: Dots per inch.
        left_out: Is given why a picture could not be made that was not asked for by name.

    Raises:
        SnnrunError: There is nothing to show, or a record or checkpoint cannot be read.
    """
    written = []
    for picture in pictures(records, what, asked, left_out):
        try:
            written.append(picture.write(records.run.paths, size, dpi))
        except SnnrunError as error:
            if what or left_out is None:
                raise
            left_out.append(f"{picture.name}: {error}")
    return written


def pictures(
    records: Records,
    what: Sequence[str] = (),
    asked: Asked | None = None,
    left_out: list[str] | None = None,
) -> list[Picture]:
    """Return pictures of a run.

    Args:
        records: The run.
        what: Names of pictures; without them all for which there is something.
        asked: What of it to show; without ``what``, only pictures that take that.
        left_out: Is given what could not be read, where everything is to be shown.

    Raises:
        ConfigError: There is no such picture, or it takes no such option.
        RecordError: A picture that is asked for has nothing to show, or none has.
    """
    asked = asked or Asked()
    _check(records, what, asked)
    kinds = [kind for kind in KINDS if not what or kind.needs.keys() & set(what)]
    found, problems = [], []
    for kind in kinds:
        if asked.given.keys() <= set(kind.takes):
            try:
                drawn = kind.draw(records, asked)
                found += [picture for picture in drawn if not what or picture.name in what]
            except SnnrunError as error:
                problems.append(str(error))
    missing = [name for name in what if name not in [picture.name for picture in found]]
    if missing or not found:
        raise RecordError(_nothing(records, missing, problems))
    if left_out is not None and not (what or asked.given):
        left_out += dict.fromkeys(problems)
    return found


def frames(records: Records, name: str, asked: Asked) -> list[Picture]:
    """Return the pictures of an animation.

    Raises:
        ConfigError: There is none of this name.
        RecordError: It would have one picture or none.
    """
    if name not in MOVING:
        raise ConfigError(f"--what {name}: is no animation; there are {', '.join(MOVING)}")
    pictures(records, [name], asked)
    run, recorded = records.run, records.run.recorded()["weights"]
    if name == "raster":
        return list(raster_over_time(example_of(records, asked)))
    epochs = len(run.epochs.get("epoch", ()))
    if name == COURSE:
        shown = [_training(run, records.title, k + 1) for k in evenly(range(epochs))]
    elif name == "confusion":
        moments = [Asked(epoch=int(epoch)) for epoch in evenly(run.epochs["epoch"].tolist())]
        shown = [picture for one in moments for picture in _confusion(records, one)]
    else:
        moments = [Asked(epoch=e, trial=t) for e, t in evenly(recorded)]
        if name == "decisions":
            shown = list(decisions_over_time(records, moments))
        else:
            every = (picture for one in moments for picture in _learned(records, one))
            shown = [picture for picture in every if picture.name == name]
    if len(shown) < 2:
        needs = _EPOCHS if name in (COURSE, "confusion") else _WEIGHTS
        raise RecordError(f"--what {name}: an animation needs several moments: {needs}")
    return shown


def there_are(records: Records) -> list[str]:
    """Return the names of the pictures that there are of a run."""
    return [picture.name for kind in KINDS for picture in kind.draw(records, Asked())]


def _check(records: Records, what: Sequence[str], asked: Asked) -> None:
    unknown = [name for name in what if name not in NAMES]
    if unknown:
        hint = did_you_mean(unknown[0], NAMES)
        raise ConfigError(
            f"--what {','.join(unknown)}: there is no such picture.{hint} "
            f"Pictures: {', '.join(NAMES)}. {_there(records)}"
        )
    for option in asked.given:
        idle = [name for name in what if option not in NAMES[name].takes]
        if idle:
            able = [name for name, kind in NAMES.items() if option in kind.takes]
            raise ConfigError(
                f"{option}: has no effect on {', '.join(idle)}; it is for {', '.join(able)}"
            )


def _there(records: Records) -> str:
    return f"Of this run there are: {', '.join(there_are(records)) or 'none'}"


def _nothing(records: Records, missing: Sequence[str], problems: Sequence[str]) -> str:
    """Say what a run has no pictures of, and of what it has some."""
    folder = records.run.paths.root
    if problems:
        return "\n".join(dict.fromkeys(problems))
    if missing:
        needs = "; ".join(f"{name} needs {NAMES[name].needs[name]}" for name in missing)
        return (
            f"--what {','.join(missing)}: {folder} has nothing for it: {needs}. {_there(records)}"
        )
    with_epochs(records.run)
    raise RecordError(f"{folder}: there is nothing to plot")
