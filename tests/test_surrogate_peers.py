"""Surrogates beside those of snnTorch, norse and sinabs, with the settings of docs/rules.md.

pip install 'snnrun[peers]' brings snnTorch; those of a library that is missing are skipped.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_surrogate_options import WHERE, values_of

from snnrun.models.surrogates import SURROGATES, SpikeDerivative

torch: Any = pytest.importorskip(
    "torch", reason="PyTorch is not installed: surrogates were NOT compared with its libraries"
)
pytestmark = pytest.mark.peers
DOCS = Path(__file__).parents[1] / "docs" / "rules.md"
THRESHOLD = 1.0


def spiking(name: str, *options: Any) -> Callable[[Any], Any]:
    """Return the derivative of a spike function of snnTorch or norse, by autograd."""

    def derivative(library: Any) -> Any:
        x = torch.tensor(WHERE, requires_grad=True)
        function = getattr(library, name)
        spikes = function(x, *options) if options else function()(x)
        return torch.autograd.grad(spikes.sum(), x)[0]

    return derivative


def sinabs(name: str) -> Callable[[Any], Any]:
    def derivative(library: Any) -> Any:
        return getattr(library, name)()(torch.tensor(WHERE) + THRESHOLD, THRESHOLD)

    return derivative


# as docs/rules.md calls them: module, and what it gives
PEERS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "snnTorch `fast_sigmoid`": ("snntorch.surrogate", spiking("fast_sigmoid")),
    "snnTorch `sigmoid`": ("snntorch.surrogate", spiking("sigmoid")),
    "snnTorch `atan`": ("snntorch.surrogate", spiking("atan")),
    "norse `super`": ("norse.torch.functional.threshold", spiking("superspike_fn", 100.0)),
    "norse `triangle`": ("norse.torch.functional.threshold", spiking("triangle_fn", 0.3)),
    "sinabs `Gaussian`": ("sinabs.activation", sinabs("Gaussian")),
    "sinabs `MultiGaussian`": ("sinabs.activation", sinabs("MultiGaussian")),
    "sinabs `SingleExponential`": ("sinabs.activation", sinabs("SingleExponential")),
}


def options_of(peer: str) -> dict[str, str]:
    """Return the options of the rule with which the table of the docs has a library's surrogate."""
    [line] = [line for line in DOCS.read_text().splitlines() if line.startswith(f"| {peer} |")]
    return dict(re.findall(r"rule\.(\w+)=(\S+?)[`\s]", line))


@pytest.mark.parametrize("peer", PEERS)
def test_surrogates_of_libraries_are_those_of_the_table(peer: str) -> None:
    module, derivative = PEERS[peer]
    library = pytest.importorskip(module, reason=f"{module} is not installed: NOT compared")
    options = options_of(peer)
    surrogate = SURROGATES[options.pop("surrogate")]
    values = {name: float(value) for name, value in options.items()}
    found = values_of(SpikeDerivative(surrogate=surrogate, values=values), THRESHOLD)
    wanted = derivative(library).numpy()
    np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-12)  # some have float32 constants


def test_the_table_has_no_library_that_is_not_compared() -> None:
    rows = re.findall(r"^\| ((?:snnTorch|norse|sinabs) `\w+`) \|", DOCS.read_text(), re.M)
    assert rows == list(PEERS)
