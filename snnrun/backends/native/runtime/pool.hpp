// pool.hpp: threads that stay, and a barrier that spins briefly before it sleeps. What one of them
// throws ends the work of all, and comes out of Pool::run; so does a thread that cannot be started.
#pragma once
#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "memory.hpp"

namespace snn {

static inline void pause_cpu() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

// Waits until `condition` holds: spins for a few microseconds, then gives the core to others. Where
// spinning has been of no use, it is tried for half as long the next time: the thread that is
// waited for may want this core.
template <class F> void wait_until(F condition) {
    constexpr int LEAST = 30, MOST = 4000;
    thread_local int spins = MOST;
    for (int i = 0; i < spins; i++) {
        if (condition()) {
            spins = std::min(2 * spins, MOST);
            return;
        }
        pause_cpu();
    }
    spins = std::max(spins / 2, LEAST);
    while (!condition()) std::this_thread::yield();
}

// Thrown in the threads that wait for one that has failed.
struct GivenUp {};

class Barrier {
  public:
    // `of_all`: a barrier of more threads; who gives up there has given up here.
    explicit Barrier(int threads, const Barrier* of_all = nullptr)
        : threads_(threads), broken_(of_all ? of_all->broken_ : own_broken_) {}
    void wait() {
        const int turn = turn_.load(std::memory_order_acquire);
        if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == threads_) {
            arrived_.store(0, std::memory_order_relaxed);
            turn_.fetch_add(1, std::memory_order_acq_rel);
        } else {
            wait_until([&] {
                return turn_.load(std::memory_order_acquire) != turn ||
                       broken_.load(std::memory_order_relaxed);
            });
        }
        if (broken_.load(std::memory_order_relaxed)) throw GivenUp();
    }
    void give_up() { broken_.store(true); }
    void mend() { broken_.store(false), arrived_.store(0); }  // while nobody is in wait()

  private:
    const int threads_;
    std::atomic<bool> own_broken_{false};
    std::atomic<bool>& broken_;
    // each on a line of its own: who arrives does not disturb those that look at the turn
    alignas(LINE) std::atomic<int> arrived_{0};
    alignas(LINE) std::atomic<int> turn_{0};
};

// Runs one function on all threads; the caller is thread 0. Between calls the others sleep.
class Pool {
  public:
    explicit Pool(int threads) : barrier(threads), count_(threads) {
        try {
            workers_.reserve(threads);
            for (int t = 1; t < threads; t++) workers_.emplace_back([this, t] { serve(t); });
        } catch (...) {  // the system gives no more: those that wait must end before they go
            end();
            throw;
        }
    }
    ~Pool() { end(); }
    int count() const { return count_; }
    void run(const std::function<void(int)>& work) {
        {
            std::lock_guard<std::mutex> lock(mutex_);
            work_ = &work, pending_ = count_ - 1, generation_++;
        }
        wake_.notify_all();
        attempt(work, 0);
        wait_until([&] { return pending_.load(std::memory_order_acquire) == 0; });
        if (failure_) {
            barrier.mend();
            std::rethrow_exception(std::exchange(failure_, nullptr));
        }
    }
    Barrier barrier;

  private:
    void end() {
        {
            std::lock_guard<std::mutex> lock(mutex_);
            stop_ = true, generation_++;
        }
        wake_.notify_all();
        for (auto& worker : workers_) worker.join();
    }
    void attempt(const std::function<void(int)>& work, int t) {
        try {
            work(t);
        } catch (const GivenUp&) {
        } catch (...) {
            std::lock_guard<std::mutex> lock(mutex_);
            if (!failure_) failure_ = std::current_exception();
            barrier.give_up();
        }
    }
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
            attempt(*work, t);
            pending_.fetch_sub(1, std::memory_order_acq_rel);
        }
    }
    const int count_;
    std::vector<std::thread> workers_;
    std::mutex mutex_;
    std::condition_variable wake_;
    const std::function<void(int)>* work_ = nullptr;
    std::exception_ptr failure_;
    std::atomic<int> pending_{0};
    long generation_ = 0;
    bool stop_ = false;
};

// Hands out the numbers 0 .. count - 1 of one part of the work after another to the threads, which
// meet at a barrier between two parts. A thread begins with its own number, whose memory is likely
// to be near; the others go to whoever is free.
class alignas(LINE) Shares {
  public:
    explicit Shares(int threads) : threads_(threads) {}
    template <class F> void take(int thread, int64_t part, int64_t count, F f) {
        for (int64_t i = thread; i < count; i = threads_ + next_[part % 2].fetch_add(1)) f(int(i));
        if (thread == 0) next_[(part + 1) % 2] = 0;
    }

  private:
    std::atomic<int64_t> next_[2] = {{0}, {0}};
    const int threads_;
};

}  // namespace snn
