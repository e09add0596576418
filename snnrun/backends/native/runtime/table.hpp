// table.hpp: vectors of all neurons of a layer for all steps, and gradients of weights, in parts
// that fit caches.
#pragma once
#include "spec.hpp"

namespace snn {

// A vector of every neuron for every step, [block][part][step][S]: the S vectors that a gather
// keeps in registers are contiguous, and a part of all steps fits the second-level cache. Layers
// with lists of synapses have [step][WIDTH] instead, so that the targets of a run are contiguous.
template <class L> struct Table {
    static constexpr bool ROWWISE = L::ROWWISE;
    static constexpr int S = L::B < 4 ? L::B : 4;
    static constexpr int ROWS = L::STEPS + 3;  // a step behind the last one, its next, and one more
    static constexpr int PARTS = (L::B + S - 1) / S;  // of a block
    Buffer<Real> data;
    void allocate() {
        data.allocate_dense(size_t(ROWS) * L::WIDTH);
        zero_rows(L::STEPS, ROWS);  // beyond the end: what a spike of the last step finds
    }
    static constexpr int part_size(int x) { return L::B - x / S * S < S ? L::B - x / S * S : S; }
    // vectors from one step of a part to the next
    static constexpr int stride(int x) { return ROWWISE ? L::WIDTH / LANES : part_size(x); }
    vf* part(int b, int x) {
        if constexpr (ROWWISE) return vectors(data.data()) + size_t(b) * L::B + x / S * S;
        else return vectors(data.data()) + (size_t(b) * L::B + x / S * S) * ROWS;
    }
    vf& at(int b, int n, int x) { return part(b, x)[size_t(n) * stride(x) + x % S]; }
    // ROWWISE
    const Real* row(int n) const { return data.data() + size_t(n) * L::WIDTH; }
    Real* row(int n) { return data.data() + size_t(n) * L::WIDTH; }
    void zero_rows(int from, int to) {
        if constexpr (ROWWISE) {
            std::fill(data.data() + size_t(from) * L::WIDTH, data.data() + size_t(to) * L::WIDTH,
                      Real(0));
            return;
        }
        for (int b = 0; b < L::BLOCKS; b++)
            for (int x = 0; x < L::B; x += S)
                std::memset(static_cast<void*>(part(b, x) + size_t(from) * part_size(x)), 0,
                            size_t(to - from) * part_size(x) * sizeof(vf));
    }
};

// A gradient of weights in parts, [block][part][pre][S]: a part is contiguous, so that it spreads
// over all sets of a cache, and no two threads write side by side. ROWS: of `pre`.
template <class L, int ROWS> struct Parts {
    static size_t part(int b, int p) {  // where a part begins, in Reals
        return size_t(ROWS) * (b * L::BW + p * Table<L>::S * LANES);
    }
    // Where a number of Tensors' order, [block][pre][BW], stands here.
    static size_t at(size_t i) {
        const size_t vector = i / LANES;
        const int x = vector % L::B, row = vector / L::B % ROWS, b = vector / L::B / ROWS;
        constexpr int S = Table<L>::S;
        return part(b, x / S) +
               (size_t(row) * Table<L>::part_size(x) + x % S) * LANES + i % LANES;
    }
};

// Such a gradient in Tensors' order, vector by vector; ROWS 0: gradients of parameters.
template <class L, int ROWS> struct InParts {
    const Real* data;
    vf operator()(size_t i) const {
        if constexpr (ROWS == 0) return *vectors(data + i);
        else return *vectors(data + Parts<L, ROWS>::at(i));
    }
};

}  // namespace snn
