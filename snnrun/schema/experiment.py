"""Keys of the experiment: names, time, data, sizes of the network."""

from __future__ import annotations

from snnrun.keys.key import RESUME, TEST, unless, when
from snnrun.keys.kinds import COUNT, INTS
from snnrun.keys.table import number, row, switch, table, text, whole
from snnrun.schema.augmentation import AUGMENTATIONS

ALL_REST = "all that remain"

# fmt: off
GENERAL = table(
    "general parameters",
    text(
        "NAME",
        "Name of the experiment: written into the records, and how LOAD_LAST and LOAD_BEST find "
        "the earlier run that they start from.",
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
        "DT_MS", "Length of a time step. TRIAL_MS must be a whole number of steps.",
        unit="ms", above=0,
    ),
    switch(
        "BUILD",
        "Compile the network where the build cache has no program for it. With false a program "
        "that was built before is used, and it is an error if there is none.",
        changeable=(RESUME, TEST),
    ),
    switch(
        "TIMING",
        "Measure and record how long each part of an epoch takes; with GeNN its kernels too, on a "
        "GPU the passes instead.",
        changeable=(RESUME, TEST),
    ),
)

EXPERIMENT = table(
    "experiment parameters",
    whole(
        "TRAIN_DATA_SEED",
        "Seed of the training data: their generation, their split from the validation data, and "
        "their order in each epoch.", minimum=0,
    ),
    whole(
        "TEST_DATA_SEED",
        "Seed of generated validation and test data, and of the choice of N_TEST test examples.",
        minimum=0, changeable=(TEST,),
    ),
    whole(
        "MODEL_SEED",
        "Seed of the network: initial weights and heterogeneous time constants.", minimum=0,
        nullable=True, null="a new seed for each run, written to the run folder",
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
        minimum=1,
        active_if=(when("backend.name", "genn"),), changeable=(RESUME, TEST),
    ),
    whole(
        "N_BATCH", "Examples in a mini-batch. The last one of an epoch may hold fewer.",
        minimum=1, changeable=(TEST,),
    ),
    row(
        "N_TRAIN",
        "Training examples in an epoch; with AUGMENTATION.blend those that it makes count too, and "
        "null makes as many as the data have. BALANCE_TRAIN_CLASSES shows fewer.",
        kind=COUNT, minimum=1,
        nullable=True, null=ALL_REST,
    ),
    row(
        "N_VALIDATE",
        "Examples that are evaluated after each epoch, and never trained on; 0: none. EVALUATION "
        "says which they are.",
        kind=COUNT, minimum=0, nullable=True, null=ALL_REST,
        active_if=(unless("EVALUATION", "speaker"),),
    ),
    whole(
        "N_EPOCH", "Passes over the training data. N_EPOCHS is accepted as another spelling.",
        minimum=1, changeable=(RESUME,),
    ),
    switch(
        "SHUFFLE", "Show the training examples in a new random order in each epoch.",
    ),
    row(
        "N_TEST", "Test examples; 0: no test.", kind=COUNT, minimum=0,
        nullable=True, null=ALL_REST, changeable=(RESUME, TEST),
    ),
    text(
        "EVALUATION",
        "How the validation examples are chosen: at random from the training data, as all examples"
        " of the speakers SPEAKER_LEFT, or from the data set's own validation set (ssc has one).",
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
        "image_shift: limit; moves an image (mnist, dvs) so along its rows and its columns. "
        "random_dilate: [least, most]; multiplies all times of an example by one factor between. "
        "ID_jitter: sd; moves the channel of each event by a rounded normal number. "
        "blend: [p1, p2, ...]; makes further examples (N_TRAIN) of several of one class, aligned, "
        "from each of which events are kept with probability p. "
        "NORMALISE_SPIKE_NUMBER: true; drops events of every example, of evaluation too, such that "
        "it has as many on average as the training example with the fewest.",
        kind=AUGMENTATIONS,
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

STRUCTURE = table(
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
        "Delay between one copy of the input channels and the next; rounded to steps.",
        unit="ms", above=0, active_if=(unless("N_INPUT_DELAY", 0),),
    ),
)
# fmt: on
