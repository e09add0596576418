// adam.hpp: Adam (Kingma & Ba 2015, algorithm 1) fused with the sum over the slots' gradients.
#pragma once
#include <vector>

#include "memory.hpp"

namespace snn {

struct Adam {
    double rate, beta1, beta2, epsilon;
    int64_t step;  // of this update, from 1
};

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
template <class Gradient>
bool adam(Real* w, Real* m, Real* v, const Gradient& gradient, size_t from, size_t to,
          const Adam& a, Real low, Real high) {
    const Real b1 = Real(a.beta1), b2 = Real(a.beta2), epsilon = Real(a.epsilon);
    const Real rate = Real(a.rate / (1 - std::pow(a.beta1, double(a.step))));
    const Real correction = Real(1 / (1 - std::pow(a.beta2, double(a.step))));
    vi good = vi{} - 1;
    for (size_t i = from; i < to; i += LANES) {
        const vf g = gradient(i);
        vf &W = *vectors(w + i), &M = *vectors(m + i), &V = *vectors(v + i), root;
        M = b1 * M + (1 - b1) * g;
        V = b2 * V + (1 - b2) * (g * g);
        for (int l = 0; l < LANES; l++) root[l] = std::sqrt(V[l] * correction);
        W = minimum(maximum(W - rate * M / (root + epsilon), splat(low)), splat(high));
        good &=
            (g - g == vf{}) & (W < splat(Real(LARGEST_VALUE))) & (W > splat(Real(-LARGEST_VALUE)));
    }
    return bits(good) == bits(vi{} - 1);
}

}  // namespace snn
