// trial.hpp: what one example in work needs, and what is left of it.
#pragma once
#include <memory>

#include "checkpoints.hpp"
#include "forward.hpp"
#include "job.hpp"

namespace snn {

// One per thread; where the regulariser sees averages, one per example of a mini-batch; in Deferred
// one per example of a wave, or of a mini-batch.
template <class P> struct alignas(LINE) Trial : Walk<P> {
    using Walk<P>::each_layer;
    using Layers = typename P::Layers;
    template <class... Ls> static constexpr bool averaged(std::tuple<Ls...>*) {
        return (averages<typename Ls::Model>() || ...);
    }
    static constexpr bool AVERAGED = averaged(static_cast<Layers*>(nullptr));
    template <class... Ls> static constexpr bool discrete(std::tuple<Ls...>*) {
        return (Ls::Model::DISCRETE || ...);
    }
    static constexpr bool DISCRETE = discrete(static_cast<Layers*>(nullptr));
    template <class... Ls> static constexpr bool delayed(std::tuple<Ls...>*) {
        return (Ls::DELAYED || ...);
    }
    static constexpr bool DELAYED = delayed(static_cast<Layers*>(nullptr));
    template <class... Ls> static constexpr bool shared(std::tuple<Ls...>*) {
        return ((Ls::Model::DISCRETE && Ls::RECURRENT) || ...);
    }
    // Trials that a thread walks back together, since they then share the reading of recurrent
    // weights.
    using Kept = Keeping<Layers>;
    static constexpr int TOGETHER = shared(static_cast<Layers*>(nullptr)) ? Kept::together() : 1;

    typename Map<Work, Layers>::type work;
    typename Map<HeldAfter, Layers>::type held;
    typename Map<Checkpoints, Layers>::type checkpoints;  // [segment], where there are several
    typename P::Loss loss;
    Dropout dropout;
    Events events{};
    bool right = false;  // the prediction
    double loss_value = 0;
    std::vector<int64_t> neuron_spikes, activations;  // as in Job

    // The layers from `first_table` on have tables of adjoints.
    explicit Trial(const typename P::Formula& formula, int first_table = 0) : loss{formula} {
        each_layer([&](auto layer) {
            constexpr int I = decltype(layer)::value;
            std::get<I>(work).allocate(I >= first_table, Kept::SEGMENT);
            std::get<I>(held).at.allocate(std::tuple_element_t<I, Layers>::WIDTH);
        });
        loss.allocate();
    }

    // Where the regulariser finds the averages over the mini-batch.
    template <class AllAverages> void show(AllAverages& averages) {
        each_layer([&](auto l) {
            auto& average = std::get<l()>(averages).data;
            if (!average.size()) average.allocate(std::tuple_element_t<l(), Layers>::WIDTH);
            std::get<l()>(work).average = average.data();
        });
    }

    void begin_counts(const Job& job) {
        const size_t rows = job.activations ? 2 * (job.late_steps + 1) : 0;
        neuron_spikes.assign(P::NEURONS, 0);
        activations.assign(rows * (channels_of(job) + P::NEURONS), 0);
    }
    static size_t channels_of(const Job& job) {  // that are counted
        return job.counts_inputs ? job.data->channels : 0;
    }
    void add_counts(Job& job) const {
        for (size_t j = 0; j < neuron_spikes.size(); j++) job.neuron_spikes[j] += neuron_spikes[j];
        for (size_t j = 0; j < activations.size(); j++) job.activations[j] += activations[j];
    }

    void swap_tables(Trial& other) {
        each_layer([&](auto l) {
            for (int p = 0; p < std::tuple_element_t<l(), Layers>::Model::PORTS; p++)
                std::get<l()>(work).input_adjoint[p].data.swap(
                    std::get<l()>(other.work).input_adjoint[p].data);
        });
    }

    template <int SOURCE> auto arrivals() const {
        if constexpr (SOURCE == INPUT) return FromInput{events};
        else return FromLayer<std::tuple_element_t<SOURCE, Layers>>{std::get<SOURCE>(work)};
    }

    void allocate_trace() {
        each_layer([&](auto layer) {
            using L = std::tuple_element_t<decltype(layer)::value, Layers>;
            auto& w = std::get<decltype(layer)::value>(work);
            if (!w.trace.size()) w.trace.allocate(size_t(L::STEPS) * L::Model::STATES * L::WIDTH);
        });
    }

    void sort_spikes() {
        each_layer([&](auto layer) {
            constexpr int I = decltype(layer)::value;
            if constexpr (std::tuple_element_t<I, Layers>::Model::SPIKING)
                for (auto& spikes : std::get<I>(work).spikes) spikes.sort_by_neuron();
        });
    }

    // Counts the steps in which each channel and neuron was active, by one spike or by several; of
    // neurons that emit one at most, the last steps only, as neuron_spikes has the sum of all.
    void count_activations(const Job& job) {
        const int64_t late = job.late_steps;
        const size_t channels = channels_of(job), row = channels + P::NEURONS;
        const auto last_steps = [&](const uint32_t* start, const auto* spike, size_t first) {
            for (int64_t r = 0; r < late && start[P::STEPS - late] < start[P::STEPS - r]; r++)
                count_steps(start, spike, P::STEPS - 1 - r, P::STEPS - r, r * row + first);
        };
        const auto all_steps = [&](const uint32_t* start, const auto* spike, size_t first) {
            count_steps(start, spike, 0, P::STEPS - late, late * row + first);
            last_steps(start, spike, first);
        };
        if (job.counts_inputs) all_steps(events.step_start, events.channel, 0);
        size_t first = channels;
        each_layer([&](auto layer) {
            using L = std::tuple_element_t<layer(), Layers>;
            for (int c = 0; c < L::STRANDS && L::Model::SPIKING; c++) {
                const auto& spikes = std::get<layer()>(work).spikes[c];
                if constexpr (L::Model::COUNTED)
                    all_steps(spikes.start.data(), spikes.neuron.data(), first + c * L::STRAND);
                else last_steps(spikes.start.data(), spikes.neuron.data(), first + c * L::STRAND);
            }
            first += L::Model::SIZE;
        });
    }
    // Those of steps [from, to), at `first` and on; equal spikes of a step follow one another.
    template <class S>
    void count_steps(const uint32_t* start, const S* spike, int64_t from, int64_t to,
                     size_t first) {
        int64_t* one = activations.data() + first;
        int64_t* several = one + activations.size() / 2;
        const uint32_t end = start[to];
        int64_t n = from;
        for (uint32_t e = start[from], next; e < end; e = next) {
            for (next = e + 1; next < end && spike[next] == spike[e]; next++) {
                while (start[n] < next) n++;
                if (start[n] == next) break;  // of the next step
            }
            (next > e + 1 ? several : one)[spike[e]]++;
        }
    }

    // Copies steps and neurons of the spikes of a layer, or the INPUT, where asked for. Returns how
    // many there are.
    int64_t spikes(int wanted, int32_t* step, int32_t* neuron) const {
        if (wanted == INPUT) {
            for (int n = 0; step && n < P::STEPS; n++)
                for (uint32_t e = events.step_start[n]; e < events.step_start[n + 1]; e++)
                    step[e] = n, neuron[e] = events.channel[e];
            return events.step_start[P::STEPS];
        }
        int64_t total = 0;
        each_layer([&](auto layer) {
            constexpr int I = decltype(layer)::value;
            using L = std::tuple_element_t<I, Layers>;
            if (I != wanted) return;
            const auto& w = std::get<I>(work);
            total = w.spike_count();
            if (!step || !L::Model::SPIKING) return;
            int64_t at = 0;
            for (int n = 0; n < L::STEPS; n++)
                for (int c = 0; c < L::STRANDS; c++)
                    for (uint32_t e = w.spikes[c].start[n]; e < w.spikes[c].start[n + 1]; e++, at++)
                        step[at] = n, neuron[at] = c * L::STRAND + w.spikes[c].neuron[e];
        });
        return total;
    }

    void copy_trace(int wanted, int state, Real* out) const {  // [steps][size]
        each_layer([&](auto layer) {
            constexpr int I = decltype(layer)::value;
            using L = std::tuple_element_t<I, Layers>;
            if (I != wanted) return;
            const auto& w = std::get<I>(work);
            for (int n = 0; n < L::STEPS; n++)
                for (int j = 0; j < L::Model::SIZE; j++)
                    out[size_t(n) * L::Model::SIZE + j] =
                        w.trace[(size_t(n) * L::Model::STATES + state) * L::WIDTH + j];
        });
    }
};

// Spikes of each neuron, and of its layer, per example of a mini-batch of `size`, of which trials
// [from, to) are those of this rank.
template <class P, class AllAverages>
void average_spikes(const std::vector<std::unique_ptr<Trial<P>>>& trials, int64_t from, int64_t to,
                    int64_t size, const Ranks& ranks, AllAverages& averages) {
    struct : Walk<P> {
        using Walk<P>::each_layer;
    } layers;
    layers.each_layer([&](auto layer) {
        constexpr int I = decltype(layer)::value;
        using L = std::tuple_element_t<I, typename P::Layers>;
        if constexpr (L::Model::REGULARISED) {
            std::vector<int64_t> counts(L::WIDTH);
            for (int j = 0; j < L::WIDTH; j++)
                for (int64_t i = from; i < to; i++)
                    counts[j] += std::get<I>(trials[i]->work).spikes_of(j);
            ranks.sum(counts);
            int64_t all = 0;
            for (int j = 0; j < L::WIDTH; j++) {
                std::get<I>(averages).data[j] = Real(double(counts[j]) / double(size));
                all += counts[j];
            }
            std::get<I>(averages).total = Real(double(all) / double(size));
        }
    });
}

}  // namespace snn
