// delays.hpp: projections whose spikes arrive later. A spike that could arrive in step a is spread
// over steps a + k - 1, k = 1, 2, ...: each gets h(k) of it (network/delays.py). What arrives later
// than in the last step never does.
#pragma once
#include "layer.hpp"

namespace snn {

// A delay: whole steps, and what is left.
struct Late {
    int whole;
    Real part;
};

// f(k, h(k), dh/dd) for a delay and triangles of width `s`. Which k there are follows from whole
// numbers and fractions: 1 + d and d + s may be rounded to the next whole number.
template <class F> static inline void each_share(Late delay, Real s, F f) {
    const int m = delay.whole;
    const Real g = delay.part;
    if (s == 0) {
        f(m + 1, 1 - g, Real(-1)), f(m + 2, g, Real(1));
        return;
    }
    const int wide = int(s);
    const Real rest = s - Real(wide), reach = 1 + s, scale = 1 / (reach * reach);
    const int last = m + wide + 2 + (g + rest >= 1);
    for (int k = std::max(1, m - wide + 1 - (g < rest)); k <= last; k++) {
        const Real distance = Real(k - 1 - m) - g;
        f(k, (reach - std::abs(distance)) * scale, distance > 0 ? scale : -scale);
    }
}

// The i-th delay of projection k into a layer.
template <class L> static inline Late delay_of(const Tensors<L>& values, int k, size_t i) {
    return {int(values.whole[k][i]), values.part[k][i]};
}

// f(target, number of its weight in the array, its delay) for each synapse of `pre`, by projection
// K with synaptic delays.
template <class L, int K, class F>
static inline void each_synapse(const Tensors<L>& values, int pre, F f) {
    using Own = typename L::template Into<K>;
    if constexpr (Own::LISTED) {
        values.template list<K>().each(pre, [&](uint32_t post, uint32_t weight, int count) {
            for (int i = 0; i < count; i++)
                f(int(post) + i, weight + i, delay_of(values, K, weight + i));
        });
    } else {
        for (int b = 0; b < L::BLOCKS; b++) {
            const size_t first = Tensors<L>::template at<K>(b, pre);
            const int end = std::min(L::BW, L::Model::SIZE - b * L::BW);
            for (int i = 0; i < end; i++)
                f(b * L::BW + i, first + i, delay_of(values, K, first + i));
        }
    }
}

// row[j] += h x weight for the targets j of `pre`, whatever their delays.
template <class L, int K>
static inline void add_row(const Tensors<L>& values, Real* row, int pre, Real h) {
    if constexpr (L::template Into<K>::LISTED) {
        values.template list<K>().add(values.template weights<K>(), row, pre, h);
    } else {
        for (int b = 0; b < L::BLOCKS; b++) {
            const vf* from = vectors(values.template rows<K>(b, pre));
            vf* to = vectors(row) + b * L::B;
            SNN_UNROLL for (int x = 0; x < L::B; x++) to[x] += h * from[x];
        }
    }
}

// Sends a spike of `pre` on its way by dense weights with a delay each.
template <int K, class L>
static inline void send_each(Work<L>& work, const Tensors<L>& values, int pre, int n) {
    constexpr int STRIDE = Work<L>::SLOTS * L::WIDTH;
    Real* ring = work.arriving(0, Work<L>::template slot<K>());
    for (int b = 0; b < L::BLOCKS; b++) {
        const size_t at = Tensors<L>::template at<K>(b, pre);
        for (int x = 0; x < L::B; x++) {
            const size_t v = at / LANES + x;
            const vi step = reinterpret_cast<const vi*>(values.whole[K].data())[v] + n;
            const vf w = vectors(values.template weights<K>())[v];
            const vf second = vectors(values.part[K].data())[v] * w, first = w - second;
            const vi now = (step & (work.ring - 1)) * STRIDE;
            const vi next = ((step + 1) & (work.ring - 1)) * STRIDE;
            Real* lanes = ring + b * L::BW + x * LANES;
            for (int l = 0; l < LANES; l++)
                lanes[now[l] + l] += first[l], lanes[next[l] + l] += second[l];
        }
    }
}

// Calls f(vector of a row of weights, places in a table of adjoints, which are there) for the
// targets of `pre`, whose arrivals could be in step a; the places are those of the first step of
// each. Arrivals behind the last step are not there.
template <int K, class L, class F>
static inline void each_read(const Tensors<L>& values, int pre, int a, F f) {
    vi lane;
    for (int l = 0; l < LANES; l++) lane[l] = l;
    for (int b = 0; b < L::BLOCKS; b++) {
        const size_t first = Tensors<L>::template at<K>(b, pre) / LANES;
        for (int x = 0; x < L::B; x++) {
            const vi step = reinterpret_cast<const vi*>(values.whole[K].data())[first + x] + a;
            const vi there = step < L::STEPS;
            f(first + x, (there ? step : vi{}) * L::WIDTH + lane + (b * L::BW + x * LANES), there);
        }
    }
}

// Sends the spikes that could arrive in step n on their way, by lists or with delays.
template <class L, class From>
static inline void send(Work<L>& work, const Tensors<L>& values, const From& from, int n) {
    each_projection<L>([&](auto k) {
        using Own = typename L::template Into<k()>;
        if constexpr (Own::LISTED_NOW) {
            Real* states = work.state.data() + L::Model::PORT[Own::PORT] * L::WIDTH;
            const Real* w = values.template weights<k()>();
            values.template list<k()>().each_of_step(
                from.template arrivals<Own::SOURCE>(), n,
                [&](uint32_t post, uint32_t weight, int count) {
                    SynapseList::add_run(states + post, w + weight, count, Real(1));
                });
        } else if constexpr (!Own::DIRECT) {
            const auto row = [&](int step) {
                return work.arriving(step, Work<L>::template slot<k()>());
            };
            Real* raw = nullptr;
            if constexpr (Own::DELAY == Delay::DENDRITIC) {
                raw = work.raw[k()].data() + size_t(n) * L::WIDTH;
                std::fill_n(raw, L::WIDTH, Real(0));
            }
            if constexpr (Own::LATE_ROWS) {
                auto& late = work.late_rows[k()];
                late.count[(n - 1) & late.mask] = 0;
            }
            bool any = false;
            from.template arrivals<Own::SOURCE>().at(n, [&](uint32_t pre) {
                any = true;
                if constexpr (Own::DELAY == Delay::NONE) {
                    add_row<L, k()>(values, row(n), pre, Real(1));
                } else if constexpr (Own::DELAY == Delay::AXONAL) {
                    if (Own::LATE_ROWS && work.width == 0)
                        work.late_rows[k()].send(n + int(values.whole[k()][pre]), pre);
                    else
                        each_share(delay_of(values, k(), pre), work.width,
                                   [&](int t, Real h, Real) {
                                       add_row<L, k()>(values, row(n + t - 1), pre, h);
                                   });
                } else if constexpr (Own::DELAY == Delay::DENDRITIC) {
                    add_row<L, k()>(values, raw, pre, Real(1));
                } else if (Own::EACH_LATE && work.width == 0) {
                    send_each<k()>(work, values, pre, n);
                } else {
                    const Real* w = values.template weights<k()>();
                    each_synapse<L, k()>(values, pre, [&](int j, size_t at, Late d) {
                        each_share(d, work.width, [&](int t, Real h, Real) {
                            row(n + t - 1)[j] += h * w[at];
                        });
                    });
                }
            });
            if constexpr (Own::DELAY == Delay::DENDRITIC)
                for (int j = 0; any && j < L::Model::SIZE; j++)
                    each_share(delay_of(values, k(), j), work.width,
                               [&](int t, Real h, Real) { row(n + t - 1)[j] += h * raw[j]; });
        }
    });
}

// Adds the rows of dense weights with axonal delays that arrive in step n and in the next one: each
// is read once for both.
template <class L>
static inline void add_late_rows(Work<L>& work, const Tensors<L>& values,
                                 vf (&in)[L::Model::PORTS][L::B], int b, int n) {
    constexpr int B = L::B, S = B < 3 * MAX_BLOCK / 4 ? B : 3 * MAX_BLOCK / 4;  // in registers
    each_projection<L>([&](auto k) {
        using Own = typename L::template Into<k()>;
        if constexpr (Own::LATE_ROWS) {
            const LateRows& late = work.late_rows[k()];
            const int slot = n & late.mask;
            const uint16_t* who = late.who.data() + slot * late.capacity;
            const uint16_t* end = who + late.count[slot];
            if (who == end) return;
            const Real *W = values.template rows<k()>(b, 0), *parts = values.part[k()].data();
            vf* next = vectors(work.next_row(n + 1, Own::PORT)) + b * B;
            const auto add = [&](auto size, int from) {
                constexpr int COUNT = decltype(size)::value;
                vf now[COUNT], then[COUNT];
                SNN_UNROLL for (int x = 0; x < COUNT; x++)
                    now[x] = in[Own::PORT][from + x], then[x] = next[from + x];
                for (const uint16_t* pre = who; pre < end; pre++) {
                    const vf g = splat(parts[*pre]), rest = splat(1 - parts[*pre]);
                    const vf* row = vectors(W + size_t(*pre) * L::BW) + from;
                    if (parts[*pre] == 0) {
                        SNN_UNROLL for (int x = 0; x < COUNT; x++) now[x] += row[x];
                        continue;
                    }
                    SNN_UNROLL for (int x = 0; x < COUNT; x++)
                        now[x] += rest * row[x], then[x] += g * row[x];
                }
                SNN_UNROLL for (int x = 0; x < COUNT; x++)
                    in[Own::PORT][from + x] = now[x], next[from + x] = then[x];
            };
            for (int x = 0; x + S <= B; x += S) add(Index<S>{}, x);
            if constexpr (B % S > 0) add(Index<B % S>{}, B - B % S);
        }
    });
}

// The adjoints of step n as arrivals find them: where dendritic delays spread arrivals, the sum of
// h(k) x adjoint(n + k - 1); where currents are dropped, what is left of them.
template <class L>
static inline void collect_adjoints(Work<L>& work, const Tensors<L>& values, int n) {
    each_projection<L>([&](auto k) {
        using Own = typename L::template Into<k()>;
        if constexpr (Own::OWN_ADJOINTS) {
            Real* to = work.own_adjoints[k()].row(n);
            const auto& table = work.input_adjoint[Own::PORT];
            if constexpr (Own::DROPPED) {
                for (int v = 0; v < L::WIDTH / LANES; v++)
                    vectors(to)[v] = vectors(table.row(n))[v] * work.drops[k()].kept(v, n);
                return;
            }
            for (int j = 0; j < L::Model::SIZE; j++) {
                Real total = 0;
                each_share(delay_of(values, k(), j), work.width,
                           [&](int t, Real h, Real) {
                               if (n + t - 1 < L::STEPS) total += h * table.row(n + t - 1)[j];
                           });
                to[j] = total;
            }
        }
    });
}

// What sums over targets read of a table of adjoints: the numbers themselves, or their shift from a
// step to the next one (see targets.hpp).
template <class L, bool SHIFT> struct Reads {
    const Table<L>& adjoints;
    Real operator()(int j, int m) const {
        const Real q = adjoints.row(m)[j];
        if constexpr (SHIFT) return (q - adjoints.row(m + 1)[j]) * Real(1 / DT);
        else return q;
    }
    // The same of step m.
    struct Step {
        const Real *now, *next;
        Real operator()(int j) const { return SHIFT ? (now[j] - next[j]) * Real(1 / DT) : now[j]; }
        vf vector(int j) const {
            const vf q = RowOf{now}.vector(j);
            if constexpr (SHIFT) return (q - RowOf{next}.vector(j)) * Real(1 / DT);
            else return q;
        }
    };
    Step of(int m) const { return {adjoints.row(m), adjoints.row(m + 1)}; }
    vf vectors_at(vi place) const {
        const vf q = gathered(adjoints.data.data(), place);
        if constexpr (SHIFT)
            return (q - gathered(adjoints.data.data(), place + L::WIDTH)) * Real(1 / DT);
        else return q;
    }
};

// Sum over the targets, by projection K that is a list or has synaptic delays, of a spike of `pre`
// that could arrive in step a, of h(k) x weight x value(target, a + k - 1). Of dendritic delays
// `value` itself is spread already.
template <class L, int K, class F>
static inline Real sum_over_targets(const Work<L>& target, const Tensors<L>& values, int pre, int a,
                                    F value) {
    using Own = typename L::template Into<K>;
    const Real* w = values.template weights<K>();
    Real total = 0;
    if constexpr (Own::EACH_LATE)
        if (target.width == 0) {
            vf sums = {};
            each_read<K>(values, pre, a, [&](size_t v, vi place, vi there) {
                const vf first = value.vectors_at(place);
                const vf second = value.vectors_at(place + L::WIDTH);
                const vf part = vectors(values.part[K].data())[v];
                const vf read = first + part * (second - first);
                sums += there ? vectors(w)[v] * read : vf{};
            });
            return sum(sums);
        }
    if constexpr (Own::DELAY == Delay::NONE || Own::DELAY == Delay::DENDRITIC) {
        return a < L::STEPS ? values.template list<K>().sum(w, pre, value.of(a)) : Real(0);
    } else if constexpr (Own::DELAY == Delay::AXONAL) {
        each_share(delay_of(values, K, pre), target.width, [&](int t, Real h, Real) {
            if (a + t - 1 < L::STEPS)
                total += h * values.template list<K>().sum(w, pre, value.of(a + t - 1));
        });
    } else {
        each_synapse<L, K>(values, pre, [&](int j, size_t at, Late d) {
            each_share(d, target.width, [&](int t, Real h, Real) {
                if (a + t - 1 < L::STEPS) total += h * w[at] * value(j, a + t - 1);
            });
        });
    }
    return total;
}

}  // namespace snn
