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
    static constexpr int SIZE = 64, STATES = 3, READOUT = 0;
    static constexpr int PORTS = 1, PORT[] = {1};  // states that arrivals add to
    static constexpr int THRESHOLD_STATE = 0, MOST_SPIKES = 1;
    static constexpr int TAPED = 2;
    static constexpr int RECORDS = 0, REFRACTORY = 2;  // steps
    static constexpr int PER_NEURON = 0, TRAINED = 0, ARRAYS = 0;
    static constexpr bool SPIKING = true, TIMED = false, RESTS = false;
    static constexpr bool REGULARISED = true, COUNTED = false;
    static constexpr bool DISCRETE = true, LINEAR = true;
    static constexpr bool NOISY = false, DROPS_SPIKES = false;
    static constexpr size_t STRIDE = Shape<SIZE>::width;
    // what all neurons share
    static constexpr int NUMBERS = 13;
    template <class X> struct Numbers {
        X P_V_V, P_V_I, P_I_I, P_B_B, inverse_tau_mem, v_thresh, b_incr,
            surrogate_window, reg_LBD_UPPER, reg_LBD_LOWER, reg_NU_UPPER, H_I_I,
            H_B_B;
        template <class Y> static Numbers of([[maybe_unused]] const Y* v) {
            return {number<X>(v[0]), number<X>(v[1]), number<X>(v[2]), number<X>(v[3]),
            number<X>(v[4]), number<X>(v[5]), number<X>(v[6]), number<X>(v[7]),
            number<X>(v[8]), number<X>(v[9]), number<X>(v[10]), number<X>(v[11]),
            number<X>(v[12])};
        }
    };
    typedef const Constants<Hidden, Real>& K;  // of one neuron
    typedef const Constants<Hidden, vf>& KV;   // of a register of neurons

    static inline void start(vf* x, KV k) {
        x[0] = splat(Real(0.0));
        x[1] = splat(Real(0.0));
        x[2] = splat(Real(0.0));
    }
    // x <- P x + u
    static inline void advance(vf* x, KV k) {
        const vf V = x[0];
        const vf I = x[1];
        const vf B = x[2];
        const vf P_V_V = k.shared.P_V_V;
        const vf P_V_I = k.shared.P_V_I;
        const vf P_I_I = k.shared.P_I_I;
        const vf P_B_B = k.shared.P_B_B;
        x[0] = splat(P_V_V*V + I*P_V_I);
        x[1] = splat(I*P_I_I);
        x[2] = splat(B*P_B_B);
    }
    // lam <- P^T lam
    static inline void adjoint(vf* lam, KV k) {
        const vf lam_V = lam[0];
        const vf lam_I = lam[1];
        const vf lam_B = lam[2];
        const vf P_V_V = k.shared.P_V_V;
        const vf P_V_I = k.shared.P_V_I;
        const vf P_I_I = k.shared.P_I_I;
        const vf P_B_B = k.shared.P_B_B;
        lam[0] = splat(P_V_V*lam_V);
        lam[1] = splat(P_V_I*lam_V + P_I_I*lam_I);
        lam[2] = splat(P_B_B*lam_B);
    }
    // rate of the state that is read out, and how it changes with the state of a port
    static inline Real rate(const Real* x, K k) {
        const Real V = x[0];
        const Real I = x[1];
        const Real inverse_tau_mem = k.shared.inverse_tau_mem;
        return inverse_tau_mem*(I - V);
    }
    static inline Real pull([[maybe_unused]] int port, [[maybe_unused]] const Real* x, K k) {
        const Real inverse_tau_mem = k.shared.inverse_tau_mem;
        return inverse_tau_mem;
    }
    static inline vi crosses(const vf* x, KV k) {
        const vf V = x[0];
        const vf B = x[2];
        const vf v_thresh = k.shared.v_thresh;
        return V >= splat(B + v_thresh);
    }
    static inline void reset(vf* x, vi spiking, KV k) {
        const vf V = x[0];
        const vf B = x[2];
        const vf b_incr = k.shared.b_incr;
        x[0] = spiking ? splat(Real(0.0)) : V;
        x[2] = spiking ? splat(B + b_incr) : B;
    }
    // states at the spike that the way back needs; arrivals count before the step's decay
    static inline void keep(const vf* in, const vf* x, vf* kept) {

    }
    // may still reach the threshold without another arrival
    static inline vi can_spike(const vf* x, KV k) {
        return vi{} - 1;
    }
    // the steps themselves are differentiated, for which these states are kept before the threshold
    static inline void tape(const vf* x, vf* kept) {
        kept[0] = x[0];
        kept[1] = x[2];
    }
    // stands for the derivative of a spike by the distance from the threshold
    static inline vf surrogate(const vf* x, KV k) {
        const vf V = x[0];
        const vf B = x[1];
        const vf v_thresh = k.shared.v_thresh;
        const vf surrogate_window = k.shared.surrogate_window;
        const vf distance = -B + V - v_thresh;
        const vf reach = splat(B + v_thresh);
        return (distance >= splat(-surrogate_window)) ? splat((Real(1.0)/(reach))) : vf{};
    }
    // walks back through threshold and reset: all of it
    static inline void step_back(vf* lam, const vf* x, vi spiking, vf dl_ds, vf slope,
                                 KV k, vf* g) {
        const vf V = x[0];
        const vf lam_V = lam[0];
        const vf lam_B = lam[2];
        const vf b_incr = k.shared.b_incr;
        dl_ds += -V*lam_V + b_incr*lam_B;
        const vf change = dl_ds * slope;
        lam[0] = spiking ? splat(Real(0.0)) : lam[0];
        lam[0] += change;
        lam[2] += -change;
    }
    static constexpr bool SIGNAL_PLUS = false, SIGNAL_MINUS = false;
    // times 1 / examples of the mini-batch: derivative of the penalty by each spike of a neuron,
    // with n spikes of it and total of its population in the trial; AVERAGED: per trial of the
    // mini-batch
    static constexpr bool AVERAGED = false;
    static inline Real push([[maybe_unused]] Real n, [[maybe_unused]] Real total, K k) {
        const Real reg_LBD_UPPER = k.shared.reg_LBD_UPPER;
        const Real reg_LBD_LOWER = k.shared.reg_LBD_LOWER;
        const Real reg_NU_UPPER = k.shared.reg_NU_UPPER;
        return reg_LBD_LOWER*minimum(Real(0.0), n - reg_NU_UPPER) + reg_LBD_UPPER*maximum(Real(0.0), n - reg_NU_UPPER);
    }
    // the same with V held
    static inline void advance_held(vf* x, KV k) {
        const vf V = x[0];
        const vf I = x[1];
        const vf B = x[2];
        const vf H_I_I = k.shared.H_I_I;
        const vf H_B_B = k.shared.H_B_B;
        x[0] = splat(V);
        x[1] = splat(H_I_I*I);
        x[2] = splat(B*H_B_B);
    }
    static inline void adjoint_held(vf* lam, KV k) {
        const vf lam_V = lam[0];
        const vf lam_I = lam[1];
        const vf lam_B = lam[2];
        const vf H_I_I = k.shared.H_I_I;
        const vf H_B_B = k.shared.H_B_B;
        lam[0] = splat(lam_V);
        lam[1] = splat(H_I_I*lam_I);
        lam[2] = splat(H_B_B*lam_B);
    }
};

