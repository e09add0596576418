// gather.hpp: gradients of weights, gathered from the adjoints of a layer's input state.
#pragma once
#include "layer.hpp"

namespace snn {

// Adds to each presynaptic neuron's row of gradients the adjoints at the steps of its arrivals. The
// first example of a slot overwrites (`FRESH`), so that no gradient is ever cleared.
template <int STRIDE, int S, bool FRESH>
static void gather_part(vf* rows, const vf* table, int count, const uint32_t* start,
                        const uint16_t* step, int shift) {
    table += shift * S;
    for (int i = 0; i < count; i++) {
        const uint32_t first = start[i], end = start[i + 1];
        if (!FRESH && first == end) continue;
        vf total[S];
        vf* row = rows + size_t(i) * STRIDE;
        SNN_UNROLL for (int x = 0; x < S; x++) total[x] = FRESH ? vf{} : row[x];
        for (uint32_t e = first; e < end; e++) {
            const vf* q = table + size_t(step[e]) * S;
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

template <class L>
void gather(Work<L>& work, Real* rows, int b, int count, const uint32_t* start,
            const uint16_t* step, int shift, bool fresh) {
    for (int q = 0; q < Table<L>::PARTS; q++)
        with_part<L>(q, [&](auto size, int p) {
            constexpr int COUNT = decltype(size)::value, S = Table<L>::S;
            const vf* table = work.input_adjoint.part(b, p * S);
            vf* first = vectors(rows) + p * S;
            if (fresh) gather_part<L::B, COUNT, true>(first, table, count, start, step, shift);
            else gather_part<L::B, COUNT, false>(first, table, count, start, step, shift);
        });
}

// The same for the synapses of `count` presynaptic neurons from `pre` on.
template <class L>
void gather_synapses(Work<L>& work, Real* gradient, const SynapseList& synapses, int b, int pre,
                     int count, const uint32_t* start, const uint16_t* step, int shift,
                     bool fresh) {
    for (int i = 0; i < count; i++) {
        const uint32_t from = start[i], to = start[i + 1];
        if (!fresh && from == to) continue;
        for (uint32_t s = synapses.first(b, pre + i); s < synapses.end(b, pre + i); s++) {
            Real total = fresh ? 0 : gradient[s];
            const int x = synapses.post[s] / LANES, lane = synapses.post[s] % LANES;
            for (uint32_t e = from; e < to; e++)
                total += work.input_adjoint.at(b, step[e] + shift, x)[lane];
            gradient[s] = total;
        }
    }
}

// Gradients of a projection of a layer into block b of another; SPARSE: by its synapses.
template <bool SPARSE, class Source, class L>
void gather_from(Work<L>& work, Work<Source>& source, Real* gradient, size_t rows,
                 const SynapseList& synapses, int b, bool fresh) {
    for (int c = 0; c < Source::BLOCKS; c++) {
        const auto& s = source.spikes[c];  // emitted in step n: arrives at step n + 1
        if constexpr (SPARSE) {
            const int most = std::min(Source::BW, Source::Model::SIZE - c * Source::BW);
            gather_synapses(work, gradient, synapses, b, c * Source::BW, most, s.by_neuron.data(),
                            s.step.data(), 1, fresh);
        } else {
            gather(work, gradient + rows + size_t(c) * Source::BW * L::BW, b, Source::BW,
                   s.by_neuron.data(), s.step.data(), 1, fresh);
        }
    }
}

}  // namespace snn
