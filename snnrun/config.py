"""The configuration of a run: checked as a whole, read-only, complete.

``validate`` takes what Hydra composed, or any mapping, and gives a ``Config`` or one ConfigError
that lists every problem there is: nothing is built before the configuration is right.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from snnrun.errors import ConfigError, did_you_mean
from snnrun.keys.check import Checked, count_of, problems, steps_in_trial
from snnrun.keys.files import conf_dir as conf_dir
from snnrun.keys.key import Key
from snnrun.keys.kinds import plain, shown
from snnrun.optimisers import find_optimiser
from snnrun.rules import RULES
from snnrun.schema import (
    ALIASES,
    BASE,
    DATASETS,
    GROUP_NAMES,
    SCHEMA,
    checks,
    graph,
    optimisers,
    rules,
)
from snnrun.schema.choices import (
    LayerChoice,
    expand_all,
    expand_pairs,
    graph_of,
    layers_of,
    population_names,
    projection_names,
)
from snnrun.schema.effect import COUNTS, used_keys, without_effect
from snnrun.schema.given import Graph
from snnrun.schema.hints import unknown_key

CHECKS = (*checks.CHECKS, *graph.CHECKS, *rules.CHECKS, *optimisers.CHECKS)
# Keys whose value "validation" stands for "training" where there is no validation set
OF_VALIDATION = ("CHECKPOINT_BEST", "EMA_WHICH", "PATIENCE_WHICH", "schedule.which")


class NoSuchKey(ConfigError, AttributeError):  # noqa: N818  what is missing, as KeyError
    """A value that is asked for and is not there, as an option of a user's own data set."""


class Options:
    """Read-only values by attribute, as in ``config.backend.threads``."""

    __slots__ = ("_values",)
    _values: dict[str, Any]

    def __init__(self, values: Mapping[str, Any]) -> None:
        frozen = {
            name: MappingProxyType(dict(value)) if isinstance(value, Mapping) else value
            for name, value in values.items()
        }
        object.__setattr__(self, "_values", frozen)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # copy and pickle ask for these before _values exists
            raise AttributeError(name)
        try:
            return self._values[name]
        except KeyError:
            hint = did_you_mean(name, self._values)
            if name.islower():
                hint += (
                    " An option of a data set of your own is given in its .yaml file, or as "
                    f"+dataset.{name}=VALUE"
                )
            raise NoSuchKey(f"the configuration has no {name!r}.{hint}") from None

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"{name}: a configuration cannot be changed; validate another one")

    def __reduce__(self) -> tuple[Any, ...]:
        thawed = {  # a mapping proxy cannot be pickled
            name: dict(value) if isinstance(value, Mapping) else value
            for name, value in self._values.items()
        }
        return type(self), (thawed,)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self.to_dict() == other.to_dict()

    __hash__ = None  # type: ignore[assignment]

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.to_dict()!r})"

    def get(self, name: str, default: Any = None) -> Any:
        """Return the value called ``name``, or ``default`` where there is none."""
        return self._values.get(name, default)

    def to_dict(self) -> dict[str, Any]:
        """Return a plain dictionary (lists, dictionaries, numbers, texts) for the records."""
        return {
            name: value.to_dict() if isinstance(value, Options) else plain(value)
            for name, value in self._values.items()
        }


class Config(Options):
    """The configuration of a run.

    Every upper-case key is an attribute (``config.DT_MS``), and so is every group (``dataset``,
    ``network``, ``rule``, ``backend``, ``record``) with its options (``config.dataset.path``).
    N_TRAIN, N_VALIDATE and N_TEST are numbers of examples or None (all that remain), MODEL_SEED and
    SPK_REC_STEPS are numbers, recorded names are full names, and epochs of recordings count from
    the start.
    """

    __slots__ = ()

    @property
    def steps(self) -> int:
        """Return the number of steps of a trial."""
        steps = steps_in_trial(self._values)
        if steps is None:  # validate() lets none through
            raise ConfigError("TRIAL_MS must be a whole number of DT_MS")
        return steps

    @property
    def populations(self) -> tuple[str, ...]:
        """Return the names of the populations, input first, output last."""
        return population_names(self.by_key())

    @property
    def projections(self) -> tuple[str, ...]:
        """Return the names of the projections, from the input to the output."""
        return projection_names(self.by_key())

    @property
    def graph(self) -> Graph:
        """Return what is given of the network's populations and projections."""
        return graph_of(self.by_key())

    @property
    def layers(self) -> tuple[LayerChoice, ...]:
        """Return the layers with everything that they were given or take from other keys."""
        return layers_of(self.by_key())

    def by_key(self) -> dict[str, Any]:
        """Return key -> value, with options under their full names, as ``rule.name``."""
        flat = dict(self._values)
        for group in GROUP_NAMES:
            options = flat.pop(group)
            flat |= {f"{group}.{option}": options.get(option) for option in options}
        return flat


