// discrete_targets.hpp: the derivative of the loss by the spikes of a layer whose steps are
// differentiated: sums over targets of weight x adjoint where the spikes arrive. They are wanted of
// every neuron in every step; sums over layers above are made for several steps at once, so that
// weights are read once for all of them.
#pragma once
#include "delays.hpp"

namespace snn {

// Dense weights by target: row k holds those of the spikes of all neurons of a block, contiguously.
template <class L> struct ByTarget {
    Buffer<Real> weights[L::COUNT];
    template <class Own> static constexpr bool kept() {
        return Own::discrete() && Own::SUMMED;
    }
    template <int K> const vf* rows(int b) const {  // of block b of the layer that sends
        using Own = typename L::template Into<K>;
        return vectors(weights[K].data()) + size_t(b) * L::Model::SIZE * Shape<Own::ROWS>::B;
    }
    void allocate() {
        each_projection<L>([&](auto k) {
            using Own = typename L::template Into<k()>;
            if constexpr (!kept<Own>()) return;
            weights[k()].allocate_dense(size_t(L::Model::SIZE) * Own::PRE);
            weights[k()].zero();  // padding stays 0
        });
    }
    // Copies the weights towards the targets k = t, t + threads, ...
    void refresh(const Tensors<L>& from, int t, int threads) {
        each_projection<L>([&](auto k) {
            using Own = typename L::template Into<k()>;
            if constexpr (kept<Own>())
                copy<Own>(weights[k()], from.template weights<k()>(), t, threads);
        });
    }

  private:
    template <class Own> static void copy(Buffer<Real>& to, const Real* from, int t, int threads) {
        constexpr int BW = Shape<Own::ROWS>::BW, SIZE = L::Model::SIZE;
        for (int v = t; v * LANES < SIZE; v += threads)  // a vector of targets
            for (int j = 0; j < Own::ROWS; j++) {
                const int k = v * LANES;
                const Real* row = from + (size_t(k / L::BW) * Own::PRE + j) * L::BW + k % L::BW;
                Real* column = to.data() + (size_t(j / BW) * SIZE + k) * BW + j % BW;
                for (int l = 0; l < LANES && k + l < SIZE; l++) column[size_t(l) * BW] = row[l];
            }
    }
};

// The adjoint of target k, step by step: `stride` numbers from one to the next.
template <class L> struct Deltas {
    const Real* first;
    int stride;
    Deltas(Table<L>& adjoints, int k, int n) {
        const int b = k / L::BW, x = k % L::BW / LANES;
        first = reinterpret_cast<const Real*>(&adjoints.at(b, n, x)) + k % LANES;
        stride = Table<L>::stride(x) * LANES;
    }
};

// total[i][x] += sum over targets k of rows[k][x] x delta_k(n + i), for N steps and S vectors.
template <class Target, int N, int S, int B>
static inline void add_targets_part(vf (*total)[B], int x, const vf* rows,
                                    Table<Target>& adjoints, int n) {
    vf sum[N][S];
    for (int i = 0; i < N; i++)
        for (int s = 0; s < S; s++) sum[i][s] = total[i][x + s];
    for (int k = 0; k < Target::Model::SIZE; k++) {
        const Deltas<Target> delta(adjoints, k, n);
        const vf* row = rows + size_t(k) * B + x;
        SNN_UNROLL for (int i = 0; i < N; i++) {
            const vf d = splat(delta.first[i * delta.stride]);
            SNN_UNROLL for (int s = 0; s < S; s++) sum[i][s] += row[s] * d;
        }
    }
    for (int i = 0; i < N; i++)
        for (int s = 0; s < S; s++) total[i][x + s] = sum[i][s];
}

template <class Target, int N, int B>
static inline void add_targets(vf (*total)[B], const vf* rows, Table<Target>& adjoints, int n) {
    constexpr int S = N == 1 ? B : B < 4 ? B : 4, REST = B % S;
    for (int x = 0; x + S <= B; x += S)
        add_targets_part<Target, N, S, B>(total, x, rows, adjoints, n);
    if constexpr (REST > 0)
        add_targets_part<Target, N, REST, B>(total, B - REST, rows, adjoints, n);
}

// Sums of step n over the targets by projection K, for all neurons of the source, whose delays then
// say where in time each reads them.
template <int K, class Target> Real* sums_of(Work<Target>& target, int n) {
    return target.sums[K].data() + size_t(n) * Target::template Into<K>::PRE;
}

// The same of step n by a list, for block b of the source.
template <int K, class L, class Target>
static inline void sums_of_list(Work<Target>& target, const Tensors<Target>& values,
                                const Real* delta, int b, int n) {
    const int end = std::min(L::BW, L::Model::SIZE - b * L::BW);
    for (int pre = b * L::BW; pre < b * L::BW + end; pre++)
        sums_of<K>(target, n)[pre] = values.template list<K>().sum(
            values.template weights<K>(), pre, RowOf{delta});
}

// Adds dl_ds of block b in step n, the i-th of those at hand, by a projection whose targets have no
// sums that are made for all at once.
template <int K, class L, class Target>
static inline void add_late_targets(Work<L>& work, Work<Target>& target,
                                    const Tensors<Target>& values, int b, int n, int i) {
    using Own = typename Target::template Into<K>;
    Real* to = reinterpret_cast<Real*>(&work.dl_ds_at(i, b, 0));
    [[maybe_unused]] const auto& adjoints = target.template adjoints<K>();
    const int end = std::min(L::BW, L::Model::SIZE - b * L::BW);
    for (int j = 0; j < end; j++) {
        const int pre = b * L::BW + j;
        if constexpr (Own::DELAY == Delay::AXONAL) {
            each_share(delay_of(values, K, pre), target.width,
                       [&](int t, Real h, Real) {
                           if (n + t < L::STEPS) to[j] += h * sums_of<K>(target, n + t)[pre];
                       });
        } else {
            to[j] += sum_over_targets<Target, K>(target, values, pre, n + 1,
                                                 Reads<Target, false>{adjoints});
        }
    }
}

// dl_ds of steps [from, to) of block b, from the targets by projection K into a layer that is
// walked back before. FRESH: not added to what is there.
template <int K, bool FRESH, class L, class Above>
static void targets_above(Work<L>& work, Work<Above>& above, const ByTarget<Above>& by_target,
                          const Tensors<Above>& values, int b, int from, int to) {
    using Own = typename Above::template Into<K>;
    constexpr int B = L::B, N = MAX_BLOCK / 4;
    if constexpr (Own::SUMMED) {
        auto& adjoints = above.template adjoints<K>();
        const vf* rows = by_target.template rows<K>(b);
        vf total[N][B];
        for (int n = from; n < to; n += N) {
            const int first = n + N <= to ? n : std::max(from, to - N);
            const int count = std::min(N, to - first);
            for (auto& step : total)
                for (auto& t : step) t = vf{};
            if (count == N) add_targets<Above, N, B>(total, rows, adjoints, first + 1);
            else
                for (int i = 0; i < count; i++)
                    add_targets<Above, 1, B>(total + i, rows, adjoints, first + i + 1);
            for (int i = n - first; i < count; i++)
                for (int x = 0; x < B; x++)
                    if constexpr (Own::DELAY == Delay::AXONAL) {
                        vectors(sums_of<K>(above, first + i + 1))[b * B + x] = total[i][x];
                    } else {
                        vf& at = work.dl_ds_at(first - from + i, b, x);
                        at = FRESH ? total[i][x] : at + total[i][x];
                    }
        }
    }
    if constexpr (Own::LISTED && Own::DELAY == Delay::AXONAL)
        for (int n = from; n < to; n++)  // a step reads the sums of later ones
            sums_of_list<K, L>(above, values, above.template adjoints<K>().row(n + 1), b, n + 1);
    if constexpr (Own::ALONE)
        for (int n = from; n < to; n++) {
            if (FRESH)
                for (int x = 0; x < B; x++) work.dl_ds_at(n - from, b, x) = vf{};
            add_late_targets<K>(work, above, values, b, n, n - from);
        }
}

// Trials that are walked back through a layer together.
template <class L> struct Group {
    int count = 0;
    Work<L>* work[MOST_TOGETHER];
    Buffer<Int>* held_after[MOST_TOGETHER];
    void add(Work<L>& own, Buffer<Int>& held) { work[count] = &own, held_after[count++] = &held; }
};

// to(trial, x) += sum over the targets k of rows[k] x delta_k in the step behind it. For trials
// first, ... first + G - 1; delta(trial): of all targets.
template <int G, int S, int B, class To, class Delta>
static inline void targets_part(const vf* rows, int targets, int first, int x, const To& to,
                                const Delta& delta_of) {
    vf sum[G][S];
    const Real* delta[G];
    for (int g = 0; g < G; g++) {
        delta[g] = delta_of(first + g);
        for (int s = 0; s < S; s++) sum[g][s] = to(first + g, x + s);
    }
    for (int k = 0; k < targets; k++) {
        const vf* row = rows + size_t(k) * B + x;
        SNN_UNROLL for (int g = 0; g < G; g++) {
            const vf d = splat(delta[g][k]);
            SNN_UNROLL for (int s = 0; s < S; s++) sum[g][s] += row[s] * d;
        }
    }
    for (int g = 0; g < G; g++)
        for (int s = 0; s < S; s++) to(first + g, x + s) = sum[g][s];
}

template <int G, int B, class To, class Delta>
static inline void targets_of_trials(const vf* rows, int targets, int first, const To& to,
                                     const Delta& delta) {
    constexpr int MOST = MAX_BLOCK / G, S = B < MOST ? B : MOST, REST = B % S;
    for (int x = 0; x + S <= B; x += S) targets_part<G, S, B>(rows, targets, first, x, to, delta);
    if constexpr (REST > 0)
        targets_part<G, REST, B>(rows, targets, first, B - REST, to, delta);
}

// dl_ds of step n, the i-th of those at hand, by projection K into a layer of the same group, for
// all trials and blocks; the sums of a trial do not depend on who is beside it.
template <int K, class L, class Target>
static void targets_of_step(Group<L>& group, Group<Target>& targets,
                            const ByTarget<Target>& by_target, const Tensors<Target>& values,
                            int n, int i) {
    using Own = typename Target::template Into<K>;
    constexpr int B = L::B, SIZE = Target::Model::SIZE;
    for (int b = 0; b < L::BLOCKS; b++) {
        const auto to = [&](int g, int x) -> vf& {
            if constexpr (Own::DELAY == Delay::AXONAL)
                return vectors(sums_of<K>(*targets.work[g], n + 1))[b * B + x];
            else return group.work[g]->dl_ds_at(i, b, x);
        };
        const auto delta = [&](int g) -> const Real* {  // those of step n + 1
            auto& work = *targets.work[g];
            if constexpr (Own::OWN_ADJOINTS) return work.own_adjoints[K].row(n + 1);
            else
                return work.adjoint.data() +
                       size_t(Target::Model::PORT[Own::PORT]) * Target::WIDTH;
        };
        if constexpr (Own::SUMMED) {
            if constexpr (Own::DELAY == Delay::AXONAL)
                for (int g = 0; g < group.count; g++)
                    for (int x = 0; x < B; x++) to(g, x) = vf{};
            const vf* rows = by_target.template rows<K>(b);
            int first = 0;
            for (; first + 4 <= group.count; first += 4)
                targets_of_trials<4, B>(rows, SIZE, first, to, delta);
            for (; first + 2 <= group.count; first += 2)
                targets_of_trials<2, B>(rows, SIZE, first, to, delta);
            for (; first < group.count; first++)
                targets_of_trials<1, B>(rows, SIZE, first, to, delta);
        }
        if constexpr (Own::ALONE)
            for (int g = 0; g < group.count; g++) {
                if constexpr (Own::LISTED && Own::DELAY == Delay::AXONAL)
                    sums_of_list<K, L>(*targets.work[g], values, delta(g), b, n + 1);
                add_late_targets<K>(*group.work[g], *targets.work[g], values, b, n, i);
            }
    }
}

}  // namespace snn
