// online_layer.hpp: the memory of a layer that learns online, and its neurons' steps.
//
// What the synapses need of each step of a chunk is kept in rows: the filtered presynaptic trace
// z~, the surrogate derivative s' and the error. Row D + j belongs to step j of the chunk, D being
// the delay of the eligibility; rows 0 .. D - 1 are those of the last steps of the chunk before.
#pragma once
#include <algorithm>
#include <vector>

#include "layer.hpp"
#include "online_job.hpp"

namespace snn {

constexpr int CHUNK = 256;     // steps: the rows of a block stay in the first-level cache
constexpr int ROW_GROUP = 4;  // presynaptic neurons that a walk over synapses advances together

// Model: a generated population. PRE: presynaptic neurons. LAG: steps from a spike to its arrival.
template <class Model_, class Rule_, int PRE_, int LAG_, bool OUTPUT_> struct OnlineSpec {
    using Model = Model_;
    using Rule = Rule_;
    static constexpr int PRE = PRE_, LAG = LAG_, SIZE = Model::SIZE, WIDTH = Shape<SIZE>::width;
    static constexpr int D = Rule::DELAY, HISTORY = D > 0 ? D : 1, ROWS = HISTORY + CHUNK;
    static constexpr bool OUTPUT = OUTPUT_, HET = !OUTPUT_ && Rule::HET;
    static constexpr int VECTORS = WIDTH / LANES, STEP = LANES > ROW_GROUP ? LANES : ROW_GROUP;
    static constexpr int PRE_WIDTH = (PRE + STEP - 1) / STEP * STEP;
    // an odd number of vectors apart, so that rows do not fall on the same lines of the cache
    static constexpr size_t stride(int width) {
        const int vectors = width / LANES;
        return size_t(vectors + 1 - vectors % 2) * LANES;
    }
    static constexpr size_t POST_ROW = stride(WIDTH), PRE_ROW = stride(PRE_WIDTH);
};

// Spikes of one trial, in order of time and then of neuron.
struct SpikeList {
    std::vector<uint32_t> start;  // spikes of step n: start[n] .. start[n + 1]
    std::vector<int32_t> neuron;
    void begin(int steps) { start.assign(steps + 1, 0), neuron.clear(); }
    void end_step(int n) { start[n + 1] = uint32_t(neuron.size()); }
};

template <class L> struct OnlineWork {
    using M = typename L::Model;
    using R = typename L::Rule;
    Buffer<Real> w, m, u, e, lambda;           // [PRE_WIDTH][WIDTH]
    Buffer<Real> state;                        // [STATES][WIDTH]
    Buffer<Int> refractory;                    // [WIDTH] steps for which a neuron is still held
    Buffer<Real> z, filtered;                  // [PRE_WIDTH]
    Buffer<Real> pre_row, slope_row, error_row, own_row;  // [ROWS][.]
    Buffer<Real> underway;                     // [LAG][PRE] spikes before the trial, 0 or 1
    Buffer<Real> rise, decay, mismatch;        // [WIDTH] of outputs
    Buffer<double> mean_square;                // [WIDTH] of outputs
    Buffer<Real> own, own_sum;                 // [WIDTH] trace of a neuron's own spikes
    Buffer<Real> trace;                        // [STATES][steps][WIDTH]
    SpikeList spikes;
    Coefficients<L> coefficients;
    R rule;

    void allocate() {
        for (auto* b : {&w, &m, &u, &e, &lambda}) {
            b->allocate_dense(size_t(L::PRE_WIDTH) * L::WIDTH);
            b->zero();
        }
        for (auto* b : {&slope_row, &error_row, &own_row}) zeros(*b, L::ROWS * L::POST_ROW);
        for (auto* b : {&rise, &decay, &mismatch, &own, &own_sum}) zeros(*b, L::WIDTH);
        zeros(pre_row, L::ROWS * L::PRE_ROW);
        zeros(state, size_t(M::STATES) * L::WIDTH), zeros(refractory, L::WIDTH);
        zeros(z, L::PRE_WIDTH), zeros(filtered, L::PRE_WIDTH);
        zeros(underway, size_t(L::LAG) * L::PRE), zeros(mean_square, L::WIDTH);
        start();
    }
    template <class T> static void zeros(Buffer<T>& b, size_t n) { b.allocate(n), b.zero(); }

    void start() {
        const auto numbers = wide_numbers<L>(coefficients.constants());
        for (int v = 0; v < L::VECTORS; v++) {
            vf s[M::STATES];
            M::start(s, {numbers, nullptr});
            for (int i = 0; i < M::STATES; i++)
                vectors(state.data() + size_t(i) * L::WIDTH)[v] = s[i];
        }
    }
    // What is carried, in the order of `fields` in backends/native/emit_online.py.
    void fields(std::vector<Field>& all) {
        const auto real = [&](Buffer<Real>& b, int rows, int size, size_t stride, bool resets) {
            all.push_back({Field::REAL, b.data(), rows, size, stride, resets});
        };
        real(e, L::PRE, L::SIZE, L::WIDTH, true);
        real(lambda, L::PRE, L::SIZE, L::WIDTH, true);
        real(z, 1, L::PRE, L::PRE, true);
        real(filtered, 1, L::PRE, L::PRE, true);
        real(state, M::STATES, L::SIZE, L::WIDTH, false);  // start() sets it
        all.push_back({Field::INT, refractory.data(), 1, L::SIZE, 0, true});
        real(pre_row, L::HISTORY, L::PRE, L::PRE_ROW, true);
        real(slope_row, L::HISTORY, L::SIZE, L::POST_ROW, true);
        real(error_row, L::HISTORY, L::SIZE, L::POST_ROW, true);
        if (L::LAG > 0) real(underway, L::LAG, L::PRE, L::PRE, true);
        if (L::OUTPUT) {
            real(rise, 1, L::SIZE, 0, true), real(decay, 1, L::SIZE, 0, true);
            all.push_back({Field::DOUBLE, mean_square.data(), 1, L::SIZE, 0, false});
        }
        if (L::HET) {
            real(own, 1, L::SIZE, 0, true), real(own_sum, 1, L::SIZE, 0, false);
            real(own_row, L::HISTORY, L::SIZE, L::POST_ROW, true);
        }
    }
    // Row D + j of a chunk, and where its synapses look at step j.
    static size_t row(int j) { return size_t(L::HISTORY + j); }
    static size_t delayed(int j) { return size_t(L::HISTORY + j - L::D); }

    void keep_history(int steps) {  // the last rows of a chunk of `steps`, to the front
        const auto move = [&](Buffer<Real>& b, size_t stride) {
            std::memmove(b.data(), b.data() + size_t(steps) * stride,
                         L::HISTORY * stride * sizeof(Real));
        };
        move(pre_row, L::PRE_ROW), move(slope_row, L::POST_ROW), move(error_row, L::POST_ROW);
        if (L::HET) move(own_row, L::POST_ROW);
    }
};

// sigma'(V) = 1 / (1 + |beta (V - threshold)|)^2, and 0 far below the threshold
template <class R> static inline vf surrogate(const R& rule, vf V, vf threshold) {
    const vf one = splat(Real(1)) + fabs((V - threshold) * Real(rule.BETA));
    return V < splat(Real(rule.FLOOR)) ? vf{} : splat(Real(1)) / (one * one);
}

// x^a for the heterosynaptic term; a whole number, as it is by default, costs no pow
template <class R> static inline vf raised(const R& rule, vf x) {
    const int whole = int(rule.HET_A);
    if (whole == rule.HET_A && whole >= 0 && whole <= 8) {
        vf result = splat(Real(1));
        for (int i = 0; i < whole; i++) result *= x;
        return result;
    } else {
        return pow(x, Real(rule.HET_A));
    }
}

// Arrivals of step n: each presynaptic neuron that spiked LAG steps before, through `source`.
template <class L, class Source, class F>
static inline void arrivals(const OnlineWork<L>& work, const Source& source, int n, F add) {
    const int from = n - L::LAG;
    if (from >= 0) return source(from, add);
    const Real* before = work.underway.data() + size_t(L::LAG + from) * L::PRE;
    for (int j = 0; j < L::PRE; j++)
        if (before[j] != 0) add(j);
}

// After a trial of `steps` steps: which of its spikes have not arrived yet.
template <class L, class Source>
static inline void keep_underway(OnlineWork<L>& work, const Source& source, int steps) {
    if (L::LAG == 0) return;
    const int kept = std::min(steps, L::LAG);  // a trial may be shorter than the delay
    Real* rows = work.underway.data();
    std::memmove(rows, rows + size_t(kept) * L::PRE,
                 size_t(L::LAG - kept) * L::PRE * sizeof(Real));
    for (int r = L::LAG - kept; r < L::LAG; r++) {
        std::fill_n(rows + size_t(r) * L::PRE, L::PRE, Real(0));
        source(steps - L::LAG + r, [&](int j) { rows[size_t(r) * L::PRE + j] = 1; });
    }
}

// Arrivals of step n, and the presynaptic traces that row j keeps of it.
template <class L, class Source>
static inline void receive(OnlineWork<L>& work, const Source& source, int n, int j) {
    constexpr double DT = snn::DT;
    const double rise = work.rule.TAU_RISE, decay = work.rule.TAU_DECAY;
    vf* input = vectors(work.state.data() + size_t(L::Model::PORT[0]) * L::WIDTH);
    arrivals<L>(work, source, n, [&](int pre) {
        work.z[pre] += 1;
        const vf* row = vectors(work.w.data() + size_t(pre) * L::WIDTH);
        for (int v = 0; v < L::VECTORS; v++) input[v] += row[v];
    });
    vf* pre_row = vectors(work.pre_row.data() + work.row(j) * L::PRE_ROW);
    for (int v = 0; v < L::PRE_WIDTH / LANES; v++) {
        vf &z = vectors(work.z.data())[v], &f = vectors(work.filtered.data())[v];
        z -= z * Real(DT / rise);
        f += (z - f) * Real(DT / decay);
        pre_row[v] = f * Real(DT * (DT / decay));
    }
}

// Vector v of the neurons advances by a step and spikes; returns its surrogate derivatives.
template <class L>
static inline vf step_vector(OnlineWork<L>& work, const WideConstantsOf<L>& k, int v, Real* trace,
                             size_t trace_stride) {
    using M = typename L::Model;
    constexpr int STATES = M::STATES;
    vf x[STATES], h[STATES];
    for (int i = 0; i < STATES; i++)
        h[i] = x[i] = vectors(work.state.data() + size_t(i) * L::WIDTH)[v];
    M::advance(x, k);
    vi held = {};
    [[maybe_unused]] vi& left = reinterpret_cast<vi*>(work.refractory.data())[v];
    if constexpr (M::REFRACTORY > 0) {
        held = left > vi{};
        left += held;  // a mask is -1
        M::advance_held(h, k);
        for (int i = 0; i < STATES; i++) x[i] = held ? h[i] : x[i];
    }
    const vf slope = surrogate(work.rule, x[M::THRESHOLD_STATE], M::level(x, k));
    const vi spiking = M::crosses(x, k) & ~held;
    for (int i = 0; trace && i < STATES; i++) vectors(trace + size_t(i) * trace_stride)[v] = x[i];
    uint32_t hit = bits(spiking);
    if (hit) {
        M::reset(x, spiking, k);
        if constexpr (M::REFRACTORY > 0) left = spiking ? vi{} + M::REFRACTORY : left;
        for (; hit; hit &= hit - 1) {
            const int i = v * LANES + __builtin_ctz(hit);
            if (i < L::SIZE) work.spikes.neuron.push_back(i);
        }
    }
    for (int i = 0; i < STATES; i++)
        vectors(work.state.data() + size_t(i) * L::WIDTH)[v] = x[i];
    return slope;
}

// err = norm (decay - rise) of the outputs' mismatch, which is 0 again afterwards
template <class L> static inline void step_error(OnlineWork<L>& work, int j, double* square) {
    const auto rule = work.rule;
    vf* row = vectors(work.error_row.data() + work.row(j) * L::POST_ROW);
    for (int v = 0; v < L::VECTORS; v++) {
        vf &rise = vectors(work.rise.data())[v], &decay = vectors(work.decay.data())[v];
        vf& mismatch = vectors(work.mismatch.data())[v];
        rise = rise * Real(rule.RISE_DECAY) + mismatch;
        decay = decay * Real(rule.DECAY_DECAY) + mismatch;
        row[v] = (decay - rise) * Real(rule.NORM);
        mismatch = vf{};
    }
    const Real* error = work.error_row.data() + work.row(j) * L::POST_ROW;
    double total = 0;
    for (int i = 0; i < L::SIZE; i++) {
        const double s = double(error[i]) * double(error[i]);
        work.mean_square[i] = work.mean_square[i] * rule.MEAN_DECAY + s * (snn::DT * 0.001);
        total += s;
    }
    *square += total;
}

// zeta = a power of the trace of each neuron's own spikes, of which step n has some
template <class L> static inline void step_own(OnlineWork<L>& work, int n, int j) {
    const auto& spikes = work.spikes;
    vf* row = vectors(work.own_row.data() + work.row(j) * L::POST_ROW);
    for (int v = 0; v < L::VECTORS; v++) vectors(work.own.data())[v] *= Real(work.rule.OWN_DECAY);
    for (uint32_t s = spikes.start[n]; s < spikes.start[n + 1]; s++)
        work.own[spikes.neuron[s]] += 1;
    for (int v = 0; v < L::VECTORS; v++) row[v] = raised(work.rule, vectors(work.own.data())[v]);
}

// Steps n0 .. n0 + count of the neurons of a layer; synapses stay as they are.
template <class L, class Source, class Targets>
static void walk_neurons(OnlineWork<L>& work, const Source& source, int n0, int count,
                         const Targets& targets, bool traced, int steps, double* square) {
    const size_t trace_stride = size_t(steps) * L::WIDTH;
    const auto numbers = wide_numbers<L>(work.coefficients.constants());
    const WideConstantsOf<L> k{numbers, nullptr};
    for (int j = 0; j < count; j++) {
        const int n = n0 + j;
        receive(work, source, n, j);
        Real* trace = traced ? work.trace.data() + size_t(n) * L::WIDTH : nullptr;
        vf* slope_row = vectors(work.slope_row.data() + work.row(j) * L::POST_ROW);
        for (int v = 0; v < L::VECTORS; v++)
            slope_row[v] = step_vector(work, k, v, trace, trace_stride);
        work.spikes.end_step(n);
        if constexpr (L::OUTPUT) {
            const auto& spikes = work.spikes;
            Real* mismatch = work.mismatch.data();
            for (uint32_t s = spikes.start[n]; s < spikes.start[n + 1]; s++)
                mismatch[spikes.neuron[s]] -= 1;
            targets(n, [&](int i) { mismatch[i] += 1; });
            step_error(work, j, square);
        } else if constexpr (L::HET) {
            step_own(work, n, j);
        }
    }
}

}  // namespace snn
