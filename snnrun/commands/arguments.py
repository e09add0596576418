"""Reading a Hydra command line: options, overrides, groups and their choices, misspellings.

Hydra would find most mistakes too, but later, one at a time, and in its own words.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from snnrun.commands.choices import choices_of, groups, with_data_set, without_package
from snnrun.config import conf_dir, listed
from snnrun.errors import ConfigError, did_you_mean
from snnrun.keys.synonyms import value_hint
from snnrun.schema import ALIASES, SCHEMA
from snnrun.schema.hints import meant, unknown_key
from snnrun.search import settings as search
from snnrun.shell import hydra_quoted, quoted

RERUN = "--experimental-rerun"
WITH_VALUE = {
    "--cfg": "-c",
    "--package": "-p",
    "--config-path": "-cp",
    "--config-name": "-cn",
    "--config-dir": "-cd",
    RERUN: "",
}
WITHOUT_VALUE = {
    "--help": "-h",
    "--hydra-help": "",
    "--version": "",
    "--resolve": "",
    "--run": "-r",
    "--multirun": "-m",
    "--shell-completion": "-sc",
}
FOLDERS = ("--config-path", "--config-dir")
INFO = {"--info": "-i"}
ONE_OF = ("--run", "--multirun", "--cfg", "--info", "--shell-completion")
INFO_TOPICS = ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath")
_LONG = {short: long for long, short in (WITH_VALUE | WITHOUT_VALUE | INFO).items() if short}


@dataclass(frozen=True, kw_only=True)
class CommandLine:
    """Hydra's options, by their long names, and the overrides, in their order."""

    options: dict[str, str]  # "" for one without a value
    overrides: list[str]

    def option_words(self) -> list[str]:
        """Return the options as words for Hydra; those go in front (hydra#3053)."""
        return [f"{name}={value}" if value else name for name, value in self.options.items()]

    def conf_folders(self) -> list[Path]:
        """Return the folders in which configuration files are looked for, ours first."""
        return [conf_dir(), *(Path(self.options[n]) for n in FOLDERS if n in self.options)]

    def own_folders(self) -> list[Path]:
        """Return the user's folder of configuration files, as a list of none or one.

        Raises:
            ConfigError: There is no such folder.
        """
        if "--config-dir" not in self.options:
            return []
        own = Path(self.options["--config-dir"]).absolute()
        if not own.is_dir():
            raise ConfigError(f"--config-dir {own}: there is no such folder")
        return [own]

    @property
    def sweeps(self) -> bool:
        """Whether commas separate the values of several runs."""
        mode = "hydra.mode=MULTIRUN"
        return "--multirun" in self.options or mode in self.overrides or self.searches

    @property
    def searches(self) -> bool:
        """Whether they may be ranges as well."""
        return any(word.startswith(f"{search.GROUP}=") for word in self.overrides)


def split(arguments: Iterable[str]) -> CommandLine:
    """Take options, which may stand anywhere, apart from overrides.

    Raises:
        ConfigError: An option does not exist, lacks its value, or excludes another one.
    """
    options: dict[str, str] = {}
    overrides: list[str] = []
    words = list(arguments)
    while words:
        word = words.pop(0)
        if not word.startswith("-") or word == "-":
            overrides.append(word)
            continue
        given, _, value = word.partition("=")
        name = _LONG.get(given, given)
        if name in WITHOUT_VALUE:
            options[name] = ""
        elif name in INFO:
            follows = not value and bool(words) and words[0] in INFO_TOPICS
            options[name] = words.pop(0) if follows else value or "all"
        elif name in WITH_VALUE:
            if not value and not words:
                raise ConfigError(f"{given}: needs a value, as in {given}=VALUE")
            given = value or words.pop(0)
            if name == RERUN and not Path(given).is_file():
                raise ConfigError(
                    f"{RERUN} {given}: there is no such file; it is a run's config.pickle, which "
                    "Hydra's PickleJobInfoCallback writes"
                )
            options[name] = os.path.expanduser(given) if name in FOLDERS else given
        else:
            raise ConfigError(f"{given}: there is no such option.{_no_option(given, value, words)}")
    both = [name for name in ONE_OF if name in options]
    if len(both) > 1:
        raise ConfigError(f"{' and '.join(both)} exclude each other: give one of them")
    return CommandLine(options=options, overrides=overrides)


def _no_option(given: str, value: str, rest: Sequence[str]) -> str:
    """Return what may be meant by an option that does not exist: often it is a key."""
    known = [*WITH_VALUE, *WITHOUT_VALUE, *INFO]
    near = did_you_mean(given, known)
    name = given.lstrip("-")
    follows = rest[0] if rest and not rest[0].startswith("-") and "=" not in rest[0] else ""
    value = value or follows or "true"
    keys = {key.upper().replace("_", "-"): key for key in SCHEMA}
    key = keys.get(name.upper().replace("_", "-"))
    told = f"{key}={value}" if key else meant(name, value)
    if told:
        return f" Settings are given as KEY=VALUE: {told}"
    return f"{near} Options: {', '.join(known)}"