def from_dict(source: Mapping[str, Any]) -> Config:
    """Return the configuration with the keys of ``source``; others have their data set's defaults.

    A group may be given by its name alone, as in ``{"dataset": "shd", "ETA": 1e-3}``.
    """
    return validate(source)


def validate(source: Any) -> Config:
    """Return the checked configuration.

    Args:
        source: What Hydra composed, or a mapping. Keys it lacks have their data set's defaults.

    Raises:
        ConfigError: With one line for every unknown key, wrong value and impossible combination.
    """
    given, wrong = _flatten(_to_plain(source))
    name = given.get("dataset.name", SCHEMA["dataset.name"].default)
    dataset = name if isinstance(name, str) and name in DATASETS else BASE
    wrong += _settle_aliases(given, dataset)
    values = _convert(SCHEMA, given, dataset, wrong)
    own_keys = _keys_of_own_rules(values, wrong) | _keys_of_own_optimiser(values)
    values.update(_convert(own_keys, given, dataset, wrong))
    own_options, unknown = _sort_out_unknown(given, name, own_keys)
    wrong += unknown
    wrong += without_effect(values, dataset, own_keys)
    wrong += problems(CHECKS, values)
    if wrong:
        raise ConfigError(listed(wrong, "in the configuration"), wrong)
    return _assemble(_resolve(values), own_options)


def _convert(
    keys: Mapping[str, Key], given: Mapping[str, Any], dataset: str, wrong: list[str]
) -> Checked:
    """Return the clean values of ``keys``; what is wrong with others is added to ``wrong``."""
    values = Checked()
    for key in keys.values():
        value, problem = key.convert(given.get(key.name, key.datasets.get(dataset, key.default)))
        if problem:
            wrong.append(problem)
        else:
            values[key.name] = value
    return values


def _keys_of_own_rules(values: dict[str, Any], wrong: list[str]) -> dict[str, Key]:
    """Return the options of a user's own rules; what names one that is not there is taken out."""
    try:
        chosen = rules.rules_of(values)
    except ConfigError as error:
        wrong.append(str(error))
        for name in ("rule.name", "network.layers", "network.projections"):
            values.pop(name, None)
        return {}
    own = [rule for name, rule in chosen.items() if name not in RULES]
    return {key.name: key for rule in own for key in rule.options}


def _keys_of_own_optimiser(values: Mapping[str, Any]) -> dict[str, Key]:
    """Return the options of a user's own optimiser; schema/optimisers.py says what is wrong."""
    try:
        return {key.name: key for key in find_optimiser(values["optimiser.name"]).options}
    except (ConfigError, KeyError):
        return {}


def words_in(overrides: Iterable[str]) -> list[str]:
    """Return overrides as they were typed, of Hydra's own node or of a file.

    An interpolation in one of them is of the configuration, and not of the list.
    """
    words: Any = overrides
    if type(overrides).__module__.startswith("omegaconf"):
        from omegaconf import OmegaConf

        words = OmegaConf.to_container(words, resolve=False)
    return [str(word) for word in words]


def flat(source: Any) -> dict[str, Any]:
    """Return name -> value of what ``validate`` takes, options as ``group.option``."""
    return _flatten(_to_plain(source))[0]


def differences(there: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, str]:
    """Return key -> what differs between two configurations, as in ``1 there, 2 now``."""

    def told(values: Mapping[str, Any], key: str) -> str:
        return shown(values[key]) if key in values else "nothing"

    return {
        key: f"{told(there, key)} there, {told(now, key)} now"
        for key in dict.fromkeys([*there, *now])
        if key not in there or key not in now or there[key] != now[key]
    }


def listed(wrong: Sequence[str], where: str) -> str:
    """Return one message for all problems: the only one, or a line for each."""
    if len(wrong) == 1:
        return wrong[0]
    return "\n".join([f"{len(wrong)} problems {where}:", *(f"  {problem}" for problem in wrong)])


