// deferred.hpp: mini-batches of a program whose first layer is large: its table of adjoints and
// its gradient do not fit the second-level cache, and a gradient for each slot would not fit any.
//
// Some trials at a time (a wave; the whole mini-batch up to 2 where the regulariser sees averages
// over it), all threads do
//   1. the first layer's forward pass block by block, if it is not recurrent, so that the weights
//      of a block are read from memory once for all trials;
//   2. of each trial the rest of the forward pass and the backward pass; where there are fewer
//      trials than threads and a layer is recurrent, some threads each trial, as a team;
//   3. the gradients of weights. A thread takes a part of the neurons of a layer, for all trials:
//      of a tiled layer it walks the part back, into a table that stays in its cache, and
//      gathers from it.
// A slot has 8 trials or more. The first one's gradient is the sum of those that follow too,
// as each is added to it when it is complete: there are two in all, or, where several processes
// share a mini-batch, one for each slot of those that are not the first. Each number is a sum over
// trials in their order, whoever makes it: the bits do not depend on the number of threads, or of
// trials in a wave.
#pragma once
#include "pool.hpp"
#include "backward_pass.hpp"
#include "forward_pass.hpp"
#include "ranks.hpp"

namespace snn {

template <class P> class Deferred : Walk<P> {
    using Walk<P>::each_layer;
    using Layers = typename P::Layers;
    using AllTensors = typename Map<Tensors, Layers>::type;
    using AllAverages = typename Map<Averages, Layers>::type;
    using Trial = snn::Trial<P>;
    static constexpr int COUNT = std::tuple_size_v<Layers>;
    template <int I> using Layer = std::tuple_element_t<I, Layers>;
    using First = Layer<0>;
    template <class... Ls> static constexpr bool by_gradient(std::tuple<Ls...>*) {
        return !((Ls::Model::DISCRETE || Ls::PLASTIC || !Ls::DIRECT) || ...);
    }
    static constexpr size_t TABLES = size_t(2) << 20;  // bytes of tables that a thread has in work
    static constexpr int MOST = 64;                     // trials of a wave
    static constexpr bool BLOCKWISE = First::TILED && First::BLOCKS > 1;

  public:
    static constexpr bool ON = First::LARGE && COUNT > 1 && First::LEARNS &&
                               by_gradient(static_cast<Layers*>(nullptr));

    Deferred(int threads, const Barrier& of_all)
        : threads_(threads), teams_(threads, of_all, BLOCKS),
          tiled_(First::TILED && shared_well(parts<First>(), threads)) {
        if constexpr (ON) {
            size_t bytes = 0;
            each_layer([&](auto l) { bytes += l() > 0 || !tiled_ ? Layer<l()>::TABLE_BYTES : 0; });
            // tables should stay near, and the gradient be read and written seldom
            const size_t room = std::max(TABLES * threads, First::GRADIENT_BYTES / 2);
            wave_ = std::max(std::min<int>(MOST, int(room / (bytes + 1))), 2 * threads);
            if (tiled_) tables_.resize(threads);
        }
    }

    // What thread t works on is first written to by itself.
    void begin(int t) {
        if (tables_.empty()) return;
        tables_[t].allocate(size_t(Table<First>::ROWS) * Table<First>::S * LANES);
        tables_[t].zero();
    }

    // What a call with batches of `batch` examples begins with, and one of the `rest`.
    void prepare(const typename P::Formula& formula, int64_t batch, int64_t rest,
                 const Ranks& ranks,
                 const typename Map<Declared, Layers>::type& declared, AllAverages& averages) {
        int64_t own = 0;
        for (const int64_t size : {batch, rest}) {
            if (size == 0) continue;
            const Slots slots(size, ranks, true);
            for (int s = slots.begin; s < slots.end; s++)
                slots_.allocate(place(slots, s), declared);
            own = std::max(own, slots.first(slots.end) - slots.first(slots.begin));
        }
        const int64_t trials = Trial::AVERAGED ? own : std::min<int64_t>(wave_, own);
        if constexpr (TEAMS) {
            const int64_t waves = std::max<int64_t>(1, (own + wave_ - 1) / wave_);
            teams_.prepare(int((own + waves - 1) / waves));
        }
        for (int64_t i = trials_.size(); i < trials; i++) {
            trials_.push_back(std::make_unique<Trial>(formula, i >= wave_ ? COUNT : int(tiled_)));
            if (i < wave_) owner_.push_back(int(i));
            trials_.back()->show(averages);
        }
    }
    std::vector<std::unique_ptr<Trial>>& trials() { return trials_; }
    SlotGradients<P>& slots() { return slots_; }
    // Those of a mini-batch that hold something, of this rank.
    static Slots held(int64_t size, const Ranks& ranks) {
        Slots slots(size, ranks, true);
        if (slots.begin == 0) slots.end = std::min(slots.end, 1);
        return slots;
    }

    // The examples [from, from + size), one mini-batch, or this rank's of them; called by every
    // thread t. Slots are overwritten. Returns whether the losses that this thread has seen are
    // finite.
    bool run(int t, Pool& pool, Shares& shares, int64_t& part, const BackwardPass<P>& backward,
             AllAverages& averages, const Ranks& ranks, int64_t from, int64_t size) {
        const ForwardPass<P>& forward = backward.forward;
        const double scale = 1.0 / double(size);
        const Slots slots(size, ranks, true);
        const int64_t first = slots.first(slots.begin), own = slots.first(slots.end) - first;
        from += first;
        bool finite = true;
        const auto each = [&](int64_t units, auto f) {
            shares.take(t, part++, units, f);
            pool.barrier.wait();
        };
        const auto walk_forward = [&](const auto& forward, int i, int64_t example) {
            Trial& trial = *trials_[i];
            if (!BLOCKWISE && forward.team.leads()) forward.enter(trial, example);
            forward.team.wait();
            forward.template layers<false, BLOCKWISE>(trial);
            if (forward.team.leads())
                finite &= std::isfinite(forward.finish(trial, example, scale));
        };
        const auto walk_back = [&](const auto& backward, int i) {
            if (backward.forward.team.leads()) hold_tables(i);
            const Taken<P> taken{trials_[i].get(), nullptr, false};
            backward.walks(&taken, 1, scale, tiled_);
        };
        // f(pass, trial) by whoever walks it, alone or in a team
        const auto each_trial = [&](int count, auto f) {
            if (!teams_.several()) return each(count, [&](int i) { f(backward, i); });
            if constexpr (TEAMS)
                teams_.each(t, count, [&](const Member& member, int i) {
                    const ForwardPass<P, Member> there{{}, forward.value, forward.coefficients,
                                                       forward.declared, forward.job,
                                                       forward.emitted, member};
                    f(BackwardPass<P, Member>(there, backward.by_target, averages,
                                              backward.plasticity), i);
                });
            pool.barrier.wait();
        };
        const auto blocks_there = [&](int count, int64_t from) {
            if constexpr (BLOCKWISE) {
                each(count, [&](int i) { forward.enter(*trials_[i], from + i); });
                each(int64_t(First::BLOCKS) * count,
                     [&](int u) { forward.first_layer(*trials_[u % count], u / count); });
            }
        };
        const auto gather = [&](int trial, int64_t example, int count) {
            each(all_units(), [&](int u) {
                gather_unit<0>(t, u, backward, slots, trial, example, count);
            });
        };
        const int waves = int((own + wave_ - 1) / wave_);
        const auto start = [&](int w) { return int(own * w / waves); };
        if constexpr (Trial::AVERAGED) {
            blocks_there(int(own), from);
            each_trial(own, [&](const auto& pass, int i) {
                walk_forward(pass.forward, i, from + i);
            });
            if (t == 0) average_spikes(trials_, 0, own, size, ranks, averages);
            pool.barrier.wait();
            for (int w = 0; w < waves; w++) {
                each_trial(start(w + 1) - start(w),
                           [&](const auto& pass, int i) { walk_back(pass, start(w) + i); });
                gather(start(w), first + start(w), start(w + 1) - start(w));
            }
        } else {
            for (int w = 0; w < waves; w++) {
                const int count = start(w + 1) - start(w);
                blocks_there(count, from + start(w));
                each_trial(count, [&](const auto& pass, int i) {
                    walk_forward(pass.forward, i, from + start(w) + i);
                    walk_back(pass, i);
                });
                gather(0, first + start(w), count);
            }
        }
        return finite;
    }

  private:
    template <class... Ls> static constexpr int most_blocks(std::tuple<Ls...>*) {
        return std::max({Ls::RECURRENT ? Ls::BLOCKS : 1 ...});
    }
    static constexpr int BLOCKS = most_blocks(static_cast<Layers*>(nullptr));
    static constexpr bool TEAMS = ON && BLOCKS > 1;

    // Trial i is given the tables that another one of its place in a wave had.
    void hold_tables(int i) {
        int& owner = owner_[i % wave_];
        if (owner != i) trials_[i]->swap_tables(*trials_[owner]), owner = i;
    }

    template <class L> static constexpr int parts() { return L::BLOCKS * Table<L>::PARTS; }

    // Whether threads have little to wait for each other when they share out `units` like ones.
    static bool shared_well(int units, int threads) {
        const int rounds = (units + threads - 1) / threads;
        return 100 * units >= 85 * rounds * threads;
    }

    // Units of gathering: parts of the neurons, each in `pieces` of its rows.
    template <int I> int pieces() const {
        if (I == 0 && tiled_) return 1;
        return (4 * threads_ + parts<Layer<I>>() - 1) / parts<Layer<I>>();
    }
    template <int I> int units() const {
        return Layer<I>::LEARNS ? parts<Layer<I>>() * pieces<I>() : 0;
    }
    int all_units() const {
        int total = 0;
        each_layer([&](auto l) { total += units<l()>(); });
        return total;
    }

    // Where the gradient of a slot is: those behind the first one are added to it, one by one.
    static int place(const Slots& slots, int s) { return slots.begin == 0 ? std::min(s, 1) : s; }

    // Gathers unit u of `count` trials from `trial` on, which are the examples from `example` on.
    template <int I>
    void gather_unit(int t, int u, const BackwardPass<P>& backward, const Slots& slots, int trial,
                     int64_t example, int count) {
        if (u >= units<I>()) {
            if constexpr (I + 1 < COUNT)
                gather_unit<I + 1>(t, u - units<I>(), backward, slots, trial, example, count);
            return;
        }
        using L = Layer<I>;
        const Piece piece{u % pieces<I>(), pieces<I>()};
        const int b = u / pieces<I>() / Table<L>::PARTS;
        with_part<L>(u / pieces<I>() % Table<L>::PARTS, [&](auto size, int p) {
            for (int64_t i = example; i < example + count; i++) {
                Trial& one = *trials_[trial + i - example];
                vf* table = nullptr;
                if constexpr (I == 0 && L::TILED)
                    if (tiled_) {
                        table = vectors(tables_[t].data());
                        backward.template first_layer<size()>(one, b, p, table);
                    }
                const int s = slots.of(i), at = place(slots, s);
                gather_trial<I, size()>(one, table, std::get<I>(slots_[at]), b, p, piece,
                                        i == slots.first(s));
                if (slots.begin == 0 && s > 0 && i + 1 == slots.first(s + 1))
                    complete<I, size()>(b, p, piece);
            }
        });
    }

    // Adds a piece of a slot behind the first one to that.
    template <int I, int SIZE> void complete(int b, int p, const Piece& piece) {
        using L = Layer<I>;
        const auto add = [&](int number, size_t from, size_t to) {
            const Real* more = std::get<I>(slots_[1]).arrays[number].data();
            Real* total = std::get<I>(slots_[0]).arrays[number].data();
            for (size_t i = from; i < to; i += LANES) *vectors(total + i) += *vectors(more + i);
        };
        each_projection<L>([&](auto k) {
            using Own = typename L::template Into<k()>;
            const size_t at = Parts<L, Own::PRE>::part(b, p);
            if (Own::TRAINED)
                add(k(), at + size_t(piece.first(Own::PRE)) * SIZE * LANES,
                    at + size_t(piece.end(Own::PRE)) * SIZE * LANES);
        });
        for (int k = 0; piece.takes(0) && k < L::Model::TRAINED; k++) {
            const size_t at = size_t(k) * L::WIDTH + Parts<L, 1>::part(b, p);
            add(Tensors<L>::PARAMETERS, at, at + size_t(SIZE) * LANES);
        }
    }

    // Adds what one trial gives to the SIZE vectors of part p of block b; from `table`, or from its
    // own ones where that is null.
    template <int I, int SIZE>
    void gather_trial(Trial& trial, vf* table, Tensors<Layer<I>>& gradient, int b, int p,
                      const Piece& piece, bool fresh) const {
        using L = Layer<I>;
        constexpr int S = Table<L>::S;
        auto& work = std::get<I>(trial.work);
        each_projection<L>([&](auto k) {
            using Own = typename L::template Into<k()>;
            if constexpr (!Own::TRAINED) return;
            const vf* from = table ? table : work.input_adjoint[Own::PORT].part(b, p * S);
            Real* to = gradient.arrays[k()].data() + Parts<L, Own::PRE>::part(b, p);
            const int low = piece.first(Own::PRE), high = piece.end(Own::PRE);
            each_source<L, k()>(trial, [&](int pre, int count, const uint32_t* start,
                                           const uint16_t* step, int shift) {
                const int first = std::max(low - pre, 0), few = std::min(high - pre, count) - first;
                if (few <= 0) return;
                vf* at = vectors(to) + size_t(pre + first) * SIZE;
                if (fresh) gather_part<SIZE, SIZE, true>(at, from, few, start + first, step, shift);
                else gather_part<SIZE, SIZE, false>(at, from, few, start + first, step, shift);
            });
        });
        for (int k = 0; piece.takes(0) && k < L::Model::TRAINED; k++)
            for (int x = 0; x < SIZE; x++) {
                const size_t at = size_t(k) * L::WIDTH + b * L::BW + (p * S + x) * LANES;
                const vf own = *vectors(work.parameters.data() + at);
                vf& total = *vectors(gradient.parameters().data() + at);
                total = fresh ? own : total + own;
            }
    }

    const int threads_;
    Teams teams_;
    bool tiled_;
    int wave_ = 0;
    std::vector<Buffer<Real>> tables_;            // [thread] of one part of a tiled layer
    std::vector<std::unique_ptr<Trial>> trials_;
    std::vector<int> owner_;  // [place in a wave] trial that has the tables of this place
    SlotGradients<P> slots_;  // dense weights in the order of Parts
};

}  // namespace snn
