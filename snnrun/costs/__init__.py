"""What a network costs where it is used: operations of its spikes, memory, and energy by a model.

The measures are those of NeuroBench (Yik et al. 2025, Nat Commun 16:1545); docs/costs.md says how
each is defined, and where the neurobench package counts otherwise.
"""
