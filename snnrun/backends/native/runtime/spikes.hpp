// spikes.hpp: the spikes of a layer in one example, and what neurons do on their threshold.
#pragma once
#include <vector>

#include "table.hpp"

namespace snn {

// Spikes of a strand of neurons in one example, in order of time and then of neuron. A neuron that
// spikes several times in a step stands there as often.
template <class L> struct Spikes {
    using Neuron = std::conditional_t<L::STRAND <= 65536, uint16_t, uint32_t>;
    std::vector<uint32_t> start;  // spikes of step n: start[n] .. start[n + 1]
    std::vector<uint32_t> part_start;  // of part p in step n, from [n PARTS + p] to the next; TILED
    Buffer<Neuron> neuron;        // within the strand
    Buffer<Real> state;           // [record][spike] states at the spike
    Buffer<Real> released;        // [state][spike] states at the end of the refractory period
    Buffer<Real> inverse_slope, from_targets, time_gradient;
    Buffer<uint8_t> postponed;        // [spike] it came steps after the crossing
    std::vector<uint32_t> by_neuron;  // spikes of neuron i: by_neuron[i] .. by_neuron[i + 1]
    std::vector<uint32_t> next;       // while they are sorted
    Buffer<uint16_t> step;            // of each spike, by neuron
    static constexpr size_t CAPACITY =
        size_t(L::STEPS) * L::STRAND * L::Model::MOST_SPIKES;

    void allocate() {
        start.assign(L::STEPS + 1, 0), by_neuron.assign(L::STRAND + 1, 0);
        if (L::TILED) part_start.assign(size_t(L::STEPS) * Table<L>::PARTS + 1, 0);
        neuron.allocate(CAPACITY + 64), step.allocate(CAPACITY);
        state.allocate(CAPACITY * L::Model::RECORDS);
        inverse_slope.allocate(CAPACITY), from_targets.allocate(CAPACITY);
        if (L::Model::DROPS_SPIKES) postponed.allocate(CAPACITY);
        if (L::Model::TIMED) time_gradient.allocate(CAPACITY);
        if (L::Model::REFRACTORY) released.allocate(CAPACITY * L::Model::STATES);
    }
    uint32_t count() const { return start[L::STEPS]; }
    // f(neuron within block b) for the spikes of step n, these being of the strand of the block
    template <class F> void each_of_block(int b, int n, F f) const {
        const int before = b * L::BW % L::STRAND;
        for (uint32_t e = start[n]; e < start[n + 1]; e++)
            if (const int i = neuron[e] - before; L::STRAND == L::BW || (0 <= i && i < L::BW)) f(i);
    }
    void rest_from(int n) {  // no spike in step n and after it
        std::fill(start.begin() + n + 1, start.end(), start[n]);
        if (L::TILED)
            std::fill(part_start.begin() + size_t(n) * Table<L>::PARTS, part_start.end(), start[n]);
    }

    // Adds how often each of the `size` neurons has spiked.
    void count_into(int64_t* total, int size, bool sorted) const {
        if (sorted)
            for (int i = 0; i < size; i++) total[i] += by_neuron[i + 1] - by_neuron[i];
        else
            for (uint32_t e = 0; e < count(); e++) total[neuron[e]]++;
    }

    void sort_by_neuron() {
        std::fill(by_neuron.begin(), by_neuron.end(), 0);
        for (uint32_t e = 0; e < count(); e++) by_neuron[neuron[e] + 1]++;
        for (int i = 0; i < L::STRAND; i++) by_neuron[i + 1] += by_neuron[i];
        next.assign(by_neuron.begin(), by_neuron.end());
        for (int n = 0; n < L::STEPS; n++)
            for (uint32_t e = start[n]; e < start[n + 1]; e++)
                step[next[neuron[e]]++] = uint16_t(n);
    }
};

// Where neurons of a strand crossed the threshold and were kept from spiking, in order of time.
template <class L> struct Crossings {
    static constexpr size_t CAPACITY = Spikes<L>::CAPACITY;
    std::vector<uint32_t> start;  // crossings of step n: start[n] .. start[n + 1]
    Buffer<typename Spikes<L>::Neuron> neuron;  // within the strand
    Buffer<Real> state;           // [record][crossing] states on the threshold
    Buffer<Real> pending;         // [STRAND] drive of the postponed spike that the crossing led to

    void allocate() {
        start.assign(L::STEPS + 1, 0);
        neuron.allocate(CAPACITY + 64), state.allocate(CAPACITY * L::Model::RECORDS);
        pending.allocate(L::STRAND);
    }
};

// Vectors that are kept of neurons on their threshold: states, and where it may be more than one,
// the number of spikes.
template <class L> constexpr int KEPT = L::Model::RECORDS + L::Model::COUNTED;

// The neurons of a vector that do something on their threshold in a step, as bits.
struct OnThreshold {
    uint32_t spiking;
    uint32_t late = 0;     // spike steps after they crossed it, as they were kept from spiking
    uint32_t crossed = 0;  // cross it, and are kept from spiking
};

// What the neurons of a block do on their threshold in a step.
template <class L> class OfBlock {
  public:
    static constexpr bool keeps() { return true; }
    // Enters vector x of block b; `kept`: what the way back needs, [KEPT].
    void enter(int, int x, OnThreshold which, const vf* kept) {
        const int shift = x * LANES % 64, word = x * LANES / 64;
        spiking_[word] |= uint64_t(which.spiking) << shift;
        late_[word] |= uint64_t(which.late) << shift;
        crossed_[word] |= uint64_t(which.crossed) << shift;
        for (int r = 0; r < KEPT<L>; r++) kept_[r][x] = kept[r];
    }
    // f(neuron, whether it is late, what is kept of it by number) in order of the neurons
    template <class F> void each_spiking(F f) const { each(spiking_, f); }
    template <class F> void each_crossed(F f) const { each(crossed_, f); }
    // How many spike of the SIZE neurons of part p.
    template <int SIZE> uint32_t spiking(int p) const {
        const uint64_t word = spiking_[p * SIZE / 64] >> p * SIZE % 64;
        return __builtin_popcountll(SIZE == 64 ? word : word & ((1ull << SIZE % 64) - 1));
    }

  private:
    static constexpr int WORDS = (L::BW + 63) / 64;
    template <class F> void each(const uint64_t* set, F f) const {
        for (int q = 0; q < WORDS; q++)
            for (uint64_t h = set[q]; h; h &= h - 1) {
                const int bit = __builtin_ctzll(h), i = q * 64 + bit;
                f(i, late_[q] >> bit & 1,
                  [&](int r) { return reinterpret_cast<const Real*>(kept_[r])[i]; });
            }
    }
    uint64_t spiking_[WORDS] = {}, late_[WORDS] = {}, crossed_[WORDS] = {};
    vf kept_[KEPT<L> + 1][L::B];
};

// The same of a layer, not DIRECT. Only vectors in which something happens are
// listed, without a branch that the processor would have to guess.
template <class L> class OfLayer {
  public:
    struct Vector {
        vf kept[KEPT<L> + 1];
        uint64_t spiking;  // lanes; 2^32 x the number of the vector; in one store, as all are made
        uint32_t late, crossed;
    };
    static constexpr size_t MOST = L::WIDTH / LANES + 1;
    OfLayer(Vector* at, bool trained) : trained_(trained), first_(at), end_(at) {}
    // Whether a way back follows that reads what is kept; asked where all arrive by lists, as in
    // large layers.
    bool keeps() const { return trained_ || !L::ARRIVED || L::Model::COUNTED; }
    void enter(int b, int x, OnThreshold which, const vf* kept) {
        for (int r = 0; keeps() && r < KEPT<L>; r++) end_->kept[r] = kept[r];
        end_->spiking = which.spiking | uint64_t(b * L::B + x) << 32;
        if constexpr (DROPS) end_->late = which.late, end_->crossed = which.crossed;
        end_ += (which.spiking | which.crossed) != 0;
    }
    template <class F> void each_spiking(F f) const {
        for (const Vector* at = first_; at < end_; at++) each(*at, uint32_t(at->spiking), f);
    }
    template <class F> void each_crossed(F f) const {
        for (const Vector* at = first_; at < end_; at++) each(*at, at->crossed, f);
    }

  private:
    static constexpr bool DROPS = L::Model::DROPS_SPIKES;
    template <class F> static void each(const Vector& at, uint32_t set, F f) {
        for (; set; set &= set - 1) {
            const int lane = __builtin_ctz(set);
            f(int(at.spiking >> 32) * LANES + lane, DROPS && (at.late >> lane & 1),
              [&](int r) { return at.kept[r][lane]; });
        }
    }
    const bool trained_;
    Vector *const first_, *end_;
};

}  // namespace snn
