// synapses.hpp: projections that are lists of synapses: who is connected, by which weight, and what
// a spike adds and sends back. Neurons and weights that follow one another are one run, as the
// channels at one place of a convolution are, so that a run is walked in registers.
#pragma once
#include <algorithm>
#include <numeric>
#include <vector>

#include "constants.hpp"

namespace snn {

// A projection as it is given: its synapses in any order, null where all are connected.
// `shared`: `place` are places in an array of weights, of which there are `weights`; else those of
// the matrix of all pairs.
#define SNN_CONNECTED(F)                                                                           \
    F(int64_t, count)                                                                              \
    F(const int32_t*, pre)                                                                         \
    F(const int32_t*, post)                                                                        \
    F(const int64_t*, place)                                                                       \
    F(int64_t, weights)                                                                            \
    F(int64_t, shared)                                                                             \
    F(double, low)        /* bounds of weights */                                                  \
    F(double, high)                                                                                \
    F(double, most_delay) /* ms */                                                                 \
    F(double, dropout)    /* of currents, in training */
SNN_STRUCT(Connected, SNN_CONNECTED)

// A row of numbers, one for each neuron.
struct RowOf {
    const Real* row;
    Real operator()(int j) const { return row[j]; }
    vf vector(int j) const { return *reinterpret_cast<const uvf*>(row + j); }
};

struct SynapseList {
    struct Run { uint32_t post, weight, count; };
    std::vector<uint32_t> start;  // runs of `pre`: start[pre] .. start[pre + 1]
    std::vector<Run> runs;        // by presynaptic neuron, then by postsynaptic one
    std::vector<int64_t> place;   // [weight] where it stands in the array that is handed over
    size_t weights = 0;
    bool shared = false;

    // Weights that are not shared have the order of the synapses.
    void take(const Connected& given, int presynaptic) {
        std::vector<int64_t> order(given.count);
        std::iota(order.begin(), order.end(), 0);
        std::sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
            return std::pair(given.pre[a], given.post[a]) < std::pair(given.pre[b], given.post[b]);
        });
        shared = given.shared;
        weights = size_t(shared ? given.weights : given.count);
        place.resize(weights);
        std::iota(place.begin(), place.end(), 0);
        start.assign(presynaptic + 1, 0), runs.clear();
        int before = -1;
        for (size_t e = 0; e < order.size(); e++) {
            const int64_t s = order[e];
            if (!shared) place[e] = given.place[s];
            const uint32_t post = given.post[s], weight = shared ? given.place[s] : e;
            Run* last = runs.empty() || before != given.pre[s] ? nullptr : &runs.back();
            if (last && last->post + last->count == post && last->weight + last->count == weight)
                last->count++;
            else runs.push_back({post, weight, 1});
            for (; before < given.pre[s]; before++) start[before + 1] = uint32_t(runs.size()) - 1;
        }
        for (; before < presynaptic; before++) start[before + 1] = uint32_t(runs.size());
    }

    template <class F> void each(int pre, F f) const {
        for (uint32_t r = start[pre], end = start[pre + 1]; r < end; r++)
            f(runs[r].post, runs[r].weight, int(runs[r].count));
    }
    // A spike of `pre` arrives; `in` is a row of all neurons of the target.
    void add(const Real* w, Real* in, int pre, Real h) const {
        each(pre, [&](uint32_t post, uint32_t weight, int count) {
            add_run(in + post, w + weight, count, h);
        });
    }
    static void add_run(Real* to, const Real* from, int count, Real h) {
        int i = 0;
        for (; i + LANES <= count; i += LANES)
            *reinterpret_cast<uvf*>(to + i) += h * *reinterpret_cast<const uvf*>(from + i);
        for (; i < count; i++) to[i] += h * from[i];
    }
    // Sum over the targets j of `pre` of weight x value(j); value.vector(j): of those from j on.
    template <class V> Real sum(const Real* w, int pre, const V& value) const {
        Real single = 0;
        vf total = {};
        each(pre, [&](uint32_t post, uint32_t weight, int count) {
            int i = 0;
            for (; i + LANES <= count; i += LANES)
                total += *reinterpret_cast<const uvf*>(w + weight + i) * value.vector(post + i);
            for (; i < count; i++) single += w[weight + i] * value(post + i);
        });
        return single + snn::sum(total);
    }
    // Weight from `pre` to `to`; 0 where they are not connected.
    Real weight(const Real* w, int pre, int to) const {
        Real found = 0;
        each(pre, [&](uint32_t post, uint32_t weight, int count) {
            if (int(post) <= to && to < int(post) + count) found = w[weight + to - post];
        });
        return found;
    }
};

}  // namespace snn
