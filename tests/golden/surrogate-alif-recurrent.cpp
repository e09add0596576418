// Written by snnrun VERSION: network 700-64r-20, rule surrogate, loss max.
//
// The populations below are derived from their equations; engine.hpp walks them through a trial.
#define SNN_REAL float
namespace snn {
constexpr double DT = 1.0;  // ms
constexpr bool EULER = false;
}  // namespace snn
#include "export.hpp"

namespace snn {

// hidden: 64 x alif
//   dV/dt = (I - V)/tau_mem
//   dI/dt = -I/tau_syn
//   dB/dt = -B/tau_b
//   spike where V >= v_thresh + B
//   reset V = v_reset
//   reset B = B + b_incr
struct Hidden {
    static constexpr int SIZE = 64, STATES = 3, INPUT = 1, READOUT = 0;
    static constexpr int RECORDS = 0, REFRACTORY = 2;  // steps
    static constexpr int PER_NEURON = 0, TRAINED = 0, ARRAYS = 0;
    static constexpr bool SPIKING = true, TIMED = false, RESTS = false;
    static constexpr bool REGULARISED = true;
    static constexpr size_t STRIDE = Shape<SIZE>::width;

    static inline void start(vf* x, const Real* k) {
        x[0] = splat(Real(0.0));
        x[1] = splat(Real(0.0));
        x[2] = splat(Real(0.0));
    }
    // x <- P x + u
    static inline void advance(vf* x, const Real* k) {
        const vf V = x[0];
        const vf I = x[1];
        const vf B = x[2];
        x[0] = splat(Real(0.951229424501)*V + Real(0.0441662238076)*I);
        x[1] = splat(Real(0.818730753078)*I);
        x[2] = splat(Real(0.990049833749)*B);
    }
    // lam <- P^T lam
    static inline void adjoint(vf* lam, const Real* k) {
        const vf lam_V = lam[0];
        const vf lam_I = lam[1];
        const vf lam_B = lam[2];
        lam[0] = splat(Real(0.951229424501)*lam_V);
        lam[1] = splat(Real(0.0441662238076)*lam_V + Real(0.818730753078)*lam_I);
        lam[2] = splat(Real(0.990049833749)*lam_B);
    }
    // rate of the state that is read out, and how it changes with the input state
    static inline Real rate(const Real* x, const Real* k) {
        const Real V = x[0];
        const Real I = x[1];
        return Real(0.05)*I - Real(0.05)*V;
    }
    static inline Real pull(const Real* k) {
        return Real(0.05);
    }
    static inline vi crosses(const vf* x, const Real* k) {
        const vf V = x[0];
        const vf B = x[2];
        return V >= splat(B + Real(1.0));
    }
    static inline void reset(vf* x, vi spiking, const Real* k) {
        const vf V = x[0];
        const vf B = x[2];
        x[0] = spiking ? splat(Real(0.0)) : V;
        x[2] = spiking ? splat(B + Real(0.1)) : B;
    }
    // states at the spike that the way back needs; arrivals count before the step's decay
    template <int B> static inline void keep(vf input, const vf* x, vf (*kept)[B], int v) {

    }
    // may still reach the threshold without another arrival
    static inline vi loud(const vf* x, const Real* k) {
        return vi{} - 1;
    }
    // the steps themselves are differentiated, for which these states are kept before the threshold
    static constexpr int TAPED = 2;
    static inline void tape(const vf* x, vf* kept) {
        kept[0] = x[0];
        kept[1] = x[2];
    }
    // stands for the derivative of a spike by the distance from the threshold
    static inline vf surrogate(const vf* x, const Real* k) {
        const vf V = x[0];
        const vf B = x[1];
        const vf distance = -B + V + Real(-1.0);
        const vf reach = splat(B + Real(1.0));
        return (distance >= splat(Real(-0.5))) ? splat((Real(1.0)/(reach))) : vf{};
    }
    // walks back through threshold and reset: all of it
    static inline void step_back(vf* lam, const vf* x, vi spiking, vf dl_ds, vf slope,
                                 const Real* k, vf* g) {
        const vf V = x[0];
        const vf lam_V = lam[0];
        const vf lam_B = lam[2];
        dl_ds += -V*lam_V + Real(0.1)*lam_B;
        const vf change = dl_ds * slope;
        lam[0] = spiking ? splat(Real(0.0)) : lam[0];
        lam[0] += change;
        lam[2] += -change;
    }
    // times 1 / examples of the mini-batch: derivative of the penalty by each spike of a neuron,
    // with n spikes of it and total of its population in the trial; AVERAGED: per trial of the
    // mini-batch
    static constexpr bool AVERAGED = false;
    static inline Real push([[maybe_unused]] Real n, [[maybe_unused]] Real total) {
        return Real(5e-06)*maximum(Real(0.0), n + Real(-2.0)) + Real(0.001)*minimum(Real(0.0), n + Real(-2.0));
    }
    // the same with V held
    static inline void advance_held(vf* x, const Real* k) {
        const vf V = x[0];
        const vf I = x[1];
        const vf B = x[2];
        x[0] = splat(Real(1.0)*V);
        x[1] = splat(Real(0.818730753078)*I);
        x[2] = splat(Real(0.990049833749)*B);
    }
    static inline void adjoint_held(vf* lam, const Real* k) {
        const vf lam_V = lam[0];
        const vf lam_I = lam[1];
        const vf lam_B = lam[2];
        lam[0] = splat(Real(1.0)*lam_V);
        lam[1] = splat(Real(0.818730753078)*lam_I);
        lam[2] = splat(Real(0.990049833749)*lam_B);
    }
};

// output: 20 x li
//   dV/dt = (I - V)/tau_mem
//   dI/dt = -I/tau_syn
struct Output {
    static constexpr int SIZE = 20, STATES = 2, INPUT = 1, READOUT = 0;
    static constexpr int RECORDS = 0, REFRACTORY = 0;  // steps
    static constexpr int PER_NEURON = 0, TRAINED = 0, ARRAYS = 0;
    static constexpr bool SPIKING = false, TIMED = false, RESTS = false;
    static constexpr bool REGULARISED = false;
    static constexpr size_t STRIDE = Shape<SIZE>::width;

