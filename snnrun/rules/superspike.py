"""SuperSpike: synapses that learn while the network runs, from traces of their own.

In every step of dt ms, for a synapse from j to i, with rise and decay the time constants of the two
stages of a double exponential,

    z_j    += spikes of j that arrive      z_j -= z_j dt / rise      z~_j += (z_j - z~_j) dt / decay
    s'_i    = 1 / (1 + |beta (V_i - threshold)|)^2, and 0 where V_i < sigma_floor
    e_ij   += (z~_j s'_i - e_ij / rise) dt
    l_ij   += (e_ij - l_ij) dt / decay                                   (lambda)
    m_ij   += l_ij err_i

V_i is the potential that met the threshold, before the reset. The error of an output k is its
mismatch, target spikes minus own spikes, through the same double exponential with a peak of 1; a
hidden neuron has err_i = sum_k b_ik err_k of the same step, b being the feedback. The
heterosynaptic term adds -het_rho w_ij zeta_i to m_ij of hidden neurons in every step, w in volts
(1000 mV), zeta_i = x_i^het_a with x_i the trace of the neuron's own spikes (each adds 1, decay with
het_tau), times err_i^2 with het_error_scaled.

Every update_ms, that is N steps:  g = m / N,  v <- max(v exp(-N dt / tau_rms), g^2),
w <- clip(w + r0 g / (sqrt(v) + epsilon)),  m = 0   (RMaxProp).

With an axonal delay, spikes arrive later by it, and m takes z~, s' and err of that much earlier.

Source: Zenke & Ganguli 2018, Neural Computation 30:1514; the update as in fzenke/pub2018superspike.
Constant factors of e, l and err that sources choose otherwise cancel in RMaxProp without the
heterosynaptic term.
"""

from __future__ import annotations

from collections.abc import Iterator

from snnrun.keys.check import Values, steps_in_trial
from snnrun.keys.key import unless, when
from snnrun.keys.kinds import BOOL, FLOAT, INT, TEXT
from snnrun.optimisers.keys import KEYS as OPTIMISER
from snnrun.optimisers.schedules import KEYS as SCHEDULE
from snnrun.rules.base import Rule, option
from snnrun.rules.learning import Engine, Online

RANDOM = (when("rule.feedback", "random"),)
CUT = (unless("rule.cut_every", 0), unless("rule.cut_at", None), unless("rule.cut_at_ms", None))
HET = (unless("rule.het_rho", 0.0),)

# fmt: off
OPTIONS = (
    option(
        "feedback", TEXT,
        "How errors of the outputs reach hidden neurons: through the weights of the forward "
        "connection (symmetric), through fixed normal ones (random), through ones (uniform); "
        "none: there is no hidden layer.",
        choices=("symmetric", "random", "uniform", "none"),
    ),
    option(
        "feedback_sd", FLOAT, "Standard deviation of random feedback.", minimum=0, active_if=RANDOM,
    ),
    option("feedback_seed", INT, "Seed of random feedback.", minimum=0, active_if=RANDOM),
    option("tau_rise", FLOAT, "Rise of the kernel of traces and errors.", unit="ms", above=0),
    option("tau_decay", FLOAT, "Decay of the kernel of traces and errors.", unit="ms", above=0),
    option(
        "beta", FLOAT, "Steepness of the surrogate derivative 1/(1 + |beta (V - V_THRESH)|)^2.",
        unit="1/mV", above=0,
    ),
    option(
        "sigma_floor", FLOAT, "Potential from rest below which that derivative is 0.", unit="mV",
    ),
    option("r0", FLOAT, "Step size of RMaxProp.", unit="mV", above=0),
    option("tau_rms", FLOAT, "Time constant of RMaxProp's leaking maximum.", unit="ms", above=0),
    option("update_ms", FLOAT, "Running time between updates of the weights.", unit="ms", above=0),
    option(
        "update_aligned", BOOL,
        "Count that time anew in each trial; what is left at its end is an update too.",
    ),
    option("epsilon", FLOAT, "Added to the root of RMaxProp's maximum.", above=0),
    option("w_limit", FLOAT, "Weights stay between plus and minus this.", unit="mV", above=0),
    option(
        "w0", FLOAT,
        "Standard deviation of initial weights, times the root of the number of inputs.",
        unit="mV", minimum=0,
    ),
    option(
        "cut_every", INT,
        "Multiply the step size by rule.cut_factor every so many trials, again and again; 0: "
        "never.",
        minimum=0,
    ),
    option(
        "cut_at", INT,
        "Multiply the step size by rule.cut_factor once, from this trial of the run on.",
        minimum=0, nullable=True, null="never",
    ),
    option(
        "cut_at_ms", FLOAT,
        "The same at a running time: from the first trial on that begins at or after it.",
        unit="ms", minimum=0, nullable=True, null="never",
    ),
    option(
        "cut_factor", FLOAT, "What cuts multiply the step size by.", above=0, maximum=1,
        active_if=CUT,
    ),
    option(
        "burn_in_ms", FLOAT,
        "Running time at the start without learning: updates of what began before it are skipped.",
        unit="ms", minimum=0,
    ),
    option(
        "het_rho", FLOAT,
        "Strength of the heterosynaptic regulariser of hidden neurons: -het_rho w zeta is added to "
        "what a synapse accumulates in each step, w in volts, zeta a power of the trace of the "
        "neuron's own spikes.",
        minimum=0,
    ),
    option("het_a", FLOAT, "That power.", minimum=0, active_if=HET),
    option("het_tau", FLOAT, "Time constant of that trace.", unit="ms", above=0, active_if=HET),
    option("het_error_scaled", BOOL, "Multiply zeta by the neuron's squared error.", active_if=HET),
    option(
        "delay_ms", FLOAT,
        "Axonal delay of spikes and errors; eligibilities wait for the errors. Rounded to steps.",
        unit="ms", minimum=0,
    ),
    option(
        "reset_state_per_trial", BOOL,
        "Begin each trial with potentials at rest and traces at 0; false: they run on.",
    ),
    option(
        "tau_error", FLOAT, "Time constant of the running mean of the error that is shown.",
        unit="ms", above=0,
    ),
)
# fmt: on

