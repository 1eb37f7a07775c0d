// Included by centre.cpp only, inside its anonymous namespace.

// Real solid harmonics of unit vectors: Y_lm = d^m P_l/dz^m times Re or Im (x + iy)^m, in the order of nep.py.
template <class Real, int L>
struct Harmonics {
  using V = Vector<Real>;
  V legendre[L + 1][L + 2], re[L + 1], im[L + 1];

  inline Harmonics(V x, V y, V z) {
    re[0] = fill<V>(1);
    im[0] = V{};
#pragma GCC unroll 9
    for (int m = 1; m <= L; ++m) {
      re[m] = x * re[m - 1] - y * im[m - 1];
      im[m] = x * im[m - 1] + y * re[m - 1];
    }
    Real double_factorial = 1;
#pragma GCC unroll 9
    for (int m = 0; m <= L; ++m) {
      if (m > 0) double_factorial *= Real(2 * m - 1);
      legendre[m][m] = fill<V>(double_factorial);
      if (m < L) legendre[m + 1][m] = z * (Real(2 * m + 1) * double_factorial);
#pragma GCC unroll 9
      for (int l = m + 2; l <= L; ++l)
        legendre[l][m] = z * legendre[l - 1][m] * (Real(2 * l - 1) / Real(l - m)) -
                         legendre[l - 2][m] * (Real(l + m - 1) / Real(l - m));
    }
  }

  inline void values(Real *out) const {
    constexpr int W = kLanes<Real>;
#pragma GCC unroll 9
    for (int l = 1; l <= L; ++l) {
      store(out + (l * l - 1) * W, legendre[l][0]);
#pragma GCC unroll 9
      for (int m = 1; m <= l; ++m) {
        store(out + (l * l + 2 * m - 2) * W, legendre[l][m] * re[m]);
        store(out + (l * l + 2 * m - 1) * W, legendre[l][m] * im[m]);
      }
    }
  }

  // Gradient of sum_lm weight_lm Y_lm as a polynomial in x, y, z.
  inline void gradient(const Real *weight, V &gx, V &gy, V &gz) const {
    constexpr int W = kLanes<Real>;
    gx = gy = gz = V{};
#pragma GCC unroll 9
    for (int l = 1; l <= L; ++l) gz += load<V>(weight + (l * l - 1) * W) * legendre[l][1];
#pragma GCC unroll 9
    for (int m = 1; m <= L; ++m) {
      V by_re = V{}, by_im = V{}, dre = V{}, dim = V{};
#pragma GCC unroll 9
      for (int l = m; l <= L; ++l) {
        const V a = load<V>(weight + (l * l + 2 * m - 2) * W), b = load<V>(weight + (l * l + 2 * m - 1) * W);
        by_re += a * legendre[l][m];
        by_im += b * legendre[l][m];
        if (l > m) {
          dre += a * legendre[l][m + 1];
          dim += b * legendre[l][m + 1];
        }
      }
      gx += Real(m) * (by_re * re[m - 1] + by_im * im[m - 1]);
      gy += Real(m) * (by_im * re[m - 1] - by_re * im[m - 1]);
      gz += dre * re[m] + dim * im[m];
    }
  }
};
