// team.hpp: threads that walk a trial together, each some blocks of the neurons of each layer.
#pragma once
#include <memory>
#include <vector>

#include "pool.hpp"

#if defined(__linux__)
#include <sched.h>
#endif

namespace snn {

// Cores that this process may use.
static inline int usable_cores() {
#if defined(SNN_CORES)
    return SNN_CORES;  // tests let few count as many
#elif defined(__linux__)
    cpu_set_t cores;
    if (sched_getaffinity(0, sizeof cores, &cores) == 0) return CPU_COUNT(&cores);
#endif
    return int(std::thread::hardware_concurrency());
}

// A thread that walks trials alone.
struct Alone {
    static constexpr bool SEVERAL = false;
    static constexpr bool leads() { return true; }
    static constexpr int first(int) { return 0; }
    static constexpr int end(int blocks) { return blocks; }
    static constexpr void wait() {}
    static constexpr bool any(bool own, int) { return own; }
};

// Where the members of a team wait for each other.
struct alignas(LINE) Meeting {
    Barrier barrier;
    std::atomic<bool> any[3] = {};  // [step modulo 3]
    Meeting(int members, const Barrier& of_all) : barrier(members, &of_all) {}
};

// One thread of a team.
struct Member {
    static constexpr bool SEVERAL = true;
    Meeting* meeting;
    int number, count;
    bool leads() const { return number == 0; }
    int first(int blocks) const { return blocks * number / count; }
    int end(int blocks) const { return blocks * (number + 1) / count; }
    void wait() const { meeting->barrier.wait(); }
    // Waits for all. Returns whether one of them says so of step n, whose place is emptied two
    // steps later, when all have read it.
    bool any(bool own, int n) const {
        if (own) meeting->any[n % 3].store(true, std::memory_order_relaxed);
        if (leads()) meeting->any[(n + 1) % 3].store(false, std::memory_order_relaxed);
        wait();
        return meeting->any[n % 3].load(std::memory_order_relaxed);
    }
};

// Divides threads into teams where there are few trials for them.
class Teams {
  public:
    // `blocks`: into which a step can be divided.
    Teams(int threads, const Barrier& of_all, int blocks)
        : threads_(threads), blocks_(blocks), of_all_(of_all) {}

    // For so many trials at a time. The members of a team wait for each other in each step, which
    // takes about as long as half of a block, if each has a core.
    void prepare(int trials) {
        const auto time = [&](int members) {
            const int teams = threads_ / members, most = (blocks_ + members - 1) / members;
            return (trials + teams - 1) / teams * (most + (members > 1 ? 0.5 : 0.0));
        };
        members_ = 1, meetings_.clear();
        if (threads_ > cores_) return;
        for (int m = 2; m <= std::min(blocks_, threads_); m++)
            if (time(m) < 0.8 * time(1) && time(m) < time(members_)) members_ = m;
        for (int n = 0; members_ > 1 && n < threads_ / members_; n++)
            meetings_.push_back(std::make_unique<Meeting>(members_, of_all_));
    }
    bool several() const { return members_ > 1; }
    // f(member, trial) for the trials of the team of thread t, if it is in one.
    template <class F> void each(int t, int trials, F f) const {
        const int team = t / members_, teams = int(meetings_.size());
        if (team >= teams) return;
        const Member member{meetings_[team].get(), t % members_, members_};
        for (int i = team; i < trials; i += teams) f(member, i);
    }

  private:
    const int threads_, blocks_, cores_ = usable_cores();
    const Barrier& of_all_;
    int members_ = 1;  // of each team
    std::vector<std::unique_ptr<Meeting>> meetings_;
};

}  // namespace snn
