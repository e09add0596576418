// Written by snnrun VERSION: network 700-64-20, rule eventprop, loss max.
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
    static constexpr int TAPED = 0;
    static constexpr int RECORDS = 2, REFRACTORY = 2;  // steps
    static constexpr int PER_NEURON = 2, TRAINED = 2, ARRAYS = 14;
    static constexpr bool SPIKING = true, TIMED = false, RESTS = true;
    static constexpr bool REGULARISED = false, COUNTED = false;
    static constexpr bool DISCRETE = false, LINEAR = true;
    static constexpr bool NOISY = false, DROPS_SPIKES = false;
    static constexpr size_t STRIDE = Shape<SIZE>::width;
    // what all neurons share
    static constexpr int NUMBERS = 7;
    template <class X> struct Numbers {
        X v_thresh, b_incr, LEVEL_PER_STEP, inverse_tau_b, LOWEST_tau_mem,
            LOWEST_tau_syn, tau_b;
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
        x[2] = splat(Real(0.0));
    }
    // x <- P x + u
    static inline void advance(vf* x, KV k) {
        const vf V = x[0];
        const vf I = x[1];
        const vf B = x[2];
        const vf P_V_V = *vectors(k.own + 2 * STRIDE);
        const vf P_V_I = *vectors(k.own + 3 * STRIDE);
        const vf P_I_I = *vectors(k.own + 4 * STRIDE);
        const vf P_B_B = *vectors(k.own + 5 * STRIDE);
        x[0] = splat(P_V_V*V + I*P_V_I);
        x[1] = splat(I*P_I_I);
        x[2] = splat(B*P_B_B);
    }
    // lam <- P^T lam
    static inline void adjoint(vf* lam, KV k) {
        const vf lam_V = lam[0];
        const vf lam_I = lam[1];
        const vf lam_B = lam[2];
        const vf P_V_V = *vectors(k.own + 2 * STRIDE);
        const vf P_V_I = *vectors(k.own + 3 * STRIDE);
        const vf P_I_I = *vectors(k.own + 4 * STRIDE);
        const vf P_B_B = *vectors(k.own + 5 * STRIDE);
        lam[0] = splat(P_V_V*lam_V);
        lam[1] = splat(P_V_I*lam_V + P_I_I*lam_I);
        lam[2] = splat(P_B_B*lam_B);
    }
    // rate of the state that is read out, and how it changes with the state of a port
    static inline Real rate(const Real* x, K k) {
        const Real V = x[0];
        const Real I = x[1];
        const Real tau_mem = k.own[0 * STRIDE];
        return (I - V)/tau_mem;
    }
    static inline Real pull([[maybe_unused]] int port, [[maybe_unused]] const Real* x, K k) {
        const Real tau_mem = k.own[0 * STRIDE];
        return (Real(1.0)/(tau_mem));
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
        kept[0] = in[0];
        kept[1] = x[2];
    }
    // may still reach the threshold without another arrival
    static inline vi can_spike(const vf* x, KV k) {
        const vf I = x[1];
        const vf B = x[2];
        const vf P_V_V = *vectors(k.own + 2 * STRIDE);
        const vf P_V_I = *vectors(k.own + 3 * STRIDE);
        const vf P_B_B = *vectors(k.own + 5 * STRIDE);
        const vf v_thresh = k.shared.v_thresh;
        vf bound = {};
        bound += maximum(Real(0.0), Real(1.001001001)*I*P_V_I/(Real(1.0) - P_V_V));
        bound += maximum(Real(0.0), Real(1.001001001)*B*(-P_B_B + P_V_V)/(Real(1.0) - P_V_V));
        const vi rises = bound >= splat(v_thresh);
        return rises | crosses(x, k);  // a reset may leave it above the threshold
    }
    // rate at which the threshold is crossed
    static inline Real slope(const Real* x, K k) {
        const Real I = x[0];
        const Real B = x[1];
        const Real tau_mem = k.own[0 * STRIDE];
        const Real v_thresh = k.shared.v_thresh;
        const Real inverse_tau_b = k.shared.inverse_tau_b;
        return B*inverse_tau_b + (-B + I - v_thresh)/tau_mem;
    }
    // lam <- r_x^T lam - g_x drive, with drive = (lam . (r_x f(x-) - f(x+)) - R + dl/dt) / slope
    static inline void jump(Real* lam, const Real* x, Real inverse_slope, Real R, Real dl_dt,
                            Real release, K k, Real* gradient) {
        const Real lam_B = lam[2];
        const Real b_incr = k.shared.b_incr;
        const Real inverse_tau_b = k.shared.inverse_tau_b;
        const Real drive = (-R + b_incr*inverse_tau_b*lam_B + dl_dt + release) * inverse_slope;
        lam[0] = -drive;
        lam[2] = drive + lam_B;
    }
    static constexpr bool SIGNAL_PLUS = false, SIGNAL_MINUS = false;
    // the same with V held
    static inline void advance_held(vf* x, KV k) {
        const vf V = x[0];
        const vf I = x[1];
        const vf B = x[2];
        const vf H_V_V = *vectors(k.own + 10 * STRIDE);
        const vf H_I_I = *vectors(k.own + 11 * STRIDE);
        const vf H_B_B = *vectors(k.own + 12 * STRIDE);
        x[0] = splat(H_V_V*V);
        x[1] = splat(H_I_I*I);
        x[2] = splat(B*H_B_B);
    }
    static inline void adjoint_held(vf* lam, KV k) {
        const vf lam_V = lam[0];
        const vf lam_I = lam[1];
        const vf lam_B = lam[2];
        const vf H_V_V = *vectors(k.own + 10 * STRIDE);
        const vf H_I_I = *vectors(k.own + 11 * STRIDE);
        const vf H_B_B = *vectors(k.own + 12 * STRIDE);
        lam[0] = splat(H_V_V*lam_V);
        lam[1] = splat(H_I_I*lam_I);
        lam[2] = splat(H_B_B*lam_B);
    }
    // lam . (f_held - f) where the refractory period ends
    static inline Real release(const Real* lam, const Real* x, K k) {
        const Real V = x[0];
        const Real I = x[1];
        const Real lam_V = lam[0];
        const Real tau_mem = k.own[0 * STRIDE];
        return lam_V*(-I + V)/tau_mem;
    }
    // coefficients of one neuron from its parameters: tau_mem, tau_syn
    static void prepare([[maybe_unused]] const double* value,
                        [[maybe_unused]] const Numbers<double>& n, Real* k) {
        const double tau_mem = value[0];
        const double tau_syn = value[1];
        const double tau_b = n.tau_b;
        k[0 * STRIDE] = Real(tau_mem);
        k[1 * STRIDE] = Real(tau_syn);
        {
            const double A[3][4] = {{-1.0/tau_mem, (1.0/(tau_mem)), 0.0, 0.0}, {0.0, -1.0/tau_syn, 0.0, 0.0}, {0.0, 0.0, -1.0/tau_b, 0.0}};
            const double dA[3][4] = {{(1.0/(tau_mem*tau_mem)), -1.0/(tau_mem*tau_mem), 0.0, 0.0}, {0.0, 0.0, 0.0, 0.0}, {0.0, 0.0, 0.0, 0.0}};
            const Step<3> step(A, dA, DT, EULER);
            k[2 * STRIDE] = Real(step.P[0][0]);
            k[3 * STRIDE] = Real(step.P[0][1]);
            k[4 * STRIDE] = Real(step.P[1][1]);
            k[5 * STRIDE] = Real(step.P[2][2]);
            k[6 * STRIDE] = Real(step.dP[0][0]);
            k[7 * STRIDE] = Real(step.dP[0][1]);
        }
        {
            const double A[3][4] = {{-1.0/tau_mem, (1.0/(tau_mem)), 0.0, 0.0}, {0.0, -1.0/tau_syn, 0.0, 0.0}, {0.0, 0.0, -1.0/tau_b, 0.0}};
            const double dA[3][4] = {{0.0, 0.0, 0.0, 0.0}, {0.0, (1.0/(tau_syn*tau_syn)), 0.0, 0.0}, {0.0, 0.0, 0.0, 0.0}};
            const Step<3> step(A, dA, DT, EULER);
            k[8 * STRIDE] = Real(step.dP[0][1]);
            k[9 * STRIDE] = Real(step.dP[1][1]);
        }
        {
            const double A[3][4] = {{0.0, 0.0, 0.0, 0.0}, {0.0, -1.0/tau_syn, 0.0, 0.0}, {0.0, 0.0, -1.0/tau_b, 0.0}};
            const double dA[3][4] = {{0.0, 0.0, 0.0, 0.0}, {0.0, 0.0, 0.0, 0.0}, {0.0, 0.0, 0.0, 0.0}};
            const Step<3> step(A, dA, DT, EULER);
            k[10 * STRIDE] = Real(step.P[0][0]);
            k[11 * STRIDE] = Real(step.P[1][1]);
            k[12 * STRIDE] = Real(step.P[2][2]);
        }
        {
            const double A[3][4] = {{0.0, 0.0, 0.0, 0.0}, {0.0, -1.0/tau_syn, 0.0, 0.0}, {0.0, 0.0, -1.0/tau_b, 0.0}};
            const double dA[3][4] = {{0.0, 0.0, 0.0, 0.0}, {0.0, (1.0/(tau_syn*tau_syn)), 0.0, 0.0}, {0.0, 0.0, 0.0, 0.0}};
            const Step<3> step(A, dA, DT, EULER);
            k[13 * STRIDE] = Real(step.dP[1][1]);
        }
    }
    // dL/dp of the flow: lam . (dP/dp x + du/dp)
    static inline void parameter_gradient(const vf* lam, const vf* x, vi held, KV k,
                                          vf* g) {
        const vf V = x[0];
        const vf I = x[1];
        const vf lam_V = lam[0];
        const vf lam_I = lam[1];
        const vf dP_tau_mem_V_V = *vectors(k.own + 6 * STRIDE);
        const vf dP_tau_mem_V_I = *vectors(k.own + 7 * STRIDE);
        const vf dP_tau_syn_V_I = *vectors(k.own + 8 * STRIDE);
        const vf dP_tau_syn_I_I = *vectors(k.own + 9 * STRIDE);
        const vf dH_tau_syn_I_I = *vectors(k.own + 13 * STRIDE);
        g[0] = held ? splat(Real(0.0)) : splat(I*dP_tau_mem_V_I*lam_V + V*dP_tau_mem_V_V*lam_V);
        g[1] = held ? splat(I*dH_tau_syn_I_I*lam_I) : splat(I*dP_tau_syn_I_I*lam_I + I*dP_tau_syn_V_I*lam_V);
    }
    static double lowest([[maybe_unused]] const Numbers<double>& n, int p) {
        const double value[] = {n.LOWEST_tau_mem, n.LOWEST_tau_syn};
        return value[p];
    }
    static double highest([[maybe_unused]] const Numbers<double>& n, int p) {
        const double value[] = {INFINITY, INFINITY};
        return value[p];
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
        "Hidden.v_thresh "
        "Hidden.b_incr "
        "Hidden.LEVEL_PER_STEP "
        "Hidden.inverse_tau_b "
        "Hidden.LOWEST_tau_mem "
        "Hidden.LOWEST_tau_syn "
        "Hidden.tau_b "
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
    static constexpr bool TRAINS_PARAMETERS = true;
    // population, number, first and last of those that reach each other, steps; of each projection
    // source, its population and neurons, port, whether it is trained, a list, plastic, dropped;
    // kind of its delays, the largest one in steps, whether they are trained
    using Layer0 = LayerSpec<Hidden, 0, 0, 0, 1400, Plasticity,
        From<INPUT, void, 700, 0, true, false, false, false>>;
    using Layer1 = LayerSpec<Output, 1, 1, 1, 1400, Plasticity,
        From<0, Hidden, 64, 0, true, false, false, false>>;
    using Layers = std::tuple<Layer0, Layer1>;
    using Loss = Maximum<Layer1, Formula>;
};

}  // namespace snn

#pragma GCC visibility push(default)
SNN_EXPORT(snn::Program)
#pragma GCC visibility pop
