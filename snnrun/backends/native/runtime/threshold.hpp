// threshold.hpp: what neurons do on their threshold in a step. Spikes are entered, kept with what
// the way back needs of them, and reset.
#pragma once
#include "layer.hpp"

namespace snn {

// Takes from `spiking` the neurons of vector v that are kept from spiking in step n. Those that
// were not so in the step before are `crossed`; those that spike although they were are returned.
template <class L>
static inline vi drop_spikes(Work<L>& work, vi& spiking, vi& crossed, int v, int n) {
    vi& suppressed = reinterpret_cast<vi*>(work.suppressed.data())[v];
    const vi before = suppressed;
    suppressed = bits(spiking) ? spiking & drops_spikes(work.draws, v, n) : vi{};
    spiking &= ~suppressed, crossed = suppressed & ~before;
    return spiking & before;
}

// Enters what vector x of block b does on its threshold, its states being `s`, and resets the
// neurons that spike. `arrived`: states of the ports before the step.
template <class L, class Entered>
static inline void on_threshold(Work<L>& work, Entered& entered, vf* s, const vf* arrived,
                                const WideConstantsOf<L>& k, vi spiking, int b, int x, int n) {
    using M = typename L::Model;
    vf kept[KEPT<L> + 1];
    vi crossed = {}, late = {};
    if constexpr (M::DROPS_SPIKES) {
        if (work.draws.on) late = drop_spikes(work, spiking, crossed, b * L::B + x, n);
        vf there[M::STATES];  // a neuron that was not kept from spiking is on its threshold
        for (int i = 0; i < M::STATES; i++) there[i] = s[i];
        there[M::THRESHOLD_STATE] = late ? s[M::THRESHOLD_STATE] : M::level(s, k);
        M::keep(arrived, there, kept);
    } else {
        M::keep(arrived, s, kept);
    }
    if constexpr (M::COUNTED) kept[M::RECORDS] = M::count(s, k);
    OnThreshold which{bits(spiking)};
    if constexpr (M::DROPS_SPIKES) which.late = bits(late), which.crossed = bits(crossed);
    entered.enter(b, x, which, kept);
    if constexpr (M::COUNTED) M::reset(s, spiking, kept[M::RECORDS], k);
    else M::reset(s, spiking, k);
}

// Where the spikes of each part of a block begin in step n: spikes [count, end).
template <class L>
static inline void enter_parts(Spikes<L>& spikes, const OfBlock<L>& entered, uint32_t count,
                               uint32_t end, int n) {
    constexpr int PARTS = Table<L>::PARTS, SIZE = Table<L>::S * LANES;  // 64, 32, 16 or 8
    uint32_t* at = spikes.part_start.data() + size_t(n) * PARTS;
    at[0] = count;
    for (int p = 0; p < PARTS; p++)  // padding comes last
        at[p + 1] = std::min(count += entered.template spiking<SIZE>(p), end);
}

// Appends to strand c what was entered in step n. Returns whether there is a spike.
template <class L, class Entered>
static inline bool append_spikes(Work<L>& work, const Entered& entered, int c, int n) {
    using M = typename L::Model;
    constexpr size_t C = Spikes<L>::CAPACITY;
    auto& spikes = work.spikes[c];
    const uint32_t first = spikes.start[n];
    uint32_t count = first;
    const auto padding = [&](int i) {
        return L::WIDTH > L::Model::SIZE && c * L::STRAND + i >= L::Model::SIZE;
    };
    if constexpr (M::DROPS_SPIKES) {
        auto& to = work.crossings[c];
        uint32_t crossings = to.start[n];
        entered.each_crossed([&](int i, bool, const auto& kept) {
            if (padding(i)) return;
            to.neuron[crossings] = i;
            for (int r = 0; entered.keeps() && r < M::RECORDS; r++)
                to.state[r * C + crossings] = kept(r);
            crossings++;
        });
        to.start[n + 1] = crossings;
    }
    entered.each_spiking([&](int i, [[maybe_unused]] bool late, const auto& kept) {
        if (padding(i)) return;
        int times = 1;
        if constexpr (M::COUNTED) times = int(kept(M::RECORDS));
        for (; times > 0; times--, count++) {
            spikes.neuron[count] = i;
            if constexpr (M::DROPS_SPIKES) spikes.postponed[count] = late;
            for (int r = 0; entered.keeps() && r < M::RECORDS; r++)
                spikes.state[r * C + count] = kept(r);
            for (int r = 0; M::REFRACTORY > 0 && r < M::STATES; r++)
                spikes.released[r * C + count] = 0;
        }
        if constexpr (M::REFRACTORY > 0)
            work.free_from[c * L::STRAND + i] = n + 1 + M::REFRACTORY;
    });
    spikes.start[n + 1] = count;
    if constexpr (L::TILED) enter_parts(spikes, entered, first, count, n);
    return count != first;
}

// States at the end of the refractory period of the spikes that were emitted REFRACTORY steps ago.
template <class L>
static inline void keep_released(Work<L>& work, const vf* state, int stride, int c, int n) {
    using M = typename L::Model;
    const int emitted = n - M::REFRACTORY;
    if (emitted < 0) return;
    auto& spikes = work.spikes[c];
    for (uint32_t e = spikes.start[emitted]; e < spikes.start[emitted + 1]; e++)
        for (int i = 0; i < M::STATES; i++)
            spikes.released[i * Spikes<L>::CAPACITY + e] =
                reinterpret_cast<const Real*>(state + i * stride)[spikes.neuron[e]];
}

// Keeps what the neurons of strand c did in step n. Returns whether one may spike again; `alive`:
// without a spike.
template <class L, class Entered>
static inline bool end_step(Work<L>& work, const Entered& entered, const vf* state, int stride,
                            int c, int n, bool alive) {
    using M = typename L::Model;
    if constexpr (!M::SPIKING) return true;
    else {
        const bool any = append_spikes(work, entered, c, n);
        if constexpr (M::REFRACTORY > 0) keep_released(work, state, stride, c, n);
        return (L::RECURRENT && any) || alive;
    }
}

}  // namespace snn
