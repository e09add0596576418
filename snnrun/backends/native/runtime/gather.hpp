// gather.hpp: gradients of weights, gathered from the adjoints of a layer's input state.
#pragma once
#include "delays.hpp"

namespace snn {

// Adds to each presynaptic neuron's row of gradients the adjoints at the steps of its arrivals. The
// first example of a slot overwrites (`FRESH`), so that no gradient is ever cleared. STRIDE:
// vectors of a row of gradients; TABLE: from one step to the next.
template <int STRIDE, int S, bool FRESH, int TABLE = S>
static void gather_part(vf* rows, const vf* table, int count, const uint32_t* start,
                        const uint16_t* step, int shift) {
    table += shift * TABLE;
    for (int i = 0; i < count; i++) {
        const uint32_t first = start[i], end = start[i + 1];
        if (!FRESH && first == end) continue;
        vf total[S];
        vf* row = rows + size_t(i) * STRIDE;
        SNN_UNROLL for (int x = 0; x < S; x++) total[x] = FRESH ? vf{} : row[x];
        for (uint32_t e = first; e < end; e++) {
            const vf* q = table + size_t(step[e]) * TABLE;
            SNN_UNROLL for (int x = 0; x < S; x++) total[x] += q[x];
        }
        SNN_UNROLL for (int x = 0; x < S; x++) row[x] = total[x];
    }
}

// Calls f(how many, p) for part p of a block of L, the number of its vectors as a type.
template <class L, class F> inline void with_part(int p, F f) {
    constexpr int S = Table<L>::S, REST = L::B % S;
    if constexpr (REST > 0)
        if (p == Table<L>::PARTS - 1) return f(std::integral_constant<int, REST>{}, p);
    f(std::integral_constant<int, S>{}, p);
}

// Gradients of `count` rows of dense weights into block b.
template <class L>
void gather(Table<L>& adjoint, Real* rows, int b, int count, const uint32_t* start,
            const uint16_t* step, int shift, bool fresh) {
    for (int q = 0; q < Table<L>::PARTS; q++)
        with_part<L>(q, [&](auto size, int p) {
            constexpr int COUNT = decltype(size)::value, S = Table<L>::S;
            constexpr int ROW = Table<L>::ROWWISE ? L::WIDTH / LANES : COUNT;
            const vf* table = adjoint.part(b, p * S);
            vf* first = vectors(rows) + p * S;
            if (fresh)
                gather_part<L::B, COUNT, true, ROW>(first, table, count, start, step, shift);
            else gather_part<L::B, COUNT, false, ROW>(first, table, count, start, step, shift);
        });
}

// One of several pieces of the work to gather from a trial, each for a thread.
struct Piece {
    int number = 0, count = 1;
    int first(int rows) const { return int(int64_t(rows) * number / count); }
    int end(int rows) const { return int(int64_t(rows) * (number + 1) / count); }
    bool takes(int one) const { return one % count == number; }  // of what is not divided
};

// The same sums for projection K from a layer that has spiked less than once a neuron: spikes are
// visited in order of time, since to ask each neuron whether it has any would take longer.
template <int K, class L, class Source>
void gather_few(Work<L>& work, const Work<Source>& source, Tensors<L>& gradient, int b,
                const Piece& piece, bool fresh) {
    using Own = typename L::template Into<K>;
    const int low = piece.first(Own::PRE), high = piece.end(Own::PRE);
    Real* rows = gradient.template rows<K>(b, 0);
    if (fresh) std::fill(rows + size_t(low) * L::BW, rows + size_t(high) * L::BW, Real(0));
    auto& adjoints = work.input_adjoint[Own::PORT];
    for (int c = 0; c < Source::STRANDS; c++) {
        const auto& s = source.spikes[c];
        for (int n = 0; n < L::STEPS; n++)  // arrives a step later
            for (uint32_t e = s.start[n]; e < s.start[n + 1]; e++) {
                const int pre = c * Source::STRAND + s.neuron[e];
                if (pre < low || pre >= high) continue;
                vf* row = vectors(rows + size_t(pre) * L::BW);
                SNN_UNROLL for (int x = 0; x < L::B; x++) row[x] += adjoints.at(b, n + 1, x);
            }
    }
}

// The arrivals of `count` presynaptic neurons from `first` on: those of the i-th of them could be
// in steps step[start[i]] .. step[start[i + 1]], each plus the shift.
struct Arrivals {
    int first, count;
    const uint32_t* start;
    const uint16_t* step;
    int shift;
};

// Adds to the gradients of dense weights of `pre` towards block b what its arrivals with axonal
// delays read, and to `of_delay` what the delay would change.
template <int K, class L>
static inline void gather_axonal(Work<L>& work, const Tensors<L>& values, Real* gradient, int b,
                                 int pre, Late delay, const uint16_t* from, const uint16_t* end,
                                 int shift, Real& of_delay) {
    using Own = typename L::template Into<K>;
    const int whole = delay.whole;
    const Real g = delay.part;
    for (int q = 0; q < Table<L>::PARTS; q++)
        with_part<L>(q, [&](auto size, int p) {
            constexpr int COUNT = decltype(size)::value, S = Table<L>::S;
            constexpr int STRIDE = Table<L>::ROWWISE ? L::WIDTH / LANES : COUNT;
            const vf* table = work.template adjoints<K>().part(b, p * S);
            vf of_weights[COUNT] = {}, slope[COUNT] = {};
            if (work.width == 0) {  // sums of the first steps, and of the second ones
                const vf* first = table + size_t(shift + whole) * STRIDE;
                for (const uint16_t* e = from; e < end && *e + shift + whole < L::STEPS; e++) {
                    const vf* row = first + size_t(*e) * STRIDE;  // behind the last one all are 0
                    SNN_UNROLL for (int x = 0; x < COUNT; x++)
                        of_weights[x] += row[x], slope[x] += row[x + STRIDE];
                }
                SNN_UNROLL for (int x = 0; x < COUNT; x++) {
                    slope[x] -= of_weights[x];
                    of_weights[x] += g * slope[x];
                }
            } else {
                for (const uint16_t* e = from; e < end; e++)
                    each_share(delay, work.width, [&](int t, Real h, Real dh) {
                        const int m = *e + shift + t - 1;
                        if (m >= L::STEPS) return;
                        const vf* row = table + size_t(m) * STRIDE;
                        SNN_UNROLL for (int x = 0; x < COUNT; x++)
                            of_weights[x] += h * row[x], slope[x] += dh * row[x];
                    });
            }
            if (Own::DELAY_TRAINED) {
                vf change = {};
                const vf* w = vectors(values.template rows<K>(b, pre)) + p * S;
                SNN_UNROLL for (int x = 0; x < COUNT; x++) change += w[x] * slope[x];
                of_delay += sum(change);
            }
            if (Own::BY_GRADIENT)
                SNN_UNROLL for (int x = 0; x < COUNT; x++)
                    vectors(gradient)[p * S + x] += of_weights[x];
        });
}

// The same where each of the dense weights has a delay.
template <int K, class L>
static inline void gather_each(const Table<L>& adjoints, const Tensors<L>& values,
                               Tensors<L>& gradient, int pre, const uint16_t* from,
                               const uint16_t* end, int shift) {
    using Own = typename L::template Into<K>;
    vi lane;
    for (int l = 0; l < LANES; l++) lane[l] = l;
    const Real* table = adjoints.data.data();
    for (int b = 0; b < L::BLOCKS; b++) {
        const size_t at = Tensors<L>::template at<K>(b, pre) / LANES;
        for (int x = 0; x < L::B; x++) {
            const size_t v = at + x;
            const vi late = reinterpret_cast<const vi*>(values.whole[K].data())[v] + shift;
            const vi column = lane + (b * L::BW + x * LANES);
            vf first = {}, second = {};
            for (const uint16_t* e = from; e < end; e++) {
                const vi step = late + int(*e), there = step < L::STEPS;
                const vi place = (there ? step : vi{} + L::STEPS) * L::WIDTH + column;
                first += gathered(table, place), second += gathered(table, place + L::WIDTH);
            }
            const vf slope = second - first, part = vectors(values.part[K].data())[v];
            if (Own::BY_GRADIENT)
                vectors(gradient.template weights<K>())[v] += first + part * slope;
            if (Own::DELAY_TRAINED)
                vectors(gradient.delays(K))[v] +=
                    Real(1 / DT) * vectors(values.template weights<K>())[v] * slope;
        }
    }
}

// Adds the gradients of weights and delays of projection K, which is a list or has delays.
template <int K, class L>
void gather_late(Work<L>& work, const Tensors<L>& values, Tensors<L>& gradient,
                 const Arrivals& arrivals) {
    using Own = typename L::template Into<K>;
    constexpr Real PER_MS = Real(1 / DT);
    Real* of_weights = gradient.template weights<K>();
    [[maybe_unused]] Real* of_delays = gradient.delays(K);
    const Real* w = values.template weights<K>();
    auto& adjoints = work.template adjoints<K>();
    for (int i = 0; i < arrivals.count; i++) {
        const int pre = arrivals.first + i;
        const uint16_t* from = arrivals.step + arrivals.start[i];
        const uint16_t* end = arrivals.step + arrivals.start[i + 1];
        if (from == end) continue;
        if constexpr (Own::DELAY == Delay::AXONAL && !Own::LISTED) {
            Real of_delay = 0;
            for (int b = 0; b < L::BLOCKS; b++)
                gather_axonal<K>(work, values, gradient.template rows<K>(b, pre), b, pre,
                                 delay_of(values, K, pre), from, end, arrivals.shift,
                                 of_delay);
            if (Own::DELAY_TRAINED) of_delays[pre] += of_delay * PER_MS;
        } else if (Own::EACH_LATE && work.width == 0) {
            gather_each<K>(adjoints, values, gradient, pre, from, end, arrivals.shift);
        } else {
            for (const uint16_t* e = from; e < end; e++) {
                const int a = *e + arrivals.shift;
                if constexpr (Own::DELAY == Delay::SYNAPTIC) {
                    each_synapse<L, K>(values, pre, [&](int j, size_t at, Late d) {
                        each_share(d, work.width, [&](int t, Real h, Real dh) {
                            if (a + t - 1 >= L::STEPS) return;
                            const Real q = adjoints.row(a + t - 1)[j];
                            if (Own::BY_GRADIENT) of_weights[at] += h * q;
                            if (Own::DELAY_TRAINED) of_delays[at] += dh * PER_MS * w[at] * q;
                        });
                    });
                } else if constexpr (Own::DELAY == Delay::AXONAL) {  // of a list
                    const SynapseList& list = values.template list<K>();
                    each_share(delay_of(values, K, pre), work.width,
                               [&](int t, Real h, Real dh) {
                                   if (a + t - 1 >= L::STEPS) return;
                                   const Real* q = adjoints.row(a + t - 1);
                                   if (Own::BY_GRADIENT)
                                       list.each(pre, [&](uint32_t post, uint32_t at, int n) {
                                           SynapseList::add_run(of_weights + at, q + post, n, h);
                                       });
                                   if (Own::DELAY_TRAINED)
                                       of_delays[pre] += dh * PER_MS * list.sum(w, pre, RowOf{q});
                               });
                } else if (Own::BY_GRADIENT && a < L::STEPS) {
                    const Real* q = adjoints.row(a);
                    if constexpr (Own::LISTED) {
                        values.template list<K>().each(pre, [&](uint32_t post, uint32_t at, int n) {
                            SynapseList::add_run(of_weights + at, q + post, n, Real(1));
                        });
                    } else {
                        for (int b = 0; b < L::BLOCKS; b++) {
                            vf* row = vectors(gradient.template rows<K>(b, pre));
                            SNN_UNROLL for (int x = 0; x < L::B; x++)
                                row[x] += vectors(q)[b * L::B + x];
                        }
                    }
                }
            }
        }
    }
}

// Adds the gradients of dendritic delays: of all that arrived, at the adjoints that it found.
template <int K, class L>
void gather_dendritic(const Work<L>& work, const Tensors<L>& values, Tensors<L>& gradient) {
    const auto& adjoints = work.input_adjoint[L::template Into<K>::PORT];
    for (int n = 0; n < L::STEPS; n++) {
        const Real* raw = work.raw[K].data() + size_t(n) * L::WIDTH;
        for (int j = 0; j < L::Model::SIZE; j++) {
            if (raw[j] == 0) continue;
            each_share(delay_of(values, K, j), work.width, [&](int t, Real, Real dh) {
                const int m = n + t - 1;
                if (m < L::STEPS)
                    gradient.delays(K)[j] += dh * Real(1 / DT) * raw[j] * adjoints.row(m)[j];
            });
        }
    }
}

// Calls f(first presynaptic neuron, how many, starts, steps, shift) for the arrivals by projection
// K into L: those of neuron i are steps[starts[i]] .. steps[starts[i + 1]], each plus the shift.
template <class L, int K, class Trial, class F> void each_source(const Trial& trial, F f) {
    using Own = typename L::template Into<K>;
    if constexpr (Own::SOURCE == INPUT) {
        f(0, Own::ROWS, trial.events.channel_start, trial.events.step, 0);
    } else {
        int first = 0;
        constexpr int STRAND = std::tuple_element_t<Own::SOURCE, typename Trial::Layers>::STRAND;
        for (const auto& s : std::get<Own::SOURCE>(trial.work).spikes) {
            f(first, STRAND, s.by_neuron.data(), s.step.data(), 1);  // arrives a step later
            first += STRAND;
        }
    }
}

}  // namespace snn
