// vector.hpp: one SIMD register of Reals, through GCC/Clang vector extensions.
#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#if defined(__AVX512F__) || defined(__AVX2__) || defined(__SSE2__)
#include <immintrin.h>
#endif

#ifndef SNN_REAL
#define SNN_REAL float
#endif

namespace snn {

typedef SNN_REAL Real;
#if defined(__AVX512F__)
constexpr int VECTOR_BYTES = 64, MAX_BLOCK = 16;  // 32 registers
#elif defined(__AVX__)
constexpr int VECTOR_BYTES = 32, MAX_BLOCK = 8;   // 16 registers
#elif defined(__aarch64__)
constexpr int VECTOR_BYTES = 16, MAX_BLOCK = 16;  // 32 registers
#else
constexpr int VECTOR_BYTES = 16, MAX_BLOCK = 8;
#endif
constexpr int LANES = VECTOR_BYTES / sizeof(Real);
typedef std::conditional_t<sizeof(Real) == 4, int32_t, int64_t> Int;
typedef Real vf __attribute__((vector_size(VECTOR_BYTES)));
typedef Int vi __attribute__((vector_size(VECTOR_BYTES)));

// a register of numbers that stand anywhere
typedef Real uvf __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(Real))));

static inline vf splat(Real x) { return vf{} + x; }
static inline vf splat(vf x) { return x; }
// A number that is read from memory into all lanes.
static inline vf everywhere(const Real* x) {
#if defined(__AVX512F__)
    if constexpr (sizeof(Real) == 4) return (vf)_mm512_set1_ps(float(*x));
    else return (vf)_mm512_set1_pd(double(*x));
#elif defined(__AVX__)
    if constexpr (sizeof(Real) == 4) return (vf)_mm256_set1_ps(float(*x));
    else return (vf)_mm256_set1_pd(double(*x));
#else
    return splat(*x);
#endif
}
// The same, of which the compiler knows nothing.
static inline vf in_register(vf x) {
#if defined(__x86_64__) && defined(__AVX512F__)
    __asm__("" : "+v"(x));
#elif defined(__x86_64__)
    __asm__("" : "+x"(x));
#elif defined(__aarch64__)
    __asm__("" : "+w"(x));
#endif
    return x;
}
static inline vf maximum(vf a, vf b) { return a > b ? a : b; }
static inline vf minimum(vf a, vf b) { return a < b ? a : b; }
static inline vf maximum(vf a, Real b) { return maximum(a, splat(b)); }
static inline vf maximum(Real a, vf b) { return maximum(splat(a), b); }
static inline vf minimum(vf a, Real b) { return minimum(a, splat(b)); }
static inline vf minimum(Real a, vf b) { return minimum(splat(a), b); }
static inline double maximum(double a, double b) { return a > b ? a : b; }
static inline double minimum(double a, double b) { return a < b ? a : b; }
static inline float maximum(float a, float b) { return a > b ? a : b; }
static inline float minimum(float a, float b) { return a < b ? a : b; }

// Bit l is set where lane l of the comparison holds.
static inline uint32_t bits(vi mask) {
#if defined(__AVX512DQ__)
    if constexpr (sizeof(Real) == 4) return _mm512_movepi32_mask((__m512i)mask);
    else return _mm512_movepi64_mask((__m512i)mask);
#elif defined(__AVX__) && !defined(__AVX512F__)
    if constexpr (sizeof(Real) == 4) return _mm256_movemask_ps((__m256)mask);
    else return _mm256_movemask_pd((__m256d)mask);
#else
    uint32_t result = 0;
    for (int l = 0; l < LANES; l++) result |= uint32_t(mask[l] & 1) << l;
    return result;
#endif
}

// Sum of the lanes, always in the same order: halves are folded onto each other.
template <int N, class V> static inline Real fold(V x) {
    if constexpr (N == 1) return x[0];
    else {
        typedef Real Half __attribute__((vector_size(N * sizeof(Real) / 2)));
        Half low, high;
        memcpy(&low, &x, sizeof low);
        memcpy(&high, reinterpret_cast<const char*>(&x) + sizeof low, sizeof high);
#if defined(__AVX512F__)  // compilers take the way through memory here
        if constexpr (sizeof x == 64) {
            low = (Half)_mm512_castpd512_pd256((__m512d)x);
            high = (Half)_mm512_extractf64x4_pd((__m512d)x, 1);
        }
#endif
        if constexpr (N == 2) return x[0] + x[1];
        else return fold<N / 2, Half>(low + high);
    }
}
static inline Real sum(vf x) { return fold<LANES>(x); }

// exp of every lane. float: 2^k times a polynomial (Moshier, Cephes expf), within 2 ulp.
static inline vf exponential(vf x) {
    if constexpr (sizeof(Real) == 8) {
        for (int l = 0; l < LANES; l++) x[l] = std::exp(x[l]);
        return x;
    } else {
        const vf low = splat(Real(-87)), high = splat(Real(88));
        const vi tiny = x < low;
        x = x > high ? high : tiny ? low : x;
        const vf magic = splat(Real(12582912));  // 1.5 * 2^23: adding it rounds to an integer
        const vf k = (x * Real(1.44269504) + magic) - magic;
        const vf r = (x - k * Real(0.693359375)) - k * Real(-2.12194440e-4);
        vf p = splat(Real(1.9875691500e-4));
        p = p * r + Real(1.3981999507e-3);
        p = p * r + Real(8.3334519073e-3);
        p = p * r + Real(4.1665795894e-2);
        p = p * r + Real(1.6666665459e-1);
        p = p * r + Real(5.0000001201e-1);
        p = p * r * r + r + Real(1);
        const vi power = (__builtin_convertvector(k, vi) + 127) << 23;
        vf scale;
        memcpy(&scale, &power, sizeof scale);
        return tiny ? vf{} : p * scale;
    }
}

