// surrogate.cpp - how fast can layers of 256 LIF neurons learn by surrogate gradients on one core?
//
//   g++ -std=c++17 -O3 -march=native -fno-math-errno surrogate.cpp -o surrogate
//   ./surrogate PROBLEM ROUNDS [GRADIENT]
//
// PROBLEM: the file that surrogate.py writes. Prints processor ms of a mini-batch, learned and only
// run, and of the dense products of its way back alone; GRADIENT: a file for the gradients of the
// first mini-batch, in the order of the problem's arrays.
//
// Network: input -> 256 LIF neurons -> ... -> LI read-outs, all dense; each layer may be recurrent,
// and that with axonal delays. Equations are those of rule=surrogate with a detached reset and
// 1 / (scale |x| + 1)^2; the loss is the cross entropy of the mean potentials.
//
// What makes it fast:
//   * 8 trials are walked back side by side where a layer is recurrent, so that its weights of
//     256 KB are read from the second-level cache once for all of them; else 8 steps of one trial
//   * products of 8 rows x 3 vectors stay in registers: 24 sums, 3 weights, and a multiplication
//     with an addition in every cycle; weights are laid out in the order in which they are read
//   * the adjoints of 64 neurons in all steps fit the second-level cache, where gradients of
//     weights are gathered from them, spike by spike
//   * read-outs are folded: what a spike of a step is worth is the same for all neurons
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
#include <sys/mman.h>
#if defined(__AVX512F__)
#include <immintrin.h>
#endif

constexpr int N = 256, LANES = 16, V = N / LANES, PART = 4, TRIALS = 8, CHUNK = 16, ROWS = 8;
constexpr int PANELS = 6, FIRST[PANELS + 1] = {0, 3, 6, 9, 12, 14, 16};  // vectors of a panel
constexpr double TAU_MEM = 20, TAU_SYN = 5;
constexpr float THRESHOLD = 1;
#define UNROLL _Pragma("GCC unroll 16")

typedef float vf __attribute__((vector_size(4 * LANES), aligned(64)));
typedef int32_t vi __attribute__((vector_size(4 * LANES), aligned(64)));
static vf* vectors(float* p) { return reinterpret_cast<vf*>(p); }
static inline uint32_t mask(vi hit) {
#if defined(__AVX512DQ__)
    return _mm512_movepi32_mask((__m512i)hit);
#else
    uint32_t found = 0;
    for (int l = 0; l < LANES; l++) found |= uint32_t(hit[l] & 1) << l;
    return found;
#endif
}
static inline vi lanes(uint32_t set) {
#if defined(__AVX512DQ__)
    return (vi)_mm512_movm_epi32(__mmask16(set));
#else
    vi found;
    for (int l = 0; l < LANES; l++) found[l] = -int(set >> l & 1);
    return found;
#endif
}
static inline vf everywhere(float x) {
#if defined(__AVX512F__)
    return (vf)_mm512_set1_ps(x);
#else
    return vf{} + x;
#endif
}
static inline vf gathered(const float* from, vi place) {
#if defined(__AVX512F__)
    return (vf)_mm512_i32gather_ps((__m512i)place, from, 4);
#else
    vf found;
    for (int l = 0; l < LANES; l++) found[l] = from[place[l]];
    return found;
#endif
}
static double processor() {
    timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return 1e3 * t.tv_sec + 1e-6 * t.tv_nsec;
}
struct Numbers {
    float* data = nullptr;
    size_t size = 0;
    void allocate(size_t n) {
        constexpr size_t page = size_t(2) << 20;
        static size_t shift = 0;  // arrays that begin alike would share the sets of the caches
        shift = (shift + 17 * LANES) % (page / 8);
        const size_t bytes = (4 * (n + shift) + page) / page * page;
        size = n, data = static_cast<float*>(std::aligned_alloc(page, bytes)) + shift;
        madvise(data - shift, bytes, MADV_HUGEPAGE);
        std::memset(data, 0, 4 * n);
    }
};

