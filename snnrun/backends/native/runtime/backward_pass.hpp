// backward_pass.hpp: trials walked back through all layers, the output first, and the gradients
// that they leave in a slot.
#pragma once
#include "backward_part.hpp"
#include "forward_pass.hpp"
#include "gather.hpp"
#include "discrete.hpp"
#include "losses.hpp"
#include "spike_train.hpp"
#include "plasticity.hpp"
#include "trial.hpp"

namespace snn {

// A trial to be walked back, and the slot that its gradients are added to; `fresh`: it is the
// slot's first, which is overwritten.
template <class P> struct Taken {
    Trial<P>* trial;
    typename Map<Tensors, typename P::Layers>::type* slot;
    bool fresh;
};

template <class P, class Team = Alone> struct BackwardPass : Walk<P> {
    using Layers = typename P::Layers;
    using AllTensors = typename Map<Tensors, Layers>::type;
    using Trial = snn::Trial<P>;
    using Taken = snn::Taken<P>;
    static constexpr int COUNT = std::tuple_size_v<Layers>;
    template <int I> using Layer = std::tuple_element_t<I, Layers>;

    using AllByTarget = typename Map<ByTarget, Layers>::type;
    using AllAverages = typename Map<Averages, Layers>::type;

    const ForwardPass<P, Team>& forward;
    const AllTensors& value;
    const typename Map<Coefficients, Layers>::type& coefficients;
    const AllByTarget& by_target;
    const AllAverages& averages;
    const typename P::Plasticity& plasticity;

    BackwardPass(const ForwardPass<P, Team>& forward, const AllByTarget& by_target,
                 const AllAverages& averages, const typename P::Plasticity& plasticity) :
        forward(forward), value(forward.value), coefficients(forward.coefficients),
        by_target(by_target), averages(averages), plasticity(plasticity) {}

    // Whether what walks leave can be gathered later, and by others.
    template <class... Ls> static constexpr bool apart(std::tuple<Ls...>*) {
        return !((Ls::PLASTIC || Ls::GATHERS_NOW) || ...);
    }
    static constexpr bool APART = apart(static_cast<Layers*>(nullptr));

    // The trials of a slot are in their order. What is left of one in its slot does not depend on
    // the others that are walked with it.
    void all(const Taken* taken, int count, double scale) const {
        layers<true, COUNT - 1>(taken, count, scale, false);
        for (int i = 0; i < count; i++)
            pair_layers<P>(plasticity, *taken[i].trial, value, *taken[i].slot, scale,
                           taken[i].fresh);
    }

    // The walks alone, into the trials' own tables; without the first layer's where it is `tiled`.
    void walks(const Taken* taken, int count, double scale, bool tiled) const {
        layers<false, COUNT - 1>(taken, count, scale, tiled);
    }
    // A piece of the gradients of a trial that has been walked back is added to its slot.
    void gather_piece(const Taken& taken, const Piece& piece) const {
        add_gradients<0, COUNT - 1>(taken, piece);
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
            last_arrival<Layer<0>>(trial, Layer<0>::STEPS), std::get<0>(trial.held).at, b, p,
            table);
    }

  private:
    template <int FIRST, int LAST, class F> static void each_of(F f) {
        const auto shifted = [&](auto i) { f(Index<FIRST + i()>{}); };
        unroll(shifted, std::make_integer_sequence<int, LAST - FIRST + 1>{});
    }

    // f(i, j, k) for each projection k of a group, from layer i to layer j, with late rows.
    template <int FIRST, int LAST, class F> static void each_late_within(F f) {
        each_of<FIRST, LAST>([&](auto i) {
            Walk<P>::template each_target<i()>([&](auto j, auto k) {
                if constexpr (Layer<i()>::within(j()) &&
                              Layer<j()>::template Into<k()>::LATE_ROWS)
                    f(i, j, k);
            });
        });
    }

    // The groups from that which ends with layer I to the first.
    template <bool GATHER, int I>
    void layers(const Taken* taken, int count, double scale, bool tiled) const {
        constexpr int FIRST = Layer<I>::FIRST;
        if constexpr (needs_adjoint<Layers, I>())
            group<GATHER, FIRST, I>(taken, count, scale, FIRST == 0 && tiled);
        if constexpr (FIRST > 0) layers<GATHER, FIRST - 1>(taken, count, scale, tiled);
    }

