"""Which setting to try when a run does not go well, as words for the command line."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from snnrun.compile.integrators import SMOOTH, of_nonlinear
from snnrun.compile.program import Program
from snnrun.config import Config, from_dict
from snnrun.errors import ConfigError
from snnrun.keys.kinds import shown
from snnrun.rules import find_rule
from snnrun.schema import SCHEMA

GENTLER = 5.0  # factor on a step size that is too large, or too small
EASED_IN = 1.05  # LR_EASE_IN_FACTOR, by which the rate grows to its full size within 142 updates
SHORTER = 2, 5, 10, 20, 50, 100  # parts of a time step that is too long

Keys = Mapping[str, Any]


def gentler(config: Config) -> str:
    """Return what makes each step of learning smaller."""
    return _first(config, [_steps(config, 1 / GENTLER)])


def bolder(config: Config) -> str:
    """Return what makes each step of learning larger."""
    return _first(config, [_steps(config, GENTLER)])


def usual_step(config: Config) -> str:
    """Return the data set's own step size where this one is far from it, or nothing."""
    step, usual = _step(config)[1], _usual(config)
    near = usual / 3 < step < usual * 3
    return "" if near else _first(config, [_steps(config, usual / step)])


def calmer(config: Config, *, lifted: bool) -> list[str]:
    """Return what keeps learning from exploding, each to be tried by itself.

    ``lifted``: whether silent neurons may have been lifted before.
    """
    step, usual = _step(config)[1], _usual(config)
    factor = usual / step if step > usual * GENTLER else 1 / GENTLER
    lift, ease = config.REWIRE_LIFT, config.LR_EASE_IN_FACTOR
    norm, value = config.optimiser.clip_norm, config.optimiser.clip_value
    slower = EASED_IN if ease == 1 else 1 + (ease - 1) / GENTLER
    found = [
        _steps(config, factor),
        {"REWIRE_LIFT": _rounded(lift / GENTLER)} if lift and lifted else {},
        {"LR_EASE_IN_FACTOR": float(f"{slower:.4g}")},
        {"optimiser.clip_value": _rounded(value / GENTLER)}
        if value is not None
        else {"optimiser.clip_norm": _rounded(1.0 if norm is None else norm / GENTLER)},
    ]
    return [words for keys in found if (words := _first(config, [keys]))]


def keep_learning(config: Config) -> str:
    """Return what keeps the learning rate from becoming too small to matter."""
    step = _step(config)[1]
    candidates: list[Keys] = []
    if decay := find_rule(config.rule.name).unused.get("ETA_DECAY"):
        candidates += [{decay: SCHEMA[decay].default}] if config.by_key()[decay] else []
    else:
        least = 0.01 ** (1 / config.N_EPOCH)  # a hundredth is left at the end
        candidates += [{"ETA_DECAY": float(f"{least:.3g}")}] if least > config.ETA_DECAY else []
        candidates += [{"ETA_FAC": 1.0}] if config.ETA_FAC < 1 else []
        candidates += [{"schedule.minimum": 0.01}] if config.schedule.name == "plateau" else []
    usual = _usual(config)
    more = _steps(config, usual / step if usual > 3 * step else GENTLER)
    return _first(config, [*candidates, more])


def wake(config: Config, program: Program, index: int) -> str:
    """Return what makes the silent neurons of hidden layer ``index`` spike."""
    forward = program.network.layers[index].forward
    scale = forward.std or abs(forward.mean) or 1.0
    own = program.rule.spread
    part = "INPUT_HIDDEN" if index == 0 else "HIDDEN_HIDDENFWD"
    key, spread = f"{part}_MEAN", f"{part}_STD"
    usual = {name: SCHEMA[name].default_of(config.dataset.name) for name in (key, spread)}
    hidden = program.network.layers[:-1]
    shared = any(x.forward.synapses is not None and x.forward.synapses.shared for x in hidden)
    lift = {"REWIRE_SILENT": True, "REWIRE_LIFT": _rounded(max(scale, 2 * config.REWIRE_LIFT))}
    weak = 2 * (forward.mean + 2 * scale) < sum(usual.values())
    return _first(
        config,
        [
            usual if weak else {},
            {} if shared else lift,
            {own: 2 * config.by_key()[own]} if own else {},
            {key: _rounded(max(forward.mean, 0.0) + 2 * scale)},
            {"V_THRESH": _rounded(config.V_THRESH / 2)},
        ],
    )


def shorter_step(config: Config, fits: Callable[[float, str], bool]) -> str:
    """Return the longest of shorter time steps that ``fits`` with the integrator, or nothing."""
    integrator = config.network.integrator
    steps = (_rounded(config.DT_MS / part) for part in SHORTER)
    return _first(config, ({"DT_MS": dt} for dt in steps if fits(dt, integrator)))


def integrator(config: Config, fits: Callable[[float, str], bool]) -> str:
    """Return the cheapest other integrator that ``fits`` with the time step, or nothing."""
    own = of_nonlinear(config.network.integrator)
    return _first(
        config,
        (
            {"network.integrator": other}
            for other in SMOOTH
            if other != own and fits(config.DT_MS, other)
        ),
    )


def trying(*settings: str) -> str:
    """Return settings as advice; without one, only where to look further."""
    known = [setting for setting in settings if setting]
    return f"Try {', or '.join(known)}" if known else "`snnrun keys` lists what can be changed"


def _step(config: Config) -> tuple[str, float]:
    """Return the key of the step size of learning, and its value."""
    key = find_rule(config.rule.name).step
    return key, config.by_key()[key]


def _usual(config: Config) -> float:
    """Return the data set's own step size."""
    return float(SCHEMA[_step(config)[0]].default_of(config.dataset.name))


def _steps(config: Config, factor: float) -> Keys:
    """Return all step sizes of learning that are given, times a factor."""
    key, step = _step(config)
    rates = config.optimiser.rates if key == "ETA" else {}
    given = {key: step, **{f"optimiser.rates.{name}": rate for name, rate in rates.items()}}
    return {name: _rounded(value * factor) for name, value in given.items()}


def _rounded(value: float) -> float:
    return float(f"{value:.3g}")


def _first(config: Config, candidates: Iterable[Keys]) -> str:
    """Return the first of these settings that this configuration takes, or nothing."""
    for keys in candidates:
        if keys and _accepted(config, keys):
            return " ".join(f"{name}={shown(value)}" for name, value in keys.items())
    return ""


def _enter(values: dict[str, Any], path: list[str], value: Any) -> None:
    """Set an entry of mappings in mappings, each of which is copied before."""
    name, *rest = path
    if rest:
        values[name] = dict(values[name])
        _enter(values[name], rest, value)
    else:
        values[name] = value


def _accepted(config: Config, keys: Keys) -> bool:
    """Return whether a configuration may have these keys too, and is another one with them."""
    before = config.to_dict()
    after = dict(before)
    for name, value in keys.items():
        _enter(after, name.split("."), value)
    if before["SPK_REC_STEPS"] == config.steps:
        after["SPK_REC_STEPS"] = None  # follows the steps of the trial
    try:
        return from_dict(after).to_dict() != before
    except ConfigError:
        return False