// output: 20 x li
//   dV/dt = (I - V)/tau_mem
//   dI/dt = -I/tau_syn
struct Output {
    static constexpr int SIZE = 20, STATES = 2, READOUT = 0;
    static constexpr int PORTS = 1, PORT[] = {1};  // states that arrivals add to
    static constexpr int THRESHOLD_STATE = 0, MOST_SPIKES = 1;
    static constexpr int TAPED = 0;
    static constexpr int RECORDS = 0, REFRACTORY = 0;  // steps
    static constexpr int PER_NEURON = 0, TRAINED = 0, ARRAYS = 0;
    static constexpr bool SPIKING = false, TIMED = false, RESTS = false;
    static constexpr bool REGULARISED = false, COUNTED = false;
    static constexpr bool DISCRETE = false, LINEAR = true;
    static constexpr bool NOISY = false, DROPS_SPIKES = false;
    static constexpr size_t STRIDE = Shape<SIZE>::width;
    // what all neurons share
    static constexpr int NUMBERS = 4;
    template <class X> struct Numbers {
        X P_V_V, P_V_I, P_I_I, inverse_tau_mem;
        template <class Y> static Numbers of([[maybe_unused]] const Y* v) {
            return {number<X>(v[0]), number<X>(v[1]), number<X>(v[2]), number<X>(v[3])};
        }
    };
    typedef const Constants<Output, Real>& K;  // of one neuron
    typedef const Constants<Output, vf>& KV;   // of a register of neurons

