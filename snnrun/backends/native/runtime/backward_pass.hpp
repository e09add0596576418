// backward_pass.hpp: trials walked back through all layers, the output first, and the gradients
// that they leave in a slot.
#pragma once
#include "backward_part.hpp"
#include "gather.hpp"
#include "discrete.hpp"
#include "losses.hpp"
#include "spike_train.hpp"
#include "plasticity.hpp"
#include "trial.hpp"

namespace snn {

template <class P> struct BackwardPass {
    using Layers = typename P::Layers;
    using AllTensors = typename Map<Tensors, Layers>::type;
    using Trial = snn::Trial<P>;
    static constexpr int COUNT = std::tuple_size_v<Layers>;
    template <int I> using Layer = std::tuple_element_t<I, Layers>;

    const AllTensors& value;
    const typename Map<Coefficients, Layers>::type& coefficients;
    const typename Map<ByTarget, Layers>::type& by_target;
    const typename Map<Averages, Layers>::type& averages;
    const typename P::Plasticity& plasticity;

    // `fresh`: they are the first of the slot, which is overwritten.
    void all(Trial* const* trials, int count, AllTensors& slot, double scale, bool fresh) const {
        layers<COUNT - 1>(trials, count, slot, scale, fresh);
        for (int i = 0; i < count; i++)
            pair_layers<P>(plasticity, *trials[i], value, slot, scale, fresh && i == 0);
    }

    // The walks alone, into the trial's own tables; without the first layer's where it is `tiled`.
    template <int I = COUNT - 1> void walks(Trial& trial, double scale, bool tiled) const {
        if constexpr (needs_adjoint<Layers, I>()) {
            auto& work = std::get<I>(trial.work);
            prepare<I>(trial, scale);
            if (I > 0 || !tiled) {
                work.parameters.zero();
                walk<I>(trial, work.parameters.data());
            }
        }
        if constexpr (I > 0) walks<I - 1>(trial, scale, tiled);
    }

    // The walk of the `size` vectors of part p of block b of the first layer, into `table`.
    template <int SIZE> void first_layer(Trial& trial, int b, int p, vf* table) const {
        auto& work = std::get<0>(trial.work);
        for (int i = 0; i < Layer<0>::Model::TRAINED; i++)
            std::fill_n(work.parameters.data() + size_t(i) * Layer<0>::WIDTH + b * Layer<0>::BW +
                            p * Table<Layer<0>>::S * LANES,
                        SIZE * LANES, Real(0));
        backward_part<Layer<0>, SIZE>(
            work, std::get<0>(coefficients).constants(), work.parameters.data(),
            trial.template arrivals<0>().last_step(Layer<0>::STEPS), std::get<0>(trial.held).at, b,
            p, table);
    }

  private:
    template <int I>
    void layers(Trial* const* trials, int count, AllTensors& slot, double scale,
                bool fresh) const {
        if constexpr (needs_adjoint<Layers, I>()) layer<I>(trials, count, slot, scale, fresh);
        if constexpr (I > 0) layers<I - 1>(trials, count, slot, scale, fresh);
    }

    template <int I>
    void layer(Trial* const* trials, int count, AllTensors& slot, double scale, bool fresh) const {
        using L = Layer<I>;
        auto& gradient = std::get<I>(slot);
        if (fresh) gradient.parameters.zero();
        for (int i = 0; i < count; i++) prepare<I>(*trials[i], scale);
        if constexpr (L::Model::DISCRETE) {
            constexpr int ABOVE = I + 1 < COUNT ? I + 1 : I;
            Group<L> group;
            for (int i = 0; i < count; i++)
                group.add(std::get<I>(trials[i]->work), std::get<I>(trials[i]->held).at);
            const auto sent = [&](int g, int b, int from, int to) {
                auto& work = *group.work[g];
                if constexpr (I == ABOVE) trials[g]->loss.give(work, b, from, to);
                else
                    targets_above(work, std::get<ABOVE>(trials[g]->work),
                                  std::get<ABOVE>(by_target), b, from, to);
            };
            backward_discrete(group, std::get<I>(by_target),
                              std::get<I>(coefficients).constants(), gradient.parameters.data(),
                              sent);
        }
        for (int i = 0; i < count; i++) {
            if constexpr (!L::Model::DISCRETE)
                walk<I>(*trials[i], gradient.parameters.data());
            gather_all<I>(*trials[i], gradient, fresh && i == 0);
        }
    }

    template <int I> void prepare(Trial& trial, double scale) const {
        using L = Layer<I>;
        auto& work = std::get<I>(trial.work);
        if constexpr (L::Model::REGULARISED)
            work.scale = Real(scale), work.total = Trial::AVERAGED ? std::get<I>(averages).total
                                                                   : Real(work.spike_count());
        if constexpr (L::Model::SPIKING && !L::Model::DISCRETE) {
            if constexpr (I + 1 < COUNT)
                gather_from_targets(work, std::get<I + 1>(trial.work), std::get<I + 1>(value));
            if constexpr (I + 2 == COUNT && P::Loss::MOVES_WITH_SPIKES)
                trial.loss.move_peaks(work, std::get<I + 1>(value),
                                       std::get<I + 1>(coefficients).constants());
            if constexpr (I + 1 == COUNT)
                for (auto& s : work.spikes) std::fill_n(s.from_targets.data(), s.count(), Real(0));
            invert_slopes(work, std::get<I>(coefficients).constants());
        }
    }

    template <int I> void walk(Trial& trial, Real* parameters) const {
        using L = Layer<I>;
        auto& work = std::get<I>(trial.work);
        const int end = trial.template arrivals<I>().last_step(L::STEPS);
        const auto walk = [&](const auto& drive) {
            backward(work, std::get<I>(value), std::get<I>(coefficients).constants(), parameters,
                     drive, end, std::get<I>(trial.held).at);
        };
        if constexpr (I == COUNT - 1) walk(trial.loss);
        else if constexpr (I == 0 && L::TILED)
            for (int b = 0; b < L::BLOCKS; b++)
                for (int q = 0; q < Table<L>::PARTS; q++)
                    with_part<L>(q, [&](auto size, int p) {
                        backward_part<L, size()>(
                            work, std::get<I>(coefficients).constants(), parameters, end,
                            std::get<I>(trial.held).at, b, p,
                            work.input_adjoint.part(b, p * Table<L>::S));
                    });
        else walk(Undriven{});
    }

    template <int I> void gather_all(Trial& trial, Tensors<Layer<I>>& gradient, bool fresh) const {
        using L = Layer<I>;
        auto& work = std::get<I>(trial.work);
        const Events& events = trial.events;
        for (int b = 0; b < L::BLOCKS; b++) {
            Real* forward = gradient.forward.data();
            const Wiring& wiring = *gradient.wiring;
            constexpr int BELOW = I == 0 ? 0 : I - 1;
            constexpr bool FORWARD = L::TRAIN_FORWARD && !L::PLASTIC_FORWARD;
            if constexpr (FORWARD && I == 0 && L::SPARSE_FORWARD)
                gather_synapses(work, forward, wiring.forward, b, 0, L::PRE, events.channel_start,
                                events.step, 0, fresh);
            if constexpr (FORWARD && I == 0 && !L::SPARSE_FORWARD)
                gather(work, forward + Tensors<L>::forward_at(b, 0), b, L::PRE,
                       events.channel_start, events.step, 0, fresh);
            if constexpr (FORWARD && I > 0)
                gather_from<L::SPARSE_FORWARD, Layer<BELOW>>(
                    work, std::get<BELOW>(trial.work), forward, Tensors<L>::forward_at(b, 0),
                    wiring.forward, b, fresh);
            if constexpr (L::TRAIN_RECURRENT && !L::PLASTIC_RECURRENT)
                gather_from<L::SPARSE_RECURRENT, L>(work, work, gradient.recurrent.data(),
                                                    Tensors<L>::recurrent_at(b, 0),
                                                    wiring.recurrent, b, fresh);
        }
    }
};

}  // namespace snn
