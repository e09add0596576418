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
    static constexpr int SIZE = 64, STATES = 3, INPUT = 1, READOUT = 0;
    static constexpr int RECORDS = 2, REFRACTORY = 2;  // steps
    static constexpr int PER_NEURON = 2, TRAINED = 2, ARRAYS = 14;
    static constexpr bool SPIKING = true, TIMED = false, RESTS = true;
    static constexpr bool REGULARISED = false;
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
        const vf P_V_V = *vectors(k + 2 * STRIDE);
        const vf P_V_I = *vectors(k + 3 * STRIDE);
        const vf P_I_I = *vectors(k + 4 * STRIDE);
        const vf P_B_B = *vectors(k + 5 * STRIDE);
        x[0] = splat(P_V_V*V + I*P_V_I);
        x[1] = splat(I*P_I_I);
        x[2] = splat(B*P_B_B);
    }
    // lam <- P^T lam
    static inline void adjoint(vf* lam, const Real* k) {
        const vf lam_V = lam[0];
        const vf lam_I = lam[1];
        const vf lam_B = lam[2];
        const vf P_V_V = *vectors(k + 2 * STRIDE);
        const vf P_V_I = *vectors(k + 3 * STRIDE);
        const vf P_I_I = *vectors(k + 4 * STRIDE);
        const vf P_B_B = *vectors(k + 5 * STRIDE);
        lam[0] = splat(P_V_V*lam_V);
        lam[1] = splat(P_V_I*lam_V + P_I_I*lam_I);
        lam[2] = splat(P_B_B*lam_B);
    }
    // rate of the state that is read out, and how it changes with the input state
    static inline Real rate(const Real* x, const Real* k) {
        const Real V = x[0];
        const Real I = x[1];
        const Real tau_mem = k[0 * STRIDE];
        return (I - V)/tau_mem;
    }
    static inline Real pull(const Real* k) {
        const Real tau_mem = k[0 * STRIDE];
        return (Real(1.0)/(tau_mem));
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
        kept[0][v] = input;
        kept[1][v] = x[2];
    }
    // may still reach the threshold without another arrival
    static inline vi loud(const vf* x, const Real* k) {
        const vf I = x[1];
        const vf B = x[2];
        const vf P_V_V = *vectors(k + 2 * STRIDE);
        const vf P_V_I = *vectors(k + 3 * STRIDE);
        const vf P_B_B = *vectors(k + 5 * STRIDE);
        const vi rises = splat(maximum(Real(0.0), B*(-P_B_B + P_V_V)/(Real(1.0) - P_V_V)) + maximum(Real(0.0), I*P_V_I/(Real(1.0) - P_V_V))) >= splat(Real(0.999));
        return rises | crosses(x, k);  // a reset may leave it above the threshold
    }
    // rate at which the threshold is crossed
    static inline Real slope(const Real* x, const Real* k) {
        const Real I = x[0];
        const Real B = x[1];
        const Real tau_mem = k[0 * STRIDE];
        return Real(0.01)*(B*tau_mem - Real(100.0)*B + Real(100.0)*I + Real(-100.0))/tau_mem;
    }
    // lam <- r_x^T lam - g_x drive, with drive = (lam . (r_x f(x-) - f(x+)) - R + dl/dt) / slope
    static inline void jump(Real* lam, const Real* x, Real inverse_slope, Real R, Real dl_dt,
                            Real release, const Real* k, Real* gradient) {
        const Real lam_B = lam[2];
        const Real drive = (-R + dl_dt + Real(0.001)*lam_B + release) * inverse_slope;
        lam[0] = -drive;
        lam[2] = drive + lam_B;
    }
    // the same with V held
    static inline void advance_held(vf* x, const Real* k) {
        const vf V = x[0];
        const vf I = x[1];
        const vf B = x[2];
        const vf H_V_V = *vectors(k + 10 * STRIDE);
        const vf H_I_I = *vectors(k + 11 * STRIDE);
        const vf H_B_B = *vectors(k + 12 * STRIDE);
        x[0] = splat(H_V_V*V);
        x[1] = splat(H_I_I*I);
        x[2] = splat(B*H_B_B);
    }
    static inline void adjoint_held(vf* lam, const Real* k) {
        const vf lam_V = lam[0];
        const vf lam_I = lam[1];
        const vf lam_B = lam[2];
        const vf H_V_V = *vectors(k + 10 * STRIDE);
        const vf H_I_I = *vectors(k + 11 * STRIDE);
        const vf H_B_B = *vectors(k + 12 * STRIDE);
        lam[0] = splat(H_V_V*lam_V);
        lam[1] = splat(H_I_I*lam_I);
        lam[2] = splat(H_B_B*lam_B);
    }
    // lam . (f_held - f) where the refractory period ends
    static inline Real release(const Real* lam, const Real* x, const Real* k) {
        const Real V = x[0];
        const Real I = x[1];
        const Real lam_V = lam[0];
        const Real tau_mem = k[0 * STRIDE];
        return lam_V*(-I + V)/tau_mem;
    }
    // coefficients of one neuron from its parameters: tau_mem, tau_syn
    static void prepare(const double* value, Real* k) {
        const double tau_mem = value[0];
        const double tau_syn = value[1];
        k[0 * STRIDE] = Real(tau_mem);
        k[1 * STRIDE] = Real(tau_syn);
        {
            const double A[3][4] = {{-1.0/tau_mem, (1.0/(tau_mem)), 0.0, 0.0}, {0.0, -1.0/tau_syn, 0.0, 0.0}, {0.0, 0.0, -0.01, 0.0}};
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
            const double A[3][4] = {{-1.0/tau_mem, (1.0/(tau_mem)), 0.0, 0.0}, {0.0, -1.0/tau_syn, 0.0, 0.0}, {0.0, 0.0, -0.01, 0.0}};
            const double dA[3][4] = {{0.0, 0.0, 0.0, 0.0}, {0.0, (1.0/(tau_syn*tau_syn)), 0.0, 0.0}, {0.0, 0.0, 0.0, 0.0}};
            const Step<3> step(A, dA, DT, EULER);
            k[8 * STRIDE] = Real(step.dP[0][1]);
            k[9 * STRIDE] = Real(step.dP[1][1]);
        }
        {
            const double A[3][4] = {{0.0, 0.0, 0.0, 0.0}, {0.0, -1.0/tau_syn, 0.0, 0.0}, {0.0, 0.0, -0.01, 0.0}};
            const double dA[3][4] = {{0.0, 0.0, 0.0, 0.0}, {0.0, 0.0, 0.0, 0.0}, {0.0, 0.0, 0.0, 0.0}};
            const Step<3> step(A, dA, DT, EULER);
            k[10 * STRIDE] = Real(step.P[0][0]);
            k[11 * STRIDE] = Real(step.P[1][1]);
            k[12 * STRIDE] = Real(step.P[2][2]);
        }
        {
            const double A[3][4] = {{0.0, 0.0, 0.0, 0.0}, {0.0, -1.0/tau_syn, 0.0, 0.0}, {0.0, 0.0, -0.01, 0.0}};
            const double dA[3][4] = {{0.0, 0.0, 0.0, 0.0}, {0.0, (1.0/(tau_syn*tau_syn)), 0.0, 0.0}, {0.0, 0.0, 0.0, 0.0}};
            const Step<3> step(A, dA, DT, EULER);
            k[13 * STRIDE] = Real(step.dP[1][1]);
        }
    }
    // dL/dp of the flow: lam . (dP/dp x + du/dp)
    static inline void parameter_gradient(const vf* lam, const vf* x, vi held, const Real* k,
                                          vf* g) {
        const vf V = x[0];
        const vf I = x[1];
        const vf lam_V = lam[0];
        const vf lam_I = lam[1];
        const vf dP_tau_mem_V_V = *vectors(k + 6 * STRIDE);
        const vf dP_tau_mem_V_I = *vectors(k + 7 * STRIDE);
        const vf dP_tau_syn_V_I = *vectors(k + 8 * STRIDE);
        const vf dP_tau_syn_I_I = *vectors(k + 9 * STRIDE);
        const vf dH_tau_syn_I_I = *vectors(k + 13 * STRIDE);
        g[0] = held ? splat(Real(0.0)) : splat(I*dP_tau_mem_V_I*lam_V + V*dP_tau_mem_V_V*lam_V);
        g[1] = held ? splat(I*dH_tau_syn_I_I*lam_I) : splat(I*dP_tau_syn_I_I*lam_I + I*dP_tau_syn_V_I*lam_V);
    }
    static Real lowest(int p) {
        const double value[] = {3.0, 1.0};
        return Real(value[p]);
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
    static constexpr bool TRAINS_PARAMETERS = true;
    // population, population below, rows of weights, steps, recurrent, trained: forward, recurrent
    using Layer0 = LayerSpec<Hidden, void, 700, 1400, false, true, false>;
    using Layer1 = LayerSpec<Output, Hidden, Shape<Hidden::SIZE>::width, 1400, false, true, false>;
    using Layers = std::tuple<Layer0, Layer1>;
    using Loss = Maximum<Layer1, Formula>;
};

}  // namespace snn

#pragma GCC visibility push(default)
SNN_EXPORT(snn::Program)
#pragma GCC visibility pop
