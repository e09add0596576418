"""Keys of the network, its weights and how they learn, but for those of neurons and losses."""

from __future__ import annotations

from snnrun.keys.key import RESUME, number, row, switch, table, text, unless, when, whole
from snnrun.keys.kinds import FLOAT, NUMBERS, TEXTS
from snnrun.models.neurons import IN_PARTS
from snnrun.models.nir import STEPPINGS
from snnrun.rules import RULES
from snnrun.schema.layers import LAYERS
from snnrun.schema.lists import POPULATIONS, PROJECTIONS

BY_ADAM = (when("optimiser.name", "adam", "adamw"), when("rule.optimiser", "adam"))
SCHEDULED = (unless("ETA_FAC", 1.0),)

# fmt: off
KEYS = table(
    "network structure",
    whole(
        "NUM_HIDDEN", "Neurons in each hidden layer.", minimum=1,
        active_if=(unless("rule.feedback", "none"),),
    ),
    switch("RECURRENT", "Connect each hidden layer to itself, all to all."),
    whole(
        "N_HID_LAYER", "Hidden layers, each of NUM_HIDDEN neurons.", minimum=1, maximum=100,
        active_if=(when("network.layers", ()),),
    ),
    whole(
        "N_INPUT_DELAY",
        "Delayed copies of all input channels besides the undelayed ones, each with weights of its "
        "own. Spikes that are delayed beyond the trial are dropped.",
        minimum=0,
    ),
    number(
        "INPUT_DELAY",
        "Delay between one copy of the input channels and the next; rounded to steps.", unit="ms",
        above=0, active_if=(unless("N_INPUT_DELAY", 0),),
    ),
) + table(
    "model parameters",
    number(
        "HIDDEN_NOISE",
        "Amplitude A of noise on the potential of hidden neurons, in training: each step adds "
        "A*sqrt(DT_MS)*normal(0, 1), outside refractory periods, before the threshold is tested. "
        "There is none in evaluation. rockpool's noise_std, per sqrt(s), is A*sqrt(1000). A spike "
        "time is differentiated by the drift at the spike, without the noise.",
        minimum=0, maximum=1e6,
    ),
) + table(
    "initial weights and dropout",
    number(
        "INPUT_HIDDEN_MEAN",
        "Mean of the initial weights from the input to the first hidden layer.",
    ),
    number("INPUT_HIDDEN_STD", "Standard deviation of these weights.", minimum=0),
    number(
        "HIDDEN_OUTPUT_MEAN",
        "Mean of the initial weights from the last hidden layer to the output.",
    ),
    number("HIDDEN_OUTPUT_STD", "Standard deviation of these weights.", minimum=0),
    number(
        "HIDDEN_HIDDEN_MEAN", "Mean of the initial weights of the recurrent connections.",
        active_if=(when("RECURRENT", True), *IN_PARTS),
    ),
    number(
        "HIDDEN_HIDDEN_STD", "Standard deviation of these weights.", minimum=0,
        active_if=(when("RECURRENT", True), *IN_PARTS),
    ),
    number(
        "HIDDEN_HIDDENFWD_MEAN", "Mean of the initial weights from one hidden layer to the next.",
        active_if=(unless("N_HID_LAYER", 1), *IN_PARTS),
    ),
    number(
        "HIDDEN_HIDDENFWD_STD", "Standard deviation of these weights.", minimum=0,
        active_if=(unless("N_HID_LAYER", 1), *IN_PARTS),
    ),
    number(
        "PDROP_INPUT",
        "Probability with which each input spike is dropped in training. Nothing is rescaled, and "
        "nothing is dropped in evaluation.",
        minimum=0, below=1,
    ),
    number(
        "PDROP_HIDDEN",
        "Probability, in training, with which a hidden neuron on or above its threshold is kept "
        "from spiking in a step. It stays above the threshold and draws again in the next step, so "
        "that spikes are delayed rather than dropped. Nothing is held back in evaluation.",
        minimum=0, below=1,
    ),
) + table(
    "regularisation",
    switch(
        "REWIRE_SILENT",
        "Before each epoch, draw new feed-forward weights into those hidden neurons that had no "
        "spike in all training of the epoch before: from the distribution of their own layer's "
        "initial weights (INPUT_HIDDEN, or HIDDEN_HIDDENFWD for deeper layers). What the "
        "optimiser keeps of these weights becomes 0; recurrent weights stay. REWIRE_LIFT raises "
        "weights instead.",
    ),
    number(
        "REWIRE_LIFT",
        "Other than 0: instead of a new draw, this is added to the feed-forward weights into the "
        "silent neurons, and to no others; what the optimiser keeps stays.",
        minimum=0, active_if=(when("REWIRE_SILENT", True),),
    ),
) + table(
    "learning parameters",
    number("ETA", "Learning rate.", above=0),
    number(
        "ADAM_BETA1", "Decay of Adam's mean of the gradient, per update.", minimum=0, below=1,
        active_if=BY_ADAM,
    ),
    number(
        "ADAM_BETA2", "Decay of Adam's mean of the squared gradient, per update.", minimum=0,
        below=1, active_if=BY_ADAM,
    ),
    number(
        "ADAM_EPS", "Added to the root of Adam's mean squared gradient.", above=0,
        active_if=BY_ADAM,
    ),
    number(
        "ETA_DECAY", "Factor on the learning rate from one epoch to the next; 1: off.", above=0,
        maximum=1,
    ),
    number(
        "ETA_DELAY",
        "Learning rate of delays that learn: about how far an update moves each of them.",
        unit="ms per update", above=0,
    ),
    number(
        "ETA_DELAY_DECAY",
        "Factor on ETA_DELAY from one epoch to the next; 1: off. Beside it schedule= alone "
        "changes the rate of delays.",
        above=0, maximum=1,
    ),
    number(
        "DELAY_WIDTH",
        "Half width, at the start of the training, of the triangle over which a delayed spike is "
        "spread in training, beyond the two steps between which its arrival lies; 0: those alone. "
        "Nothing is spread in evaluation.",
        unit="steps", minimum=0, maximum=1000,
    ),
    number(
        "DELAY_WIDTH_DECAY", "Factor on DELAY_WIDTH from one epoch to the next; 1: off.",
        above=0, maximum=1, active_if=(unless("DELAY_WIDTH", 0.0),),
    ),
    number(
        "LR_EASE_IN_FACTOR",
        "The learning rate starts at ETA/1000 and grows by this factor per training batch up to "
        "ETA; 1: it starts at ETA.",
        minimum=1,
    ),
    number(
        "EMA_ALPHA1", "Weight of the past in the fast moving average of the accuracy.", minimum=0,
        below=1, active_if=SCHEDULED,
    ),
    number(
        "EMA_ALPHA2", "Weight of the past in the slow moving average of the accuracy.", minimum=0,
        below=1, active_if=SCHEDULED,
    ),
    text(
        "EMA_WHICH",
        "The accuracy that the moving averages follow; validation is training where N_VALIDATE is "
        "0 and there is none.",
        choices=("validation", "training"), active_if=SCHEDULED,
    ),
    number(
        "ETA_FAC",
        "Factor on the learning rate whenever the fast moving average of the accuracy is not above "
        "the slow one; 1: off.",
        above=0, maximum=1,
    ),
    whole(
        "MIN_EPOCH_ETA_FIXED", "Epochs that must pass between two changes by ETA_FAC.", minimum=0,
        active_if=SCHEDULED,
    ),
    whole(
        "PATIENCE",
        "Early stopping: the training ends after so many epochs in a row without an accuracy "
        "(PATIENCE_WHICH) above the best so far. The run counts as finished and is tested; "
        "resuming it with more patience goes on.",
        minimum=1, nullable=True, null="all of N_EPOCH",
    ),
    text(
        "PATIENCE_WHICH",
        "The accuracy that PATIENCE waits for; validation is training where N_VALIDATE is 0.",
        choices=("validation", "training"), active_if=(unless("PATIENCE", None),),
    ),
    row(
        "TIME_LIMIT",
        "Time after which the run stops as with Ctrl-C, with a checkpoint and exit code 124; "
        "`snnrun resume` goes on, for as long again. In a multirun it is the time of each run.",
        kind=FLOAT, unit="min", above=0, nullable=True, null="no limit",
    ),
    changeable=(RESUME,),
) + table(
    "learning parameters",
    switch(
        "PIPELINE",
        "Run the backward pass of a mini-batch together with the forward pass of the next one, as "
        "the reference does: fewer steps, but a forward pass lacks the update before it. false: "
        "each mini-batch is learned before the next one begins.",
        active_if=(when("backend.name", "genn"),),
    ),
    switch("TRAIN_TAU", "Train TAU_MEM and TAU_SYN of each hidden neuron."),
    switch("TRAIN_TAU_OUTPUT", "Train TAU_MEM and TAU_SYN of each output neuron."),
    switch("TRAIN_W", "Train the weights."),
    switch(
        "TRAIN_W_OUTPUT", "Train the weights towards the output too.",
        active_if=(when("TRAIN_W", True),),
    ),
)

