// slots.hpp: the shares of a mini-batch that have gradients of their own, whoever walks them.
#pragma once
#include <algorithm>
#include <memory>

#include "job.hpp"
#include "layer.hpp"

namespace snn {

struct Slots {
    int64_t size;  // examples of all ranks
    int count;
    int begin, end;  // those of this rank
    Slots(int64_t examples, const Ranks& ranks) :
        size(examples), count(int(std::min<int64_t>(SLOTS, examples))),
        begin(int(ranks.first_of(count))), end(int(ranks.end_of(count))) {}
    int64_t first(int slot) const { return size * slot / count; }  // example
    int of(int64_t example) const { return int(((example + 1) * count - 1) / size); }
    // How many slots a thread takes at a time: so many that up to `together` examples are walked at
    // once, if that does not let threads wait. What they share takes as long as two of them.
    int at_a_time(int together, int threads) const {
        const int64_t largest = (size + count - 1) / count;
        int best = 1;
        int64_t least = INT64_MAX;
        for (int slots = 1; slots == 1 || slots * largest <= together; slots++) {
            const int64_t units = (end - begin + slots - 1) / slots;
            const int64_t time = (units + threads - 1) / threads * (slots * largest + 2);
            if (time < least) best = slots, least = time;
        }
        return best;
    }
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
    std::unique_ptr<AllTensors> slots_[SLOTS];
};

}  // namespace snn
