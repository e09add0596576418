// export.hpp: the C interface of a generated program, which library.py calls.
#pragma once
#include "engine.hpp"
#include "export_engine.hpp"

#define SNN_EXPORT(PROGRAM)                                                                        \
    SNN_EXPORT_ENGINE(PROGRAM, snn::Engine<PROGRAM>)                                               \
    extern "C" {                                                                                   \
    const char* snn_run(void* e, snn::Job* job) {                                                  \
        return snn::attempt([&] { static_cast<E*>(e)->run(*job); });                               \
    }                                                                                              \
    const char* snn_gradient(void* e, snn::Job* job) {                                             \
        return snn::attempt([&] { static_cast<E*>(e)->gradient(*job); });                          \
    }                                                                                              \
    int snn_parts(int batch) { return E::parts(batch); }                                           \
    const char* snn_trial(void* e, snn::Job* job) {                                                \
        return snn::attempt([&] { static_cast<E*>(e)->trial(*job); });                             \
    }                                                                                              \
    void snn_emitted(void* e, int32_t* step, int32_t* neuron) {                                    \
        static_cast<E*>(e)->emitted(step, neuron);                                                 \
    }                                                                                              \
    void snn_trace(void* e, int layer, int state, snn::Real* out) {                                \
        static_cast<E*>(e)->trace(layer, state, out);                                              \
    }                                                                                              \
    }
