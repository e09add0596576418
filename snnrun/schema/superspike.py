"""Options of rule=superspike, and the keys that mean nothing with it."""

from __future__ import annotations

from collections.abc import Iterator

from snnrun.keys.check import Values, check, steps_of
from snnrun.keys.key import when
from snnrun.keys.kinds import FLOAT, shown
from snnrun.keys.table import number, row, switch, table, text, whole
from snnrun.schema.model import TARGET_LOSSES

SUPERSPIKE = (when("rule.name", "superspike"),)


# fmt: off
OPTIONS = table(
    "options of rule=superspike",
    text(
        "rule.feedback", "symmetric",
        "How errors of the outputs reach hidden neurons: through the weights of the forward "
        "connection (symmetric), through fixed normal ones (random), through ones (uniform); "
        "none: there is no hidden layer.",
        choices=("symmetric", "random", "uniform", "none"), active_if=SUPERSPIKE,
    ),
    number(
        "rule.feedback_sd", 1.0, "Standard deviation of random feedback.", minimum=0,
        active_if=(when("rule.feedback", "random"),),
    ),
    whole(
        "rule.feedback_seed", 1, "Seed of random feedback.", minimum=0,
        active_if=(when("rule.feedback", "random"),),
    ),
    number(
        "rule.tau_rise", 5.0, "Rise of the kernel of traces and errors.", unit="ms", above=0,
        active_if=SUPERSPIKE,
    ),
    number(
        "rule.tau_decay", 10.0, "Decay of the kernel of traces and errors.", unit="ms", above=0,
        active_if=SUPERSPIKE,
    ),
    number(
        "rule.beta", 1.0, "Steepness of the surrogate derivative 1/(1 + |beta (V - V_THRESH)|)^2.",
        unit="1/mV", above=0, active_if=SUPERSPIKE,
    ),
    number(
        "rule.sigma_floor", -20.0, "Potential from rest below which that derivative is 0.",
        unit="mV", active_if=SUPERSPIKE,
    ),
    number(
        "rule.r0", 1.0, "Step size of RMaxProp.", unit="mV", above=0, active_if=SUPERSPIKE,
    ),
    number(
        "rule.tau_rms", 30000.0, "Time constant of RMaxProp's leaking maximum.", unit="ms", above=0,
        active_if=SUPERSPIKE,
    ),
    number(
        "rule.update_ms", 500.0, "Running time between updates of the weights.", unit="ms", above=0,
        active_if=SUPERSPIKE,
    ),
    switch(
        "rule.update_aligned", False,
        "Count that time anew in each trial; what is left at its end is an update too.",
        active_if=SUPERSPIKE,
    ),
    number(
        "rule.epsilon", 1e-32, "Added to the root of RMaxProp's maximum.", above=0,
        active_if=SUPERSPIKE,
    ),
    number(
        "rule.w_limit", 100.0, "Weights stay between plus and minus this.", unit="mV", above=0,
        active_if=SUPERSPIKE,
    ),
    number(
        "rule.w0", 50.0,
        "Standard deviation of initial weights, times the root of the number of inputs.",
        unit="mV", minimum=0, active_if=SUPERSPIKE,
    ),
    whole(
        "rule.cut_every", 0,
        "Multiply the step size by rule.cut_factor every so many trials, again and again; 0: "
        "never.",
        minimum=0, active_if=SUPERSPIKE,
    ),
    whole(
        "rule.cut_at", None,
        "Multiply the step size by rule.cut_factor once, from this trial of the run on.",
        minimum=0, nullable=True, null="never", active_if=SUPERSPIKE,
    ),
    row(
        "rule.cut_at_ms", None,
        "The same at a running time: from the first trial on that begins at or after it.",
        kind=FLOAT, unit="ms", minimum=0, nullable=True, null="never", active_if=SUPERSPIKE,
    ),
    number(
        "rule.cut_factor", 0.1, "What cuts multiply the step size by.", above=0, maximum=1,
        active_if=SUPERSPIKE,
    ),
    number(
        "rule.burn_in_ms", 0.0,
        "Running time at the start without learning: updates of what began before it are skipped.",
        unit="ms", minimum=0, active_if=SUPERSPIKE,
    ),
    number(
        "rule.het_rho", 0.0,
        "Strength of the heterosynaptic regulariser of hidden neurons: -het_rho w zeta is added to "
        "what a synapse accumulates in each step, w in volts, zeta a power of the trace of the "
        "neuron's own spikes.",
        minimum=0, active_if=SUPERSPIKE,
    ),
    number(
        "rule.het_a", 4.0, "That power.", minimum=0, active_if=SUPERSPIKE,
    ),
    number(
        "rule.het_tau", 100.0, "Time constant of that trace.", unit="ms", above=0,
        active_if=SUPERSPIKE,
    ),
    switch(
        "rule.het_error_scaled", False, "Multiply zeta by the neuron's squared error.",
        active_if=SUPERSPIKE,
    ),
    number(
        "rule.delay_ms", 0.0,
        "Axonal delay of spikes and errors; eligibilities wait for the errors. Rounded to steps.",
        unit="ms", minimum=0, active_if=SUPERSPIKE,
    ),
    switch(
        "rule.reset_state_per_trial", False,
        "Begin each trial with potentials at rest and traces at 0; false: they run on.",
        active_if=SUPERSPIKE,
    ),
    number(
        "rule.tau_error", 10000.0, "Time constant of the running mean of the error that is shown.",
        unit="ms", above=0, active_if=SUPERSPIKE,
    ),
)
# fmt: on

