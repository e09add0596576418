"""Searches: which setting to try next is suggested by Optuna, from how the trials before went.

A search is a sweep whose jobs are not known beforehand. Its state is ``search.journal`` in the
sweep's folder and the run folders beside it, so that any number of processes can work on it.
"""
