// losses.hpp: readouts of the output layer and the cross entropy of their scores, or their lags.
//
// A generated Formula supplies score, its derivative, and so on (templates over Real, double or
// vf), and in which steps potentials are read: first() .. last() - 1. Each class holds one example
// at a time. `start` sees the example, its input as dropout leaves it, and its targets; `observe`
// the output's states in every step of the forward pass; `finish` returns loss and prediction;
// `operator()` is the drive dl/dV(n).
#pragma once
#include <limits>

#include "events.hpp"
#include "layer.hpp"

namespace snn {

struct Outcome {
    double loss;
    int prediction;
};

// Cross entropy of score(y) with the label, plus the label's own term. gradient[k] = dL/dy_k.
template <int N, class F>
Outcome cross_entropy(const F& f, const double* y, int label, double* gradient) {
    double z[N], total = 0;
    int best = 0;
    for (int k = 0; k < N; k++) {
        z[k] = f.score(y[k]);
        if (z[k] > z[best]) best = k;
    }
    const double top = z[best];
    for (int k = 0; k < N; k++) total += std::exp(z[k] - top);
    for (int k = 0; k < N; k++) {
        const double p = std::exp(z[k] - top) / total;
        gradient[k] = (p - (k == label)) * f.score_slope(y[k]);
    }
    return {std::log(total) + top - z[label], best};
}

// Sum over the other outputs of the cost of their lag behind the label's. gradient[k] = dL/dy_k.
template <int N, class F>
Outcome lag_costs(const F& f, const double* y, int label, double* gradient) {
    Outcome out{0, 0};
    gradient[label] = 0;
    for (int k = 0; k < N; k++) {
        if (f.score(y[k]) > f.score(y[out.prediction])) out.prediction = k;
        if (k == label) continue;
        out.loss += f.lag_cost(y[k] - y[label]);
        gradient[k] = f.lag_slope(y[k] - y[label]);
        gradient[label] -= gradient[k];
    }
    return out;
}

// Loss of one number y per output; `delta` becomes its derivative by them, times `scale`.
template <class L, class F>
Outcome finish_numbers(const F& f, const double* y, vf* delta, int label, double scale) {
    constexpr int N = L::Model::SIZE;
    double g[N];
    Outcome out = cross_entropy<N>(f, y, label, g);
    out.loss += f.label_term(y[label]);
    g[label] += f.label_term_slope(y[label]);
    std::memset(static_cast<void*>(delta), 0, L::WIDTH * sizeof(Real));
    for (int k = 0; k < N; k++) reinterpret_cast<Real*>(delta)[k] = Real(g[k] * scale);
    return out;
}
template <class L, class F>
Outcome finish_numbers(const F& f, const vf* numbers, vf* delta, int label, double scale) {
    double y[L::Model::SIZE];
    for (int k = 0; k < L::Model::SIZE; k++) y[k] = reinterpret_cast<const Real*>(numbers)[k];
    return finish_numbers<L>(f, y, delta, label, scale);
}

template <class L, class F> struct WeightedSum {
    F f;
    static constexpr bool ACTIVE = true, WHOLE_TRIAL = true, MOVES_WITH_SPIKES = false;
    static constexpr bool TARGETS = false;
    vf sums[L::WIDTH / LANES], delta[L::WIDTH / LANES];
    Buffer<Real> weight;

    void allocate() {
        weight.allocate(L::STEPS);
        for (int n = 0; n < L::STEPS; n++) weight[n] = Real(f.weight(n));
    }
    void start(const Events&, const Data&, int64_t) { std::memset(sums, 0, sizeof sums); }
    inline void operator()(int n, int v, const vf* x) {
        sums[v] += weight[n] * x[L::Model::READOUT];
    }
    Outcome finish(Work<L>&, int label, double scale) {
        return finish_numbers<L>(f, sums, delta, label, scale);
    }
    inline vf operator()(int n, int v) const { return weight[n] * delta[v]; }
};

// The weights are those in time x the activity of the input, which each example has of its own.
template <class L, class F> struct InputWeightedSum : WeightedSum<L, F> {
    void start(const Events& input, const Data& d, int64_t example) {
        WeightedSum<L, F>::start(input, d, example);
        double activity = 0;
        for (int n = 0; n < L::STEPS; n++) {
            activity += this->f.ACCUMULATOR_WEIGHT *
                        (input.step_start[n + 1] - input.step_start[n]);
            activity *= this->f.ACCUMULATOR_DECAY;
            this->weight[n] = Real(this->f.weight(n) * activity);
        }
    }
};

// y = dt / T sum_n integrand(V, n)
template <class L, class F> struct Integral {
    F f;
    static constexpr bool ACTIVE = true, WHOLE_TRIAL = true, MOVES_WITH_SPIKES = false;
    static constexpr bool TARGETS = false;
    static constexpr int V = L::WIDTH / LANES;
    vf sums[V], delta[V];
    Buffer<Real> rows;  // [step][WIDTH] the potentials

    void allocate() { rows.allocate(size_t(L::STEPS) * L::WIDTH); }
    void start(const Events&, const Data&, int64_t) {
        std::memset(static_cast<void*>(sums), 0, sizeof sums);
    }
    inline void operator()(int n, int v, const vf* x) {
        row(n)[v] = x[L::Model::READOUT];
        if (f.counts(n)) sums[v] += share() * f.integrand(x[L::Model::READOUT], n);
    }
    Outcome finish(Work<L>&, int label, double scale) {
        return finish_numbers<L>(f, sums, delta, label, scale);
    }
    inline vf operator()(int n, int v) const {
        return f.counts(n) ? share() * f.integrand_slope(row(n)[v], n) * delta[v] : vf{};
    }

  private:
    Real share() const { return Real(1.0 / (f.last() - f.first())); }
    vf* row(int n) { return vectors(rows.data() + size_t(n) * L::WIDTH); }
    const vf* row(int n) const { return vectors(rows.data() + size_t(n) * L::WIDTH); }
};

template <class L, int K> Real weight_of(const Tensors<L>& weights, int pre, int k) {
    if constexpr (L::template Into<K>::LISTED)
        return weights.template list<K>().weight(weights.template weights<K>(), pre, k);
    else return weights.template rows<K>(k / L::BW, pre)[k % L::BW];
}

// Where spikes that arrive turn a rising potential into a falling one, its maximum lies at their
// time and moves with it: a spike that is later by dt raises it by the rate before, V' dt. Spikes
// of one step share this by how much each pulls V' down.
template <class L, class F> struct Maximum {
    F f;
    static constexpr bool ACTIVE = true, WHOLE_TRIAL = true, MOVES_WITH_SPIKES = true;
    static constexpr bool TARGETS = false;
    static constexpr int S = L::Model::STATES;
    vf highest[L::WIDTH / LANES], delta[L::WIDTH / LANES], peak[S][L::WIDTH / LANES];
    vi at[L::WIDTH / LANES];  // first step of the maximum

    void allocate() {}
    void start(const Events&, const Data&, int64_t) {
        for (auto& h : highest) h = splat(-std::numeric_limits<Real>::infinity());
        std::memset(at, 0, sizeof at);
    }
    inline void operator()(int n, int v, const vf* x) {
        if (!f.counts(n)) return;
        const vf V = x[L::Model::READOUT];
        const vi higher = V > highest[v];
        highest[v] = higher ? V : highest[v];
        at[v] = higher ? vi{} + n : at[v];
        for (int i = 0; i < S; i++) peak[i][v] = higher ? x[i] : peak[i][v];
    }
    // Enters what this adds to the sums over targets of the spikes of layer I.
    template <int I, class Trial>
    void move_peaks(Trial& trial, const Tensors<L>& weights,
                    const ConstantsOf<L>& constants) const {
        for (int k = 0; k < L::Model::SIZE; k++) {
            Real x[S];
            for (int i = 0; i < S; i++) x[i] = reinterpret_cast<const Real*>(peak[i])[k];
            const Real rise = L::Model::rate(x, constants + k);
            const int n = int(reinterpret_cast<const Int*>(at)[k]);
            if (n == f.last() - 1) continue;  // its spikes arrive too late
            Real all = 0, falling = 0;
            // visit(spikes of a strand, spike, how it pulls the rate) for the spikes of step n that
            // arrive by projection p
            const auto each = [&](auto p, auto visit) {
                using Own = typename L::template Into<p()>;
                if constexpr (Own::SOURCE != INPUT && Own::DELAY == Delay::NONE && !Own::DROPPED) {
                    const Real unit = L::Model::pull(Own::PORT, x, constants + k);
                    auto& below = std::get<Own::SOURCE>(trial.work);
                    constexpr int STRAND =
                        std::tuple_element_t<Own::SOURCE, typename Trial::Layers>::STRAND;
                    int first = 0;
                    for (auto& s : below.spikes) {
                        for (uint32_t e = s.start[n]; e < s.start[n + 1]; e++)
                            visit(s, e, unit * weight_of<L, p()>(weights, first + s.neuron[e], k));
                        first += STRAND;
                    }
                }
            };
            each_projection<L>([&](auto p) {
                each(p, [&](auto&, uint32_t, Real pull) {
                    all += pull, falling += pull < 0 ? pull : 0;
                });
            });
            if (!(rise > 0 && rise + all < 0)) continue;
            const Real share = reinterpret_cast<const Real*>(delta)[k] * rise / falling;
            each_projection<L>([&](auto p) {
                if constexpr (L::template Into<p()>::SOURCE == I)
                    each(p, [&](auto& s, uint32_t e, Real pull) {
                        if (pull < 0) s.from_targets[e] -= share * pull;
                    });
            });
        }
    }
    Outcome finish(Work<L>&, int label, double scale) {
        return finish_numbers<L>(f, highest, delta, label, scale);
    }
    inline vf operator()(int n, int v) const { return at[v] == vi{} + n ? delta[v] : vf{}; }
};

// Turns scores into their softmax p, and returns the sum of their exponentials above `top`.
template <class L> inline Real softmax(vf* z, vf* p, Real& top) {
    constexpr int N = L::Model::SIZE, V = L::WIDTH / LANES;
    Real* zs = reinterpret_cast<Real*>(z);
    top = zs[0];
    for (int k = 1; k < N; k++) top = zs[k] > top ? zs[k] : top;
    for (int k = N; k < L::WIDTH; k++) zs[k] = -std::numeric_limits<Real>::infinity();
    vf total = {};
    for (int v = 0; v < V; v++) p[v] = exponential(z[v] - top), total += p[v];
    const Real all = sum(total);
    for (int v = 0; v < V; v++) p[v] /= all;
    return all;
}

template <class L, class F> struct EachStep {
    F formula;
    static constexpr bool ACTIVE = true, WHOLE_TRIAL = true, MOVES_WITH_SPIKES = false;
    static constexpr bool TARGETS = false;
    static constexpr int V = L::WIDTH / LANES, N = L::Model::SIZE;
    Buffer<Real> rows;  // [step][WIDTH] the potentials, in the steps that are done the drive
    int done;
    double loss;  // sum of those
    vf mean[V];

    void allocate() { rows.allocate(size_t(L::STEPS) * L::WIDTH); }
    void start(const Events&, const Data&, int64_t) {
        done = 0, loss = 0;
        std::memset(static_cast<void*>(mean), 0, sizeof mean);
    }
    inline void operator()(int n, int v, const vf* x) {
        vectors(rows.data() + size_t(n) * L::WIDTH)[v] = x[L::Model::READOUT];
    }
    // Does the steps up to `end`.
    void advance(int end, int label, double scale) {
        const F f = formula;  // its numbers stay in registers
        const Real step_scale = Real(scale / (f.last() - f.first()));
        const int last = std::min(end, f.last());
        for (done = std::max(done, f.first()); done < last; done++) {
            Real* row = rows.data() + size_t(done) * L::WIDTH;
            vf* r = vectors(row);
            vf z[V], p[V];
            Real top;
            const vf y_all = splat(row[label]);
            for (int v = 0; v < V; v++) z[v] = f.score(r[v]);
            const Real own = reinterpret_cast<Real*>(z)[label];
            const Real all = softmax<L>(z, p, top);
            for (int v = 0; v < V; v++) mean[v] += p[v];
            // what the label's share is short of 1: the others', as 1 - share would lose its digits
            Real& of_label = reinterpret_cast<Real*>(p)[label];
            const Real share = of_label;
            of_label = 0;
            vf others = {};
            for (int v = 0; v < V; v++) others += p[v];
            const Real rest = sum(others);
            of_label = -rest;
            loss += share > Real(0.5) ? -std::log1p(-double(rest)) :
                                        std::log(double(all)) + top - own;
            loss += f.label_term(double(row[label]));
            const Real label_slope = f.label_term_slope(y_all)[0];
            for (int v = 0; v < V; v++) {
                p[v] *= f.score_slope(r[v]);
                if (label / LANES == v) of_label += label_slope;
                r[v] = p[v] * step_scale;
            }
        }
    }
    Outcome finish(Work<L>&, int label, double scale) {
        advance(L::STEPS, label, scale);
        const Real* m = reinterpret_cast<Real*>(mean);
        int best = 0;
        for (int k = 1; k < N; k++)
            if (m[k] > m[best]) best = k;
        return {loss / (formula.last() - formula.first()), best};
    }
    inline vf operator()(int n, int v) const {
        if (!formula.counts(n)) return vf{};
        return vectors(rows.data() + size_t(n) * L::WIDTH)[v];
    }
};

// y = dt / T sum_n softmax(V)
template <class L, class F> struct MeanShare {
    F f;
    static constexpr bool ACTIVE = true, WHOLE_TRIAL = true, MOVES_WITH_SPIKES = false;
    static constexpr bool TARGETS = false;
    static constexpr int V = L::WIDTH / LANES;
    Buffer<Real> rows;  // [step][WIDTH] the potentials, their softmax, then the drive

    void allocate() { rows.allocate(size_t(L::STEPS) * L::WIDTH); }
    void start(const Events&, const Data&, int64_t) {}
    inline void operator()(int n, int v, const vf* x) { row(n)[v] = x[L::Model::READOUT]; }
    Outcome finish(Work<L>&, int label, double scale) {
        constexpr int N = L::Model::SIZE;
        double y[N] = {};  // a score multiplies it, and its rounding, by the number of steps
        vf delta[V];
        Real top;
        const int from = f.first(), to = f.last();
        const Real share = Real(1.0 / (to - from));
        for (int n = from; n < to; n++) {
            softmax<L>(row(n), row(n), top);
            for (int k = 0; k < N; k++) y[k] += reinterpret_cast<const Real*>(row(n))[k];
        }
        for (double& sum : y) sum /= to - from;
        const Outcome out = finish_numbers<L>(f, y, delta, label, scale);
        for (int n = from; n < to; n++) {
            vf mean = {};  // of delta, by the shares
            for (int v = 0; v < V; v++) mean += row(n)[v] * delta[v];
            const vf all = splat(sum(mean));
            for (int v = 0; v < V; v++) row(n)[v] *= share * (delta[v] - all);
        }
        return out;
    }
    inline vf operator()(int n, int v) const { return f.counts(n) ? row(n)[v] : vf{}; }

  private:
    vf* row(int n) { return vectors(rows.data() + size_t(n) * L::WIDTH); }
    const vf* row(int n) const { return vectors(rows.data() + size_t(n) * L::WIDTH); }
};

template <class L, class F, bool LAGS = false> struct FirstSpike {
    F f;
    static constexpr bool ACTIVE = false, WHOLE_TRIAL = false, MOVES_WITH_SPIKES = false;
    static constexpr bool TARGETS = false;

    void allocate() {}
    void start(const Events&, const Data&, int64_t) {}
    inline void operator()(int, int, const vf*) {}
    Outcome finish(Work<L>& work, int label, double scale) {
        constexpr int N = L::Model::SIZE;
        const double silent = F::SILENT_EXCLUDED ? 1e9 : F::DURATION + 1;  // ms
        double y[N], g[N];
        int strand[N], first[N], spiking = 0;
        for (int k = 0; k < N; k++) y[k] = silent, first[k] = -1;
        for (int c = 0; c < L::STRANDS; c++) {
            auto& s = work.spikes[c];
            for (int n = 0; n < L::STEPS; n++)
                for (uint32_t e = s.start[n]; e < s.start[n + 1]; e++) {
                    const int k = c * L::STRAND + s.neuron[e];
                    s.time_gradient[e] = 0;
                    if (first[k] < 0)
                        y[k] = (n + 1) * F::DT, strand[k] = c, first[k] = e, spiking++;
                }
        }
        if (F::SILENT_EXCLUDED && first[label] < 0)
            y[label] = F::DURATION + 1;  // for the loss only
        Outcome out;
        if constexpr (LAGS) out = lag_costs<N>(f, y, label, g);
        else out = cross_entropy<N>(f, y, label, g);
        const double label_time = y[label] < F::DURATION ? y[label] : F::DURATION;
        out.loss += f.label_term(label_time);
        g[label] += f.label_term_slope(label_time);
        const bool learn = !F::SILENT_EXCLUDED || first[label] >= 0;
        for (int k = 0; k < N && learn; k++)
            if (first[k] >= 0) work.spikes[strand[k]].time_gradient[first[k]] = Real(g[k] * scale);
        double push = f.silent_push();
        if constexpr (LAGS) push = f.silent_factor() * g[label];
        work.pushed = first[label] < 0 && push != 0;
        work.push.zero();
        if (work.pushed) work.push[label] = Real(-push * scale);
        if (!spiking) out.prediction = -1;
        return out;
    }
    inline vf operator()(int, int) const { return vf{}; }
};
template <class L, class F> using FirstSpikeLag = FirstSpike<L, F, true>;

}  // namespace snn
