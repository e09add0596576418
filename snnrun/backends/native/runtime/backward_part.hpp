// backward_part.hpp: the walk back of some vectors of neurons of a TILED layer. Their adjoints stay
// in registers, and the table of all steps in the second-level cache.
#pragma once
#include "backward.hpp"

namespace snn {

// The jumps of part p of block b at step n. `lam` are the adjoints of its vectors, which stay in
// registers: a spike replaces one lane of them.
template <class L, int COUNT>
static inline void jump_part(Work<L>& work, const ConstantsOf<L>& constants, Real* parameters,
                             Buffer<Int>& held_after, vf (&lam)[L::Model::STATES][COUNT], int b,
                             int p, int n) {
    using M = typename L::Model;
    constexpr int PARTS = Table<L>::PARTS;
    auto& s = work.spikes[b];
    const uint32_t* at = s.part_start.data() + p;
    const uint32_t first = at[size_t(n) * PARTS], end = at[size_t(n) * PARTS + 1];
    const int j0 = b * L::BW + p * Table<L>::S * LANES;
    [[maybe_unused]] const int m = n - M::REFRACTORY;
    uint32_t released = 0, released_end = 0;
    if constexpr (M::REFRACTORY > 0)
        if (m >= 0)
            released = at[size_t(m) * PARTS], released_end = at[size_t(m) * PARTS + 1];
    if (first == end && released == released_end) return;
    vf now[M::STATES][COUNT];
    std::memcpy(now, lam, sizeof now);
    const auto load = [&](int j, Real* l) {
        for (int i = 0; i < M::STATES; i++) l[i] = reinterpret_cast<Real*>(now[i])[j - j0];
    };
    if constexpr (M::REFRACTORY > 0)
        release(work, constants, held_after, load, b, m, released, released_end);
    vi lane;
    for (int l = 0; l < LANES; l++) lane[l] = l;
    for (uint32_t e = first; e < end; e++) {
        const int j = b * L::BW + s.neuron[e];
        Real l[M::STATES];
        load(j, l);
        jump_spike(work, constants, parameters, b, e, j, l);
        SNN_UNROLL for (int x = 0; x < COUNT; x++) {
            const vi own = lane == vi{} + (j - j0 - x * LANES);
            for (int i = 0; i < M::STATES; i++) lam[i][x] = own ? splat(l[i]) : lam[i][x];
        }
    }
}

// Walks the COUNT vectors of part p of block b of a TILED layer back, into `table` [STEPS + 2]
// [COUNT]. What other parts hold is neither read nor written.
template <class L, int COUNT>
void backward_part(Work<L>& work, const ConstantsOf<L>& constants, Real* parameters,
                   int arrivals_end, Buffer<Int>& held_after, int b, int p, vf* table) {
    using M = typename L::Model;
    constexpr int T = L::STEPS, PARTS = Table<L>::PARTS;
    const int v = b * L::B + p * Table<L>::S;
    const uint32_t* at = work.spikes[b].part_start.data() + p;
    int top = T;
    while (top > 0 && at[size_t(top - 1) * PARTS] == at[size_t(top - 1) * PARTS + 1]) top--;
    if constexpr (M::REFRACTORY > 0) {
        std::fill_n(held_after.data() + v * LANES, COUNT * LANES, T);
        for (int m = std::max(0, top - M::REFRACTORY); m < top; m++)
            enter_held(work, held_after, b, m, at[size_t(m) * PARTS], at[size_t(m) * PARTS + 1]);
    }
    const int end = std::min(T, std::max(arrivals_end, top + 1)) + 1;
    std::memset(static_cast<void*>(table + size_t(top) * COUNT), 0,
                size_t(end - top) * COUNT * sizeof(vf));
    const auto numbers = wide_numbers<L>(constants);
    const WideConstantsOf<L> wide{numbers, constants.own};
    vf lam[M::STATES][COUNT] = {};
    for (int n = top - 1; n >= 0; n--) {
        jump_part<L, COUNT>(work, constants, parameters, held_after, lam, b, p, n);
        SNN_UNROLL for (int x = 0; x < COUNT; x++) {
            vf l[M::STATES];
            for (int i = 0; i < M::STATES; i++) l[i] = lam[i][x];
            flow_vector(work, wide, parameters, held_after, Undriven{}, l, v + x, n);
            for (int i = 0; i < M::STATES; i++) lam[i][x] = l[i];
            table[size_t(n) * COUNT + x] = l[M::PORT[0]];
        }
    }
}

}  // namespace snn
