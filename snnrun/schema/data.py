"""Keys of the experiment and of its data."""

from __future__ import annotations

from snnrun.keys.files import DATASETS
from snnrun.keys.key import (
    RESUME,
    TEST,
    number,
    row,
    switch,
    table,
    text,
    unless,
    when,
    whole,
    with_option,
)
from snnrun.keys.kinds import COUNT, FLOAT, INTS, START, TEXTS
from snnrun.schema.augmentation import AUGMENTATIONS

ALL_REST = "all that remain"
BOTH = (RESUME, TEST)
PATTERN = with_option("target")

# fmt: off
KEYS = table(
    "general parameters",
    text(
        "NAME",
        "Name of the experiment: written into the records, and how LOAD_LAST and LOAD_BEST find "
        "the earlier run that they start from.",
    ),
    row(
        "TAGS", "Words by which runs are found again: `snnrun runs --filter TAGS=WORD`.",
        kind=TEXTS, changeable=(RESUME,),
    ),
    switch(
        "DEBUG_HIDDEN_N",
        "Record and show how active the neurons of each hidden layer are, in each epoch's training "
        "and validation and in the test: standard deviation, minimum and maximum over neurons of "
        "the mean spikes per trial. The mean itself, and how many neurons are silent, are recorded "
        "of training always, of validation with this key.",
    ),
    text("OUT_DIR", "Folder under which outputs/ is made; run folders go there."),
    number(
        "DT_MS", "Length of a time step. TRIAL_MS must be a whole number of steps.", unit="ms",
        above=0,
    ),
    switch(
        "BUILD",
        "Compile the network where the build cache has no program for it. With false a program "
        "that was built before is used, and it is an error if there is none.",
        active_if=(when("backend.name", "native", "genn"),), changeable=(RESUME, TEST),
    ),
    switch(
        "TIMING",
        "Measure and record how long each part of an epoch takes; with GeNN its kernels too, on a "
        "GPU the passes instead.",
        changeable=(RESUME, TEST),
    ),
) + table(
    "experiment parameters",
    whole(
        "TRAIN_DATA_SEED",
        "Seed of the training data: their generation, their split from the validation data, and "
        "their order in each epoch.",
        minimum=0,
    ),
    whole(
        "TEST_DATA_SEED",
        "Seed of generated validation and test data, and of the choice of N_TEST test examples.",
        minimum=0, changeable=(TEST,),
    ),
    whole(
        "MODEL_SEED", "Seed of the network: initial weights and heterogeneous time constants.",
        minimum=0, nullable=True, null="a new seed for each run, written to the run folder",
    ),
    number(
        "TRIAL_MS",
        "Length of a trial, in which one example is shown. Input after its end is cut off.",
        unit="ms", above=0,
    ),
    whole(
        "N_MAX_SPIKE",
        "Spikes per neuron that GeNN's buffers hold. Buffers of the native backend hold every "
        "spike that a trial can have, so that none is ever lost.",
        minimum=1, active_if=(when("backend.name", "genn"),), changeable=(RESUME, TEST),
    ),
    whole(
        "N_BATCH", "Examples in a mini-batch. The last one of an epoch may hold fewer.", minimum=1,
        changeable=(TEST,),
    ),
    row(
        "N_TRAIN",
        "Training examples in an epoch; with AUGMENTATION.blend those that it makes count too, and "
        "null makes as many as the data have. BALANCE_TRAIN_CLASSES shows fewer.",
        kind=COUNT, minimum=1, nullable=True, null=ALL_REST,
    ),
    row(
        "N_VALIDATE",
        "Examples that are evaluated after each epoch, and never trained on; 0: none. EVALUATION "
        "says which they are.",
        kind=COUNT, minimum=0, nullable=True, null=ALL_REST,
        active_if=(unless("EVALUATION", "speaker"),),
    ),
    whole(
        "N_EPOCH",
        "Passes over the training data; 0: none, the network is tested as it starts. N_EPOCHS is "
        "accepted as another spelling.",
        minimum=0, changeable=(RESUME,),
    ),
    switch("SHUFFLE", "Show the training examples in a new random order in each epoch."),
    row(
        "N_TEST", "Test examples; 0: no test.", kind=COUNT, minimum=0, nullable=True, null=ALL_REST,
        changeable=(RESUME, TEST),
    ),
    text(
        "EVALUATION",
        "How the validation examples are chosen: at random from the training data, as all examples "
        "of the speakers SPEAKER_LEFT, or from the data set's own validation set (ssc has one).",
        choices=("random", "speaker", "validation_set"),
    ),
    row(
        "SPEAKER_LEFT",
        "Speakers to leave out of the training data, by their place in the list of the speakers of "
        "the training data, from 0. snnrun crossval trains one network for each.",
        kind=INTS, nullable=True, null="all of them, one after the other (snnrun crossval only)",
        active_if=(when("EVALUATION", "speaker"),),
    ),
    row(
        "REDUCED_CLASSES",
        "The classes to train, validate and test with, from 0, in the order of the outputs; "
        "examples of others are not used.",
        kind=INTS, nullable=True, null="all classes",
    ),
    row(
        "AUGMENTATION",
        "Random changes of the training examples, made anew in each epoch in the order given; null "
        "as a value turns one off. "
        "random_shift: limit; moves all channels of an example by one whole number below it. "
        "image_shift: limit; moves an image (mnist, nmnist, dvs) so along rows and columns. "
        "random_dilate: [least, most]; multiplies all times of an example by one factor between. "
        "ID_jitter: sd; moves the channel of each event by a rounded normal number. "
        "blend: [p1, p2, ...]; makes further examples (N_TRAIN) of several of one class, aligned, "
        "from each of which events are kept with probability p. "
        "NORMALISE_SPIKE_NUMBER: true; drops events of every example, of evaluation too, such that "
        "it has as many on average as the training example with the fewest.",
        kind=AUGMENTATIONS,
    ),
    text(
        "DATA_ON_DISK",
        "Folder, on a disk, of files that hold the spikes of the data while a run goes on, so that "
        "they need not fit into memory. Target courses stay in memory.",
        nullable=True, null="the spikes are kept in memory", changeable=BOTH,
        active_if=(unless("backend.name", "genn"),),
    ),
    number(
        "RESCALE_T",
        "Factor on the times of input spikes, before they are binned to steps and cut to TRIAL_MS.",
        above=0,
    ),
    number(
        "RESCALE_X",
        "Factor on the number of input channels: channel c becomes floor(c RESCALE_X).", above=0,
    ),
    switch(
        "BALANCE_TRAIN_CLASSES",
        "Train with equally many examples of each class: as many as the smallest class has, chosen "
        "anew in each epoch.",
    ),
    switch(
        "BALANCE_EVAL_CLASSES",
        "Validate with equally many examples of each class: as many as the smallest class has, "
        "chosen anew in each epoch.",
    ),
)

