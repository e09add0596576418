// eligibility.hpp: trials of a mini-batch walked forward step by step, with the gradients that are
// known in each step, from traces of every synapse (compile/traces.py has the equations). Weights
// may change between two steps.
#pragma once
#include "forward_pass.hpp"

namespace snn {

// Steps after which weights change while trials run; 0: they change when trials have ended.
// UPDATES: of a mini-batch.
// ALIKE: of each layer, whether its neurons have the same Jacobian in every step.
template <class P, class = void> struct UpdateSteps {
    static constexpr int EVERY = 0, UPDATES = 1;
    static constexpr bool alike(int) { return false; }
};
template <class P> struct UpdateSteps<P, std::void_t<decltype(P::UPDATE_STEPS)>> {
    static constexpr int EVERY = P::UPDATE_STEPS, UPDATES = (P::STEPS + EVERY - 1) / EVERY;
    static constexpr bool alike(int layer) { return P::ALIKE[layer]; }
};

// Traces of the synapses of those presynaptic neurons of a projection that have spiked. `size`
// numbers for each: of the vectors of targets, or one group for all.
struct RowsOfTraces {
    Buffer<Real> data, shared;  // shared: by the synapses of a neuron, where targets are alike
    std::vector<int> seen;  // neurons that have spiked, in order of time
    std::vector<uint8_t> has_spiked;

