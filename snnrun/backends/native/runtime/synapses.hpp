// synapses.hpp: projections in which not all neurons are connected: who is, and what their weights
// add where dense rows of weights would be added.
#pragma once
#include <algorithm>
#include <numeric>
#include <vector>

#include "constants.hpp"

namespace snn {

// The synapses of a projection as they are given, in any order; null where all are connected.
#define SNN_CONNECTED(F)                                                                           \
    F(int64_t, count)                                                                              \
    F(const int32_t*, pre)                                                                         \
    F(const int32_t*, post)
SNN_STRUCT(Connected, SNN_CONNECTED)

// The same by block of postsynaptic neurons, then by presynaptic neuron, then by postsynaptic one.
// Weights, gradients and moments of the projection are arrays in this order.
struct SynapseList {
    std::vector<uint32_t> start;  // of `pre` in block b: start[b * (rows + 1) + pre], to the next
    std::vector<uint16_t> post;   // [synapse] within the block
    std::vector<int64_t> place;   // [synapse] pre * size + post: where a full matrix has it
    size_t count = 0;
    int rows = 0;

    void take(const Connected& given, int presynaptic, int size, int block_width, int blocks) {
        rows = presynaptic, count = size_t(given.count);
        std::vector<int64_t> order(count);
        std::iota(order.begin(), order.end(), 0);
        const auto key = [&](int64_t s) {
            const int64_t post = given.post[s], pre = given.pre[s];
            return (post / block_width * rows + pre) * block_width + post % block_width;
        };
        std::sort(order.begin(), order.end(),
                  [&](int64_t a, int64_t b) { return key(a) < key(b); });
        start.assign(size_t(blocks) * (rows + 1), 0), post.resize(count), place.resize(count);
        for (size_t e = 0; e < count; e++) {
            const int64_t s = order[e];
            post[e] = uint16_t(given.post[s] % block_width);
            place[e] = int64_t(given.pre[s]) * size + given.post[s];
            start[size_t(given.post[s] / block_width) * (rows + 1) + given.pre[s] + 1]++;
        }
        uint32_t before = 0;
        for (int b = 0; b < blocks; b++) {
            uint32_t* own = start.data() + size_t(b) * (rows + 1);
            own[0] = before;
            for (int i = 0; i < rows; i++) own[i + 1] += own[i];
            before = own[rows];
        }
    }
    uint32_t first(int b, int pre) const { return start[size_t(b) * (rows + 1) + pre]; }
    uint32_t end(int b, int pre) const { return start[size_t(b) * (rows + 1) + pre + 1]; }

    // A spike of `pre` arrives at block b, whose input is `in`.
    void add(const Real* weights, vf* in, int b, int pre) const {
        Real* lanes = reinterpret_cast<Real*>(in);
        for (uint32_t e = first(b, pre), last = end(b, pre); e < last; e++)
            lanes[post[e]] += weights[e];
    }
    // Sum over the targets of `pre` in block b of weight x value.
    Real sum(const Real* weights, const vf* values, int b, int pre) const {
        const Real* lanes = reinterpret_cast<const Real*>(values);
        Real total = 0;
        for (uint32_t e = first(b, pre), last = end(b, pre); e < last; e++)
            total += weights[e] * lanes[post[e]];
        return total;
    }
    // Weight from `pre` to neuron `to` of block b; 0 where they are not connected.
    Real weight(const Real* weights, int b, int pre, int to) const {
        const auto from = post.begin() + first(b, pre), last = post.begin() + end(b, pre);
        const auto at = std::lower_bound(from, last, uint16_t(to));
        return at != last && *at == to ? weights[at - post.begin()] : Real(0);
    }
};

// The projections that end in a layer.
struct Wiring { SynapseList forward, recurrent; };

}  // namespace snn
