"""Sweeps: what was asked of a multirun, how its jobs stand, and tables of what they gave.

The folder of a sweep holds what was asked, in files that never change (``asked``). The run folders
of its jobs are the state (``sweep``): there is no server, and reading disturbs nobody.
"""
