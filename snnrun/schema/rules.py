"""What the learning rules of a configuration need of its other keys, from what they declare."""

from __future__ import annotations

from collections.abc import Iterator

from snnrun.keys.check import Checked, Checks, NotChecked, Values, problems
from snnrun.keys.kinds import shown
from snnrun.models.losses import BUILT_IN, COURSE_LOSSES, LOSSES, TARGET_LOSSES
from snnrun.models.neurons import DISCRETE
from snnrun.rules import RULES, find_rule
from snnrun.rules.base import Rule
from snnrun.rules.learning import POTENTIALS, SPIKE_TIMES, SPIKE_TRAINS
from snnrun.schema.choices import layers_of
from snnrun.schema.fields import FROZEN
from snnrun.shell import command

NO_CLASSES = ("COLLECT_CONFUSION", "REC_PREDICTIONS")
OF_COURSES = ("pattern_generation",)  # data sets with target courses

CHECKS = Checks()


def rules_of(values: Values) -> dict[str, Rule]:
    """Return the rules that are chosen, of the run first: what chooses one -> the rule."""
    names = [values["rule.name"]] if "rule.name" in values else []
    return {name: find_rule(name) for name in dict.fromkeys(names + rules_of_projections(values))}


def rules_of_projections(values: Values) -> list[str]:
    """Return what chooses the rules of the projections that are trained, where it can be known."""
    try:
        return [p.rule for x in layers_of(values) for p in x.projections if p.rule != FROZEN]
    except NotChecked:
        return []


def plastic_hidden(values: Values) -> str:
    """Return the rule of pairs with which alone the hidden layers learn; "" where it is not so."""
    try:
        hidden = layers_of(values)[:-1]
    except NotChecked:
        return ""
    names = [p.rule for x in hidden for p in x.projections if p.rule != FROZEN]
    alone = all(find_rule(name).plastic for name in names)
    return names[0] if names and alone and not any(x.train_tau for x in hidden) else ""


def reads_of(loss: str) -> str:
    """Return what of the outputs a loss looks at; "" of one of the user's own."""
    if loss in TARGET_LOSSES:
        return SPIKE_TRAINS
    return "" if "." in loss else SPIKE_TIMES if BUILT_IN[loss].spiking else POTENTIALS


def with_rule(name: str, values: Values) -> str:
    """Return how to choose a learning rule, as in "rule=surrogate LOSS_TYPE=max".

    "" where the data set cannot be learned with it.
    """
    dataset, loss = values.get("dataset.name", ""), values.get("LOSS_TYPE", "")
    rule, pattern = find_rule(name), dataset == "pattern"
    reads, of_loss = rule.gradient.engine.reads, reads_of(loss)
    if pattern and SPIKE_TRAINS not in reads:
        return ""
    also = ""
    if rule.loss:
        also = "" if pattern or "." in dataset else " dataset=pattern"
    elif pattern:
        also = "" if of_loss == SPIKE_TRAINS else f" LOSS_TYPE={next(iter(TARGET_LOSSES))}"
    elif SPIKE_TRAINS in reads and of_loss == SPIKE_TRAINS and "." not in dataset:
        also = " dataset=pattern"
    elif SPIKE_TIMES not in reads and of_loss == SPIKE_TIMES:
        also = " LOSS_TYPE=max"
    return f"rule={name}{also}"


@CHECKS.add
def _loss_can_be_learned(values: Values) -> Iterator[str]:
    name, loss, source = values["rule.name"], values["LOSS_TYPE"], values["dataset.name"]
    rule = find_rule(name)
    read = reads_of(loss)
    if source in OF_COURSES:  # which needs another loss, whatever it looks at
        return
    if rule.loss or not read or read in rule.gradient.engine.reads:
        return
    others = [r for r in RULES.values() if r.beside is None and not r.loss]
    able = [r.name for r in others if read in r.engine.reads]
    if read == SPIKE_TRAINS:
        own = " or ".join(r.name for r in RULES.values() if r.loss)
        yield (
            f"LOSS_TYPE={loss}: compares spike trains step by step, which rule={name} cannot "
            "differentiate: it takes a loss's derivative by potentials or by the times of first "
            f"spikes; use {with_rule(able[0], values)} ({own} has this error of itself, "
            "and takes no LOSS_TYPE)"
        )
    else:
        choices = [choice for choice in LOSSES if not LOSSES[choice].spiking]
        data = [] if source == "yinyang" or "." in source else [f"dataset={source}"]
        example = command("train", *data, f"rule={name}", "LOSS_TYPE=max")
        yield (
            f"LOSS_TYPE={loss}: looks at spike times, which have no derivative in the discrete "
            f"steps of rule={name}; use LOSS_TYPE={', '.join(choices[:-1])} or {choices[-1]}, as "
            f"in `{example}`, or rule={' or rule='.join(able)}"
        )


@CHECKS.add
def _updates_are_not_flows(values: Values) -> Iterator[str]:
    rule = find_rule(values["rule.name"])
    steps = next(r.name for r in RULES.values() if r.discrete)
    for key in ("HIDDEN_NEURON_TYPE", "OUTPUT_NEURON_TYPE"):
        flows = not rule.discrete and key not in rule.fixed
        if flows and values[key] in DISCRETE:
            yield (
                f"{key}={values[key]}: is declared by its update in discrete time, and "
                f"rule={values['rule.name']} differentiates what flows between spikes; use "
                f"{with_rule(steps, values)}"
            )


