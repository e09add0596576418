// engine.hpp: trials, batches and threads.
//
// A batch is divided into slots, each with a gradient of its own; a slot's examples run one after
// the other on whichever thread takes it, and slots are summed in their order. So the bits of a
// result do not depend on the number of threads. Nothing is allocated between the batches of a
// call.
#pragma once
#include <algorithm>
#include <memory>
#include <tuple>

#include "adam.hpp"
#include "backward.hpp"
#include "expm.hpp"
#include "forward.hpp"
#include "job.hpp"
#include "losses.hpp"
#include "pool.hpp"

namespace snn {

template <class P> class Engine : Walk<P> {
    using Walk<P>::each_layer, Walk<P>::each_trained;
    using Layers = typename P::Layers;
    static constexpr int COUNT = std::tuple_size_v<Layers>;
    template <int I> using Layer = std::tuple_element_t<I, Layers>;
    using AllTensors = typename Map<Tensors, Layers>::type;

    struct Thread {
        typename Map<Work, Layers>::type work;
        typename Map<HeldAfter, Layers>::type held;
        typename P::Loss loss;
        Dropout dropout;
        std::vector<int64_t> neuron_spikes;
    };

  public:
    explicit Engine(int threads) : pool_(threads), threads_(threads), slots_(SLOTS) {
        each_layer([&](auto layer) {
            constexpr int I = decltype(layer)::value;
            for (AllTensors* t : {&value_, &first_, &second_, &gradient_})
                std::get<I>(*t).allocate();
            using L = Layer<I>;
            std::get<I>(coefficients_).data.allocate(size_t(L::Model::ARRAYS + 1) * L::WIDTH);
        });
        pool_.run([&](int t) {  // first touched by the thread that uses it
            threads_[t] = std::make_unique<Thread>();
            each_layer([&](auto layer) {
                constexpr int I = decltype(layer)::value;
                std::get<I>(threads_[t]->work).allocate();
                std::get<I>(threads_[t]->held).at.allocate(Layer<I>::WIDTH);
            });
            threads_[t]->loss.allocate();
            threads_[t]->neuron_spikes.assign(P::NEURONS, 0);
        });
    }

    // Copies tensor `index` from (`set`) or to `plain` [rows][size]; which: 0 values, 1 and 2
    // Adam's moments, 3 gradient. Tensors are numbered as Program.tensors in compile/program.py.
    bool copy(int index, int which, bool set, Real* plain) {
        AllTensors* all[] = {&value_, &first_, &second_, &gradient_};
        int at = 0;
        bool found = false;
        each_layer([&](auto layer) {
            constexpr int I = decltype(layer)::value;
            using L = Layer<I>;
            auto visit = [&](auto member, int rows, bool used, auto position) {
                if (!used || at++ != index) return;
                Real* packed = (std::get<I>(*all[which]).*member).data();
                for (int i = 0; i < rows; i++)
                    for (int j = 0; j < L::Model::SIZE; j++) {
                        Real& here = packed[position(i, j)];
                        Real& there = plain[size_t(i) * L::Model::SIZE + j];
                        (set ? here : there) = set ? there : here;
                    }
                found = true;
            };
            visit(&Tensors<L>::forward, L::rows(), true, [](int i, int j) {
                return Tensors<L>::forward_at(j / L::BW, i) + j % L::BW;
            });
            visit(&Tensors<L>::recurrent, L::Model::SIZE, L::RECURRENT, [](int i, int j) {
                return Tensors<L>::recurrent_at(j / L::BW, i) + j % L::BW;
            });
            visit(&Tensors<L>::parameters, L::Model::PER_NEURON, L::Model::PER_NEURON > 0,
                  [](int i, int j) { return size_t(i) * L::WIDTH + j; });
        });
        if (set && which == 0) refresh();
        return found;
    }

    void run(Job& job) {
        const int64_t batches = (job.count + job.batch - 1) / job.batch;
        std::atomic<int64_t> bad_loss{-1}, bad_update{-1}, next[2] = {{0}, {0}};
        std::atomic<int> failed_tensor{-1};
        forget_spikes();
        pool_.run([&](int t) {
            const FlushDenormals guard;
            for (int64_t b = 0; b < batches; b++) {
                const int64_t from = b * job.batch;
                const int64_t size = std::min<int64_t>(job.batch, job.count - from);
                const int slots = int(std::min<int64_t>(SLOTS, size));
                for (int64_t s; (s = next[b % 2].fetch_add(1)) < slots;)
                    if (!run_slot(*threads_[t], int(s), job, from + size * s / slots,
                                  from + size * (s + 1) / slots, 1.0 / double(size)))
                        bad_loss = b;
                if (t == 0) next[(b + 1) % 2] = 0;
                pool_.barrier.wait();
                if (bad_loss == b) return;  // of this batch: a faster thread may be in the next one
                if (!job.train) continue;
                const Adam a{job.rates[b], job.beta1, job.beta2, job.epsilon, job.updates + b + 1};
                const int bad = update(a, t, slots);
                if (bad >= 0) failed_tensor = bad, bad_update = b;
                pool_.barrier.wait();
                if (bad_update == b) return;
                if constexpr (P::TRAINS_PARAMETERS) {
                    if (t == 0) refresh();
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
        const int slots = int(std::min<int64_t>(SLOTS, job.count));
        std::atomic<int> next{0};
        forget_spikes();
        pool_.run([&](int t) {
            const FlushDenormals guard;
            for (int s; (s = next.fetch_add(1)) < slots;)
                run_slot(*threads_[t], s, job, job.count * s / slots, job.count * (s + 1) / slots,
                         1.0 / double(job.count));
        });
        collect_spikes(job);
        each_trained([&](auto layer, auto member, int, auto) {
            constexpr int I = decltype(layer)::value;
            auto& total = std::get<I>(gradient_).*member;
            const auto parts = slot_parts<I>(member, slots);
            for (size_t i = 0; i < (std::get<I>(*slots_[0]).*member).size(); i += LANES)
                *vectors(total.data() + i) = total_gradient(parts, i);
        });
    }

    // One example with every state of every layer kept; read them with spikes() and trace().
    void trial(Job& job) {
        const FlushDenormals guard;
        Thread& thread = *threads_[0];
        each_layer([&](auto layer) {
            constexpr int I = decltype(layer)::value;
            using L = Layer<I>;
            auto& w = std::get<I>(thread.work);
            if (!w.trace.size()) w.trace.allocate(size_t(L::STEPS) * L::Model::STATES * L::WIDTH);
        });
        const Events events = input(thread, job, job.examples[0]);
        shown_ = events;
        forward_pass<true>(thread, events);
        finish(thread, job, 0, 1.0);
    }

    // Spikes of the last trial(): of a layer, or of the input (-1). Returns how many there are.
    int64_t spikes(int wanted, int32_t* step, int32_t* neuron) {
        if (wanted < 0) {
            for (int n = 0; step && n < P::STEPS; n++)
                for (uint32_t e = shown_.step_start[n]; e < shown_.step_start[n + 1]; e++)
                    step[e] = n, neuron[e] = shown_.channel[e];
            return shown_.step_start[P::STEPS];
        }
        int64_t total = 0;
        each_layer([&](auto layer) {
            constexpr int I = decltype(layer)::value;
            using L = Layer<I>;
            if (I != wanted) return;
            const auto& w = std::get<I>(threads_[0]->work);
            total = w.spike_count();
            if (!step || !L::Model::SPIKING) return;
            int64_t at = 0;
            for (int n = 0; n < L::STEPS; n++)
                for (int b = 0; b < L::BLOCKS; b++)
                    for (uint32_t e = w.spikes[b].start[n]; e < w.spikes[b].start[n + 1]; e++, at++)
                        step[at] = n, neuron[at] = b * L::BW + w.spikes[b].neuron[e];
        });
        return total;
    }

    void trace(int wanted, int state, Real* out) {  // [steps][size]
        each_layer([&](auto layer) {
            constexpr int I = decltype(layer)::value;
            using L = Layer<I>;
            if (I != wanted) return;
            const auto& w = std::get<I>(threads_[0]->work);
            for (int n = 0; n < L::STEPS; n++)
                for (int j = 0; j < L::Model::SIZE; j++)
                    out[size_t(n) * L::Model::SIZE + j] =
                        w.trace[(size_t(n) * L::Model::STATES + state) * L::WIDTH + j];
        });
    }

  private:
    template <int I, class Member> std::vector<const Real*> slot_parts(Member member, int slots) {
        std::vector<const Real*> parts;
        for (int s = 0; s < slots; s++) parts.push_back((std::get<I>(*slots_[s]).*member).data());
        return parts;
    }

    void forget_spikes() {
        for (auto& t : threads_) t->neuron_spikes.assign(P::NEURONS, 0);
    }
    void collect_spikes(Job& job) const {
        for (auto& t : threads_)
            for (int j = 0; j < P::NEURONS; j++) job.neuron_spikes[j] += t->neuron_spikes[j];
    }

    // Recomputes the coefficients of neurons whose parameters differ.
    void refresh() {
        each_layer([&](auto layer) {
            constexpr int I = decltype(layer)::value;
            using L = Layer<I>;
            if constexpr (L::Model::PER_NEURON > 0)
                for (int j = 0; j < L::WIDTH; j++) {
                    double value[L::Model::PER_NEURON];
                    const int own = std::min(j, L::Model::SIZE - 1);  // padding: as the last neuron
                    for (int p = 0; p < L::Model::PER_NEURON; p++)
                        value[p] = std::get<I>(value_).parameters[size_t(p) * L::WIDTH + own];
                    L::Model::prepare(value, std::get<I>(coefficients_).data.data() + j);
                }
        });
    }

    // Adam on this thread's share of every tensor. Returns the number of a tensor that failed, or
    // -1.
    int update(const Adam& a, int t, int slots) {
        int bad = -1;
        each_trained([&](auto layer, auto member, int number, auto parameters) {
            constexpr int I = decltype(layer)::value;
            using L = Layer<I>;
            Real* w = (std::get<I>(value_).*member).data();
            Real* m = (std::get<I>(first_).*member).data();
            Real* v = (std::get<I>(second_).*member).data();
            const auto parts = slot_parts<I>(member, slots);
            const size_t n = (std::get<I>(*slots_[0]).*member).size() / LANES, T = threads_.size();
            const Real none = -std::numeric_limits<Real>::infinity();
            bool good = true;
            if constexpr (parameters) {
                if (t == 0)
                    for (int p = 0; p < L::Model::TRAINED; p++)
                        good &= adam(w, m, v, parts, size_t(p) * L::WIDTH, size_t(p + 1) * L::WIDTH,
                                     a, L::Model::lowest(p));
            } else {
                good = adam(w, m, v, parts, n * t / T * LANES, n * (t + 1) / T * LANES, a, none);
            }
            if (!good) bad = number;
        });
        return bad;
    }

    Events input(Thread& thread, const Job& job, int64_t e) {
        const Data& d = *job.data;
        const Events all{d.step_pointers + e * (d.steps + 1), d.channel_by_step + d.offsets[e],
                         d.channel_pointers + e * (d.channels + 1),
                         d.step_by_channel + d.offsets[e]};
        if (job.dropout <= 0) return all;
        return thread.dropout.filter(all, d.steps, d.channels, mix(job.dropout_key ^ uint64_t(e)),
                                     Dropout::limit(job.dropout));
    }

    template <int I> static auto arrivals(Thread& thread, const Events& events) {
        if constexpr (I == 0) return FromInput{events};
        else return FromLayer<Layer<I - 1>>{std::get<I - 1>(thread.work)};
    }

    template <bool TRACE> void forward_pass(Thread& thread, const Events& events) {
        thread.loss.start(events);
        each_layer([&](auto layer) {
            constexpr int I = decltype(layer)::value;
            using L = Layer<I>;
            auto& work = std::get<I>(thread.work);
            const Real* k = std::get<I>(coefficients_).data.data();
            const auto from = arrivals<I>(thread, events);
            auto walk = [&](auto& observer) {
                if constexpr (TRACE) {
                    Trace<L> trace{work.trace.data()};
                    Both<Trace<L>, std::remove_reference_t<decltype(observer)>> both{trace,
                                                                                     observer};
                    forward(work, std::get<I>(value_), k, from, both);
                } else {
                    forward(work, std::get<I>(value_), k, from, observer);
                }
            };
            Unobserved nothing;
            if constexpr (I == COUNT - 1) walk(thread.loss);
            else walk(nothing);
        });
    }

    double finish(Thread& thread, const Job& job, int64_t i, double scale) {
        const int label = job.data->labels[job.examples[i]];
        const Outcome out = thread.loss.finish(std::get<COUNT - 1>(thread.work), label, scale);
        job.loss[i] = out.loss, job.prediction[i] = out.prediction;
        int neuron = 0;
        each_layer([&](auto layer) {
            constexpr int I = decltype(layer)::value;
            using L = Layer<I>;
            const auto& work = std::get<I>(thread.work);
            job.layer_spikes[i * COUNT + I] = int32_t(work.spike_count());
            if constexpr (L::Model::SPIKING)
                for (int b = 0; b < L::BLOCKS; b++)
                    for (uint32_t e = 0; e < work.spikes[b].count(); e++)
                        thread.neuron_spikes[neuron + b * L::BW + work.spikes[b].neuron[e]]++;
            neuron += L::Model::SIZE;
        });
        return out.loss;
    }

    template <int I>
    void layer_back(Thread& thread, const Events& events, AllTensors& slot, double scale,
                    bool fresh) {
        using L = Layer<I>;
        auto& work = std::get<I>(thread.work);
        if constexpr (L::Model::REGULARISED)
            work.scale = Real(scale), work.total = Real(work.spike_count());
        auto& gradient = std::get<I>(slot);
        if constexpr (L::Model::SPIKING) {
            if constexpr (I + 1 < COUNT)
                gather_from_targets(work, std::get<I + 1>(thread.work), std::get<I + 1>(value_));
            if constexpr (I + 2 == COUNT && P::Loss::MOVES_WITH_SPIKES)
                thread.loss.move_peaks(work, std::get<I + 1>(value_),
                                       std::get<I + 1>(coefficients_).data.data());
            if constexpr (I + 1 == COUNT)
                for (auto& s : work.spikes) std::fill_n(s.from_targets.data(), s.count(), Real(0));
        }
        if (fresh) gradient.parameters.zero();
        const Real* k = std::get<I>(coefficients_).data.data();
        const int end = arrivals<I>(thread, events).last_step(L::STEPS);
        auto& held = std::get<I>(thread.held).at;
        const auto walk = [&](const auto& drive) {
            backward(work, std::get<I>(value_), k, gradient, drive, end, held);
        };
        if constexpr (I == COUNT - 1) walk(thread.loss);
        else walk(Undriven{});
        for (int b = 0; b < L::BLOCKS; b++) {
            Real* rows = gradient.forward.data() + Tensors<L>::forward_at(b, 0);
            if constexpr (L::TRAIN_FORWARD && I == 0)
                gather(work, rows, b, L::PRE, events.channel_start, events.step, 0, fresh);
            if constexpr (L::TRAIN_FORWARD && I > 0)
                gather_from<Layer<I == 0 ? 0 : I - 1>>(
                    work, std::get<I == 0 ? 0 : I - 1>(thread.work), rows, b, fresh);
            if constexpr (L::TRAIN_RECURRENT)
                gather_from<L>(work, work,
                               gradient.recurrent.data() + Tensors<L>::recurrent_at(b, 0), b,
                               fresh);
        }
    }
    template <class Source, class L>
    static void gather_from(Work<L>& work, Work<Source>& source, Real* rows, int b, bool fresh) {
        for (int c = 0; c < Source::BLOCKS; c++) {
            const auto& s = source.spikes[c];  // emitted in step n: arrives at step n + 1
            gather(work, rows + size_t(c) * Source::BW * L::BW, b, Source::BW, s.by_neuron.data(),
                   s.step.data(), 1, fresh);
        }
    }
    template <int I>
    void all_back(Thread& thread, const Events& events, AllTensors& slot, double scale,
                  bool fresh) {
        layer_back<I>(thread, events, slot, scale, fresh);
        if constexpr (I > 0) all_back<I - 1>(thread, events, slot, scale, fresh);
    }

    bool run_slot(Thread& thread, int s, const Job& job, int64_t from, int64_t to, double scale) {
        if (job.train && !slots_[s]) {
            slots_[s] = std::make_unique<AllTensors>();
            each_layer([&](auto layer) { std::get<layer.value>(*slots_[s]).allocate_trained(); });
        }
        bool finite = true;
        for (int64_t i = from; i < to; i++) {
            const Events events = input(thread, job, job.examples[i]);
            forward_pass<false>(thread, events);
            finite &= std::isfinite(finish(thread, job, i, scale));
            if (!job.train) continue;
            each_layer([&](auto layer) {
                constexpr int I = decltype(layer)::value;
                if constexpr (Layer<I>::Model::SPIKING)
                    for (auto& spikes : std::get<I>(thread.work).spikes) spikes.sort_by_neuron();
            });
            all_back<COUNT - 1>(thread, events, *slots_[s], scale, i == from);
        }
        return finite;
    }

    Pool pool_;
    Events shown_{};  // input of the last trial()
    std::vector<std::unique_ptr<Thread>> threads_;
    std::vector<std::unique_ptr<AllTensors>> slots_;
    AllTensors value_, first_, second_, gradient_;
    typename Map<Coefficients, Layers>::type coefficients_;
};

}  // namespace snn