# Keys without effect here, as the rule has its own optimiser, initial weights and error.
UNUSED = (
    "LOSS_TYPE",
    "REG_TYPE",
    "REWIRE_SILENT",
    "ETA",
    "ADAM_BETA1",
    "ADAM_BETA2",
    "ADAM_EPS",
    "ETA_DECAY",
    "LR_EASE_IN_FACTOR",
    "ETA_FAC",
    "TRAIN_TAU",
    "TRAIN_TAU_OUTPUT",
    "TRAIN_W",
    "TRAIN_W_OUTPUT",
    "INPUT_HIDDEN_MEAN",
    "INPUT_HIDDEN_STD",
    "HIDDEN_OUTPUT_MEAN",
    "HIDDEN_OUTPUT_STD",
    "PDROP_INPUT",
    "PDROP_HIDDEN",
    "HIDDEN_NOISE",
    "PIPELINE",
    "COLLECT_CONFUSION",
    "REC_PREDICTIONS",
    "backend.on_full_buffer",
    "network.hidden_trained",
)
# What stands for some of those and for the filter of LOSS_TYPE=van_rossum.
INSTEAD = {
    "ETA": "rule.r0",
    "ETA_DECAY": "rule.cut_every",
    "ETA_FAC": "rule.cut_every",
    "INPUT_HIDDEN_STD": "rule.w0",
    "HIDDEN_OUTPUT_STD": "rule.w0",
    "TAU_RISE": "rule.tau_rise",
    "TAU_DECAY": "rule.tau_decay",
}
# Keys whose other values are not implemented with it: name -> the only value.
FIXED = {
    "RECURRENT": False,
    "N_HID_LAYER": 1,
    "N_BATCH": 1,
    "HIDDEN_NEURON_TYPE": "LIF",
    "OUTPUT_NEURON_TYPE": "LI",
}

LEARN_TARGETS = ("superspike",)  # rules for data with target spikes instead of classes


@check("rule.name", *FIXED)
def _fixed(values: Values) -> Iterator[str]:
    for name, only in FIXED.items():
        if values["rule.name"] == "superspike" and values[name] != only:
            yield f"{name}={shown(values[name])}: rule=superspike needs {name}={shown(only)}"


@check("rule.name", "network.layers")
def _layers_alike(values: Values) -> Iterator[str]:
    if values["rule.name"] == "superspike" and values["network.layers"]:
        yield (
            "network.layers: rule=superspike trains one hidden layer of NUM_HIDDEN neurons, or "
            "none with rule.feedback=none; leave it out"
        )


