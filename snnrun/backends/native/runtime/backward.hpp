// backward.hpp: the adjoint of one layer, walked from the end of the trial to its start.
//
// lam is the derivative of the loss by the states. In step n, from its end to its start:
//   1. own spikes of the step        jump (all sums over targets are taken before the first jump)
//   2. drive of the readout          lam[READOUT] += dl/dV(n), of outputs, which then do not spike
//   3. gradients of parameters       dL/dp += lam . (dP/dp x)
//   4. flow                          lam <- P^T lam, kept in input_adjoint[n]
// An arrival at step n adds input_adjoint[n] to the gradient of its row of weights: gather.hpp.
#pragma once
#include <limits>

#include "targets.hpp"

namespace snn {

// Whether a spike moves with the state: not where the potential only grazes the threshold, by less
// than a rounding error in a step.
template <class M> static inline bool moves(Real slope, const Constants<M, Real>& k) {
    return slope > std::numeric_limits<Real>::epsilon() * k.shared.LEVEL_PER_STEP;
}

// No drive: hidden layers.
struct Undriven {
    static constexpr bool ACTIVE = false;
    inline vf operator()(int, int) const { return vf{}; }
};

template <class L> static inline bool any_spike(const Work<L>& work, int n) {
    for (int c = 0; c < L::STRANDS; c++)
        if (work.spikes[c].start[n] != work.spikes[c].start[n + 1]) return true;
    return false;
}

// Where neurons of strand b crossed in step n and spiked later: those spikes move with the
// crossing.
template <class L>
static inline void cross_strand(Work<L>& work, const ConstantsOf<L>& constants, Real* parameters,
                                int b, int n) {
    using M = typename L::Model;
    auto& c = work.crossings[b];
    for (uint32_t e = c.start[n]; e < c.start[n + 1]; e++) {
        const int i = c.neuron[e], j = b * L::STRAND + i;
        if (c.pending[i] == 0) continue;
        Real lam[M::STATES], state[M::RECORDS + 1];
        for (int s = 0; s < M::STATES; s++) lam[s] = work.adjoint[s * L::WIDTH + j];
        for (int r = 0; r < M::RECORDS; r++)
            state[r] = c.state[r * Spikes<L>::CAPACITY + e];
        const Real slope = M::slope(state, constants + j);
        const Real drive = moves(slope, constants) ? c.pending[i] / slope : 0;
        M::cross(lam, state, drive, constants + j, parameters + j);
        for (int s = 0; s < M::STATES; s++) work.adjoint[s * L::WIDTH + j] = lam[s];
        c.pending[i] = 0;
    }
}

// Ends the refractory periods that began with spikes [first, end) of strand b, of step m. lam(j, x)
// loads the adjoints of neuron j. `held_after` [WIDTH]: it is refractory in steps after it.
template <class L, class Load>
static inline void release(Work<L>& work, const ConstantsOf<L>& constants,
                           Buffer<Int>& held_after, const Load& load, int b, int m, uint32_t first,
                           uint32_t end) {
    using M = typename L::Model;
    constexpr size_t C = Spikes<L>::CAPACITY;
    auto& s = work.spikes[b];
    for (uint32_t e = first; e < end; e++) {
        const int j = b * L::STRAND + s.neuron[e];
        Real lam[M::STATES], state[M::STATES];
        load(j, lam);
        for (int i = 0; i < M::STATES; i++) state[i] = s.released[i * C + e];
        s.released[e] = M::release(lam, state, constants + j);
        held_after[j] = m;
    }
}

// Takes the adjoints `lam` of neuron j over its spike e. `parameters` [TRAINED][WIDTH]: gradients
// of parameters are added to it.
template <class L>
static inline void jump_spike(Work<L>& work, const ConstantsOf<L>& constants, Real* parameters,
                              int b, uint32_t e, int j, Real* lam) {
    using M = typename L::Model;
    constexpr size_t C = Spikes<L>::CAPACITY;
    auto& s = work.spikes[b];
    Real state[M::RECORDS + 1];
    for (int r = 0; r < M::RECORDS; r++) state[r] = s.state[r * C + e];
    const Real dl_dt = M::TIMED ? s.time_gradient[e] : Real(0);
    const Real release = M::REFRACTORY ? s.released[e] : Real(0);
    if constexpr (M::DROPS_SPIKES)
        work.crossings[b].pending[s.neuron[e]] = s.postponed[e] ?
            M::strength(lam, state, s.from_targets[e], dl_dt, release, constants + j) : 0;
    M::jump(lam, state, s.inverse_slope[e], s.from_targets[e], dl_dt, release, constants + j,
            parameters + j);
    if constexpr (M::REGULARISED) {
        const Real spikes = averages<M>() ? work.average[j] : Real(work.spikes_of(j));
        lam[M::THRESHOLD_STATE] += M::push(spikes, work.total, constants + j) * work.scale;
    }
}

// The jumps of strand b at step n.
template <class L>
static inline void jump_strand(Work<L>& work, const ConstantsOf<L>& constants, Real* parameters,
                               Buffer<Int>& held_after, int b, int n) {
    using M = typename L::Model;
    auto& s = work.spikes[b];
    const auto load = [&](int j, Real* lam) {
        for (int i = 0; i < M::STATES; i++) lam[i] = work.adjoint[i * L::WIDTH + j];
    };
    if constexpr (M::REFRACTORY > 0)
        if (const int m = n - M::REFRACTORY; m >= 0)
            release(work, constants, held_after, load, b, m, s.start[m], s.start[m + 1]);
    if constexpr (M::DROPS_SPIKES) cross_strand(work, constants, parameters, b, n);
    for (uint32_t e = s.start[n]; e < s.start[n + 1]; e++) {
        const int j = b * L::STRAND + s.neuron[e];
        Real lam[M::STATES];
        load(j, lam);
        jump_spike(work, constants, parameters, b, e, j, lam);
        for (int i = 0; i < M::STATES; i++) work.adjoint[i * L::WIDTH + j] = lam[i];
    }
}

// States of the neurons of vector v before step n, arrivals added.
template <class L> static inline void load_tape(const Work<L>& work, vf* x, int v, int n) {
    constexpr int STATES = L::Model::STATES;
    for (int i = 0; i < STATES; i++) x[i] = work.tape_of(n)[i * (L::WIDTH / LANES) + v];
}

// lam <- J^T lam for the neurons of vector v in step n, of which those in `held` are refractory.
template <class L>
static inline void flow_back(const Work<L>& work, vf* lam, vi held, const WideConstantsOf<L>& k,
                             int v, int n) {
    using M = typename L::Model;
    vf h[M::STATES];
    for (int i = 0; i < M::STATES; i++) h[i] = lam[i];
    if constexpr (M::LINEAR) {
        M::adjoint(lam, k);
        if constexpr (M::REFRACTORY > 0) M::adjoint_held(h, k);
    } else {
        vf x[M::STATES];
        load_tape(work, x, v, n);
        M::adjoint(lam, x, k);
        if constexpr (M::REFRACTORY > 0) M::adjoint_held(h, x, k);
    }
    if constexpr (M::REFRACTORY > 0)
        for (int i = 0; i < M::STATES; i++) lam[i] = held ? h[i] : lam[i];
}

// Drive, parameters and flow of the neurons of vector v, whose adjoints are `lam`, in step n.
template <class L, class Drive>
static inline void flow_vector(Work<L>& work, const WideConstantsOf<L>& constants, Real* parameters,
                               const Buffer<Int>& held_after, const Drive& drive, vf* lam, int v,
                               int n) {
    using M = typename L::Model;
    const auto k = constants + v * LANES;
    if constexpr (Drive::ACTIVE) lam[M::READOUT] += drive(n, v);
    vi held = {};
    if constexpr (M::REFRACTORY > 0)
        held = reinterpret_cast<const vi*>(held_after.data())[v] < vi{} + n;
    if constexpr (M::TRAINED > 0) {
        vf s[M::STATES], g[M::TRAINED];
        load_tape(work, s, v, n);
        M::parameter_gradient(lam, s, held, k, g);
        for (int p = 0; p < M::TRAINED; p++) vectors(parameters + p * L::WIDTH)[v] += g[p];
    }
    flow_back(work, lam, held, k, v, n);
}

template <class L, class Drive>
static inline void flow_block(Work<L>& work, const WideConstantsOf<L>& constants, Real* parameters,
                              const Buffer<Int>& held_after, const Drive& drive, int b, int n) {
    using M = typename L::Model;
    constexpr int B = L::B, V = L::WIDTH / LANES;
    vf* lam = vectors(work.adjoint.data());
    SNN_UNROLL for (int x = 0; x < B; x++) {
        const int v = b * B + x;
        if (!L::TABLED && x % 4 == 0 && v >= L::VECTORS) break;
        vf l[M::STATES];
        for (int i = 0; i < M::STATES; i++) l[i] = lam[i * V + v];
        flow_vector(work, constants, parameters, held_after, drive, l, v, n);
        for (int i = 0; i < M::STATES; i++) lam[i * V + v] = l[i];
        for (int p = 0; L::TABLED && p < M::PORTS; p++)
            work.input_adjoint[p].at(b, n, x) = l[M::PORT[p]];
    }
}

// Prepares the spikes of a trial: 1 / slope, 0 where a spike only grazes.
template <class L> void invert_slopes(Work<L>& work, const ConstantsOf<L>& constants) {
    using M = typename L::Model;
    constexpr size_t C = Spikes<L>::CAPACITY;
    for (int b = 0; b < L::STRANDS; b++) {
        auto& s = work.spikes[b];
        const uint32_t count = s.count();
        for (uint32_t e = 0; e < count; e++) {
            Real state[M::RECORDS + 1];
            for (int r = 0; r < M::RECORDS; r++) state[r] = s.state[r * C + e];
            const int j = M::PER_NEURON ? b * L::STRAND + s.neuron[e] : 0;
            const Real slope = M::slope(state, constants + j);
            s.inverse_slope[e] = moves(slope, constants) ? 1 / slope : 0;
            if constexpr (M::DROPS_SPIKES)
                if (s.postponed[e]) s.inverse_slope[e] = 0;  // it does not move with its own state
        }
    }
}

// First step that nothing lies behind: no spike at or after it, and no drive.
template <class L> int active_steps(const Work<L>& work) {
    int top = L::STEPS;
    if (work.pushed) return top;
    while (top > 0 && !any_spike(work, top - 1)) top--;
    return top;
}

// Refractory periods that began with spikes [first, end) of strand b, of step m, and that a walk
// enters from behind.
template <class L>
static inline void enter_held(Work<L>& work, Buffer<Int>& held_after, int b, int m, uint32_t first,
                              uint32_t end) {
    auto& s = work.spikes[b];
    for (uint32_t e = first; e < end; e++)
        s.released[e] = 0, held_after[b * L::STRAND + s.neuron[e]] = m;
}

// Walks a layer back, alone or with the others of its group.
template <class L> class Return {
    using M = typename L::Model;

  public:
    Return(Work<L>& work, const Tensors<L>& values, const ConstantsOf<L>& constants,
           Buffer<Int>& held_after) :
        work_(work), values_(values), constants_(constants), numbers_(wide_numbers<L>(constants)),
        parameters_(work.parameters.data()), held_after_(held_after) {}

    // First step that nothing lies behind: a walk may begin there.
    int top() const {
        if constexpr (M::SPIKING) return active_steps(work_);
        else return L::STEPS;
    }
    // The walk begins with step top - 1. `arrivals_end`: first step without a later arrival; up to
    // there the table of input adjoints must be valid.
    void begin(int top, int arrivals_end) {
        constexpr int T = L::STEPS;
        work_.adjoint.zero(), work_.parameters.zero();
        if constexpr (M::SPIKING) {
            if constexpr (M::DROPS_SPIKES)
                for (auto& c : work_.crossings) c.pending.zero();
            if (work_.pushed)
                for (int j = 0; j < L::WIDTH; j++)
                    work_.adjoint[M::READOUT * L::WIDTH + j] = work_.push[j];
            if constexpr (M::REFRACTORY > 0) {
                for (int j = 0; j < L::WIDTH; j++) held_after_[j] = T;
                for (int b = 0; b < L::STRANDS; b++)
                    for (int m = std::max(0, top - M::REFRACTORY); m < top; m++)
                        enter_held(work_, held_after_, b, m, work_.spikes[b].start[m],
                                   work_.spikes[b].start[m + 1]);
            }
        }
        const int end = L::DIRECT ? std::min(T, std::max(arrivals_end, top + 1)) : T;
        for (int p = 0; L::TABLED && p < M::PORTS; p++)
            work_.input_adjoint[p].zero_rows(top, end + 1);
        each_projection<L>([&](auto k) {
            if constexpr (L::template Into<k()>::OWN_ADJOINTS)
                work_.own_adjoints[k()].zero_rows(top, T);
        });
    }
    // Step n of this thread's blocks.
    template <class Drive, class Team> void step(const Drive& drive, int n, const Team& team) {
        if constexpr (M::SPIKING)
            for (int b = team.first(L::STRANDS); b < team.end(L::STRANDS); b++)
                jump_strand(work_, constants_, parameters_, held_after_, b, n);
        for (int b = team.first(L::BLOCKS); b < team.end(L::BLOCKS); b++)
            flow_block(work_, wide(), parameters_, held_after_, drive, b, n);
        collect_adjoints(work_, values_, n);
    }
    // All steps, block by block.
    template <class Drive> void blocks(const Drive& drive, int top) {
        const auto numbers = wide_numbers<L>(constants_);
        const WideConstantsOf<L> wide{numbers, constants_.own};
        const ConstantsOf<L> constants = constants_;
        Work<L>& work = work_;
        Real* parameters = parameters_;
        Buffer<Int>& held_after = held_after_;
        for (int b = 0; b < L::BLOCKS; b++)
            for (int n = top - 1; n >= 0; n--) {
                if constexpr (M::SPIKING)
                    jump_strand(work, constants, parameters, held_after, b, n);
                flow_block(work, wide, parameters, held_after, drive, b, n);
            }
        for (int n = top - 1; n >= 0; n--) collect_adjoints(work, values_, n);
    }

  private:
    WideConstantsOf<L> wide() const { return {numbers_, constants_.own}; }
    Work<L>& work_;
    const Tensors<L>& values_;
    const ConstantsOf<L> constants_;
    const typename M::template Numbers<vf> numbers_;
    Real* parameters_;
    Buffer<Int>& held_after_;
};

}  // namespace snn
