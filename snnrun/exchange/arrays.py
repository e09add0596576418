"""All numbers of a trained network under plain names, as a NumPy archive or a file of PyTorch."""

from __future__ import annotations

import importlib
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from snnrun.errors import ConfigError
from snnrun.exchange.trained import Trained

if TYPE_CHECKING:
    from snnrun.network.network import Population, Projection

TORCH = "pip install torch"


def arrays_of(trained: Trained) -> dict[str, np.ndarray]:
    """Return the arrays of a network by name.

    ``weights.NAME``, ``delays.NAME`` of projections; ``parameters.POPULATION.NAME``;
    ``synapses.NAME.pre``, ``.post`` and ``.place`` of projections that are lists of synapses: the
    weight of each stands at ``place`` in the flat array of weights.
    """
    found: dict[str, np.ndarray] = {f"weights.{n}": w for n, w in trained.weights.items()}
    found |= {f"delays.{name}": delays for name, delays in trained.delays.items()}
    for population, parameters in trained.parameters.items():
        for name, value in parameters.items():
            found[f"parameters.{population}.{name}"] = np.asarray(value)
    for projection in trained.network.projections:
        if (synapses := projection.synapses) is not None:
            for end in ("pre", "post", "place"):
                found[f"synapses.{projection.name}.{end}"] = getattr(synapses, end)
    return found


def structure_of(trained: Trained) -> str:
    """Return what the arrays are numbers of, as JSON."""
    network = trained.network
    return json.dumps(
        {
            "format": "snnrun network, 1",
            "dt_ms": trained.dt,
            **trained.about,
            "populations": [_population(p) for p in network.populations],
            "projections": [_projection(p) for p in network.projections],
        },
        indent=1,
    )


def npz_of(trained: Trained) -> bytes:
    """Return a NumPy archive of the arrays, and of ``network``, the structure as a text."""
    image = io.BytesIO()
    arrays: dict[str, Any] = {**arrays_of(trained), "network": np.array(structure_of(trained))}
    np.savez(image, **arrays)
    return image.getvalue()


def torch_of(trained: Trained) -> bytes:
    """Return what torch.load(file, weights_only=True) reads: the same, by name, as tensors.

    Raises:
        ConfigError: PyTorch is not installed, or does not load.
    """
    try:
        torch: Any = importlib.import_module("torch")
    except ImportError as error:
        raise ConfigError(
            f"--to torch: needs PyTorch, which cannot be loaded ({error}). Install it: {TORCH}; or "
            "take --to npz, which holds the same"
        ) from error
    image = io.BytesIO()
    tensors: dict[str, Any] = {
        name: torch.from_numpy(np.array(array, order="C"))  # a number stays one, of no axes
        for name, array in arrays_of(trained).items()
    }
    torch.save(tensors | {"network": structure_of(trained)}, image)
    return image.getvalue()


def check_file(path: Path, suffix: str) -> None:
    """Raise ConfigError where a file of this name cannot be written in this format."""
    if path.suffix != suffix:
        raise ConfigError(f"--output {path}: must end in {suffix}")
    if not path.parent.is_dir():
        raise ConfigError(f"--output {path}: there is no folder {path.parent}")


def _population(population: Population) -> dict[str, Any]:
    found: dict[str, Any] = {"name": population.name, "size": population.size}
    if population.grid:
        found["shape"] = list(population.grid)
    neuron = population.neuron
    if neuron is None:
        return found
    return found | {
        "neuron": neuron.name,
        "equations": neuron.system.lines,
        "threshold": neuron.threshold,
        "reset": neuron.reset.strip(),
        "inputs": list(neuron.ports),
    }


def _projection(projection: Projection) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": projection.name,
        "from": projection.source,
        "to": projection.target,
        "connectivity": projection.connectivity,
    }
    if projection.port:
        found["port"] = projection.port
    if projection.delays is not None:
        found["delays"] = projection.delays.kind.value
    return found
