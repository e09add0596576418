// online.hpp: presents a pattern again and again while the synapses learn.
//
// Weights change at updates only, so the neurons are walked for a chunk of steps first, and every
// synapse then takes the same steps with its traces in registers. A chunk ends with the trial or
// at an update. Which thread takes which synapses changes no bit: they do not depend on each other.
#pragma once
#include <chrono>
#include <tuple>

#include "export_engine.hpp"
#include "online_synapses.hpp"
#include "pool.hpp"

namespace snn {

template <class P> class OnlineEngine : Walk<P> {
    using Walk<P>::each_layer;
    using Layers = typename P::Layers;
    using R = typename P::Rule;
    static constexpr int COUNT = std::tuple_size_v<Layers>, D = R::DELAY;
    template <int I> using Layer = std::tuple_element_t<I, Layers>;
    using Hidden = Layer<0>;
    using Output = Layer<COUNT - 1>;

  public:
    // `numbers`: of each population, then of the rule.
    OnlineEngine(int threads, const double* numbers, const Connected*) : pool_(threads) {
        each_layer([&](auto l) { numbers = std::get<l()>(work_).coefficients.take(numbers); });
        each_layer([&](auto layer) {
            auto& work = std::get<layer()>(work_);
            work.rule = R::of(numbers), work.allocate(), work.fields(fields_);
        });
        feedback_.allocate(size_t(Output::SIZE) * Hidden::WIDTH), feedback_.zero();
    }

    int field_count() const { return int(fields_.size()); }
    Field& field(int index) { return fields_[index]; }

    std::string interface() {
        std::string text = OnlineJob::described() + Data::described() + Connected::described() +
                           "tensors";
        each_layer([&](auto layer) { text += " " + std::to_string(layer()) + ".weights.0"; });
        return text;
    }

    // Copies w (0), m (1) or u (2) of a layer from (`set`) or to `plain` [PRE][SIZE].
    void copy(int wanted, int which, bool set, Real* plain) {
        each_layer([&](auto layer) {
            using L = Layer<layer()>;
            if (layer() != wanted) return;
            auto& work = std::get<layer()>(work_);
            Buffer<Real>* all[] = {&work.w, &work.m, &work.u};
            for (int i = 0; i < L::PRE; i++)
                for (int j = 0; j < L::SIZE; j++) {
                    Real& here = (*all[which])[size_t(i) * L::WIDTH + j];
                    Real& there = plain[size_t(i) * L::SIZE + j];
                    (set ? here : there) = set ? there : here;
                }
        });
        if (set && which == 0) refresh();
    }
    void set_feedback(const double* plain) {  // [hidden][outputs]; fixed
        for (int i = 0; i < Hidden::SIZE; i++)
            for (int k = 0; k < Output::SIZE; k++)
                feedback_[size_t(k) * Hidden::WIDTH + i] = Real(plain[i * Output::SIZE + k]);
    }

    // Seconds spent in: neurons, feedback, synapses, updates.
    const double* times() const { return times_; }

    void run(OnlineJob& job) {
        const int steps = std::min<int>(job.stop, P::STEPS);
        each_layer([&](auto layer) {
            auto& work = std::get<layer()>(work_);
            if (job.trace) work.trace.allocate(size_t(steps) * Layer<layer()>::Model::STATES *
                                               Layer<layer()>::WIDTH);
            work.spikes.neuron.clear();
        });
        recorded_.clear();
        Shares shares(pool_.count());
        int64_t clock = job.clock;
        pool_.run([&](int t) {
            const FlushDenormals guard;
            Progress progress{t, shares, 0, {}};
            for (int64_t i = 0; i < job.count; i++) {
                if (t == 0) begin_trial(job, i, steps);
                for (int n = 0, count; n < steps; n += count) {
                    const int64_t now = R::ALIGNED ? n : job.clock + i * steps + n;
                    int64_t due = R::UPDATE_STEPS - now % R::UPDATE_STEPS;
                    if (R::ALIGNED) due = std::min<int64_t>(due, steps - n);
                    count = int(std::min<int64_t>({due, CHUNK, steps - n}));
                    progress.clock = std::chrono::steady_clock::now();
                    if (t == 0) walk(job, i, n, count, steps);
                    pool_.barrier.wait();
                    passed(progress, NEURONS);
                    chunk(progress, job, count);
                    if (job.learn && count == due) update(progress, job, i, n + count, steps);
                }
                if (t == 0) end_trial(job, i, steps);
                pool_.barrier.wait();
                if (job.failed >= 0) return;
            }
        });
    }

    // Spikes of the last call: (step, neuron) of every trial, one trial after the other.
    int64_t spikes(int wanted, int32_t* step, int32_t* neuron) const {
        int64_t count = 0;
        for (const auto& s : recorded_)
            if (s.layer == wanted) {
                for (size_t e = 0; step && e < s.step.size(); e++)
                    step[count + e] = s.step[e], neuron[count + e] = s.neuron[e];
                count += int64_t(s.step.size());
            }
        return count;
    }
    void trace(int wanted, int state, int steps, Real* out) {  // [steps][size]
        each_layer([&](auto layer) {
            using L = Layer<layer()>;
            if (layer() != wanted) return;
            const Real* rows = std::get<layer()>(work_).trace.data() +
                               size_t(state) * steps * L::WIDTH;
            for (int n = 0; n < steps; n++)
                std::copy_n(rows + size_t(n) * L::WIDTH, L::SIZE, out + size_t(n) * L::SIZE);
        });
    }

  private:
    struct Progress {
        int thread;
        Shares& shares;
        int64_t part;
        std::chrono::steady_clock::time_point clock;
    };
    enum Kernel { NEURONS, FEEDBACK, SYNAPSES, UPDATES, KERNELS };
    struct Recorded {
        int layer;
        std::vector<int32_t> step, neuron;
    };

    // Enters the time since the last call under `kernel`: that of one thread, waits included.
    void passed(Progress& progress, Kernel kernel) {
        if (progress.thread != 0) return;
        const auto now = std::chrono::steady_clock::now();
        times_[kernel] += std::chrono::duration<double>(now - progress.clock).count();
        progress.clock = now;
    }

    void begin_trial(OnlineJob& job, int64_t i, int steps) {
        if (R::RESETS) {
            for (auto& f : fields_)
                if (f.resets) f.zero();
            each_layer([&](auto layer) { std::get<layer()>(work_).start(); });
        }
        each_layer([&](auto layer) { std::get<layer()>(work_).spikes.begin(steps); });
        job.square[i] = 0;
    }

    // What arrives at a layer: its presynaptic spikes of a step.
    template <int I, class F> void with_source(const Events& events, F f) {
        if constexpr (I == 0) {
            f([&](int n, auto add) {
                for (uint32_t e = events.step_start[n]; e < events.step_start[n + 1]; e++)
                    add(events.channel[e]);
            });
        } else {
            const auto& spikes = std::get<I - 1>(work_).spikes;
            f([&](int n, auto add) {
                for (uint32_t s = spikes.start[n]; s < spikes.start[n + 1]; s++)
                    add(spikes.neuron[s]);
            });
        }
    }

    void walk(OnlineJob& job, int64_t i, int n, int count, int steps) {
        const Events events = Events::of(*job.data, job.examples[i]);
        const Data& d = *job.data;
        const int64_t end = d.target_offsets[job.examples[i] + 1];
        int64_t next = std::lower_bound(d.target_step + d.target_offsets[job.examples[i]],
                                        d.target_step + end, n) - d.target_step;
        const auto targets = [&](int at, auto add) {
            for (; next < end && d.target_step[next] == at; next++) add(d.target_neuron[next]);
        };
        each_layer([&](auto layer) {
            with_source<layer()>(events, [&](const auto& source) {
                walk_neurons(std::get<layer()>(work_), source, n, count, targets, job.trace,
                             steps, &job.square[i]);
            });
        });
    }

    void chunk(Progress& progress, const OnlineJob& job, int count) {
        if (job.learn) {
            if constexpr (COUNT == 2) {
                constexpr int PAIRS = Synapses<Hidden>::PAIRS;
                progress.shares.take(progress.thread, progress.part++, PAIRS, [&](int task) {
                    feed_back(std::get<0>(work_), std::get<1>(work_), feedback_.data(), task,
                              count, job.learn);
                });
                pool_.barrier.wait();
                passed(progress, FEEDBACK);
            }
            constexpr auto tasks = [](auto layer) {
                using S = Synapses<Layer<decltype(layer)::value>>;
                return S::PARTS * S::PAIRS;
            };
            int total = 0;
            each_layer([&](auto layer) { total += tasks(layer); });
            progress.shares.take(progress.thread, progress.part++, total, [&](int task) {
                each_layer([&](auto layer) {
                    using S = Synapses<Layer<layer()>>;
                    if (task >= 0 && task < tasks(layer))
                        S::advance(std::get<layer()>(work_), task, count, job.learn);
                    task -= tasks(layer);
                });
            });
            pool_.barrier.wait();
        }
        if (progress.thread == 0)
            each_layer([&](auto layer) { std::get<layer()>(work_).keep_history(count); });
        passed(progress, SYNAPSES);
    }

    void update(Progress& progress, OnlineJob& job, int64_t i, int n, int steps) {
        const int64_t rest = R::ALIGNED ? n % R::UPDATE_STEPS : 0;  // at the end of a trial
        const int64_t since = rest ? rest : R::UPDATE_STEPS;
        const int64_t now = job.clock + i * steps + n;
        const bool apply = now - since >= R::BURN_IN_STEPS;
        int total = 0;
        each_layer([&](auto layer) { total += Synapses<Layer<layer()>>::PARTS; });
        progress.shares.take(progress.thread, progress.part++, total, [&](int task) {
            each_layer([&](auto layer) {
                using S = Synapses<Layer<layer()>>;
                if (task >= 0 && task < S::PARTS &&
                    !S::update(std::get<layer()>(work_), task, int(since), job.rates[i], apply))
                    failed_ = true;
                task -= S::PARTS;
            });
        });
        pool_.barrier.wait();
        if (progress.thread == 0) {
            each_layer([&](auto layer) {
                if constexpr (Layer<layer()>::HET) std::get<layer()>(work_).own_sum.zero();
            });
            refresh();
            if (failed_) job.failed = i;
        }
        passed(progress, UPDATES);
    }

    // The feedback of symmetric networks is the forward connection.
    void refresh() {
        if constexpr (COUNT == 2 && R::SYMMETRIC) {
            const auto& w = std::get<1>(work_).w;
            for (int k = 0; k < Output::SIZE; k++)
                for (int i = 0; i < Hidden::SIZE; i++)
                    feedback_[size_t(k) * Hidden::WIDTH + i] = w[size_t(i) * Output::WIDTH + k];
        }
    }

    void end_trial(OnlineJob& job, int64_t i, int steps) {
        int neuron = 0;
        const Events events = Events::of(*job.data, job.examples[i]);
        each_layer([&](auto layer) {
            constexpr int I = decltype(layer)::value;
            auto& work = std::get<I>(work_);
            with_source<I>(events, [&](const auto& source) {
                keep_underway(work, source, steps);
            });
        });
        each_layer([&](auto layer) {
            constexpr int I = decltype(layer)::value;
            const auto& spikes = std::get<I>(work_).spikes;
            job.layer_spikes[i * COUNT + I] = int32_t(spikes.neuron.size());
            Recorded recorded{I, {}, spikes.neuron};
            for (int n = 0; n < steps; n++)
                recorded.step.insert(recorded.step.end(), spikes.start[n + 1] - spikes.start[n], n);
            for (int32_t at : spikes.neuron) job.neuron_spikes[neuron + at]++;
            recorded_.push_back(std::move(recorded));
            neuron += Layer<I>::SIZE;
        });
        const auto& mean = std::get<COUNT - 1>(work_).mean_square;
        double total = 0;
        for (int k = 0; k < Output::SIZE; k++) total += mean[k];
        job.error[i] = total / Output::SIZE, job.square[i] /= Output::SIZE;
    }

    Pool pool_;
    std::vector<Field> fields_;
    typename Map<OnlineWork, Layers>::type work_;
    Buffer<Real> feedback_;  // [outputs][Hidden::WIDTH]
    std::vector<Recorded> recorded_;
    std::atomic<bool> failed_{false};
    double times_[KERNELS] = {};
};

}  // namespace snn

