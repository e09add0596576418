"""The reference's keys that are called otherwise, not needed, or do something else here.

The reference is genn_eventprop, whose tables of keys the configuration follows. docs/reference.md
has these texts in its tables, and a test keeps the two equal.
"""

from __future__ import annotations

REFERENCE = "the reference (genn_eventprop, whose keys snnrun follows)"

# Name there -> our key, and what else there is to say.
RENAMED = {
    "N_EPOCHS": ("N_EPOCH", ", as the reference's code has it; both are accepted"),
    "PDROP": (
        "PDROP_INPUT",
        "; the code stops without it, and neither table nor code has a default",
    ),
    "HIDDEN_NOISE_AMP": ("HIDDEN_NOISE", ""),  # a parameter of its model
}

NOT_NEEDED = {
    "DATA_SEED": "read in a comment only",
    "CHECKPOINT_NAME": "`NAME` is that of the earlier run",
    "DATA_SET": "`dataset=shd` or `dataset=ssc`",
    "DATASET": "`dataset=shd` or `dataset=ssc`; what its text calls `DATA_SET`",
    "DATA_BUFFER_NAME": "converted data are in the cache that `snnrun data info` shows",
    "TEST_ST_INTEGRITY": "data are checked whenever they are read",
    "PROFILE": "`TIMING` records times of GeNN's kernels, on a GPU of the passes",
    "TAU_MEM_OUTPUT": "`network.output_parameters` sets what differs in the output",
    "DOWNLOAD_SHD": "`dataset.fetch`",
    "NU_LOWER": "set by scripts, read by nothing",
    "SUPER_BATCH": "set by scripts, read by nothing",
}

# Our key of the same name -> what it does otherwise.
OTHERWISE = {
    "NAME": "its table says `test`, which would be taken for the test of a run",
    "BUILD": "false takes only a program of the same code, never one of another network",
    "MODEL_SEED": "drawn time constants follow it too, and the seed that null stands for is "
    "recorded",
    "N_MAX_SPIKE": "buffers of `native` hold every possible spike; `genn` stops, or counts what "
    "had no gradient, where the reference loses it silently",
    "N_TRAIN": "examples for `yinyang` too, where the reference takes them per class (3 x as many)",
    "V_RESET": "gradients hold for values other than 0",
    "HIDDEN_NEURON_TYPE": "the gradient of `ALIF` is exact. Also `LIF_subtract`, and your own",
    "OUTPUT_NEURON_TYPE": "with `first_spike` losses `LI` stands for `LIF`",
    "PDROP_HIDDEN": "the gradient counts in that a spike held back comes later",
    "REG_TYPE": "`Thomas1` runs; with `none` every neuron type and `TRAIN_TAU` work",
    "REWIRE_SILENT": "deeper layers get weights with their own statistics, not those of the input "
    "layer",
    "REWIRE_LIFT": "raises the weights of silent neurons only; there, of all",
    "TRAIN_TAU": "exact gradients; there, of a time that is a step off",
    "TRAIN_TAU_OUTPUT": "for every loss; there for `sum_weigh_exp` alone, and saved from the "
    "hidden layer",
    "ETA_DECAY": "acts after the first epoch, not before it",
    "TAU_OUTPUT_EPOCH_TRIAL": "those of the output are the output's own",
    "LOAD_LAST": "time constants of the output too",
    "LOAD_BEST": "as `LOAD_LAST`",
    "LOSS_TYPE": "`first_spike`, `max` and `avg_xentropy` for any number of classes, each with the "
    "gradient of the loss as written. Also `first_spike_wp`, `relative_mse`, and your own",
    "AUGMENTATION": "random numbers come from the seeds; `snnrun keys AUGMENTATION`",
    "LR_EASE_IN_FACTOR": "grows with training batches only, not with evaluation",
    "BALANCE_EVAL_CLASSES": "the last batch has the size of the balanced set",
    "CHECKPOINT": "holds the state of Adam too, and a stopped run goes on to the same bits",
}
