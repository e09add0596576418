// memory.hpp: aligned arrays. Pages that are never written cost no memory, so a buffer may be as
// long as the longest trial can need and no step has to ask whether it is full.
#pragma once
#include <cstdlib>
#if defined(__linux__)
#include <sys/mman.h>
#endif
#include <new>
#include <utility>

#include "vector.hpp"

namespace snn {

// Bytes that caches pass on together: what different threads write is so far apart.
constexpr size_t LINE = 128;

template <class T> class Buffer {
  public:
    Buffer() = default;
    explicit Buffer(size_t n) { allocate(n); }
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;
    Buffer(Buffer&& other) noexcept {
        std::swap(data_, other.data_), std::swap(size_, other.size_);
    }
    ~Buffer() { std::free(data_); }

    void allocate(size_t n) {  // contents are not set
        std::free(data_);
        const size_t page = 4096, bytes = (n * sizeof(T) + 2 * page - 1) / page * page;
        data_ = static_cast<T*>(std::aligned_alloc(page, bytes));
        if (!data_) throw std::bad_alloc();
        size_ = n;
    }
    // As allocate, for arrays that are written in full and read at random: with large pages, where
    // the system has them, an array of megabytes does not wait for the translation of addresses.
    void allocate_dense(size_t n) {
        constexpr size_t large = size_t(1) << 21;
        if (n * sizeof(T) < large) return allocate(n);
        std::free(data_);
        const size_t bytes = (n * sizeof(T) + 64 + large - 1) / large * large;
        data_ = static_cast<T*>(std::aligned_alloc(large, bytes));
        if (!data_) throw std::bad_alloc();
#if defined(MADV_HUGEPAGE)
        madvise(static_cast<void*>(data_), bytes, MADV_HUGEPAGE);  // a hint: it may be refused
#endif
        size_ = n;
    }
    void swap(Buffer& other) { std::swap(data_, other.data_), std::swap(size_, other.size_); }
    void zero() { zero(0, 1); }
    // Thread t's share: memory belongs to the node of the processor that first writes to it.
    void zero(int t, int threads) {
        const size_t from = size_ * t / threads, to = size_ * (t + 1) / threads;
        std::memset(static_cast<void*>(data_ + from), 0, (to - from) * sizeof(T));
    }
    size_t size() const { return size_; }
    T* data() { return data_; }
    const T* data() const { return data_; }
    T& operator[](size_t i) { return data_[i]; }
    const T& operator[](size_t i) const { return data_[i]; }

  private:
    T* data_ = nullptr;
    size_t size_ = 0;
};

static inline vf* vectors(Real* p) { return reinterpret_cast<vf*>(p); }
static inline const vf* vectors(const Real* p) { return reinterpret_cast<const vf*>(p); }

}  // namespace snn
