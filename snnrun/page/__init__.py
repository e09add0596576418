"""Pages of runs and sweeps: HTML that needs no network, with charts that answer the mouse.

Needs the extra ``page`` (Plotly, whose script each page carries, and matplotlib).
``parts`` has what a page is made of, ``document`` makes HTML of it, and ``server`` serves it. One
file for each subject says what is shown of it: ``run`` puts those of one run together, ``several``
those of many.
"""
