// spike_train.hpp: the van Rossum distance of the outputs' spikes from target spikes.
//
//   L = dt/2 sum_k sum_n err_k(n)^2        err_k = alpha * (target_k - s_k)
//   alpha(m) = NORM (KEEP_DECAY^m - KEEP_RISE^m)   of a spike m steps ago
//   dL/ds_k(m) = -dt sum_(n >= m) err_k(n) alpha(n - m)
//
// Both convolutions are those of two leaky sums, the second one run backwards in time. Their
// difference has a recursion of its own, as it is small where the time constants are nearly equal.
#pragma once
#include "losses.hpp"

namespace snn {

template <class L, class F> struct SpikeTrain {
    static constexpr bool ACTIVE = false, WHOLE_TRIAL = true, MOVES_WITH_SPIKES = false;
    static constexpr bool TARGETS = true;  // compares with target spikes
    static constexpr int V = L::WIDTH / LANES;
    F f;
    Buffer<Real> rows;  // [step][WIDTH] target - spikes, then err, then dL/ds

    void allocate() { rows.allocate_dense(size_t(L::STEPS) * L::WIDTH); }
    void start(const Events&, const Data& d, int64_t example) {
        rows.zero();
        for (int64_t e = d.target_offsets[example]; e < d.target_offsets[example + 1]; e++)
            rows[size_t(d.target_step[e]) * L::WIDTH + d.target_neuron[e]] += 1;
    }
    Outcome finish(Work<L>& work, int, double scale) {
        for (int c = 0; c < L::STRANDS; c++) {
            auto& s = work.spikes[c];
            for (int n = 0; n < L::STEPS; n++)
                for (uint32_t e = s.start[n]; e < s.start[n + 1]; e++)
                    rows[size_t(n) * L::WIDTH + c * L::STRAND + s.neuron[e]] -= 1;
        }
        double square = 0;
        Kernel forward, back;
        for (int n = 0; n < L::STEPS; n++) {
            vf* r = row(n);
            vf all = {};
            for (int v = 0; v < V; v++) {
                r[v] = Real(f.NORM) * forward.next(f, v, r[v]);
                all += r[v] * r[v];
            }
            square += sum(all);
        }
        const Real factor = Real(-F::DT * f.NORM * scale);
        for (int n = L::STEPS - 1; n >= 0; n--) {
            vf* r = row(n);
            for (int v = 0; v < V; v++) r[v] = factor * back.next(f, v, r[v]);
        }
        return {0.5 * F::DT * square, -1};
    }
    // dl_ds of block b in the steps [from, to).
    void give(Work<L>& work, int b, int from, int to) {
        for (int n = from; n < to; n++)
            for (int x = 0; x < L::B; x++) work.dl_ds_at(n - from, b, x) = row(n)[b * L::B + x];
    }

  private:
    struct Kernel {
        vf decay[V] = {}, difference[V] = {};
        inline vf next(const F& f, int v, vf x) {
            difference[v] = Real(f.KEEP_RISE) * difference[v] +
                            Real(f.KEEP_DECAY - f.KEEP_RISE) * decay[v];
            decay[v] = Real(f.KEEP_DECAY) * decay[v] + x;
            return difference[v];
        }
    };
    vf* row(int n) { return vectors(rows.data() + size_t(n) * L::WIDTH); }
};

}  // namespace snn
