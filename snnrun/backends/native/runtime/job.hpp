// job.hpp: what one call of a program does, and the state of the processor while it does it.
#pragma once
#include "events.hpp"

namespace snn {

constexpr int SLOTS = 16;

// What one call does; mirrored by the ctypes structure in backends/native/library.py.
struct Job {
    const Data* data;
    const int64_t* examples;  // [count] in order
    int64_t count;
    int32_t batch, train;
    const double* rates;  // [batches] learning rates
    double beta1, beta2, epsilon;
    int64_t updates;  // Adam steps before this call
    double dropout;
    uint64_t dropout_key;
    int64_t disturbed;  // noise and vetoes of hidden neurons, drawn by dropout_key
    double* loss;            // [count]
    int32_t* prediction;     // [count]
    int32_t* layer_spikes;   // [count][layers]
    int64_t* neuron_spikes;  // [all neurons of all layers] added to
    int64_t failed_batch;    // out: -1, or the batch with values that are not finite or too large
    int32_t failed_tensor;   // out: which tensor; -1: the loss
};

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
