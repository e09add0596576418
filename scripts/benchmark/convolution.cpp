// convolution.cpp - how fast can EventProp train one convolutional layer of spiking neurons on one
// core?
//
//   g++ -std=c++17 -O3 -march=native -fno-math-errno convolution.cpp -o convolution
//   ./convolution PROBLEM ROUNDS [GRADIENT]
//
// PROBLEM: the file that convolution.py writes. Prints processor ms of a mini-batch, learned and
// only run, and what the caches can do; GRADIENT: a file for the gradients of the first mini-batch, kernel, then read-out.
//
// Network: input 34 x 34 x 2 -> convolution, kernel 5 x 5, stride 2, padding 2 -> 17 x 17 x 16 LIF
// neurons -> 10 LI read-outs, dense. Equations and loss are those of floor.cpp.
//
// What makes it fast:
//   * the 16 channels of a place are one vector, so a spike adds at most 3 x 3 vectors; the kernel
//     of each parity of the spike's row and column is laid out as 3 x 3 with zeros, and the places
//     have a margin, so that nothing depends on where the spike was
//   * the way back has the adjoints of one step only: the kernel's gradient, 5 KB, is added to in
//     the order of time, and stays in the first-level cache
//   * places with spikes are bits of a word, so that few branches are mispredicted
//   * read-outs are folded as in floor.cpp, their weights [output][neuron]
//   * the trial ends where no input is left and no current exceeds the threshold
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <memory>
#include <string>
#include <vector>
#include <immintrin.h>

constexpr int IN = 34, COLOURS = 2, KERNEL = 5, OUT = 17, LANES = 16, OUTPUTS = 10, STEPS = 100;
constexpr int SIDE = OUT + 2, PLACES = SIDE * SIDE, NEURONS = PLACES * LANES;  // with the margin
constexpr int ROWS = 3;                     // of places, whose spikes are listed together
constexpr int TAPS = 9, LAYOUTS = 2 * 2 * COLOURS;  // of a spike; by parities and colour
constexpr double TAU_MEM = 20, TAU_SYN = 5, DT = 1;
constexpr float THRESHOLD = 1;

typedef float vf __attribute__((vector_size(4 * LANES), aligned(64)));
template <int N> struct Vectors {
    vf of[N];
    float* data() { return (float*)of; }
    void zero() { memset((void*)of, 0, sizeof of); }
};
static double processor() {
    timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return 1e3 * t.tv_sec + 1e-6 * t.tv_nsec;
}

static inline uint32_t mask(decltype(vf{} >= 0) hit) {
#ifdef __AVX512F__
    return _mm512_movepi32_mask((__m512i)hit);
#else
    uint32_t found = 0;
    for (int l = 0; l < LANES; l++) found |= uint32_t(hit[l] & 1) << l;
    return found;
#endif
}

struct Spike { uint16_t first, layout; };   // first of its 3 x 3 places; which kernel it sees
struct Example {
    int label;
    std::vector<uint32_t> start;            // spikes of step n: start[n] .. start[n + 1]
    std::vector<Spike> spikes;
    int last = 0;                           // first step without any later input
};

// Weights, or a gradient or moments of them.
struct Weights {
    Vectors<LAYOUTS * TAPS> kernel;
    Vectors<OUTPUTS * PLACES> readout;      // [output][place]
};

// value: what a read-out sums, of a spike of step n per weight; shift: tau_mem times what that
// loses per ms if the spike comes a step later (docs/semantics.md); floor.cpp has the derivative.
struct Constants {
    float a, b, c, value[STEPS], shift[STEPS];
    Constants() {
        const double A = std::exp(-DT / TAU_MEM), B = std::exp(-DT / TAU_SYN);
        const double C = TAU_SYN / (TAU_MEM - TAU_SYN) * (A - B), T = STEPS * DT;
        a = A, b = B, c = C;
        double P = 0, Q = 0, later = 0;
        for (int n = STEPS - 1; n >= 0; n--) {
            P += DT / T * std::exp(-(n + 1) * DT / T);
            value[n] = Q, shift[n] = TAU_MEM / DT * (Q - later), later = Q;
            Q = B * Q + C * P, P *= A;
        }
    }
};

