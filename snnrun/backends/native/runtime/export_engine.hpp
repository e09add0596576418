// export_engine.hpp: the part of the C interface that all programs have; see CompiledProgram in
// library.py.
#pragma once
#include <cstdint>
#include <exception>

#include "vector.hpp"

#define SNN_EXPORT_ENGINE(...)                                                                     \
    using E = __VA_ARGS__;                                                                         \
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
    void snn_copy(void* e, int index, int which, int set, snn::Real* plain) {                      \
        static_cast<E*>(e)->copy(index, which, set, plain);                                        \
    }                                                                                              \
    int64_t snn_spikes(void* e, int layer, int32_t* step, int32_t* neuron) {                       \
        return static_cast<E*>(e)->spikes(layer, step, neuron);                                    \
    }                                                                                              \
    }
