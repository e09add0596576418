// ranks.hpp: mini-batches that several processes share (MPI); each runs some of the examples.
//
// The sum of gradients goes from rank to rank, stage by stage: each rank adds what its examples
// give to the sum of those before. So it is the sum of one process, in the order of one process,
// with the same bits. Of each stage the last rank sends the total to all, while later stages are
// still under way; where a stage is gathered when its turn comes (deferred.hpp), a rank gathers
// one while others travel.
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
    struct Range { size_t from, to; };  // in Reals
    static constexpr size_t STAGE = (size_t(64) << 10) / sizeof(Real);

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

    Real* sum(int tensor) { return sum_.data() + offsets_[tensor]; }
    const Real* total(int tensor) const { return total_.data() + offsets_[tensor]; }
    size_t offset(int tensor) const { return offsets_[tensor]; }
    bool any_bad() const { return total_[size_] != 0; }

    // One stage, of these ranges; called by every thread t. `add` adds this thread's share of what
    // this rank gives, and returns when all have. The first stage begins with all threads here.
    template <class Add>
    void stage(int t, const Ranks& ranks, Pool& pool, const std::vector<Range>& parts, Add add) {
        const auto bytes = [](const Range& r) { return (r.to - r.from) * sizeof(Real); };
        if (t == 0 && ranks.rank > 0)
            for (const Range& r : parts) ranks.ask(BEFORE, sum_.data() + r.from, bytes(r));
        pool.barrier.wait();
        add();
        pool.barrier.wait();
        for (const Range& r : parts) {
            if (t != 0) break;
            Real *sum = sum_.data() + r.from, *total = total_.data() + r.from;
            if (ranks.last()) std::memcpy(total, sum, bytes(r));
            ranks.ask(AFTER, sum, bytes(r), total);
        }
    }

    // All stages, of the gradients of this rank's slots.
    template <class Gradients>
    void of_slots(int t, const Ranks& ranks, Pool& pool, const Slots& slots, Gradients& gradients,
                  bool good) {
        for (size_t from = 0; from == 0 || from < size_; from += STAGE) {
            const size_t to = std::min(from + STAGE, size_);
            const bool ends = to == size_;
            stage(t, ranks, pool, {{from, to + (ends ? LANES : 0)}}, [&] {
                if (ends && t == 0) add_flag(ranks, good);
                const size_t n = (to - from) / LANES, T = pool.count();
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
            });
        }
        finish(t, ranks, pool);
    }

    // The stage that says whether all losses are finite, after those of gradients.
    void say(int t, const Ranks& ranks, Pool& pool, bool good) {
        stage(t, ranks, pool, {{size_, size_ + LANES}}, [&] {
            if (t == 0) add_flag(ranks, good);
        });
        finish(t, ranks, pool);
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
        const Real* slots[SLOTS];
        for (int s = 0; s < count; s++) slots[s] = array(first + s);
        for (size_t i = low; i < high; i += LANES) {
            vf& sum = *vectors(sum_.data() + i);
            vf g = first > 0 ? sum : *vectors(slots[0] + i - begin);
            for (int s = first > 0 ? 0 : 1; s < count; s++) g += *vectors(slots[s] + i - begin);
            sum = g;
        }
    }
    void finish(int t, const Ranks& ranks, Pool& pool) {
        if (t == 0) ranks.ask(TOTAL);
        pool.barrier.wait();
    }

    std::vector<size_t> offsets_;  // of each tensor
    size_t size_ = 0;
    Buffer<Real> sum_, total_;  // of the ranks up to this one; of all
};

}  // namespace snn