struct Network {
    Constants k;
    Weights w{}, gradient{}, first{}, second{};
    bool used[LAYOUTS * TAPS] = {};
    Vectors<PLACES> V, I, p, q, counted, pushed;
    uint16_t hits[PLACES];                  // which channels of a place spike
    uint32_t start[STEPS + 1];
    std::vector<uint16_t> who;
    std::vector<float> inverse;
    long spikes = 0, updates = 0;
    double loss = 0;
    float delta[OUTPUTS];

    Network() : who(size_t(STEPS) * NEURONS + 64), inverse(who.size()) {}

    template <class F> static void each_place(F f) {
        for (int y = 1; y <= OUT; y++)
            for (int x = 1; x <= OUT; x++) f(y * SIDE + x);
    }
    __attribute__((noinline)) void forward(const Example& s) {
        V.zero(), I.zero(), start[0] = 0;
        uint32_t count = 0;
        int n = 0;
        for (bool alive = true; n < STEPS && alive; n++) {
            for (uint32_t e = s.start[n]; e < s.start[n + 1]; e++) {
                const vf* from = w.kernel.of + s.spikes[e].layout;
                vf* to = I.of + s.spikes[e].first;
                for (int t = 0; t < TAPS; t++) to[t / 3 * SIDE + t % 3] += from[t];
            }
            alive = n + 1 < s.last;
            vf most = {};
            for (int y = 1; y <= OUT; y += ROWS) {
                uint64_t places = 0;        // that have spikes
                for (int row = y; row < std::min(y + ROWS, OUT + 1); row++) {
                    uint64_t of_row = 0;
                    #pragma GCC unroll 17
                    for (int x = 0; x < OUT; x++) {
                        const int at = row * SIDE + x + 1;
                        const vf current = I.of[at], u = k.a * V.of[at] + k.c * current;
                        const auto hit = u >= THRESHOLD;
                        V.of[at] = hit ? vf{} : u;
                        I.of[at] = k.b * current;
                        most = most > current ? most : current;
                        hits[at] = mask(hit), of_row |= uint64_t(hits[at] != 0) << x;
                    }
                    places |= of_row << (row - y) * OUT;
                }
                for (; places; places &= places - 1) {
                    const int i = __builtin_ctzll(places);
                    const int at = (y + i / OUT) * SIDE + i % OUT + 1;
                    for (uint32_t left = hits[at]; left; left &= left - 1, count++) {
                        who[count] = uint16_t(at * LANES + __builtin_ctz(left));
                        inverse[count] = I.data()[who[count]];
                    }
                }
            }
            if (!alive)
                for (int l = 0; l < LANES; l++) alive |= k.b * most[l] >= THRESHOLD;
            start[n + 1] = count;
        }
        for (; n < STEPS; n++) start[n + 1] = count;
        for (uint32_t e = 0; e < count; e++) inverse[e] = 1 / (inverse[e] / k.b - THRESHOLD);
        spikes += count;
    }
    // The loss; delta: its derivatives by the read-outs.
    void read_out(const Example& s, float share) {
        counted.zero();
        for (int n = 0; n < STEPS; n++)
            for (uint32_t e = start[n]; e < start[n + 1]; e++) counted.data()[who[e]] += k.value[n];
        float largest = -INFINITY, total = 0;
        for (int o = 0; o < OUTPUTS; o++) {
            vf sum = {};
            const vf* row = w.readout.of + o * PLACES;
            for (int at = 0; at < PLACES; at++) sum += counted.of[at] * row[at];
            delta[o] = 0;
            for (int l = 0; l < LANES; l++) delta[o] += sum[l];
            largest = std::max(largest, delta[o]);
        }
        loss -= share * (delta[s.label] - largest);
        for (float& d : delta) total += d = std::exp(d - largest);
        loss += share * std::log(total);
        for (int o = 0; o < OUTPUTS; o++) delta[o] = share * (delta[o] / total - (o == s.label));
    }
    __attribute__((noinline)) void backward(const Example& s) {
        pushed.zero();
        for (int o = 0; o < OUTPUTS; o++)
            for (int at = 0; at < PLACES; at++) {
                pushed.of[at] += delta[o] * w.readout.of[o * PLACES + at];
                gradient.readout.of[o * PLACES + at] += delta[o] * counted.of[at];
            }
        p.zero(), q.zero();
        int n = STEPS - 1;
        while (n >= 0 && start[n] == start[STEPS]) n--;
        for (; n >= 0; n--) {
            for (uint32_t e = start[n]; e < start[n + 1]; e++) {
                float& own = p.data()[who[e]];
                own += (THRESHOLD * own + k.shift[n] * pushed.data()[who[e]]) * inverse[e];
            }
            each_place([&](int at) {
                q.of[at] = k.b * q.of[at] + k.c * p.of[at], p.of[at] *= k.a;
            });
            for (uint32_t e = s.start[n]; e < s.start[n + 1]; e++) {
                vf* to = gradient.kernel.of + s.spikes[e].layout;
                const vf* from = q.of + s.spikes[e].first;
                for (int t = 0; t < TAPS; t++) to[t] += from[t / 3 * SIDE + t % 3];
            }
        }
    }
    // Adam, of which the kernel's layouts hold each weight once. Clears the gradient.
    void update(float rate) {
        updates++;
        const float u1 = 1 / (1 - std::pow(0.9, updates)), u2 = 1 / (1 - std::pow(0.999, updates));
        const auto step = [&](vf& w, vf& g, vf& m, vf& v) {
            m = 0.9f * m + 0.1f * g, v = 0.999f * v + 0.001f * g * g;
            vf root;
            for (int l = 0; l < LANES; l++) root[l] = std::sqrt(v[l] * u2);
            w -= rate * u1 * m / (root + 1e-8f), g = vf{};
        };
        const auto all = [&](auto part, int count, auto wanted) {
            vf *weights = (w.*part).of, *slopes = (gradient.*part).of;
            for (int t = 0; t < count; t++)
                if (!wanted(t)) slopes[t] = vf{};
                else step(weights[t], slopes[t], (first.*part).of[t], (second.*part).of[t]);
        };
        all(&Weights::kernel, LAYOUTS * TAPS, [&](int t) { return used[t]; });
        all(&Weights::readout, OUTPUTS * PLACES, [](int) { return true; });
    }
};

