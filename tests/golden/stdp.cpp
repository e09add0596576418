// Written by snnrun VERSION: network 700-64r-20, rule stdp, loss sum_weigh_exp.
//
// The populations below are derived from their equations; engine.hpp walks them through a trial.
#define SNN_REAL float
namespace snn {
constexpr double DT = 1.0;  // ms
constexpr bool EULER = false;
}  // namespace snn
#include "export.hpp"

namespace snn {

// hidden: 64 x lif
//   dV/dt = (I - V)/tau_mem
//   dI/dt = -I/tau_syn
//   spike where V >= v_thresh
//   reset V = v_reset
struct Hidden {
    static constexpr int SIZE = 64, STATES = 2, INPUT = 1, READOUT = 0;
    static constexpr int RECORDS = 1, REFRACTORY = 0;  // steps
    static constexpr int PER_NEURON = 0, TRAINED = 0, ARRAYS = 0;
    static constexpr bool SPIKING = true, TIMED = false, RESTS = true;
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
    static inline vi crosses(const vf* x, const Real* k) {
        const vf V = x[0];
        return V >= splat(Real(1.0));
    }
    static inline void reset(vf* x, vi spiking, const Real* k) {
        const vf V = x[0];
        x[0] = spiking ? splat(Real(0.0)) : V;
    }
    // states at the spike that the way back needs; arrivals count before the step's decay
    template <int B> static inline void keep(vf input, const vf* x, vf (*kept)[B], int v) {
        kept[0][v] = input;
    }
    // may still reach the threshold without another arrival
    static inline vi loud(const vf* x, const Real* k) {
        const vf I = x[1];
        const vi rises = splat(maximum(Real(0.0), Real(0.905591606321)*I)) >= splat(Real(0.999));
        return rises | crosses(x, k);  // a reset may leave it above the threshold
    }
    // rate at which the threshold is crossed
    static inline Real slope(const Real* x, const Real* k) {
        const Real I = x[0];
        return Real(0.05)*I + Real(-0.05);
    }
    // lam <- r_x^T lam - g_x drive, with drive = (lam . (r_x f(x-) - f(x+)) - R + dl/dt) / slope
    static inline void jump(Real* lam, const Real* x, Real inverse_slope, Real R, Real dl_dt,
                            Real release, const Real* k, Real* gradient) {
        const Real I = x[0];
        const Real lam_V = lam[0];
        const Real drive = (-Real(0.05)*I*lam_V - R + dl_dt) * inverse_slope;
        lam[0] = -drive;
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

// stdp, per step of DT where in time; PUNISH: the reward after a wrong prediction
struct Plasticity {
    static constexpr double A_PLUS = 1.0, A_MINUS = 1.05, A_POST = 0.0;
    static constexpr double DECAY_PLUS = 0.951229424501, DECAY_MINUS = 0.951229424501;
    static constexpr double W_MIN = 0.0, W_MAX = 1.0, MU = 1.0, PUNISH = -1.0;
    static constexpr bool MULTIPLICATIVE = true, ADAM = false;
};

// sum_weigh_exp: cross entropy of the potentials' mean, weighted by a falling exponential
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
        return DT / DURATION * (exp(-0.000714285714286*t));
    }
    static double silent_push() { return 0.0; }
};

struct Program {
    static constexpr int NEURONS = 84, STEPS = 1400;
    static constexpr bool TRAINS_PARAMETERS = false;
    // population, population below, rows of weights, steps, recurrent, trained: forward, recurrent
    using Layer0 = PlasticLayer<LayerSpec<Hidden, void, 700, 1400, true, true, true>, Plasticity, true, true>;
    using Layer1 = LayerSpec<Output, Hidden, Shape<Hidden::SIZE>::width, 1400, false, true, false>;
    using Layers = std::tuple<Layer0, Layer1>;
    using Loss = WeightedSum<Layer1, Formula>;
};

}  // namespace snn

#pragma GCC visibility push(default)
SNN_EXPORT(snn::Program)
#pragma GCC visibility pop