UNUSED = {  # it has its own optimiser, initial weights and error; what stands for them
    **dict.fromkeys(
        (
            "LOSS_TYPE",
            "REG_TYPE",
            "REWIRE_SILENT",
            "ADAM_BETA1",
            "ADAM_BETA2",
            "ADAM_EPS",
            "LR_EASE_IN_FACTOR",
            *(key.name for key in (*OPTIMISER, *SCHEDULE)),
            "TRAIN_TAU",
            "TRAIN_TAU_OUTPUT",
            "TRAIN_W",
            "TRAIN_W_OUTPUT",
            "INPUT_HIDDEN_MEAN",
            "HIDDEN_OUTPUT_MEAN",
            "PDROP_INPUT",
            "PDROP_HIDDEN",
            "HIDDEN_NOISE",
            "PIPELINE",
            "COLLECT_CONFUSION",
            "REC_PREDICTIONS",
            "backend.cuda_graph",
            "backend.on_full_buffer",
            "network.hidden_trained",
            "network.output_trained",
        ),
        "",
    ),
    "ETA": "rule.r0",
    "ETA_DECAY": "rule.cut_every",
    **dict.fromkeys(("ETA_FAC", "schedule.name"), "rule.cut_every"),
    "INPUT_HIDDEN_STD": "rule.w0",
    "HIDDEN_OUTPUT_STD": "rule.w0",
    "TAU_RISE": "rule.tau_rise",
    "TAU_DECAY": "rule.tau_decay",
}


def _layers_alike(values: Values) -> Iterator[str]:
    described = ("network.layers", "network.populations", "network.file")
    key = next((k for k in described if values[k]), "")
    if key:
        yield (
            f"{key}: rule=superspike trains one hidden layer of NUM_HIDDEN neurons, or "
            f"none with rule.feedback=none; leave {key} out"
        )


def _neurons_alike(values: Values) -> Iterator[str]:
    for group in ("network.hidden_parameters", "network.output_parameters"):
        for parameter, given in (values[group] or {}).items():
            if isinstance(given, list | tuple):
                yield (
                    f"{group}.{parameter}: rule=superspike needs one number for all neurons of a "
                    "population"
                )


def _times(values: Values) -> Iterator[str]:
    dt, rise, decay = values["DT_MS"], values["rule.tau_rise"], values["rule.tau_decay"]
    if not dt < rise < decay:
        yield (
            f"rule.tau_rise={rise:g}: must be longer than DT_MS={dt:g} and shorter than "
            f"rule.tau_decay={decay:g} (ms)"
        )
    update = values["rule.update_ms"]
    if round(update / dt) < 1 or abs(update / dt - round(update / dt)) > 1e-6:
        yield f"rule.update_ms={update:g}: must be a whole number of steps of DT_MS={dt:g} ms"
    delay, steps = values["rule.delay_ms"], steps_in_trial(values)
    if 0 < delay < 0.5 * dt:
        yield f"rule.delay_ms={delay:g}: would round to no delay with DT_MS={dt:g}"
    if steps is not None and round(delay / dt) >= steps:
        yield f"rule.delay_ms={delay:g}: must be shorter than TRIAL_MS={values['TRIAL_MS']:g}"


def _one_schedule(values: Values) -> Iterator[str]:
    given = [c.key for c in CUT if c.holds(values)]
    if len(given) > 1:
        yield f"{given[0]}, {given[1]}: there is one schedule of the step size; give one of them"


def _heterosynaptic(values: Values) -> Iterator[str]:
    if values["rule.het_rho"] and values["rule.feedback"] == "none":
        yield (
            f"rule.het_rho={values['rule.het_rho']:g}: acts on hidden neurons, and "
            "rule.feedback=none has none; leave it out"
        )


SUPERSPIKE = Rule(
    name="superspike",
    meaning="online eligibility traces with a surrogate derivative, times an error fed back",
    source="Zenke & Ganguli 2018, Neural Computation 30:1514",
    engine=Engine.ONLINE,
    bind=Online.of,
    options=OPTIONS,
    backends=("native", "genn"),
    loss="van_rossum",
    step="rule.r0",
    spread="rule.w0",
    unused=UNUSED,
    fixed={
        "RECURRENT": False,
        "N_HID_LAYER": 1,
        "N_BATCH": 1,
        "HIDDEN_NEURON_TYPE": "LIF",
        "OUTPUT_NEURON_TYPE": "LI",
    },
    no_hidden=when("rule.feedback", "none"),
    checks=(_layers_alike, _neurons_alike, _times, _one_schedule, _heterosynaptic),
)
