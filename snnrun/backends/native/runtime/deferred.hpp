// deferred.hpp: mini-batches of a program whose first layer is large: its table of adjoints and
// its gradient do not fit the second-level cache, and a gradient for each slot would not fit any.
//
// Some trials at a time (a wave; the whole mini-batch up to 2 where the regulariser sees averages
// over it), all threads do
//   1. the first layer's forward pass block by block, if it is not recurrent, so that the weights
//      of a block are read from memory once for all trials;
//   2. of each trial the rest of the forward pass and the backward pass;
//   3. the gradients of weights. A thread takes a part of the neurons of a layer, for all trials:
//      of a tiled layer it walks the part back, into a table that stays in its cache, and
//      gathers from it.
// There is one gradient, and each number of it is a sum over trials in their order, whoever makes
// it: the bits do not depend on the number of threads, or of trials in a wave.
#pragma once
#include "pool.hpp"
#include "backward_pass.hpp"
#include "forward_pass.hpp"

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

    explicit Deferred(int threads)
        : threads_(threads), tiled_(First::TILED && shared_well(parts<First>(), threads)) {
        if constexpr (ON) {
            size_t bytes = 0;
            each_layer([&](auto l) { bytes += l() > 0 || !tiled_ ? Layer<l()>::TABLE_BYTES : 0; });
            // tables should stay near, and the gradient be read and written seldom
            const size_t room = std::max(TABLES * threads, First::GRADIENT_BYTES / 2);
            wave_ = std::max(std::min<int>(MOST, int(room / (bytes + 1))), 2 * threads);
            for (int t = 0; tiled_ && t < threads; t++) {
                using T = Table<First>;
                tables_.emplace_back(size_t(T::ROWS) * T::S * LANES);
                tables_.back().zero();
            }
        }
    }

    // What a call with batches of up to `batch` examples begins with.
    void prepare(const typename P::Formula& formula, int64_t batch, AllAverages& averages) {
        const int64_t trials = Trial::AVERAGED ? batch : std::min<int64_t>(wave_, batch);
        for (int64_t i = trials_.size(); i < trials; i++) {
            trials_.push_back(std::make_unique<Trial>(formula, i >= wave_ ? COUNT : int(tiled_)));
            if (i < wave_) owner_.push_back(int(i));
            each_layer([&](auto l) {
                using L = Layer<l()>;
                auto& work = std::get<l()>(trials_.back()->work);
                work.parameters.allocate(size_t(L::Model::TRAINED) * L::WIDTH);
                auto& average = std::get<l()>(averages).data;
                if (Trial::AVERAGED && !average.size()) average.allocate(L::WIDTH);
                work.average = average.data();
            });
        }
    }
    std::vector<std::unique_ptr<Trial>>& trials() { return trials_; }

    // The examples [from, from + size), one mini-batch; called by every thread t. `gradient` is
    // overwritten. Returns whether the losses that this thread has seen are finite.
    bool run(int t, Pool& pool, Shares& shares, int64_t& part, const ForwardPass<P>& forward,
             const BackwardPass<P>& backward, AllTensors& gradient, AllAverages& averages,
             int64_t from, int64_t size) {
        const double scale = 1.0 / double(size);
        bool finite = true;
        const auto each = [&](int64_t units, auto f) {
            shares.take(t, part++, units, f);
            pool.barrier.wait();
        };
        const auto walk_forward = [&](int i, int64_t example) {
            Trial& trial = *trials_[i];
            if constexpr (!BLOCKWISE) forward.enter(trial, example);
            forward.template layers<false, BLOCKWISE>(trial);
            finite &= std::isfinite(forward.finish(trial, example, scale));
        };
        const auto walk_back = [&](int i) {
            hold_tables(i);
            backward.walks(*trials_[i], scale, tiled_);
        };
        const auto blocks_there = [&](int count, int64_t first) {
            if constexpr (BLOCKWISE) {
                each(count, [&](int i) { forward.enter(*trials_[i], first + i); });
                each(int64_t(First::BLOCKS) * count,
                     [&](int u) { forward.first_layer(*trials_[u % count], u / count); });
            }
        };
        const auto gather = [&](int first, int end, bool fresh) {
            each(all_units(), [&](int u) {
                gather_unit<0>(t, u, backward, gradient, first, end, fresh);
            });
        };
        const int waves = int((size + wave_ - 1) / wave_);
        const auto start = [&](int w) { return int(size * w / waves); };
        if constexpr (Trial::AVERAGED) {
            blocks_there(int(size), from);
            each(size, [&](int i) { walk_forward(i, from + i); });
            if (t == 0) average_spikes(trials_, size, averages);
            pool.barrier.wait();
            for (int w = 0; w < waves; w++) {
                each(start(w + 1) - start(w), [&](int i) { walk_back(start(w) + i); });
                gather(start(w), start(w + 1), w == 0);
            }
        } else {
            for (int w = 0; w < waves; w++) {
                const int count = start(w + 1) - start(w);
                blocks_there(count, from + start(w));
                each(count, [&](int i) {
                    walk_forward(i, from + start(w) + i);
                    walk_back(i);
                });
                gather(0, count, w == 0);
            }
        }
        return finite;
    }

  private:
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

    template <int I>
    void gather_unit(int t, int u, const BackwardPass<P>& backward, AllTensors& gradient,
                     int first, int end, bool fresh) {
        if (u >= units<I>()) {
            if constexpr (I + 1 < COUNT)
                gather_unit<I + 1>(t, u - units<I>(), backward, gradient, first, end, fresh);
            return;
        }
        using L = Layer<I>;
        const int piece = u % pieces<I>(), b = u / pieces<I>() / Table<L>::PARTS;
        with_part<L>(u / pieces<I>() % Table<L>::PARTS, [&](auto size, int p) {
            for (int i = first; i < end; i++) {
                Trial& trial = *trials_[i];
                vf* table = nullptr;
                if constexpr (I == 0 && L::TILED)
                    if (tiled_) {
                        table = vectors(tables_[t].data());
                        backward.template first_layer<size()>(trial, b, p, table);
                    }
                gather_trial<I, size()>(trial, table, std::get<I>(gradient), b, p, piece,
                                        fresh && i == first);
            }
        });
    }

    // Adds what one trial gives to the SIZE vectors of part p of block b; from `table`, or from its
    // own ones where that is null.
    template <int I, int SIZE>
    void gather_trial(Trial& trial, vf* table, Tensors<Layer<I>>& gradient, int b, int p, int piece,
                      bool fresh) const {
        using L = Layer<I>;
        constexpr int S = Table<L>::S;
        auto& work = std::get<I>(trial.work);
        each_projection<L>([&](auto k) {
            using Own = typename L::template Into<k()>;
            if constexpr (!Own::TRAINED) return;
            const vf* from = table ? table : work.input_adjoint[Own::PORT].part(b, p * S);
            Real* to = gradient.template weights<k()>() + Parts<L, Own::PRE>::part(b, p);
            each_source<L, k()>(trial, [&](int pre, int count, const uint32_t* start,
                                           const uint16_t* step, int shift) {
                const int first = count * piece / pieces<I>();
                const int few = count * (piece + 1) / pieces<I>() - first;
                vf* at = vectors(to) + size_t(pre + first) * SIZE;
                if (fresh) gather_part<SIZE, SIZE, true>(at, from, few, start + first, step, shift);
                else gather_part<SIZE, SIZE, false>(at, from, few, start + first, step, shift);
            });
        });
        for (int k = 0; piece == 0 && k < L::Model::TRAINED; k++)
            for (int x = 0; x < SIZE; x++) {
                const size_t at = size_t(k) * L::WIDTH + b * L::BW + (p * S + x) * LANES;
                const vf own = *vectors(work.parameters.data() + at);
                vf& total = *vectors(gradient.parameters().data() + at);
                total = fresh ? own : total + own;
            }
    }

    const int threads_;
    const bool tiled_;
    int wave_ = 0;
    std::vector<Buffer<Real>> tables_;            // [thread] of one part of a tiled layer
    std::vector<std::unique_ptr<Trial>> trials_;
    std::vector<int> owner_;  // [place in a wave] trial that has the tables of this place
};

}  // namespace snn
