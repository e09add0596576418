"""Kinds of connections: who is connected by a projection.

A connectivity is data: a function that lists the synapses between two populations, and the options
that it takes. One of your own is chosen for a projection by its dotted path:

    # mylab/connectivity.py
    import numpy as np
    from snnrun.connectivity import Connectivity

    def nearest(pre, post, random):
        i = np.arange(pre)
        return np.concatenate([i, i]), np.concatenate([i, i + 1]) % post

    RING = Connectivity(name="ring", meaning="each neuron to two neighbours", synapses=nearest)

as ``connectivity: mylab.connectivity.RING``. One that looks at the shapes of the populations, or
whose synapses share weights, has a function ``between`` instead; snnrun/connectivity/convolution.py
has examples of all there is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

from snnrun.errors import ConfigError, did_you_mean
from snnrun.keys.key import Key
from snnrun.keys.kinds import TEXT, Kind, shown
from snnrun.load import described, load_object

Pairs = tuple[Any, Any]  # presynaptic and postsynaptic neurons, integers [synapses] each
Shape = tuple[int, ...]  # of a population, as (rows, columns, channels); () where it has none
MODULES = {  # where the built-in kinds are, apart from their names, since NumPy loads slowly
    "dense": "lists",
    "one_to_one": "lists",
    "sparse": "lists",
    "list": "lists",
    "conv2d": "convolution",
    "conv1d": "convolution",
    "sum_pool": "convolution",
    "mean_pool": "convolution",
}
CONNECTIVITIES = tuple(MODULES)
LONGEST = 40  # characters of an option, where a connectivity is told in words
DENSE = "dense"


@dataclass(frozen=True, kw_only=True)
class Ends:
    """The two populations of a projection, as its connectivity sees them.

    Args:
        pre: Number of presynaptic neurons.
        post: Number of postsynaptic neurons; 0 where the connectivity is to say how many.
        source, target: Their shapes. Neuron [y, x, c] of shape [Y, X, C] has number
            (y X + x) C + c, and so for any number of axes.
        same: Whether both are one population.
    """

    pre: int
    post: int
    source: Shape = ()
    target: Shape = ()
    same: bool = False


@dataclass(frozen=True, kw_only=True)
class Connectivity:
    """A kind of connections. All neurons are connected where it has no function.

    Args:
        name: What it is called.
        meaning: One line.
        synapses: Takes the numbers of pre- and postsynaptic neurons, a random generator, which has
            the stream of the projection, and its options by their names; returns the two ends of
            each synapse, integers [S] each, a pair at most once.
        between: The same for one that looks at more: takes Ends, the generator and the options, and
            returns two ends, or Synapses (snnrun.connectivity.synapses), which may share weights.
        options: Its options; each is a Key, with the option's own name.
        check: Takes the options; yields a line for each problem between them.
        target: Takes Ends and the options; returns the shape that the target must have.
        weight: Takes Ends and the options; returns the weight of all synapses, which learning
            leaves as it is.
        values: The options that were chosen, by name; ``read`` enters them.
    """

    name: str
    meaning: str
    synapses: Callable[..., Pairs] | None = None
    between: Callable[..., Any] | None = None
    options: tuple[Key, ...] = ()
    check: Callable[..., Iterator[str]] | None = None
    target: Callable[..., Shape] | None = None
    weight: Callable[..., float] | None = None
    values: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        usual = {option.name: option.convert(option.default)[0] for option in self.options}
        object.__setattr__(self, "values", usual | dict(self.values))

    @property
    def dense(self) -> bool:
        """Whether all neurons are connected."""
        return self.synapses is None and self.between is None

    @property
    def words(self) -> str:
        """The kind, its first option, and those that are not as usual: ``conv2d (kernel 3)``."""
        usual = replace(self, values={}).values
        told = [
            f"{name} {shown(value):.{LONGEST}}"
            for k, (name, value) in enumerate(self.values.items())
            if value is not None and (k == 0 or value != usual.get(name))
        ]
        return f"{self.name} ({', '.join(told)})" if told else self.name

    def problems(self, given: Mapping[str, Any], where: str) -> Iterator[str]:
        """Yield what is wrong with options that are ``given`` under the key ``where``."""
        known = {option.name: option for option in self.options}
        for name in given:
            if name not in known:
                there = ", ".join(known) or "none"
                hint = did_you_mean(str(name), known)
                yield (
                    f"{where}.{name}: connectivity {self.name} has no such option.{hint} "
                    f"It has: {there}"
                )
        wrong = False
        for name, option in known.items():
            if name in given:
                problem = replace(option, name=f"{where}.{name}").convert(given[name])[1]
                wrong = wrong or bool(problem)
                yield from [problem] if problem else []
        if self.check is not None and not wrong:
            for line in self.check(**self.with_options(given).values):
                yield f"{where}: {line}"

    def with_options(self, given: Mapping[str, Any]) -> Connectivity:
        """Return it with these options, which have no problems."""
        known = {option.name: option for option in self.options}
        values = {n: known[n].convert(value)[0] for n, value in given.items() if n in known}
        return replace(self, values=values)


def read(value: Any, where: str) -> Connectivity:
    """Return the connectivity that the value of a configuration key stands for.

    Args:
        value: The name of a built-in kind, the dotted path of one's own, or a mapping with that as
            ``kind`` and options, as ``{kind: conv2d, kernel: 5}``; or a connectivity itself.
        where: The key, for messages.

    Raises:
        ConfigError: There is no such kind, or an option that it does not have or allow.
    """
    if isinstance(value, Connectivity):
        return value
    kind, given = _parts(value, where)
    found = read_kind(kind, where)
    if wrong := list(found.problems(given, where)):
        raise ConfigError("\n".join(wrong), wrong)
    return found.with_options(given)


def read_kind(name: str, where: str) -> Connectivity:
    """Return a kind without options, by its name or dotted path; see ``read``."""
    found = load_object(_path(name), where)
    if not isinstance(found, Connectivity):
        raise ConfigError(
            f"{where}={name}: must be a snnrun Connectivity, but is {described(found)}"
        )
    return found


def built_in(value: Any) -> bool:
    """Return whether a value names no connectivity of one's own, which is found when it is used."""
    kind = value.get("kind") if isinstance(value, Mapping) else value
    return not (isinstance(kind, str) and "." in kind)