    void allocate(int rows, size_t size, size_t shared_size) {
        data.allocate(size_t(rows) * size), shared.allocate(size_t(rows) * shared_size);
        has_spiked.assign(rows, 0);
    }
    void begin() {
        for (int pre : seen) has_spiked[pre] = 0;
        seen.clear();
    }
    bool first_spike(int pre) {
        if (has_spiked[pre]) return false;
        has_spiked[pre] = 1, seen.push_back(pre);
        return true;
    }
};

// What a layer in a trial has for it. S states of the layer, and those of the outputs.
template <class L> struct LayerTraces {
    static constexpr int S = L::Model::STATES;
    RowsOfTraces of[L::COUNT];
    // of a step, by vector: its Jacobian [S][S], the derivative of the spikes by the states behind
    // the arrivals [S], and the learning signal
    Buffer<Real> moves, by_spike, signal;

    static constexpr size_t VECTORS = L::WIDTH / LANES;
    vf* moves_of(size_t v) { return vectors(moves.data()) + v * S * S; }
    vf* by_spike_of(size_t v) { return vectors(by_spike.data()) + v * S; }
    vf& signal_of(size_t v) { return vectors(signal.data())[v]; }
};

struct NotEligible {
    template <class... Any> bool part(const Any&...) { return true; }
};

// One example of a mini-batch.
template <class P> class Eligibility : Walk<P> {
    using Walk<P>::each_layer;
    using Layers = typename P::Layers;
    using AllTensors = typename Map<Tensors, Layers>::type;
    static constexpr int COUNT = std::tuple_size_v<Layers>;
    template <int I> using Layer = std::tuple_element_t<I, Layers>;
    using Output = Layer<COUNT - 1>;
    static constexpr int OUTPUTS = Output::Model::STATES;
    template <int I> static constexpr bool ALIKE = I == COUNT - 1 || UpdateSteps<P>::alike(I);
    // numbers of a synapse: of its neuron's states unless those of a row share them, what is
    // filtered as in the outputs, and the last e
    template <int I>
    static constexpr int VALUES = (ALIKE<I> ? 0 : Layer<I>::Model::STATES) + OUTPUTS + 1;

  public:
    Eligibility(Trial<P>& trial, const typename Map<Coefficients, Layers>::type& coefficients) :
        trial_(trial), coefficients_(coefficients) {
        each_layer([&](auto l) {
            using L = Layer<l()>;
            auto& traces = std::get<l()>(traces_);
            each_projection<L>([&](auto k) {
                using Own = typename L::template Into<k()>;
                if constexpr (Own::BY_GRADIENT)
                    traces.of[k()].allocate(
                        Own::PRE, l() == COUNT - 1 ? 0 : size_t(L::WIDTH) * VALUES<l()>,
                        ALIKE<l()> ? L::Model::STATES : 0);
            });
            traces.moves.allocate(size_t(L::WIDTH) * L::Model::STATES * L::Model::STATES);
            traces.by_spike.allocate(size_t(L::WIDTH) * L::Model::STATES);
            traces.signal.allocate(L::WIDTH);
        });
    }

    // The steps of example i of the call up to update u of its mini-batch, whose gradients are
    // added to `slot`, after it is emptied if it is `fresh`. Returns whether the loss is finite, as
    // far as it is known.
    bool part(const ForwardPass<P>& forward, const typename Map<ByTarget, Layers>::type& by_target,
              AllTensors& slot, int64_t i, int u, double scale, bool fresh) {
        constexpr int EVERY = UpdateSteps<P>::EVERY;
        const int from = u * EVERY, to = std::min(from + EVERY, P::STEPS);
        if (from == 0) forward.enter(trial_, i), begin();
        if (fresh)
            each_layer([&](auto l) {
                for (auto& array : std::get<l()>(slot).arrays) array.zero();
            });
        note_output();
        walk(forward.value, by_target, slot, from, to,
             forward.job.data->labels[forward.job.examples[i]], scale,
             std::make_integer_sequence<int, COUNT>{});
        return to < P::STEPS || std::isfinite(forward.finish(trial_, i, scale));
    }

  private:
    void begin() {
        each_layer([&](auto l) {
            for (auto& rows : std::get<l()>(traces_).of) rows.begin();
        });
    }

    template <int I> auto constants() const { return std::get<I>(coefficients_).constants(); }

    // dx_i/dx_j of a step of an output, of which all are alike.
    void note_output() {
        using M = typename Output::Model;
        const auto numbers = wide_numbers<Output>(constants<COUNT - 1>());
        const WideConstantsOf<Output> k{numbers, constants<COUNT - 1>().own};
        for (int i = 0; i < OUTPUTS; i++) {
            vf lam[OUTPUTS] = {};
            lam[i] = splat(Real(1));
            M::adjoint(lam, k);
            for (int j = 0; j < OUTPUTS; j++) output_[i][j] = lam[j][0];
        }
    }

    template <int... I>
    void walk(const AllTensors& value, const typename Map<ByTarget, Layers>::type& by_target,
              AllTensors& slot, int from, int to, int label, double scale,
              std::integer_sequence<int, I...>) {
        std::tuple<Course<Layer<I>>...> courses{
            Course<Layer<I>>(std::get<I>(trial_.work), constants<I>())...};
        if (from == 0) (std::get<I>(courses).begin_steps(), ...);
        for (int n = from; n < to; n++) {
            (step<I>(std::get<I>(courses), value, n), ...);
            trial_.loss.advance(n + 1, label, scale);
            for (int v = 0; v < Output::WIDTH / LANES; v++) drive_[v] = trial_.loss(n, v);
            (prepare<I>(by_target, n), ...);
            (learn<I>(slot, n), ...);
        }
    }

    template <int I, class C> void step(C& course, const AllTensors& value, int n) {
        if constexpr (I == COUNT - 1) {
            course.step(std::get<I>(value), trial_, trial_.loss, n, false);
        } else {
            Seen<Layer<I>> seen{std::get<I>(trial_.work)};
            course.step(std::get<I>(value), trial_, seen, n, false);
        }
    }

    // What step n of layer I does to traces, and the signal that it learns by.
    template <int I> void prepare(const typename Map<ByTarget, Layers>::type& by_target, int n) {
        using L = Layer<I>;
        if constexpr (I < COUNT - 1 && L::LEARNS) {
            auto& traces = std::get<I>(traces_);
            auto& work = std::get<I>(trial_.work);
            const auto numbers = wide_numbers<L>(constants<I>());
            const WideConstantsOf<L> wide{numbers, constants<I>().own};
            for (int b = 0; b < L::BLOCKS; b++) {
                uint64_t hit[(L::BW + 63) / 64] = {};
                work.spikes_of_block(b).each_of_block(
                    b, n, [&](int i) { hit[i / 64] |= uint64_t(1) << i % 64; });
                for (int x = 0; x < L::B; x++) {
                    const uint32_t lanes =
                        hit[x * LANES / 64] >> (x * LANES % 64) & ((1u << LANES) - 1);
                    jacobian(work, traces, wide, lanes_of(lanes), b * L::B + x, n);
                }
            }
            Walk<P>::template each_target<I>([&](auto j, auto k) {
                using Own = typename Layer<j()>::template Into<k()>;
                static_assert(Own::SUMMED, "signals come by dense weights");
                for (int b = 0; b < L::BLOCKS; b++) {
                    for (int x = 0; x < L::B; x++) {
                        vf sum = {};
                        for (int o = 0; o < Output::Model::SIZE; o++)
                            sum += std::get<j()>(by_target).template at<k()>(b, o, x) *
                                reinterpret_cast<const Real*>(drive_)[o];
                        traces.signal_of(b * L::B + x) = sum;
                    }
                }
                port_[I] = Output::Model::PORT[Own::PORT];
            });
        }
    }

    // The Jacobian of step n of the neurons of vector v, from unit vectors that are walked back.
    template <class L>
    static void jacobian(Work<L>& work, LayerTraces<L>& traces, const WideConstantsOf<L>& constants,
                         vi spiking, int v, int n) {
        using M = typename L::Model;
        constexpr int S = M::STATES;
        const auto k = constants + v * LANES;
        vf s[M::TAPED + 1];
        for (int i = 0; i < M::TAPED; i++) s[i] = work.taped_at(n, v / L::B, v % L::B, i);
        vf slope = M::surrogate(s, k);
        vi held = {};
        if constexpr (M::REFRACTORY > 0) {
            held = (reinterpret_cast<const vi*>(work.free_from.data())[v] > vi{} + n) & ~spiking;
            slope = held ? vf{} : slope;
        }
        if constexpr (M::DROPS_SPIKES)
            if (work.draws.on) slope = drops_spikes(work.draws, v, n) ? vf{} : slope;
        for (int i = 0; i <= S; i++) {
            vf lam[S] = {}, g[M::TRAINED + 1];
            if (i < S) lam[i] = splat(Real(1));
            M::step_back(lam, s, spiking, splat(Real(i == S)), slope, k, g);
            flow_back(work, lam, held, k, v, n);
            vf* to = i < S ? traces.moves_of(v) + i * S : traces.by_spike_of(v);
            for (int j = 0; j < S; j++) to[j] = lam[j];
        }
    }

    template <int I> void learn(AllTensors& slot, int n) {
        using L = Layer<I>;
        each_projection<L>([&](auto k) {
            if constexpr (!L::template Into<k()>::BY_GRADIENT) return;
            else if constexpr (I == COUNT - 1) learn_output<k()>(slot, n);
            else learn_hidden<I, k()>(slot, n);
        });
    }

    // Outputs are alike, so that all synapses of a presynaptic neuron share a trace.
    template <int K> void learn_output(AllTensors& slot, int n) {
        using L = Output;
        using Own = typename L::template Into<K>;
        auto& rows = std::get<COUNT - 1>(traces_).of[K];
        Real* traces = rows.shared.data();
        trial_.template arrivals<Own::SOURCE>().at(n, [&](uint32_t pre) {
            Real* at = traces + size_t(pre) * OUTPUTS;
            if (rows.first_spike(pre)) std::fill_n(at, OUTPUTS, Real(0));
            at[L::Model::PORT[Own::PORT]] += 1;
        });
        for (int pre : rows.seen) {
            filter(traces + size_t(pre) * OUTPUTS);
            const Real met = traces[size_t(pre) * OUTPUTS + L::Model::READOUT];
            for (int b = 0; b < L::BLOCKS; b++) {
                vf* to = vectors(std::get<COUNT - 1>(slot).template rows<K>(b, pre));
                for (int x = 0; x < L::B; x++) to[x] += drive_[b * L::B + x] * met;
            }
        }
    }

    template <class X> void filter(X* of) const {  // [OUTPUTS], by a step of the outputs
        X moved[OUTPUTS];
        for (int i = 0; i < OUTPUTS; i++) {
            moved[i] = of[0] * output_[i][0];
            for (int j = 1; j < OUTPUTS; j++) moved[i] += of[j] * output_[i][j];
        }
        for (int i = 0; i < OUTPUTS; i++) of[i] = moved[i];
    }

    template <int I, int K> void learn_hidden(AllTensors& slot, int n) {
        using L = Layer<I>;
        using Own = typename L::template Into<K>;
        constexpr int S = L::Model::STATES, N = VALUES<I>, V = L::WIDTH / LANES;
        constexpr int PORT = L::Model::PORT[Own::PORT];
        auto& layer = std::get<I>(traces_);
        auto& rows = layer.of[K];
        vf* traces = vectors(rows.data.data());
        Real* shared = rows.shared.data();
        const auto of = [&](size_t v, size_t pre) { return traces + (v * Own::PRE + pre) * N; };
        trial_.template arrivals<Own::SOURCE>().at(n, [&](uint32_t pre) {
            const bool first = rows.first_spike(pre);
            if (ALIKE<I> && first) std::fill_n(shared + size_t(pre) * S, S, Real(0));
            if (ALIKE<I>) shared[size_t(pre) * S + PORT] += 1;
            for (int v = 0; v < V && (first || !ALIKE<I>); v++) {
                vf* at = of(v, pre);
                if (first) std::fill_n(at, N, vf{});
                if (!ALIKE<I>) at[OUTPUTS + 1 + PORT] += Real(1);
            }
        });
        for (int v = 0; v < V; v++) {
            const int b = v / L::B, x = v % L::B;
            vf by_spike[S];
            for (int i = 0; i < S; i++) by_spike[i] = layer.by_spike_of(v)[i];
            const vf signal = layer.signal_of(v);
            vf* gradient = vectors(std::get<I>(slot).template rows<K>(b, 0)) + x;
            for (int pre : rows.seen) {
                vf* at = of(v, pre);
                at[port_[I]] += at[OUTPUTS];
                filter(at);
                gradient[size_t(pre) * L::B] += signal * at[Output::Model::READOUT];
                vf e = {};
                for (int i = 0; i < S; i++)
                    if constexpr (ALIKE<I>) e += by_spike[i] * shared[size_t(pre) * S + i];
                    else e += by_spike[i] * at[OUTPUTS + 1 + i];
                at[OUTPUTS] = e;
                if constexpr (!ALIKE<I>) moved<S>(at + OUTPUTS + 1, layer.moves_of(v));
            }
        }
        if constexpr (ALIKE<I>) {
            Real moves[S * S];
            for (int i = 0; i < S * S; i++) moves[i] = layer.moves_of(0)[i][0];
            for (int pre : rows.seen) moved<S>(shared + size_t(pre) * S, moves);
        }
    }

    template <int S, class X> static void moved(X* of, const X* moves) {  // [S], by [S][S]
        X to[S];
        for (int i = 0; i < S; i++) {
            to[i] = moves[i * S] * of[0];
            for (int j = 1; j < S; j++) to[i] += moves[i * S + j] * of[j];
        }
        for (int i = 0; i < S; i++) of[i] = to[i];
    }

    Trial<P>& trial_;
    const typename Map<Coefficients, Layers>::type& coefficients_;
    typename Map<LayerTraces, Layers>::type traces_;
    Real output_[OUTPUTS][OUTPUTS];
    int port_[COUNT] = {};
    vf drive_[Output::WIDTH / LANES];  // of the step at hand
};

// Where weights change while trials run: what one of them needs.
template <class P>
auto make_eligible(Trial<P>& trial,
                   const typename Map<Coefficients, typename P::Layers>::type& coefficients) {
    if constexpr (UpdateSteps<P>::EVERY > 0)
        return std::make_unique<Eligibility<P>>(trial, coefficients);
    else return std::make_unique<NotEligible>();
}
template <class P>
using Eligible = std::conditional_t<(UpdateSteps<P>::EVERY > 0), Eligibility<P>, NotEligible>;

}  // namespace snn
