// targets.hpp: what a later spike would change in its targets, summed over them. Rule eventprop.
#pragma once
#include "delays.hpp"

namespace snn {

// An arrival at step m changes the loss by weight x input_adjoint[m], exactly on the grid. So a
// spike that arrives dt later changes it by weight x (input_adjoint[m + 1] - input_adjoint[m]);
// this is what R is made of. The derivative lam . (A e_input) is its limit, but on a grid that form
// leaves an error of order dt of two large terms that cancel: for a loss that changes slowly in
// time it has the wrong sign.
template <class L> static inline vf shift(Table<L>& adjoints, int b, int m, int x) {
    return (adjoints.at(b, m, x) - adjoints.at(b, m + 1, x)) * Real(1 / DT);
}

// Sum over the targets by projection K of a spike that could arrive in step a of weight x shift.
// Projections whose targets share it have another way.
template <int K, class L>
static inline Real sum_of_spike(Work<L>& target, const Tensors<L>& values, int pre, int a) {
    using Own = typename L::template Into<K>;
    auto& adjoints = target.template adjoints<K>();
    if constexpr (Own::DELAY == Delay::AXONAL && !Own::LISTED) {
        Real total = 0;
        each_share(delay_of(values, K, pre), target.width, [&](int t, Real h, Real) {
            if (a + t - 1 >= L::STEPS) return;
            vf sums = {};
            for (int b = 0; b < L::BLOCKS; b++) {
                const vf* row = vectors(values.template rows<K>(b, pre));
                SNN_UNROLL for (int x = 0; x < L::B; x++)
                    sums += row[x] * shift(adjoints, b, a + t - 1, x);
            }
            total += h * sum(sums);
        });
        return total;
    } else {
        return sum_over_targets<L, K>(target, values, pre, a, Reads<L, true>{adjoints});
    }
}

// Orders the spikes of a layer by the step in which they arrive first, by projection K with
// LATE_ROWS.
template <int K, class L, class Target>
void order_by_arrival(Work<L>& work, Work<Target>& target, const Tensors<Target>& values) {
    LateRows& late = target.late_rows[K];
    late.start.assign(L::STEPS + 2, 0);
    const auto each = [&](auto f) {
        for (int c = 0; c < L::STRANDS; c++) {
            auto& s = work.spikes[c];
            for (int n = 0; n < L::STEPS; n++)
                for (uint32_t e = s.start[n]; e < s.start[n + 1]; e++) {
                    const int pre = c * L::STRAND + s.neuron[e];
                    const int a = n + 1 + int(values.whole[K][pre]);
                    if (a < L::STEPS) f(a, &s.from_targets[e], uint16_t(pre));
                }
        }
    };
    each([&](int a, Real*, uint16_t) { late.start[a + 2]++; });
    for (int a = 0; a < L::STEPS; a++) late.start[a + 2] += late.start[a + 1];
    late.spikes.resize(late.start[L::STEPS + 1]);
    each([&](int a, Real* to, uint16_t pre) { late.spikes[late.start[a + 1]++] = {to, pre}; });
}

// Adds what the spikes that arrive first in step a would change, and in the next one: the rows of
// weights are read once for both.
template <int K, class L>
static inline void add_targets_of_arrivals(Work<L>& target, const Tensors<L>& values, int a) {
    constexpr int B = L::B, S = B < MAX_BLOCK / 2 ? B : MAX_BLOCK / 2;  // of both, in registers
    const LateRows& late = target.late_rows[K];
    const LateRows::Spike* first = late.spikes.data() + late.start[a];
    const LateRows::Spike* end = late.spikes.data() + late.start[a + 1];
    if (first == end) return;
    auto& adjoints = target.template adjoints<K>();
    for (int b = 0; b < L::BLOCKS; b++) {
        const Real* W = values.template rows<K>(b, 0);
        const auto add = [&](auto size, int from) {
            constexpr int COUNT = decltype(size)::value;
            vf now[COUNT], then[COUNT];
            SNN_UNROLL for (int x = 0; x < COUNT; x++) {
                now[x] = shift(adjoints, b, a, from + x);
                then[x] = a + 1 < L::STEPS ? shift(adjoints, b, a + 1, from + x) : vf{};
            }
            for (const LateRows::Spike* s = first; s < end; s++) {
                const vf* row = vectors(W + size_t(s->pre) * L::BW) + from;
                vf total = {}, later = {};
                SNN_UNROLL for (int x = 0; x < COUNT; x++)
                    total += now[x] * row[x], later += then[x] * row[x];
                const Real g = values.part[K][s->pre];
                *s->from_targets += sum((1 - g) * total + g * later);
            }
        };
        for (int x = 0; x + S <= B; x += S) add(Index<S>{}, x);
        if constexpr (B % S > 0) add(Index<B % S>{}, B - B % S);
    }
}

// from_targets[e] of the spikes of a layer: R = sum over the targets by projection K into `Above`
// of -weight x d(input adjoint)/dt where e arrives. FRESH: not added to what is there.
template <int K, bool FRESH, class L, class Above>
void gather_from_targets(Work<L>& work, Work<Above>& above, const Tensors<Above>& weights) {
    using Own = typename Above::template Into<K>;
    const auto enter = [](Real& to, Real total) { to = FRESH ? total : to + total; };
    auto& adjoints = above.template adjoints<K>();
    if (Own::LATE_ROWS && above.width == 0) {
        for (auto& s : work.spikes)
            if (FRESH) std::fill_n(s.from_targets.data(), s.count(), Real(0));
        order_by_arrival<K>(work, above, weights);
        for (int a = 1; a < L::STEPS; a++) add_targets_of_arrivals<K>(above, weights, a);
        return;
    }
    for (int c = 0; c < L::STRANDS; c++) {
        auto& s = work.spikes[c];
        for (int n = 0; n < L::STEPS; n++) {
            if (s.start[n] == s.start[n + 1]) continue;
            if constexpr (Own::ALONE) {
                for (uint32_t e = s.start[n]; e < s.start[n + 1]; e++)
                    enter(s.from_targets[e],
                          sum_of_spike<K>(above, weights, c * L::STRAND + s.neuron[e], n + 1));
            } else {
                vf r[Above::BLOCKS][Above::B];
                for (int b = 0; b < Above::BLOCKS; b++)
                    SNN_UNROLL for (int x = 0; x < Above::B; x++)
                        r[b][x] = shift(adjoints, b, n + 1, x);
                for (uint32_t e = s.start[n]; e < s.start[n + 1]; e++) {
                    const int pre = c * L::STRAND + s.neuron[e];
                    vf total = {};
                    for (int b = 0; b < Above::BLOCKS; b++) {
                        const vf* row = vectors(weights.template rows<K>(b, pre));
                        SNN_UNROLL for (int x = 0; x < Above::B; x++) total += row[x] * r[b][x];
                    }
                    enter(s.from_targets[e], sum(total));
                }
            }
        }
    }
}

// Adds the sums over targets by projection K into a layer of the same group to from_targets of the
// spikes of step n, of this thread's neurons.
template <int K, class L, class Target, class Team>
static inline void add_targets_of_step(Work<L>& work, Work<Target>& target,
                                       const Tensors<Target>& weights, int n, const Team& team) {
    using Own = typename Target::template Into<K>;
    if (Own::LATE_ROWS && target.width == 0) return;  // when they arrive
    if constexpr (Own::ALONE) {
        for (int c = 0; c < L::STRANDS; c++) {
            auto& s = work.spikes[c];
            for (uint32_t e = s.start[n]; e < s.start[n + 1]; e++)
                s.from_targets[e] +=
                    sum_of_spike<K>(target, weights, c * L::STRAND + s.neuron[e], n + 1);
        }
        return;
    }
    constexpr int B = Target::B;
    auto& adjoints = target.template adjoints<K>();
    for (int b = 0; b < Target::BLOCKS; b++) {
        vf r[B];
        SNN_UNROLL for (int x = 0; x < B; x++) r[x] = shift(adjoints, b, n + 1, x);
        for (int c = team.first(L::STRANDS); c < team.end(L::STRANDS); c++) {
            auto& s = work.spikes[c];
            for (uint32_t e = s.start[n]; e < s.start[n + 1]; e++) {
                const vf* row = vectors(weights.template rows<K>(b, c * L::STRAND + s.neuron[e]));
                vf even = r[0] * row[0], odd = {};
                SNN_UNROLL for (int x = 1; x < B; x++) {
                    if (x % 2) odd += r[x] * row[x];
                    else even += r[x] * row[x];
                }
                s.from_targets[e] += sum(even + odd);
            }
        }
    }
}

}  // namespace snn
