// forward.hpp: one layer through one trial. Step n: arrivals, advance, threshold, keep, reset.
#pragma once
#include "delays.hpp"
#include "events.hpp"
#include "team.hpp"
#include "threshold.hpp"

namespace snn {

// Arrivals at a layer from the input: the events of step n.
struct FromInput {
    const Events& events;
    template <class F> void at(int n, F add) const {
        for (uint32_t e = events.step_start[n], end = events.step_start[n + 1]; e < end; e++)
            add(events.channel[e]);
    }
    int last_step(int steps) const {  // no arrival at or after this step
        while (steps > 0 && events.step_start[steps - 1] == events.step_start[steps]) steps--;
        return steps;
    }
};

// Arrivals from a layer: its spikes of step n - 1.
template <class L> struct FromLayer {
    const Work<L>& work;
    template <class F> void at(int n, F add) const {
        if (n == 0) return;
        for (int c = 0; c < L::STRANDS; c++) {
            const auto& s = work.spikes[c];
            for (uint32_t e = s.start[n - 1], end = s.start[n]; e < end; e++)
                add(c * L::STRAND + s.neuron[e]);
        }
    }
    int last_step(int steps) const {
        for (; steps > 1; steps--)
            for (int c = 0; c < L::STRANDS; c++)
                if (work.spikes[c].start[steps - 2] != work.spikes[c].start[steps - 1])
                    return steps;
        return steps > 0 ? 1 : 0;
    }
};

// Looks at nothing; the observer of a hidden layer.
struct Unobserved {
    static constexpr bool WHOLE_TRIAL = false;
    template <class... Any> explicit Unobserved(const Any&...) {}
    inline void operator()(int, int, const vf*) {}
};

// Stores every state of every step: for recordings.
template <class L> struct Trace {
    static constexpr bool WHOLE_TRIAL = true;
    Real* rows;  // [step][state][WIDTH]
    inline void operator()(int n, int v, const vf* x) {
        for (int k = 0; k < L::Model::STATES; k++)
            vectors(rows + (size_t(n) * L::Model::STATES + k) * L::WIDTH)[v] = x[k];
    }
};

// Keeps what plastic synapses take of the neurons in each step.
template <class L> struct Signals {
    using M = typename L::Model;
    static constexpr bool WHOLE_TRIAL = true;
    Work<L>& work;
    const typename M::template Numbers<vf> numbers;
    const Real* own;
    inline void operator()(int n, int v, const vf* x) {
        const WideConstantsOf<L> k{numbers, own + v * LANES};
        if constexpr (M::SIGNAL_PLUS) work.signal(0, n)[v] = M::signal_plus(x, k);
        if constexpr (M::SIGNAL_MINUS) work.signal(1, n)[v] = M::signal_minus(x, k);
    }
};

// Keys of an example's draws in layer `number`.
template <class L>
static inline void prepare_draws(Work<L>& work, const Coefficients<L>& coefficients, bool on,
                                 uint64_t key, int number) {
    if constexpr (L::Model::NOISY || L::Model::DROPS_SPIKES)
        work.draws = {on, mix(key + 2 * number + 1), mix(key + 2 * number + 2),
                      spikes_dropped_below<typename L::Model>(coefficients.exact)};
}

// Adds what arrives at the ports of block b in step n by dense weights without delays. `from`: the
// trial.
template <class L, class From>
static inline void add_arrivals(const Tensors<L>& weights, const From& from,
                                vf (&in)[L::Model::PORTS][L::B], int b, int n) {
    each_projection<L>([&](auto k) {
        using Own = typename L::template Into<k()>;
        if constexpr (Own::DIRECT && Own::ACTS) {
            const Real* W = weights.template rows<k()>(b, 0);
            vf sum[L::B];  // in registers
            SNN_UNROLL for (int x = 0; x < L::B; x++) sum[x] = in[Own::PORT][x];
            from.template arrivals<Own::SOURCE>().at(n, [&](uint32_t pre) {
                const vf* row = vectors(W + size_t(pre) * L::BW);
                SNN_UNROLL for (int x = 0; x < L::B; x++) sum[x] += row[x];
            });
            SNN_UNROLL for (int x = 0; x < L::B; x++) in[Own::PORT][x] = sum[x];
        }
    });
}

// One step of block b. `state` is [STATES][stride] vectors. Enters neurons on their threshold, and
// returns whether one may spike again without further arrivals, if `tail`.
template <class L, class From, class Observer, class Entered>
static inline bool step_block(Work<L>& work, const Tensors<L>& weights,
                              const WideConstantsOf<L>& constants, const From& from,
                              Observer& observe, vf* state, int stride, int b, int n, bool tail,
                              Entered& entered) {
    using M = typename L::Model;
    constexpr int B = L::B, PORTS = M::PORTS;
    vf in[PORTS][B];
    for (int p = 0; p < PORTS; p++)
        SNN_UNROLL for (int x = 0; x < B; x++) in[p][x] = state[M::PORT[p] * stride + x];
    [[maybe_unused]] const auto take = [&](int p, vf* row) {
        SNN_UNROLL for (int x = 0; x < B; x++) in[p][x] += row[x], row[x] = vf{};
    };
    if constexpr (!L::DIRECT)
        for (int p = 0; work.through_ring() && p < PORTS; p++)
            take(p, vectors(work.arriving(n, p)) + b * B);
    each_projection<L>([&](auto k) {
        using Own = typename L::template Into<k()>;
        if constexpr (Own::DROPPED) {
            vf* row = vectors(work.arriving(n, Work<L>::template slot<k()>())) + b * B;
            for (int x = 0; x < B; x++)
                in[Own::PORT][x] += row[x] * work.drops[k()].kept(b * B + x, n), row[x] = vf{};
        }
    });
    if constexpr (L::LATE_ROWS)
        for (int p = 0; p < PORTS; p++) take(p, vectors(work.next_row(n, p)) + b * B);
    add_arrivals<L>(weights, from, in, b, n);
    if constexpr (L::LATE_ROWS) add_late_rows(work, weights, in, b, n);
    SNN_UNROLL for (int x = 0; x < B; x++) {
        const int v = b * B + x;
        if (L::ARRIVED && x % 4 == 0 && v >= L::VECTORS) break;
        const auto k = constants + v * LANES;
        vf s[M::STATES], arrived[PORTS];
        for (int i = 0; i < M::STATES; i++) s[i] = state[i * stride + x];
        for (int p = 0; p < PORTS; p++) {
            if constexpr (!L::ARRIVED) s[M::PORT[p]] = in[p][x];
            arrived[p] = s[M::PORT[p]];
        }
        if constexpr (L::TAPE)
            for (int i = 0; i < M::STATES; i++)
                work.tape_of(n)[i * (L::WIDTH / LANES) + v] = s[i];
        vi held = {};
        if constexpr (M::REFRACTORY > 0) {
            held = reinterpret_cast<const vi*>(work.free_from.data())[v] > vi{} + n;
            vf h[M::STATES];
            for (int i = 0; i < M::STATES; i++) h[i] = s[i];
            M::advance_held(h, k), M::advance(s, k);
            if constexpr (M::NOISY) add_noise<M>(work.draws, s, k, v, n);
            for (int i = 0; i < M::STATES; i++) s[i] = held ? h[i] : s[i];
        } else {
            M::advance(s, k);
            if constexpr (M::NOISY) add_noise<M>(work.draws, s, k, v, n);
        }
        observe(n, v, s);
        if constexpr (M::SPIKING)
            on_threshold<L>(work, entered, s, arrived, k, M::crosses(s, k) & ~held, b, x, n);
        for (int i = 0; i < M::STATES; i++) state[i * stride + x] = s[i];
    }
    vi alive = {};
    if constexpr (M::RESTS)
        for (int x = 0; tail && x < B; x++) {
            vf s[M::STATES];
            for (int i = 0; i < M::STATES; i++) s[i] = state[i * stride + x];
            alive |= M::can_spike(s, constants + (b * B + x) * LANES);
        }
    return bits(alive);
}

template <class L>
static inline void start_block(const WideConstantsOf<L>& constants, vf* state, int stride, int b) {
    for (int x = 0; x < L::B; x++) {
        vf s[L::Model::STATES];
        L::Model::start(s, constants + (b * L::B + x) * LANES);
        for (int i = 0; i < L::Model::STATES; i++) state[i * stride + x] = s[i];
    }
}

// Walks a layer, from its first step to its last.
template <class L> class Course {
    using M = typename L::Model;

  public:
    // A trial ends early when no arrival is left and no neuron can reach its threshold: what
    // follows cannot spike, so nothing that is asked for changes.
    template <class Observer> static constexpr bool rests() {
        return M::RESTS && !Observer::WHOLE_TRIAL && !(L::TAPE && M::TIMED) && !L::LATE_WITHIN;
    }
    Course(Work<L>& work, const ConstantsOf<L>& one) :
        work_(work), numbers_(wide_numbers<L>(one)), own_(one.own) {}

    // noise can make every neuron spike; one that was kept from spiking counts as able to
    bool noisy() const { return M::NOISY && work_.draws.on; }

    void begin(int from_block, int to_block) {
        if constexpr (M::REFRACTORY > 0)
            std::fill_n(work_.free_from.data() + from_block * L::BW,
                        (to_block - from_block) * L::BW, 0);
        if constexpr (M::DROPS_SPIKES) work_.suppressed.zero();
    }
    void begin_steps() {
        begin(0, L::BLOCKS);
        for (int b = 0; b < L::BLOCKS; b++)
            start_block<L>(constants(), states() + b * L::B, STRIDE, b);
    }
    // Nothing spikes in step n and after it.
    void finish(int c, int n) {
        if constexpr (M::SPIKING) work_.spikes[c].rest_from(n);
        if constexpr (M::DROPS_SPIKES)
            for (int t = n + 1; t <= L::STEPS; t++)
                work_.crossings[c].start[t] = work_.crossings[c].start[n];
    }
    void finish_steps(int n) {
        for (int c = 0; c < L::STRANDS; c++) finish(c, n);
    }
    // Step n of this thread's blocks. Returns whether a neuron may spike again.
    template <class From, class Observer, class Team = Alone>
    bool step(const Tensors<L>& weights, const From& from, Observer& observe, int n, bool tail,
              const Team& team = {}) {
        if constexpr (!L::DIRECT) send(work_, weights, from, n);
        bool alive = false;
        const auto block = [&](int b, auto& entered) {
            return step_block<L>(work_, weights, constants(), from, observe, states() + b * L::B,
                                 STRIDE, b, n, tail, entered);
        };
        if constexpr (L::DIRECT) {
            for (int b = team.first(L::BLOCKS); b < team.end(L::BLOCKS); b++) {
                OfBlock<L> entered;
                const bool own = block(b, entered);
                alive |= end_step(work_, entered, states() + b * L::B, STRIDE, b, n, own);
            }
            return alive;
        } else {
            OfLayer<L> entered(work_.entered.data(), work_.trained);
            for (int b = 0; b < L::BLOCKS; b++) alive |= block(b, entered);
            return end_step(work_, entered, states(), STRIDE, 0, n, alive);
        }
    }

  private:
    static constexpr int STRIDE = L::WIDTH / LANES;
    vf* states() { return vectors(work_.state.data()); }
    WideConstantsOf<L> constants() const { return {numbers_, own_}; }
    Work<L>& work_;
    const typename M::template Numbers<vf> numbers_;
    const Real* own_;
};

// First step in which nothing arrives from outside the group any more, and after it.
template <class L, class From> int last_arrival(const From& from, int steps) {
    int last = 0;
    each_projection<L>([&](auto k) {
        using Own = typename L::template Into<k()>;
        if constexpr (!L::within(Own::SOURCE)) {
            const int sent = from.template arrivals<Own::SOURCE>().last_step(steps);
            int longest = 0;
            if constexpr (Own::DELAY != Delay::NONE)
                longest = Own::MOST + 2 + int(std::get<L::INDEX>(from.work).width);
            last = std::max(last, sent ? sent + longest : 0);
        }
    });
    return std::min(last, steps);
}

// Walks blocks of a layer that stands alone, and not step by step, through the trial.
template <class L, class From, class Observer>
void forward_blocks(Work<L>& work, const Tensors<L>& weights, const ConstantsOf<L>& one,
                    const From& from, Observer& observe, int from_block, int to_block) {
    const auto numbers = wide_numbers<L>(one);
    const WideConstantsOf<L> constants{numbers, one.own};
    Course<L> course(work, one);
    const bool may_rest = Course<L>::template rests<Observer>() && !course.noisy();
    const int last = may_rest ? last_arrival<L>(from, L::STEPS) : L::STEPS;
    course.begin(from_block, to_block);
    for (int b = from_block; b < to_block; b++) {
        vf state[L::Model::STATES * L::B];
        start_block<L>(constants, state, L::B, b);
        for (int n = 0; n < L::STEPS; n++) {
            const bool tail = may_rest && n >= last;
            OfBlock<L> entered;
            const bool alive = step_block<L>(work, weights, constants, from, observe, state, L::B,
                                             b, n, tail, entered);
            if (!end_step(work, entered, state, L::B, b, n, alive) && tail) {
                course.finish(b, n + 1);
                break;
            }
        }
    }
}

}  // namespace snn
