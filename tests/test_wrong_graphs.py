"""Wrong networks (network.populations, network.projections): one message each, before the build."""

from __future__ import annotations

from typing import Any

import pytest
from runs import small

from snnrun.errors import ConfigError, ModelError
from snnrun.network.build import build_network


def graph(populations: Any, projections: Any, **keys: Any) -> dict[str, Any]:
    own = any(isinstance(p, dict) and {"size", "shape"} & p.keys() for p in populations)
    return {
        "backend": "numpy",
        **({"NUM_HIDDEN": 200} if own else {}),
        "network.populations": populations,
        "network.projections": projections,
        **keys,
    }


def ends(*pairs: str, **more: Any) -> list[dict[str, Any]]:
    """Return projections of "a>b"; ``more``: fields of the first."""
    return [
        {"from": pair.partition(">")[0], "to": pair.partition(">")[2], **({} if i else more)}
        for i, pair in enumerate(pairs)
    ]


A, CHAIN = [{"name": "a"}], ("input>a", "a>output")
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "unknown source": (
        graph(A, ends("input>a", "aa>output")),
        "network.projections[1].from=aa: there is no such population; there are input, a, output. "
        "Did you mean 'a'?",
    ),
    "unknown target": (
        graph(A, ends(*CHAIN, "a>outptu")),
        "network.projections[2].to=outptu: there is no such population; there are a, output. Did "
        "you mean 'output'?",
    ),
    "into the input": (
        graph(A, ends(*CHAIN, "a>input")),
        "network.projections[2].to=input: the input is the data, and nothing leads to it",
    ),
    "no such port": (
        graph(A, ends(*CHAIN, port="i")),
        "network.projections[0].port=i: neuron LIF of a has no such port; it has I.",
    ),
    "nobody reaches it": (
        graph([*A, {"name": "b"}], ends(*CHAIN, "b>output", "b>b")),
        "network.populations[1]: no spikes of the input reach population b; add a projection, as "
        "in {from: input, to: b}, or leave the population out",
    ),
    "nothing ends in it": (
        graph([*A, {"name": "b"}], ends(*CHAIN)),
        "network.populations[1]: no spikes of the input reach population b",
    ),
    "it leads nowhere": (
        graph([*A, {"name": "b"}], ends(*CHAIN, "a>b", "b>b")),
        "network.populations[1]: nothing leads from population b to the output; add a projection, "
        "as in {from: b, to: output}, or leave the population out",
    ),
    "no projection into the output": (
        graph(A, ends("input>a", "a>a")),
        "network.projections: none leads to the output; add one, as in {from: a, to: output}",
    ),
    "a source without spikes": (
        graph(A, ends(*CHAIN, "output>a"), LOSS_TYPE="max"),
        "network.projections[2].from=output: the outputs do not spike with LOSS_TYPE=max",
    ),
    "a population twice": (
        graph([*A, *A], ends(*CHAIN)),
        "network.populations[1].name=a: population 0 of the list has this name already",
    ),
    "a projection twice": (
        graph(A, [{**p, "name": "p"} for p in ends(*CHAIN)]),
        "network.projections[1].name=p: projection 0 of the list has this name already",
    ),
    "a name of both": (
        graph(A, ends(*CHAIN, name="a")),
        "network.projections[0].name=a: network.populations[0] has it already; names are given "
        "once, to populations and projections",
    ),
    "a name of delays": (
        graph(A, ends(*CHAIN, name="p", delay=1) + ends("input>a", name="p_delays")),
        "network.projections[2].name=p_delays: snnrun calls a tensor so already",
    ),
    "no name": (
        graph([{"size": 3}], ends(*CHAIN)),
        "network.populations[0]: has no name; add one, as in {name: fast, size: 100}",
    ),
    "no end": (
        graph(A, [*ends(*CHAIN), {"from": "a"}]),
        "network.projections[2].to: is missing; give the name of a population",
    ),
    "another field": (
        graph(A, ends(*CHAIN, dealy=3)),
        "network.projections[0].dealy: there is no such field. Did you mean 'delay'?",
    ),
    "a delay longer than the trial": (
        graph(A, ends(*CHAIN, delay=30)),
        "network.projections[0].delay=30: spikes would arrive after the end of the trial "
        "(TRIAL_MS=30)",
    ),
    "a largest delay longer than the trial": (
        graph(A, ends(*CHAIN, delay={"max": 40, "train": True})),
        "network.projections[0].delay.max=40: spikes would arrive after the end of the trial",
    ),
    "a negative delay": (
        graph(A, ends(*CHAIN, delay=-1)),
        "network.projections[0].delay=-1: must be a number >= 0 (ms), or a mapping of kind, start",
    ),
    "a negative start": (
        graph(A, ends(*CHAIN, delay={"start": {"uniform": [-1, 3]}})),
        "network.projections[0].delay.start={uniform: [-1, 3]}: must be a number >= 0 (ms), "
        "{uniform: [least, most]}",
    ),
    "a misspelt start": (
        graph(A, ends(*CHAIN, delay={"start": {"unifrom": [1, 3]}})),
        "Did you mean 'uniform'?",
    ),
    "learned without room": (
        graph(A, ends(*CHAIN, delay={"max": 0, "train": True})),
        "network.projections[0].delay.max=0: delays that learn would have nowhere to go",
    ),
    "a number for a name": (graph(A, ends(*CHAIN, port=3)), 'stands in quotes, as in port: "3"'),
    "a mean of no projection": (
        graph(A, ends(*CHAIN), HIDDEN_HIDDEN_MEAN=3.0),
        "HIDDEN_HIDDEN_MEAN=3.0: has no effect, as no projection draws its weights by it",
    ),
    "a mean that all have": (
        graph(A, ends(*CHAIN, mean=1), INPUT_HIDDEN_MEAN=3.0),
        "INPUT_HIDDEN_MEAN=3.0: has no effect, as no projection draws its weights by it",
    ),
    "a deviation of fixed weights": (
        graph(
            [{"name": "a", "shape": [4, 1]}],
            ends(*CHAIN, connectivity={"kind": "sum_pool", "kernel": 2}),
            INPUT_HIDDEN_STD=3.0,
        ),
        "INPUT_HIDDEN_STD=3.0: has no effect, as no projection draws its weights by it",
    ),
    "a kernel over copies of the input": (
        {
            "network.layers": [{"forward": {"connectivity": {"kind": "sum_pool", "kernel": 2}}}],
            "NUM_HIDDEN": 200,
            "N_INPUT_DELAY": 2,
            "INPUT_DELAY": 2.0,
        },
        "network.layers[0].forward.connectivity={kind: sum_pool, kernel: 2}: with N_INPUT_DELAY=2 "
        "the input is several copies of the data and has no shape; leave one of them out",
    ),
    "a start above the largest": (
        graph(A, ends(*CHAIN, delay={"start": {"uniform": [0, 8]}, "max": 5})),
        "network.projections[0].delay.start={uniform: [0.0, 8.0]}: goes up to 8 ms, above max=5 ms",
    ),
    "learned without a largest": (
        graph(A, ends(*CHAIN, delay={"start": 2, "train": True})),
        "network.projections[0].delay.train=true: delays that learn need the longest that they may "
        "become, in ms; add max, as in {max: 50, train: true}",
    ),
    "fixed without a start": (
        graph(A, ends(*CHAIN, delay={"kind": "axonal"})),
        "network.projections[0].delay: delays that do not learn need their values",
    ),
    "a kind of delays": (
        graph(A, ends(*CHAIN, delay={"kind": "axon", "start": 2})),
        "network.projections[0].delay.kind=axon: must be one of axonal, dendritic, synaptic. Did "
        "you mean 'axonal'?",
    ),
    "size and shape": (
        graph([{"name": "a", "size": 7, "shape": [2, 2, 2]}], ends(*CHAIN)),
        "network.populations[0].size=7: shape [2, 2, 2] has 8 neurons; leave the size out",
    ),
    "a shape without numbers": (
        graph([{"name": "a", "shape": []}], ends(*CHAIN)),
        "network.populations[0].shape=[]: must be [rows, columns, channels] or [length, channels]",
    ),
    "a size of the output": (
        graph([*A, {"name": "output", "size": 3}], ends(*CHAIN)),
        "network.populations[1].size=3: the data decide how many outputs there are",
    ),
    "a shape of the output": (
        graph([*A, {"name": "output", "shape": [3, 1]}], ends(*CHAIN)),
        "network.populations[1].shape=[3, 1]: the data decide how many outputs there are",
    ),
    "a neuron of the input": (
        graph([{"name": "input", "neuron": "LIF"}, *A], ends(*CHAIN)),
        "network.populations[0].neuron: the input has a shape and no neurons; leave it out",
    ),
    "layers too": (
        graph(A, ends(*CHAIN), **{"network.layers": [{}]}),
        "network.layers: network.populations is given too, and both describe the network; use "
        "network.layers=[], or network.populations=[] and network.projections=[]",
    ),
    "projections without populations": (
        graph([], ends(*CHAIN)),
        "network.populations=[]: network.projections connects populations that are not there; add "
        "them, as in network.populations=[{name: a, size: 100}]",
    ),
    "populations without projections": (
        graph(A, []),
        "network.projections=[]: nothing connects the populations of network.populations; add "
        "projections, as in network.projections=[{from: input, to: a}, {from: a, to: output}]",
    ),
    "no list": (graph({"a": 3}, ends(*CHAIN)), "network.populations={a: 3}: must be a list of pop"),
    "delays of pairs of spikes": (
        graph(A, ends(*CHAIN, rule="stdp", delay=2), backend="native"),
        "network.projections[0].delay: rule=stdp pairs spikes as they are emitted, and knows no "
        "delays; leave delay out, or give the projection another rule",
    ),
    "a sign for pairs of spikes": (
        graph(A, ends(*CHAIN, rule="stdp", sign="inhibitory"), backend="native"),
        "network.projections[0].sign=-1: rule=stdp keeps weights within bounds of its own, "
        "rule.w_min and rule.w_max; leave sign out",
    ),
    "dropout for pairs of spikes": (
        graph(A, ends(*CHAIN, rule="stdp", dropout=0.1), backend="native"),
        "network.projections[0].dropout=0.1: rule=stdp pairs spikes, whatever they add; leave "
        "dropout out, or give the projection another rule",
    ),
    "dropout on genn": (
        graph(A, ends(*CHAIN, dropout=0.1), backend="genn"),
        "network.projections[0].dropout=0.1: backend=genn has no dropout of currents; use "
        "backend=native",
    ),
    "dropout of what dendritic delays spread": (
        graph(A, ends(*CHAIN, dropout=0.1, delay={"kind": "dendritic", "start": 2})),
        "network.projections[0].dropout=0.1: goes with delays of kind axonal or synaptic, not "
        "dendritic; leave one of them out",
    ),
    "dropout of everything": (
        graph(A, ends(*CHAIN, dropout=1)),
        "network.projections[0].dropout=1: must be a number >= 0 and < 1",
    ),
    "another sign": (
        graph(A, ends(*CHAIN, sign="inhibitry")),
        "network.projections[0].sign=inhibitry: must be 1 or excitatory, for weights that stay "
        "above 0, or -1 or inhibitory, for weights that stay below 0. Did you mean 'inhibitory'?",
    ),
    "superspike": (
        graph(A, ends(*CHAIN), rule="superspike", dataset="pattern", backend="native", N_BATCH=1),
        "network.populations: rule=superspike trains one hidden layer of NUM_HIDDEN neurons",
    ),
    "hidden layers": (
        graph(A, ends(*CHAIN), N_HID_LAYER=2),
        "N_HID_LAYER=2: has no effect, as network.populations lists the populations",
    ),
    "recurrence": (
        graph(A, ends(*CHAIN), RECURRENT=True),
        "RECURRENT=true: has no effect, as network.projections lists all connections",
    ),
    "a rate of no delays": (
        graph(A, ends(*CHAIN, delay=2), ETA_DELAY=0.5),
        "ETA_DELAY=0.5: has no effect, as no projection has delays that learn; leave it out",
    ),
    "a width of no delays": (
        graph(A, ends(*CHAIN), DELAY_WIDTH=5),
        "DELAY_WIDTH=5.0: has no effect, as no projection has delays; leave it out",
    ),
    "records of no delays": (
        graph(A, ends(*CHAIN, delay=2), REC_SYNAPSES=[["a_to_output", "d"]]),
        "REC_SYNAPSES=[a_to_output, d]: a_to_output: without delays; projections that have some: "
        "input_to_a",
    ),
    "in a layer": (
        {"network.layers": [{"forward": {"delay": {"max": 3, "trian": True}}}]},
        "network.layers[0].forward.delay.trian: there is no such field. Did you mean 'train'?",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_network_is_one_message_with_its_place(name: str) -> None:
    keys, message = WRONG[name]
    with pytest.raises(ConfigError) as caught:
        small(**keys)
    assert message in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_start_whose_numbers_do_not_fit_is_not_taken_for_a_misspelt_one() -> None:
    with pytest.raises(ConfigError, match=r"start={uniform: .5, 1.}: must be") as caught:
        small(**graph(A, ends(*CHAIN, delay={"start": {"uniform": [5, 1]}})))
    assert str(caught.value).endswith("ends in .npy.")


WRONG_WITH_DATA: dict[str, tuple[dict[str, Any], str]] = {
    "delays of another number": (
        graph(A, ends(*CHAIN, delay={"start": [1, 2]})),
        "network.projections[0].delay.start: has 2 numbers, and axonal delays of this projection "
        "are 5 numbers",
    ),
    "delays of another kind": (
        graph(A, ends(*CHAIN, delay={"kind": "synaptic", "start": [1, 2]})),
        "has 2 numbers, and synaptic delays of this projection are 5 x 30 numbers",
    ),
    "no such file": (
        graph(A, ends(*CHAIN, delay={"start": "nowhere.npy"})),
        "network.projections[0].delay.start=nowhere.npy: there is no such file",
    ),
    "drawn beyond the trial": (
        graph(A, ends(*CHAIN, delay={"start": {"half_normal": 1000}})),
        "it must be shorter than TRIAL_MS=30",
    ),
    "another input": (
        graph([{"name": "input", "shape": [2, 2]}, *A], ends(*CHAIN)),
        "network.populations: input has shape [2, 2], which is 4 channels, and the data have 5",
    ),
    "nobody connected": (
        graph(A, ends(*CHAIN, connectivity={"kind": "list", "synapses": []})),
        "network.projections[0]: connectivity list: there are no synapses; connect more",
    ),
    "a port of one's own neuron": (
        graph([{"name": "a", "neuron": "snnrun.models.neurons.LIF"}], ends(*CHAIN, port="q")),
        "projection input_to_a: neuron lif of a has no port q",
    ),
}


@pytest.mark.parametrize("name", WRONG_WITH_DATA)
def test_what_only_data_or_a_neuron_can_tell_is_told_before_the_build(name: str) -> None:
    keys, message = WRONG_WITH_DATA[name]
    with pytest.raises((ConfigError, ModelError)) as caught:
        build_network(small(**keys), n_inputs=5, n_outputs=3)
    assert message in str(caught.value)
