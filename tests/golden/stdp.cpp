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
    static constexpr int SIZE = 64, STATES = 2, READOUT = 0;
    static constexpr int PORTS = 1, PORT[] = {1};  // states that arrivals add to
    static constexpr int THRESHOLD_STATE = 0, MOST_SPIKES = 1;
    static constexpr int TAPED = 0;
    static constexpr int RECORDS = 1, REFRACTORY = 0;  // steps
    static constexpr int PER_NEURON = 0, TRAINED = 0, ARRAYS = 0;
    static constexpr bool SPIKING = true, TIMED = false, RESTS = true;
    static constexpr bool REGULARISED = false, COUNTED = false;
    static constexpr bool DISCRETE = false, LINEAR = true;
    static constexpr bool NOISY = false, DROPS_SPIKES = false;
    static constexpr size_t STRIDE = Shape<SIZE>::width;
    // what all neurons share
    static constexpr int NUMBERS = 7;
    template <class X> struct Numbers {
        X P_V_V, P_V_I, P_I_I, inverse_tau_mem, v_thresh, bound_I,
            LEVEL_PER_STEP;
        template <class Y> static Numbers of([[maybe_unused]] const Y* v) {
            return {number<X>(v[0]), number<X>(v[1]), number<X>(v[2]), number<X>(v[3]),
            number<X>(v[4]), number<X>(v[5]), number<X>(v[6])};
        }
    };
    typedef const Constants<Hidden, Real>& K;  // of one neuron
    typedef const Constants<Hidden, vf>& KV;   // of a register of neurons

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
    static inline vi crosses(const vf* x, KV k) {
        const vf V = x[0];
        const vf v_thresh = k.shared.v_thresh;
        return V >= splat(v_thresh);
    }
    static inline void reset(vf* x, vi spiking, KV k) {
        const vf V = x[0];
        x[0] = spiking ? splat(Real(0.0)) : V;
    }
    // states at the spike that the way back needs; arrivals count before the step's decay
    static inline void keep(const vf* in, const vf* x, vf* kept) {
        kept[0] = in[0];
    }
    // may still reach the threshold without another arrival
    static inline vi can_spike(const vf* x, KV k) {
        const vf I = x[1];
        const vf v_thresh = k.shared.v_thresh;
        const vf bound_I = k.shared.bound_I;
        vf bound = {};
        bound += maximum(Real(0.0), I*bound_I);
        const vi rises = bound >= splat(v_thresh);
        return rises | crosses(x, k);  // a reset may leave it above the threshold
    }
    // rate at which the threshold is crossed
    static inline Real slope(const Real* x, K k) {
        const Real I = x[0];
        const Real v_thresh = k.shared.v_thresh;
        const Real inverse_tau_mem = k.shared.inverse_tau_mem;
        return inverse_tau_mem*(I - v_thresh);
    }
    // lam <- r_x^T lam - g_x drive, with drive = (lam . (r_x f(x-) - f(x+)) - R + dl/dt) / slope
    static inline void jump(Real* lam, const Real* x, Real inverse_slope, Real R, Real dl_dt,
                            Real release, K k, Real* gradient) {
        const Real I = x[0];
        const Real lam_V = lam[0];
        const Real inverse_tau_mem = k.shared.inverse_tau_mem;
        const Real drive = (-I*inverse_tau_mem*lam_V - R + dl_dt) * inverse_slope;
        lam[0] = -drive;
    }
    static constexpr bool SIGNAL_PLUS = false, SIGNAL_MINUS = false;
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

// plasticity of projections, per step of DT where in time
struct Plasticity {
    static constexpr bool MULTIPLICATIVE = true;
    static constexpr int NUMBERS = 9;
    double A_PLUS, A_MINUS, A_POST, DECAY_PLUS, DECAY_MINUS, W_MIN, W_MAX, MU,
            PUNISH;
    static Plasticity of([[maybe_unused]] const double* v) {
        return {v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7], v[8]};
    }
    // of an example
    double third_factor([[maybe_unused]] double right, [[maybe_unused]] double loss) const {
        return PUNISH*(1.0 - right) + right;
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

// sgd: steps along the gradient
struct OptimiserOfPairs {
    static constexpr int STATES = 0;
    static constexpr bool SCALED = false;  // by the norm of the whole gradient
    static constexpr int NUMBERS = 0;
    static OptimiserOfPairs of([[maybe_unused]] const double* v) {
        return {};
    }
    struct Step {  // of all values of an array
        Real rate;
        inline void operator()(vf& w, vf g, [[maybe_unused]] vf* state) const {
            w = splat(w - rate * g);
        }
    };
    Step at([[maybe_unused]] double rate, [[maybe_unused]] double step,
            [[maybe_unused]] bool weights, [[maybe_unused]] double scale) const {

        return {Real(rate)};
    }
};

// sum_weigh_exp: cross entropy of the potentials' mean, weighted by a falling exponential
struct Formula {
    static constexpr double DT = snn::DT, DURATION = 1400.0;  // ms
    static constexpr bool SILENT_EXCLUDED = false;
    static constexpr int NUMBERS = 1;
    double T;
    static Formula of([[maybe_unused]] const double* v) {
        return {v[0]};
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
        return counts(n) ? DT / DURATION * (exp(-t/T)) : 0.0;
    }
    double silent_push() const { return 0.0; }
};

struct Program {
    static constexpr int NEURONS = 84, STEPS = 1400;
    static constexpr const char* NUMBERS =
        "Hidden.P_V_V "
        "Hidden.P_V_I "
        "Hidden.P_I_I "
        "Hidden.inverse_tau_mem "
        "Hidden.v_thresh "
        "Hidden.bound_I "
        "Hidden.LEVEL_PER_STEP "
        "Output.P_V_V "
        "Output.P_V_I "
        "Output.P_I_I "
        "Output.inverse_tau_mem "
        "Formula.T "
        "Plasticity.A_PLUS "
        "Plasticity.A_MINUS "
        "Plasticity.A_POST "
        "Plasticity.DECAY_PLUS "
        "Plasticity.DECAY_MINUS "
        "Plasticity.W_MIN "
        "Plasticity.W_MAX "
        "Plasticity.MU "
        "Plasticity.PUNISH "
        "Optimiser.beta1 "
        "Optimiser.beta2 "
        "Optimiser.epsilon ";
    using Formula = snn::Formula;
    using Plasticity = snn::Plasticity;
    using Optimiser = snn::Optimiser;
    using OptimiserOfPairs = snn::OptimiserOfPairs;
    static constexpr bool TRAINS_PARAMETERS = false;
    // population, number, first and last of those that reach each other, steps; of each projection
    // source, its population and neurons, port, whether it is trained, a list, plastic, dropped;
    // kind of its delays, the largest one in steps, whether they are trained
    using Layer0 = LayerSpec<Hidden, 0, 0, 0, 1400, Plasticity,
        From<INPUT, void, 700, 0, true, false, true, false>,
        From<0, Hidden, 64, 0, true, false, true, false>>;
    using Layer1 = LayerSpec<Output, 1, 1, 1, 1400, Plasticity,
        From<0, Hidden, 64, 0, true, false, false, false>>;
    using Layers = std::tuple<Layer0, Layer1>;
    using Loss = WeightedSum<Layer1, Formula>;
};

}  // namespace snn

#pragma GCC visibility push(default)
SNN_EXPORT(snn::Program)
#pragma GCC visibility pop
