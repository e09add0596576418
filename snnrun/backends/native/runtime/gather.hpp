// gather.hpp: gradients of weights, gathered from the adjoints of a layer's input state.
#pragma once
#include "layer.hpp"

namespace snn {

// Adds to each presynaptic neuron's row of gradients the adjoints at the steps of its arrivals. The
// first example of a slot overwrites (`FRESH`), so that no gradient is ever cleared. STRIDE:
// vectors of a row of gradients; TABLE: from one step to the next.
template <int STRIDE, int S, bool FRESH, int TABLE = S>
static void gather_part(vf* rows, const vf* table, int count, const uint32_t* start,
                        const uint16_t* step, int shift) {
    table += shift * TABLE;
    for (int i = 0; i < count; i++) {
        const uint32_t first = start[i], end = start[i + 1];
        if (!FRESH && first == end) continue;
        vf total[S];
        vf* row = rows + size_t(i) * STRIDE;
        SNN_UNROLL for (int x = 0; x < S; x++) total[x] = FRESH ? vf{} : row[x];
        for (uint32_t e = first; e < end; e++) {
            const vf* q = table + size_t(step[e]) * TABLE;
            SNN_UNROLL for (int x = 0; x < S; x++) total[x] += q[x];
        }
        SNN_UNROLL for (int x = 0; x < S; x++) row[x] = total[x];
    }
}

// Calls f(how many, p) for part p of a block of L, the number of its vectors as a type.
template <class L, class F> inline void with_part(int p, F f) {
    constexpr int S = Table<L>::S, REST = L::B % S;
    if constexpr (REST > 0)
        if (p == Table<L>::PARTS - 1) return f(std::integral_constant<int, REST>{}, p);
    f(std::integral_constant<int, S>{}, p);
}

// Gradients of `count` rows of dense weights into block b.
template <class L>
void gather(Table<L>& adjoint, Real* rows, int b, int count, const uint32_t* start,
            const uint16_t* step, int shift, bool fresh) {
    for (int q = 0; q < Table<L>::PARTS; q++)
        with_part<L>(q, [&](auto size, int p) {
            constexpr int COUNT = decltype(size)::value, S = Table<L>::S;
            constexpr int ROW = Table<L>::ROWWISE ? L::WIDTH / LANES : COUNT;
            const vf* table = adjoint.part(b, p * S);
            vf* first = vectors(rows) + p * S;
            if (fresh)
                gather_part<L::B, COUNT, true, ROW>(first, table, count, start, step, shift);
            else gather_part<L::B, COUNT, false, ROW>(first, table, count, start, step, shift);
        });
}

// Those of the weights in a list, of `count` presynaptic neurons from `pre` on; added.
template <class L>
void gather_list(const Table<L>& adjoint, Real* gradient, const SynapseList& list, int pre,
                 int count, const uint32_t* start, const uint16_t* step, int shift) {
    for (int i = 0; i < count; i++)
        for (uint32_t e = start[i]; e < start[i + 1]; e++) {
            const Real* q = adjoint.row(step[e] + shift);
            list.each(pre + i, [&](uint32_t post, uint32_t weight, int n) {
                for (int j = 0; j < n; j++) gradient[weight + j] += q[post + j];
            });
        }
}

// Calls f(first presynaptic neuron, how many, starts, steps, shift) for the arrivals by projection
// K into L: those of neuron i are steps[starts[i]] .. steps[starts[i + 1]], each plus the shift.
template <class L, int K, class Trial, class F> void each_source(const Trial& trial, F f) {
    using Own = typename L::template Into<K>;
    if constexpr (Own::SOURCE == INPUT) {
        f(0, Own::ROWS, trial.events.channel_start, trial.events.step, 0);
    } else {
        int first = 0;
        constexpr int WIDTH = Shape<Own::ROWS>::BW;
        for (const auto& s : std::get<Own::SOURCE>(trial.work).spikes) {
            f(first, WIDTH, s.by_neuron.data(), s.step.data(), 1);  // arrives a step later
            first += WIDTH;
        }
    }
}

}  // namespace snn