    template <bool GATHER, int FIRST, int LAST>
    void group(const Taken* taken, int count, double scale, bool walked_in_parts) const {
        if constexpr (Team::SEVERAL) {
            if (forward.team.leads()) prepare_group<FIRST, LAST>(*taken->trial, scale);
            forward.team.wait();
            if (Layer<FIRST>::RECURRENT) walk<FIRST, LAST>(*taken, forward.team);
            else if (forward.team.leads()) walk<FIRST, LAST>(*taken, Alone{});
            return forward.team.wait();
        }
        for (int i = 0; i < count; i++) prepare_group<FIRST, LAST>(*taken[i].trial, scale);
        if (walked_in_parts) return;
        const auto gather = [&](const Taken& of) {
            if constexpr (GATHER) add_gradients<FIRST, LAST>(of, Piece{});
        };
        if constexpr (Layer<FIRST>::Model::DISCRETE && Layer<FIRST>::RECURRENT) {
            walk_discrete<FIRST, LAST>(taken, count);
            for (int i = 0; i < count; i++) gather(taken[i]);
        } else {
            for (int i = 0; i < count; i++) {
                begin_slot<FIRST, LAST>(taken[i]);
                if constexpr (Layer<FIRST>::Model::DISCRETE)
                    walk_discrete<FIRST, LAST>(taken + i, 1);
                else walk<FIRST, LAST>(taken[i], Alone{});
                gather(taken[i]);
            }
        }
    }

    // Gradients that are added to the slot during a walk begin with 0.
    template <int FIRST, int LAST> void begin_slot(const Taken& of) const {
        if (!of.fresh) return;
        each_of<FIRST, LAST>([&](auto i) {
            using L = Layer<i()>;
            each_projection<L>([&](auto k) {
                if constexpr (gathered_now<L, k()>()) std::get<i()>(*of.slot).arrays[k()].zero();
            });
        });
    }
    template <class L, int K> static constexpr bool gathered_now() {
        return L::GATHERS_NOW && L::template Into<K>::GATHERED_NOW;
    }
    template <int FIRST, int LAST> void gather_step(const Taken& of, int n) const {
        each_of<FIRST, LAST>([&](auto i) { gather_now<i()>(of, n); });
    }
    // A piece of what is left of a trial that has been walked back.
    template <int FIRST, int LAST> void add_gradients(const Taken& of, const Piece& piece) const {
        each_of<FIRST, LAST>([&](auto l) {
            using L = Layer<l()>;
            auto& slot = std::get<l()>(*of.slot);
            const Real* own = std::get<l()>(of.trial->work).parameters.data();
            Real* total = slot.parameters().data();
            for (int i = 0; piece.takes(0) && i < L::Model::TRAINED * L::WIDTH; i += LANES)
                *vectors(total + i) = of.fresh ? *vectors(own + i)
                                               : *vectors(total + i) + *vectors(own + i);
            gather_all<l()>(*of.trial, slot, of.fresh, piece);
        });
    }

    // Walks trials back through the layers of a group, step by step.
    template <int FIRST, int LAST> void walk_discrete(const Taken* taken, int count) const {
        walk_discrete<FIRST>(taken, count, std::make_integer_sequence<int, LAST - FIRST + 1>{});
    }
    template <int FIRST, int... I>
    void walk_discrete(const Taken* taken, int count, std::integer_sequence<int, I...>) const {
        constexpr int LAST = FIRST + int(sizeof...(I)) - 1;
        std::tuple<DiscreteReturn<Layer<FIRST + I>>...> walks{DiscreteReturn<Layer<FIRST + I>>(
            std::get<FIRST + I>(value), std::get<FIRST + I>(coefficients).constants())...};
        for (int t = 0; t < count; t++)
            (std::get<I>(walks).group.add(std::get<FIRST + I>(taken[t].trial->work),
                                          std::get<FIRST + I>(taken[t].trial->held).at),
             ...);
        (std::get<I>(walks).begin(), ...);
        for (int to = P::STEPS, from; to > 0; to = from) {
            from = (to - 1) / STEPS_AT_ONCE * STEPS_AT_ONCE;
            if constexpr (constexpr int SEGMENT = Trial::Kept::SEGMENT; SEGMENT < P::STEPS)
                for (int t = 0; t < count && to % SEGMENT == 0 && to < P::STEPS; t++)
                    forward.template again<FIRST>(*taken[t].trial, to - SEGMENT,
                                                  std::integer_sequence<int, I...>{});
            for (int t = 0; t < count; t++)
                (sent_from_above<FIRST + I>(*taken[t].trial, from, to), ...);
            for (int n = to - 1; n >= from; n--) {
                if (Layer<FIRST>::RECURRENT) (std::get<I>(walks).fetch(n), ...);
                each_of<FIRST, LAST>([&](auto i) {
                    Walk<P>::template each_target<i()>([&](auto j, auto k) {
                        if constexpr (Layer<i()>::within(j()))
                            targets_of_step<k()>(std::get<i() - FIRST>(walks).group,
                                                 std::get<j() - FIRST>(walks).group,
                                                 std::get<j()>(by_target), std::get<j()>(value),
                                                 n, n - from);
                    });
                });
                (std::get<I>(walks).step(n, n - from), ...);
                for (int t = 0; t < count; t++) gather_step<FIRST, LAST>(taken[t], n);
            }
        }
    }