    static inline void start(vf* x, const Real* k) {
        x[0] = splat(Real(0.0));
        x[1] = splat(Real(0.0));
    }
    // x <- P x + u
    static inline void advance(vf* x, const Real* k) {
        const vf V = x[0];
        const vf I = x[1];
        x[0] = splat(Real(0.951229424501)*V + Real(0.0441662238076)*I);
        x[1] = splat(Real(0.818730753078)*I);
    }
    // lam <- P^T lam
    static inline void adjoint(vf* lam, const Real* k) {
        const vf lam_V = lam[0];
        const vf lam_I = lam[1];
        lam[0] = splat(Real(0.951229424501)*lam_V);
        lam[1] = splat(Real(0.0441662238076)*lam_V + Real(0.818730753078)*lam_I);
    }
    // rate of the state that is read out, and how it changes with the input state
    static inline Real rate(const Real* x, const Real* k) {
        const Real V = x[0];
        const Real I = x[1];
        return Real(0.05)*I - Real(0.05)*V;
    }
    static inline Real pull(const Real* k) {
        return Real(0.05);
    }
};

// max: cross entropy of the potentials' maxima over time
struct Formula {
    static constexpr double DT = snn::DT, DURATION = 1400.0;  // ms
    static constexpr bool SILENT_EXCLUDED = false;
    template <class X> using Number = std::conditional_t<std::is_same_v<X, vf>, Real, double>;
    template <class X> static inline X score(X y) { return X{} + y; }
    template <class X> static inline X score_slope(X y) { return X{} + Number<X>(1.0); }
    template <class X> static inline X label_term(X y) { return X{} + Number<X>(0.0); }
    template <class X> static inline X label_term_slope(X y) { return X{} + Number<X>(0.0); }
    static double weight(int n) {  // of step n: dt / T x weight in time
        [[maybe_unused]] const double t = (n + 1) * DT;
        return DT / DURATION * (1.0);
    }
    static double silent_push() { return 0.0; }
};

struct Program {
    static constexpr int NEURONS = 84, STEPS = 1400;
    static constexpr bool TRAINS_PARAMETERS = false;
    // population, population below, rows of weights, steps, recurrent, trained: forward, recurrent
    using Layer0 = LayerSpec<Hidden, void, 700, 1400, true, true, true>;
    using Layer1 = LayerSpec<Output, Hidden, Shape<Hidden::SIZE>::width, 1400, false, true, false>;
    using Layers = std::tuple<Layer0, Layer1>;
    using Loss = Maximum<Layer1, Formula>;
};

}  // namespace snn

#pragma GCC visibility push(default)
SNN_EXPORT(snn::Program)
#pragma GCC visibility pop