struct Header {
    int32_t inputs, layers, recurrent, delays, outputs, steps, batch;
    float dt, scale;
};
struct Spikes {  // in order of time, and by neuron
    std::vector<uint32_t> start, by_neuron;
    std::vector<uint16_t> who, step;
    void sort(int neurons, int steps) {
        by_neuron.assign(neurons + 1, 0);
        for (uint32_t e = 0; e < start[steps]; e++) by_neuron[who[e] + 1]++;
        for (int i = 0; i < neurons; i++) by_neuron[i + 1] += by_neuron[i];
        std::vector<uint32_t> next(by_neuron.begin(), by_neuron.end());
        step.resize(start[steps]);
        for (int n = 0; n < steps; n++)
            for (uint32_t e = start[n]; e < start[n + 1]; e++) step[next[who[e]]++] = n;
    }
};
struct Example { int label; Spikes spikes; };

// Arrays of one layer, or their gradients or moments: weights [pre][N], delays in ms.
struct Arrays { Numbers into, own, delay; };
struct Layer {
    int pre;
    Arrays w, gradient, first, second;
    Numbers into_by_target, own_by_target;  // in panels: [panel][target][vectors]
    vi whole[V];
    alignas(64) float part[N];
};
// Of a trial: potentials before the threshold [step][N], adjoints of currents [part][step][64],
// sums over targets before delays [step][N].
struct Walked { Numbers tape, delta, sums; Spikes spikes; };

static float* row_of(Numbers& table, int p, int n, int steps) {
    return table.data + (size_t(p) * (steps + 1) + n) * PART * LANES;
}

// to[row][x] (+)= sum over k of panel[k][x] x delta(row, k); delta(row, p): of the p-th 64 targets.
template <int R, int S, class Delta>
static inline void product(const vf* panel, const Delta& delta, float* const* to, int first,
                           bool fresh) {
    vf sum[R][S];
    for (int r = 0; r < R; r++)
        for (int x = 0; x < S; x++) sum[r][x] = fresh ? vf{} : vectors(to[r])[first + x];
    for (int p = 0; p < N / (PART * LANES); p++) {
        const float* d[R];
        for (int r = 0; r < R; r++) d[r] = delta(r, p);
        for (int k = 0; k < PART * LANES; k++, panel += S)
            UNROLL for (int r = 0; r < R; r++) {
                const vf one = everywhere(d[r][k]);
                UNROLL for (int x = 0; x < S; x++) sum[r][x] += panel[x] * one;
            }
    }
    for (int r = 0; r < R; r++)
        for (int x = 0; x < S; x++) vectors(to[r])[first + x] = sum[r][x];
}
template <int R, class Delta>
__attribute__((noinline)) static void products(const Numbers& by_target, const Delta& delta,
                                               float* const* to, bool fresh) {
    for (int q = 0; q < PANELS; q++) {
        const vf* panel = vectors(by_target.data) + size_t(FIRST[q]) * N;
        if (FIRST[q + 1] - FIRST[q] == 3) product<R, 3>(panel, delta, to, FIRST[q], fresh);
        else product<R, 2>(panel, delta, to, FIRST[q], fresh);
    }
}
template <class Delta>  // delta(row, p), to[row]
static void all_products(const Numbers& by_target, int rows, const Delta& delta, float* const* to,
                         bool fresh) {
    int r = 0;
    const auto some = [&](auto size) {
        for (; r + size() <= rows; r += size())
            products<size()>(by_target, [&](int i, int p) { return delta(r + i, p); }, to + r,
                             fresh);
    };
    some(std::integral_constant<int, ROWS>{}), some(std::integral_constant<int, 1>{});
}

struct Network {
    Header h;
    std::vector<Layer> layers;
    Numbers out, out_gradient, out_first, out_second;
    std::vector<Example> examples;
    std::vector<Walked> walked;  // [trial of a group][layer]
    std::vector<float> value, worth;  // of a spike of step n for the read-outs
    Numbers folded[TRIALS], dl_ds[TRIALS], lam[TRIALS];
    float A, B, C;
    double loss = 0;
    long spikes = 0;

    int together() const { return h.recurrent ? TRIALS : 1; }
    Walked& at(int g, int l) { return walked[g * h.layers + l]; }

