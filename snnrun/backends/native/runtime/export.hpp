// export.hpp: the C interface of a generated program, which library.py calls.
#pragma once
#include "engine.hpp"

#define SNN_EXPORT(PROGRAM)                                                                        \
    using E = snn::Engine<PROGRAM>;                                                                \
    extern "C" {                                                                                   \
    int snn_real_bytes() { return sizeof(snn::Real); }                                             \
    int snn_lanes() { return snn::LANES; }                                                         \
    void* snn_create(int threads) {                                                                \
        try {                                                                                      \
            return new E(threads);                                                                 \
        } catch (const std::exception&) {                                                          \
            return nullptr;                                                                        \
        }                                                                                          \
    }                                                                                              \
    void snn_destroy(void* e) { delete static_cast<E*>(e); }                                       \
    void snn_run(void* e, snn::Job* job) { static_cast<E*>(e)->run(*job); }                        \
    void snn_gradient(void* e, snn::Job* job) { static_cast<E*>(e)->gradient(*job); }              \
    void snn_trial(void* e, snn::Job* job) { static_cast<E*>(e)->trial(*job); }                    \
    int snn_copy(void* e, int index, int which, int set, snn::Real* plain) {                       \
        return static_cast<E*>(e)->copy(index, which, set, plain);                                 \
    }                                                                                              \
    int64_t snn_spikes(void* e, int layer, int32_t* step, int32_t* neuron) {                       \
        return static_cast<E*>(e)->spikes(layer, step, neuron);                                    \
    }                                                                                              \
    void snn_emitted(void* e, int32_t* step, int32_t* neuron) {                                    \
        static_cast<E*>(e)->emitted(step, neuron);                                                 \
    }                                                                                              \
    void snn_trace(void* e, int layer, int state, snn::Real* out) {                                \
        static_cast<E*>(e)->trace(layer, state, out);                                              \
    }                                                                                              \
    }