// Where the row (or column) of a kernel stands that reaches the t-th of three places from a source
// of that parity; -1: none does.
static int tap(int parity, int t) {
    const int row = KERNEL - 1 + parity - 2 * t;
    return row >= 0 && row < KERNEL ? row : -1;
}
// f(number in the file, vector) of each vector of the kernel.
template <class F> static void each_tap(F f) {
    for (int layout = 0; layout < LAYOUTS; layout++)
        for (int t = 0; t < TAPS; t++) {
            const int y = tap(layout / (2 * COLOURS), t / 3);
            const int x = tap(layout / COLOURS % 2, t % 3);
            if (y >= 0 && x >= 0)
                f(((y * KERNEL + x) * COLOURS + layout % COLOURS) * LANES, layout * TAPS + t);
        }
}
template <class T> static std::vector<T> take(FILE* file, size_t count) {
    std::vector<T> found(count);
    if (fread(found.data(), sizeof(T), count, file) != count)
        fprintf(stderr, "the problem's file ends too early\n"), exit(2);
    return found;
}
constexpr int WEIGHTS = KERNEL * KERNEL * COLOURS * LANES, HIDDEN = OUT * OUT * LANES;
static int neuron(int j) {  // with the margin
    const int place = j / LANES;
    return ((place / OUT + 1) * SIDE + place % OUT + 1) * LANES + j % LANES;
}

