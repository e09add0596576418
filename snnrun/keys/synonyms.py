"""What people call things that have another name here: data for `snnrun keys` and for hints.

``WORDS`` are of keys, ``VALUES`` of what keys are set to. Both are written as people say them;
case, blanks and punctuation do not count, so "batch size" is batch_size, batchSize and BATCH-SIZE.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

TO_CUDA = "backend=genn backend.device=cuda"


@dataclass(frozen=True, kw_only=True)
class Meaning:
    """What a word stands for.

    Args:
        words: The words, with commas between them.
        keys: The keys to look at, the most apt first.
        says: The hint, a clause without a full stop.
        setting: What to give instead, with ``{}`` for the value that was given; "" where the value
            does not carry over.
        settings: Value that was given -> what to give instead.
    """

    words: str
    keys: tuple[str, ...]
    says: str
    setting: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)


def _of(words: str, key: str, is_: str, *more: str, **settings: str) -> Meaning:
    """Return the meaning of words that are another name of one key."""
    setting = f"{key}={{}}".replace(".name=", "=")
    shown = key.removesuffix(".name")
    return Meaning(
        words=words, keys=(key, *more), says=f"{shown} is {is_}", setting=setting, settings=settings
    )


WORDS: tuple[Meaning, ...] = (
    # learning
    _of("lr, learning rate, step size, base lr, initial lr", "ETA", "the learning rate",
        "ETA_DECAY", "ETA_FAC", "LR_EASE_IN_FACTOR", "rule.r0"),
    _of("lr decay, learning rate decay, gamma, lr gamma", "ETA_DECAY",
        "the factor on the learning rate after each epoch", "ETA_FAC", "MIN_EPOCH_ETA_FIXED"),
    Meaning(
        words="scheduler, lr scheduler, lr schedule, learning rate schedule, reduce on plateau",
        keys=("ETA_DECAY", "ETA_FAC", "MIN_EPOCH_ETA_FIXED", "EMA_WHICH", "LR_EASE_IN_FACTOR"),
        says="the learning rate follows ETA_DECAY (per epoch), ETA_FAC (when the accuracy no "
        "longer grows) and LR_EASE_IN_FACTOR (at the start)",
    ),
    Meaning(
        words="warmup, lr warmup, warmup steps, warmup epochs",
        keys=("LR_EASE_IN_FACTOR",),
        says="LR_EASE_IN_FACTOR lets the learning rate grow at the start",
    ),
    _of("batch size, batch, bs, mini batch, mini batch size, train batch size", "N_BATCH",
        "the size of a mini-batch"),
    _of("epochs, epoch, n epochs, num epochs, number of epochs, nb epochs, max epochs, n iter, "
        "iterations",
        "N_EPOCH", "the number of epochs"),
    Meaning(
        words="early stopping, early stop, stop early, max patience, early stopping patience",
        keys=("PATIENCE", "PATIENCE_WHICH", "TIME_LIMIT"),
        says="PATIENCE is the number of epochs without a better accuracy after which a run ends",
        setting="PATIENCE={}",
    ),
    _of("max time, time limit min, walltime, timeout, max minutes", "TIME_LIMIT",
        "the time in minutes after which a run stops with a checkpoint"),
    Meaning(
        words="optimizer, optimiser, optim, adam, adamw, sgd, rmsprop, solver",
        keys=("ADAM_BETA1", "ADAM_BETA2", "ADAM_EPS", "ETA", "rule.optimiser", "rule.r0"),
        says="gradients are applied by Adam, with ADAM_BETA1, ADAM_BETA2, ADAM_EPS and the "
        "learning rate ETA; only rule=stdp has a choice, rule.optimiser",
    ),
    _of("momentum, beta1, betas", "ADAM_BETA1",
        "what comes nearest: the decay of Adam's mean of the gradient", "ADAM_BETA2"),
    _of("beta2", "ADAM_BETA2", "the decay of Adam's mean of the squared gradient"),
    _of("epsilon, eps, adam epsilon", "ADAM_EPS", "what Adam adds to its denominator",
        "rule.epsilon"),
    Meaning(
        words="weight decay, l2, l2 regularisation, l2 regularization, wd",
        keys=("REG_TYPE", "LBD_UPPER", "LBD_LOWER"),
        says="weights do not decay here; REG_TYPE regularises the activity of hidden neurons",
    ),
    Meaning(
        words="gradient clipping, grad clip, clip grad norm, clip, max grad norm, clipnorm",
        keys=("ETA", "LR_EASE_IN_FACTOR"),
        says="gradients are not clipped; a smaller ETA, or LR_EASE_IN_FACTOR, makes learning "
        "gentler",
    ),
    _of("loss, loss fn, loss function, criterion, objective, cost", "LOSS_TYPE", "the loss",
        "TAU_0", "TAU_1", "ALPHA"),
    _of("learning rule, rule type, algorithm, method, trainer, gradient method", "rule.name",
        "the learning rule", "rule.surrogate"),
    Meaning(
        words="surrogate gradient, surrogate, surrogate function, spike grad, pseudo derivative",
        keys=("rule.surrogate", "rule.scale", "rule.window", "rule.detach_reset", "rule.beta"),
        says="rule.surrogate chooses the surrogate derivative of rule=surrogate",
    ),
    _of("slope, steepness, surrogate scale, surrogate slope", "rule.scale",
        "the steepness of the surrogate of rule=surrogate", "rule.beta"),
    # network
    _of("hidden size, hidden, hidden dim, hidden units, hidden neurons, hidden layer size, "
        "n hidden, nb hidden, num neurons, neurons, units, width", "NUM_HIDDEN",
        "the number of neurons in a hidden layer", "N_HID_LAYER", "network.layers"),
    _of("layers, num layers, n layers, nb layers, depth, hidden layers, num hidden layers",
        "N_HID_LAYER", "the number of hidden layers", "network.layers", "NUM_HIDDEN"),
    _of("recurrence, rnn, rsnn, recurrent network, recurrent weights", "RECURRENT",
        "whether hidden layers are recurrent", "HIDDEN_HIDDEN_MEAN", "HIDDEN_HIDDEN_STD"),
    Meaning(
        words="model, architecture, arch, topology, net",
        keys=("network.name", "NUM_HIDDEN", "N_HID_LAYER", "RECURRENT", "network.layers"),
        says="NUM_HIDDEN, N_HID_LAYER and RECURRENT shape the network, or network.layers layer "
        "by layer",
    ),
    _of("neuron, neuron model, neuron type, cell, cell type", "HIDDEN_NEURON_TYPE",
        "the neuron of the hidden layers", "OUTPUT_NEURON_TYPE"),
    Meaning(
        words="dropout, dropout rate, dropout prob, p dropout, p drop, drop rate",
        keys=("PDROP_INPUT", "PDROP_HIDDEN"),
        says="PDROP_INPUT is the dropout of input spikes, PDROP_HIDDEN that of hidden neurons",
        setting="PDROP_INPUT={}",
    ),
    Meaning(
        words="init, initialisation, initialization, weight init, weight scale, initial weights, "
        "weights",
        keys=("INPUT_HIDDEN_MEAN", "INPUT_HIDDEN_STD", "HIDDEN_OUTPUT_MEAN", "HIDDEN_OUTPUT_STD",
              "HIDDEN_HIDDEN_MEAN", "HIDDEN_HIDDEN_STD", "rule.w0"),
        says="initial weights are normal, with INPUT_HIDDEN_MEAN and _STD and their like for "
        "each projection",
    ),
    Meaning(
        words="delay, delays, axonal delay, synaptic delay",
        keys=("N_INPUT_DELAY", "INPUT_DELAY", "rule.delay_ms"),
        says="N_INPUT_DELAY is the number of delayed copies of the inputs, INPUT_DELAY their "
        "distance in ms",
    ),
    # neurons and time
    Meaning(
        words="time constant, time constants, tau, decay constant, leak, beta",
        keys=("TAU_MEM", "TAU_SYN", "TAU_B", "TRAIN_TAU", "network.hidden_parameters"),
        says="TAU_MEM is the time constant of the membrane and TAU_SYN that of the synapses, in ms",
    ),
    _of("tau m, tau membrane, membrane time constant", "TAU_MEM",
        "the time constant of the membrane, in ms"),
    _of("tau s, tau synapse, synaptic time constant", "TAU_SYN",
        "the time constant of the synaptic current, in ms"),
    _of("tau adaptation, tau a, adaptation time constant", "TAU_B",
        "the time constant of the adaptation of ALIF neurons, in ms", "B_INCR"),
    Meaning(
        words="potential, membrane potential, voltage, membrane voltage, voltages",
        keys=("V_THRESH", "V_RESET", "TAU_MEM", "REC_NEURONS"),
        says="V_THRESH and V_RESET set the potential, REC_NEURONS records it",
    ),
    _of("threshold, v th, spike threshold, firing threshold", "V_THRESH",
        "the potential at which a neuron spikes"),
    _of("reset, reset potential", "V_RESET", "the potential after a spike", "rule.detach_reset"),
    _of("refractory, refractory period, refractory time, tau refrac, t ref", "TAU_REF",
        "the refractory period, in ms"),
    _of("dt, time step, step ms, time resolution, delta t ms", "DT_MS",
        "the length of a time step, in ms"),
    _of("trial length, trial duration, duration, simulation time, sim time, t max, t sim, "
        "t stop", "TRIAL_MS", "the length of a trial, in ms"),
    Meaning(
        words="num steps, time steps, n steps, n time bins, time bins, nb steps",
        keys=("TRIAL_MS", "DT_MS"),
        says="a trial has TRIAL_MS / DT_MS time steps",
    ),
    _of("noise, membrane noise, noise amplitude", "HIDDEN_NOISE",
        "the noise on the potential of hidden neurons", "AUGMENTATION"),
    # regularisation
    _of("regularisation, regularization, regulariser, regularizer, activity regularisation, "
        "rate regularisation, reg", "REG_TYPE", "the regulariser of the activity",
        "LBD_UPPER", "LBD_LOWER", "NU_UPPER", "RHO_UPPER", "GLB_UPPER"),
    _of("target rate, firing rate, target activity", "NU_UPPER",
        "the spikes per hidden neuron and trial to aim at", "RHO_UPPER", "REG_TYPE"),
    # data
    _of("data, data set, task, benchmark", "dataset.name", "the data set"),
    _of("data path, data dir, data root, dataset dir, dataset folder, data folder, root",
        "dataset.path", "the folder of the data set's files"),
    _of("download", "dataset.fetch", "whether a missing data set is downloaded"),
    _of("train size, num train, n samples, num samples, training examples", "N_TRAIN",
        "the number of training examples"),
    _of("validation size, val size, n val, num val, n valid, validation examples", "N_VALIDATE",
        "the number of validation examples", "EVALUATION"),
    Meaning(
        words="validation, validation split, val split, validation fraction, hold out",
        keys=("N_VALIDATE", "EVALUATION", "SPEAKER_LEFT"),
        says="N_VALIDATE is the number of validation examples, EVALUATION how they are chosen",
    ),
    Meaning(
        words="speaker, speakers, voice, voices, voice speaker, subject, subjects",
        keys=("SPEAKER_LEFT", "EVALUATION"),
        says="SPEAKER_LEFT lists the speakers to leave out, with EVALUATION=speaker",
    ),
    Meaning(
        words="cross validation, crossval, k fold, folds, leave one out",
        keys=("EVALUATION", "SPEAKER_LEFT"),
        says="`snnrun crossval` leaves out one speaker after the other",
    ),
    _of("test size, num test, test examples", "N_TEST", "the number of test examples"),
    _of("augment, data augmentation, augmentations, transforms, jitter, blend", "AUGMENTATION",
        "what changes the training examples at random"),
    Meaning(
        words="classes, num classes, n classes, nb outputs, num outputs, output size",
        keys=("REDUCED_CLASSES",),
        says="the data set says how many classes, and so outputs, there are; REDUCED_CLASSES "
        "takes some of them",
    ),
    Meaning(
        words="input size, num inputs, n inputs, nb inputs, in features, input dim, channels",
        keys=("RESCALE_X", "dataset.channels", "N_INPUT_DELAY"),
        says="the data set says how many input channels there are; RESCALE_X makes them fewer",
    ),
    Meaning(
        words="seed, random seed, rng, rng seed, random state, manual seed",
        keys=("MODEL_SEED", "TRAIN_DATA_SEED", "TEST_DATA_SEED", "rule.feedback_seed"),
        says="MODEL_SEED is the seed of the network; the data have TRAIN_DATA_SEED and "
        "TEST_DATA_SEED",
        setting="MODEL_SEED={}",
    ),
    # machine
    Meaning(
        words="gpu, gpus, cuda, device, accelerator, nvidia, use cuda, use gpu",
        keys=("backend.device", "backend.device_id", "backend.name", "CUDA_VISIBLE_DEVICES"),
        says="the GPU is chosen by the backend",
        settings={
            "cuda": TO_CUDA, "gpu": TO_CUDA, "true": TO_CUDA, "0": TO_CUDA, "cuda:0": TO_CUDA,
            **{f"{c}{n}": f"{TO_CUDA} backend.device_id={n}" for c in ("", "cuda:")
               for n in range(1, 16)},
            "hip": "backend=genn backend.device=hip", "rocm": "backend=genn backend.device=hip",
            "cpu": "backend=native", "false": "backend=native", "none": "backend=native",
        },
    ),
    _of("gpu id, device id, cuda device, gpu number", "backend.device_id",
        "the number of the GPU of backend=genn"),
    _of("threads, num threads, n threads, workers, num workers, n workers, n jobs, cores, cpus, "
        "omp num threads", "backend.threads", "the number of threads"),
    _of("precision, dtype, float precision, data type", "backend.precision",
        "the precision of the numbers"),
    _of("simulator, engine, framework", "backend.name", "what runs the network"),
    _of("cxx, cpp compiler, c compiler", "backend.compiler", "the C++ compiler"),
    Meaning(
        words="cxxflags, cflags, compiler flags",
        keys=("backend.flags",),
        says="backend.flags is the list of further compiler flags",
    ),
    # records
    _of("output dir, out, save dir, log dir, work dir, results dir, results, output folder, "
        "save path", "OUT_DIR", "the folder under which outputs/ is made"),
    _of("run name, experiment, experiment name, exp name, exp, tag, label", "NAME",
        "the name of the run"),
    Meaning(
        words="ckpt, checkpoint path, load, pretrained, resume from, load checkpoint, weights from",
        keys=("LOAD_LAST", "LOAD_BEST", "CHECKPOINT"),
        says="LOAD_LAST=true and LOAD_BEST=true start from an earlier run of the same NAME; "
        "`snnrun resume RUN` goes on with a run",
    ),
    _of("save best, best model, monitor, metric", "CHECKPOINT_BEST",
        "the accuracy by which the best weights are kept", "CHECKPOINT"),
    Meaning(
        words="record, recording, log spikes, save spikes, spikes, spike raster, raster, traces",
        keys=("REC_SPIKES", "REC_SPIKES_EPOCH_TRIAL", "REC_NEURONS", "REC_NEURONS_EPOCH_TRIAL",
              "FANCY_PLOTS", "W_OUTPUT_EPOCH_TRIAL"),
        says="REC_SPIKES and REC_NEURONS choose what is recorded of spikes and potentials",
    ),
    Meaning(
        words="plot, plots, figure, figures, visualise, visualize, tensorboard, wandb",
        keys=("TRAINING_PLOT", "FANCY_PLOTS", "TRAINING_PLOT_INTERVAL"),
        says="TRAINING_PLOT=true plots while a run trains, `snnrun plot RUN` afterwards",
    ),
    Meaning(
        words="confusion, confusion matrix, predictions, predicted classes",
        keys=("COLLECT_CONFUSION", "REC_PREDICTIONS"),
        says="COLLECT_CONFUSION records confusion matrices, REC_PREDICTIONS each predicted class",
    ),
)  # fmt: skip

_BPTT = (
    "backpropagation through time with surrogate gradients; it takes a LOSS_TYPE of potentials, "
    "such as max"
)
_NONE_OTHER = "snnrun computes by itself"

# Key -> words for one of its values -> (what to say, what to give instead).
VALUES: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "rule.name": {
        "bptt, backprop, backpropagation, backprop through time, surrogate gradient, "
        "surrogate gradients, sg, stbp, slayer, autograd": (_BPTT, "rule=surrogate"),
        "event prop, adjoint, exact, exact gradient": (
            "it has the exact gradient", "rule=eventprop"),
        "hebb, hebbian": ("it is the Hebbian rule", "rule=stdp"),
        "zenke, super spike": (
            "it trains spike patterns", "rule=superspike dataset=pattern"),
    },
    "backend.name": {
        "cuda, gpu, nvidia": ("a GPU is a device of GeNN", TO_CUDA),
        "hip, amd, rocm": ("a GPU is a device of GeNN", "backend=genn backend.device=hip"),
        "cpu, cpp, c++, openmp, numpy": ("native is one C++ function on the CPU", "backend=native"),
        "torch, pytorch, jax, tensorflow, norse, snntorch, brian, brian2, nest, spikingjelly": (
            _NONE_OTHER, "backend=native"),
        "pygenn, ml genn, mlgenn": ("genn is PyGeNN", "backend=genn"),
    },
    "backend.device": {
        "gpu, nvidia, cuda:0": ("NVIDIA's GPUs are called cuda", "backend.device=cuda"),
        "amd, rocm": ("AMD's GPUs are called hip", "backend.device=hip"),
        "cpu": ("the CPU is called single_threaded_cpu", "backend.device=single_threaded_cpu"),
    },
    "backend.precision": {
        "float, single, fp32, f32, 32": ("single precision", "backend.precision=float32"),
        "double, fp64, f64, 64": ("double precision", "backend.precision=float64"),
    },
    "dataset.name": {
        "heidelberg, spiking heidelberg digits, heidelberg digits": (
            "the Spiking Heidelberg Digits are called shd", "dataset=shd"),
        "speech commands, spiking speech commands, google speech commands": (
            "the Spiking Speech Commands are called ssc", "dataset=ssc"),
        "fashion, fashion mnist, fmnist, kmnist, emnist, digits": (
            "mnist reads any files of MNIST's layout; dataset.path is their folder",
            "dataset=mnist"),
        "psmnist, sequential mnist, row mnist": (
            "MNIST pixel by pixel is called smnist", "dataset=smnist"),
        "gesture, gestures, dvs gesture, dvs128 gesture, dvs128": (
            "the DVS gestures are called dvs", "dataset=dvs"),
        "yin yang": ("", "dataset=yinyang"),
        "oxford, superspike, spike pattern": (
            "spike patterns as targets are called pattern", "dataset=pattern"),
    },
    "LOSS_TYPE": {
        "cross entropy, ce, xent, xentropy, softmax, nll, categorical cross entropy": (
            "all losses of classes are cross entropies; avg_xentropy is that of the potentials, "
            "averaged over the trial", "LOSS_TYPE=avg_xentropy"),
        "ttfs, time to first spike, first spike time, latency": (
            "first_spike_exp is the cross entropy of first spike times",
            "LOSS_TYPE=first_spike_exp"),
        "max over time": ("", "LOSS_TYPE=max"),
        "sum over time, rate, mean": ("sum takes the potential summed over the trial",
                                      "LOSS_TYPE=sum"),
    },
    "HIDDEN_NEURON_TYPE": {
        "leaky, leaky integrate and fire, iaf, if": ("", "HIDDEN_NEURON_TYPE=LIF"),
        "adlif, adex, lsnn, adaptive, adaptive lif": (
            "ALIF has an adaptive threshold", "HIDDEN_NEURON_TYPE=ALIF"),
    },
    "CHECKPOINT_BEST": {
        "val, valid, val acc, validation accuracy": ("", "CHECKPOINT_BEST=validation"),
        "train, train acc": ("", "CHECKPOINT_BEST=training"),
        "none, false, off, no": ("", "CHECKPOINT_BEST=neither"),
    },
    "EVALUATION": {
        "speakers, leave one out": ("", "EVALUATION=speaker"),
        "shuffle, split": ("", "EVALUATION=random"),
    },
    "rule.surrogate": {
        "superspike, super spike": ("", "rule.surrogate=fast_sigmoid"),
        "atan": ("", "rule.surrogate=arctan"),
        "triangle, tri, relu": ("", "rule.surrogate=triangular"),
        "boxcar, rectangular, rect, multi gaussian": (
            "piecewise_linear comes nearest", "rule.surrogate=piecewise_linear"),
        "logistic, sigmoid derivative": ("", "rule.surrogate=sigmoid"),
    },
}  # fmt: skip


def plain_word(text: str) -> str:
    """Return a word without what does not count: case, blanks, punctuation (but + of C++)."""
    return re.sub(r"[^a-z0-9+:]", "", text.lower())


@cache
def of_words() -> Mapping[str, Meaning]:
    """Return each word, as ``plain_word`` makes it -> its meaning."""
    return {plain_word(word): meaning for meaning in WORDS for word in meaning.words.split(",")}


@cache
def of_values(key: str) -> Mapping[str, tuple[str, str]]:
    """Return word for a value of ``key`` -> (what to say, what to give instead)."""
    found = VALUES.get(key, {})
    return {plain_word(word): hint for words, hint in found.items() for word in words.split(",")}


def value_hint(key: str, value: object) -> str:
    """Return ``" Did you mean X?"`` for another word for a value of ``key``, or an empty string."""
    found = of_values(key).get(plain_word(str(value)))
    if found is None:
        return ""
    says, setting = found
    return f" Did you mean {setting}?" + (f" {says[0].upper()}{says[1:]}" if says else "")
