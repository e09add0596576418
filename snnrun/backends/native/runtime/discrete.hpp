// discrete.hpp: the backward pass of a layer whose steps themselves are differentiated, with a
// surrogate for the derivative of its spikes (compile/discrete.py has the equations).
//
// lam is the derivative of the loss by the states. In step n, from its end to its start:
//   1. dl_ds = sum over the targets above and in the layer of weight x input_adjoint[n + 1]
//   2. threshold and reset           M::step_back
//   3. gradients of parameters       dL/dp += lam . (dF/dp)
//   4. flow                          lam <- J^T lam, kept in input_adjoint[n]
// 1 is discrete_targets.hpp.
#pragma once
#include "backward.hpp"
#include "discrete_targets.hpp"
#include "forward.hpp"

namespace snn {

// Keeps what the backward pass needs of the states before the threshold.
template <class L> struct Taped {
    static constexpr bool WHOLE_TRIAL = true;
    static constexpr int TAPED = L::Model::TAPED;
    Work<L>& work;
    inline void operator()(int n, int v, const vf* x) {
        if (!work.trained) return;
        vf kept[TAPED];
        L::Model::tape(x, kept);
        for (int i = 0; i < TAPED; i++) work.taped_at(n, v / L::B, v % L::B, i) = kept[i];
    }
};
template <class L>
using Seen = std::conditional_t<L::Model::DISCRETE, Taped<L>, Unobserved>;

// Lanes whose bit is set.
static inline vi lanes_of(uint32_t word) {
#if defined(__AVX512DQ__)
    if constexpr (sizeof(Real) == 4) return (vi)_mm512_movm_epi32(__mmask16(word));
    else return (vi)_mm512_movm_epi64(__mmask8(word));
#else
    vi mask;
    for (int l = 0; l < LANES; l++) mask[l] = -Int(word >> l & 1);
    return mask;
#endif
}

// Threshold, reset and flow of block b in step n, walked back. `dl_ds` of its neurons is complete
// but for what the reset adds.
template <class L>
static inline void step_back_block(Work<L>& work, const WideConstantsOf<L>& constants,
                                   Buffer<Int>& held_after, const vf* dl_ds, int b, int n) {
    using M = typename L::Model;
    constexpr int B = L::B, V = L::WIDTH / LANES, TAPED = M::TAPED;
    const auto& spikes = work.spikes_of_block(b);
    uint64_t hit[(L::BW + 63) / 64] = {};
    spikes.each_of_block(b, n, [&](int i) { hit[i / 64] |= uint64_t(1) << i % 64; });
    if constexpr (M::REFRACTORY > 0) {  // refractory periods that end with this step
        const int m = n - M::REFRACTORY;
        if (m >= 0)
            spikes.each_of_block(b, m, [&](int i) { held_after[b * L::BW + i] = m; });
    }
    vf* lam = vectors(work.adjoint.data());
    SNN_UNROLL for (int x = 0; x < B; x++) {
        const int v = b * B + x;
        const auto k = constants + v * LANES;
        vf l[M::STATES], s[TAPED], g[M::TRAINED + 1];
        for (int i = 0; i < M::STATES; i++) l[i] = lam[i * V + v];
        for (int i = 0; i < TAPED; i++) s[i] = work.taped_at(n, b, x, i);
        const vi spiking = lanes_of(hit[x * LANES / 64] >> (x * LANES % 64) & ((1u << LANES) - 1));
        vf slope = M::surrogate(s, k);
        vi held = {};
        if constexpr (M::REFRACTORY > 0) {
            held = reinterpret_cast<const vi*>(held_after.data())[v] < vi{} + n;
            slope = held ? vf{} : slope;
        }
        if constexpr (M::DROPS_SPIKES)
            if (work.draws.on) slope = drops_spikes(work.draws, v, n) ? vf{} : slope;
        M::step_back(l, s, spiking, dl_ds[x], slope, k, g);
        if constexpr (M::TRAINED > 0) {
            vf start[M::STATES], flow[M::TRAINED];
            load_tape(work, start, v, n);
            M::parameter_gradient(l, start, held, k, flow);
            for (int p = 0; p < M::TRAINED; p++)
                vectors(work.parameters.data() + p * L::WIDTH)[v] += g[p] + flow[p];
        }
        flow_back(work, l, held, k, v, n);
        for (int i = 0; i < M::STATES; i++) lam[i * V + v] = l[i];
        for (int p = 0; L::TABLED && p < M::PORTS; p++)
            work.input_adjoint[p].at(b, n, x) = l[M::PORT[p]];
    }
}

// What the regulariser adds to dl_ds in every step, into work.push.
template <class L>
static void prepare_penalty(Work<L>& work, const ConstantsOf<L>& constants) {
    using M = typename L::Model;
    if constexpr (M::REGULARISED)
        for (int j = 0; j < M::SIZE; j++) {
            const Real spikes = averages<M>() ? work.average[j] : Real(work.spikes_of(j));
            work.push[j] = M::push(spikes, work.total, constants + j) * work.scale;
        }
}

// Steps before the end in which neurons are held although their period ends behind it.
template <class L> static void prepare_held(Work<L>& work, Buffer<Int>& held_after) {
    using M = typename L::Model;
    constexpr int T = L::STEPS;
    if constexpr (M::REFRACTORY > 0) {
        for (int j = 0; j < L::WIDTH; j++) held_after[j] = T;
        for (int b = 0; b < L::STRANDS; b++) {
            auto& s = work.spikes[b];
            for (int m = std::max(0, T - M::REFRACTORY); m < T; m++)
                for (uint32_t e = s.start[m]; e < s.start[m + 1]; e++)
                    held_after[b * L::STRAND + s.neuron[e]] = m;
        }
    }
}

// Walks a layer of whole trials back, alone or with the others of its group: surrogates act in
// steps without spikes too.
template <class L> class DiscreteReturn {
    using M = typename L::Model;

  public:
    Group<L> group;

    DiscreteReturn(const Tensors<L>& values, const ConstantsOf<L>& constants) :
        values_(values), constants_(constants), numbers_(wide_numbers<L>(constants)) {}
    void begin() {
        for (int g = 0; g < group.count; g++) {
            auto& work = *group.work[g];
            work.adjoint.zero(), work.parameters.zero();
            prepare_penalty(work, constants_), prepare_held(work, *group.held_after[g]);
        }
    }
    // Lets what is read and written in step n come from memory while sums over targets are made.
    void fetch(int n) const {
        constexpr int V = L::WIDTH / LANES;
        for (int g = 0; g < group.count; g++) {
            auto& work = *group.work[g];
            for (int i = 0; i < M::TAPED; i++)
                for (int v = 0; v < V; v++)
                    __builtin_prefetch(&work.taped_at(n, v / L::B, v % L::B, i), 1);
        }
    }
    // Step n, the i-th of those at hand, once dl_ds is complete but for the penalty.
    void step(int n, int i) {
        for (int g = 0; g < group.count; g++) {
            for (int b = 0; b < L::BLOCKS; b++) back(*group.work[g], *group.held_after[g], b, n, i);
            collect_adjoints(*group.work[g], values_, n);
        }
    }

  private:
    void back(Work<L>& work, Buffer<Int>& held_after, int b, int n, int i) {
        vf dl_ds[L::B];
        for (int x = 0; x < L::B; x++) dl_ds[x] = work.dl_ds_at(i, b, x);
        if constexpr (M::REGULARISED)
            for (int x = 0; x < L::B; x++) dl_ds[x] += vectors(work.push.data())[b * L::B + x];
        const WideConstantsOf<L> wide{numbers_, constants_.own};
        step_back_block(work, wide, held_after, dl_ds, b, n);
    }
    const Tensors<L>& values_;
    const ConstantsOf<L> constants_;
    const typename M::template Numbers<vf> numbers_;
};

}  // namespace snn
