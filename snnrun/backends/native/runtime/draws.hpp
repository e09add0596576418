// draws.hpp: what is drawn in each step of a training trial: noise, and which neurons are kept from
// spiking. A draw is a hash of (key of the example and layer, neuron, step) and no member of a
// sequence, so it depends on no thread, no block and no other draw.
#pragma once
#include "constants.hpp"

namespace snn {

typedef std::conditional_t<sizeof(Real) == 4, uint32_t, uint64_t> Word;
typedef Word vu __attribute__((vector_size(VECTOR_BYTES)));

struct Draws {
    bool on = false;
    uint64_t noise = 0, spike_dropout = 0;  // keys
    Word spikes_dropped_below = 0;  // of 2^32: the probability of spike dropout
};

// 32 bits for each lane of vector v at step n: the hash of Dropout (events.hpp), in which neurons
// stand for channels. Lanes of doubles hold the same 32 bits.
static inline vu hash_lanes(uint64_t key, int v, int n) {
    constexpr Word ALL = 0xffffffffu;
    vu h;
    for (int l = 0; l < LANES; l++) h[l] = Word(uint32_t(v * LANES + l) << 16 | uint32_t(n));
    h = ((h ^ Word(uint32_t(key))) * Word(0x85ebca6bu)) & ALL;
    h = ((h ^ (h >> 15) ^ Word(key >> 32)) * Word(0xc2b2ae35u)) & ALL;
    h = ((h ^ (h >> 13)) * Word(0x27d4eb2fu)) & ALL;
    return h ^ (h >> 16);
}

// log of positive numbers. float: Moshier, Cephes logf, within 2 ulp.
static inline vf log_positive(vf x) {
    if constexpr (sizeof(Real) == 8) {
        return log(x);
    } else {
        vi raw;
        memcpy(&raw, &x, sizeof raw);
        vi power = (raw >> 23) - 126;  // x = mantissa 2^power, mantissa in [1/2, 1)
        raw = (raw & 0x007fffff) | 0x3f000000;
        vf f;
        memcpy(&f, &raw, sizeof f);
        const vi small = f < splat(Real(0.707106781186547524));
        power += small;
        f = (small ? f + f : f) - Real(1);
        const vf e = __builtin_convertvector(power, vf), z = f * f;
        vf p = splat(Real(7.0376836292e-2));
        p = p * f - Real(1.1514610310e-1);
        p = p * f + Real(1.1676998740e-1);
        p = p * f - Real(1.2420140846e-1);
        p = p * f + Real(1.4249322787e-1);
        p = p * f - Real(1.6668057665e-1);
        p = p * f + Real(2.0000714765e-1);
        p = p * f - Real(2.4999993993e-1);
        p = p * f + Real(3.3333331174e-1);
        p = p * f * z - e * Real(2.12194440e-4) - Real(0.5) * z;
        return f + p + e * Real(0.693359375);
    }
}

// Standard normal numbers from 32 bits: the highest one is the sign, and the others, m, stand for a
// tail of probability q = (m + 1/2) / 2^32 < 1/2. |z| = sqrt(2) erfinv(1 - 2 q) by the single
// precision polynomials of Giles 2010 (GPU Computing Gems 2, ch. 10): relative error below 1e-6 up
// to |z| = 5.4, and below 4e-4 up to the largest, 6.3.
static inline vf normal(vu h) {
    const vi m = (vi)(h & Word(0x7fffffffu)), negative = (h >> 31) != vu{};
    const vf q = (__builtin_convertvector(m, vf) + Real(0.5)) * Real(1.0 / 4294967296.0);
    const vf w = -log_positive(Real(4) * q * (Real(1) - q));
    const vi outer = w >= splat(Real(5));
    const vf c = w - Real(2.5);
    vf p = splat(Real(2.81022636e-08));
    p = p * c + Real(3.43273939e-07);
    p = p * c - Real(3.5233877e-06);
    p = p * c - Real(4.39150654e-06);
    p = p * c + Real(0.00021858087);
    p = p * c - Real(0.00125372503);
    p = p * c - Real(0.00417768164);
    p = p * c + Real(0.246640727);
    p = p * c + Real(1.50140941);
    if (bits(outer)) {
        const vf t = sqrt(w) - Real(3);
        vf o = splat(Real(-0.000200214257));
        o = o * t + Real(0.000100950558);
        o = o * t + Real(0.00134934322);
        o = o * t - Real(0.00367342844);
        o = o * t + Real(0.00573950773);
        o = o * t - Real(0.0076224613);
        o = o * t + Real(0.00943887047);
        o = o * t + Real(1.00167406);
        o = o * t + Real(2.83297682);
        p = outer ? o : p;
    }
    const vf z = p * (Real(1) - Real(2) * q) * Real(1.4142135623730951);
    return negative ? -z : z;
}

// Draws below it drop a spike.
template <class M>
static inline Word spikes_dropped_below(const typename M::template Numbers<double>& n) {
    if constexpr (M::DROPS_SPIKES) return Word(uint32_t(n.SPIKE_DROPOUT * 4294967295.0));
    else return 0;
}

// Noise of step n for the neurons of vector v.
template <class M>
static inline void add_noise(const Draws& draws, vf* x, const Constants<M, vf>& k, int v, int n) {
    if (draws.on) x[M::THRESHOLD_STATE] += normal(hash_lanes(draws.noise, v, n)) * k.shared.NOISE;
}

// Whether the neurons of vector v are kept from spiking in step n.
static inline vi drops_spikes(const Draws& draws, int v, int n) {
    return hash_lanes(draws.spike_dropout, v, n) < draws.spikes_dropped_below;
}

// What is left of the currents that a projection gives to neurons: 0 where they are dropped.
struct CurrentDropout {
    bool on = false;
    uint64_t key = 0;
    Word dropped_below = 0;  // of 2^32
    Real scale = 1;
    vf kept(int v, int n) const {  // factor of vector v in step n
        if (!on) return splat(Real(1));
        const vi kept = hash_lanes(key, v, n) >= dropped_below;
        return kept ? splat(scale) : vf{};
    }
};

}  // namespace snn