OPTIONS = table(
    "options of the groups",
    text(
        "dataset.name", "The data set, or the dotted path of your own.", choices=DATASETS,
        dotted_path=True,
    ),
    text(
        "dataset.path", "Folder that holds the data set's files.", nullable=True,
        null="the data folder that snnrun data info shows", changeable=BOTH,
    ),
    switch("dataset.fetch", "Download a public data set that is missing.", changeable=BOTH),
    switch(
        "dataset.merge",
        "Count several events of a channel in one time step as one spike; false: as many as there "
        "are.",
    ),
    text(
        "dataset.changed",
        "What snnrun resume does where the data are not those that the run has trained on so far: "
        "refuse, or accept and note what differs.",
        choices=("refuse", "accept"), changeable=(RESUME,),
    ),
    row(
        "dataset.start",
        "Time of the data, after RESCALE_T, at which trials begin; or first: that of the first "
        "event of each example. What comes before is dropped.",
        kind=START, unit="ms", active_if=with_option("start"),
    ),
    row(
        "dataset.input_ms",
        "Part of the trial that the latency code of the inputs takes; outputs may spike later.",
        kind=FLOAT, unit="ms", above=0, nullable=True, null="TRIAL_MS",
        active_if=with_option("input_ms"),
    ),
    whole(
        "dataset.thresholds",
        "Grey thresholds whose crossings are the input: two inputs each, and one for full "
        "brightness.",
        minimum=2, maximum=255, active_if=with_option("thresholds"),
    ),
    number(
        "dataset.pixel_ms", "Time for which a pixel is shown.", unit="ms", above=0,
        active_if=with_option("pixel_ms"),
    ),
    whole(
        "dataset.repeats", "Spikes that a crossing makes, spread evenly over the pixel's time.",
        minimum=1, maximum=100, active_if=with_option("repeats"),
    ),
    whole(
        "dataset.downsample",
        "Edge of the squares of camera pixels that are one input per polarity.", minimum=1,
        maximum=128, active_if=with_option("downsample"),
    ),
)
PATTERN_OPTIONS = table(
    "options of dataset=pattern",
    text(
        "dataset.input", "File of input spikes (.ras: one line \"seconds neuron\" each).",
        nullable=True, null="Poisson spikes, drawn once with TRAIN_DATA_SEED",
    ),
    text(
        "dataset.target",
        "File of the target: spikes (.ras), or a picture (.pgm, .png) whose rows are the outputs "
        "and whose bright pixels are spikes.",
        nullable=True,
        null="dataset.target_spikes evenly spaced ones of each output, later from one output to "
        "the next",
    ),
    whole("dataset.target_spikes", "Spikes of each output of the generated target.", minimum=1),
    whole(
        "dataset.target_offset", "Number of the first neuron in the target's .ras file.",
        nullable=True,
        null="1 if neuron 0 has no spike there and one has the number dataset.outputs, else 0",
        minimum=0,
    ),
    number("dataset.bin_ms", "Time that a column of a target's picture takes.", unit="ms", above=0),
    switch(
        "dataset.jitter",
        "Draw the time of a picture's spike within its column; false: its middle.",
    ),
    switch("dataset.invert", "Make spikes of the dark pixels of a picture."),
    active_if=PATTERN,
)
MADE_OPTIONS = table(
    "options of generated data",
    number(
        "dataset.rate", "Rate of the input: of Poisson noise (pattern), of a group of channels "
        "(pattern_generation), of the channels of a cue (evidence_accumulation).", unit="Hz",
        above=0, active_if=with_option("rate"),
    ),
    whole(
        "dataset.channels", "Input channels.", minimum=1, maximum=65535,
        active_if=with_option("channels"),
    ),
    whole(
        "dataset.outputs", "Outputs.", minimum=1, maximum=65535, active_if=with_option("outputs"),
    ),
    whole(
        "dataset.groups",
        "Groups of channels that are active one after the other, each for the same part of the "
        "trial, as a clock; 1: all are active all the time.",
        minimum=1, active_if=with_option("groups"),
    ),
    switch(
        "dataset.regular",
        "Spikes of active channels come at equal intervals; false: Poisson noise, drawn once.",
        active_if=with_option("regular"),
    ),
    row(
        "dataset.cycles",
        "Cycles in a trial of the sinusoids that make up the target of each output, with drawn "
        "amplitudes and phases.",
        kind=INTS, active_if=with_option("cycles"),
    ),
    whole(
        "dataset.cues", "Cues of a trial, left or right.", minimum=1,
        active_if=with_option("cues"),
    ),
    number(
        "dataset.cue_ms", "Length of a cue.", unit="ms", above=0, active_if=with_option("cue_ms"),
    ),
    number(
        "dataset.gap_ms", "Time before each cue.", unit="ms", minimum=0,
        active_if=with_option("gap_ms"),
    ),
    number(
        "dataset.recall_ms",
        "Length of the recall at the end of the trial, for which channels of its own are active.",
        unit="ms", above=0, active_if=with_option("recall_ms"),
    ),
    number(
        "dataset.background", "Rate of the channels of noise.", unit="Hz", minimum=0,
        active_if=with_option("background"),
    ),
    number(
        "dataset.minority",
        "Probability of a cue on the side that a trial has fewer of on average.",
        minimum=0, maximum=0.5, active_if=with_option("minority"),
    ),
)
# fmt: on
