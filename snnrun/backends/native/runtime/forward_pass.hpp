// forward_pass.hpp: trials walked forward through all layers, up to the loss.
#pragma once
#include "discrete.hpp"
#include "job.hpp"
#include "losses.hpp"
#include "spike_train.hpp"
#include "target_course.hpp"
#include "trial.hpp"

namespace snn {

// Spikes that the outputs emitted in one example.
struct Emitted { std::vector<int32_t> step, neuron; };

// Team: who walks a trial. The threads of one call the same functions, but for `enter` and
// `finish`, which are for the first of them.
template <class P, class Team = Alone> struct ForwardPass : Walk<P> {
    using Walk<P>::each_layer;
    using Layers = typename P::Layers;
    using Trial = snn::Trial<P>;
    static constexpr int COUNT = std::tuple_size_v<Layers>;
    template <int I> using Layer = std::tuple_element_t<I, Layers>;

    const typename Map<Tensors, Layers>::type& value;
    const typename Map<Coefficients, Layers>::type& coefficients;
    const typename Map<Declared, Layers>::type& declared;
    const Job& job;
    std::vector<Emitted>& emitted;  // per example of the call
    Team team{};

    // Example i of the call is laid before the trial.
    void enter(Trial& trial, int64_t i) const {
        const int64_t example = job.examples[i];
        const Data& d = *job.data;
        const Events all = Events::of(d, example);
        const uint64_t key = mix(job.key ^ uint64_t(example));
        each_layer(
            [&](auto l) { prepare_draws(std::get<l()>(trial.work), std::get<l()>(coefficients),
                              job.in_network, key, l()); });
        trial.events = job.dropout <= 0 ? all
                                        : trial.dropout.filter(all, d.steps, d.channels, key,
                                                               Dropout::limit(job.dropout));
        each_layer([&](auto l) {
            auto& work = std::get<l()>(trial.work);
            work.clear_way(job.delay_width), work.trained = job.train;
            for (int k = 0; k < Layer<l()>::COUNT && Layer<l()>::DROPPED; k++) {
                const auto& of = std::get<l()>(declared).bounds[k];
                work.drops[k] = {job.in_network && of.dropout > 0,
                                 mix(key + (uint64_t(1) << 32) + uint64_t(of.number)),
                                 Word(of.dropout * 4294967295.0), Real(1 / (1 - of.dropout))};
            }
        });
        trial.loss.start(trial.events, d, example);
    }

    // Layers from FROM on. TRACE: every state of every layer is kept.
    template <bool TRACE, int FROM = 0> void layers(Trial& trial) const {
        each_layer([&](auto layer) {
            if constexpr (layer() >= FROM && Layer<layer()>::FIRST == layer())
                group<TRACE, layer()>(trial);
        });
    }

    // Block b of the first layer, which is not walked step by step.
    void first_layer(Trial& trial, int b) const {
        Seen<Layer<0>> seen{std::get<0>(trial.work)};
        forward_blocks<Layer<0>>(std::get<0>(trial.work), std::get<0>(value), constants<0>(), trial,
                                 seen, b, b + 1);
    }

    // Loss of example i, what is reported of it, what its backward pass needs. Returns the loss.
    double finish(Trial& trial, int64_t i, double scale) const {
        if (job.train) trial.sort_spikes();
        const int label = job.data->labels[job.examples[i]];
        if constexpr (P::Loss::TARGETS) {
            auto& kept = emitted[i];
            kept.step.resize(trial.spikes(COUNT - 1, nullptr, nullptr));
            kept.neuron.resize(kept.step.size());
            trial.spikes(COUNT - 1, kept.step.data(), kept.neuron.data());
        }
        const Outcome out = trial.loss.finish(std::get<COUNT - 1>(trial.work), label, scale);
        job.loss[i] = out.loss, job.prediction[i] = out.prediction;
        trial.right = out.prediction == label, trial.loss_value = out.loss;
        int neuron = 0;
        each_layer([&](auto layer) {
            constexpr int I = decltype(layer)::value;
            using L = Layer<I>;
            const auto& work = std::get<I>(trial.work);
            job.layer_spikes[i * COUNT + I] = int32_t(work.spike_count());
            if constexpr (L::Model::SPIKING)
                for (int c = 0; c < L::STRANDS; c++)
                    work.spikes[c].count_into(trial.neuron_spikes.data() + neuron + c * L::STRAND,
                                              std::min(L::STRAND, L::Model::SIZE - c * L::STRAND),
                                              job.train);
            neuron += L::Model::SIZE;
        });
        if (job.activations) trial.count_activations(job);
        return out.loss;
    }

    // All of example i. Returns whether its loss is finite.
    template <bool TRACE = false> bool all(Trial& trial, int64_t i, double scale) const {
        enter(trial, i);
        layers<TRACE>(trial);
        return std::isfinite(finish(trial, i, scale));
    }

    // Runs the group of layers FIRST + I through the segment that begins with step `from` again.
    template <int FIRST, int... I>
    void again(Trial& trial, int from, std::integer_sequence<int, I...>) const {
        std::tuple<Seen<Layer<FIRST + I>>...> seen{
            Seen<Layer<FIRST + I>>{std::get<FIRST + I>(trial.work)}...};
        std::tuple<Course<Layer<FIRST + I>>...> courses{
            Course<Layer<FIRST + I>>(std::get<FIRST + I>(trial.work), constants<FIRST + I>())...};
        (std::get<FIRST + I>(trial.checkpoints)[from / Kept::SEGMENT].restore(
             std::get<FIRST + I>(trial.work)),
         ...);
        segment<FIRST>(trial, courses, from, std::integer_sequence<int, I...>{},
                       std::get<I>(seen)...);
    }

  private:
    using Kept = typename Trial::Kept;
    // Whether the states of a group are kept for a segment alone.
    template <int FIRST> static constexpr bool in_segments() {
        return Layer<FIRST>::Model::DISCRETE && !Kept::WHOLE;
    }
    // Whether a team divides the steps of a group; others are walked by the first of its threads.
    template <int FIRST> static constexpr bool divided() {
        return Team::SEVERAL && Layer<FIRST>::RECURRENT;
    }
    template <int I> auto constants() const { return std::get<I>(coefficients).constants(); }

    // Walks the layers of a group: layer I, which `before` come before.
    template <bool TRACE, int I, class... Before>
    void group(Trial& trial, Before&... before) const {
        Seen<Layer<I>> seen{std::get<I>(trial.work)};
        const auto go_on = [&](auto& own) {
            if constexpr (I < Layer<I>::LAST) group<TRACE, I + 1>(trial, before..., own);
            else walk<Layer<I>::FIRST>(trial, before..., own);
        };
        if constexpr (I == COUNT - 1 && !P::Loss::TARGETS)
            observed<I, TRACE>(trial, trial.loss, go_on);
        else observed<I, TRACE>(trial, seen, go_on);
    }

    // A call of `walk` for each kind of observer: folded into each other, they cost a small net
    // 7 % of their time.
    template <int I, bool TRACE, class Observer, class F>
    void observed(Trial& trial, Observer& observer, F walk) const {
        auto& work = std::get<I>(trial.work);
        const auto beside = [&](auto other) {
            Both<decltype(other), Observer> both{other, observer};
            walk(both);
        };
        using L = Layer<I>;
        if constexpr (L::Model::SIGNAL_PLUS || L::Model::SIGNAL_MINUS) {
            Signals<L> signals{work, wide_numbers<L>(constants<I>()), constants<I>().own};
            Both<Signals<L>, Observer> both{signals, observer};
            if constexpr (TRACE) {
                Trace<L> trace{work.trace.data()};
                Both<Trace<L>, decltype(both)> all{trace, both};
                walk(all);
            } else {
                walk(both);
            }
        } else if constexpr (TRACE) {
            beside(Trace<L>{work.trace.data()});
        } else {
            walk(observer);
        }
    }

    template <int FIRST, class... Observers>
    void walk(Trial& trial, Observers&... observers) const {
        using L = Layer<FIRST>;
        if (!divided<FIRST>() && !team.leads()) return team.wait();
        if constexpr (!L::STEPWISE && !in_segments<FIRST>())
            forward_blocks<L>(std::get<FIRST>(trial.work), std::get<FIRST>(value),
                              constants<FIRST>(), trial, observers..., 0, L::BLOCKS);
        else
            steps<FIRST>(trial, std::make_integer_sequence<int, int(sizeof...(Observers))>{},
                         observers...);
        team.wait();
    }

    // A segment of the steps of a group. Run again, it does the same to the last bit: it is the
    // same code.
    template <int FIRST, class Courses, int... I, class... Observers>
    __attribute__((noinline)) void segment(Trial& trial, Courses& courses, int from,
                                           std::integer_sequence<int, I...>,
                                           Observers&... observers) const {
        const int end = std::min(from + Kept::SEGMENT, P::STEPS);
        for (int n = from; n < end; n++)
            (std::get<I>(courses).step(std::get<FIRST + I>(value), trial, observers, n, false),
             ...);
    }

    // All layers of a group, step by step.
    template <int FIRST, int... I, class... Observers>
    void steps(Trial& trial, std::integer_sequence<int, I...>, Observers&... observers) const {
        constexpr int T = P::STEPS;
        const auto all = [&] {
            if constexpr (divided<FIRST>()) return team;
            else return Alone{};
        }();
        std::tuple<Course<Layer<FIRST + I>>...> courses{
            Course<Layer<FIRST + I>>(std::get<FIRST + I>(trial.work), constants<FIRST + I>())...};
        const bool may_rest = (Course<Layer<FIRST + I>>::template rests<Observers>() && ...) &&
                              !(std::get<I>(courses).noisy() || ...);
        const int last =
            may_rest ? std::max({last_arrival<Layer<FIRST + I>>(trial, T)...}) : T;
        if (all.leads()) (std::get<I>(courses).begin_steps(), ...);
        all.wait();
        if constexpr (in_segments<FIRST>()) {
            constexpr int COUNT = (T + Kept::SEGMENT - 1) / Kept::SEGMENT;
            (std::get<FIRST + I>(trial.checkpoints).resize(COUNT), ...);
            for (int s = 0; s < COUNT; s++) {
                if (job.train)
                    (std::get<FIRST + I>(trial.checkpoints)[s].keep(
                         std::get<FIRST + I>(trial.work)),
                     ...);
                segment<FIRST>(trial, courses, s * Kept::SEGMENT,
                               std::integer_sequence<int, I...>{}, observers...);
            }
            return;
        }
        for (int n = 0; n < T; n++) {
            const bool tail = may_rest && n >= last;
            bool alive = false;
            ((alive |= std::get<I>(courses).step(std::get<FIRST + I>(value), trial, observers, n,
                                                 tail, all)),
             ...);
            alive = all.any(alive, n);
            if (tail && !alive) {
                if (all.leads()) (std::get<I>(courses).finish_steps(n + 1), ...);
                break;
            }
        }
    }
};

}  // namespace snn
