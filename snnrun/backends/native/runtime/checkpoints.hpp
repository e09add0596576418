// checkpoints.hpp: how much is kept of the states of a trial that is walked back by its steps.
// Where those of all steps would be too much, they are kept for a segment of the steps alone, and
// layers as they are at the start of each segment, from where it is run again when its turn comes.
#pragma once
#include "layer.hpp"

#ifndef SNN_TAPE
#define SNN_TAPE (size_t(16) << 20)  // bytes of a trial; tests let short trials count as long
#endif
#ifndef SNN_TOGETHER
#define SNN_TOGETHER (size_t(128) << 20)  // bytes of the trials that a thread walks together
#endif

namespace snn {

// A layer at the start of a step.
template <class L> class Checkpoint {
  public:
    void keep(Work<L>& work) {
        each(work, [](auto& own, auto& of) { own.assign(of.data(), of.data() + of.size()); });
        std::copy_n(work.late_rows, L::COUNT, late_rows_);
    }
    void restore(Work<L>& work) {
        each(work, [](auto& own, auto& of) { std::copy(own.begin(), own.end(), of.data()); });
        std::copy_n(late_rows_, L::COUNT, work.late_rows);
    }

  private:
    template <class F> void each(Work<L>& work, F f) {
        f(state_, work.state), f(under_way_, work.under_way), f(next_, work.next);
        f(free_from_, work.free_from), f(suppressed_, work.suppressed);
    }
    std::vector<Real> state_, under_way_, next_;
    std::vector<Int> free_from_, suppressed_;
    LateRows late_rows_[L::COUNT];
};
template <class L> using Checkpoints = std::vector<Checkpoint<L>>;

// How the trials of a program of these layers are kept.
template <class Layers> struct Keeping;
template <class... Ls> struct Keeping<std::tuple<Ls...>> {
    static constexpr int STEPS = std::max({Ls::STEPS...});
    // bytes of a step: of states that have no other place; of what gradients are gathered from, or
    // other steps read
    template <class L> static constexpr size_t states() {
        const int rows =
            L::Model::TAPED - Work<L>::IN_TABLE + (L::TAPE ? L::Model::STATES : 0);
        return L::Model::DISCRETE ? size_t(rows) * L::WIDTH * sizeof(Real) : 0;
    }
    template <class L, class... Froms>
    static constexpr size_t adjoints(const std::tuple<Froms...>*) {
        const auto of = [](bool own, bool raw, int sums) {
            return (own + raw) * size_t(L::WIDTH) + sums;
        };
        return L::TABLE_BYTES / STEPS +
               (of(Froms::OWN_ADJOINTS, Froms::DELAY == Delay::DENDRITIC,
                   Froms::DELAY == Delay::AXONAL && Froms::discrete() ? Froms::PRE : 0) +
                ...) * sizeof(Real);
    }
    static constexpr size_t OF_STATES = (states<Ls>() + ...);
    static constexpr size_t OF_ADJOINTS =
        (adjoints<Ls>(static_cast<typename Ls::Projections*>(nullptr)) + ...);
    static constexpr bool WHOLE = OF_STATES * STEPS < SNN_TAPE;
    static constexpr int segment() {  // steps whose states are kept
        if (WHOLE) return STEPS;
        int steps = STEPS_AT_ONCE;
        while (2 * steps * OF_STATES < SNN_TAPE) steps *= 2;
        return steps;
    }
    static constexpr int SEGMENT = segment();
    // How many trials fit that a thread walks together.
    static constexpr int together() {
        int trials = MOST_TOGETHER;
        while (trials > 1 &&
               trials * (OF_STATES * SEGMENT + OF_ADJOINTS * STEPS) > SNN_TOGETHER)
            trials /= 2;
        return trials;
    }
};

}  // namespace snn
