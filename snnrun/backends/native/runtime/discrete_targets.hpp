// discrete_targets.hpp: the derivative of the loss by the spikes of a layer whose steps are
// differentiated: sums over targets of weight x adjoint where the spikes arrive. They are wanted of
// every neuron in every step; sums over layers above are made for several steps at once, so that
// weights are read once for all of them.
#pragma once
#include "delays.hpp"

namespace snn {

// How a block of B vectors is divided for products: so that ROWS x MOST of them, which are summed,
// stay in registers with the weights and a factor.
template <int B> struct Panels {
    static constexpr int ROWS = MAX_BLOCK / 2, MOST = 3, COUNT = (B + MOST - 1) / MOST;
    static constexpr int LEAST = B / COUNT, LARGEST = (B + COUNT - 1) / COUNT;  // of a panel
    static constexpr int first(int p) { return p * B / COUNT; }
    static constexpr int of(int x) { return ((x + 1) * COUNT - 1) / B; }  // panel of vector x
};

// Dense weights by target, [block][panel][target][vector]: of the spikes of the neurons of a block,
// in the order in which products read them.
template <class L> struct ByTarget {
    Buffer<Real> weights[L::COUNT];
    template <class Own> static constexpr bool kept() {
        return Own::discrete() && Own::SUMMED;
    }
    template <int K> const vf* block(int b) const {  // of the layer that sends
        using Own = typename L::template Into<K>;
        return vectors(weights[K].data()) + size_t(b) * L::Model::SIZE * Shape<Own::ROWS>::B;
    }
    // Weights of vector x of a block towards one target.
    template <int K> vf at(int b, int target, int x) const {
        using P = Panels<Shape<L::template Into<K>::ROWS>::B>;
        const int first = P::first(P::of(x)), S = P::first(P::of(x) + 1) - first;
        return block<K>(b)[size_t(first) * L::Model::SIZE + target * S + x - first];
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
        constexpr int B = Shape<Own::ROWS>::B, SIZE = L::Model::SIZE;
        for (int v = t; v * LANES < SIZE; v += threads)  // a vector of targets
            for (int j = 0; j < Own::ROWS; j++) {
                const int k = v * LANES, x = j / LANES % B, p = Panels<B>::of(x);
                const int first = Panels<B>::first(p), S = Panels<B>::first(p + 1) - first;
                const Real* row = from + (size_t(k / L::BW) * Own::PRE + j) * L::BW + k % L::BW;
                Real* column = to.data() +
                    ((size_t(j / LANES / B) * B + first) * SIZE + k * S + x - first) * LANES +
                    j % LANES;
                for (int l = 0; l < LANES && k + l < SIZE; l++)
                    column[size_t(l) * S * LANES] = row[l];
            }
    }
};

// The adjoints of the targets in some steps or trials, each a row of numbers.
template <class L> struct OneRow {  // that follow one another
    static constexpr int RUNS = 1;
    static constexpr int end(int) { return L::Model::SIZE; }
};
template <class L> struct TableRow {  // as they stand in a table, part by part
    static constexpr int PARTS = Table<L>::PARTS;
    static constexpr int RUNS = Table<L>::ROWWISE ? 1 : L::BLOCKS * PARTS;
    static constexpr int end(int run) {  // of the targets of a run
        if (run == RUNS - 1) return L::Model::SIZE;
        const int of_block = std::min(L::B, (run % PARTS + 1) * Table<L>::S);
        return std::min(L::Model::SIZE, (run / PARTS * L::B + of_block) * LANES);
    }
    static const Real* at(Table<L>& table, int n, int run) {
        return reinterpret_cast<const Real*>(&table.at(run / PARTS, n, run % PARTS * Table<L>::S));
    }
};

// to[r][x] += sum over targets k of panel[k][x] x rows[r][k], for R rows and S vectors; `fresh`: it
// is overwritten. The sum of a row has the order of the targets, and does not depend on the rows
// beside it. A function of its own, so that all its numbers find registers.
template <int R, int S>
__attribute__((noinline)) static void product(const vf* panel, const Real* const* rows, int targets,
                                              vf* const* to, bool fresh) {
    vf sum[R][S];
    const Real* of[R];
    for (int r = 0; r < R; r++) {
        of[r] = rows[r];
        for (int x = 0; x < S; x++) sum[r][x] = fresh ? vf{} : to[r][x];
    }
    for (int k = 0; k < targets; k++, panel += S) {
        vf w[S];
        SNN_UNROLL for (int x = 0; x < S; x++) w[x] = panel[x];
        SNN_UNROLL for (int r = 0; r < R; r++) {
            const vf d = everywhere(of[r] + k);
            SNN_UNROLL for (int x = 0; x < S; x++) sum[r][x] += w[x] * d;
        }
    }
    for (int r = 0; r < R; r++)
        for (int x = 0; x < S; x++) to[r][x] = sum[r][x];
}

// The same for all vectors of a block of B and `count` rows, from `first` on; `block`: its weights
// by target. delta(r, i): the i-th run of the adjoints of row r; to(r): its sums.
template <class Row, int B, int R = Panels<B>::ROWS, class Delta, class To>
static void products(const vf* block, int targets, int first, int count, bool fresh,
                     const Delta& delta, const To& to) {
    using P = Panels<B>;
    for (; count >= R; first += R, count -= R)
        for (int p = 0; p < P::COUNT; p++) {
            const int x = P::first(p), S = P::first(p + 1) - x;
            const vf* panel = block + size_t(x) * targets;
            const Real* rows[R];
            vf* sums[R];
            for (int r = 0; r < R; r++) sums[r] = to(first + r) + x;
            for (int i = 0, k = 0; i < Row::RUNS; i++) {
                const int targets_of_run = Row::end(i) - k;
                for (int r = 0; r < R; r++) rows[r] = delta(first + r, i);
                const auto add = S == P::LEAST ? product<R, P::LEAST> : product<R, P::LARGEST>;
                add(panel, rows, targets_of_run, sums, fresh && i == 0);
                panel += targets_of_run * S, k += targets_of_run;
            }
        }
    if constexpr (R > 1)
        if (count > 0) products<Row, B, R / 2>(block, targets, first, count, fresh, delta, to);
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
    constexpr int B = L::B;
    constexpr bool AXONAL = Own::DELAY == Delay::AXONAL;
    if constexpr (Own::SUMMED) {
        using Row = TableRow<Above>;
        auto& adjoints = above.template adjoints<K>();
        products<Row, B>(
            by_target.template block<K>(b), Above::Model::SIZE, 0, to - from, FRESH || AXONAL,
            [&](int i, int run) { return Row::at(adjoints, from + i + 1, run); },
            [&](int i) {
                if constexpr (AXONAL) return vectors(sums_of<K>(above, from + i + 1)) + b * B;
                else return &work.dl_ds_at(i, b, 0);
            });
    }
    if constexpr (Own::LISTED && AXONAL)
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

// dl_ds of step n, the i-th of those at hand, by projection K into a layer of the same group, for
// all trials and blocks.
template <int K, class L, class Target>
static void targets_of_step(Group<L>& group, Group<Target>& targets,
                            const ByTarget<Target>& by_target, const Tensors<Target>& values,
                            int n, int i) {
    using Own = typename Target::template Into<K>;
    constexpr int B = L::B;
    constexpr bool AXONAL = Own::DELAY == Delay::AXONAL;
    const auto delta = [&](int g) -> const Real* {  // those of step n + 1
        auto& work = *targets.work[g];
        if constexpr (Own::OWN_ADJOINTS) return work.own_adjoints[K].row(n + 1);
        else return work.adjoint.data() + size_t(Target::Model::PORT[Own::PORT]) * Target::WIDTH;
    };
    for (int b = 0; b < L::BLOCKS; b++) {
        if constexpr (Own::SUMMED)
            products<OneRow<Target>, B>(
                by_target.template block<K>(b), Target::Model::SIZE, 0, group.count, AXONAL,
                [&](int g, int) { return delta(g); },
                [&](int g) {
                    if constexpr (AXONAL)
                        return vectors(sums_of<K>(*targets.work[g], n + 1)) + b * B;
                    else return &group.work[g]->dl_ds_at(i, b, 0);
                });
        if constexpr (Own::ALONE)
            for (int g = 0; g < group.count; g++) {
                if constexpr (Own::LISTED && AXONAL)
                    sums_of_list<K, L>(*targets.work[g], values, delta(g), b, n + 1);
                add_late_targets<K>(*group.work[g], *targets.work[g], values, b, n, i);
            }
    }
}

}  // namespace snn