    void prepare() {
        A = std::exp(-h.dt / TAU_MEM), B = std::exp(-h.dt / TAU_SYN);
        C = TAU_SYN / (TAU_MEM - TAU_SYN) * (A - B);
        value.assign(h.steps + 2, 0);
        double P = 0, Q = 0;  // adjoints of a read-out per unit of dL/dy
        for (int n = h.steps - 1; n >= 0; n--) {
            P += 1.0 / h.steps;
            Q = double(B) * Q + double(C) * P, P *= A;
            value[n] = float(Q);
        }
        walked.resize(TRIALS * h.layers);
        for (int g = 0; g < TRIALS; g++) {
            folded[g].allocate(N), dl_ds[g].allocate(CHUNK * N), lam[g].allocate(2 * N);
            for (int l = 0; l < h.layers; l++) {
                at(g, l).tape.allocate(size_t(h.steps) * N);
                at(g, l).delta.allocate(size_t(h.steps + 1) * N);
                at(g, l).sums.allocate(h.delays ? size_t(h.steps + 80) * N : 1);
                at(g, l).spikes.start.assign(h.steps + 1, 0);
                at(g, l).spikes.who.resize(size_t(h.steps) * N + LANES);
            }
        }
    }
    void turn(const Numbers& from, Numbers& to) {  // weights in panels by target
        for (int q = 0; q < PANELS; q++) {
            const int S = (FIRST[q + 1] - FIRST[q]) * LANES;
            float* panel = to.data + size_t(FIRST[q]) * LANES * N;
            for (int j = 0; j < S; j++)
                for (int k = 0; k < N; k++)
                    panel[size_t(k) * S + j] = from.data[size_t(FIRST[q] * LANES + j) * N + k];
        }
    }
    void refresh() {
        for (Layer& layer : layers) {
            if (layer.pre == N) turn(layer.w.into, layer.into_by_target);
            if (h.recurrent) turn(layer.w.own, layer.own_by_target);
            for (int j = 0; j < N && h.delays; j++) {
                const float d = layer.w.delay.data[j] / h.dt;
                reinterpret_cast<int*>(layer.whole)[j] = int(d), layer.part[j] = d - int(d);
            }
        }
    }

