// spec.hpp: what a layer consists of, at compile time, and the arrays that learning changes.
#pragma once
#include <algorithm>
#include <tuple>

#include "synapses.hpp"

#ifndef SNN_LARGE_GRADIENT
#define SNN_LARGE_GRADIENT (size_t(192) << 10)  // bytes; tests let small layers count as large
#endif

namespace snn {

template <int N> using Index = std::integral_constant<int, N>;
template <class F, int... I> inline void unroll(F& f, std::integer_sequence<int, I...>) {
    (f(Index<I>{}), ...);
}

constexpr int INPUT = -1;  // as the source of a projection
enum class Delay { NONE, AXONAL, DENDRITIC, SYNAPTIC };
enum class Way { BOTH, FORWARD, BACK };  // spikes forward and derivatives back, or one of them

// A projection.
// SOURCE:      number of the layer that it comes from, or INPUT
// Population:  the generated population there, or void
// ROWS:        its presynaptic neurons
// PORT:        which of the ports of the layer that it ends in
// LISTED:      a list of synapses, not all neurons
// DELAY:       which synapses share a delay; MOST: the largest one, in steps
// DROPPED:     in training, what arrives at a neuron in a step may be dropped
template <int SOURCE_, class Population_, int ROWS_, int PORT_, bool TRAINED_, bool LISTED_,
          bool PLASTIC_, bool DROPPED_, Delay DELAY_ = Delay::NONE, int MOST_ = 0,
          bool DELAY_TRAINED_ = false, Way WAY = Way::BOTH>
struct From {
    using Population = Population_;
    static constexpr int SOURCE = SOURCE_, ROWS = ROWS_, PORT = PORT_;
    static constexpr bool TRAINED = TRAINED_, LISTED = LISTED_, PLASTIC = PLASTIC_;
    static constexpr bool BY_GRADIENT = TRAINED && !PLASTIC;
    static constexpr Delay DELAY = DELAY_;
    static constexpr int MOST = MOST_;
    static constexpr bool DELAY_TRAINED = DELAY_TRAINED_, DROPPED = DROPPED_;
    static constexpr bool ACTS = WAY != Way::BACK, SENDS_BACK = WAY != Way::FORWARD;
    // its spikes go into registers when they arrive, and not through memory
    static constexpr bool DIRECT = !LISTED && DELAY == Delay::NONE && !DROPPED;
    // a list whose spikes add to the states themselves
    static constexpr bool LISTED_NOW = LISTED && DELAY == Delay::NONE && !DROPPED;
    // gradients are added to in the order of time, while the adjoints of a step are at hand
    static constexpr bool GATHERED_NOW = LISTED_NOW && SOURCE == INPUT && BY_GRADIENT;
    // it reads the adjoints of other steps than that
    static constexpr bool TABLED = !(LISTED_NOW && SOURCE == INPUT) || PLASTIC;
    // spikes of a neuron arrive in two neighbouring steps, unless they are spread over more
    static constexpr bool LATE_ROWS = !LISTED && DELAY == Delay::AXONAL && !DROPPED;
    // dense weights with a delay each
    static constexpr bool EACH_LATE = !LISTED && DELAY == Delay::SYNAPTIC;
    static constexpr bool DELAYED = DELAY != Delay::NONE;
    // arrivals find other adjoints than those of the port: delayed, or dropped
    static constexpr bool OWN_ADJOINTS = DELAY == Delay::DENDRITIC || DROPPED;
    // the sums over targets of a source differ from those of all targets in one step
    static constexpr bool ALONE =
        LISTED || DELAY == Delay::AXONAL || DELAY == Delay::SYNAPTIC;
    // sums over targets are made of rows of weights by target
    static constexpr bool SUMMED = !LISTED && DELAY != Delay::SYNAPTIC;
    // each target reads adjoints at one place in time, or each has its own
    static constexpr bool ROWWISE = LISTED || OWN_ADJOINTS || DELAY == Delay::SYNAPTIC;
    static constexpr int pre() {  // rows of the weights, those of padding too
        if constexpr (SOURCE == INPUT) return ROWS;
        else return Shape<ROWS>::width;
    }
    static constexpr int PRE = pre();
    static constexpr bool discrete() {  // whether sums over targets are wanted in each step
        if constexpr (SOURCE == INPUT || !SENDS_BACK) return false;
        else return Population::DISCRETE;
    }
};

// A population with the projections that end in it.
// Model:       a generated population (see constants.hpp)
// INDEX:       its number
// FIRST, LAST: layers that reach each other both ways with it, which are walked step by step
// Rule:        constants of the plasticity of projections
template <class Model_, int INDEX_, int FIRST_, int LAST_, int STEPS_, class Rule_, class... Froms>
struct LayerSpec {
    using Model = Model_;
    using Rule = Rule_;
    using shape = Shape<Model::SIZE>;
    using Projections = std::tuple<Froms...>;
    template <int K> using Into = std::tuple_element_t<K, Projections>;
    static constexpr int INDEX = INDEX_, FIRST = FIRST_, LAST = LAST_, COUNT = sizeof...(Froms);
    static constexpr int STEPS = STEPS_, B = shape::B, BW = shape::BW;
    static constexpr int BLOCKS = shape::blocks, WIDTH = shape::width;
    static constexpr int VECTORS = shape::vectors;  // without padding
    static constexpr bool within(int source) { return FIRST <= source && source <= LAST; }
    static constexpr bool RECURRENT = (within(Froms::SOURCE) || ...);
    static constexpr bool DIRECT = (Froms::DIRECT && ...), PLASTIC = (Froms::PLASTIC || ...);
    static constexpr bool ROWWISE = (Froms::ROWWISE || ...);
    static constexpr bool LATE_ROWS = (Froms::LATE_ROWS || ...);
    // no spike is under way for longer than a step, unless late rows are spread
    static constexpr bool RINGLESS =
        ((Froms::DIRECT || Froms::LATE_ROWS || Froms::LISTED_NOW) && ...);
    static constexpr bool TABLED = (Froms::TABLED || ...);
    // all that arrives is added to the states before the step
    static constexpr bool ARRIVED = (Froms::LISTED_NOW && ...);
    // what its group has emitted may be under way for long
    static constexpr bool LATE_WITHIN =
        ((within(Froms::SOURCE) && Froms::DELAY != Delay::NONE) || ...);
    static constexpr bool DROPPED = (Froms::DROPPED || ...);
    // gradients are added to while a trial is walked back, alone
    static constexpr bool GATHERS_NOW =
        (Froms::GATHERED_NOW || ...) && !(Model::DISCRETE && RECURRENT);
    static constexpr bool DELAYED = (Froms::DELAYED || ...);
    static constexpr int MOST = std::max({Froms::MOST...});
    static constexpr bool ONLY_INPUT = ((Froms::SOURCE == INPUT) && ...);
    // Whether something learns from gradients here.
    static constexpr bool LEARNS = (Froms::BY_GRADIENT || ...) || Model::TRAINED > 0 ||
                                   (Froms::DELAY_TRAINED || ...);
    // all blocks of a step come before the next step
    static constexpr bool STEPWISE = RECURRENT || !DIRECT;
    // neurons whose spikes are kept together, in order of time: those of a block, or all
    static constexpr int STRANDS = DIRECT ? BLOCKS : 1, STRAND = DIRECT ? BW : WIDTH;
    // states of every step are kept
    static constexpr bool TAPE = Model::TRAINED > 0 || !Model::LINEAR;
    // of the adjoints of all steps, and of the gradients of weights
    static constexpr size_t TABLE_BYTES = Model::PORTS * size_t(STEPS) * WIDTH * sizeof(Real);
    static constexpr size_t GRADIENT_BYTES = (size_t(Froms::PRE) + ...) * WIDTH * sizeof(Real);
    // A gradient for each share of the batch would not fit the caches. Where neurons are walked
    // back together, not TILED, it costs more that other threads read their table.
    static constexpr bool LARGE =
        DIRECT && GRADIENT_BYTES >= SNN_LARGE_GRADIENT * (RECURRENT ? 10 : 1);
    // The layer can be walked back in parts: nothing but the input drives it, or asks for its
    // adjoints, and its neurons do not see each other.
    static constexpr bool TILED = LARGE && Model::SPIKING && ONLY_INPUT && Model::PORTS == 1 &&
                                  COUNT == 1 && !Model::DROPS_SPIKES && !Model::DISCRETE;
};

// Calls f(k) for the number of each projection into L, as a type.
template <class L, class F> inline void each_projection(F f) {
    unroll(f, std::make_integer_sequence<int, L::COUNT>{});
}

// A delay (ms) in steps. What is a whole number of them but for rounding is that number, as in
// network/delays.py.
static inline Real in_steps(Real ms) {
    const Real steps = ms * Real(1 / DT), whole = std::nearbyint(steps);
    return std::fabs(steps - whole) <= Real(1e-6) * whole ? whole : steps;
}

// Values of one layer, or their gradients or moments. Dense weights are [block][pre][BW]: the row
// that a spike adds to a block is contiguous. Those of a list have its order. Delays (ms) are one
// for each neuron, or stand as the weights do. Each array has a number: weights of projection k
// have k, its delays COUNT + k, parameters 2 COUNT.
template <class L> struct Tensors {
    static constexpr int PARAMETERS = 2 * L::COUNT;
    Buffer<Real> arrays[PARAMETERS + 1];
    const SynapseList* lists = nullptr;
    // of delays: whole steps, and what is left
    Buffer<Int> whole[L::COUNT];
    Buffer<Real> part[L::COUNT];
    static size_t padded(size_t n) { return (n + LANES - 1) / LANES * LANES; }
    Buffer<Real>& parameters() { return arrays[PARAMETERS]; }
    const Buffer<Real>& parameters() const { return arrays[PARAMETERS]; }
    template <int K> Real* weights() { return arrays[K].data(); }
    template <int K> const Real* weights() const { return arrays[K].data(); }
    // of the dense projection K: towards block b, from neuron `pre` on
    template <int K> Real* rows(int b, int pre) { return weights<K>() + at<K>(b, pre); }
    template <int K> const Real* rows(int b, int pre) const { return weights<K>() + at<K>(b, pre); }
    template <int K> static size_t at(int b, int pre) {
        return (size_t(b) * L::template Into<K>::PRE + pre) * L::BW;
    }
    template <int K> const SynapseList& list() const { return lists[K]; }
    Real* delays(int k) { return arrays[L::COUNT + k].data(); }
    const Real* delays(int k) const { return arrays[L::COUNT + k].data(); }
    template <int K> size_t size() const {
        if constexpr (L::template Into<K>::LISTED) return padded(lists[K].weights);
        else return size_t(L::template Into<K>::PRE) * L::WIDTH;
    }
    template <int K> size_t delays_size() const {
        using Own = typename L::template Into<K>;
        if constexpr (Own::DELAY == Delay::NONE) return 0;
        else if constexpr (Own::DELAY == Delay::AXONAL) return padded(Own::PRE);
        else if constexpr (Own::DELAY == Delay::DENDRITIC) return L::WIDTH;
        else return size<K>();
    }
    void allocate(const SynapseList* who) {  // contents are not set
        lists = who;
        each_projection<L>([&](auto k) {
            arrays[k()].allocate_dense(size<k()>());
            arrays[L::COUNT + k()].allocate(delays_size<k()>());
        });
        parameters().allocate(size_t(L::Model::PER_NEURON) * L::WIDTH);
    }
    void zero(int t, int threads) {  // this thread's share
        for (auto& array : arrays) array.zero(t, threads);
    }
    void allocate_split() {
        each_projection<L>([&](auto k) {
            if (!L::template Into<k()>::DELAYED) return;
            const size_t n = delays_size<k()>();
            whole[k()].allocate_dense(n), part[k()].allocate_dense(n);
        });
    }
    void split(int t, int threads) {  // this thread's share
        each_projection<L>([&](auto k) {
            const size_t n = whole[k()].size();
            const Real* ms = delays(k());
            for (size_t i = n * t / threads; i < n * (t + 1) / threads; i++) {
                const Real d = in_steps(ms[i]);
                whole[k()][i] = Int(d), part[k()][i] = d - Real(whole[k()][i]);
            }
        });
    }
    void allocate_trained(const SynapseList* who) {  // contents are not set
        lists = who;
        each_projection<L>([&](auto k) {
            using Own = typename L::template Into<k()>;
            if (Own::TRAINED) arrays[k()].allocate_dense(size<k()>());
            if (Own::TRAINED && !Own::DIRECT) arrays[k()].zero();  // padding is updated too
            if (Own::DELAY_TRAINED) arrays[L::COUNT + k()].allocate(delays_size<k()>());
        });
        parameters().allocate(size_t(L::Model::TRAINED) * L::WIDTH);
    }
};

// What an array of Tensors<L> is.
template <class L, int NUMBER> struct Kind {
    static constexpr bool PARAMETERS = NUMBER == Tensors<L>::PARAMETERS;
    static constexpr bool DELAYS = !PARAMETERS && NUMBER >= L::COUNT;
    using Own = typename L::template Into<PARAMETERS ? 0 : NUMBER % L::COUNT>;
    static constexpr bool TRAINED = PARAMETERS ? L::Model::TRAINED > 0 :
                                    DELAYS     ? Own::DELAY_TRAINED :
                                                 Own::TRAINED;
    static constexpr bool PLASTIC = !PARAMETERS && !DELAYS && Own::PLASTIC;
    static constexpr bool WEIGHTS = !PARAMETERS && !DELAYS;
    // How many of the LANES numbers from number i on are no padding.
    static int valid(size_t i) {
        int64_t left = LANES;
        if constexpr (PARAMETERS || (DELAYS && Own::DELAY == Delay::DENDRITIC))
            left = L::Model::SIZE - int64_t(i % L::WIDTH);
        else if constexpr (DELAYS && Own::DELAY == Delay::AXONAL) left = Own::ROWS - int64_t(i);
        else if constexpr (!Own::LISTED) {
            const size_t row = i / L::BW, block = row / Own::PRE;
            if (int64_t(row % Own::PRE) < Own::ROWS)
                left = L::Model::SIZE - int64_t(block * L::BW + i % L::BW);
            else left = 0;
        }
        return int(std::clamp<int64_t>(left, 0, LANES));
    }
};

}  // namespace snn
