"""A description given to PyGeNN: the only module that calls its building functions.

Parameters are 0 here, as their values would enter GeNN's own hash of the code.
"""

from __future__ import annotations

from typing import Any

from snnrun.backends.genn.description import (
    Description,
    Neurons,
    Reference,
    Synapses,
    Update,
    Variable,
)

PSM = "injectCurrent(inSyn);\ninSyn = 0.0;"  # what arrives in a step is used in it


class Assembler:
    """Builds the GeNN model of a description; ``pygenn`` is the module."""

    def __init__(self, pygenn: Any, model: Any, description: Description) -> None:
        self._pygenn = pygenn
        self._model = model
        self._sum_arrivals = pygenn.create_postsynaptic_model("arrivals", sim_code=PSM)
        self.groups: dict[str, Any] = {}  # by name: populations, projections, updates
        model.dt = 1.0  # t is the number of the step, and needs no division
        model.batch_size = description.batch
        model.fuse_postsynaptic_models = True  # projections to a population share one sum
        for neurons in description.neurons:
            self.groups[neurons.name] = self._neurons(neurons)
        for synapses in description.synapses:
            self.groups[synapses.name] = self._synapses(synapses)
        for update in description.updates:
            self.groups[update.name] = self._update(update)

    def _access(self, variable: Variable, *, of_update: bool = False) -> Any:
        kind = self._pygenn.CustomUpdateVarAccess if of_update else self._pygenn.VarAccess
        return getattr(kind, variable.access.value)

    def _declared(self, variables: tuple[Variable, ...], *, of_update: bool = False) -> list[Any]:
        return [(v.name, v.type, self._access(v, of_update=of_update)) for v in variables]

    def _neurons(self, neurons: Neurons) -> Any:
        model = self._pygenn.create_neuron_model(
            neurons.name,
            params=[(p.name, p.type) for p in neurons.parameters],
            vars=self._declared(neurons.variables),
            extra_global_params=[(t.name, f"{t.type}*") for t in neurons.tables],
            additional_input_vars=[(name, "scalar", 0.0) for name in neurons.inputs],
            sim_code=neurons.sim_code,
            threshold_condition_code=neurons.threshold or None,
            reset_code=neurons.reset_code or None,
        )
        group = self._model.add_neuron_population(
            neurons.name,
            neurons.size,
            model,
            {p.name: 0.0 for p in neurons.parameters},
            {v.name: v.value for v in neurons.variables},
        )
        for parameter in neurons.parameters:
            group.set_param_dynamic(parameter.name)
        for table in neurons.tables:
            group.extra_global_params[table.name].set_init_values(table.values)
        return group

    def _synapses(self, synapses: Synapses) -> Any:
        read = self._pygenn.VarAccessMode.READ_ONLY
        model = self._pygenn.create_weight_update_model(
            synapses.name,
            params=[(p.name, p.type) for p in synapses.parameters],
            vars=self._declared(synapses.variables),
            pre_vars=self._declared(synapses.of_source),
            post_vars=self._declared(synapses.of_target),
            pre_neuron_var_refs=[(v.name, v.type, read) for v in synapses.before],
            post_neuron_var_refs=[(v.name, v.type, read) for v in synapses.after],
            pre_spike_syn_code=synapses.spike or None,
            pre_event_syn_code=synapses.event or None,
            pre_event_threshold_condition_code=synapses.event_condition or None,
            synapse_dynamics_code=synapses.dynamics or None,
        )
        source, target = self.groups[synapses.source], self.groups[synapses.target]
        refer = self._pygenn.create_var_ref
        group = self._model.add_synapse_population(
            synapses.name,
            "SPARSE" if synapses.pairs else "DENSE",
            source,
            target,
            self._pygenn.init_weight_update(
                model,
                {p.name: 0.0 for p in synapses.parameters},
                {v.name: v.value for v in synapses.variables},
                {v.name: v.value for v in synapses.of_source},
                {v.name: v.value for v in synapses.of_target},
                pre_var_refs={v.name: refer(source, v.name) for v in synapses.before},
                post_var_refs={v.name: refer(target, v.name) for v in synapses.after},
            ),
            self._pygenn.init_postsynaptic(self._sum_arrivals),
        )
        if synapses.pairs:
            group.set_sparse_connections(synapses.pairs.pre, synapses.pairs.post)
        group.post_target_var = synapses.into
        if synapses.slots:
            group.max_dendritic_delay_timesteps = synapses.slots
        if synapses.back_into:
            group.pre_target_var = synapses.back_into
        for variable in synapses.variables:
            if variable.hidden:
                group.set_wu_var_location(variable.name, self._pygenn.VarLocation.DEVICE)
        for parameter in synapses.parameters:
            group.set_wu_param_dynamic(parameter.name)
        return group

    def _update(self, update: Update) -> Any:
        modes = self._pygenn.VarAccessMode
        model = self._pygenn.create_custom_update_model(
            update.name,
            params=[(p.name, p.type) for p in update.parameters],
            vars=self._declared(update.variables, of_update=True),
            var_refs=[
                (r.name, r.type, modes.READ_WRITE if r.written else modes.READ_ONLY)
                for r in update.references
            ],
            update_code=update.code,
            extra_global_param_refs=[(t.name, f"{t.type}*") for t in update.tables],
        )
        group = self._model.add_custom_update(
            update.name,
            update.group,
            model,
            {p.name: 0.0 for p in update.parameters},
            {v.name: v.value for v in update.variables},
            {r.name: self._refer(r, of_synapses=update.of_synapses) for r in update.references},
            {
                t.name: self._pygenn.create_egp_ref(self.groups[t.owner], t.table)
                for t in update.tables
            },
        )
        for parameter in update.parameters:
            group.set_param_dynamic(parameter.name)
        return group

    def _refer(self, reference: Reference, *, of_synapses: bool) -> Any:
        make = self._pygenn.create_wu_var_ref if of_synapses else self._pygenn.create_var_ref
        return make(self.groups[reference.owner], reference.variable)
