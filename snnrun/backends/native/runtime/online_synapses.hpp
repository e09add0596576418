// online_synapses.hpp: what every synapse does in the steps of a chunk, and at an update.
#pragma once
#include "online_layer.hpp"

namespace snn {

constexpr int PAIR = 2;  // registers of postsynaptic neurons that a walk keeps

// Eligibility e, its filtered value lambda and the accumulator m of ROW_GROUP x V vectors of
// synapses, kept in registers for `count` steps:
//     e <- e (1 - dt / rise) + c z~ s'    lambda <- lambda (1 - dt / decay) + e    m += lambda err
// Here e is c = dt / decay times the e of the equations, which saves a multiplication; the rows of
// z~ come with c dt.
template <int V, class L>
static inline void walk_synapses(OnlineWork<L>& work, int pre, int v, int count, bool learn) {
    constexpr int G = ROW_GROUP;
    vf e[G][V], lambda[G][V], m[G][V];
    const auto at = [&](Buffer<Real>& b, int g, int x) -> vf& {
        return vectors(b.data() + size_t(pre + g) * L::WIDTH)[v + x];
    };
    SNN_UNROLL for (int g = 0; g < G; g++)
        SNN_UNROLL for (int x = 0; x < V; x++)
            e[g][x] = at(work.e, g, x), lambda[g][x] = at(work.lambda, g, x),
            m[g][x] = at(work.m, g, x);
    const size_t first = work.delayed(0);
    const Real* z = work.pre_row.data() + first * L::PRE_ROW + pre;
    const Real* slope = work.slope_row.data() + first * L::POST_ROW + v * LANES;
    const Real* error = work.error_row.data() + first * L::POST_ROW + v * LANES;
    const vf keep_e = splat(Real(1 - snn::DT / work.rule.TAU_RISE));
    const vf keep_lambda = splat(Real(1 - snn::DT / work.rule.TAU_DECAY));
    for (int j = 0; j < count; j++) {
        vf s[V], err[V];
        SNN_UNROLL for (int x = 0; x < V; x++)
            s[x] = vectors(slope)[x], err[x] = vectors(error)[x];
        SNN_UNROLL for (int g = 0; g < G; g++)
            SNN_UNROLL for (int x = 0; x < V; x++) {
                e[g][x] = e[g][x] * keep_e + s[x] * z[g];
                lambda[g][x] = lambda[g][x] * keep_lambda + e[g][x];
                m[g][x] += lambda[g][x] * err[x];
            }
        z += L::PRE_ROW, slope += L::POST_ROW, error += L::POST_ROW;
    }
    SNN_UNROLL for (int g = 0; g < G; g++)
        SNN_UNROLL for (int x = 0; x < V; x++) {
            at(work.e, g, x) = e[g][x], at(work.lambda, g, x) = lambda[g][x];
            if (learn) at(work.m, g, x) = m[g][x];
        }
}

// Presynaptic neurons are shared out in parts, and within a part each pair of registers of
// postsynaptic neurons is walked over all of them, so that its rows stay in the cache.
template <class L> struct Synapses {
    static constexpr int PART = 64, PARTS = (L::PRE_WIDTH + PART - 1) / PART;
    static constexpr int PAIRS = (L::VECTORS + PAIR - 1) / PAIR;

    static void advance(OnlineWork<L>& work, int task, int count, bool learn) {
        const int first = task / PAIRS * PART, v = task % PAIRS * PAIR;
        const int last = std::min(first + PART, L::PRE_WIDTH);
        for (int pre = first; pre < last; pre += ROW_GROUP) {
            if (v + PAIR <= L::VECTORS) walk_synapses<PAIR>(work, pre, v, count, learn);
            else walk_synapses<1>(work, pre, v, count, learn);
        }
    }

    // g = m / steps; u <- max(u decay, |g|); w <- clip(w + r0 g / (u + epsilon)); m = 0
    // u is the root of the published leaking maximum, so that no square leaves the range of a Real.
    // Returns whether all gradients are finite.
    static bool update(OnlineWork<L>& work, int task, int steps, double rate, bool apply) {
        const auto rule = work.rule;
        const vf decay = splat(Real(std::exp(-0.5 * steps * snn::DT / rule.TAU_RMS)));
        const vf limit = splat(Real(rule.W_MAX));
        const int last = std::min((task + 1) * PART, L::PRE);
        vi good = vi{} - 1;
        for (int pre = task * PART; pre < last; pre++)
            for (int v = 0; v < L::VECTORS; v++) {
                const auto at = [&](Buffer<Real>& b) -> vf& {
                    return vectors(b.data() + size_t(pre) * L::WIDTH)[v];
                };
                vf& w = at(work.w);
                vf& u = at(work.u);
                vf g = at(work.m);
                at(work.m) = vf{};
                if (!apply) continue;
                if constexpr (L::HET)
                    g -= w * Real(1e-3 * rule.HET_RHO) * vectors(work.own_sum.data())[v];
                g = g / Real(steps);
                u = maximum(u * decay, fabs(g));
                const vf step = g / (u + Real(rule.EPSILON)) * Real(rate);
                good &= fabs(step) < splat(Real(1e30));
                w = maximum(-limit, minimum(limit, w + step));
            }
        return bits(good) == bits(vi{} - 1);
    }
};

// Errors of hidden neurons in every step of a chunk: err_i = sum over outputs k of b_ki err_k.
// `feedback` is [outputs][WIDTH]; one task is a pair of registers of hidden neurons.
template <class L, class Above>
static inline void feed_back(OnlineWork<L>& work, const OnlineWork<Above>& above,
                             const Real* feedback, int task, int count, bool learn) {
    constexpr int G = 4;
    for (int v = task * PAIR; v < std::min((task + 1) * PAIR, L::VECTORS); v++) {
        for (int j = 0; j < count; j += G) {
            vf sum[G] = {};
            const Real* error = above.error_row.data() + above.row(j) * Above::POST_ROW;
            for (int k = 0; k < Above::SIZE; k++) {
                const vf b = vectors(feedback + size_t(k) * L::WIDTH)[v];
                // beyond the chunk's end these are rows of no step, whose sums are not stored
                SNN_UNROLL for (int g = 0; g < G; g++)
                    sum[g] += b * error[std::min(j + g, count - 1) * Above::POST_ROW -
                                        size_t(j) * Above::POST_ROW + k];
            }
            for (int g = 0; g < std::min(G, count - j); g++)
                vectors(work.error_row.data() + work.row(j + g) * L::POST_ROW)[v] = sum[g];
        }
        if constexpr (L::HET) {
            vf& total = vectors(work.own_sum.data())[v];
            for (int j = 0; learn && j < count; j++) {
                vf zeta = vectors(work.own_row.data() + work.delayed(j) * L::POST_ROW)[v];
                const vf err = vectors(work.error_row.data() + work.delayed(j) * L::POST_ROW)[v];
                if (L::Rule::HET_ERROR_SCALED) zeta *= err * err;
                total += zeta;
            }
        }
    }
}

}  // namespace snn