@CHECKS.add
def _targets_where_they_are_learned(values: Values) -> Iterator[str]:
    name, loss, learns = values["dataset.name"], values["LOSS_TYPE"], values["rule.name"]
    rule = find_rule(learns)
    by_loss = not rule.loss and reads_of(loss) == SPIKE_TRAINS in rule.gradient.engine.reads
    if "." in name or (name == "pattern") == (bool(rule.loss) or by_loss):
        return
    what = f"LOSS_TYPE={loss}" if by_loss else f"rule={learns}"
    if name != "pattern":
        other = "loss" if by_loss else "rule"
        yield (
            f"{what}: dataset {name} has classes and no target spikes; use dataset=pattern, or "
            f"another {other}"
        )
    else:
        able = [f"rule={r.name}" for r in RULES.values() if r.loss]
        able += [
            f"rule={r.name} with LOSS_TYPE={next(iter(TARGET_LOSSES))}"
            for r in RULES.values()
            if SPIKE_TRAINS in r.engine.reads and not r.loss
        ]
        yield (f"{what}: dataset {name} has target spikes and no classes; use {', or '.join(able)}")


@CHECKS.add
def _courses_where_they_are_learned(values: Values) -> Iterator[str]:
    name, loss, rule = values["dataset.name"], values["LOSS_TYPE"], find_rule(values["rule.name"])
    wanted = next(iter(COURSE_LOSSES))
    if name in OF_COURSES and rule.loss:
        able = " or ".join(r for r in RULES if POTENTIALS in RULES[r].engine.reads)
        yield (
            f"rule={rule.name}: learns target spikes, and dataset {name} has target courses; use "
            f"rule={able}"
        )
    elif name in OF_COURSES and loss not in COURSE_LOSSES and "." not in loss:
        yield (
            f"LOSS_TYPE={loss}: dataset {name} has target courses of the outputs' potentials; use "
            f"LOSS_TYPE={wanted}"
        )
    elif loss in COURSE_LOSSES and not rule.loss and name not in OF_COURSES and "." not in name:
        yield (
            f"LOSS_TYPE={loss}: dataset {name} has no target courses; use dataset="
            f"{' or dataset='.join(OF_COURSES)}, or another loss"
        )


@CHECKS.add
def _classes_where_they_are_told(values: Values) -> Iterator[str]:
    loss = values["LOSS_TYPE"]
    if loss in COURSE_LOSSES and not find_rule(values["rule.name"]).loss:
        for key in NO_CLASSES:
            if values[key]:
                told = f"{key}={shown(values[key])}"
                yield f"{told}: LOSS_TYPE={loss} predicts no class; leave it out"


@CHECKS.add
def _of_spike_trains(values: Values) -> Iterator[str]:
    loss, rule = values["LOSS_TYPE"], find_rule(values["rule.name"])
    if rule.loss or reads_of(loss) != SPIKE_TRAINS or SPIKE_TRAINS not in rule.engine.reads:
        return
    if values["N_BATCH"] != 1:
        yield f"N_BATCH={values['N_BATCH']}: LOSS_TYPE={loss} needs N_BATCH=1: there is one pattern"
    if values["TAU_RISE"] >= values["TAU_DECAY"]:
        yield (
            f"TAU_RISE={values['TAU_RISE']:g}: must be shorter than "
            f"TAU_DECAY={values['TAU_DECAY']:g} (ms)"
        )
    for key in NO_CLASSES:
        if values[key]:
            yield f"{key}={shown(values[key])}: LOSS_TYPE={loss} predicts no class; leave it out"


@CHECKS.add
def _what_each_needs(values: Values) -> Iterator[str]:
    run, backend = values["rule.name"], values.get("backend.name")
    for key, only in find_rule(run).fixed.items():
        if key in values and values[key] != only:
            yield f"{key}={shown(values[key])}: rule={run} needs {key}={shown(only)}"
    for name, rule in rules_of(values).items():
        for option in rule.options:  # which other rules may share
            value = values.get(option.name)
            if option.choices and not option.dotted_path and value not in (None, *option.choices):
                allowed = " or ".join(option.choices)
                yield f"{option.name}={shown(value)}: rule={name} knows {allowed}"
        yield from problems(rule.checks, Checked(values))
        if backend is not None and backend not in rule.backends:
            able = " or ".join(rule.backends)
            yield f"rule={name}: backend {backend} cannot run it; use backend={able}"


@CHECKS.add
def _one_rule_for_gradients(values: Values) -> Iterator[str]:
    """Refuse two rules that both compute gradients; those of projections go with each of them."""
    run = values["rule.name"]
    gradient = find_rule(run).gradient.name if find_rule(run).beside else run
    for layer in layers_of(values):
        for projection in layer.projections:
            if projection.rule in (FROZEN, gradient):
                continue
            if not find_rule(projection.rule).plastic:
                plastic = ", ".join(r.name for r in RULES.values() if r.plastic)
                yield (
                    f"{projection.place}.rule={projection.rule}: the run's rule is "
                    f"{run}, which goes together with {gradient}, {plastic} and {FROZEN}"
                )


@CHECKS.add
def _no_reward(values: Values) -> Iterator[str]:
    trained = [p for x in layers_of(values) for p in x.projections if p.rule != FROZEN]
    plastic = [p for p in trained if find_rule(p.rule).plastic]
    loss = values["LOSS_TYPE"]
    if plastic and (loss in COURSE_LOSSES or reads_of(loss) == SPIKE_TRAINS):
        yield (
            f"LOSS_TYPE={values['LOSS_TYPE']}: predicts no class that rule={plastic[0].rule} of "
            f"{', '.join(p.name for p in plastic)} could be rewarded for; give these projections "
            "another rule"
        )