OPTIONS = table(
    "options of the groups",
    text("network.name", "Name of the kind of network; a label."),
    text(
        "network.integrator",
        "How states advance by a step. Neurons that are linear between spikes: by the closed form "
        "of their solution, or forward Euler with euler. Others: exponential_euler, which exact "
        "stands for too, rk2 or rk4 (Runge-Kutta of order 2 or 4), or euler.",
        choices=("exact", "euler", "exponential_euler", "rk2", "rk4"),
    ),
    row(
        "network.hidden_parameters",
        "Parameters of the hidden neurons that no key sets: name -> number, one number per "
        "neuron, or a distribution from which each neuron's is drawn, as in {bias: {uniform: "
        "[-0.1, 0.1]}}.",
        kind=NUMBERS,
    ),
    row(
        "network.output_parameters",
        "Parameters of the output neurons that no key sets: name -> number, one number per "
        "neuron, or a distribution from which each neuron's is drawn.",
        kind=NUMBERS,
    ),
    row(
        "network.hidden_trained",
        "Parameters of the hidden neurons that are trained besides what TRAIN_TAU trains, such as "
        "v_thresh and bias: one value per neuron, within the bounds of the neuron's declaration, "
        "and not below 1 % of its start where it must be positive.",
        kind=TEXTS,
    ),
    row(
        "network.output_trained",
        "The same of the output's neurons, besides what TRAIN_TAU_OUTPUT trains.",
        kind=TEXTS,
    ),
    row(
        "network.layers",
        "The layers one by one, the output last or left out: a list of mappings with name, size, "
        "neuron, parameters, train_tau, forward (as of network.projections, without from and to) "
        "and recurrent (the same, or true or false). What a layer leaves out comes from "
        "NUM_HIDDEN, HIDDEN_NEURON_TYPE, RECURRENT, INPUT_HIDDEN_MEAN, TRAIN_W, TRAIN_TAU, ... [] "
        "for N_HID_LAYER alike layers. docs/networks.md shows networks.",
        kind=LAYERS,
    ),
    row(
        "network.populations",
        "The populations of a network that is a graph: a list of mappings with name, size or shape "
        "([height, width, channels]), neuron, parameters and train_tau. The input is known, and "
        "needs an entry for its shape only; the output may be left out. Together with "
        "network.projections, and instead of network.layers. What a population leaves out comes "
        "from NUM_HIDDEN, HIDDEN_NEURON_TYPE, ... docs/networks.md shows networks.",
        kind=POPULATIONS,
    ),
    row(
        "network.projections",
        "The projections between network.populations, in any order: a list of mappings with from, "
        "to, name, mean, std, rule, connectivity (a kind, or {kind, options}; snnrun keys "
        "connectivity), port, sign (1 or -1: weights that stay above or below 0), delay (ms, or "
        "{kind, start, max, train}), dropout (of currents, in training) and weights (a .npy "
        "file of the first ones). A name left out is "
        "FROM_to_TO.",
        kind=PROJECTIONS,
    ),
    text(
        "network.file",
        "A file in the NIR format that describes the network instead, with the start values of all "
        "that learns; docs/nir.md says what becomes of its nodes.",
        nullable=True, null="other keys describe the network",
    ),
    text(
        "network.stepping",
        "How the neurons of network.file are stepped: "
        + "; ".join(f"{name}, {meaning}" for name, meaning in STEPPINGS.items()) + ".",
        choices=tuple(STEPPINGS), nullable=True, null="as snnrun noted in the file, or exact",
        active_if=(unless("network.file", None),),
    ),
    number(
        "network.file_step",
        "What a step of DT_MS is in the time of network.file, for files whose seconds are not "
        "those of the data; snnTorch writes files for steps of 0.1 ms.",
        unit="ms", above=0, nullable=True,
        null="DT_MS; with stepping sinabs, which counts steps, 1000",
        active_if=(unless("network.file", None),),
    ),
    text(
        "rule.name", "The learning rule, or the dotted path of your own.", choices=tuple(RULES),
        dotted_path=True,
    ),
)
# fmt: on
