// target_course.hpp: the cost of the outputs' differences from target courses.
//
//   L = sum over n of weight(n) mean over k of cost(V_k(n) - target_k(n))
#pragma once
#include "losses.hpp"

namespace snn {

template <class L, class F> struct TargetCourse {
    F f;
    static constexpr bool ACTIVE = true, WHOLE_TRIAL = true, MOVES_WITH_SPIKES = false;
    static constexpr bool TARGETS = false;
    static constexpr int N = L::Model::SIZE;
    Buffer<Real> rows;    // [step][WIDTH] the potentials, in the steps that are done the drive
    const float* target;  // [step][SIZE]
    int done;
    double loss;  // of those

    void allocate() { rows.allocate(size_t(L::STEPS) * L::WIDTH); }
    void start(const Events&, const Data& d, int64_t example) {
        target = d.courses + d.course_rows[example] * L::STEPS * N;
        done = 0, loss = 0;
    }
    inline void operator()(int n, int v, const vf* x) {
        vectors(rows.data() + size_t(n) * L::WIDTH)[v] = x[L::Model::READOUT];
    }
    // Does the steps up to `end`.
    void advance(int end, int, double scale) {
        for (; done < end; done++) {
            Real* row = rows.data() + size_t(done) * L::WIDTH;
            const double weight = f.weight(done) / N;
            for (int k = 0; k < N; k++) {
                const double d = double(row[k]) - double(target[size_t(done) * N + k]);
                loss += weight * f.cost(d);
                row[k] = Real(weight * f.cost_slope(d) * scale);
            }
            for (int k = N; k < L::WIDTH; k++) row[k] = 0;
        }
    }
    Outcome finish(Work<L>&, int label, double scale) {
        advance(L::STEPS, label, scale);
        return {loss, -1};
    }
    inline vf operator()(int n, int v) const {
        return vectors(rows.data() + size_t(n) * L::WIDTH)[v];
    }
};

}  // namespace snn
