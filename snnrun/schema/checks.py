"""What must hold between several keys, but for what learning rules need (rules.py)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from snnrun.errors import did_you_mean
from snnrun.keys.check import Checks, Values, count_of, steps_in_trial
from snnrun.keys.files import DATASETS, defaults_of, having
from snnrun.keys.kinds import EPOCH_TRIALS, shown
from snnrun.models.losses import using
from snnrun.models.neurons import DRAWN, NEURON_TYPES
from snnrun.schema import KEYS
from snnrun.schema.augmentation import ENTRIES
from snnrun.schema.choices import expand, layers_of, neurons_of, population_names, projection_names
from snnrun.schema.fields import FROZEN
from snnrun.schema.graph import output_spikes

EPOCH_TRIAL_KEYS = tuple(name for name, key in KEYS.items() if key.kind is EPOCH_TRIALS)
ALL_ALIKE = (
    "no time constant differs from neuron to neuron; train them with TRAIN_TAU=true, draw them "
    "with HIDDEN_NEURON_TYPE=hetLIF, or leave this out"
)

MOST_STEPS = 65535  # steps are stored in 16 bits
GENERATED = tuple(name for name in DATASETS if name not in having("dataset.path"))
LARGEST_EXPONENT = 80.0  # exp of more does not fit into float32

CHECKS = Checks()


@CHECKS.add
def _whole_steps(values: Values) -> Iterator[str]:
    trial, dt = values["TRIAL_MS"], values["DT_MS"]
    steps = steps_in_trial(values)
    if steps is None:
        hint = ""
        if math.isfinite(trial / dt):
            nearest = max(1, round(trial / dt)) * dt
            hint = f"; use TRIAL_MS={nearest:.10g}, or another DT_MS"
        yield f"TRIAL_MS={trial:g}: must be a whole number of steps of DT_MS={dt:g} ms{hint}"
    elif steps > MOST_STEPS:
        yield (
            f"TRIAL_MS={trial:g}: {steps} steps of DT_MS={dt:g} ms are more than {MOST_STEPS}; use "
            "a longer step or a shorter trial"
        )


@CHECKS.add
def _buffered_steps(values: Values) -> Iterator[str]:
    steps, asked = steps_in_trial(values), values["SPK_REC_STEPS"]
    if steps is not None and asked is not None and asked > steps:
        yield f"SPK_REC_STEPS={asked}: must be at most the {steps} steps of a trial"


@CHECKS.add
def _reset_below_threshold(values: Values) -> Iterator[str]:
    if values["V_RESET"] >= values["V_THRESH"]:
        yield f"V_RESET={values['V_RESET']:g}: must be below V_THRESH={values['V_THRESH']:g}"


@CHECKS.add
def _refractory_steps(values: Values) -> Iterator[str]:
    if 0 < values["TAU_REF"] < 0.5 * values["DT_MS"]:
        yield (
            f"TAU_REF={values['TAU_REF']:g}: less than half a step (DT_MS={values['DT_MS']:g} ms), "
            "so it would round to no refractory period; use 0 or a shorter DT_MS"
        )


@CHECKS.add
def _exponential_in_range(values: Values) -> Iterator[str]:
    trial, tau = values["TRIAL_MS"], values["TAU_1"]
    if values["LOSS_TYPE"] in using("TAU_1") and trial / tau > LARGEST_EXPONENT:
        yield (
            f"TAU_1={tau:g}: exp(TRIAL_MS/TAU_1) overflows with TRIAL_MS={trial:g}; use at least "
            f"TAU_1={trial / LARGEST_EXPONENT:.3g}"
        )


@CHECKS.add
def _euler_stable(values: Values) -> Iterator[str]:
    taus = ["TAU_MEM", "TAU_SYN"] + ["TAU_B"] * ("ALIF" in neurons_of(values))
    taus += ["TAU_ACCUMULATOR"] * (values["LOSS_TYPE"] in using("TAU_ACCUMULATOR"))
    shortest = min(taus, key=lambda name: values[name])
    if values["network.integrator"] == "euler" and values["DT_MS"] >= values[shortest]:
        yield (
            f"DT_MS={values['DT_MS']:g}: network.integrator=euler needs steps shorter than "
            f"{shortest}={values[shortest]:g} ms; use integrator=exact or a shorter step"
        )


@CHECKS.add
def _above_smallest_tau(values: Values) -> Iterator[str]:
    trained = any(layer.train_tau for layer in layers_of(values))
    drawn = neurons_of(values) & set(DRAWN)
    for name, floor in (("TAU_MEM", "MIN_TAU_M"), ("TAU_SYN", "MIN_TAU_SYN")):
        if (trained or drawn) and values[name] < values[floor]:
            yield f"{name}={values[name]:g}: must be at least {floor}={values[floor]:g} (ms)"


@CHECKS.add
def _examples_to_train(values: Values) -> Iterator[str]:
    if count_of(values, "N_TRAIN") == 0:
        yield f"N_TRAIN={values['N_TRAIN']}: training needs at least one example"
    of_one_file = values["EVALUATION"] != "validation_set"
    if of_one_file and values["N_TRAIN"] is None and values["N_VALIDATE"] is None:
        yield "N_VALIDATE=null: N_TRAIN is null too, and only one of them can be all that remain"


@CHECKS.add
def _own_validation_set(values: Values) -> Iterator[str]:
    name = values["dataset.name"]
    having_one = [n for n, usual in defaults_of("EVALUATION").items() if usual == "validation_set"]
    theirs = "." in name or name in having_one  # a user's data set answers for itself
    if values["EVALUATION"] == "validation_set" and not theirs:
        yield (
            f"EVALUATION=validation_set: {name} has no validation set of its own, as "
            f"{' and '.join(having_one)} has; use EVALUATION=random"
        )


@CHECKS.add
def _generated_sizes(values: Values) -> Iterator[str]:
    for key in ("N_TRAIN", "N_VALIDATE", "N_TEST"):
        if values["dataset.name"] in GENERATED and values[key] is None:
            yield (
                f"{key}=null: {values['dataset.name']} is generated and has no size of its own; "
                'give a number of examples, or "K mini-batches"'
            )


@CHECKS.add
def _one_checkpoint(values: Values) -> Iterator[str]:
    if values["LOAD_LAST"] and values["LOAD_BEST"]:
        yield "LOAD_BEST=true: LOAD_LAST is true as well; only one checkpoint can be loaded"


@CHECKS.add
def _rewired_weights_are_trained(values: Values) -> Iterator[str]:
    frozen = [x.forward.name for x in layers_of(values)[:-1] if x.forward.rule == FROZEN]
    if not values["REWIRE_SILENT"] or not frozen:
        return
    if not values["TRAIN_W"]:
        yield (
            "REWIRE_SILENT=true: would change weights that TRAIN_W=false keeps as they are; use "
            "TRAIN_W=true, or leave it out"
        )
    else:
        yield (
            "REWIRE_SILENT=true: would change weights that are frozen "
            f"({', '.join(frozen)}); give their projections another rule, or leave it out"
        )


@CHECKS.add
def _plots_are_files(values: Values) -> Iterator[str]:
    for key in ("TRAINING_PLOT", "FANCY_PLOTS"):
        if values[key] and not values["WRITE_TO_DISK"]:
            yield (
                f"{key}=true: plots are files in the run folder, and WRITE_TO_DISK=false keeps "
                "none; leave one of the two out"
            )


@CHECKS.add
def _known_entries(values: Values) -> Iterator[str]:
    for name, value in values["AUGMENTATION"].items():
        if name not in ENTRIES:
            yield (
                f"AUGMENTATION.{name}: there is no such augmentation."
                f"{did_you_mean(name, ENTRIES)} There are: {', '.join(ENTRIES)}"
            )
        elif not ENTRIES[name][1](value):
            yield f"AUGMENTATION.{name}={shown(value)}: must be {ENTRIES[name][0]}"


@CHECKS.add
def _blend_adds_examples(values: Values) -> Iterator[str]:
    if "blend" not in values["AUGMENTATION"]:
        return
    if values["dataset.name"] in GENERATED:
        yield (
            f"AUGMENTATION.blend: {values['dataset.name']} is generated and can have any number of "
            "examples; leave blend out and choose a larger N_TRAIN"
        )
    if values["N_VALIDATE"] is None:
        yield (
            "N_VALIDATE=null: with AUGMENTATION.blend, N_TRAIN counts blended examples too, so it "
            "does not say how many of the data are left; give the number of validation examples"
        )


@CHECKS.add
def _different_places(values: Values) -> Iterator[str]:
    wanted = {
        "SPEAKER_LEFT": (1, "one or more different places in the list of speakers, counted from 0"),
        "REDUCED_CLASSES": (2, "two or more different classes, counted from 0, or null for all"),
    }
    for key, (fewest, must) in wanted.items():
        given = values.get(key)  # a wrong one is told already
        if given is None:
            continue
        if len(given) < fewest or min(given) < 0 or len(set(given)) < len(given):
            yield f"{key}={shown(given)}: must be {must}"


@CHECKS.add
def _delays_within_the_trial(values: Values) -> Iterator[str]:
    copies, delay = values["N_INPUT_DELAY"], values["INPUT_DELAY"]
    if copies and round(delay / values["DT_MS"]) < 1:
        yield (
            f"INPUT_DELAY={delay:g}: less than half a step (DT_MS={values['DT_MS']:g} ms), so it "
            "would round to no delay; use a longer one or a shorter DT_MS"
        )
    if copies * delay >= values["TRIAL_MS"]:
        yield (
            f"N_INPUT_DELAY={copies}: the last copy would come INPUT_DELAY={delay:g} ms times "
            f"{copies} late, after the end of the trial (TRIAL_MS={values['TRIAL_MS']:g}); use "
            "fewer copies or a shorter delay"
        )


@CHECKS.add
def _room_for_the_target(values: Values) -> Iterator[str]:
    steps, spikes = steps_in_trial(values), values["dataset.target_spikes"]
    drawn = values["dataset.name"] == "pattern" and not values["dataset.target"]
    if drawn and steps is not None and spikes > steps:
        yield f"dataset.target_spikes={spikes}: must be at most the {steps} steps of a trial"


@CHECKS.add
def _window_in_the_trial(values: Values) -> Iterator[str]:
    window, trial, dt = values["LOSS_WINDOW"], values["TRIAL_MS"], values["DT_MS"]
    if window is None:
        return
    told = f"LOSS_WINDOW={shown(window)}"
    if window[1] > trial * (1 + 1e-9):
        yield f"{told}: ends after the trial, TRIAL_MS={trial:g}; use for example [0, {trial:g}]"
    elif round(window[1] / dt) <= round(window[0] / dt):
        yield f"{told}: holds no step of DT_MS={dt:g} ms; use a longer one"


@CHECKS.add
def _cues_in_the_trial(values: Values) -> Iterator[str]:
    if values["dataset.name"] != "evidence_accumulation":
        return
    cues, cue, gap, recall, channels = (
        values[f"dataset.{name}"] for name in ("cues", "cue_ms", "gap_ms", "recall_ms", "channels")
    )
    needed = cues * (cue + gap) + recall
    if needed > values["TRIAL_MS"] * (1 + 1e-9):
        yield (
            f"TRIAL_MS={values['TRIAL_MS']:g}: shorter than the {needed:g} ms that dataset.cues="
            f"{cues} of dataset.cue_ms={cue:g} after dataset.gap_ms={gap:g} each, and "
            f"dataset.recall_ms={recall:g} take"
        )
    if channels % 4:
        yield (
            f"dataset.channels={channels}: must be a multiple of 4, for cues on either side, the "
            "recall and noise"
        )


@CHECKS.add
def _groups_of_channels(values: Values) -> Iterator[str]:
    if values["dataset.name"] != "pattern_generation":
        return
    groups, channels = values["dataset.groups"], values["dataset.channels"]
    if channels % groups:
        yield f"dataset.groups={groups}: must divide dataset.channels={channels}"
    if not values["dataset.cycles"] or min(values["dataset.cycles"]) < 1:
        yield f"dataset.cycles={shown(values['dataset.cycles'])}: must be whole numbers from 1 on"


@CHECKS.add
def _spiking_populations(values: Values) -> Iterator[str]:
    known = population_names(values)
    for name in values["REC_SPIKES"]:
        if not expand(name, known):
            yield _unknown("REC_SPIKES", name, "population", known)
        elif name == "output" and output_spikes(values) is False:
            yield (
                f"REC_SPIKES=output: the outputs do not spike with LOSS_TYPE={values['LOSS_TYPE']};"
                " record their potential with REC_NEURONS=[[output, V]]"
            )


@CHECKS.add
def _neuron_variables(values: Values) -> Iterator[str]:
    known = population_names(values)
    neurons = {layer.name: layer.neuron for layer in layers_of(values)}
    for name, variable in values["REC_NEURONS"]:
        if not expand(name, known):
            yield _unknown("REC_NEURONS", name, "population", known[1:])
            continue
        if name == "input":
            yield (
                f"REC_NEURONS=[input, {variable}]: the input has no variables; its spikes are "
                "recorded with REC_SPIKES=[input]"
            )
            continue
        for full in expand(name, known):
            neuron = neurons[full]
            known_of = NEURON_TYPES[neuron][0].variables if neuron in NEURON_TYPES else (variable,)
            if variable not in known_of:
                yield (
                    f"REC_NEURONS=[{name}, {variable}]: {neuron} has no variable {variable}; "
                    f"it has {', '.join(known_of)}"
                )
                break


@CHECKS.add
def _synapse_variables(values: Values) -> Iterator[str]:
    known = projection_names(values)
    delayed = [p.name for x in layers_of(values) for p in x.projections if p.delay is not None]
    for name, variable in values["REC_SYNAPSES"]:
        if not expand(name, known):
            yield _unknown("REC_SYNAPSES", name, "projection", known)
        if variable not in ("g", "d"):
            yield (
                f"REC_SYNAPSES=[{name}, {variable}]: synapses have no variable {variable}; they "
                "have g, the weight, and d, the delay"
            )
        meant = expand(name, known)
        if meant and variable == "d" and not set(meant) & set(delayed):
            yield (
                f"REC_SYNAPSES=[{name}, d]: {', '.join(meant)}: without delays; projections that "
                f"have some: {', '.join(delayed) or 'none'}"
            )


@CHECKS.add
def _time_constants_that_differ(values: Values) -> Iterator[str]:
    """Refuse what is plain from the keys; the network tells of given values and users' neurons."""
    layers = layers_of(values)
    own = any(layer.parameters for layer in layers)
    trained = any(layer.train_tau for layer in layers)
    drawn = any(layer.neuron in DRAWN for layer in layers)
    if values["TAU_OUTPUT_EPOCH_TRIAL"] and not (own or trained or drawn):
        yield f"TAU_OUTPUT_EPOCH_TRIAL={shown(values['TAU_OUTPUT_EPOCH_TRIAL'])}: {ALL_ALIKE}"


