// engine.hpp: calls, batches and threads.
//
// A batch is divided into slots, each with a gradient of its own, which are summed in their order:
// slotted.hpp, and deferred.hpp for large programs. So the bits of a result do not depend on the
// number of threads. Nothing is allocated between the batches of a call.
#pragma once
#include <algorithm>
#include <memory>
#include <tuple>

#include "deferred.hpp"
#include "expm.hpp"
#include "learner.hpp"
#include "plain_copy.hpp"
#include "ranks.hpp"
#include "slotted.hpp"

namespace snn {

template <class P> class Engine : Walk<P> {
    using Walk<P>::each_layer, Walk<P>::each_tensor;
    using Layers = typename P::Layers;
    static constexpr int COUNT = std::tuple_size_v<Layers>;
    template <int I> using Layer = std::tuple_element_t<I, Layers>;
    using AllTensors = typename Map<Tensors, Layers>::type;
    using Formula = typename P::Formula;
    using Plasticity = typename P::Plasticity;
    using Trial = snn::Trial<P>;

  public:
    // `numbers`: of each population, then of the formula of the loss, of plasticity, and of the
    // optimisers.
    // `connected`: of each projection, layer by layer.
    Engine(int threads, const double* numbers, const Connected* connected)
        : pool_(threads), slotted_(threads, formula_), deferred_(threads, pool_.barrier) {
        each_layer([&](auto l) { numbers = std::get<l()>(coefficients_).take(numbers); });
        int number = 0;  // of a projection
        formula_ = Formula::of(numbers), numbers += Formula::NUMBERS;
        plasticity_ = Plasticity::of(numbers), numbers += Plasticity::NUMBERS;
        learner_.take(numbers);
        each_layer([&](auto layer) {
            constexpr int I = decltype(layer)::value;
            using L = Layer<I>;
            auto& lists = std::get<I>(declared_).lists;
            each_projection<L>([&](auto k) {
                using Own = typename L::template Into<k()>;
                if (Own::LISTED) lists[k()].take(*connected, Own::ROWS);
                std::get<I>(declared_).bounds[k()] = {Real(connected->low), Real(connected->high),
                                                   Real(connected->most_delay),
                                                   connected->dropout, number++};
                connected++;
            });
            std::get<I>(value_).allocate(lists), std::get<I>(gradient_).allocate(lists);
            learner_.template allocate<I>(lists);
            std::get<I>(value_).allocate_split();
            std::get<I>(coefficients_).allocate();
            std::get<I>(by_target_).allocate();
        });
        learner_.allocated(value_, threads);
        pool_.run([&](int t) {
            slotted_.begin(t), deferred_.begin(t);
            for (AllTensors* all : {&value_, &gradient_})
                each_layer([&](auto l) { std::get<l()>(*all).zero(t, threads); });
            learner_.zero(t);
        });
    }

    // What the other side must know alike, and the tensors, which are numbered in this order.
    std::string interface() {
        std::string text =
            Job::described() + Data::described() + Connected::described() + "tensors";
        each_layer([&](auto layer) {
            using L = Layer<layer()>;
            const std::string at = " " + std::to_string(layer()) + ".";
            each_projection<L>([&](auto k) {
                text += at + "weights." + std::to_string(k());
                if (L::template Into<k()>::DELAY != Delay::NONE)
                    text += at + "delays." + std::to_string(k());
            });
            if (L::Model::PER_NEURON > 0) text += at + "parameters";
        });
        return text;
    }

    // Copies tensor `index` from (`set`) or to `plain` [rows][size]; which: -1 gradient, 0 values,
    // from 1 on the states of its optimiser.
    void copy(int index, int which, bool set, Real* plain) {
        AllTensors& all = which < 0 ? gradient_ : which == 0 ? value_ : learner_.state(which - 1);
        PlainCopy<P>::run(all, index, Deferred<P>::ON && which < 0, set, plain);
        if (set && which == 0) refresh(), transpose(0, 1);
    }

    // Into how many parts ranks can share a mini-batch of so many examples.
    static int parts(int batch) {
        return Slots::most(batch, Deferred<P>::ON);
    }

    void run(Job& job) {
        const int64_t batches = (job.count + job.batch - 1) / job.batch;
        std::atomic<int64_t> bad_loss{-1}, bad_update{-1};
        std::atomic<int> failed_tensor{-1};
        const Ranks ranks{job};
        Shares shares(pool_.count());
        prepare(job, job.batch);
        pool_.run([&](int t) {
            const FlushDenormals guard;
            int64_t part = 0;
            const int64_t updates = job.train ? UpdateSteps<P>::UPDATES : 1;  // of a mini-batch
            for (int64_t u = 0; u < batches * updates; u++) {
                const int64_t b = u / updates, from = b * job.batch;
                const int64_t size = std::min<int64_t>(job.batch, job.count - from);
                if (!run_batch(t, shares, part, job, from, size, int(u % updates))) bad_loss = b;
                pool_.barrier.wait();
                if (job.train && ranks.several()) {
                    sum_over_ranks(t, job, size, bad_loss != b);
                    if (over_ranks_.any_bad()) bad_loss = b;
                }
                if (bad_loss == b) return;  // of this batch: a faster thread may be in the next one
                if (!job.train) continue;
                const int slots = ranks.several() ? 0 : held(size, ranks).end;
                const double* rates = job.rates + b * learner_.tensors();
                const int bad = update(rates, job.updates * updates + u + 1, t, slots);
                if (bad >= 0) failed_tensor = bad, bad_update = b;
                pool_.barrier.wait();
                if (bad_update == b) return;
                if constexpr (P::TRAINS_PARAMETERS || Trial::DISCRETE || Trial::DELAYED) {
                    if (t == 0) refresh();
                    transpose(t, pool_.count());
                    pool_.barrier.wait();
                }
            }
        });
        job.failed_batch = std::max<int64_t>(bad_loss, bad_update),
        job.failed_tensor = failed_tensor;
        collect_spikes(job);
    }

    // Gradient of the mean loss of one batch, left in the gradient tensors.
    void gradient(Job& job) {
        const int slots = held(job.count, Ranks{job}).end;
        Shares shares(pool_.count());
        prepare(job, job.count);
        pool_.run([&](int t) {
            const FlushDenormals guard;
            int64_t part = 0;
            run_batch(t, shares, part, job, 0, job.count, 0);
        });
        collect_spikes(job);
        each_tensor([&](auto layer, auto number, int at, auto) {
            constexpr int I = decltype(layer)::value;
            if constexpr (Kind<Layer<I>, number()>::TRAINED) {
                auto& total = std::get<I>(gradient_).arrays[number()];
                const auto sum = gradient_of<I, number(), 0>(at, slots);
                const auto& like = std::get<I>(gradients()[0]).arrays[number()];
                for (size_t i = 0; i < like.size(); i += LANES)
                    *vectors(total.data() + i) = sum(i);
            }
        });
    }

    // One example with every state of every layer kept; read them with spikes() and trace().
    void trial(Job& job) {
        const FlushDenormals guard;
        Trial& trial = slotted_.first();
        trial.allocate_trace();
        trial.begin_counts(job);
        emitted_.resize(1);
        forward_pass(job).template all<true>(trial, 0, 1.0);
    }

    // Spikes of the last trial(): of a layer, or of the input (-1). Returns how many there are.
    int64_t spikes(int wanted, int32_t* step, int32_t* neuron) {
        return slotted_.first().spikes(wanted, step, neuron);
    }

    // Copies the outputs' spikes in all examples of the last call, one after the other, of a loss
    // that compares them with targets.
    void emitted(int32_t* step, int32_t* neuron) const {
        for (const auto& one : emitted_) {
            step = std::copy(one.step.begin(), one.step.end(), step);
            neuron = std::copy(one.neuron.begin(), one.neuron.end(), neuron);
        }
    }

    void trace(int layer, int state, Real* out) {  // [steps][size]
        slotted_.first().copy_trace(layer, state, out);
    }

  private:
    // The gradient of an array of tensor `at`, vector by vector; ROWS: of dense weights, else 0.
    // Without slots it is the sum over ranks.
    template <int I, int NUMBER, int ROWS> auto gradient_of(int at, int slots) {
        const Real* total = slots > 0 ? nullptr : over_ranks_.total(at);
        if constexpr (Deferred<P>::ON) {
            if (!total) total = std::get<I>(gradients()[0]).arrays[NUMBER].data();
            return InParts<Layer<I>, ROWS>{total};
        } else {
            SlotSum sum;
            if (total) sum.slots.push_back(total);
            for (int s = 0; s < slots; s++)
                sum.slots.push_back(std::get<I>(gradients()[s]).arrays[NUMBER].data());
            return sum;
        }
    }

    // What a call with batches of up to `batch` examples begins with.
    void prepare(const Job& job, int64_t batch) {
        const Ranks ranks{job};
        if constexpr (P::Loss::TARGETS) emitted_.assign(job.count, {});
        if (Deferred<P>::ON && job.train)
            deferred_.prepare(formula_, std::min(batch, job.count), job.count % batch, ranks,
                              declared_, averages_);
        else if (job.train) slotted_.prepare(forward_pass(job), batch, ranks, averages_);
        if (job.train && ranks.several()) over_ranks_.allocate(value_);
        each_trial([&](Trial& trial) { trial.begin_counts(job); });
    }
    void collect_spikes(Job& job) {
        each_trial([&](Trial& trial) { trial.add_counts(job); });
    }

    template <class F> void each_trial(F f) {
        for (auto* trials : slotted_.trials())
            for (auto& trial : *trials)
                if (trial) f(*trial);
        for (auto& trial : deferred_.trials()) f(*trial);
    }

    void refresh() {
        each_layer([&](auto l) {
            std::get<l()>(coefficients_).refresh(std::get<l()>(value_).parameters());
        });
    }

    // This thread's share of weights by target, and of delays in steps.
    void transpose(int t, int threads) {
        each_layer([&](auto l) {
            std::get<l()>(value_).split(t, threads);
            std::get<l()>(by_target_).refresh(std::get<l()>(value_), t, threads);
        });
    }

    // The optimiser on this thread's share of every tensor; `step` is the number of the update.
    // Returns the number of a tensor that failed, or -1.
    int update(const double* rates, int64_t step, int t, int slots) {
        const auto gradient = [&](auto layer, auto number, auto rows, int at) {
            return gradient_of<layer(), number(), rows()>(at, slots);
        };
        const double scale = learner_.scale_of(gradient, pool_, t);
        return learner_.update(gradient, value_, declared_, coefficients_, rates, double(step),
                               scale, t);
    }

    // Where the gradients of slots are, and those of a mini-batch that hold something.
    SlotGradients<P>& gradients() {
        if constexpr (Deferred<P>::ON) return deferred_.slots();
        else return slotted_.slots();
    }
    static Slots held(int64_t size, const Ranks& ranks) {
        if constexpr (Deferred<P>::ON) return Deferred<P>::held(size, ranks);
        else return {size, ranks, false};
    }

    ForwardPass<P> forward_pass(const Job& job) {
        return {{}, value_, coefficients_, declared_, job, emitted_};
    }

    // Leaves the gradient of a mini-batch that ranks share; called by every thread.
    void sum_over_ranks(int t, const Job& job, int64_t size, bool good) {
        const Ranks ranks{job};
        over_ranks_.of_slots(t, ranks, pool_, held(size, ranks), gradients(), good);
    }

    // The examples [from, from + size), one mini-batch, or this rank's of them, up to its next
    // update, the u-th; called by every thread. Returns whether the losses that this thread has
    // seen are finite.
    bool run_batch(int t, Shares& shares, int64_t& part, const Job& job, int64_t from,
                   int64_t size, int u) {
        const ForwardPass<P> forward = forward_pass(job);
        const BackwardPass<P> backward(forward, by_target_, averages_, plasticity_);
        if constexpr (Deferred<P>::ON)
            if (job.train)
                return deferred_.run(t, pool_, shares, part, backward, averages_, Ranks{job}, from,
                                     size);
        return slotted_.run(t, pool_, shares, part, backward, averages_, from, size, u);
    }

    Pool pool_;
    std::vector<Emitted> emitted_;  // by the outputs, per example of the call
    AllTensors value_, gradient_;
    typename Map<Coefficients, Layers>::type coefficients_;
    typename Map<Declared, Layers>::type declared_;
    Formula formula_;
    Plasticity plasticity_;
    Learner<P> learner_;
    typename Map<Averages, Layers>::type averages_;
    typename Map<ByTarget, Layers>::type by_target_;
    Slotted<P> slotted_;
    Deferred<P> deferred_;
    SumOverRanks<P> over_ranks_;
};

}  // namespace snn