    // dl_ds of layer I in the steps [from, to): from the layers behind its group, or the loss.
    template <int I> void sent_from_above(Trial& trial, int from, int to) const {
        using L = Layer<I>;
        auto& work = std::get<I>(trial.work);
        for (int b = 0; b < L::BLOCKS; b++) {
            if constexpr (I == COUNT - 1) trial.loss.give(work, b, from, to);
            else if constexpr (!Walk<P>::template sends_above<I>())
                for (int n = from; n < to; n++)
                    for (int x = 0; x < L::B; x++) work.dl_ds_at(n - from, b, x) = vf{};
            Walk<P>::template each_target<I>([&](auto j, auto k) {
                constexpr bool FRESH = Walk<P>::template first_above<I>(j(), k());
                if constexpr (!L::within(j()))
                    targets_above<k(), FRESH>(work, std::get<j()>(trial.work),
                                              std::get<j()>(by_target), std::get<j()>(value), b,
                                              from, to);
            });
        }
    }

    template <int FIRST, int LAST> void prepare_group(Trial& trial, double scale) const {
        each_of<FIRST, LAST>([&](auto i) { prepare<i()>(trial, scale); });
    }

    template <int I> void prepare(Trial& trial, double scale) const {
        using L = Layer<I>;
        auto& work = std::get<I>(trial.work);
        if constexpr (L::Model::REGULARISED)
            work.scale = Real(scale), work.total = Trial::AVERAGED ? std::get<I>(averages).total
                                                                   : Real(work.spike_count());
        if constexpr (L::Model::SPIKING && !L::Model::DISCRETE) {
            if constexpr (!Walk<P>::template sends_above<I>())
                for (auto& s : work.spikes) std::fill_n(s.from_targets.data(), s.count(), Real(0));
            Walk<P>::template each_target<I>([&](auto j, auto k) {
                constexpr bool FRESH = Walk<P>::template first_above<I>(j(), k());
                if constexpr (!L::within(j()))
                    gather_from_targets<k(), FRESH>(work, std::get<j()>(trial.work),
                                                    std::get<j()>(value));
            });
            if constexpr (P::Loss::MOVES_WITH_SPIKES)
                trial.loss.template move_peaks<I>(trial, std::get<COUNT - 1>(value),
                                                  std::get<COUNT - 1>(coefficients).constants());
            invert_slopes(work, std::get<I>(coefficients).constants());
        }
    }

    // Walks a trial back through a group.
    template <int FIRST, int LAST, class All> void walk(const Taken& of, const All& all) const {
        using L = Layer<FIRST>;
        if constexpr (FIRST == 0 && L::TILED) {
            Trial& trial = *of.trial;
            auto& work = std::get<FIRST>(trial.work);
            work.parameters.zero();
            const int end = last_arrival<L>(trial, L::STEPS);
            for (int b = 0; b < L::BLOCKS; b++)
                for (int q = 0; q < Table<L>::PARTS; q++)
                    with_part<L>(q, [&](auto size, int p) {
                        backward_part<L, size()>(
                            work, std::get<FIRST>(coefficients).constants(),
                            work.parameters.data(), end, std::get<FIRST>(trial.held).at, b, p,
                            work.input_adjoint[0].part(b, p * Table<L>::S));
                    });
        } else {
            walk_steps<FIRST>(of, all, std::make_integer_sequence<int, LAST - FIRST + 1>{});
        }
    }

