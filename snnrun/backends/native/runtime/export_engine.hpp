// export_engine.hpp: the part of the C interface that all programs have; see CompiledProgram in
// library.py.
#pragma once
#include <cstdint>
#include <cstdio>
#include <exception>
#include <new>
#include <string>
#include <system_error>

#include "vector.hpp"

namespace snn {

// Carries out a call. Returns nullptr, or what went wrong: "memory", "threads", or the text of the
// error, which holds until the thread's next call.
template <class F> const char* attempt(F f) {
    static thread_local char said[256];
    try {
        f();
        return nullptr;
    } catch (const std::bad_alloc&) {
        return "memory";
    } catch (const std::system_error&) {
        return "threads";
    } catch (const std::exception& error) {
        std::snprintf(said, sizeof said, "%s", error.what());
    } catch (...) {
        std::snprintf(said, sizeof said, "an exception of an unknown kind");
    }
    return said;
}

}  // namespace snn

#define SNN_EXPORT_ENGINE(PROGRAM, ...)                                                            \
    using E = __VA_ARGS__;                                                                         \
    extern "C" {                                                                                   \
    int snn_real_bytes() { return sizeof(snn::Real); }                                             \
    int snn_lanes() { return snn::LANES; }                                                         \
    const char* snn_interface(void* e) {                                                           \
        static thread_local std::string text;                                                      \
        text = static_cast<E*>(e)->interface();                                                    \
        return text.c_str();                                                                       \
    }                                                                                              \
    const char* snn_numbers() { return PROGRAM::NUMBERS; }                                         \
    const char* snn_create(int threads, const double* numbers, const snn::Connected* connected,    \
                           void** engine) {                                                        \
        return snn::attempt([&] { *engine = new E(threads, numbers, connected); });                \
    }                                                                                              \
    void snn_destroy(void* e) { delete static_cast<E*>(e); }                                       \
    void snn_copy(void* e, int index, int which, int set, snn::Real* plain) {                      \
        static_cast<E*>(e)->copy(index, which, set, plain);                                        \
    }                                                                                              \
    int64_t snn_spikes(void* e, int layer, int32_t* step, int32_t* neuron) {                       \
        return static_cast<E*>(e)->spikes(layer, step, neuron);                                    \
    }                                                                                              \
    }