// GB/s of the caches: a row of currents added to one of potentials, over and over.
static double bandwidth(Network& net) {
    constexpr int TIMES = 20000;
    const double began = processor();
    for (int t = 0; t < TIMES; t++) {
        for (int at = 0; at < PLACES; at++) net.V.of[at] += net.I.of[at];
        asm volatile("" ::: "memory");
    }
    return TIMES * double(PLACES) * 3 * sizeof(vf) / (processor() - began) * 1e-6;
}

int main(int argc, char** argv) {
    FILE* file = argc > 2 ? fopen(argv[1], "rb") : nullptr;
    if (!file) return fprintf(stderr, "usage: convolution PROBLEM ROUNDS [GRADIENT]\n"), 2;
    _mm_setcsr(_mm_getcsr() | 0x8040);      // numbers too small for full precision are zero
    const auto made = std::make_unique<Network>();
    Network& net = *made;
    const auto kernel = take<float>(file, WEIGHTS), readout = take<float>(file, HIDDEN * OUTPUTS);
    each_tap([&](int from, int to) {
        net.used[to] = true, memcpy((void*)&net.w.kernel.of[to], &kernel[from], sizeof(vf));
    });
    for (int i = 0; i < HIDDEN * OUTPUTS; i++)
        net.w.readout.data()[i % OUTPUTS * NEURONS + neuron(i / OUTPUTS)] = readout[i];
    std::vector<Example> examples(take<int32_t>(file, 1)[0]);
    for (auto& s : examples) {
        const auto head = take<int32_t>(file, 2);
        const auto pairs = take<uint16_t>(file, 2 * head[1]);  // step, channel; in order of time
        s.label = head[0], s.start.assign(STEPS + 1, 0);
        for (int e = 0; e < head[1]; e++) {
            const int step = pairs[2 * e], channel = pairs[2 * e + 1];
            const int y = channel / COLOURS / IN, x = channel / COLOURS % IN;
            const int layout = (y % 2 * 2 + x % 2) * COLOURS + channel % COLOURS;
            s.spikes.push_back({uint16_t(y / 2 * SIDE + x / 2), uint16_t(layout * TAPS)});
            s.start[step + 1]++, s.last = step + 1;
        }
        for (int n = 0; n < STEPS; n++) s.start[n + 1] += s.start[n];
    }
    const int rounds = atoi(argv[2]);
    std::vector<double> learned, run;
    for (int r = 0; r <= rounds; r++) {
        net.loss = net.spikes = 0;
        double began = processor();
        for (const auto& s : examples) net.forward(s);
        if (r) run.push_back(processor() - began);
        net.loss = net.spikes = 0, began = processor();
        for (const auto& s : examples)
            net.forward(s), net.read_out(s, 1.0f / examples.size()), net.backward(s);
        if (!r && argc > 3) {
            FILE* out = fopen(argv[3], "wb");
            std::vector<float> found(WEIGHTS + HIDDEN * OUTPUTS);
            each_tap([&](int to, int from) {
                for (int l = 0; l < LANES; l++) found[to + l] = net.gradient.kernel.of[from][l];
            });
            for (int i = 0; i < HIDDEN * OUTPUTS; i++)
                found[WEIGHTS + i] =
                    net.gradient.readout.data()[i % OUTPUTS * NEURONS + neuron(i / OUTPUTS)];
            fwrite(found.data(), 4, found.size(), out), fclose(out);
        }
        net.update(1e-9f);
        if (r) learned.push_back(processor() - began);
    }
    std::sort(learned.begin(), learned.end()), std::sort(run.begin(), run.end());
    net.V.zero(), net.I.zero();
    printf("learned %.4f run %.4f spikes %ld loss %.7f bandwidth %.1f\n", learned[rounds / 2],
           run[rounds / 2], net.spikes, net.loss, bandwidth(net));
}