// Functions of the equation language, for numbers and for registers.
using std::exp, std::fabs, std::floor, std::log, std::pow, std::sqrt, std::tanh;
template <class F> static inline vf each_lane(vf x, F f) {
    for (int l = 0; l < LANES; l++) x[l] = f(x[l]);
    return x;
}
static inline vf exp(vf x) { return exponential(x); }
static inline vf log(vf x) { return each_lane(x, [](Real v) { return std::log(v); }); }
static inline vf sqrt(vf x) { return each_lane(x, [](Real v) { return std::sqrt(v); }); }
static inline vf tanh(vf x) { return each_lane(x, [](Real v) { return std::tanh(v); }); }
template <class X> using IfNumber = std::enable_if_t<std::is_floating_point_v<X>, X>;
template <class X> static inline IfNumber<X> sign(X x) { return X(x > 0) - X(x < 0); }
template <class X> static inline IfNumber<X> side(X x) { return (sign(x) + 1) / 2; }
static inline vf fabs(vf x) { return x < vf{} ? -x : x; }
static inline vf floor(vf x) { return each_lane(x, [](Real v) { return std::floor(v); }); }
static inline vf sign(vf x) { return x > vf{} ? vf{} + 1 : x < vf{} ? vf{} - 1 : vf{}; }
static inline vf side(vf x) { return (sign(x) + Real(1)) * Real(0.5); }
static inline vf pow(vf x, Real y) { return each_lane(x, [=](Real v) { return std::pow(v, y); }); }
static inline vf pow(Real x, vf y) { return each_lane(y, [=](Real v) { return std::pow(x, v); }); }
static inline vf pow(vf x, vf y) {
    for (int l = 0; l < LANES; l++) x[l] = std::pow(x[l], y[l]);
    return x;
}

// growth(z) = (exp(z) - 1) / z and its derivative: a series where |z| < 1/2, else as it stands.
template <class X, size_t N> static inline X series(X z, const double (&terms)[N]) {
    constexpr int COUNT = sizeof(Real) == 8 ? N : N - 6;  // what floats can tell apart
    X sum = z * Real(0) + Real(terms[COUNT - 1]);
    for (int n = COUNT - 2; n >= 0; n--) sum = sum * z + Real(terms[n]);
    return sum;
}
constexpr double factorial(int n) { return n < 2 ? 1 : n * factorial(n - 1); }
#define SNN_TERMS(t) {t(0), t(1), t(2), t(3), t(4), t(5), t(6), t(7), t(8), t(9), t(10), t(11), \
                      t(12), t(13), t(14)}
#define SNN_GROWTH(n) (1 / factorial(n + 1))
#define SNN_GROWTH_SLOPE(n) ((n + 1) / factorial(n + 2))
constexpr double GROWTH[] = SNN_TERMS(SNN_GROWTH), GROWTH_SLOPE[] = SNN_TERMS(SNN_GROWTH_SLOPE);
template <class X> static inline IfNumber<X> growth(X z) {
    return std::fabs(z) < X(0.5) ? series(z, GROWTH) : std::expm1(z) / z;
}
template <class X> static inline IfNumber<X> growth_slope(X z) {
    return std::fabs(z) < X(0.5) ? series(z, GROWTH_SLOPE) : (std::exp(z) - growth(z)) / z;
}
static inline vf growth(vf z) {
    const vf near = series(z, GROWTH);
    const vi far = fabs(z) >= splat(Real(0.5));
    return bits(far) ? far ? (exponential(z) - Real(1)) / z : near : near;
}
static inline vf growth_slope(vf z) {
    const vf near = series(z, GROWTH_SLOPE);
    const vi far = fabs(z) >= splat(Real(0.5));
    return bits(far) ? far ? (exponential(z) - growth(z)) / z : near : near;
}

// Smallest shape that holds N values: blocks of at most MAX_BLOCK vectors, all of the same size.
template <int N> struct Shape {
    static constexpr int vectors = (N + LANES - 1) / LANES;
    static constexpr int blocks = (vectors + MAX_BLOCK - 1) / MAX_BLOCK;
    static constexpr int B = (vectors + blocks - 1) / blocks;  // vectors of a block
    static constexpr int BW = B * LANES;                       // values of a block
    static constexpr int width = blocks * BW;
};

#define SNN_UNROLL _Pragma("GCC unroll 16")

// The numbers at these places.
static inline vf gathered(const Real* from, vi place) {
#if defined(__AVX512F__)
    if constexpr (sizeof(Real) == 4) return (vf)_mm512_i32gather_ps((__m512i)place, from, 4);
    else return (vf)_mm512_i64gather_pd((__m512i)place, from, 8);
#elif defined(__AVX2__)
    if constexpr (sizeof(Real) == 4)
        return (vf)_mm256_i32gather_ps((const float*)from, (__m256i)place, 4);
    else return (vf)_mm256_i64gather_pd((const double*)from, (__m256i)place, 8);
#else
    vf found;
    for (int l = 0; l < LANES; l++) found[l] = from[place[l]];
    return found;
#endif
}

}  // namespace snn
