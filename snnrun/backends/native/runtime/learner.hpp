// learner.hpp: the program's optimisers with their states, and the norm of the whole gradient.
//
// `gradients(layer, number, rows, at)` is the gradient of tensor `at`, a function of the place of a
// vector: see each_tensor.
#pragma once
#include <algorithm>
#include <array>

#include "layer.hpp"
#include "optimiser.hpp"
#include "pool.hpp"

namespace snn {

template <class P> class Learner : Walk<P> {
    using Walk<P>::each_tensor;
    using Layers = typename P::Layers;
    template <int I> using Layer = std::tuple_element_t<I, Layers>;
    using AllTensors = typename Map<Tensors, Layers>::type;
    using Optimiser = typename P::Optimiser;
    using OfPairs = typename P::OptimiserOfPairs;
    static constexpr size_t PART = 1024 * LANES;  // numbers of a gradient whose squares are summed
    static constexpr int STATES = std::max(Optimiser::STATES, OfPairs::STATES);

  public:
    // The numbers of the optimiser, and behind them those of that of pairs, unless it is the same.
    void take(const double* numbers) {
        optimiser_ = Optimiser::of(numbers);
        of_pairs_ = OfPairs::of(std::is_same_v<Optimiser, OfPairs> ? numbers
                                                                    : numbers + Optimiser::NUMBERS);
    }
    template <int I> void allocate(const SynapseList* lists) {
        for (AllTensors& state : states_) std::get<I>(state).allocate(lists);
    }
    // All values are allocated.
    void allocated(const AllTensors& values, size_t threads) {
        size_t parts = 0;
        threads_ = threads;
        each_tensor([&](auto layer, auto number, int, auto) {
            sizes_.push_back(std::get<layer()>(values).arrays[number()].size());
            parts += (sizes_.back() + PART - 1) / PART;
        });
        if (Optimiser::SCALED) squares_.resize(parts);
    }
    void zero(int t) {  // thread t's share of the states
        for (AllTensors& state : states_)
            Walk<P>::each_layer([&](auto l) { std::get<l()>(state).zero(t, int(threads_)); });
    }
    size_t tensors() const { return sizes_.size(); }
    AllTensors& state(int number) { return states_.at(number); }

    // The optimiser on thread t's share of every tensor, with the rates of all tensors; `step` is
    // the number of the update. Returns the number of a tensor that failed, or -1.
    template <class Gradients, class AllDeclared, class AllCoefficients>
    int update(const Gradients& gradients, AllTensors& values, const AllDeclared& declared,
               const AllCoefficients& coefficients, const double* rates, double step, double scale,
               int t) {
        int bad = -1;
        each_tensor([&](auto layer, auto number, int at, auto rows) {
            constexpr int I = decltype(layer)::value;
            using L = Layer<I>;
            using What = Kind<L, number()>;
            if constexpr (What::TRAINED) {
                Real *w = std::get<I>(values).arrays[number()].data(), *states[STATES + 1];
                for (int s = 0; s < STATES; s++)
                    states[s] = std::get<I>(states_[s]).arrays[number()].data();
                const auto& optimiser = chosen<What::PLASTIC>();
                const auto by = optimiser.at(rates[at], step, What::WEIGHTS, scale);
                const auto gradient = gradients(layer, number, rows, at);
                const auto learned = [&](size_t from, size_t to, Real low, Real high) {
                    return learn<std::decay_t<decltype(optimiser)>::STATES>(
                        by, w, states, gradient, from, to, low, high);
                };
                const size_t n = sizes_[at] / LANES;
                const size_t T = threads_, from = n * t / T * LANES, to = n * (t + 1) / T * LANES;
                bool good = true;
                if constexpr (What::PARAMETERS) {
                    const auto& numbers = std::get<I>(coefficients).exact;
                    for (int p = 0; t == 0 && p < L::Model::TRAINED; p++)
                        good &= learned(size_t(p) * L::WIDTH, size_t(p + 1) * L::WIDTH,
                                        Real(L::Model::lowest(numbers, p)),
                                        Real(L::Model::highest(numbers, p)));
                } else {
                    const Bounds& of = std::get<I>(declared).bounds[number() % L::COUNT];
                    good = What::DELAYS ? learned(from, to, 0, of.most_delay) :
                                          learned(from, to, of.low, of.high);
                }
                if (!good) bad = at;
            }
        });
        return bad;
    }

    // What all gradients are multiplied by, so that their norm is not above the largest one; called
    // by every thread. Squares are summed in parts of a fixed size, whatever the threads.
    template <class Gradients> double scale_of(const Gradients& gradients, Pool& pool, int t) {
        if constexpr (Optimiser::SCALED) {
            size_t part = 0;
            each_tensor([&](auto layer, auto number, int at, auto rows) {
                constexpr int I = decltype(layer)::value;
                using What = Kind<Layer<I>, number()>;
                if constexpr (What::TRAINED && !What::PLASTIC) {
                    const auto gradient = gradients(layer, number, rows, at);
                    const size_t n = What::PARAMETERS ?
                        size_t(Layer<I>::Model::TRAINED) * Layer<I>::WIDTH :
                        sizes_[at];
                    for (size_t from = 0; from < n; from += PART, part++)
                        if (int(part % threads_) == t)
                            squares_.at(part) =
                                squares(gradient, What::valid, from, std::min(n, from + PART));
                }
            });
            pool.barrier.wait();
            double total = 0;
            for (const double square : squares_) total += square;
            return std::min(1.0, optimiser_.clip_norm / (std::sqrt(total) + 1e-6));
        }
        return 1;
    }

  private:
    template <bool PLASTIC> const auto& chosen() const {
        if constexpr (PLASTIC) return of_pairs_;
        else return optimiser_;
    }

    Optimiser optimiser_;
    OfPairs of_pairs_;
    std::array<AllTensors, STATES> states_;
    std::vector<size_t> sizes_;    // of the arrays of all tensors
    std::vector<double> squares_;  // of the gradient, part by part
    size_t threads_ = 1;
};

}  // namespace snn
