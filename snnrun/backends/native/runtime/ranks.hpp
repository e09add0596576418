// ranks.hpp: mini-batches that several processes share (MPI); each runs some of the examples.
//
// The sum of gradients goes from rank to rank, stage by stage: each rank adds its slots to the sum
// of those before. So it is the sum of one process, in its order, with the same bits. Of each stage
// the last rank sends the total to all, while later stages are still under way.
#pragma once
#include "pool.hpp"
#include "slots.hpp"

namespace snn {

// The gradient of a mini-batch, of all tensors that are trained, one after the other; and how many
// ranks have seen losses that are not finite.
template <class P> class SumOverRanks : Walk<P> {
    using Walk<P>::each_tensor;
    using AllTensors = typename Map<Tensors, typename P::Layers>::type;

  public:

    void allocate(const AllTensors& like) {
        if (size_) return;
        each_tensor([&](auto layer, auto number, int, auto) {
            constexpr bool TRAINED =
                Kind<std::tuple_element_t<layer(), typename P::Layers>, number()>::TRAINED;
            offsets_.push_back(size_);
            if (TRAINED) size_ += std::get<layer()>(like).arrays[number()].size();
        });
        sum_.allocate(size_ + LANES), total_.allocate(size_ + LANES);
        sum_.zero(), total_.zero();
    }

    const Real* total(int tensor) const { return total_.data() + offsets_[tensor]; }
    bool any_bad() const { return total_[size_] != 0; }

    // Leaves the total of the gradients of all slots, of which these are this rank's; called by
    // every thread t, after a barrier.
    template <class Gradients>
    void of_slots(int t, const Ranks& ranks, Pool& pool, const Slots& slots, Gradients& gradients,
                  bool good) {
        // so many that all ranks soon have something to do, and not more: each is a message
        constexpr size_t LEAST = (size_t(64) << 10) / sizeof(Real), MOST_STAGES = 64;
        const size_t stages = std::min<size_t>(MOST_STAGES, 4 * (ranks.ranks - 1) + 1);
        const size_t stage = std::max(LEAST, size_ / stages / LANES * LANES + LANES);
        for (size_t from = 0; from == 0 || from < size_; from += stage) {
            const size_t end = std::min(from + stage, size_);
            Real *sum = sum_.data() + from, *total = total_.data() + from;
            const size_t bytes = (end - from + (end == size_ ? LANES : 0)) * sizeof(Real);
            if (t == 0 && ranks.rank > 0) ranks.ask(BEFORE, sum, bytes);
            pool.barrier.wait();
            if (end == size_ && t == 0) add_flag(ranks, good);
            const size_t n = (end - from) / LANES, T = pool.count();
            const size_t low = from + n * t / T * LANES, high = from + n * (t + 1) / T * LANES;
            each_tensor([&](auto layer, auto number, int at, auto) {
                if constexpr (Kind<std::tuple_element_t<layer(), typename P::Layers>,
                                   number()>::TRAINED) {
                    const auto array = [&](int s) {
                        return std::get<layer()>(gradients[s]).arrays[number()].data();
                    };
                    add_slots(array, offsets_[at], end_of(at), low, high, slots);
                }
            });
            pool.barrier.wait();
            if (t == 0 && ranks.last()) std::memcpy(total, sum, bytes);
            if (t == 0) ranks.ask(AFTER, sum, bytes, total);
        }
        if (t == 0) ranks.ask(TOTAL);
        pool.barrier.wait();
    }

  private:
    size_t end_of(int tensor) const {
        return size_t(tensor) + 1 < offsets_.size() ? offsets_[tensor + 1] : size_;
    }
    void add_flag(const Ranks& ranks, bool good) {
        Real* flag = sum_.data() + size_;
        if (ranks.rank == 0) std::fill_n(flag, LANES, Real(0));
        flag[0] += Real(!good);
    }
    template <class Array>
    void add_slots(Array array, size_t begin, size_t end, size_t low, size_t high,
                   const Slots& own) {
        const int first = own.begin, count = own.end - own.begin;
        low = std::max(low, begin), high = std::min(high, end);
        if (low >= high || count == 0) return;
        const Real* slots[MOST_SLOTS];
        for (int s = 0; s < count; s++) slots[s] = array(first + s);
        for (size_t i = low; i < high; i += LANES) {
            vf& sum = *vectors(sum_.data() + i);
            vf g = first > 0 ? sum : *vectors(slots[0] + i - begin);
            for (int s = first > 0 ? 0 : 1; s < count; s++) g += *vectors(slots[s] + i - begin);
            sum = g;
        }
    }

    std::vector<size_t> offsets_;  // of each tensor
    size_t size_ = 0;
    Buffer<Real> sum_, total_;  // of the ranks up to this one; of all
};

}  // namespace snn
