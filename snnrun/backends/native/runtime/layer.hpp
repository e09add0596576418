// layer.hpp: the working memory of layers for one example, and how the layers of a program are
// visited.
#pragma once
#include <tuple>
#include <vector>

#include "draws.hpp"
#include "spikes.hpp"

namespace snn {

// Of layers whose steps are differentiated: sums over targets are made for so many steps at once,
// and so many trials are walked back together.
constexpr int STEPS_AT_ONCE = 16, MOST_TOGETHER = 8;

// Spikes that arrive by rows of dense weights with axonal delays, each in two neighbouring steps.
struct LateRows {
    std::vector<uint16_t> who;    // [step modulo ring][capacity] presynaptic neurons
    std::vector<uint32_t> count;  // [step modulo ring]
    size_t capacity = 0;
    int mask = 0;
    struct Spike { Real* from_targets; uint16_t pre; };
    std::vector<Spike> spikes;    // by the step in which they arrive first
    std::vector<uint32_t> start;  // of step a: start[a] .. start[a + 1]

    void begin(int rows, int ring) {
        mask = ring - 1;
        if (!capacity) capacity = rows;
        who.resize(capacity * ring), count.assign(ring, 0);
    }
    void send(int step, uint32_t pre) {  // that arrives first in this step
        const int slot = step & mask;
        if (count[slot] == capacity) grow();
        who[slot * capacity + count[slot]++] = uint16_t(pre);
    }
    void grow() {  // the input may send several spikes of a channel in a step
        std::vector<uint16_t> larger(2 * who.size());
        for (size_t slot = 0; slot < count.size(); slot++)
            std::copy_n(&who[slot * capacity], count[slot], &larger[2 * slot * capacity]);
        who.swap(larger), capacity *= 2;
    }
};

// One thread's memory for one example.
template <class L> struct Work {
    using M = typename L::Model;
    Spikes<L> spikes[M::SPIKING ? L::STRANDS : 1];
    Buffer<typename OfLayer<L>::Vector> entered;  // in the step at hand; not DIRECT
    Buffer<Real> state, adjoint, trace;  // [state][WIDTH]; trace [step][state][WIDTH]
    Buffer<Real> under_way;              // [step modulo ring][slot][WIDTH] by lists, with delays
    int ring = 0;                        // a power of 2
    Real width = 0;                      // of delayed spikes, in steps
    LateRows late_rows[L::COUNT];
    Buffer<Real> next;                   // [odd or even step][port][WIDTH] of late rows
    Buffer<Real> raw[L::COUNT];          // [step][WIDTH] what arrives before dendritic delays
    Table<L> own_adjoints[L::COUNT];     // as arrivals find them where that is not the port's
    CurrentDropout drops[L::COUNT];
    Buffer<Real> sums[L::COUNT];  // discrete: [step][PRE] over targets, before axonal delays
    Buffer<Real> tape;                   // [step][state][WIDTH], before the step
    Buffer<Real> taped, dl_ds;           // discrete: see taped_at and dl_ds_at
    int step_bits = -1;         // by which steps find their place in them; less hold a segment
    Buffer<Int> free_from;               // [WIDTH] first step after the refractory period
    Table<L> input_adjoint[M::PORTS];    // at the start of each step
    Buffer<Real> push;                   // [WIDTH] added to the read-out state's adjoint at the end
    bool pushed = false;
    bool trained = false;  // the example is walked back too
    Real scale = 0, total = 0;  // 1 / examples of the mini-batch; spikes that the regulariser sees
    const Real* average = nullptr;  // [WIDTH] spikes of each neuron, per example of the mini-batch
    Draws draws;
    Buffer<Int> suppressed;  // [WIDTH] mask: above the threshold, spike dropped
    Crossings<L> crossings[M::DROPS_SPIKES ? L::STRANDS : 1];
    Buffer<Real> parameters;             // [TRAINED][WIDTH] their gradients of this trial
    Buffer<Real> signals;     // [plus or minus][step][WIDTH] of Plasticity

    void allocate(bool table, int segment) {  // of steps whose states are kept; a power of 2
        const size_t steps = M::DISCRETE ? segment : L::STEPS;
        if (steps < L::STEPS) step_bits = segment - 1;
        if (M::SPIKING)
            for (auto& s : spikes) s.allocate();
        if (!L::DIRECT) entered.allocate(OfLayer<L>::MOST);
        state.allocate(size_t(M::STATES) * L::WIDTH),
            adjoint.allocate(size_t(M::STATES) * L::WIDTH);
        each_projection<L>([&](auto k) {
            using Own = typename L::template Into<k()>;
            if (Own::DELAY == Delay::DENDRITIC) raw[k()].allocate(size_t(L::STEPS) * L::WIDTH);
            if (Own::OWN_ADJOINTS) own_adjoints[k()].allocate(), own_adjoints[k()].data.zero();
            if (Own::DELAY == Delay::AXONAL && Own::discrete())
                sums[k()].allocate(size_t(L::STEPS + 1) * Own::PRE);
        });
        if (L::TAPE) tape.allocate(steps * M::STATES * L::WIDTH);
        if constexpr (M::DISCRETE) {
            taped.allocate(steps * (M::TAPED - IN_TABLE) * L::WIDTH);
            dl_ds.allocate(size_t(STEPS_AT_ONCE) * L::WIDTH);
        }
        parameters.allocate(size_t(M::TRAINED) * L::WIDTH);
        if (M::REFRACTORY) free_from.allocate(L::WIDTH);
        if constexpr (M::DROPS_SPIKES) {
            suppressed.allocate(L::WIDTH);
            for (auto& c : crossings) c.allocate();
        }
        if (L::LATE_ROWS) next.allocate(size_t(2) * M::PORTS * L::WIDTH);
        if (table && L::TABLED)
            for (auto& t : input_adjoint) t.allocate();
        push.allocate(L::WIDTH), push.zero();
        if (M::SIGNAL_PLUS || M::SIGNAL_MINUS)
            signals.allocate(size_t(2) * L::STEPS * L::WIDTH);
    }
    // Where what is kept of step n begins.
    vf* tape_of(int n) { return vectors(tape.data() + size_t(kept(n)) * M::STATES * L::WIDTH); }
    const vf* tape_of(int n) const { return const_cast<Work*>(this)->tape_of(n); }
    // Discrete: states before the threshold, the i-th that is kept, of vector x of block b in step
    // n. They stand where the adjoint of the step will, for as many as there is room: it is made
    // of them, and then they are not needed any more.
    static constexpr int IN_TABLE = L::TABLED ? std::min(M::TAPED, M::PORTS) : 0;
    vf& taped_at(int n, int b, int x, int i) {
        if (i < IN_TABLE) return input_adjoint[i].at(b, n, x);
        constexpr int V = L::WIDTH / LANES;
        const size_t row = size_t(kept(n)) * (M::TAPED - IN_TABLE) + i - IN_TABLE;
        return vectors(taped.data())[row * V + b * L::B + x];
    }
    int kept(int n) const {
        if constexpr (M::DISCRETE) return n & step_bits;
        else return n;
    }
    // derivative of the loss by the spikes of vector x of block b, in the i-th of the steps at hand
    vf& dl_ds_at(int i, int b, int x) {
        return vectors(dl_ds.data())[(size_t(i) * L::BLOCKS + b) * L::B + x];
    }
    // Begins a trial with nothing under way.
    void clear_way(double delay_width) {
        if (L::DIRECT) return;
        width = Real(delay_width);
        const int longest = L::MOST + int(width) + 2;
        if (longest > ring)
            for (ring = 1; ring < longest; ring *= 2) {}
        if (through_ring()) {
            const size_t size = size_t(ring) * SLOTS * L::WIDTH;
            if (under_way.size() < size) under_way.allocate(size);
            under_way.zero();
        }
        each_projection<L>([&](auto k) {
            using Own = typename L::template Into<k()>;
            if (Own::DELAY == Delay::DENDRITIC) raw[k()].zero();
            if (Own::LATE_ROWS) late_rows[k()].begin(Own::ROWS, ring);
        });
        if (L::LATE_ROWS) next.zero();
    }
    // Whether spikes are spread over steps in which they arrive in advance.
    bool through_ring() const { return !L::RINGLESS || width > 0; }
    Real* next_row(int step, int port) {
        return next.data() + (size_t(step & 1) * M::PORTS + port) * L::WIDTH;
    }
    // Rows of the ring for a step: of the ports, and of projections whose currents are dropped.
    static constexpr int SLOTS = M::PORTS + (L::DROPPED ? L::COUNT : 0);
    template <int K> static constexpr int slot() {
        using Own = typename L::template Into<K>;
        return Own::DROPPED ? M::PORTS + K : Own::PORT;
    }
    Real* arriving(int step, int slot) {  // in this step, [WIDTH]
        return under_way.data() + (size_t(step & (ring - 1)) * SLOTS + slot) * L::WIDTH;
    }
    // The adjoints of a port in step n, which the walk back has just made.
    const Real* adjoints_now(int port, int n) const {
        if constexpr (L::TABLED) return input_adjoint[port].row(n);
        else return adjoint.data() + size_t(M::PORT[port]) * L::WIDTH;
    }
    // The adjoints that arrivals by projection K find.
    template <int K> Table<L>& adjoints() {
        using Own = typename L::template Into<K>;
        if constexpr (Own::OWN_ADJOINTS) return own_adjoints[K];
        else return input_adjoint[Own::PORT];
    }
    const Spikes<L>& spikes_of_block(int b) const { return spikes[b * L::BW / L::STRAND]; }
    vf* signal(int kind, int n) {
        return vectors(signals.data() + (size_t(kind) * L::STEPS + n) * L::WIDTH);
    }
    uint32_t spikes_of(int j) const {  // of neuron j, once they are sorted
        const auto& at = spikes[j / L::STRAND].by_neuron;
        return at[j % L::STRAND + 1] - at[j % L::STRAND];
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
struct Bounds {  // of the weights and delays of a projection
    Real low, high, most_delay;
    double dropout;
    int number;  // of the projection among all
};
// What is given of the projections into a layer.
template <class L> struct Declared {
    SynapseList lists[L::COUNT];
    Bounds bounds[L::COUNT];
};
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
    template <class F> static void each_layer(F f) {
        unroll(f, std::make_integer_sequence<int, std::tuple_size_v<Layers>>{});
    }
    // f(layer, number of the array in Tensors, number of the tensor, rows of dense weights or 0)
    // for every tensor, as types but for the number
    template <class F> static void each_tensor(F f) {
        int at = 0;
        each_layer([&](auto layer) {
            using L = Layer<layer()>;
            each_projection<L>([&](auto k) {
                using Own = typename L::template Into<k()>;
                f(layer, k, at++, Index<Own::DIRECT ? Own::PRE : 0>{});
                if constexpr (Own::DELAY != Delay::NONE)
                    f(layer, Index<L::COUNT + k()>{}, at++, Index<0>{});
            });
            if constexpr (L::Model::PER_NEURON > 0)
                f(layer, Index<Tensors<L>::PARAMETERS>{}, at++, Index<0>{});
        });
    }
    // f(j, k) for each projection k into a layer j that sends back to layer I
    template <int I, class F> static void each_target(F f) {
        each_layer([&](auto j) {
            each_projection<Layer<j()>>([&](auto k) {
                using Own = typename Layer<j()>::template Into<k()>;
                if constexpr (Own::SOURCE == I && Own::SENDS_BACK) f(j, k);
            });
        });
    }

    // Whether projection k into layer j is the first one from layer I to behind its group.
    template <int I> static constexpr bool first_above(int j, int k) {
        return above<I>() == std::pair(j, k);
    }
    template <int I> static constexpr bool sends_above() { return above<I>().first >= 0; }

  private:
    template <int I, int J = Layer<I>::LAST + 1, int K = 0> static constexpr auto above() {
        if constexpr (J == std::tuple_size_v<Layers>) return std::pair(-1, -1);
        else if constexpr (K == Layer<J>::COUNT) return above<I, J + 1, 0>();
        else {
            using Own = typename Layer<J>::template Into<K>;
            if constexpr (Own::SOURCE == I && Own::SENDS_BACK) return std::pair(J, K);
            else return above<I, J, K + 1>();
        }
    }
};

// Whether what learns from gradients asks for the adjoint of layer I, or of one that sends to it.
template <class Layers, int I> constexpr bool needs_adjoint() {
    if constexpr (std::tuple_element_t<I, Layers>::LEARNS) return true;
    else if constexpr (I > 0) return needs_adjoint<Layers, I - 1>();
    else return false;
}

}  // namespace snn
