"""Keys of learning: the optimiser, the learning rate's schedule, and what is trained."""

from __future__ import annotations

from snnrun.keys.key import RESUME, unless, when
from snnrun.keys.kinds import FLOAT
from snnrun.keys.table import number, row, switch, table, text, whole

SCHEDULED = (unless("ETA_FAC", 1.0),)
TRAINED_TAUS = (
    when("TRAIN_TAU", True),
    when("TRAIN_TAU_OUTPUT", True),
    when("HIDDEN_NEURON_TYPE", "hetLIF"),
    when("OUTPUT_NEURON_TYPE", "hetLI"),
    unless("network.layers", ()),
)

# fmt: off
LEARNING = table(
    "learning parameters",
    number(
        "ETA", "Learning rate.", above=0,
        changeable=(RESUME,),
    ),
    number(
        "ADAM_BETA1", "Decay of Adam's mean of the gradient, per update.", minimum=0, below=1,
        changeable=(RESUME,),
    ),
    number(
        "ADAM_BETA2", "Decay of Adam's mean of the squared gradient, per update.",
        minimum=0, below=1, changeable=(RESUME,),
    ),
    number(
        "ADAM_EPS", "Added to the root of Adam's mean squared gradient.", above=0,
        changeable=(RESUME,),
    ),
    number(
        "ETA_DECAY", "Factor on the learning rate from one epoch to the next; 1: off.",
        above=0, maximum=1, changeable=(RESUME,),
    ),
    number(
        "LR_EASE_IN_FACTOR",
        "The learning rate starts at ETA/1000 and grows by this factor per training batch up to "
        "ETA; 1: it starts at ETA.",
        minimum=1, changeable=(RESUME,),
    ),
    number(
        "EMA_ALPHA1", "Weight of the past in the fast moving average of the accuracy.",
        minimum=0, below=1, active_if=SCHEDULED, changeable=(RESUME,),
    ),
    number(
        "EMA_ALPHA2", "Weight of the past in the slow moving average of the accuracy.",
        minimum=0, below=1, active_if=SCHEDULED, changeable=(RESUME,),
    ),
    text(
        "EMA_WHICH",
        "The accuracy that the moving averages follow; validation is training where N_VALIDATE is "
        "0 and there is none.",
        choices=("validation", "training"), active_if=SCHEDULED,
        changeable=(RESUME,),
    ),
    number(
        "ETA_FAC",
        "Factor on the learning rate whenever the fast moving average of the accuracy is not above"
        " the slow one; 1: off.", above=0, maximum=1,
        changeable=(RESUME,),
    ),
    whole(
        "MIN_EPOCH_ETA_FIXED", "Epochs that must pass between two changes by ETA_FAC.",
        minimum=0, active_if=SCHEDULED, changeable=(RESUME,),
    ),
    whole(
        "PATIENCE",
        "Early stopping: the training ends after so many epochs in a row without an accuracy "
        "(PATIENCE_WHICH) above the best so far. The run counts as finished and is tested; resuming"
        " it with more patience goes on.",
        minimum=1, nullable=True, null="all of N_EPOCH", changeable=(RESUME,),
    ),
    text(
        "PATIENCE_WHICH",
        "The accuracy that PATIENCE waits for; validation is training where N_VALIDATE is 0.",
        choices=("validation", "training"),
        active_if=(unless("PATIENCE", None),), changeable=(RESUME,),
    ),
    row(
        "TIME_LIMIT",
        "Time after which the run stops as with Ctrl-C, with a checkpoint and exit code 124; "
        "`snnrun resume` goes on, for as long again. In a multirun it is the time of each run.",
        kind=FLOAT, unit="min", above=0, nullable=True, null="no limit", changeable=(RESUME,),
    ),
    switch(
        "PIPELINE",
        "Run the backward pass of a mini-batch together with the forward pass of the next one, as "
        "the reference does: fewer steps, but a forward pass lacks the update before it. false: "
        "each mini-batch is learned before the next one begins.",
        active_if=(when("backend.name", "genn"),),
    ),
    switch("TRAIN_TAU", "Train TAU_MEM and TAU_SYN of each hidden neuron."),
    number(
        "MIN_TAU_M", "Smallest membrane time constant, trained or drawn.", unit="ms", above=0,
        active_if=TRAINED_TAUS,
    ),
    number(
        "MIN_TAU_SYN", "Smallest synaptic time constant, trained or drawn.", unit="ms",
        above=0, active_if=TRAINED_TAUS,
    ),
    switch("TRAIN_TAU_OUTPUT", "Train TAU_MEM and TAU_SYN of each output neuron."),
    switch("TRAIN_W", "Train the weights."),
    switch(
        "TRAIN_W_OUTPUT", "Train the weights towards the output too.",
        active_if=(when("TRAIN_W", True),),
    ),
)
# fmt: on
