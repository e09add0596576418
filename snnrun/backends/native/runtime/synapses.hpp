// synapses.hpp: projections that are lists of synapses: who is connected, by which weight, and what
// a spike adds and sends back. Neurons and weights that follow one another are one run, as the
// channels at one place of a convolution are, so that a run is walked in registers.
#pragma once
#include <algorithm>
#include <map>
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
    // Whole vectors of synapses of a neuron. Neurons whose vectors differ by where they begin
    // alone, as those of a convolution do, share them, so that they stay in the nearest cache.
    struct Vectors { uint32_t first, count; uint64_t base; };
    std::vector<Vectors> of;        // [pre]
    std::vector<uint64_t> vectors;  // post + 2^32 x weight of the first synapse, from the base on
    std::vector<uint32_t> start;    // runs of `pre`: start[pre] .. start[pre + 1]
    std::vector<Run> runs;          // what is less than a vector
    std::vector<int64_t> place;     // [weight] where it stands in the array that is handed over
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
        of.clear(), vectors.clear(), runs.clear(), start.assign(1, 0);
        std::map<std::vector<uint64_t>, uint32_t> known;
        size_t e = 0;
        const auto at = [&](size_t i) {  // of the i-th synapse in order
            if (!shared) place[i] = given.place[order[i]];
            return uint32_t(given.post[order[i]]) |
                   uint64_t(shared ? given.place[order[i]] : i) << 32;
        };
        for (int pre = 0; pre < presynaptic; pre++) {
            std::vector<uint64_t> own;
            while (e < order.size() && given.pre[order[e]] == pre) {
                const uint64_t from = at(e);
                uint32_t count = 1;  // synapses that follow one another
                while (++e < order.size() && given.pre[order[e]] == pre &&
                       at(e) == from + count * FOLLOWING)
                    count++;
                for (uint32_t i = 0; i < count; i += LANES) {
                    const uint64_t first = from + i * FOLLOWING;
                    if (i + LANES <= count) own.push_back(first);
                    else runs.push_back({uint32_t(first), uint32_t(first >> 32), count - i});
                }
            }
            start.push_back(uint32_t(runs.size()));
            const uint64_t base = own.empty() ? 0 : own[0];
            for (uint64_t& first : own) first -= base;
            const auto [same, fresh] = known.insert({own, uint32_t(vectors.size())});
            if (fresh) vectors.insert(vectors.end(), own.begin(), own.end());
            of.push_back({same->second, uint32_t(own.size()), base});
        }
        vectors.resize(vectors.size() + AT_ONCE);  // so many are read
    }

    // f(post, weight, how many) for the synapses of `pre`, those that follow one another together
    template <class F> void each(int pre, F f) const {
        for (uint32_t i = 0; i < of[pre].count; i++) {
            const uint64_t first = of[pre].base + vectors[of[pre].first + i];
            f(uint32_t(first), uint32_t(first >> 32), LANES);
        }
        each_run(pre, f);
    }
    // The same for all that arrive in step n. The vectors of all spikes come one after the other,
    // so that the processor does not have to guess how many a spike has.
    template <class From, class F> void each_of_step(const From& from, int n, F f) const {
        constexpr uint32_t MOST = 64 * AT_ONCE;
        uint64_t found[MOST];
        uint32_t count = 0;
        const auto visit = [&] {
            for (uint32_t i = 0; i < count; i++)
                f(uint32_t(found[i]), uint32_t(found[i] >> 32), LANES);
            count = 0;
        };
        from.at(n, [&](uint32_t pre) {
            const Vectors own = of[pre];
            for (uint32_t i = 0; i < own.count; i += AT_ONCE) {
                const Some* from = reinterpret_cast<const Some*>(&vectors[own.first + i]);
                Some* to = reinterpret_cast<Some*>(found + count);
                for (uint32_t j = 0; j < AT_ONCE * sizeof(uint64_t) / sizeof(Some); j++)
                    to[j] = own.base + from[j];
                count += std::min(AT_ONCE, own.count - i);
                if (count > MOST - AT_ONCE) visit();
            }
            each_run(pre, f);
        });
        visit();
    }
    // A spike of `pre` arrives; `in` is a row of all neurons of the target.
    void add(const Real* w, Real* in, int pre, Real h) const {
        each(pre, [&](uint32_t post, uint32_t weight, int count) {
            add_run(in + post, w + weight, count, h);
        });
    }
    static void add_run(Real* to, const Real* from, int count, Real h) {
        if (count == LANES)
            *reinterpret_cast<uvf*>(to) += h * *reinterpret_cast<const uvf*>(from);
        else
            for (int i = 0; i < count; i++) to[i] += h * from[i];
    }
    // Sum over the targets j of `pre` of weight x value(j); value.vector(j): of those from j on.
    template <class V> Real sum(const Real* w, int pre, const V& value) const {
        Real single = 0;
        vf total = {};
        each(pre, [&](uint32_t post, uint32_t weight, int count) {
            if (count == LANES)
                total += *reinterpret_cast<const uvf*>(w + weight) * value.vector(post);
            else
                for (int i = 0; i < count; i++) single += w[weight + i] * value(post + i);
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

  private:
    static constexpr uint32_t AT_ONCE = 16;
    typedef uint64_t Some
        __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(uint64_t)), may_alias));
    static constexpr uint64_t FOLLOWING = 1 + (uint64_t(1) << 32);
    template <class F> void each_run(int pre, F f) const {
        for (uint32_t r = start[pre], end = start[pre + 1]; r < end; r++)
            f(runs[r].post, runs[r].weight, int(runs[r].count));
    }
};

}  // namespace snn
