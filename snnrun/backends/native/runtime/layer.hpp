// layer.hpp: what a layer consists of: its weights, and working memory for one example.
#pragma once
#include <tuple>
#include <vector>

#include "draws.hpp"
#include "synapses.hpp"

#ifndef SNN_LARGE_GRADIENT
#define SNN_LARGE_GRADIENT (size_t(192) << 10)  // bytes; tests let small layers count as large
#endif

namespace snn {

// Of layers whose steps are differentiated: sums over targets are made for so many steps at once,
// and so many trials are walked back together.
constexpr int STEPS_AT_ONCE = 16, MOST_TOGETHER = 4;

// Model:    a generated population (see constants.hpp)
// PRE:      rows of the forward weights: input channels, or the padded width of the layer below
// SOURCE:   the generated population below, or void for the input
// SPARSE_: not all neurons are connected by the projection
template <class Model_, class Source_, int PRE_, int STEPS_, bool RECURRENT_, bool TRAIN_FORWARD_,
          bool TRAIN_RECURRENT_, bool SPARSE_FORWARD_, bool SPARSE_RECURRENT_>
struct LayerSpec {
    using Model = Model_;
    using Source = Source_;
    using shape = Shape<Model::SIZE>;
    static constexpr int PRE = PRE_, STEPS = STEPS_, B = shape::B, BW = shape::BW;
    static constexpr int BLOCKS = shape::blocks, WIDTH = shape::width;
    static constexpr bool RECURRENT = RECURRENT_, TRAIN_FORWARD = TRAIN_FORWARD_;
    static constexpr bool TRAIN_RECURRENT = RECURRENT_ && TRAIN_RECURRENT_;
    static constexpr bool PLASTIC = false, PLASTIC_FORWARD = false, PLASTIC_RECURRENT = false;
    static constexpr bool SPARSE_FORWARD = SPARSE_FORWARD_, SPARSE_RECURRENT = SPARSE_RECURRENT_;
    static constexpr bool ABOVE_SPIKES = !std::is_void_v<Source>;  // spikes of a layer arrive here
    // states of every step are kept
    static constexpr bool TAPE = Model::TRAINED > 0 || !Model::LINEAR;
    // of the adjoints of all steps, and of the gradients of weights
    static constexpr size_t TABLE_BYTES = size_t(STEPS) * WIDTH * sizeof(Real);
    static constexpr size_t GRADIENT_BYTES =
        (size_t(PRE) + RECURRENT * WIDTH) * WIDTH * sizeof(Real);
    // A gradient for each share of the batch would not fit the caches. Where neurons are walked
    // back together, not TILED, it costs more that other threads read their table.
    static constexpr bool LARGE = !(SPARSE_FORWARD || SPARSE_RECURRENT) &&
                                  GRADIENT_BYTES >= SNN_LARGE_GRADIENT * (RECURRENT ? 10 : 1);
    // The layer can be walked back in parts: nothing but the input drives it, or asks for its
    // adjoints, and its neurons do not see each other.
    static constexpr bool TILED = LARGE && Model::SPIKING && !RECURRENT && !ABOVE_SPIKES &&
                                  !Model::DROPS_SPIKES && !Model::DISCRETE;
    static constexpr bool source_discrete() {  // whether the layer below wants sums over targets
        if constexpr (ABOVE_SPIKES) return Source::DISCRETE;
        else return false;
    }
    static constexpr int rows() {  // of the forward weights, without padding
        if constexpr (ABOVE_SPIKES) return Source::SIZE;
        else return PRE;
    }
};

// Values of one layer, or their gradients or moments. Weights are [block][pre][BW]: the row that a
// spike adds to a block is contiguous. Those of a sparse projection have the order of its synapses.
template <class L> struct Tensors {
    Buffer<Real> forward, recurrent, parameters;
    const Wiring* wiring = nullptr;
    static size_t padded(size_t n) { return (n + LANES - 1) / LANES * LANES; }
    size_t forward_size() const {
        return L::SPARSE_FORWARD ? padded(wiring->forward.count) : size_t(L::PRE) * L::WIDTH;
    }
    size_t recurrent_size() const {
        if (!L::RECURRENT) return 0;
        return L::SPARSE_RECURRENT ? padded(wiring->recurrent.count) : size_t(L::WIDTH) * L::WIDTH;
    }
    void allocate(const Wiring& who) {
        wiring = &who;
        forward.allocate_dense(forward_size()), recurrent.allocate_dense(recurrent_size());
        parameters.allocate(size_t(L::Model::PER_NEURON) * L::WIDTH);
        forward.zero(), recurrent.zero(), parameters.zero();
    }
    void allocate_trained(const Wiring& who) {  // contents are not set
        wiring = &who;
        if (L::TRAIN_FORWARD) forward.allocate_dense(forward_size());
        if (L::TRAIN_RECURRENT) recurrent.allocate_dense(recurrent_size());
        if (L::SPARSE_FORWARD) forward.zero();  // padding is updated too
        if (L::SPARSE_RECURRENT) recurrent.zero();
        parameters.allocate(size_t(L::Model::TRAINED) * L::WIDTH);
    }
    static size_t forward_at(int b, int pre) { return (size_t(b) * L::PRE + pre) * L::BW; }
    static size_t recurrent_at(int b, int pre) { return (size_t(b) * L::WIDTH + pre) * L::BW; }
};

// A vector of every neuron for every step, [block][part][step][S]: the S vectors that a gather
// keeps in registers are contiguous, and a part of all steps fits the second-level cache.
template <class L> struct Table {
    static constexpr int S = L::B < 4 ? L::B : 4, ROWS = L::STEPS + 2;
    static constexpr int PARTS = (L::B + S - 1) / S;  // of a block
    Buffer<Real> data;
    void allocate() {
        data.allocate_dense(size_t(ROWS) * L::WIDTH);
        zero_rows(L::STEPS, ROWS);  // beyond the end: what a spike of the last step finds
    }
    static constexpr int part_size(int x) { return L::B - x / S * S < S ? L::B - x / S * S : S; }
    vf* part(int b, int x) { return vectors(data.data()) + (size_t(b) * L::B + x / S * S) * ROWS; }
    vf& at(int b, int n, int x) { return part(b, x)[size_t(n) * part_size(x) + x % S]; }
    void zero_rows(int from, int to) {
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

// Spikes of a block of neurons in one example, in order of time and then of neuron. A neuron that
// spikes several times in a step stands there as often.
template <class L> struct BlockSpikes {
    std::vector<uint32_t> start;  // spikes of step n: start[n] .. start[n + 1]
    std::vector<uint32_t> part_start;  // of part p in step n, from [n PARTS + p] to the next; TILED
    Buffer<uint16_t> neuron;      // within the block
    Buffer<Real> state;           // [record][spike] states at the spike
    Buffer<Real> released;        // [state][spike] states at the end of the refractory period
    Buffer<Real> inverse_slope, from_targets, time_gradient;
    Buffer<uint8_t> postponed;        // [spike] it came steps after the crossing
    std::vector<uint32_t> by_neuron;  // spikes of neuron i: by_neuron[i] .. by_neuron[i + 1]
    Buffer<uint16_t> step;            // of each spike, by neuron
    static constexpr size_t CAPACITY =
        size_t(L::STEPS) * L::BW * L::Model::MOST_SPIKES;

    void allocate() {
        start.assign(L::STEPS + 1, 0), by_neuron.assign(L::BW + 1, 0);
        if (L::TILED) part_start.assign(size_t(L::STEPS) * Table<L>::PARTS + 1, 0);
        neuron.allocate(CAPACITY + 64), step.allocate(CAPACITY);
        state.allocate(CAPACITY * L::Model::RECORDS);
        inverse_slope.allocate(CAPACITY), from_targets.allocate(CAPACITY);
        if (L::Model::DROPS_SPIKES) postponed.allocate(CAPACITY);
        if (L::Model::TIMED) time_gradient.allocate(CAPACITY);
        if (L::Model::REFRACTORY) released.allocate(CAPACITY * L::Model::STATES);
    }
    uint32_t count() const { return start[L::STEPS]; }
    void rest_from(int n) {  // no spike in step n and after it
        std::fill(start.begin() + n + 1, start.end(), start[n]);
        if (L::TILED)
            std::fill(part_start.begin() + size_t(n) * Table<L>::PARTS, part_start.end(), start[n]);
    }

    // Adds how often each of the `size` neurons has spiked.
    void count_into(int64_t* total, int size, bool sorted) const {
        if (sorted)
            for (int i = 0; i < size; i++) total[i] += by_neuron[i + 1] - by_neuron[i];
        else
            for (uint32_t e = 0; e < count(); e++) total[neuron[e]]++;
    }

    void sort_by_neuron() {
        std::fill(by_neuron.begin(), by_neuron.end(), 0);
        for (uint32_t e = 0; e < count(); e++) by_neuron[neuron[e] + 1]++;
        for (int i = 0; i < L::BW; i++) by_neuron[i + 1] += by_neuron[i];
        uint32_t next[L::BW];
        std::memcpy(next, by_neuron.data(), sizeof next);
        for (int n = 0; n < L::STEPS; n++)
            for (uint32_t e = start[n]; e < start[n + 1]; e++)
                step[next[neuron[e]]++] = uint16_t(n);
    }
};

// Where neurons of a block crossed the threshold and were kept from spiking, in order of time.
template <class L> struct BlockCrossings {
    std::vector<uint32_t> start;  // crossings of step n: start[n] .. start[n + 1]
    Buffer<uint16_t> neuron;      // within the block
    Buffer<Real> state;           // [record][crossing] states on the threshold
    Buffer<Real> pending;         // [BW] drive of the postponed spike that the crossing led to

    void allocate() {
        constexpr size_t CAPACITY = BlockSpikes<L>::CAPACITY;
        start.assign(L::STEPS + 1, 0);
        neuron.allocate(CAPACITY + 64), state.allocate(CAPACITY * L::Model::RECORDS);
        pending.allocate(L::BW);
    }
};

// One thread's memory for one example.
template <class L> struct Work {
    using M = typename L::Model;
    BlockSpikes<L> spikes[M::SPIKING ? L::BLOCKS : 1];
    Buffer<Real> state, adjoint, trace;  // [state][WIDTH]; trace [step][state][WIDTH]
    Buffer<Real> tape;                   // [step][state][WIDTH], before the step
    Buffer<Real> taped, dl_ds;  // discrete: [step][taped][WIDTH] before the threshold; dl_ds_at
    Buffer<Int> free_from;               // [WIDTH] first step after the refractory period
    Table<L> input_adjoint;              // at the start of each step
    Buffer<Real> push;                   // [WIDTH] added to the read-out state's adjoint at the end
    bool pushed = false;
    Real scale = 0, total = 0;  // 1 / examples of the mini-batch; spikes that the regulariser sees
    const Real* average = nullptr;  // [WIDTH] spikes of each neuron, per example of the mini-batch
    Draws draws;
    Buffer<Int> suppressed;  // [WIDTH] mask: above the threshold, spike dropped
    BlockCrossings<L> crossings[M::DROPS_SPIKES ? L::BLOCKS : 1];
    Buffer<Real> parameters;  // [TRAINED][WIDTH] gradients of one trial; Deferred
    Buffer<Real> signals;     // [plus or minus][step][WIDTH] of Plasticity

    void allocate(bool table) {
        if (M::SPIKING)
            for (auto& s : spikes) s.allocate();
        state.allocate(size_t(M::STATES) * L::WIDTH),
            adjoint.allocate(size_t(M::STATES) * L::WIDTH);
        if (L::TAPE) tape.allocate(size_t(L::STEPS) * M::STATES * L::WIDTH);
        if constexpr (M::DISCRETE) {
            taped.allocate(size_t(L::STEPS) * M::TAPED * L::WIDTH);
            dl_ds.allocate(size_t(STEPS_AT_ONCE) * L::WIDTH);
        }
        if (M::REFRACTORY) free_from.allocate(L::WIDTH);
        if constexpr (M::DROPS_SPIKES) {
            suppressed.allocate(L::WIDTH);
            for (auto& c : crossings) c.allocate();
        }
        if (table) input_adjoint.allocate();
        push.allocate(L::WIDTH), push.zero();
        if (M::SIGNAL_PLUS || M::SIGNAL_MINUS)
            signals.allocate(size_t(2) * L::STEPS * L::WIDTH);
    }
    // derivative of the loss by the spikes of vector x of block b, in the i-th of the steps at hand
    vf& dl_ds_at(int i, int b, int x) {
        return vectors(dl_ds.data())[(size_t(i) * L::BLOCKS + b) * L::B + x];
    }
    vf* signal(int kind, int n) {
        return vectors(signals.data() + (size_t(kind) * L::STEPS + n) * L::WIDTH);
    }
    uint32_t spikes_of(int j) const {  // of neuron j, once they are sorted
        const auto& at = spikes[j / L::BW].by_neuron;
        return at[j % L::BW + 1] - at[j % L::BW];
    }
    long spike_count() const {
        long total = 0;
        if (M::SPIKING)
            for (auto& s : spikes) total += s.count();
        return total;
    }
};

// Whether the regulariser of a population sees averages over the mini-batch.
template <class Model> constexpr bool averages() {
    if constexpr (Model::REGULARISED) return Model::AVERAGED;
    else return false;
}

// One X per layer.
template <template <class> class X, class T> struct Map;
template <template <class> class X, class... Ls> struct Map<X, std::tuple<Ls...>> {
    using type = std::tuple<X<Ls>...>;
};
template <class L> struct HeldAfter { Buffer<Int> at; };
template <class L> struct Averages {
    Buffer<Real> data;  // [WIDTH]
    Real total = 0;
};
template <class A, class B> struct Both {
    static constexpr bool WHOLE_TRIAL = true;
    A& a;
    B& b;
    inline void operator()(int n, int v, const vf* x) { a(n, v, x), b(n, v, x); }
};

// Visits the layers of a program at compile time.
template <class P> class Walk {
    using Layers = typename P::Layers;
    template <int I> using Layer = std::tuple_element_t<I, Layers>;

  protected:
    template <class F, int... I> static void unroll(F& f, std::integer_sequence<int, I...>) {
        (f(std::integral_constant<int, I>{}), ...);
    }
    template <class F> static void each_layer(F f) {
        unroll(f, std::make_integer_sequence<int, std::tuple_size_v<Layers>>{});
    }
    // f(layer, member, tensor's number, presynaptic rows or 0 for parameters) for every tensor that
    // is trained
    template <class F> static void each_trained(F f) {
        int at = 0;
        each_layer([&](auto layer) {
            constexpr int I = decltype(layer)::value;
            using L = Layer<I>;
            if constexpr (L::TRAIN_FORWARD)
                f(layer, &Tensors<L>::forward, at, std::integral_constant<int, L::PRE>{});
            at++;
            if constexpr (L::TRAIN_RECURRENT)
                f(layer, &Tensors<L>::recurrent, at, std::integral_constant<int, L::WIDTH>{});
            at += L::RECURRENT;
            if constexpr (L::Model::TRAINED > 0)
                f(layer, &Tensors<L>::parameters, at, std::integral_constant<int, 0>{});
            at += L::Model::PER_NEURON > 0;
        });
    }
};

// Whether the adjoint of a layer is asked for by what learns from gradients there.
template <class L> constexpr bool learns_by_gradient() {
    return (L::TRAIN_FORWARD && !L::PLASTIC_FORWARD) || L::Model::TRAINED > 0 ||
           (L::TRAIN_RECURRENT && !L::PLASTIC_RECURRENT);
}

// The same for layer I and all below it.
template <class Layers, int I> constexpr bool needs_adjoint() {
    if constexpr (learns_by_gradient<std::tuple_element_t<I, Layers>>()) return true;
    else if constexpr (I > 0) return needs_adjoint<Layers, I - 1>();
    else return false;
}

}  // namespace snn
