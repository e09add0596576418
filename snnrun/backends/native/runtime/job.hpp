// job.hpp: what one call of a program does, and the state of the processor while it does it.
#pragma once
#include <exception>
#include <vector>

#include "events.hpp"

namespace snn {

#ifndef SNN_SLOTS
#define SNN_SLOTS 16  // a benchmark has fewer, so that few threads have to wait
#endif
constexpr int SLOTS = SNN_SLOTS, MOST_SLOTS = 64;

// What the other ranks are asked for; with the addresses of numbers, and how many bytes.
enum : int32_t {
    COUNTS,  // sum these integers over all ranks
    BEFORE,  // fetch the sum of the ranks before, of the next stage
    AFTER,   // pass it on with what this rank adds; of the last rank it is the total
    TOTAL    // fetch the totals of all stages, into where AFTER was told
};
using Exchange = int32_t (*)(int32_t what, void* numbers, void* total, int64_t bytes);

// What one call does.
#define SNN_JOB(F)                                                                                 \
    F(const Data*, data)                                                                           \
    F(const int64_t*, examples) /* [count] in order */                                             \
    F(int64_t, count)                                                                              \
    F(int32_t, batch)                                                                              \
    F(int32_t, train)                                                                              \
    F(const double*, rates) /* [batches][tensors] learning rates */                                \
    F(int64_t, updates) /* by the optimiser, before this call */                                   \
    F(int64_t, rank)    /* of the processes that share each mini-batch */                          \
    F(int64_t, ranks)                                                                              \
    F(Exchange, exchange) /* between them; null where there is one: ranks.hpp */                   \
    F(double, dropout)                                                                             \
    F(uint64_t, key)           /* of the random numbers */                                         \
    F(int64_t, in_network)     /* noise and spike dropout of hidden neurons act too */             \
    F(double, delay_width)     /* steps to each side over which delayed spikes are spread */       \
    F(double*, loss)           /* [count] */                                                       \
    F(int32_t*, prediction)    /* [count] */                                                       \
    F(int32_t*, layer_spikes)  /* [count][layers] */                                               \
    F(int64_t*, neuron_spikes) /* [all neurons of all layers] added to */                          \
    F(int64_t*, activations)   /* [2][late_steps + 1][channels if they count, neurons], or null */ \
    F(int64_t, late_steps)     /* last steps of a trial, whose activations stand apart */          \
    F(int64_t, counts_inputs)  /* activations of the channels too */                               \
    F(int64_t, failed_batch)   /* out: -1, or the first with values not finite or too large */     \
    F(int32_t, failed_tensor)  /* out: which tensor; -1: the loss */
SNN_STRUCT(Job, SNN_JOB)

struct RanksFailed : std::exception {
    const char* what() const noexcept override { return "ranks"; }
};

// The ranks that share a job, one of which this is.
struct Ranks {
    int64_t rank = 0, ranks = 1;
    Exchange exchange = nullptr;

    explicit Ranks(const Job& job) {
        if (job.exchange) rank = job.rank, ranks = job.ranks, exchange = job.exchange;
    }
    bool several() const { return exchange != nullptr; }
    bool last() const { return rank == ranks - 1; }
    int64_t first_of(int64_t units) const { return units * rank / ranks; }
    int64_t end_of(int64_t units) const { return units * (rank + 1) / ranks; }
    void ask(int32_t what, void* numbers = nullptr, size_t bytes = 0, void* total = nullptr) const {
        if (exchange(what, numbers, total, int64_t(bytes)) != 0) throw RanksFailed();
    }
    void sum(std::vector<int64_t>& counts) const {
        if (several()) ask(COUNTS, counts.data(), counts.size() * sizeof(int64_t));
    }
};

// Tiny numbers count as 0 while a Real is a float: they are slow, and below every tolerance.
class FlushDenormals {
  public:
    FlushDenormals() {
#if defined(__SSE2__)
        saved_ = _mm_getcsr();
        if (sizeof(Real) == 4) _mm_setcsr(saved_ | 0x8040);
#endif
    }
    ~FlushDenormals() {
#if defined(__SSE2__)
        _mm_setcsr(saved_);
#endif
    }

  private:
    unsigned saved_ = 0;
};

}  // namespace snn