    template <int FIRST, class All, int... I>
    void walk_steps(const Taken& of, const All& all, std::integer_sequence<int, I...>) const {
        constexpr int LAST = FIRST + int(sizeof...(I)) - 1;
        Trial& trial = *of.trial;
        std::tuple<Return<Layer<FIRST + I>>...> walks{Return<Layer<FIRST + I>>(
            std::get<FIRST + I>(trial.work), std::get<FIRST + I>(value),
            std::get<FIRST + I>(coefficients).constants(), std::get<FIRST + I>(trial.held).at)...};
        const int top = std::max({std::get<I>(walks).top()...});
        if (all.leads())
            (std::get<I>(walks).begin(top, last_arrival<Layer<FIRST + I>>(trial, P::STEPS)), ...);
        all.wait();
        const auto drive = [&]() -> decltype(auto) {
            if constexpr (LAST == COUNT - 1) return (trial.loss);
            else return Undriven{};
        };
        if constexpr (!Layer<FIRST>::STEPWISE) {
            std::get<0>(walks).blocks(drive(), top);
        } else if constexpr (!Layer<FIRST>::RECURRENT) {
            for (int n = top - 1; n >= 0; n--) {
                std::get<0>(walks).step(drive(), n, Alone{});
                gather_step<FIRST, LAST>(of, n);
            }
        } else {
            each_late_within<FIRST, LAST>([&](auto i, auto j, auto k) {
                order_by_arrival<k()>(std::get<i()>(trial.work), std::get<j()>(trial.work),
                                      std::get<j()>(value));
            });
            for (int n = top - 1; n >= 0; n--) {
                each_of<FIRST, LAST>([&](auto i) {
                    auto& work = std::get<i()>(trial.work);
                    if (any_spike(work, n))
                        Walk<P>::template each_target<i()>([&](auto j, auto k) {
                            if constexpr (Layer<i()>::within(j()))
                                add_targets_of_step<k()>(work, std::get<j()>(trial.work),
                                                         std::get<j()>(value), n, all);
                        });
                });
                (std::get<I>(walks).step(Undriven{}, n, all), ...);
                each_late_within<FIRST, LAST>([&](auto, auto j, auto k) {
                    auto& target = std::get<j()>(trial.work);
                    if (target.width == 0)
                        add_targets_of_arrivals<k()>(target, std::get<j()>(value), n);
                });
                gather_step<FIRST, LAST>(of, n);
                all.wait();
            }
        }
    }

    // Adds the gradients that are gathered step by step: of what arrives at layer I in step n.
    template <int I> void gather_now(const Taken& of, int n) const {
        using L = Layer<I>;
        each_projection<L>([&](auto k) {
            using Own = typename L::template Into<k()>;
            if constexpr (gathered_now<L, k()>()) {
                auto& gradient = std::get<I>(*of.slot);
                const Real* q = std::get<I>(of.trial->work).adjoints_now(Own::PORT, n);
                Real* to = gradient.template weights<k()>();
                gradient.template list<k()>().each_of_step(
                    of.trial->template arrivals<Own::SOURCE>(), n,
                    [&](uint32_t post, uint32_t at, int count) {
                        SynapseList::add_run(to + at, q + post, count, Real(1));
                    });
            }
        });
    }

    // Of dense weights without delays a piece is a part of the rows; all else of a projection is in
    // one of the pieces.
    template <int I>
    void gather_all(Trial& trial, Tensors<Layer<I>>& gradient, bool fresh,
                    const Piece& piece) const {
        using L = Layer<I>;
        auto& work = std::get<I>(trial.work);
        const auto& values = std::get<I>(value);
        each_projection<L>([&](auto k) {
            using Own = typename L::template Into<k()>;
            if constexpr (!Own::DIRECT && !gathered_now<L, k()>() &&
                          (Own::BY_GRADIENT || Own::DELAY_TRAINED)) {
                if (!piece.takes(k())) return;
                if (fresh && Own::BY_GRADIENT) gradient.arrays[k()].zero();
                if (fresh && Own::DELAY_TRAINED) gradient.arrays[L::COUNT + k()].zero();
                each_source<L, k()>(trial, [&](int first, int count, const uint32_t* start,
                                               const uint16_t* step, int shift) {
                    const Arrivals arrivals{first, std::min(count, Own::ROWS - first), start, step,
                                            shift};
                    gather_late<k()>(work, values, gradient, arrivals);
                });
                if constexpr (Own::DELAY == Delay::DENDRITIC && Own::DELAY_TRAINED)
                    gather_dendritic<k()>(work, values, gradient);
            }
        });
        for (int b = 0; b < L::BLOCKS; b++)
            each_projection<L>([&](auto k) {
                using Own = typename L::template Into<k()>;
                if constexpr (Own::SOURCE != INPUT && Own::BY_GRADIENT && Own::DIRECT) {
                    const auto& source = std::get<Own::SOURCE>(trial.work);
                    if (source.spike_count() < Own::ROWS)
                        return gather_few<k()>(work, source, gradient, b, piece, fresh);
                }
                if constexpr (Own::BY_GRADIENT && Own::DIRECT) {
                    const int low = piece.first(Own::PRE), high = piece.end(Own::PRE);
                    each_source<L, k()>(trial, [&](int first, int count, const uint32_t* start,
                                                   const uint16_t* step, int shift) {
                        const int from = std::max(first, low), to = std::min(first + count, high);
                        if (from < to)
                            gather<L>(work.input_adjoint[Own::PORT],
                                      gradient.template rows<k()>(b, from), b, to - from,
                                      start + (from - first), step, shift, fresh);
                    });
                }
            });
    }
};

}  // namespace snn
