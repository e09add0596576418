// losses.hpp: readouts of the output layer and the cross entropy of their scores.
//
// A generated Formula supplies score, its derivative, and so on (templates over Real, double or vf).
// Each class is one thread's memory for one example. `observe` sees the output's states in every step
// of the forward pass; `finish` returns loss and prediction; `operator()` is the drive dl/dV(n).
#pragma once
#include <limits>

#include "layer.hpp"

namespace snn {

struct Outcome {
    double loss;
    int prediction;
};

// Cross entropy of score(y) with the label, plus the label's own term. gradient[k] = dL/dy_k.
template <class F, int N> Outcome cross_entropy(const double* y, int label, double* gradient) {
    double z[N], total = 0;
    int best = 0;
    for (int k = 0; k < N; k++) {
        z[k] = F::score(y[k]);
        if (z[k] > z[best]) best = k;
    }
    const double top = z[best];
    for (int k = 0; k < N; k++) total += std::exp(z[k] - top);
    for (int k = 0; k < N; k++) {
        const double p = std::exp(z[k] - top) / total;
        gradient[k] = (p - (k == label)) * F::score_slope(y[k]);
    }
    return {std::log(total) + top - z[label], best};
}

template <class L, class F> struct WeightedSum {
    static constexpr bool ACTIVE = true, WHOLE_TRIAL = true;
    vf sums[L::WIDTH / LANES], delta[L::WIDTH / LANES];
    Buffer<Real> weight;

    void allocate() {
        weight.allocate(L::STEPS);
        for (int n = 0; n < L::STEPS; n++) weight[n] = Real(F::weight(n));
    }
    void start() { std::memset(sums, 0, sizeof sums); }
    inline void operator()(int n, int v, const vf* x) { sums[v] += weight[n] * x[L::Model::READOUT]; }
    Outcome finish(Work<L>&, int label, double scale) {
        constexpr int N = L::Model::SIZE;
        double y[N], g[N];
        for (int k = 0; k < N; k++) y[k] = reinterpret_cast<Real*>(sums)[k];
        Outcome out = cross_entropy<F, N>(y, label, g);
        out.loss += F::label_term(y[label]);
        g[label] += F::label_term_slope(y[label]);
        std::memset(delta, 0, sizeof delta);
        for (int k = 0; k < N; k++) reinterpret_cast<Real*>(delta)[k] = Real(g[k] * scale);
        return out;
    }
    inline vf operator()(int n, int v) const { return weight[n] * delta[v]; }
};

template <class L, class F> struct Maximum {
    static constexpr bool ACTIVE = true, WHOLE_TRIAL = true;
    vf highest[L::WIDTH / LANES], delta[L::WIDTH / LANES];
    vi at[L::WIDTH / LANES];  // first step of the maximum

    void allocate() {}
    void start() {
        for (auto& h : highest) h = splat(-std::numeric_limits<Real>::infinity());
        std::memset(at, 0, sizeof at);
    }
    inline void operator()(int n, int v, const vf* x) {
        const vf V = x[L::Model::READOUT];
        const vi higher = V > highest[v];
        highest[v] = higher ? V : highest[v];
        at[v] = higher ? vi{} + n : at[v];
    }
    Outcome finish(Work<L>&, int label, double scale) {
        constexpr int N = L::Model::SIZE;
        double y[N], g[N];
        for (int k = 0; k < N; k++) y[k] = reinterpret_cast<Real*>(highest)[k];
        Outcome out = cross_entropy<F, N>(y, label, g);
        out.loss += F::label_term(y[label]);
        g[label] += F::label_term_slope(y[label]);
        std::memset(delta, 0, sizeof delta);
        for (int k = 0; k < N; k++) reinterpret_cast<Real*>(delta)[k] = Real(g[k] * scale);
        return out;
    }
    inline vf operator()(int n, int v) const { return at[v] == vi{} + n ? delta[v] : vf{}; }
};

template <class L, class F> struct EachStep {
    static constexpr bool ACTIVE = true, WHOLE_TRIAL = true;
    static constexpr int V = L::WIDTH / LANES, N = L::Model::SIZE;
    Buffer<Real> rows;  // [step][WIDTH] the potentials, then the drive

    void allocate() { rows.allocate(size_t(L::STEPS) * L::WIDTH); }
    void start() {}
    inline void operator()(int n, int v, const vf* x) {
        vectors(rows.data() + size_t(n) * L::WIDTH)[v] = x[L::Model::READOUT];
    }
    Outcome finish(Work<L>&, int label, double scale) {
        double loss = 0;
        vf mean[V] = {};
        const Real step_scale = Real(scale / L::STEPS);
        for (int n = 0; n < L::STEPS; n++) {
            Real* row = rows.data() + size_t(n) * L::WIDTH;
            vf* r = vectors(row);
            vf z[V], p[V], total = {};
            const vf y_all = splat(row[label]);
            for (int v = 0; v < V; v++) z[v] = F::score(r[v]);
            Real* zs = reinterpret_cast<Real*>(z);
            Real top = zs[0];
            for (int k = 1; k < N; k++) top = zs[k] > top ? zs[k] : top;
            for (int k = N; k < L::WIDTH; k++) zs[k] = -std::numeric_limits<Real>::infinity();
            for (int v = 0; v < V; v++) p[v] = exponential(z[v] - top), total += p[v];
            const Real all = sum(total);
            loss += std::log(double(all)) + top - zs[label] + F::label_term(double(row[label]));
            const Real label_slope = F::label_term_slope(y_all)[0];
            for (int v = 0; v < V; v++) {
                p[v] /= all, mean[v] += p[v];
                Real* q = reinterpret_cast<Real*>(&p[v]);
                const bool here = label / LANES == v;
                if (here) q[label % LANES] -= 1;
                p[v] *= F::score_slope(r[v]);
                if (here) q[label % LANES] += label_slope;
                r[v] = p[v] * step_scale;
            }
        }
        const Real* m = reinterpret_cast<Real*>(mean);
        int best = 0;
        for (int k = 1; k < N; k++)
            if (m[k] > m[best]) best = k;
        return {loss / L::STEPS, best};
    }
    inline vf operator()(int n, int v) const {
        return vectors(rows.data() + size_t(n) * L::WIDTH)[v];
    }
};

template <class L, class F> struct FirstSpike {
    static constexpr bool ACTIVE = false, WHOLE_TRIAL = false;

    void allocate() {}
    void start() {}
    inline void operator()(int, int, const vf*) {}
    Outcome finish(Work<L>& work, int label, double scale) {
        constexpr int N = L::Model::SIZE;
        const double silent = F::DURATION + 1;  // ms; Nowotny, Turner & Knight 2025
        double y[N], g[N];
        int block[N], first[N], spiking = 0;
        for (int k = 0; k < N; k++) y[k] = silent, first[k] = -1;
        for (int b = 0; b < L::BLOCKS; b++) {
            auto& s = work.spikes[b];
            for (int n = 0; n < L::STEPS; n++)
                for (uint32_t e = s.start[n]; e < s.start[n + 1]; e++) {
                    const int k = b * L::BW + s.neuron[e];
                    s.time_gradient[e] = 0;
                    if (first[k] < 0) y[k] = (n + 1) * F::DT, block[k] = b, first[k] = e, spiking++;
                }
        }
        Outcome out = cross_entropy<F, N>(y, label, g);
        const double label_time = y[label] < F::DURATION ? y[label] : F::DURATION;
        out.loss += F::label_term(label_time);
        g[label] += F::label_term_slope(label_time);
        for (int k = 0; k < N; k++)
            if (first[k] >= 0) work.spikes[block[k]].time_gradient[first[k]] = Real(g[k] * scale);
        work.pushed = first[label] < 0;
        work.push.zero();
        if (work.pushed) work.push[label] = Real(-F::silent_push() * scale);
        if (!spiking) out.prediction = -1;
        return out;
    }
    inline vf operator()(int, int) const { return vf{}; }
};

}  // namespace snn
