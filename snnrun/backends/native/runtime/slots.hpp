// slots.hpp: the shares of a mini-batch that have gradients of their own, whoever walks them.
#pragma once
#include <algorithm>
#include <cmath>
#include <memory>

#include "job.hpp"
#include "layer.hpp"

namespace snn {

struct Slots {
    int64_t size;  // examples of all ranks
    int count;
    int begin, end;  // those of this rank
    // `large`: layers are so large that more examples share a slot, but not more than that.
    Slots(int64_t examples, const Ranks& ranks, bool large) :
        size(examples), count(most(examples, large)), begin(int(ranks.first_of(count))),
        end(int(ranks.end_of(count))) {}
    static int most(int64_t examples, bool large) {
        if (!large) return int(std::min<int64_t>(SLOTS, examples));
        return int(std::min<int64_t>(MOST_SLOTS, std::max<int64_t>(1, examples / 8)));
    }
    int64_t first(int slot) const { return size * slot / count; }  // example
    int of(int64_t example) const { return int(((example + 1) * count - 1) / size); }
    int largest() const { return int((size + count - 1) / count); }
    int own() const { return end - begin; }
};

// How threads share the examples of a mini-batch that is learned, of which up to `together` are
// walked at once. Each takes some slots, walks their trials and gathers their gradients; or, where
// that lets threads wait, trials are walked APART by whoever is free, and when all of a wave are
// done, their gradients are gathered in pieces of each slot. A wave has some trials of each slot,
// of all at least two for each thread.
struct Sharing {
    int slots = 1;   // at a time
    int trials = 0;  // APART: at a time
    int wave = 0;    // of each slot
    int pieces = 0;  // of each slot

    Sharing(const Slots& of, int together, int threads, bool may_be_apart) {
        const double own = of.own(), largest = of.largest();
        // of a slot, where each thread has several
        const double mean = own >= threads ? double(of.size) / of.count : largest;
        // what trials that are walked at once share takes as long as two of them
        const auto time_of = [&](double trials) {
            return together > 1 ? trials + 2 * std::ceil(trials / together) : trials;
        };
        const auto rounds = [&](double units) { return std::ceil(units / threads); };
        double least = 1e300;
        for (int n = 1; n == 1 || n * largest <= together; n++) {
            const double time = rounds(std::ceil(own / n)) * time_of(n * mean);
            if (time < least) slots = n, least = time;
        }
        if (!may_be_apart || own == 0) return;
        least *= 0.8;  // tables are read again later, and threads wait for each other
        pieces = int(std::ceil(2 * threads / own));
        for (int n = 1; n <= together; n++) {
            const double of_slot = std::min(largest, std::ceil(std::max(2, n) * threads / own));
            const double waves = std::ceil(largest / of_slot);
            const double time = waves * rounds(std::ceil(own * mean / waves / n)) * time_of(n);
            if (time < least) trials = n, wave = int(of_slot), least = time;
        }
    }
    bool apart() const { return trials > 0; }
};

// Their gradients, once they are needed.
template <class P> class SlotGradients : Walk<P> {
    using Layers = typename P::Layers;
    using AllTensors = typename Map<Tensors, Layers>::type;

  public:
    void allocate(int slot, const typename Map<Declared, Layers>::type& declared) {
        if (slots_[slot]) return;
        slots_[slot] = std::make_unique<AllTensors>();
        Walk<P>::each_layer([&](auto l) {
            std::get<l()>(*slots_[slot]).allocate_trained(std::get<l()>(declared).lists);
        });
    }
    AllTensors& operator[](int slot) { return *slots_[slot]; }

  private:
    std::unique_ptr<AllTensors> slots_[MOST_SLOTS];
};

}  // namespace snn
