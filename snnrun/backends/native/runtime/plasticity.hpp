// plasticity.hpp: projections into a layer that learn from traces, signals and a third factor, as
// pseudo-gradients that the optimiser is handed in place of gradients (rules/learning.py).
//
// For the arrivals of presynaptic neuron i at steps m, and signals p and q of postsynaptic neuron
// k, which are its spikes where the population has no signals of its own:
//   P_ik = sum over m of z_k(m)    z_k(m) = sum over n >= m of exp(-(n - m) dt / tau_plus) p_k(n)
//   D_ik = sum over m of y_k(m)    y_k(m) = sum over n <  m of exp(-(m - n) dt / tau_minus) q_k(n)
//   S_k  = spikes of k
//   change of w_ik = r (A_plus f_plus(w) P - A_minus f_minus(w) D + A_post f(w) S)
// with r the third factor and f = 1 (additive) or f_plus = (w_max - w)^mu, f_minus = (w - w_min)^mu
// (multiplicative), f of the sign of A_post. A spike that arrives in the step of a postsynaptic
// spike comes before it. The sums over m are those by which weights gather input adjoints
// (gather.hpp), over another table, which is this one.
#pragma once
#include "gather.hpp"

namespace snn {

// (distance to the bound)^mu; 0 beyond it.
template <class R> static inline vf soft(const R& rule, vf distance) {
    distance = maximum(distance, vf{});
    if (rule.MU == 1.0) return distance;
    for (int l = 0; l < LANES; l++) distance[l] = std::pow(distance[l], Real(rule.MU));
    return distance;
}
template <bool UP, class R> static inline vf bound_factor(const R& rule, vf w) {
    if constexpr (!R::MULTIPLICATIVE) return splat(Real(1));
    else if constexpr (UP) return soft(rule, splat(Real(rule.W_MAX)) - w);
    else return soft(rule, w - splat(Real(rule.W_MIN)));
}

// table[m] <- scale z(m), or added to what is there.
template <bool ADD, class L>
void future_traces(const typename L::Rule& rule, Work<L>& work, int b, Real scale) {
    const Real decay = Real(rule.DECAY_PLUS);
    const auto& s = work.spikes_of_block(b);
    vf z[L::B] = {};
    for (int n = L::STEPS - 1; n >= 0; n--) {
        SNN_UNROLL for (int x = 0; x < L::B; x++) z[x] *= decay;
        if constexpr (L::Model::SIGNAL_PLUS) {
            const vf* signal = work.signal(0, n) + b * L::B;
            SNN_UNROLL for (int x = 0; x < L::B; x++) z[x] += signal[x];
        } else {
            s.each_of_block(b, n, [&](int i) { reinterpret_cast<Real*>(z)[i] += 1; });
        }
        SNN_UNROLL for (int x = 0; x < L::B; x++) {
            vf& at = work.input_adjoint[0].at(b, n, x);
            at = ADD ? at + scale * z[x] : scale * z[x];
        }
    }
}

// table[m] <- scale y(m).
template <class L>
void past_traces(const typename L::Rule& rule, Work<L>& work, int b, Real scale) {
    const Real decay = Real(rule.DECAY_MINUS);
    const auto& s = work.spikes_of_block(b);
    vf y[L::B] = {};
    for (int n = 0; n < L::STEPS; n++) {
        SNN_UNROLL for (int x = 0; x < L::B; x++) work.input_adjoint[0].at(b, n, x) = scale * y[x];
        if constexpr (L::Model::SIGNAL_MINUS) {
            const vf* signal = work.signal(1, n) + b * L::B;
            SNN_UNROLL for (int x = 0; x < L::B; x++) y[x] += signal[x];
        } else {
            s.each_of_block(b, n, [&](int i) { reinterpret_cast<Real*>(y)[i] += 1; });
        }
        SNN_UNROLL for (int x = 0; x < L::B; x++) y[x] *= decay;
    }
}

// rows[i] += f(w_i) x (sum of table over the arrivals of i), for `count` presynaptic neurons.
template <bool UP, class L>
void gather_bounded(const typename L::Rule& rule, Work<L>& work, Real* rows, const Real* weights,
                    int b, int count, const uint32_t* start, const uint16_t* step, int shift,
                    bool fresh) {
    for (int i = 0; i < count; i++) {
        const uint32_t first = start[i], end = start[i + 1];
        vf* row = vectors(rows) + size_t(i) * L::B;
        const vf* w = vectors(weights) + size_t(i) * L::B;
        if (first == end && !fresh) continue;
        SNN_UNROLL for (int x = 0; x < L::B; x++) {
            vf total = {};
            for (uint32_t e = first; e < end; e++)
                total += work.input_adjoint[0].at(b, step[e] + shift, x);
            if (first != end) total *= bound_factor<UP>(rule, w[x]);
            row[x] = fresh ? total : row[x] + total;
        }
    }
}

// The part of each postsynaptic spike alone, which all rows of weights get.
template <class L>
void add_spikes(const typename L::Rule& rule, const Work<L>& work, Real* rows, const Real* weights,
                int b, int count, Real scale) {
    vf spikes[L::B] = {};
    const auto& s = work.spikes_of_block(b);
    for (int n = 0; n < L::STEPS; n++)
        s.each_of_block(b, n, [&](int i) {
            reinterpret_cast<Real*>(spikes)[i] += scale * Real(rule.A_POST);
        });
    for (int i = 0; i < count; i++)
        SNN_UNROLL for (int x = 0; x < L::B; x++) {
            const vf w = vectors(weights)[size_t(i) * L::B + x];
            const vf f =
                rule.A_POST > 0 ? bound_factor<true>(rule, w) : bound_factor<false>(rule, w);
            vectors(rows)[size_t(i) * L::B + x] += spikes[x] * f;
        }
}

// Adds one example's pseudo-gradients, minus the change of the weights, of all plastic projections
// into layer I. It needs nothing of the backward pass, and takes its tables. `weight`: third factor
// / examples of the mini-batch.
template <int I, class L, class Trial, class AllTensors>
void pair_layer(const typename L::Rule& rule, Trial& trial, const AllTensors& values,
                AllTensors& slot, Real weight, bool fresh) {
    auto& work = std::get<I>(trial.work);
    // f(rows of gradients and of weights, how many, starts, steps, shift), for each part of them
    const auto each = [&](int b, auto f) {
        each_projection<L>([&](auto k) {
            if constexpr (L::template Into<k()>::PLASTIC)
                each_source<L, k()>(trial, [&](int first, int count, auto start, auto step,
                                               int shift) {
                    f(std::get<I>(slot).template rows<k()>(b, first),
                      std::get<I>(values).template rows<k()>(b, first), count, start, step, shift);
                });
        });
    };
    for (int b = 0; b < L::BLOCKS; b++) {
        past_traces(rule, work, b, weight * Real(rule.A_MINUS));
        if constexpr (L::Rule::MULTIPLICATIVE) {
            each(b, [&](Real* rows, const Real* w, int count, auto start, auto step, int shift) {
                gather_bounded<false>(rule, work, rows, w, b, count, start, step, shift, fresh);
            });
            future_traces<false>(rule, work, b, -weight * Real(rule.A_PLUS));
            each(b, [&](Real* rows, const Real* w, int count, auto start, auto step, int shift) {
                gather_bounded<true>(rule, work, rows, w, b, count, start, step, shift, false);
            });
        } else {
            future_traces<true>(rule, work, b, -weight * Real(rule.A_PLUS));
            each(b, [&](Real* rows, const Real*, int count, auto start, auto step, int shift) {
                gather<L>(work.input_adjoint[0], rows, b, count, start, step, shift, fresh);
            });
        }
        if (rule.A_POST != 0)
            each(b, [&](Real* rows, const Real* w, int count, auto, auto, int) {
                add_spikes(rule, work, rows, w, b, count, -weight);
            });
    }
}

template <class P, class Trial, class AllTensors, int I = 0>
void pair_layers(const typename P::Plasticity& rule, Trial& trial, const AllTensors& values,
                 AllTensors& slot, double scale, bool fresh) {
    if constexpr (I < std::tuple_size_v<typename P::Layers>) {
        using L = std::tuple_element_t<I, typename P::Layers>;
        if constexpr (L::PLASTIC) {
            const double factor = rule.third_factor(trial.right, trial.loss_value);
            pair_layer<I, L>(rule, trial, values, slot, Real(scale * factor), fresh);
        }
        pair_layers<P, Trial, AllTensors, I + 1>(rule, trial, values, slot, scale, fresh);
    }
}

}  // namespace snn