def taken(words: Sequence[str], option: str, needs: str) -> tuple[str | None, list[str]]:
    """Return the value of an option (None where it is not given), and the words without it.

    Raises:
        ConfigError: The value is missing; ``needs`` says what it should be.
    """
    rest = list(words)
    for at, word in enumerate(rest):
        name, equals, value = word.partition("=")
        if name != option:
            continue
        value = value if equals else "".join(rest[at + 1 : at + 2])
        if not value:
            raise ConfigError(f"{option}: needs {needs}")
        del rest[at : at + (1 if equals else 2)]
        return value, rest
    return None, rest


def taken_all(words: Sequence[str], option: str, needs: str) -> tuple[list[str], list[str]]:
    """Return every value of an option that may be given again, and the words without it.

    Raises:
        ConfigError: A value is missing; ``needs`` says what it should be.
    """
    found: list[str] = []
    value, rest = taken(words, option, needs)
    while value is not None:
        found.append(value)
        value, rest = taken(rest, option, needs)
    return found, rest


def choice_among(
    words: Sequence[str], choices: Sequence[str], others: Sequence[str]
) -> tuple[str, list[str]]:
    """Return which of some options without values was given ("": none), and the other words.

    Args:
        words: Those that are left once the values of other options are taken.
        choices: Which exclude each other.
        others: Further options that there are, for the message.

    Raises:
        ConfigError: Two of them, or an option that there is not.
    """
    given = [word for word in words if word.startswith("-")]
    for word in given:
        if word not in choices:
            known = [*others, *choices]
            hint = did_you_mean(word, known)
            raise ConfigError(f"{word}: there is no such option.{hint} Options: {', '.join(known)}")
    if len(set(given)) > 1:
        raise ConfigError(f"{' and '.join(given)} exclude each other: give one of them")
    return (given or [""])[0], [word for word in words if word not in given]


def path_of(word: str) -> Path:
    """Return the path that an argument means, with the home folder for ``~``."""
    return Path(os.path.expanduser(word))


def parse(overrides: Sequence[str]) -> list[Any]:
    """Return Hydra's reading of the overrides.

    Raises:
        ConfigError: One that cannot be read.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    parser = OverridesParser.create()
    parsed = []
    for override in overrides:
        try:
            parsed += parser.parse_overrides([override])
        except HydraException as error:
            raise ConfigError(_unreadable(override, str(error).splitlines()[0])) from error
    return parsed


def _is_setting(text: str) -> bool:
    name, equals, _ = text.partition("=")
    return bool(equals) and (name in SCHEMA or name in ALIASES or f"{name}.name" in SCHEMA)


def _unreadable(word: str, reason: str) -> str:
    """Return the line that refuses a word of which Hydra makes nothing."""
    if len(settings := word.split()) > 1 and all(map(_is_setting, settings)):
        apart = " ".join(map(quoted, settings))  # as "$SETTINGS" gives them
        return f"{word}: these are several settings in one word; give each its own: {apart}"
    name, equals, value = word.partition("=")
    key = SCHEMA.get(ALIASES.get(name, name))
    problem = key.convert(value)[1] if key and equals else ""
    if problem:
        return problem
    hint = f". If it is a text, put it in quotes: {quoted(f'{name}={hydra_quoted(value)}')}"
    return f"{word}: cannot be read as KEY=VALUE: {reason}{hint if key and equals else ''}"


def value_text(override: Any) -> str:
    """Return the value of an override as it was written, those of a sweep with their commas."""
    return str(override.input_line).partition("=")[2]


def check(line: CommandLine) -> list[str]:
    """Return the overrides with each key under its own name, and what they choose besides.

    ``+key``, ``~key`` and ``hydra.*`` are left to Hydra, which defines them.

    Raises:
        ConfigError: With a line for each key, group or choice that does not exist.
    """
    known = groups(line.conf_folders())
    wrong = [_no_override(word, known) for word in line.overrides if not _is_override(word)]
    if wrong:
        raise ConfigError(listed(wrong, "on the command line"))
    words = typed(line, known)
    parsed = parse(words)
    searches = line.searches or bool(line.own_folders())
    wrong = [problem for one in parsed if (problem := search.misplaced(one, searches))]
    for override in parsed:
        left_to_hydra = override.is_add() or override.is_delete() or override.package is not None
        name = override.key_or_group
        if left_to_hydra or name.startswith(("hydra.", "hydra/", f"{search.GROUP}.")):
            continue
        if name in known:
            wrong += _wrong_choices(override, known[name], anywhere=_searches_more(parsed))
            wrong += without_package(override, line.conf_folders()[1:])
        elif not _is_key(name, own_dataset=_has_own_dataset(line, parsed)):
            wrong.append(_unknown(override, known))
        else:
            wrong += _misshapen(override)
    wrong += _twice_spelled(parsed)
    if wrong:
        raise ConfigError(listed(wrong, "on the command line"))
    chosen = [_canonical(word) for word in words]
    return with_data_set(chosen, parsed, line.conf_folders())


def typed(line: CommandLine, known: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the overrides such that Hydra reads texts, paths and choices as they were typed."""
    from snnrun.commands.typed import as_typed

    return [as_typed(word, line.sweeps, known) for word in line.overrides]


