"""Pictures of a run, while it trains and afterwards; they need the extra ``plot`` (matplotlib).

One file for each kind of picture, with a function that draws given numbers into a given figure.
``live`` makes them during the training, ``saved`` from the records of runs.
"""