#define SNN_EXPORT_ONLINE(PROGRAM)                                                                 \
    SNN_EXPORT_ENGINE(PROGRAM, snn::OnlineEngine<PROGRAM>)                                         \
    extern "C" {                                                                                   \
    const char* snn_run(void* e, snn::OnlineJob* job) {                                            \
        return snn::attempt([&] { static_cast<E*>(e)->run(*job); });                               \
    }                                                                                              \
    void snn_feedback(void* e, const double* plain) { static_cast<E*>(e)->set_feedback(plain); }   \
    void snn_times(void* e, double* seconds) {                                                     \
        std::copy_n(static_cast<E*>(e)->times(), 4, seconds);                                      \
    }                                                                                              \
    int snn_fields(void* e) { return static_cast<E*>(e)->field_count(); }                          \
    int snn_field_shape(void* e, int index, int axis) {                                            \
        const auto& f = static_cast<E*>(e)->field(index);                                          \
        return axis == 0 ? f.rows : f.size;                                                        \
    }                                                                                              \
    void snn_field(void* e, int index, int set, double* plain) {                                   \
        static_cast<E*>(e)->field(index).copy(set, plain);                                         \
    }                                                                                              \
    void snn_trace(void* e, int layer, int state, int steps, snn::Real* out) {                     \
        static_cast<E*>(e)->trace(layer, state, steps, out);                                       \
    }                                                                                              \
    }
