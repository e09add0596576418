"""check_model passes every built-in model, and says clearly what is wrong with a broken one."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from long import long_but

from snnrun.backends.interpreter.links import Link
from snnrun.errors import ModelError
from snnrun.models.declare import Neuron
from snnrun.models.losses import FIRST_SPIKE_EXP, LOSSES, MAX, SUM_WEIGH_EXP, Loss, Readout
from snnrun.models.neurons import ALIF, LI, LIF, LIF_DOUBLE_EXP, LIF_EXC_INH, LIF_SUBTRACT, NEURONS
from snnrun.testing import BuildOptions, check_model, comparison, networks
from snnrun.testing.comparison import Comparison, Row, compare
from snnrun.testing.declaration import loss_findings, neuron_findings
from snnrun.testing.equations import Array
from snnrun.testing.limits import equality_findings
from snnrun.testing.networks import DURATION, make_setup, neuron_parts

STEPS = (0.1, 0.02, 0.004)
NUMPY = BuildOptions(backend="numpy")
FINE = STEPS[-1:]  # one program instead of three: these tests compile for most of their time


@pytest.mark.long
def test_lif_passes_with_everything_compared() -> None:
    report = check_model(LIF)
    assert report.passed
    rows = {row.name: row for row in report.comparison.rows}
    assert {"in_to_hid0", "hid_to_hid0", "hid_to_hidfwd0", "hid_to_hid1", "hid_to_out"} < set(rows)
    assert {f"hidden1.{p}" for p in ("tau_mem", "tau_syn", "v_thresh", "v_reset")} < set(rows)
    assert sum(row.skipped for row in rows.values()) == 0
    # a gradient of first order: a step that is 25 times smaller, and an error at least 10 times
    assert all(row.errors[-1] < row.errors[0] / 10 for row in rows.values())
    text = str(report)
    assert "TRAIN_TAU trains tau_mem, tau_syn" in text
    assert re.search(r"hidden0.tau_syn( +\d\.\de-\d\d){3} +4 +0\n", text)
    assert text.endswith("passed")


@pytest.mark.long
@pytest.mark.parametrize("neuron", [LIF_SUBTRACT, ALIF, LIF_EXC_INH, LI], ids=lambda n: n.name)
def test_every_built_in_neuron_passes(neuron: Neuron) -> None:
    report = check_model(neuron, dts=FINE)
    compared = {row.name.split(".")[-1] for row in report.comparison.rows}
    expected = {p.name for p in neuron.parameters} - {"t_ref", "b_init"}
    assert expected <= compared


def two_ports_on_a_coarse_grid(monkeypatch: pytest.MonkeyPatch) -> Comparison:
    """Compare gradients where differences are not small yet: it takes few steps."""
    monkeypatch.setattr(comparison, "LIMIT", 0.2)
    monkeypatch.setattr(comparison, "NEAR", 0.0)
    parts = neuron_parts(LIF_EXC_INH, {}, 0.05)
    setup = make_setup(parts, SUM_WEIGH_EXP, {}, DURATION, 0.05, seed=0)
    return compare(setup.problem, setup.candidates, setup.scales, (0.05,), "exact", options=NUMPY)


@pytest.mark.long
def test_projections_lead_to_each_port_and_one_of_them_has_delays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = two_ports_on_a_coarse_grid(monkeypatch)
    assert found.passed, "\n".join(found.lines())
    ports = {p.name: p.port for p in found.problem.network.projections}
    assert (ports["in_to_hid0"], ports["in_to_hid0_I"]) == ("", "I")
    compared = {row.name for row in found.rows if not row.zero}
    assert {"in_to_hid0_I", "in_to_hid0_I_delays", "hid_to_hidfwd0_I_delays"} < compared


@pytest.mark.long
@pytest.mark.parametrize("wrong", ["in_to_hid0_I", "in_to_hid0_I_delays"])
def test_wrong_gradients_by_weights_of_a_port_or_by_delays_fail(
    wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = Link.gradients

    def of_link(link: Link, spikes: Array, adjoint: Array) -> tuple[Array, Array | None]:
        of_weights, of_delays = right(link, spikes, adjoint)
        if of_delays is None:
            return of_weights, None
        if wrong.endswith("_delays"):
            return of_weights, 1.5 * of_delays
        return 1.5 * of_weights, of_delays

    monkeypatch.setattr(Link, "gradients", of_link)
    found = two_ports_on_a_coarse_grid(monkeypatch)
    failed = [row.name for row in found.rows if not row.passed]
    assert failed == [wrong, wrong.replace("in_to_hid0", "hid_to_hidfwd0")]


@pytest.mark.long
def test_a_current_that_rises_passes_on_every_backend_here() -> None:
    for options in (BuildOptions(), NUMPY):  # with steps that suit its shortest time constant
        report = check_model(LIF_DOUBLE_EXP, options=options)
        assert f"{options.backend} backend in float64" in str(report)


# a spike time moves both by half a step, and the softmax of spike times divides that by 0.5 ms
@pytest.mark.parametrize(
    "loss", long_but([FIRST_SPIKE_EXP, MAX], [FIRST_SPIKE_EXP], lambda loss: loss.name)
)
@pytest.mark.long
def test_losses_on_spike_times_and_maxima_pass(loss: Loss) -> None:
    assert check_model(loss, dts=(0.0016,)).passed


@pytest.mark.long
@pytest.mark.usefixtures("wrong_sign")
def test_a_wrong_sign_in_the_derivation_fails_with_a_table() -> None:
    with pytest.raises(ModelError) as caught:
        check_model(LIF, dts=FINE)
    lines = str(caught.value).splitlines()
    failed = {line.split()[0] for line in lines if line.endswith("FAILED") and len(line) > 6}
    assert {"in_to_hid0", "hid_to_hid0", "hidden0.tau_mem"} <= failed
    assert not failed & {"loss", "hid_to_out", "output.tau_mem"}  # they do not pass through a spike
    assert lines[-1] == "FAILED"


@pytest.mark.long
def test_equal_and_nearly_equal_time_constants_agree_and_are_right(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(networks, "SPREAD", 0.0)
    parts = neuron_parts(LIF, {"tau_mem": 20.0, "tau_syn": 20.0}, STEPS[0])
    setup = make_setup(parts, SUM_WEIGH_EXP, {}, DURATION, STEPS[0], seed=1)
    hidden = setup.problem.network.layers[0].population.values
    assert (hidden["tau_mem"] == hidden["tau_syn"]).all()
    found = compare(setup.problem, setup.candidates, setup.scales, STEPS)
    assert found.passed, "\n".join(found.lines())
    (finding,) = equality_findings(LIF, found)
    assert finding.passed
    assert float(finding.text.split()[-1]) < 1e-7


def test_a_missing_unit_meaning_or_source_is_named() -> None:
    tau = replace(LIF.parameters[0], unit="", meaning="")
    neuron = replace(LIF, name="bare", parameters=(tau, *LIF.parameters[1:]), source="")
    finding = neuron_findings(neuron)[0]
    assert not finding.passed
    for problem in ("source is missing", "tau_mem: unit is missing", "tau_mem: meaning is missing"):
        assert problem in finding.text


def test_bounds_and_parameters_without_sense_are_named() -> None:
    tau = replace(LIF.parameters[0], positive=False)
    stray = replace(LIF.parameters[2], name="stray", low=2.0, high=0.5, default=1.0, key="V_TRESH")
    with pytest.raises(ModelError):
        replace(LIF, parameters=(*LIF.parameters, stray))
    stray = replace(stray, low=1.0, high=1.0)
    neuron = replace(LIF, parameters=(tau, *LIF.parameters[1:], stray))
    text = neuron_findings(neuron)[0].text
    assert "tau_mem: its bounds allow 0, by which a rate is divided" in text
    assert "stray is not used" in text
    assert "stray: low = 1 is not below high = 1" in text
    assert "no configuration key V_TRESH" in text


def test_a_parameter_of_an_initial_value_must_not_be_trained() -> None:
    assert "not of t_ref, b_init" in neuron_findings(ALIF)[1].text
    parameters = tuple(
        replace(p, floor_key="MIN_TAU_M") if p.name == "b_init" else p for p in ALIF.parameters
    )
    finding = neuron_findings(replace(ALIF, parameters=parameters))[1]
    assert not finding.passed
    assert "b_init must not have a floor_key" in finding.text


@pytest.mark.parametrize("model", [*NEURONS.values(), *LOSSES.values()], ids=lambda m: m.name)
def test_every_built_in_declaration_is_complete(model: Neuron | Loss) -> None:
    findings = neuron_findings(model) if isinstance(model, Neuron) else loss_findings(model)
    assert all(finding.passed for finding in findings), findings


def test_what_a_loss_cannot_use_is_named() -> None:
    loss = Loss(
        name="odd",
        readout=Readout.MAXIMUM,
        score="1",
        weight="t / T",
        silent_push="T",
        meaning="odd",
    )
    text = loss_findings(loss)[0].text
    for problem in ("source is missing", "does not depend on y", "weight has", "silent_push"):
        assert problem in text


def test_a_loss_with_a_key_that_has_no_number_says_how_to_give_one() -> None:
    loss = Loss(name="own", readout=Readout.MAXIMUM, score="y / SHARPNESS", keys=("SHARPNESS",))
    with pytest.raises(ModelError, match=r"values=\{'SHARPNESS': \.\.\.\}"):
        check_model(loss)


def test_what_cannot_be_checked_is_refused() -> None:
    with pytest.raises(ModelError, match="takes a Neuron or a Loss"):
        check_model("lif")  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="the coarsest first"):
        check_model(LIF, dts=(0.004, 0.1))
    with pytest.raises(ModelError, match=r"tau_mem = -1 ms; it must be > 0"):
        check_model(LIF, values={"tau_mem": -1.0})
    with pytest.raises(ModelError, match="Did you mean 'tau_mem'"):
        check_model(LIF, values={"tau_men": 1.0})


def test_a_neuron_that_input_cannot_move_is_refused() -> None:
    deaf = replace(LIF, name="deaf", equations="dV/dt = -V / tau_mem\ndI/dt = -I / tau_syn")
    with pytest.raises(ModelError, match="deaf: a spike that arrives at I never moves V"):
        check_model(deaf)


def row(*errors: float, compared: int = 5) -> Row:
    return Row(name="w", errors=errors, compared=compared, skipped=0, zero=False)


def test_differences_must_be_small_and_fall() -> None:
    assert row(0.2, 0.04, 0.008).passed
    assert row(0.0005, 0.0009).passed  # too small to fall any more
    assert not row(0.2, 0.04, 0.02).passed
    assert row(0.2, 0.04, 0.02).undecided
    assert not row(0.009, 0.008).passed
    assert row(0.009, 0.008).undecided
    assert not row(0.9, 0.9).undecided
    assert not row(0.1, np.nan).passed
    assert not row(0.0, 0.0, compared=0).passed
