// online_job.hpp: what one call of a program with an online rule does.
#pragma once
#include "events.hpp"
#include "job.hpp"

namespace snn {

#define SNN_ONLINE_JOB(F)                                                                          \
    F(const Data*, data)                                                                           \
    F(const int64_t*, examples) /* [count] in order */                                             \
    F(int64_t, count)                                                                              \
    F(const double*, rates)    /* [count] step sizes r0 */                                         \
    F(int64_t, clock)          /* steps of learning before this call */                            \
    F(int32_t, stop)           /* steps of a trial to run: all of them, but in tests */            \
    F(int32_t, learn)          /* 0: frozen weights */                                             \
    F(int32_t, trace)          /* 1: keep every state of the last trial */                         \
    F(double*, error)          /* [count] running mean of the squared error, over outputs */       \
    F(double*, square)         /* [count] sum over steps of the squared error, over outputs */     \
    F(int32_t*, layer_spikes)  /* [count][layers] */                                               \
    F(int64_t*, neuron_spikes) /* [all neurons of all layers] added to */                          \
    F(int64_t, failed)         /* out: -1, or the trial in which a gradient was not finite */
SNN_STRUCT(OnlineJob, SNN_ONLINE_JOB)

// An array that is carried from one trial to the next: [rows][size], rows `stride` apart.
struct Field {
    enum Kind { REAL, DOUBLE, INT } kind;
    void* data;
    int rows, size;
    size_t stride;
    bool resets;  // to 0 at the start of a trial, where trials begin from rest

    double get(size_t i) const {
        return kind == REAL     ? double(static_cast<Real*>(data)[i])
               : kind == DOUBLE ? static_cast<double*>(data)[i]
                                : double(static_cast<Int*>(data)[i]);
    }
    void put(size_t i, double value) {
        if (kind == REAL) static_cast<Real*>(data)[i] = Real(value);
        else if (kind == DOUBLE) static_cast<double*>(data)[i] = value;
        else static_cast<Int*>(data)[i] = Int(value);
    }
    void copy(bool set, double* plain) {
        for (int r = 0; r < rows; r++)
            for (int i = 0; i < size; i++) {
                double& there = plain[size_t(r) * size + i];
                if (set) put(r * stride + i, there);
                else there = get(r * stride + i);
            }
    }
    void zero() {
        for (int r = 0; r < rows; r++)
            for (int i = 0; i < size; i++) put(r * stride + i, 0.0);
    }
};

}  // namespace snn
