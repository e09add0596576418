// expm.hpp: propagators of neurons whose parameters differ, and their derivatives, in double.
//
// expm of [[A, b, dA, db], [0, 0, 0, 0], [0, 0, A, b], [0, 0, 0, 0]] dt holds the derivative of the
// propagator [[P, u], [0, 1]] in its upper right block (Van Loan 1978, IEEE TAC 23:395).
#pragma once
#include <cmath>
#include <cstring>

namespace snn {

template <int N> struct Matrix {
    double v[N][N] = {};
    Matrix operator*(const Matrix& o) const {
        Matrix r;
        for (int i = 0; i < N; i++)
            for (int k = 0; k < N; k++)
                if (v[i][k] != 0)
                    for (int j = 0; j < N; j++) r.v[i][j] += v[i][k] * o.v[k][j];
        return r;
    }
};

// Scaling and squaring of a Taylor series of order 18.
template <int N> Matrix<N> exponential(Matrix<N> M) {
    double size = 0;
    for (auto& row : M.v) {
        double total = 0;
        for (double x : row) total += std::fabs(x);
        if (total > size) size = total;
    }
    int squarings = size > 0 ? std::max(0, int(std::ceil(std::log2(size))) + 1) : 0;
    for (auto& row : M.v)
        for (double& x : row) x = std::ldexp(x, -squarings);
    Matrix<N> result;
    for (int i = 0; i < N; i++) result.v[i][i] = 1;
    for (int k = 18; k > 0; k--) {
        result = M * result;
        for (int i = 0; i < N; i++) {
            for (int j = 0; j < N; j++) result.v[i][j] /= k;
            result.v[i][i] += 1;
        }
    }
    while (squarings-- > 0) result = result * result;
    return result;
}

// [[P, u], [0, 1]] of one step, and the derivative along (dA, db); exact or forward Euler.
template <int S> struct Step {
    double P[S][S + 1], dP[S][S + 1];  // the last column is u

    Step(const double (&A)[S][S + 1], const double (&dA)[S][S + 1], double dt, bool euler) {
        constexpr int N = 2 * (S + 1);
        Matrix<N> M;
        for (int i = 0; i < S; i++)
            for (int j = 0; j <= S; j++) {
                M.v[i][j] = M.v[S + 1 + i][S + 1 + j] = A[i][j] * dt;
                M.v[i][S + 1 + j] = dA[i][j] * dt;
            }
        if (euler) {
            for (int i = 0; i < N; i++) M.v[i][i] += 1;
        } else {
            M = exponential(M);
        }
        for (int i = 0; i < S; i++)
            for (int j = 0; j <= S; j++) P[i][j] = M.v[i][j], dP[i][j] = M.v[i][S + 1 + j];
    }
};

}  // namespace snn
