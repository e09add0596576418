// events.hpp: the input spikes of an example, in the two orders that the two passes need.
#pragma once
#include <vector>

#include "interface.hpp"
#include "memory.hpp"

namespace snn {

// The examples of a data set. Pointers are relative to the example's first event.
#define SNN_DATA(F)                                                                                \
    F(int32_t, steps)                                                                              \
    F(int32_t, channels)                                                                           \
    F(const int64_t*, offsets)           /* [examples + 1] */                                      \
    F(const uint32_t*, step_pointers)    /* [examples][steps + 1] */                               \
    F(const uint16_t*, channel_by_step)  /* [events] by (step, channel) */                         \
    F(const uint32_t*, channel_pointers) /* [examples][channels + 1] */                            \
    F(const uint16_t*, step_by_channel)  /* [events] by (channel, step) */                         \
    F(const int32_t*, labels)            /* [examples] */                                          \
    F(const int64_t*, target_offsets)    /* [examples + 1] into the next two; null: no targets */  \
    F(const uint16_t*, target_step)      /* steps in which outputs should spike, rising */         \
    F(const uint16_t*, target_neuron)    /* and which of them */                                  \
    F(const float*, courses)             /* [..][steps][outputs] targets, or null */               \
    F(const int64_t*, course_rows)       /* [examples] which of them */
SNN_STRUCT(Data, SNN_DATA)

struct Events {
    const uint32_t* step_start;     // events of step n: step_start[n] .. step_start[n + 1]
    const uint16_t* channel;
    const uint32_t* channel_start;  // the same events by channel
    const uint16_t* step;

    static Events of(const Data& d, int64_t e) {
        return {d.step_pointers + e * (d.steps + 1), d.channel_by_step + d.offsets[e],
                d.channel_pointers + e * (d.channels + 1), d.step_by_channel + d.offsets[e]};
    }
};

// Mixes 64 bits; the finaliser of SplitMix64 (Steele, Lea & Flood 2014).
static inline uint64_t mix(uint64_t x) {
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

// Input spikes are dropped with a probability; both orders must lose the same ones, so the decision
// is a hash of (example's key, channel, step) and no draw from a sequence.
class Dropout {
  public:
    static uint32_t limit(double probability) { return uint32_t(probability * 4294967295.0); }

    Events filter(const Events& in, int steps, int channels, uint64_t key, uint32_t limit) {
        const uint32_t low = uint32_t(key), high = uint32_t(key >> 32),
                       total = in.step_start[steps];
        channel_.resize(total + 1), step_.resize(total + 1);
        step_start_.resize(steps + 1), channel_start_.resize(channels + 1);
        thin(
            in.step_start, in.channel, steps, step_start_.data(), channel_.data(),
            [=](uint32_t step, uint32_t channel) { return keep(low, high, channel, step, limit); });
        thin(
            in.channel_start, in.step, channels, channel_start_.data(), step_.data(),
            [=](uint32_t channel, uint32_t step) { return keep(low, high, channel, step, limit); });
        return {step_start_.data(), channel_.data(), channel_start_.data(), step_.data()};
    }

  private:
    static bool keep(uint32_t low, uint32_t high, uint32_t channel, uint32_t step, uint32_t limit) {
        uint32_t h = ((channel << 16 | step) ^ low) * 0x85ebca6bu;
        h = (h ^ (h >> 15) ^ high) * 0xc2b2ae35u;
        h = (h ^ (h >> 13)) * 0x27d4eb2fu;
        return (h ^ (h >> 16)) >= limit;
    }
    template <class Keep>
    static void thin(const uint32_t* start, const uint16_t* item, int groups, uint32_t* new_start,
                     uint16_t* kept, Keep keep) {
        uint32_t n = 0;
        for (int g = 0; g < groups; g++) {
            new_start[g] = n;
            for (uint32_t e = start[g]; e < start[g + 1]; e++) {
                kept[n] = item[e];
                n += keep(g, item[e]);
            }
        }
        new_start[groups] = n;
    }
    std::vector<uint32_t> step_start_, channel_start_;
    std::vector<uint16_t> channel_, step_;
};

}  // namespace snn