def _to_plain(source: Any) -> Mapping[str, Any]:
    if isinstance(source, Options):
        return source.to_dict()
    if isinstance(source, Mapping) and not type(source).__module__.startswith("omegaconf"):
        return source
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        container = OmegaConf.to_container(source, resolve=True)
    except (OmegaConfBaseException, ValueError) as error:
        raise ConfigError(f"the configuration cannot be resolved: {error}") from error
    if not isinstance(container, dict):
        raise ConfigError(f"a configuration is a mapping of keys to values, not {source!r}")
    return {str(key): value for key, value in container.items()}


def _flatten(source: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return name -> value with options as ``group.option``, and what is wrong with the groups."""
    flat: dict[str, Any] = {}
    wrong = []
    for name, value in source.items():
        if name not in GROUP_NAMES:
            flat[str(name)] = value
        elif isinstance(value, Mapping):
            flat |= {f"{name}.{option}": v for option, v in value.items()}
        elif isinstance(value, str):
            flat[f"{name}.name"] = value
        elif value is not None:
            wrong.append(f"{name}={shown(value)}: must be a group of options with a name")
    return flat, wrong


def _settle_aliases(given: dict[str, Any], dataset: str) -> list[str]:
    """Put what is given under another spelling of a key under the key itself."""
    wrong = []
    for alias, name in ALIASES.items():
        if alias not in given:
            continue
        value = given.pop(alias)
        other = given.get(name, value)
        if other not in (value, SCHEMA[name].default_of(dataset)):
            wrong.append(
                f"{alias}={shown(value)}: another spelling of {name}, which is {shown(other)}; "
                "give one of the two"
            )
        given[name] = value
    return wrong


def _sort_out_unknown(
    given: dict[str, Any], name: Any, of_rules: Mapping[str, Key]
) -> tuple[dict[str, Any], list[str]]:
    """Return the options that only a user's own data set knows, and a line per unknown key."""
    own = isinstance(name, str) and "." in name
    options: dict[str, Any] = {}
    wrong = []
    for key in [k for k in given if k not in SCHEMA and k not in of_rules]:
        group, _, option = key.partition(".")
        if own and group == "dataset" and option:
            options[option] = given[key]
        else:
            wrong.append(unknown_key(key, shown(given[key])))
    return options, wrong


def _resolve(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``values`` with everything settled that depends on other keys."""
    full = dict(values)
    for key in COUNTS:
        full[key] = count_of(values, key)
    if full["N_VALIDATE"] == 0:
        of_none = [key for key in OF_VALIDATION if values[key] == "validation"]
        full |= dict.fromkeys(set(of_none) & set(used_keys(values)), "training")
    if full["MODEL_SEED"] is None:
        full["MODEL_SEED"] = secrets.randbits(31)
    if full["SPK_REC_STEPS"] is None:
        full["SPK_REC_STEPS"] = steps_in_trial(values)
    populations = population_names(values)
    projections = projection_names(values)
    full["REC_SPIKES"] = expand_all(values["REC_SPIKES"], populations)
    full["REC_NEURONS"] = expand_pairs(values["REC_NEURONS"], populations)
    full["REC_SYNAPSES"] = expand_pairs(values["REC_SYNAPSES"], projections)
    for key in checks.EPOCH_TRIAL_KEYS:
        full[key] = _from_start(values[key], values["N_EPOCH"])
    if full["network.name"] in ("feedforward", "recurrent"):  # a label: RECURRENT decides
        full["network.name"] = "recurrent" if values["RECURRENT"] else "feedforward"
    return full


def _from_start(pairs: Iterable[tuple[int, int]], epochs: int) -> tuple[tuple[int, int], ...]:
    """Return [epoch, trial] pairs with all epochs counted from the start, sorted, each once."""
    return tuple(sorted({(e + epochs if e < 0 else e, trial) for e, trial in pairs}))


def _assemble(values: Mapping[str, Any], own_options: dict[str, Any]) -> Config:
    keys = {name: value for name, value in values.items() if "." not in name}
    for group in GROUP_NAMES:
        start = f"{group}."
        options = {n[len(start) :]: v for n, v in values.items() if n.startswith(start)}
        keys[group] = Options(options | own_options if group == "dataset" else options)
    return Config(keys)