    template <bool RECURRENT, bool DELAYS>
    __attribute__((noinline)) void forward(const Layer& layer, const Spikes& from, int late,
                                           Walked& to) {
        constexpr int RING = 128;
        vf I[V] = {}, U[V] = {}, next[2][V] = {};
        std::vector<uint16_t> way[DELAYS ? RING : 1];
        Spikes& own = to.spikes;
        const int* whole = reinterpret_cast<const int*>(layer.whole);
        const float A = this->A, B = this->B, C = this->C;
        uint32_t count = 0;
        for (int n = 0; n < h.steps; n++) {
            vf in[V];
            UNROLL for (int x = 0; x < V; x++) in[x] = I[x];
            if (n >= late)
                for (uint32_t e = from.start[n - late]; e < from.start[n + 1 - late]; e++) {
                    const vf* row = vectors(layer.w.into.data) + size_t(from.who[e]) * V;
                    UNROLL for (int x = 0; x < V; x++) in[x] += row[x];
                }
            for (uint32_t e = n ? own.start[n - 1] : 0; RECURRENT && e < own.start[n]; e++) {
                if (DELAYS) {
                    way[(n + whole[own.who[e]]) % RING].push_back(own.who[e]);
                    continue;
                }
                const vf* row = vectors(layer.w.own.data) + size_t(own.who[e]) * V;
                UNROLL for (int x = 0; x < V; x++) in[x] += row[x];
            }
            if (DELAYS) {
                vf *now = next[n & 1], *then = next[~n & 1];
                for (int x = 0; x < V; x++) in[x] += now[x], now[x] = vf{};
                for (int pre : way[n % RING]) {
                    const vf* row = vectors(layer.w.own.data) + size_t(pre) * V;
                    const vf g = vf{} + layer.part[pre], rest = 1 - g;
                    UNROLL for (int x = 0; x < V; x++)
                        in[x] += rest * row[x], then[x] += g * row[x];
                }
                way[n % RING].clear();
            }
            vf* tape = vectors(to.tape.data) + size_t(n) * V;
            UNROLL for (int x = 0; x < V; x++) {
                const vf u = A * U[x] + C * in[x];
                tape[x] = u, I[x] = B * in[x];
                const vi hit = u >= THRESHOLD;
                U[x] = hit ? vf{} : u;
                for (uint32_t found = mask(hit); found; found &= found - 1)
                    own.who[count++] = uint16_t(x * LANES + __builtin_ctz(found));
            }
            own.start[n + 1] = count;
        }
        spikes += count;
    }
    // The loss; folded[g]: what a spike's worth is multiplied with.
    void read_out(const Example& example, int g, bool learn) {
        const Spikes& last = at(g, h.layers - 1).spikes;
        std::vector<float> counted(N, 0), delta(h.outputs, 0);
        for (int n = 0; n + 1 < h.steps; n++)
            for (uint32_t e = last.start[n]; e < last.start[n + 1]; e++)
                counted[last.who[e]] += value[n + 1];
        for (int j = 0; j < N; j++)
            for (int o = 0; o < h.outputs; o++)
                delta[o] += counted[j] * out.data[j * h.outputs + o];
        const float largest = *std::max_element(delta.begin(), delta.end());
        float total = 0;
        loss -= delta[example.label] - largest;
        for (float& d : delta) total += d = std::exp(d - largest);
        loss += std::log(total);
        if (!learn) return;
        for (float& d : delta) d /= total;
        delta[example.label] -= 1;
        for (float& d : delta) d /= h.batch;
        for (int j = 0; j < N; j++) {
            float sum = 0;
            for (int o = 0; o < h.outputs; o++) {
                sum += out.data[j * h.outputs + o] * delta[o];
                out_gradient.data[j * h.outputs + o] += counted[j] * delta[o];
            }
            folded[g].data[j] = sum;
        }
    }
    // Step n of a trial, from its end to its start; `sum`: dl_ds.
    void back(Layer& layer, Walked& of, const vf* sum, vf* lam, int n, uint32_t first,
              uint32_t end) {
        uint64_t hit[N / 64] = {};
        for (uint32_t e = first; e < end; e++)
            hit[of.spikes.who[e] / 64] |= uint64_t(1) << of.spikes.who[e] % 64;
        const vf* tape = vectors(of.tape.data) + size_t(n) * V;
        vi lane;
        for (int l = 0; l < LANES; l++) lane[l] = l;
        for (int x = 0; x < V; x++) {
            const vi spiking = lanes(hit[x / 4] >> (x % 4 * LANES) & 0xffff);
            vf dl_ds = sum[x];
            if (h.delays) {  // two steps of the sums of each neuron
                const float* sums = of.sums.data + size_t(n + 1) * N + x * LANES;
                const vi place = layer.whole[x] * N + lane;
                const vf first = gathered(sums, place), second = gathered(sums + N, place);
                dl_ds += first + vectors(layer.part)[x] * (second - first);
            }
            const vf far = tape[x] - THRESHOLD;
            const vf y = h.scale * (far < vf{} ? -far : far) + 1;
            const vf v = (spiking ? vf{} : lam[x]) + dl_ds / (y * y);
            lam[V + x] = C * v + B * lam[V + x], lam[x] = A * v;
            vectors(row_of(of.delta, x / PART, n, h.steps))[x % PART] = lam[V + x];
        }
    }
    // Sums over targets of the steps [from, to) of trial g, from the layer above layer l.
    void from_above(int l, int g, int from, int to) {
        float* rows[CHUNK];
        for (int i = 0; i < to - from; i++) rows[i] = dl_ds[g].data + i * N;
        if (l + 1 < h.layers) {
            const auto delta = [&](int i, int p) {
                return row_of(at(g, l + 1).delta, p, from + i + 1, h.steps);
            };
            all_products(layers[l + 1].into_by_target, to - from, delta, rows, true);
        } else {
            for (int i = 0; i < to - from; i++)
                for (int x = 0; x < V; x++)
                    vectors(rows[i])[x] = value[from + i + 1] * vectors(folded[g].data)[x];
        }
    }
    // Those of step n of all trials, from the layer itself.
    void from_own(int l, int count, int n, int from) {
        float* rows[TRIALS];
        for (int g = 0; g < count; g++)
            rows[g] = h.delays ? at(g, l).sums.data + size_t(n + 1) * N
                               : dl_ds[g].data + (n - from) * N;
        const auto delta = [&](int g, int p) { return lam[g].data + N + p * PART * LANES; };
        all_products(layers[l].own_by_target, count, delta, rows, h.delays);
    }
    // A group of `count` trials through layer l; or nothing but its products.
    void backward(int l, int count, bool products_only) {
        Layer& layer = layers[l];
        for (int g = 0; g < count; g++) std::memset(lam[g].data, 0, 8 * N);
        for (int to = h.steps; to > 0; to -= CHUNK) {
            const int from = std::max(0, to - CHUNK);
            for (int g = 0; g < count; g++) from_above(l, g, from, to);
            for (int n = to - 1; n >= from; n--) {
                for (int g = 0; g < count; g++)  // comes while products are made
                    for (int x = 0; x < V; x++)
                        __builtin_prefetch(at(g, l).tape.data + size_t(n) * N + x * LANES);
                if (h.recurrent) from_own(l, count, n, from);
                for (int g = 0; g < count && !products_only; g++) {
                    Walked& of = at(g, l);
                    back(layer, of, vectors(dl_ds[g].data) + (n - from) * V, vectors(lam[g].data),
                         n, of.spikes.start[n], of.spikes.start[n + 1]);
                }
            }
        }
    }
    void only_products() {
        for (int b = 0; b < h.batch; b += together())
            for (int l = h.layers - 1; l >= 0; l--)
                backward(l, std::min(together(), h.batch - b), true);
    }
    // Gradients of rows of weights, part by part: sums of adjoints where their spikes arrive.
    void gather(const Spikes& from, int pre, Walked& of, int late, float* gradient) {
        for (int p = 0; p < V / PART; p++) {
            const vf* table = vectors(row_of(of.delta, p, 0, h.steps)) + late * PART;
            for (int i = 0; i < pre; i++) {
                const uint32_t first = from.by_neuron[i], end = from.by_neuron[i + 1];
                if (first == end) continue;
                vf* row = vectors(gradient) + size_t(i) * V + p * PART;
                vf total[PART];
                UNROLL for (int x = 0; x < PART; x++) total[x] = row[x];
                for (uint32_t e = first; e < end; e++) {
                    const vf* q = table + size_t(from.step[e]) * PART;
                    UNROLL for (int x = 0; x < PART; x++) total[x] += q[x];
                }
                UNROLL for (int x = 0; x < PART; x++) row[x] = total[x];
            }
        }
    }
    // The same with delays, and their own gradients.
    void gather_late(Layer& layer, Walked& of) {
        for (int p = 0; p < V / PART; p++)
            for (int i = 0; i < N; i++) {
                const int whole = reinterpret_cast<int*>(layer.whole)[i] + 1;
                const vf* table = vectors(row_of(of.delta, p, whole, h.steps));
                vf first[PART] = {}, slope[PART] = {}, change = {};
                for (uint32_t e = of.spikes.by_neuron[i]; e < of.spikes.by_neuron[i + 1]; e++) {
                    if (of.spikes.step[e] + whole >= h.steps) break;
                    const vf* q = table + size_t(of.spikes.step[e]) * PART;
                    UNROLL for (int x = 0; x < PART; x++) first[x] += q[x], slope[x] += q[PART + x];
                }
                vf* row = vectors(layer.gradient.own.data) + size_t(i) * V + p * PART;
                const vf* w = vectors(layer.w.own.data) + size_t(i) * V + p * PART;
                UNROLL for (int x = 0; x < PART; x++) {
                    slope[x] -= first[x];
                    row[x] += first[x] + layer.part[i] * slope[x], change += w[x] * slope[x];
                }
                for (int l = 0; l < LANES; l++)
                    layer.gradient.delay.data[i] += change[l] / h.dt;
            }
    }
    template <class F> void each_array(F f) {
        for (Layer& l : layers) {
            f(l.w.into, l.gradient.into, l.first.into, l.second.into);
            if (h.recurrent) f(l.w.own, l.gradient.own, l.first.own, l.second.own);
            if (h.delays) f(l.w.delay, l.gradient.delay, l.first.delay, l.second.delay);
        }
        f(out, out_gradient, out_first, out_second);
    }
    void batch(bool learn) {
        loss = 0, spikes = 0;
        if (learn)
            each_array([](Numbers&, Numbers& gradient, Numbers&, Numbers&) {
                std::memset(gradient.data, 0, 4 * gradient.size);
            });
        for (int b = 0; b < h.batch; b += together()) {
            const int count = std::min(together(), h.batch - b);
            for (int g = 0; g < count; g++) {
                for (int l = 0; l < h.layers; l++) {
                    const Spikes& from = l ? at(g, l - 1).spikes : examples[b + g].spikes;
                    if (h.delays) forward<true, true>(layers[l], from, l > 0, at(g, l));
                    else if (h.recurrent) forward<true, false>(layers[l], from, l > 0, at(g, l));
                    else forward<false, false>(layers[l], from, l > 0, at(g, l));
                    if (learn) at(g, l).spikes.sort(N, h.steps);
                }
                read_out(examples[b + g], g, learn);
            }
            for (int l = h.layers - 1; learn && l >= 0; l--) {
                backward(l, count, false);
                Layer& layer = layers[l];
                for (int g = 0; g < count; g++) {
                    gather(l ? at(g, l - 1).spikes : examples[b + g].spikes, layer.pre, at(g, l),
                           l > 0, layer.gradient.into.data);
                    if (h.delays) gather_late(layer, at(g, l));
                    else if (h.recurrent)
                        gather(at(g, l).spikes, N, at(g, l), 1, layer.gradient.own.data);
                }
            }
        }
        if (!learn) return;
        each_array([](Numbers& w, Numbers& gradient, Numbers& first, Numbers& second) {
            for (size_t i = 0; i < w.size; i++) {
                const float g = gradient.data[i];
                first.data[i] += 0.1f * (g - first.data[i]);
                second.data[i] += 0.001f * (g * g - second.data[i]);
                w.data[i] -= 1e-9f * first.data[i] / (std::sqrt(second.data[i]) + 1e-8f);
            }
        });
        refresh();
    }
};

