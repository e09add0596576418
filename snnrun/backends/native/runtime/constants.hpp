// constants.hpp: the numbers of a program. They are data of the engine and no part of its code, so
// that programs which differ in numbers only are built once.
#pragma once
#include "interface.hpp"
#include "memory.hpp"

namespace snn {

// A number as another kind of number, or in every lane of a register. The compiler is kept from
// knowing that the lanes are alike: it would broadcast them from memory again in every step.
template <class X, class Y> inline X number(Y y) {
    if constexpr (std::is_same_v<X, vf>) return in_register(splat(Real(y)));
    else return X(y);
}

// A generated population M is a struct with these constants, and the functions that they call for:
//   SIZE, STATES, READOUT, THRESHOLD_STATE   neurons, states, and which state is which
//   PORTS, PORT       states that arrivals add to
//   SPIKING           crosses, reset, keep, can_spike; RECORDS of states are kept with each spike
//   TIMED             the loss looks at its spike times
//   RESTS             a trial may end once nobody can spike any more
//   REFRACTORY        steps in which neurons are held after a spike: advance_held, adjoint_held
//   COUNTED           several spikes a step, at most MOST_SPIKES: count
//   DISCRETE          its steps are differentiated: tape, surrogate, step_back; TAPED states
//   LINEAR            adjoint does not look at the states
//   REGULARISED       push; AVERAGED: of spike counts averaged over the mini-batch
//   NOISY, DROPS_SPIKES  noise in each step; neurons on the threshold may be kept from spiking:
//                     level, strength, cross
//   SIGNAL_PLUS, SIGNAL_MINUS    signal_plus, signal_minus
//   PER_NEURON, TRAINED, ARRAYS  parameters and coefficients that differ: prepare,
//                     parameter_gradient, lowest, highest
//   NUMBERS           what all neurons share
// What the functions of M read beside its states: the numbers that all of its neurons
// share, and the coefficients of those that differ, [ARRAYS][width], from one neuron on. X: Real
// for one neuron, vf for a register of them.
template <class M, class X> struct Constants {
    const typename M::template Numbers<X>& shared;
    const Real* own;
    Constants operator+(size_t neurons) const { return {shared, own + neurons}; }
};
template <class L> using ConstantsOf = Constants<typename L::Model, Real>;
template <class L> using WideConstantsOf = Constants<typename L::Model, vf>;
template <class L> auto wide_numbers(const ConstantsOf<L>& constants) {
    using Wide = typename L::Model::template Numbers<vf>;
    return Wide::of(reinterpret_cast<const Real*>(&constants.shared));
}

// Those of a layer's population.
template <class L> struct Coefficients {
    using M = typename L::Model;
    typename M::template Numbers<double> exact;
    typename M::template Numbers<Real> rounded;
    Buffer<Real> own;
    void allocate() { own.allocate(size_t(M::ARRAYS + 1) * L::WIDTH); }
    const double* take(const double* numbers) {  // the next ones; returns where others begin
        exact = M::template Numbers<double>::of(numbers);
        rounded = M::template Numbers<Real>::of(numbers);
        return numbers + M::NUMBERS;
    }
    // From the parameters [PER_NEURON][WIDTH]; padding is as the last neuron.
    void refresh(const Buffer<Real>& parameters) {
        if constexpr (M::PER_NEURON > 0)
            for (int j = 0; j < L::WIDTH; j++) {
                double value[M::PER_NEURON];
                for (int p = 0; p < M::PER_NEURON; p++)
                    value[p] = parameters[size_t(p) * L::WIDTH + (j < M::SIZE ? j : M::SIZE - 1)];
                M::prepare(value, exact, own.data() + j);
            }
    }
    Constants<M, Real> constants() const { return {rounded, own.data()}; }
};

}  // namespace snn
