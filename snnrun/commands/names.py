"""The subcommands and what they do, in the order in which help lists them."""

COMMANDS = {
    "train": "train a network; every key of the configuration can be given",
    "resume": "go on with a run that was stopped, as if it never had been",
    "test": "evaluate a trained run on its test set",
    "crossval": "train once for each speaker left out, and tabulate the accuracies",
    "gradcheck": "compare the derived gradients with finite differences",
    "compile": "generate and build a network's program without running it",
    "data": "info, verify, fetch: the data sets and their files",
    "runs": "list the runs: epochs done, how each ended, accuracies",
    "note": "write down something about a run, which runs shows",
    "remove": "delete runs and sweeps, after asking: by name, age, or a key",
    "pack": "a run as one file, to be resumed at another place",
    "sweep": "table, status, best, resume, add: the jobs of a multirun together",
    "export": "write a trained network for other programs: NIR, NumPy, PyTorch",
    "plot": "pictures of runs: course, weights, confusion; several runs in one",
    "report": "one HTML page of a run, a sweep or several runs, for a browser",
    "watch": "the same page while a run or sweep goes on, kept up to date",
    "doctor": "what this machine has, and what is missing",
    "keys": "what every key of the configuration means",
    "presets": "settings of published results, with the results",
}
SWEEP_ACTIONS = {  # with their options
    "table": ("--by", "--sort", "--filter", "--csv", "--json", "--markdown"),
    "status": ("--watch", "--json"),
    "best": ("--preset", "--config-dir", "--test"),
    "resume": ("--failed",),
    "add": (),
    "history": ("--csv", "--json"),
    "importance": (),
}
PLOT_OPTIONS = ("--what", "--epoch", "--trial", "--example", "--output", "--size", "--dpi", "--by")