def _parts(value: Any, where: str) -> tuple[str, Mapping[str, Any]]:
    """Return the name of the kind and its options; null is as if left out."""
    given = {k: v for k, v in value.items() if v is not None} if isinstance(value, Mapping) else {}
    at = f"{where}.kind" if isinstance(value, Mapping) else where
    if isinstance(value, Mapping) and "kind" not in given:
        raise ConfigError(
            f"{where}={shown(value)}: says no kind, as in {{kind: conv2d, kernel: 5}}; there are "
            f"{', '.join(MODULES)}, or the dotted path of your own"
        )
    key = Key(
        name=at,
        section="",
        meaning=".",
        kind=TEXT,
        default=DENSE,
        choices=CONNECTIVITIES,
        dotted_path=True,
    )
    kind, problem = key.convert(given.pop("kind") if given else value)
    if problem:
        raise ConfigError(problem)
    return kind, given


def _path(kind: str) -> str:
    module = MODULES.get(kind)
    return kind if module is None else f"snnrun.connectivity.{module}.{kind.upper()}"


def option(name: str, kind: Kind, meaning: str, **more: Any) -> Key:
    """Return an option of a connectivity; ``more``: what else a Key has, as its default."""
    return Key(name=name, section="options of a connectivity", kind=kind, meaning=meaning, **more)


def size_of(shape: Shape) -> int:
    """Return the number of neurons of a shape."""
    return prod(shape)
