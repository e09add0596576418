"""Keys of neurons, weights, regularisation and loss."""

from __future__ import annotations

from snnrun.keys.key import RESUME, TEST, unless, when
from snnrun.keys.table import number, switch, table, text

EXPONENTIAL_LOSSES = ("first_spike_exp", "first_spike_wp")
FIRST_SPIKE_LOSSES = ("first_spike", *EXPONENTIAL_LOSSES)
SPIKE_TIME_LOSSES = (*FIRST_SPIKE_LOSSES, "relative_mse")
TARGET_LOSSES = ("van_rossum",)  # of data with target spikes
SPIKING_LOSSES = (*SPIKE_TIME_LOSSES, *TARGET_LOSSES)  # of outputs that spike
REGULARISED = (unless("REG_TYPE", "none"),)
LAYER_REGULARISED = (when("REG_TYPE", "Thomas1"),)
DISCRETE_HIDDEN = ("rockpool_LIF", "rockpool_LIF_delta", "flux_LIF", "spytorch_LIF")
DISCRETE_NEURONS = (*DISCRETE_HIDDEN, "spytorch_LI")
LAYERED = unless("network.layers", ())  # whose neurons and recurrence are each layer's own
ADAPTIVE = (when("HIDDEN_NEURON_TYPE", "ALIF"), LAYERED)
HIDDEN_NEURONS = ("LIF", "hetLIF", "ALIF", "LIF_subtract", *DISCRETE_HIDDEN)
OUTPUT_NEURONS = ("LI", "hetLI", "spytorch_LI")

# fmt: off
NEURONS = table(
    "model parameters",
    number("TAU_SYN", "Time constant of the synaptic current.", unit="ms", above=0),
    number(
        "TAU_MEM", "Time constant of the membrane potential.", unit="ms", above=0,
    ),
    number(
        "V_THRESH", "Potential at which a neuron spikes.", above=0,
    ),
    number(
        "V_RESET",
        "Potential after a spike. LIF_subtract and rockpool_LIF take the threshold off instead, "
        "flux_LIF and spytorch_LIF set it to 0.",
        active_if=(
            unless("HIDDEN_NEURON_TYPE", "LIF_subtract", *DISCRETE_HIDDEN),
            when("LOSS_TYPE", *SPIKING_LOSSES),
            LAYERED,
        ),
    ),
    number(
        "TAU_REF",
        "Refractory period: for so long after a spike the potential is held and no spike is "
        "emitted. Rounded to whole steps.", unit="ms", minimum=0,
    ),
    text(
        "HIDDEN_NEURON_TYPE",
        "Neurons of the hidden layers: LIF leaky integrate-and-fire; hetLIF with time constants "
        "drawn for each neuron; ALIF with an adaptive threshold; LIF_subtract whose reset takes "
        "the threshold off the potential; or your own, as in mylab.neurons.alif2. By updates in "
        "discrete time, with rule=surrogate only: rockpool_LIF and, without a synaptic current, "
        "rockpool_LIF_delta, with up to max_spikes_per_dt spikes a step and a bias (both in "
        "network.hidden_parameters); flux_LIF by forward Euler; spytorch_LIF, reset a step late.",
        choices=HIDDEN_NEURONS, dotted_path=True,
    ),
    text(
        "OUTPUT_NEURON_TYPE",
        "Neurons of the output: LI leaky integrator; hetLI with time constants drawn for each "
        "neuron; spytorch_LI the one of spytorch_LIF, with rule=surrogate only; or your own. The "
        "losses of spikes need outputs that spike: with them LI stands for LIF, hetLI for hetLIF "
        "and spytorch_LI for spytorch_LIF.",
        choices=OUTPUT_NEURONS, dotted_path=True,
    ),
    number(
        "TAU_B", "Time constant with which the adaptation B of ALIF neurons decays.",
        unit="ms", above=0, active_if=ADAPTIVE,
    ),
    number(
        "B_INCR", "Rise of the adaptation B, and so of the threshold, at each spike.",
        minimum=0, active_if=ADAPTIVE,
    ),
    number(
        "B_INIT", "Adaptation B at the start of a trial.", minimum=0, active_if=ADAPTIVE,
    ),
    number(
        "HIDDEN_NOISE",
        "Amplitude A of noise on the potential of hidden neurons, in training: each step adds "
        "A*sqrt(DT_MS)*normal(0, 1), outside refractory periods, before the threshold is tested. "
        "There is none in evaluation. rockpool's noise_std, per sqrt(s), is A*sqrt(1000). "
        "A spike time is differentiated by the drift at the spike, without the noise.",
        minimum=0, maximum=1e6,
    ),
)

