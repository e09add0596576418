// optimiser.hpp: the generated optimiser, fused with the sum over the slots' gradients.
#pragma once
#include <vector>

#include "memory.hpp"

namespace snn {

constexpr double LARGEST_VALUE = 1e6;  // a weight beyond this means that learning has exploded

// Sums the slots' gradients in their order; the same bits for any number of threads.
struct SlotSum {
    std::vector<const Real*> slots;
    vf operator()(size_t i) const {
        vf g = *vectors(slots[0] + i);
        for (size_t s = 1; s < slots.size(); s++) g += *vectors(slots[s] + i);
        return g;
    }
};

// Updates values [from, to), both multiples of LANES, by gradient(i), the vector of numbers from i
// on, and keeps them in [low, high]. Returns false if a gradient is not finite or a value has grown
// beyond LARGEST_VALUE.
template <int STATES, class Step, class Gradient>
bool learn(const Step step, Real* w, Real* const* states, const Gradient& gradient, size_t from,
           size_t to, Real low, Real high) {
    vi good = vi{} - 1;
    for (size_t i = from; i < to; i += LANES) {
        const vf g = gradient(i);
        vf W = *vectors(w + i), state[STATES + 1];
        for (int s = 0; s < STATES; s++) state[s] = *vectors(states[s] + i);
        step(W, g, state);
        W = minimum(maximum(W, splat(low)), splat(high));
        *vectors(w + i) = W;
        for (int s = 0; s < STATES; s++) *vectors(states[s] + i) = state[s];
        good &=
            (g - g == vf{}) & (W < splat(Real(LARGEST_VALUE))) & (W > splat(Real(-LARGEST_VALUE)));
    }
    return bits(good) == bits(vi{} - 1);
}

// The sum of the squares of gradient(i) for i in [from, to), without what `valid` calls padding.
template <class Gradient, class Valid>
double squares(const Gradient& gradient, Valid valid, size_t from, size_t to) {
    double sum = 0;
    for (size_t i = from; i < to; i += LANES) {
        const vf g = gradient(i);
        for (int l = 0, end = valid(i); l < end; l++) sum += double(g[l]) * double(g[l]);
    }
    return sum;
}

}  // namespace snn