@CHECKS.add
def _times_that_come(values: Values) -> Iterator[str]:
    epochs, trials = values["N_EPOCH"], trials_of(values)
    for key in EPOCH_TRIAL_KEYS:
        for epoch, trial in values[key]:
            if not -epochs <= epoch < epochs:
                yield (
                    f"{key}=[{epoch}, {trial}]: there is no epoch {epoch}; epochs count from 0, "
                    f"and N_EPOCH is {epochs}"
                )
            elif trials is not None and trial >= trials:
                yield (
                    f"{key}=[{epoch}, {trial}]: there is no trial {trial}; an epoch has {trials} "
                    "mini-batches, counted from 0, with those of the evaluation"
                )


def trials_of(values: Values) -> int | None:
    """Return the mini-batches of an epoch, evaluation included; None where the data decide it."""
    counts = [count_of(values, key) for key in ("N_TRAIN", "N_VALIDATE")]
    if any(count is None for count in counts):
        return None
    return sum(math.ceil(count / values["N_BATCH"]) for count in counts if count is not None)


def _unknown(key: str, name: str, what: str, known: Iterable[str]) -> str:
    known = tuple(known)
    hint = did_you_mean(name, known)
    return f"{key}={name}: there is no such {what}; there are {', '.join(known)}.{hint}"