    static inline void start(vf* x, KV k) {
        x[0] = splat(Real(0.0));
        x[1] = splat(Real(0.0));
    }
    // x <- P x + u
    static inline void advance(vf* x, KV k) {
        const vf V = x[0];
        const vf I = x[1];
        const vf P_V_V = k.shared.P_V_V;
        const vf P_V_I = k.shared.P_V_I;
        const vf P_I_I = k.shared.P_I_I;
        x[0] = splat(P_V_V*V + I*P_V_I);
        x[1] = splat(I*P_I_I);
    }
    // lam <- P^T lam
    static inline void adjoint(vf* lam, KV k) {
        const vf lam_V = lam[0];
        const vf lam_I = lam[1];
        const vf P_V_V = k.shared.P_V_V;
        const vf P_V_I = k.shared.P_V_I;
        const vf P_I_I = k.shared.P_I_I;
        lam[0] = splat(P_V_V*lam_V);
        lam[1] = splat(P_V_I*lam_V + P_I_I*lam_I);
    }
    // rate of the state that is read out, and how it changes with the state of a port
    static inline Real rate(const Real* x, K k) {
        const Real V = x[0];
        const Real I = x[1];
        const Real inverse_tau_mem = k.shared.inverse_tau_mem;
        return inverse_tau_mem*(I - V);
    }
    static inline Real pull([[maybe_unused]] int port, [[maybe_unused]] const Real* x, K k) {
        const Real inverse_tau_mem = k.shared.inverse_tau_mem;
        return inverse_tau_mem;
    }
    static constexpr bool SIGNAL_PLUS = false, SIGNAL_MINUS = false;
};

// no projection has a plasticity of its own
struct Plasticity {
    static constexpr bool MULTIPLICATIVE = false;
    static constexpr int NUMBERS = 0;
    static Plasticity of([[maybe_unused]] const double* v) {
        return {};
    }
    // of an example
    double third_factor([[maybe_unused]] double right, [[maybe_unused]] double loss) const {
        return 1.0;
    }
};

// adam: steps of a mean of the gradient, divided by the root of the mean squared gradient
struct Optimiser {
    static constexpr int STATES = 2;
    static constexpr bool SCALED = false;  // by the norm of the whole gradient
    static constexpr int NUMBERS = 3;
    double beta1, beta2, epsilon;
    static Optimiser of([[maybe_unused]] const double* v) {
        return {v[0], v[1], v[2]};
    }
    struct Step {  // of all values of an array
        Real beta1, beta2, epsilon, size, correction;
        inline void operator()(vf& w, vf g, [[maybe_unused]] vf* state) const {
            vf& first = state[0];
            vf& second = state[1];
            first = splat(beta1 * first + (Real(1.0) - beta1) * g);
            second = splat(beta2 * second + (Real(1.0) - beta2) * (g * g));
            w = splat(w - size * first / (sqrt(second * correction) + epsilon));
        }
    };
    Step at([[maybe_unused]] double rate, [[maybe_unused]] double step,
            [[maybe_unused]] bool weights, [[maybe_unused]] double scale) const {
        const double size = rate / (1.0 - std::pow(beta1, step));
        const double correction = 1.0 / (1.0 - std::pow(beta2, step));
        return {Real(beta1), Real(beta2), Real(epsilon), Real(size), Real(correction)};
    }
};