def _is_override(word: str) -> bool:
    return "=" in word.lstrip("+")[1:] or word.startswith("~")


def _no_override(word: str, known: dict[str, list[str]]) -> str:
    for group, choices in known.items():
        if word in choices:
            return f"{word}: did you mean {group}={word}?"
    return f"{word}: settings are given as KEY=VALUE, as in dataset=shd ETA=1e-3"


def _searches_more(parsed: Sequence[Any]) -> bool:
    """Return whether there may be choices in folders that only Hydra knows."""
    return any(override.key_or_group == "hydra.searchpath" for override in parsed)


def _has_own_dataset(line: CommandLine, parsed: Sequence[Any]) -> bool:
    """Return whether the data set may be the user's, with options that the schema does not know."""
    named = any(override.key_or_group == "dataset.name" for override in parsed)
    return named or _searches_more(parsed) or len(line.conf_folders()) > 1


def _is_key(name: str, own_dataset: bool) -> bool:
    if name in SCHEMA or name in ALIASES:
        return True
    return of_mapping(name) or (own_dataset and name.startswith("dataset."))


def of_mapping(name: str) -> bool:
    """Return whether ``name`` is a key whose value is a mapping, or an entry of one."""
    return any(
        key.kind.mapping and f"{name}.".startswith(f"{key.name}.") for key in SCHEMA.values()
    )


def _misshapen(override: Any) -> Iterator[str]:
    """Yield what is wrong where a list and a mapping meet, which Hydra cannot merge."""
    name = override.key_or_group
    value = None if override.is_sweep_override() else override.value()
    key = SCHEMA.get(ALIASES.get(name, name))
    kinds = (Mapping, list)
    if key is not None and isinstance(value, kinds) and isinstance(key.default, kinds):
        if isinstance(value, Mapping) != isinstance(key.default, Mapping):
            yield key.convert(value)[1]
        return
    for key in SCHEMA.values():
        if not (key.kind.mapping and isinstance(key.default, list)):
            continue
        entry = name.removeprefix(f"{key.name}.")
        if entry != name and not entry.partition(".")[0].isdecimal():
            yield (
                f"{name}: {key.name} is {key.kind.text}; its entries have numbers, from 0, as in "
                f"{key.name}.0.{entry}"
            )


def _unknown(override: Any, known: dict[str, list[str]]) -> str:
    name, value = override.key_or_group, value_text(override)
    group = did_you_mean(name, known) if "." not in name and not meant(name) else ""
    return f"{name}: there is no such group or key.{group}" if group else unknown_key(name, value)


def _wrong_choices(override: Any, choices: list[str], anywhere: bool) -> list[str]:
    group = override.key_or_group
    wrong = []
    for choice in choices_of(override):
        if choice in choices or anywhere:
            continue
        own = f"; your own: {group}.name={choice}" if "." in choice else ""
        wrong.append(
            f"{group}={choice}: must be one of {', '.join(choices)}{own}."
            + (value_hint(f"{group}.name", choice) or did_you_mean(choice, choices))
        )
    return wrong


def _twice_spelled(parsed: Sequence[Any]) -> list[str]:
    values: dict[str, tuple[str, str]] = {}
    wrong = []
    for override in parsed:
        name = ALIASES.get(override.key_or_group, override.key_or_group)
        if name not in ALIASES.values():
            continue
        text = value_text(override)
        before = values.setdefault(name, (override.key_or_group, text))
        if before[1] != text and before[0] != override.key_or_group:
            wrong.append(
                f"{override.key_or_group}={text}: another spelling of {before[0]}, which is "
                f"{before[1]}; give one of the two"
            )
    return wrong


def _canonical(word: str) -> str:
    name, equals, value = word.partition("=")
    # Hydra takes no new entry of a mapping without it, nor an option of another choice of a group,
    # of which the check of the configuration says whose it is
    add = "++" if of_mapping(name) or _of_some_choice(name) else ""
    return f"{add}{ALIASES.get(name, name)}{equals}{value}"


def _of_some_choice(name: str) -> bool:
    """Return whether ``name`` is an option that only some choices of its group have."""
    return name in SCHEMA and name.partition(".")[0] in ("rule", "optimiser", "schedule", "backend")
