// job.hpp: what one call of a program does, and the state of the processor while it does it.
#pragma once
#include "events.hpp"

namespace snn {

constexpr int SLOTS = 16;

// What one call does.
#define SNN_JOB(F)                                                                                 \
    F(const Data*, data)                                                                           \
    F(const int64_t*, examples) /* [count] in order */                                             \
    F(int64_t, count)                                                                              \
    F(int32_t, batch)                                                                              \
    F(int32_t, train)                                                                              \
    F(const double*, rates) /* [batches] learning rates */                                         \
    F(double, beta1)                                                                               \
    F(double, beta2)                                                                               \
    F(double, epsilon)                                                                             \
    F(double, delay_rate) /* learning rate of delays, ms */                                        \
    F(int64_t, updates) /* Adam steps before this call */                                          \
    F(double, dropout)                                                                             \
    F(uint64_t, key)           /* of the random numbers */                                         \
    F(int64_t, in_network)     /* noise and spike dropout of hidden neurons act too */             \
    F(double, delay_width)     /* steps to each side over which delayed spikes are spread */       \
    F(double*, loss)           /* [count] */                                                       \
    F(int32_t*, prediction)    /* [count] */                                                       \
    F(int32_t*, layer_spikes)  /* [count][layers] */                                               \
    F(int64_t*, neuron_spikes) /* [all neurons of all layers] added to */                          \
    F(int64_t*, activations)   /* [2][late_steps + 1][channels if they count, neurons], or null */ \
    F(int64_t, late_steps)     /* last steps of a trial, whose activations stand apart */          \
    F(int64_t, counts_inputs)  /* activations of the channels too */                               \
    F(int64_t, failed_batch)   /* out: -1, or the first with values not finite or too large */     \
    F(int32_t, failed_tensor)  /* out: which tensor; -1: the loss */
SNN_STRUCT(Job, SNN_JOB)

// Tiny numbers count as 0 while a Real is a float: they are slow, and below every tolerance.
class FlushDenormals {
  public:
    FlushDenormals() {
#if defined(__SSE2__)
        saved_ = _mm_getcsr();
        if (sizeof(Real) == 4) _mm_setcsr(saved_ | 0x8040);
#endif
    }
    ~FlushDenormals() {
#if defined(__SSE2__)
        _mm_setcsr(saved_);
#endif
    }

  private:
    unsigned saved_ = 0;
};

}  // namespace snn