// max: cross entropy of the potentials' maxima over time
struct Formula {
    static constexpr double DT = snn::DT, DURATION = 1400.0;  // ms
    static constexpr bool SILENT_EXCLUDED = false;
    static constexpr int NUMBERS = 0;
    static Formula of([[maybe_unused]] const double* v) {
        return {};
    }
    template <class X> using Number = std::conditional_t<std::is_same_v<X, vf>, Real, double>;
    // of a potential V at the end of step n
    template <class X> inline X integrand(X V, int n) const {
        [[maybe_unused]] const Number<X> t = Number<X>((n + 1) * DT);
        return X{} + Number<X>(0.0);
    }
    template <class X> inline X integrand_slope(X V, int n) const {
        [[maybe_unused]] const Number<X> t = Number<X>((n + 1) * DT);
        return X{} + Number<X>(0.0);
    }
    template <class X> inline X score(X y) const { return X{} + y; }
    template <class X> inline X score_slope(X y) const { return X{} + Number<X>(1.0); }
    template <class X> inline X label_term(X y) const { return X{} + Number<X>(0.0); }
    template <class X> inline X label_term_slope(X y) const { return X{} + Number<X>(0.0); }
    int first() const { return 0; }  // of the steps in which potentials count
    int last() const { return 1400; }
    bool counts([[maybe_unused]] int n) const { return true; }
    double weight(int n) const {  // of step n: weight in time over the number of steps
        [[maybe_unused]] const double t = (n + 1) * DT;
        return counts(n) ? DT / DURATION * (1.0) : 0.0;
    }
    double silent_push() const { return 0.0; }
};

struct Program {
    static constexpr int NEURONS = 84, STEPS = 1400;
    static constexpr const char* NUMBERS =
        "Hidden.P_V_V "
        "Hidden.P_V_I "
        "Hidden.P_I_I "
        "Hidden.P_B_B "
        "Hidden.inverse_tau_mem "
        "Hidden.v_thresh "
        "Hidden.b_incr "
        "Hidden.surrogate_window "
        "Hidden.reg_LBD_UPPER "
        "Hidden.reg_LBD_LOWER "
        "Hidden.reg_NU_UPPER "
        "Hidden.H_I_I "
        "Hidden.H_B_B "
        "Output.P_V_V "
        "Output.P_V_I "
        "Output.P_I_I "
        "Output.inverse_tau_mem "
        "Optimiser.beta1 "
        "Optimiser.beta2 "
        "Optimiser.epsilon ";
    using Formula = snn::Formula;
    using Plasticity = snn::Plasticity;
    using Optimiser = snn::Optimiser;
    using OptimiserOfPairs = snn::Optimiser;
    static constexpr bool TRAINS_PARAMETERS = false;
    // population, number, first and last of those that reach each other, steps; of each projection
    // source, its population and neurons, port, whether it is trained, a list, plastic, dropped;
    // kind of its delays, the largest one in steps, whether they are trained
    using Layer0 = LayerSpec<Hidden, 0, 0, 0, 1400, Plasticity,
        From<INPUT, void, 700, 0, true, false, false, false>,
        From<0, Hidden, 64, 0, true, false, false, false>>;
    using Layer1 = LayerSpec<Output, 1, 1, 1, 1400, Plasticity,
        From<0, Hidden, 64, 0, true, false, false, false>>;
    using Layers = std::tuple<Layer0, Layer1>;
    using Loss = Maximum<Layer1, Formula>;
};

}  // namespace snn

#pragma GCC visibility push(default)
SNN_EXPORT(snn::Program)
#pragma GCC visibility pop
