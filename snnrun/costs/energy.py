"""A model of energy: so much for each arithmetic operation, and for each byte of memory traffic.

Source of the usual numbers: M. Horowitz, "Computing's energy problem (and what we can do about
it)", IEEE ISSCC 2014, pp. 10-14, Fig. 1.1.9: 45 nm, 0.9 V. 32-bit floating point: addition 0.9 pJ,
multiplication 3.7 pJ. An access to 64 bits: 8 KB 10 pJ, 32 KB 20 pJ, 1 MB 100 pJ, DRAM 1.3-2.6 nJ.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

ACCESS_BYTES = 8
MEMORIES = ((8 << 10, 10.0), (32 << 10, 20.0), (1 << 20, 100.0), (math.inf, 1300.0))


@dataclass(frozen=True, kw_only=True)
class Energy:
    """Energies in pJ.

    Args:
        mac: Of a multiplication with its addition.
        ac: Of an addition.
        memory: Of reading or writing a byte; None: that of the smallest of MEMORIES that holds the
            network.
    """

    mac: float = 4.6
    ac: float = 0.9
    memory: float | None = None

    def of_arithmetic(self, macs: float, acs: float) -> float:
        """Return the energy of so many operations (pJ)."""
        return self.mac * macs + self.ac * acs

    def of_traffic(self, traffic: float, footprint: float) -> float:
        """Return the energy of moving ``traffic`` bytes in a memory of ``footprint`` (pJ)."""
        per_byte = self.memory
        if per_byte is None:
            per_byte = next(pj for size, pj in MEMORIES if footprint <= size) / ACCESS_BYTES
        return per_byte * traffic
