// slotted.hpp: mini-batches whose gradients are in slots, and examples that are only run.
//
// The examples of a slot run on whichever thread takes it, perhaps beside those of others, and add
// to it one after the other; or they are walked by several threads, and their gradients gathered
// when all are done (Sharing). Where the regulariser sees averages over a mini-batch, all its
// forward passes come first, and what they leave is kept for the backward passes.
#pragma once
#include "backward_pass.hpp"
#include "eligibility.hpp"
#include "pool.hpp"
#include "slots.hpp"

namespace snn {

template <class P> class Slotted {
    using Layers = typename P::Layers;
    using AllAverages = typename Map<Averages, Layers>::type;
    using Formula = typename P::Formula;
    using Trial = snn::Trial<P>;
    static constexpr bool AVERAGED = Trial::AVERAGED, ONLINE = UpdateSteps<P>::EVERY > 0;
    static constexpr int TOGETHER = Trial::TOGETHER;

  public:
    using Trials = std::vector<std::unique_ptr<Trial>>;

    Slotted(int threads, const Formula& formula)
        : threads_(threads), formula_(formula), own_(threads), partners_(threads * TOGETHER) {}

    // What thread t works on is first written to by itself.
    void begin(int t) { own_[t] = std::make_unique<Trial>(formula_); }
    Trial& first() { return *own_[0]; }
    std::array<Trials*, 3> trials() { return {&own_, &partners_, &kept_}; }
    SlotGradients<P>& slots() { return slots_; }

    // What a call that learns with batches of up to `batch` examples begins with.
    void prepare(const ForwardPass<P>& forward, int64_t batch, const Ranks& ranks,
                 AllAverages& averages) {
        const int64_t count = forward.job.count;
        int64_t kept = AVERAGED || ONLINE ? std::min(batch, count) : 0;
        for (const int64_t size : {std::min(batch, count), count % batch}) {
            if (!APART || size == 0) continue;
            const Slots slots(size, ranks, false);
            const Sharing how = shared(slots);
            if (!how.apart()) continue;
            kept = std::max<int64_t>(kept, slots.own() * how.wave);
            for (int s = slots.begin; s < slots.end; s++) slots_.allocate(s, forward.declared);
        }
        while (int64_t(kept_.size()) < kept) {
            kept_.push_back(std::make_unique<Trial>(formula_));
            eligible_.push_back(make_eligible<P>(*kept_.back(), forward.coefficients));
            kept_.back()->show(averages);
        }
    }

    // The examples [from, from + size), one mini-batch, or this rank's of them, up to its next
    // update, the u-th; called by every thread t. Returns whether the losses that this thread has
    // seen are finite.
    bool run(int t, Pool& pool, Shares& shares, int64_t& part, const BackwardPass<P>& backward,
             AllAverages& averages, int64_t from, int64_t size, int u) {
        const ForwardPass<P>& forward = backward.forward;
        const Job& job = forward.job;
        const Ranks ranks{job};
        const Slots slots(size, ranks, false);
        const Sharing how = shared(slots);
        const double scale = 1.0 / double(size);
        bool finite = true;
        const auto average = [&] {
            pool.barrier.wait();
            if (t == 0)
                average_spikes(kept_, slots.first(slots.begin), slots.first(slots.end), size, ranks,
                               averages);
            pool.barrier.wait();
        };
        if constexpr (AVERAGED)
            if (job.train) {
                const int64_t first = slots.first(slots.begin), end = slots.first(slots.end);
                shares.take(t, part++, end - first, [&](int i) {
                    finite &= forward.all(*kept_[first + i], from + first + i, scale);
                });
                average();
            }
        if constexpr (APART)
            if (job.train && how.apart())
                return run_apart(t, pool, shares, part, backward, slots, how, from) && finite;
        shares.take(t, part++, (slots.own() + how.slots - 1) / how.slots, [&](int unit) {
            const int first = slots.begin + unit * how.slots;
            const int end = std::min(slots.end, first + how.slots);
            for (int s = first; job.train && s < end; s++) slots_.allocate(s, forward.declared);
            const int64_t last = slots.first(end);
            for (int64_t i = slots.first(first); i < last; i += TOGETHER) {
                Taken<P> taken[TOGETHER];
                const int count = int(std::min<int64_t>(TOGETHER, last - i));
                for (int c = 0; c < count; c++) {
                    const int s = slots.of(i + c);
                    Trial& trial = trial_of(t, c, i + c, job);
                    if (job.train) taken[c] = {&trial, &slots_[s], i + c == slots.first(s)};
                    if (ONLINE && job.train)
                        finite &= eligible_[i + c]->part(forward, backward.by_target,
                                                         *taken[c].slot, from + i + c, u, scale,
                                                         taken[c].fresh);
                    else if (!AVERAGED || !job.train)
                        finite &= forward.all(trial, from + i + c, scale);
                }
                if (!ONLINE && job.train) backward.all(taken, count, scale);
            }
        });
        return finite;
    }

  private:
    static constexpr bool APART = BackwardPass<P>::APART && !ONLINE;

    Sharing shared(const Slots& slots) const { return {slots, TOGETHER, threads_, APART}; }

    // Example i of a mini-batch, the c-th of those that thread t works on.
    Trial& trial_of(int t, int c, int64_t i, const Job& job) {
        if (job.train && (AVERAGED || ONLINE)) return *kept_[i];
        if (c == 0 || !job.train) return *own_[t];
        auto& trial = partners_[t * TOGETHER + c];
        if (!trial) {
            trial = std::make_unique<Trial>(formula_);
            trial->begin_counts(job);
        }
        return *trial;
    }

    // The same as `run`, of trials that are walked apart from their slots.
    bool run_apart(int t, Pool& pool, Shares& shares, int64_t& part,
                   const BackwardPass<P>& backward, const Slots& slots, const Sharing& how,
                   int64_t from) {
        const double scale = 1.0 / double(slots.size);
        bool finite = true;
        const auto each = [&](int64_t units, auto f) {
            shares.take(t, part++, units, f);
            pool.barrier.wait();
        };
        for (int w = 0; w * how.wave < slots.largest(); w++) {
            // f(example, trial) of the k-th of slot s in this wave, if there is one
            const auto with = [&](int s, int k, auto f) {
                const int64_t i = slots.first(s) + w * how.wave + k;
                if (i < slots.first(s + 1))
                    f(i, *kept_[AVERAGED ? i : (s - slots.begin) * how.wave + k]);
            };
            const int trials = slots.own() * how.wave;
            each((trials + how.trials - 1) / how.trials, [&](int u) {
                Taken<P> taken[TOGETHER];
                int count = 0;
                for (int v = u * how.trials; v < std::min(trials, (u + 1) * how.trials); v++)
                    with(slots.begin + v / how.wave, v % how.wave, [&](int64_t i, Trial& trial) {
                        if (!AVERAGED) finite &= backward.forward.all(trial, from + i, scale);
                        taken[count++] = {&trial, nullptr, false};
                    });
                backward.walks(taken, count, scale, false);
            });
            each(slots.own() * how.pieces, [&](int u) {
                const int s = slots.begin + u / how.pieces;
                for (int k = 0; k < how.wave; k++)
                    with(s, k, [&](int64_t i, Trial& trial) {
                        backward.gather_piece({&trial, &slots_[s], i == slots.first(s)},
                                              {u % how.pieces, how.pieces});
                    });
            });
        }
        return finite;
    }

    const int threads_;
    const Formula& formula_;
    Trials own_;       // [thread]
    Trials partners_;  // [thread][TOGETHER] more than one at a time
    Trials kept_;      // of the mini-batch, or of a wave
    std::vector<std::unique_ptr<Eligible<P>>> eligible_;  // of kept_
    SlotGradients<P> slots_;
};

}  // namespace snn