@check(
    "rule.name",
    "dataset.name",
    "LOSS_TYPE",
    "network.hidden_parameters",
    "network.output_parameters",
)
def _patterns(values: Values) -> Iterator[str]:
    name, learns = values["dataset.name"], values["rule.name"] in LEARN_TARGETS
    by_loss = values["rule.name"] == "surrogate" and values["LOSS_TYPE"] in TARGET_LOSSES
    if "." not in name and (name == "pattern") != (learns or by_loss):
        what = f"rule={values['rule.name']}" if not by_loss else f"LOSS_TYPE={values['LOSS_TYPE']}"
        yield f"{what}: dataset {name} has " + (
            f"classes and no target spikes; use dataset=pattern, or another "
            f"{'loss' if by_loss else 'rule'}"
            if learns or by_loss
            else "target spikes and no classes; use rule=superspike, or rule=surrogate with "
            "LOSS_TYPE=van_rossum"
        )
    for group in ("network.hidden_parameters", "network.output_parameters"):
        for parameter, given in (values[group] or {}).items() if learns else ():
            if isinstance(given, list | tuple):
                yield (
                    f"{group}.{parameter}: rule=superspike needs one number for all neurons of a "
                    "population"
                )


@check(
    "rule.name",
    "rule.tau_rise",
    "rule.tau_decay",
    "rule.update_ms",
    "rule.delay_ms",
    "DT_MS",
    "TRIAL_MS",
)
def _times(values: Values) -> Iterator[str]:
    if values["rule.name"] != "superspike":
        return
    dt, rise, decay = values["DT_MS"], values["rule.tau_rise"], values["rule.tau_decay"]
    if not dt < rise < decay:
        yield (
            f"rule.tau_rise={rise:g}: must be longer than DT_MS={dt:g} and shorter than "
            f"rule.tau_decay={decay:g} (ms)"
        )
    update = values["rule.update_ms"]
    if round(update / dt) < 1 or abs(update / dt - round(update / dt)) > 1e-6:
        yield f"rule.update_ms={update:g}: must be a whole number of steps of DT_MS={dt:g} ms"
    delay, steps = values["rule.delay_ms"], steps_of(values)
    if 0 < delay < 0.5 * dt:
        yield f"rule.delay_ms={delay:g}: would round to no delay with DT_MS={dt:g}"
    if steps is not None and round(delay / dt) >= steps:
        yield f"rule.delay_ms={delay:g}: must be shorter than TRIAL_MS={values['TRIAL_MS']:g}"


@check("rule.name", "rule.cut_every", "rule.cut_at", "rule.cut_at_ms", "rule.cut_factor")
def _one_schedule(values: Values) -> Iterator[str]:
    names = ("rule.cut_every", "rule.cut_at", "rule.cut_at_ms")
    usual = {"rule.cut_every": 0}
    given = [name for name in names if values[name] != usual.get(name)]
    if len(given) > 1:
        yield f"{given[0]}, {given[1]}: there is one schedule of the step size; give one of them"
    if not given and values["rule.cut_factor"] != 0.1:
        yield (
            f"rule.cut_factor={values['rule.cut_factor']:g}: needs rule.cut_every, rule.cut_at or "
            "rule.cut_at_ms; leave it out"
        )


@check("rule.het_rho", "rule.het_a", "rule.het_tau", "rule.het_error_scaled", "rule.feedback")
def _heterosynaptic(values: Values) -> Iterator[str]:
    on = values["rule.het_rho"] != 0
    for name, usual in (("het_a", 4.0), ("het_tau", 100.0), ("het_error_scaled", False)):
        if not on and values[f"rule.{name}"] != usual:
            value = shown(values[f"rule.{name}"])
            yield f"rule.{name}={value}: needs rule.het_rho above 0; leave it out"
    if on and values["rule.feedback"] == "none":
        yield (
            f"rule.het_rho={values['rule.het_rho']:g}: acts on hidden neurons, and "
            "rule.feedback=none has none; leave it out"
        )


CHECKS = (_layers_alike, _fixed, _patterns, _times, _one_schedule, _heterosynaptic)
