"""Keys of what a run records and keeps, and of what computes it."""

from __future__ import annotations

from typing import Any

from snnrun.keys.key import RESUME, TEST, Row, number, row, switch, table, text, unless, when, whole
from snnrun.keys.kinds import EPOCH_TRIALS, NAMES, POPULATIONS, SYNAPSES, TEXTS, VARIABLES

PLOTTED = (when("TRAINING_PLOT", True), when("FANCY_PLOTS", True))
COUNTED = (when("OPERATION_COUNTS", True),)
EVERY_TRIAL = " Without {} every trial is recorded."
BOTH = (RESUME, TEST)
NATIVE, GENN = (when("backend.name", "native"),), (when("backend.name", "genn"),)
BUILT = (when("backend.name", "native", "genn"),)


def _when(name: str, what: str, **more: Any) -> Row:
    """Return a row for a list of [epoch, trial] pairs at which ``what`` is recorded."""
    meaning = (
        f"The [epoch, trial] pairs at which {what}. Both count from 0; a negative epoch counts "
        "from the end of the training, so [-1, 0] is the first mini-batch of the last epoch. "
        "Evaluation batches are counted after the training batches of their epoch."
    )
    return row(name, meaning, kind=EPOCH_TRIALS, **more)


# fmt: off
KEYS = table(
    "recording controls",
    whole(
        "SPK_REC_STEPS", "Steps of a trial whose spikes are buffered before they are written.",
        minimum=1, nullable=True, null="TRIAL_MS/DT_MS, the whole trial",
        active_if=(unless("REC_SPIKES", ()),),
    ),
    _when(
        "REC_SPIKES_EPOCH_TRIAL", "the spikes of REC_SPIKES are recorded; empty: at every one",
        active_if=(unless("REC_SPIKES", ()),),
    ),
    row(
        "REC_SPIKES",
        "Populations whose spikes are written to spikes.h5: input, hidden (all hidden layers; or "
        "hidden0, hidden1, ...), and output where it spikes."
        + EVERY_TRIAL.format("REC_SPIKES_EPOCH_TRIAL"), kind=POPULATIONS,
    ),
    _when(
        "REC_NEURONS_EPOCH_TRIAL", "the variables of REC_NEURONS are recorded; empty: at every one",
        active_if=(unless("REC_NEURONS", ()),),
    ),
    row(
        "REC_NEURONS",
        "[population, variable] pairs that are written to variables.h5 in every step. Variables: V"
        " potential, I synaptic current, B adaptation (ALIF)."
        + EVERY_TRIAL.format("REC_NEURONS_EPOCH_TRIAL"), kind=VARIABLES,
    ),
    _when(
        "REC_SYNAPSES_EPOCH_TRIAL", "REC_SYNAPSES are recorded; empty: at every one",
        active_if=(unless("REC_SYNAPSES", ()),),
    ),
    row(
        "REC_SYNAPSES",
        "[projection, variable] pairs that are written to weights.h5. Variables: g weights, d "
        "delays (ms), where there are some. Projections: in_to_hid, hid_to_hid (RECURRENT), "
        "hid_to_hidfwd (from one hidden layer to the next), hid_to_out; of several hidden layers "
        "all, or with the layer's number, as in in_to_hid0; all for every projection."
        + EVERY_TRIAL.format("REC_SYNAPSES_EPOCH_TRIAL"), kind=SYNAPSES,
    ),
    switch("COLLECT_CONFUSION", "Record the confusion matrix of every epoch."),
    switch("REC_PREDICTIONS", "Record the predicted class of every example."),
    switch(
        "OPERATION_COUNTS",
        "Count the synaptic operations of spikes, in every epoch and test; record sparsity, memory "
        "footprint and energy by a model of it besides (docs/costs.md).",
    ),
    number(
        "ENERGY_MAC", "Energy of a multiplication with its addition: 32-bit floating point, 45 nm "
        "(Horowitz 2014, ISSCC, Fig. 1.1.9).", unit="pJ", minimum=0, active_if=COUNTED,
    ),
    number(
        "ENERGY_AC", "Energy of an addition, from the same source.", unit="pJ", minimum=0,
        active_if=COUNTED,
    ),
    number(
        "ENERGY_MEMORY", "Energy of reading or writing a byte of memory.", unit="pJ/byte",
        minimum=0, nullable=True, active_if=COUNTED,
        null="that of the smallest memory of the same source that holds the network",
    ),
    changeable=BOTH,
) + table(
    "recording controls",
    _when("W_OUTPUT_EPOCH_TRIAL", "all weights are written to weights.h5"),
    whole(
        "W_REPORT_INTERVAL",
        "Write all weights to weights.h5 every so many trials, in the epochs that W_EPOCH_INTERVAL "
        "chooses; 0: only at W_OUTPUT_EPOCH_TRIAL.",
        minimum=0,
    ),
    whole(
        "W_EPOCH_INTERVAL", "The epochs in which W_REPORT_INTERVAL applies: every so many.",
        minimum=1, active_if=(unless("W_REPORT_INTERVAL", 0),),
    ),
    _when(
        "TAU_OUTPUT_EPOCH_TRIAL",
        "the time constants of all populations where they are trained or drawn, and so differ from "
        "neuron to neuron, are written to weights.h5, without the weights",
    ),
    _when(
        "DELAY_OUTPUT_EPOCH_TRIAL",
        "the delays of all projections that have some are written to weights.h5, without the "
        "weights",
    ),
    switch(
        "TRAINING_PLOT",
        "Plot the course of the training to plots/training.png, and in a window where there is a "
        "display. Needs matplotlib.",
    ),
    whole(
        "TRAINING_PLOT_INTERVAL", "Plot every so many epochs, and at the end.", minimum=1,
        active_if=PLOTTED,
    ),
    switch(
        "FANCY_PLOTS",
        "Make further plots in plots/: spikes of one example, weights, activity, time constants "
        "and, with COLLECT_CONFUSION, the confusion matrix. Needs matplotlib.",
    ),
    switch(
        "CHECKPOINT",
        "Write checkpoints/last.h5 after each epoch, from which the run can be resumed.",
    ),
    row(
        "logger",
        "What the figures of each epoch, the configuration, the final tests and the pictures of "
        "FANCY_PLOTS and TRAINING_PLOT are given to: csv, the table metrics.csv of the epochs in "
        "the run folder; tensorboard, mlflow and wandb (docs/loggers.md); several with commas "
        "between.",
        kind=NAMES, choices=("csv", "tensorboard", "mlflow", "wandb"), dotted_path=True,
        nullable=True, null="nothing",
    ),
    text(
        "CHECKPOINT_BEST",
        "Write checkpoints/best.h5 whenever this accuracy is higher than ever before: validation "
        "(training where N_VALIDATE is 0 and there is none), training, or neither.",
        choices=("validation", "training", "neither"),
    ),
    changeable=(RESUME,),
) + table(
    "recording controls",
    switch(
        "WRITE_TO_DISK",
        "Keep a run folder; false: records live in a temporary folder until the run ends, no "
        "checkpoint is written, and nothing is left but what snnrun.train returns (the data folder "
        "and the build cache are used as ever).",
    ),
    switch(
        "LOAD_LAST",
        "Start from the weights of the last checkpoint of the newest earlier run of this NAME "
        "under OUT_DIR.",
    ),
    switch(
        "LOAD_BEST",
        "Start from the weights of the best checkpoint of the newest earlier run of this NAME "
        "under OUT_DIR. snnrun test: evaluate the run's best checkpoint, not its last.",
        changeable=(TEST,),
    ),
) + table(
    "loss types and parameters",  # where the reference's table has it
    switch(
        "CUDA_VISIBLE_DEVICES",
        "Take the GPU with the number backend.device_id among those that the environment variable "
        "of this name leaves visible; false: let GeNN choose the one that suits best.",
        active_if=(when("backend.name", "genn"),), changeable=(RESUME, TEST),
    ),
)

