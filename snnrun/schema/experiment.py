"""Keys of the experiment: names, time, data, sizes of the network."""

from __future__ import annotations

from snnrun.schema.key import RESUME, TEST, unless, when
from snnrun.schema.kinds import COUNT, INTS, MAPPING
from snnrun.schema.table import number, row, switch, table, text, whole

ALL_REST = "all that remain"
LATER_DATA = "it comes with the full set of benchmarks"

# fmt: off
GENERAL = table(
    "general parameters",
    text(
        "NAME", "test",
        "Name of the experiment: written into the records, and how LOAD_LAST and LOAD_BEST find "
        "the earlier run that they start from.",
    ),
    switch(
        "DEBUG_HIDDEN_N", False,
        "Collect statistics of how active the hidden neurons are.",
        later="the activity statistics come with the full set of options",
    ),
    text("OUT_DIR", ".", "Folder under which outputs/ is made; run folders go there."),
    number(
        "DT_MS", 1.0, "Length of a time step. TRIAL_MS must be a whole number of steps.",
        unit="ms", above=0, datasets={"yinyang": 0.1},
    ),
    switch(
        "BUILD", True,
        "Compile the network where the build cache has no program for it. With false a program "
        "that was built before is used, and it is an error if there is none.",
        changeable=(RESUME, TEST),
    ),
    switch(
        "TIMING", True, "Measure and record how long each part of an epoch takes.",
        changeable=(RESUME, TEST),
    ),
)

EXPERIMENT = table(
    "experiment parameters",
    whole(
        "TRAIN_DATA_SEED", 123,
        "Seed of the training data: their generation, their split from the validation data, and "
        "their order in each epoch.", minimum=0,
    ),
    whole(
        "TEST_DATA_SEED", 456,
        "Seed of generated validation and test data, and of the choice of N_TEST test examples.",
        minimum=0, changeable=(TEST,),
    ),
    whole(
        "MODEL_SEED", None,
        "Seed of the network: initial weights and heterogeneous time constants.", minimum=0,
        nullable=True, null="a new seed for each run, written to the run folder",
    ),
    number(
        "TRIAL_MS", 100.0,
        "Length of a trial, in which one example is shown. Input after its end is cut off.",
        unit="ms", above=0,
        datasets={
            "yinyang": 30.0, "mnist": 20.0, "shd": 1400.0, "ssc": 1400.0, "smnist": 1500.0,
            "dvs": 18000.0,
        },
    ),
    whole(
        "N_MAX_SPIKE", 1500,
        "Spikes per neuron that GeNN's buffers hold. Buffers of the native backend hold every "
        "spike that a trial can have, so that none is ever lost.",
        minimum=1, datasets={"yinyang": 400, "mnist": 50, "dvs": 3000},
        active_if=(when("backend.name", "genn"),), changeable=(RESUME, TEST),
    ),
    whole(
        "N_BATCH", 32, "Examples in a mini-batch. The last one of an epoch may hold fewer.",
        minimum=1, changeable=(TEST,),
    ),
    row(
        "N_TRAIN", None, "Training examples in an epoch.", kind=COUNT, minimum=1,
        nullable=True, null=ALL_REST,
        datasets={
            "yinyang": "1000 mini-batches", "mnist": 55000, "shd": 7644, "smnist": 55000,
            "dvs": 1045,
        },
    ),
    row(
        "N_VALIDATE", 512,
        "Examples that are evaluated after each epoch, and never trained on; 0: none. EVALUATION "
        "says which they are.",
        kind=COUNT, minimum=0, nullable=True, null=ALL_REST,
        datasets={
            "yinyang": "25 mini-batches", "mnist": 5000, "ssc": None, "smnist": 5000, "dvs": 32,
        },
    ),
    whole(
        "N_EPOCH", 100, "Passes over the training data. N_EPOCHS is accepted as another spelling.",
        minimum=1, datasets={"yinyang": 10, "mnist": 20}, changeable=(RESUME,),
    ),
    switch("SHUFFLE", True, "Show the training examples in a new random order in each epoch."),
    row(
        "N_TEST", None, "Test examples; 0: no test.", kind=COUNT, minimum=0,
        nullable=True, null=ALL_REST, changeable=(RESUME, TEST),
        datasets={"yinyang": "25 mini-batches", "mnist": 10000},
    ),
    text(
        "EVALUATION", "random",
        "How the validation examples are chosen: at random from the training data, as all examples"
        " of the speakers SPEAKER_LEFT, or from the data set's own validation set (ssc has one).",
        choices=("random", "speaker", "validation_set"), later_choices={"speaker": LATER_DATA},
        datasets={"ssc": "validation_set"},
    ),
    row(
        "SPEAKER_LEFT", [0],
        "Speakers to leave out of the training data, by their place in the list of speakers.",
        kind=INTS, later="it belongs to EVALUATION=speaker",
    ),
    row(
        "REDUCED_CLASSES", None, "The classes to train.", kind=INTS,
        nullable=True, null="all classes", later=LATER_DATA,
    ),
    row(
        "AUGMENTATION", {},
        "Random changes of the training examples, applied anew in each epoch in the order given: "
        "random_shift, random_dilate, ID_jitter, blend.",
        kind=MAPPING, later=LATER_DATA,
    ),
    number("RESCALE_T", 1.0, "Factor on the times of input spikes.", above=0, later=LATER_DATA),
    number("RESCALE_X", 1.0, "Factor on the number of input channels.", above=0, later=LATER_DATA),
    switch(
        "BALANCE_TRAIN_CLASSES", False, "Use equally many training examples of each class.",
        later=LATER_DATA,
    ),
    switch(
        "BALANCE_EVAL_CLASSES", False, "Use equally many validation examples of each class.",
        later=LATER_DATA,
    ),
)

STRUCTURE = table(
    "network structure",
    whole(
        "NUM_HIDDEN", 256, "Neurons in each hidden layer.", minimum=1,
        datasets={"yinyang": 200, "mnist": 128},
    ),
    switch("RECURRENT", False, "Connect each hidden layer to itself, all to all."),
    whole(
        "N_HID_LAYER", 1, "Hidden layers, each of NUM_HIDDEN neurons.", minimum=1, maximum=100,
    ),
    whole(
        "N_INPUT_DELAY", 0, "Delayed copies of the input channels, each with weights of its own.",
        minimum=0, later="input delay lines come with the full set of options",
    ),
    number(
        "INPUT_DELAY", 50.0, "Delay between one copy of the input channels and the next.",
        unit="ms", above=0, active_if=(unless("N_INPUT_DELAY", 0),),
    ),
)
# fmt: on
