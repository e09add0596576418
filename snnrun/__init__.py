"""snnrun: an experiment runner for learning in spiking neural networks."""

__version__ = "0.1.0"