template <class T> static T one(FILE* file) {
    T value;
    if (fread(&value, sizeof value, 1, file) != 1) exit(1);
    return value;
}
static void numbers(FILE* file, Numbers& to, size_t n) {
    to.allocate(n);
    if (fread(to.data, 4, n, file) != n) exit(1);
}

int main(int argc, char** argv) {
    if (argc < 3) {
        puts("surrogate PROBLEM ROUNDS [GRADIENT]");
        return 2;
    }
    FILE* file = fopen(argv[1], "rb");
    if (!file) {
        fprintf(stderr, "%s cannot be read\n", argv[1]);
        return 2;
    }
    auto net = std::make_unique<Network>();
    Header& h = net->h;
    h = one<Header>(file);
    net->layers.resize(h.layers);
    for (int l = 0; l < h.layers; l++) {
        Layer& layer = net->layers[l];
        layer.pre = l ? N : h.inputs;
        numbers(file, layer.w.into, size_t(layer.pre) * N);
        if (h.recurrent) numbers(file, layer.w.own, N * N);
        if (h.delays) numbers(file, layer.w.delay, N);
        for (Arrays* a : {&layer.gradient, &layer.first, &layer.second})
            a->into.allocate(layer.w.into.size), a->own.allocate(N * N), a->delay.allocate(N);
        layer.into_by_target.allocate(N * N), layer.own_by_target.allocate(N * N);
    }
    numbers(file, net->out, size_t(N) * h.outputs);
    for (Numbers* x : {&net->out_gradient, &net->out_first, &net->out_second})
        x->allocate(size_t(N) * h.outputs);
    for (int e = 0; e < h.batch; e++) {
        Example example;
        example.label = one<int32_t>(file);
        const int count = one<int32_t>(file);
        example.spikes.start.assign(h.steps + 1, 0);
        for (int i = 0; i < count; i++) {
            example.spikes.start[one<uint16_t>(file) + 1]++;
            example.spikes.who.push_back(one<uint16_t>(file));
        }
        for (int n = 0; n < h.steps; n++) example.spikes.start[n + 1] += example.spikes.start[n];
        example.spikes.sort(h.inputs, h.steps);
        net->examples.push_back(std::move(example));
    }
    fclose(file);
    net->prepare(), net->refresh();
    std::vector<double> learned, run, product;
    for (int r = 0; r <= atoi(argv[2]); r++) {
        const double began = processor();
        net->batch(true);
        const double then = processor();
        if (r == 0 && argc > 3) {
            FILE* out = fopen(argv[3], "wb");
            net->each_array([&](Numbers&, Numbers& gradient, Numbers&, Numbers&) {
                fwrite(gradient.data, 4, gradient.size, out);
            });
            fclose(out);
        }
        net->batch(false);
        const double after = processor();
        net->only_products();
        if (r == 0) continue;  // the first one warms up
        learned.push_back(then - began), run.push_back(after - then);
        product.push_back(processor() - after);
    }
    const auto median = [](std::vector<double> x) {
        std::sort(x.begin(), x.end());
        return x[x.size() / 2];
    };
    printf("learned %.3f run %.3f products %.3f spikes %ld loss %.6f\n", median(learned),
           median(run), median(product), net->spikes, net->loss / h.batch);
}