WEIGHTS = table(
    "initial weights and dropout",
    number(
        "INPUT_HIDDEN_MEAN",
        "Mean of the initial weights from the input to the first hidden layer.",
    ),
    number(
        "INPUT_HIDDEN_STD", "Standard deviation of these weights.", minimum=0,
    ),
    number(
        "HIDDEN_OUTPUT_MEAN",
        "Mean of the initial weights from the last hidden layer to the output.",
    ),
    number(
        "HIDDEN_OUTPUT_STD", "Standard deviation of these weights.", minimum=0,
    ),
    number(
        "HIDDEN_HIDDEN_MEAN", "Mean of the initial weights of the recurrent connections.",
        active_if=(when("RECURRENT", True), LAYERED),
    ),
    number(
        "HIDDEN_HIDDEN_STD", "Standard deviation of these weights.", minimum=0,
        active_if=(when("RECURRENT", True), LAYERED),
    ),
    number(
        "HIDDEN_HIDDENFWD_MEAN",
        "Mean of the initial weights from one hidden layer to the next.",
        active_if=(unless("N_HID_LAYER", 1), LAYERED),
    ),
    number(
        "HIDDEN_HIDDENFWD_STD", "Standard deviation of these weights.", minimum=0,
        active_if=(unless("N_HID_LAYER", 1), LAYERED),
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
)

REGULARISATION = table(
    "regularisation",
    text(
        "REG_TYPE",
        "Regulariser of the hidden layers' activity: simple pulls each neuron towards NU_UPPER "
        "spikes per trial, Thomas1 also the layer's total below RHO_UPPER. rule=eventprop adds a "
        "push of that strength at each spike; rule=surrogate the exact gradient of the penalty "
        "LBD/2 (n - NU_UPPER)^2 per neuron and GLB_UPPER/2 (total - RHO_UPPER)^2 / NUM_HIDDEN per "
        "layer, which reaches silent neurons too: strengths of the two cannot be compared.",
        choices=("none", "simple", "Thomas1"),
    ),
    number(
        "LBD_UPPER", "Strength for neurons that spike more often than NU_UPPER.",
        minimum=0, active_if=REGULARISED,
    ),
    number(
        "LBD_LOWER", "Strength for neurons that spike less often than NU_UPPER.",
        minimum=0, active_if=REGULARISED,
    ),
    number(
        "NU_UPPER", "Spikes per hidden neuron and trial to aim at.",
        minimum=0, active_if=REGULARISED,
    ),
    number(
        "RHO_UPPER", "Spikes of a whole hidden layer per trial not to be exceeded.",
        minimum=0, active_if=LAYER_REGULARISED,
    ),
    number(
        "GLB_UPPER", "Strength for layers that exceed RHO_UPPER.",
        minimum=0, active_if=LAYER_REGULARISED,
    ),
    switch(
        "AVG_SNSUM",
        "Regularise by spike counts averaged over the mini-batch, not by each example's. Memory "
        "then grows with N_BATCH: all its examples are kept between the two passes.",
        active_if=REGULARISED,
    ),
    switch(
        "REWIRE_SILENT",
        "Before each epoch, draw new feed-forward weights into those hidden neurons that had no "
        "spike in all training of the epoch before: from the distribution of their own layer's "
        "initial weights (INPUT_HIDDEN, or HIDDEN_HIDDENFWD for deeper layers). Adam's moments of "
        "these weights become 0; recurrent weights stay. REWIRE_LIFT raises weights instead.",
    ),
    number(
        "REWIRE_LIFT",
        "Other than 0: instead of a new draw, this is added to the feed-forward weights into the "
        "silent neurons, and to no others; Adam's moments stay.",
        minimum=0, active_if=(when("REWIRE_SILENT", True),),
    ),
)

LOSS = table(
    "loss types and parameters",
    text(
        "LOSS_TYPE",
        "The loss, a cross entropy over classes of: the times of the outputs' first spikes "
        "(first_spike, first_spike_exp; first_spike_wp leaves silent outputs out), the mean "
        "potential over the trial (sum; weighted in time: sum_weigh_linear, sum_weigh_exp, "
        "sum_weigh_sigmoid; by the activity of the input: sum_weigh_input), its maximum (max), or "
        "the potential in each step (avg_xentropy). Without cross entropy: relative_mse, half the "
        "squared differences of the other outputs' lags behind the label's first spike from "
        "DELTA_T; van_rossum, of dataset=pattern with rule=surrogate: half the squared difference "
        "of target and output spikes, both filtered with TAU_RISE and TAU_DECAY, summed over "
        "outputs and time. Or your own.",
        choices=(
            "first_spike", "first_spike_exp", "first_spike_wp", "relative_mse", "sum",
            "sum_weigh_linear", "sum_weigh_exp", "sum_weigh_sigmoid", "sum_weigh_input", "max",
            "avg_xentropy", "van_rossum",
        ),
        dotted_path=True,
    ),
    number(
        "TAU_0", "Time scale of the softmax over first spike times.", unit="ms", above=0,
        active_if=(when("LOSS_TYPE", *FIRST_SPIKE_LOSSES),),
    ),
    number(
        "TAU_1",
        "Time scale of the cost of a late spike of the label's output (first_spike_exp, _wp).",
        unit="ms", above=0,
        active_if=(when("LOSS_TYPE", *EXPONENTIAL_LOSSES),),
    ),
    number(
        "ALPHA",
        "Strength of the first_spike losses' cost of a late spike of the label's output.",
        minimum=0,
        active_if=(when("LOSS_TYPE", *FIRST_SPIKE_LOSSES),),
    ),
    number(
        "DELTA_T",
        "Lag behind the label's first spike at which relative_mse wants those of the others.",
        unit="ms", above=0, active_if=(when("LOSS_TYPE", "relative_mse"),),
    ),
    number(
        "TAU_ACCUMULATOR",
        "Time constant of the input activity that weights sum_weigh_input: of a leaky accumulator "
        "of the input spikes that PDROP_INPUT leaves, 0.01 each.",
        unit="ms", above=0, active_if=(when("LOSS_TYPE", "sum_weigh_input"),),
    ),
    number(
        "TAU_RISE",
        "Rise of the double exponential, with a peak of 1, through which van_rossum sees spikes.",
        unit="ms", above=0, active_if=(when("LOSS_TYPE", "van_rossum"),),
    ),
    number(
        "TAU_DECAY", "Decay of that double exponential, longer than TAU_RISE.",
        unit="ms", above=0, active_if=(when("LOSS_TYPE", "van_rossum"),),
    ),
    switch(
        "CUDA_VISIBLE_DEVICES",
        "Take the GPU with the number backend.device_id among those that the environment variable "
        "of this name leaves visible; false: let GeNN choose the one that suits best.",
        active_if=(when("backend.name", "genn"),), changeable=(RESUME, TEST),
    ),
)
# fmt: on
