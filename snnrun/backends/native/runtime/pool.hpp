// pool.hpp: threads that stay, and a barrier that spins briefly before it sleeps.
#pragma once
#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace snn {

static inline void pause_cpu() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

// Waits until `condition` holds: spins for a few microseconds, then gives the core to others.
template <class F> void wait_until(F condition) {
    for (int i = 0; i < 4000; i++) {
        if (condition()) return;
        pause_cpu();
    }
    while (!condition()) std::this_thread::yield();
}

class Barrier {
  public:
    explicit Barrier(int threads) : threads_(threads) {}
    void wait() {
        const int turn = turn_.load(std::memory_order_acquire);
        if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == threads_) {
            arrived_.store(0, std::memory_order_relaxed);
            turn_.fetch_add(1, std::memory_order_acq_rel);
        } else {
            wait_until([&] { return turn_.load(std::memory_order_acquire) != turn; });
        }
    }

  private:
    const int threads_;
    std::atomic<int> arrived_{0}, turn_{0};
};

// Runs one function on all threads; the caller is thread 0. Between calls the others sleep.
class Pool {
  public:
    explicit Pool(int threads) : barrier(threads), count_(threads) {
        for (int t = 1; t < threads; t++) workers_.emplace_back([this, t] { serve(t); });
    }
    ~Pool() {
        {
            std::lock_guard<std::mutex> lock(mutex_);
            stop_ = true, generation_++;
        }
        wake_.notify_all();
        for (auto& worker : workers_) worker.join();
    }
    int count() const { return count_; }
    void run(const std::function<void(int)>& work) {
        {
            std::lock_guard<std::mutex> lock(mutex_);
            work_ = &work, pending_ = count_ - 1, generation_++;
        }
        wake_.notify_all();
        work(0);
        wait_until([&] { return pending_.load(std::memory_order_acquire) == 0; });
    }
    Barrier barrier;

  private:
    void serve(int t) {
        long seen = 0;
        for (;;) {
            const std::function<void(int)>* work;
            {
                std::unique_lock<std::mutex> lock(mutex_);
                wake_.wait(lock, [&] { return generation_ != seen; });
                if (stop_) return;
                seen = generation_, work = work_;
            }
            (*work)(t);
            pending_.fetch_sub(1, std::memory_order_acq_rel);
        }
    }
    const int count_;
    std::vector<std::thread> workers_;
    std::mutex mutex_;
    std::condition_variable wake_;
    const std::function<void(int)>* work_ = nullptr;
    std::atomic<int> pending_{0};
    long generation_ = 0;
    bool stop_ = false;
};

// Hands out the numbers 0 .. count - 1 of one part of the work after another to the threads, which
// meet at a barrier between two parts.
class Shares {
  public:
    template <class F> void take(int thread, int64_t part, int64_t count, F f) {
        for (int64_t i; (i = next_[part % 2].fetch_add(1)) < count;) f(int(i));
        if (thread == 0) next_[(part + 1) % 2] = 0;
    }

  private:
    std::atomic<int64_t> next_[2] = {{0}, {0}};
};

}  // namespace snn