OPTIONS = table(
    "options of the groups",
    text(
        "backend.name",
        "What runs the network: native, one fused C++ function; genn, PyGeNN on a GPU or a CPU; "
        "numpy, the derived program as it stands, without a compiler and slowly.",
        choices=("native", "genn", "numpy"), changeable=BOTH,
    ),
    text(
        "backend.device", "The backend of GeNN.", choices=("cuda", "hip", "single_threaded_cpu"),
        nullable=True, null="the first of these that this PyGeNN has", active_if=GENN,
        changeable=BOTH,
    ),
    whole(
        "backend.device_id",
        "Number of the GPU among those that the environment's CUDA_VISIBLE_DEVICES leaves, with "
        "the key CUDA_VISIBLE_DEVICES true.",
        minimum=0, active_if=GENN, changeable=BOTH,
    ),
    switch(
        "backend.optimize_code",
        "Let GeNN build with -O3 and fast arithmetic that reorders sums; false: -O2, by the rules "
        "of IEEE 754.",
        active_if=GENN,
    ),
    switch(
        "backend.cuda_graph",
        "On CUDA, launch all steps of a pass at once, as a graph, instead of each kernel of each "
        "step.",
        active_if=GENN, changeable=BOTH,
    ),
    text(
        "backend.on_full_buffer",
        "What to do when a neuron spikes more than N_MAX_SPIKE times in a trial: stop, or report "
        "how many spikes were learned without their gradient.",
        choices=("stop", "report"), active_if=GENN, changeable=(RESUME,),
    ),
    whole(
        "backend.threads", "Threads to compute with; results do not depend on it.", minimum=1,
        maximum=1024, nullable=True, null="one per core", active_if=NATIVE, changeable=BOTH,
    ),
    text(
        "backend.precision", "Floating-point numbers to compute with.",
        choices=("float32", "float64"), active_if=BUILT,
    ),
    switch(
        "backend.contraction",
        "Let the compiler fuse a multiplication and an addition into one rounding. false, at less "
        "speed: with backend.precision=float64 the spikes are those of the NumPy program that "
        "defines the semantics, and gradients agree with it up to the last digits.",
        active_if=NATIVE,
    ),
    text(
        "backend.compiler",
        "The C++ compiler, a name or a path; for CUDA the one that nvcc calls for the host's code.",
        nullable=True, null="$CXX, else the first that is found; for CUDA the one that nvcc finds",
        active_if=BUILT, changeable=BOTH,
    ),
    row(
        "backend.flags", "Further flags for the compiler: C++, nvcc or hipcc.", kind=TEXTS,
        active_if=BUILT,
    ),
    text(
        "backend.cache_dir", "Folder in which compiled programs are kept.", nullable=True,
        null="the folder that snnrun doctor shows", active_if=BUILT, changeable=BOTH,
    ),
    text("record.name", "Name of the choice of records; a label.", changeable=BOTH),
)
# fmt: on
