// Energy and forces of one centre atom. Neighbours are sorted by type and padded to whole vectors, so that every loop
// runs over neighbours in SIMD lanes with the coefficients of one pair of types. Compiled once for each instruction set
// (MEGABAR_ISA names it); everything here has internal linkage, see centre.hpp.
#include "centre.hpp"

#include <math.h>
#include <string.h>

#ifdef __AVX512VL__
#include <immintrin.h>
#endif

#ifndef MEGABAR_ISA
#define MEGABAR_ISA baseline
#endif
#ifndef MEGABAR_VECTOR_BYTES
#define MEGABAR_VECTOR_BYTES 16
#endif

namespace megabar {
namespace {

#include "lanes.hpp"

#include "harmonics.hpp"

// Neighbours within the cutoff lie in buckets, two for each type: those within the angular cutoff, and the rest. A bucket
// starts on a whole vector and is padded to one. Blocks are the vectors in use, numbered bucket after bucket.
template <class Real>
struct Workspace {
  int capacity;              // slots in a bucket
  int *filled;               // [bucket]
  int *index;                // [slot] neighbour
  Real *x, *y, *z;           // [slot] difference vector
  Real *fx, *fy, *fz;        // [block][lane] gradient of the centre's energy with respect to the difference vector
  Real *fc, *dfc, *t, *dt;   // [block][lane] radial cutoff function, Chebyshev variable, and their slopes in r
  Real *g, *dg, *harmonics;  // [angular block][n or lm][lane] radial functions, their slopes in r, harmonics
  Real *q, *slope_q;         // [dim_padded]
  Real *moments, *slope;     // [n][lm]
  Real *neuron;              // [neurons_padded]
  Real *radial;              // [type][k] sums over neighbours, then the adjoint coefficients
  Real *weight;              // [lm][lane]
};

struct Arena {
  char *base;
  size_t used;
  template <class T>
  T *take(size_t count) {
    T *p = base ? reinterpret_cast<T *>(base + used) : nullptr;
    used += (count * sizeof(T) + 63) & ~size_t(63);
    return p;
  }
};

template <class Real>
size_t lay_out(const Tables<Real> &m, int count, char *base, Workspace<Real> &w) {
  constexpr int W = kLanes<Real>;
  Arena arena{base, 0};
  const auto size = [](int n) { return static_cast<size_t>(n); };
  // One slot more than there can be neighbours: gather writes before it knows whether to keep.
  w.capacity = count / W * W + W;
  const size_t slots = size(2 * m.types) * size(w.capacity);
  // Every bucket may leave one vector partly filled.
  const size_t blocks = size(count / W + 2 * m.types);
  w.filled = arena.take<int>(size(2 * m.types));
  w.index = arena.take<int>(slots);
  Real **const differences[] = {&w.x, &w.y, &w.z};
  for (Real **p : differences) *p = arena.take<Real>(slots);
  Real **const vectors[] = {&w.fx, &w.fy, &w.fz, &w.fc, &w.dfc, &w.t, &w.dt};
  for (Real **p : vectors) *p = arena.take<Real>(blocks * W);
  w.g = arena.take<Real>(blocks * W * size(m.n_angular));
  w.dg = arena.take<Real>(blocks * W * size(m.n_angular));
  w.harmonics = arena.take<Real>(blocks * W * size(m.moments));
  w.q = arena.take<Real>(size(m.dim_padded));
  w.slope_q = arena.take<Real>(size(m.dim_padded));
  w.moments = arena.take<Real>(size(m.n_angular * m.moments));
  w.slope = arena.take<Real>(size(m.n_angular * m.moments));
  w.neuron = arena.take<Real>(size(m.neurons_padded));
  w.radial = arena.take<Real>(size(m.types * m.k_radial));
  w.weight = arena.take<Real>(size(m.moments * W));
  return arena.used;
}

template <class Real>
size_t workspace_bytes(const Tables<Real> &m, int count) {
  Workspace<Real> w;
  return lay_out<Real>(m, count, nullptr, w);
}

// Calls f(first slot, neighbours in this vector) for each vector of a bucket.
template <class Real, class F>
inline void in_vectors(const Workspace<Real> &w, int bucket, F f) {
  constexpr int W = kLanes<Real>;
  for (int n = 0; n < w.filled[bucket]; n += W)
    f(bucket * w.capacity + n, w.filled[bucket] - n < W ? w.filled[bucket] - n : W);
}

// 1 in the first `used` lanes, 0 in the padding.
template <class Real>
inline Vector<Real> used_lanes(int used) {
  constexpr int W = kLanes<Real>;
  static const struct Ramp {
    Real value[2 * W];
    constexpr Ramp() : value() {
      for (int i = 0; i < W; ++i) value[i] = 1;
    }
  } ramp;
  return load<Vector<Real>>(ramp.value + W - used);
}

// Universal ZBL wall of one pair, half of it for this centre: energy, and slope / r.
template <class Real>
double zbl(const Tables<Real> &m, int pair, double r, double &slope_over_r) {
  static const double amplitude[] = {0.18175, 0.50986, 0.28022, 0.02817};
  static const double decay[] = {3.1998, 0.94229, 0.4029, 0.20162};
  double phi = 0, dphi = 0;
  for (int k = 0; k < 4; ++k) {
    const double term = amplitude[k] * exp(-decay[k] * r * m.zbl_inverse_length[pair]);
    phi += term;
    dphi -= term * decay[k] * m.zbl_inverse_length[pair];
  }
  double fc = 1, dfc = 0;
  if (r > m.zbl_inner) {
    const double factor = kPi / (m.zbl_outer - m.zbl_inner);
    fc = 0.5 * (1 + cos(factor * (r - m.zbl_inner)));
    dfc = -0.5 * factor * sin(factor * (r - m.zbl_inner));
  }
  const double half = 0.5 * m.zbl_strength[pair] / r;
  slope_over_r = half * ((dphi - phi / r) * fc + phi * dfc) / r;
  return half * phi * fc;
}

inline void add_virial(const Centre &c, int j, double x, double y, double z, double fx, double fy, double fz) {
  const double w[9] = {x * fx, x * fy, x * fz, y * fx, y * fy, y * fz, z * fx, z * fy, z * fz};
  if (c.virial)
    for (int k = 0; k < 9; ++k) c.virial[k] += w[k];
  if (c.atom_virial)
    for (int k = 0; k < 9; ++k) c.atom_virial[9 * static_cast<size_t>(j) + static_cast<size_t>(k)] += w[k];
}

#include "gather.hpp"

// Radial descriptors: sums of fc T_k over the neighbours of each type, contracted afterwards.
template <class Real>
void radial_forward(const Tables<Real> &m, int centre_type, Workspace<Real> &w) {
  using V = Vector<Real>;
  constexpr int W = kLanes<Real>;
  for (int n = 0; n < m.n_radial; ++n) w.q[n] = 0;
  int block = 0;
  for (int t = 0; t < m.types; ++t) {
    Real *sums = w.radial + t * m.k_radial;
    V total[kMaxBasis];
    for (int k = 0; k < m.k_radial; ++k) total[k] = V{};
    const Real inverse = static_cast<Real>(m.inverse_radial[centre_type * m.types + t]);
    for (int part = 0; part < 2; ++part)
      in_vectors(w, 2 * t + part, [&](int slot, int used) {
        const V x = load<V>(w.x + slot), y = load<V>(w.y + slot), z = load<V>(w.z + slot);
        const V u = square_root<Real>(x * x + y * y + z * z) * inverse, present = used_lanes<Real>(used);
        V fc, dfc;
        cutoff_function<Real>(u, fc, dfc);
        fc *= present;
        dfc *= present * inverse;
        const V e = u - 1, v = 2 * e * e - 1;
        store(w.fc + block * W, fc);
        store(w.dfc + block * W, dfc);
        store(w.t + block * W, v);
        store(w.dt + block * W, 4 * e * inverse);
        ++block;
        V before = fc, now = fc * v;
        total[0] += before;
        for (int k = 1; k < m.k_radial; ++k) {
          total[k] += now;
          const V next = 2 * v * now - before;
          before = now;
          now = next;
        }
      });
    const Real *c = m.c_radial + (centre_type * m.types + t) * m.n_radial * m.k_radial;
    for (int k = 0; k < m.k_radial; ++k) sums[k] = lane_sum<Real, W>(total[k]);
    for (int n = 0; n < m.n_radial; ++n)
      for (int k = 0; k < m.k_radial; ++k) w.q[n] += c[n * m.k_radial + k] * sums[k];
  }
}

template <class Real>
void radial_backward(const Tables<Real> &m, int centre_type, Workspace<Real> &w) {
  using V = Vector<Real>;
  constexpr int W = kLanes<Real>;
  int block = 0;
  for (int t = 0; t < m.types; ++t) {
    const Real *c = m.c_radial + (centre_type * m.types + t) * m.n_radial * m.k_radial;
    Real *a = w.radial + t * m.k_radial;
    for (int k = 0; k < m.k_radial; ++k) {
      a[k] = 0;
      for (int n = 0; n < m.n_radial; ++n) a[k] += w.slope_q[n] * c[n * m.k_radial + k];
    }
    for (int part = 0; part < 2; ++part)
      in_vectors(w, 2 * t + part, [&](int slot, int) {
        const V v = load<V>(w.t + block * W);
        // sum a_k T_k and its derivative sum a_k k U_{k-1}.
        V before = fill<V>(1), now = v, u_before = V{}, u_now = before;
        V sum = before * a[0], derivative = V{};
        for (int k = 1; k < m.k_radial; ++k) {
          sum += a[k] * now;
          derivative += (a[k] * Real(k)) * u_now;
          const V next = 2 * v * now - before, u_next = 2 * v * u_now - u_before;
          before = now;
          now = next;
          u_before = u_now;
          u_now = u_next;
        }
        const V slope = load<V>(w.dfc + block * W) * sum +
                        load<V>(w.fc + block * W) * load<V>(w.dt + block * W) * derivative;
        const V x = load<V>(w.x + slot), y = load<V>(w.y + slot), z = load<V>(w.z + slot);
        const V over_r = slope / square_root<Real>(x * x + y * y + z * z);
        store(w.fx + block * W, over_r * x);
        store(w.fy + block * W, over_r * y);
        store(w.fz + block * W, over_r * z);
        ++block;
      });
  }
}

// Angular part, forward: radial functions g_n, harmonics, moments s_nlm = sum_j g_n Y_lm and their invariants.
template <class Real, int L>
void angular_forward(const Tables<Real> &m, int centre_type, Workspace<Real> &w) {
  using V = Vector<Real>;
  constexpr int W = kLanes<Real>;
  constexpr int LM = L * (L + 2);
  const int N = m.n_angular, K = m.k_angular;
  int blocks = 0;
  for (int t = 0; t < m.types; ++t) {
    const int pair = centre_type * m.types + t;
    const Real inverse = static_cast<Real>(m.inverse_angular[pair]);
    const Real *c = m.c_angular + pair * N * K, *d = m.d_angular + pair * N * K;
    in_vectors(w, 2 * t, [&](int slot, int used) {
      const V x = load<V>(w.x + slot), y = load<V>(w.y + slot), z = load<V>(w.z + slot);
      const V r = square_root<Real>(x * x + y * y + z * z), over_r = 1 / r, u = r * inverse;
      const V present = used_lanes<Real>(used);
      V fc, dfc;
      cutoff_function<Real>(u, fc, dfc);
      fc *= present;
      dfc *= present * inverse;
      const V e = u - 1, v = 2 * e * e - 1, dv = 4 * e * inverse;
      V chebyshev[kMaxBasis];
      chebyshev[0] = fill<V>(1);
      chebyshev[1] = v;
      for (int k = 2; k < K; ++k) chebyshev[k] = 2 * v * chebyshev[k - 1] - chebyshev[k - 2];
      const V fdv = fc * dv;
      in_chunks<4>(N, [&](auto size, int n) {
        constexpr int S = decltype(size)::value;
        V p[S], dp[S];
        for (int i = 0; i < S; ++i) p[i] = dp[i] = V{};
        for (int k = 0; k < K; ++k)
          for (int i = 0; i < S; ++i) {
            p[i] += c[(n + i) * K + k] * chebyshev[k];
            dp[i] += d[(n + i) * K + k] * chebyshev[k];
          }
        for (int i = 0; i < S; ++i) {
          store(w.g + (blocks * N + n + i) * W, fc * p[i]);
          store(w.dg + (blocks * N + n + i) * W, dfc * p[i] + fdv * dp[i]);
        }
      });
      Harmonics<Real, L>(x * over_r, y * over_r, z * over_r).values(w.harmonics + blocks * LM * W);
      ++blocks;
    });
  }

  in_chunks<4>(N, [&](auto size, int n) {
    constexpr int S = decltype(size)::value;
    in_chunks<3>(LM, [&](auto size_lm, int lm) {
      constexpr int M = decltype(size_lm)::value;
      V sum[S][M];
      for (int i = 0; i < S; ++i)
        for (int k = 0; k < M; ++k) sum[i][k] = V{};
      for (int b = 0; b < blocks; ++b) {
        const Real *g = w.g + (b * N + n) * W, *h = w.harmonics + (b * LM + lm) * W;
        V values[M];
        for (int k = 0; k < M; ++k) values[k] = load<V>(h + k * W);
        for (int i = 0; i < S; ++i) {
          const V factor = load<V>(g + i * W);
          for (int k = 0; k < M; ++k) sum[i][k] += factor * values[k];
        }
      }
      for (int i = 0; i < S; ++i)
        for (int k = 0; k < M; ++k) w.moments[(n + i) * LM + lm + k] = lane_sum<Real, W>(sum[i][k]);
    });
  });

  for (int n = 0; n < N; ++n) {
    const Real *a = w.moments + n * LM;
    Real *q = w.q + m.n_radial + n;
    for (int l = 1; l <= L; ++l, q += N) {
      Real sum = 0;
      for (int lm = l * l - 1; lm < (l + 1) * (l + 1) - 1; ++lm) sum += m.moment_weight[lm] * a[lm] * a[lm];
      *q = sum;
    }
    if constexpr (L >= 2)
      if (m.q222) {
        // det of the traceless quadrupole; its entries in our harmonics are those of nep.py.
        const Real zz = a[3] * Real(2.0 / 3), xx = a[6] / 6 - zz / 2, yy = -a[6] / 6 - zz / 2;
        const Real xz = a[4] / 3, yz = a[5] / 3, xy = a[7] / 6;
        *q = Real(m.q222_factor) * (xx * (yy * zz - yz * yz) - xy * (xy * zz - yz * xz) + xz * (xy * yz - yy * xz));
        q += N;
      }
    if (m.q1111) {
      const Real square = a[0] * a[0] + a[1] * a[1] + a[2] * a[2];
      *q = Real(m.q1111_factor) * square * square;
    }
  }
}

// dE/ds_nlm from dE/dq.
template <class Real, int L>
void moment_slopes(const Tables<Real> &m, Workspace<Real> &w) {
  constexpr int LM = L * (L + 2);
  const int N = m.n_angular;
  for (int n = 0; n < N; ++n) {
    const Real *a = w.moments + n * LM;
    Real *out = w.slope + n * LM;
    const Real *slope = w.slope_q + m.n_radial + n;
    for (int l = 1; l <= L; ++l, slope += N)
      for (int lm = l * l - 1; lm < (l + 1) * (l + 1) - 1; ++lm) out[lm] = 2 * *slope * m.moment_weight[lm] * a[lm];
    if constexpr (L >= 2)
      if (m.q222) {
        const Real zz = a[3] * Real(2.0 / 3), xx = a[6] / 6 - zz / 2, yy = -a[6] / 6 - zz / 2;
        const Real xz = a[4] / 3, yz = a[5] / 3, xy = a[7] / 6;
        const Real f = Real(m.q222_factor) * *slope;
        // Cofactors, then the chain rule through the entries.
        const Real cxx = yy * zz - yz * yz, cyy = xx * zz - xz * xz, czz = xx * yy - xy * xy;
        const Real cxy = yz * xz - xy * zz, cxz = xy * yz - yy * xz, cyz = xy * xz - xx * yz;
        out[3] += f * (2 * czz - cxx - cyy) / 3;
        out[4] += f * cxz * Real(2.0 / 3);
        out[5] += f * cyz * Real(2.0 / 3);
        out[6] += f * (cxx - cyy) / 6;
        out[7] += f * cxy / 3;
        slope += N;
      }
    if (m.q1111) {
      const Real factor = 4 * Real(m.q1111_factor) * *slope * (a[0] * a[0] + a[1] * a[1] + a[2] * a[2]);
      for (int k = 0; k < 3; ++k) out[k] += factor * a[k];
    }
  }
}

template <class Real, int L>
void angular_backward(const Tables<Real> &m, Workspace<Real> &w) {
  using V = Vector<Real>;
  constexpr int W = kLanes<Real>;
  constexpr int LM = L * (L + 2);
  const int N = m.n_angular;
  // Two numberings: of the angular vectors, and of all, in which each type's radial-only vectors follow.
  int angular = 0, block = 0;
  for (int t = 0; t < m.types; ++t) {
    in_vectors(w, 2 * t, [&](int slot, int) {
      const Real *g = w.g + angular * N * W, *dg = w.dg + angular * N * W, *h = w.harmonics + angular * LM * W;
      // Along r: sum_n g'_n sum_lm slope Y.
      V along = V{};
      in_chunks<4>(N, [&](auto size, int n) {
        constexpr int S = decltype(size)::value;
        V sum[S];
        for (int i = 0; i < S; ++i) sum[i] = V{};
        for (int lm = 0; lm < LM; ++lm) {
          const V value = load<V>(h + lm * W);
          for (int i = 0; i < S; ++i) sum[i] += w.slope[(n + i) * LM + lm] * value;
        }
        for (int i = 0; i < S; ++i) along += sum[i] * load<V>(dg + (n + i) * W);
      });
      // Across r: the gradient of sum_lm Y_lm (sum_n g_n slope).
      in_chunks<4>(LM, [&](auto size, int lm) {
        constexpr int S = decltype(size)::value;
        V sum[S];
        for (int i = 0; i < S; ++i) sum[i] = V{};
        for (int n = 0; n < N; ++n) {
          const V factor = load<V>(g + n * W);
          for (int i = 0; i < S; ++i) sum[i] += w.slope[n * LM + lm + i] * factor;
        }
        for (int i = 0; i < S; ++i) store(w.weight + (lm + i) * W, sum[i]);
      });
      V x = load<V>(w.x + slot), y = load<V>(w.y + slot), z = load<V>(w.z + slot);
      const V over_r = 1 / square_root<Real>(x * x + y * y + z * z);
      x *= over_r;
      y *= over_r;
      z *= over_r;
      V gx, gy, gz;
      Harmonics<Real, L>(x, y, z).gradient(w.weight, gx, gy, gz);
      const V radial = along - over_r * (gx * x + gy * y + gz * z);
      Real *fx = w.fx + block * W, *fy = w.fy + block * W, *fz = w.fz + block * W;
      store(fx, load<V>(fx) + radial * x + over_r * gx);
      store(fy, load<V>(fy) + radial * y + over_r * gy);
      store(fz, load<V>(fz) + radial * z + over_r * gz);
      ++angular;
      ++block;
    });
    block += (w.filled[2 * t + 1] + W - 1) / W;
  }
}

// Network of the centre's element: energy, and dE/dq into slope_q.
template <class Real>
double network(const Tables<Real> &m, int centre_type, Workspace<Real> &w) {
  using V = Vector<Real>;
  constexpr int W = kLanes<Real>;
  const Real *w0 = m.w0 + static_cast<size_t>(centre_type) * static_cast<size_t>(m.dim * m.neurons_padded);
  const Real *w0t = m.w0_transposed + static_cast<size_t>(centre_type) * static_cast<size_t>(m.neurons * m.dim_padded);
  const Real *b0 = m.b0 + centre_type * m.neurons_padded, *w1 = m.w1 + centre_type * m.neurons_padded;
  double energy = -m.b1;
  in_chunks<4>(m.neurons_padded / W, [&](auto size, int block) {
    constexpr int S = decltype(size)::value;
    const int h = block * W;
    V z[S];
    for (int i = 0; i < S; ++i) z[i] = -load<V>(b0 + h + i * W);
    for (int d = 0; d < m.dim; ++d)
      for (int i = 0; i < S; ++i) z[i] += w.q[d] * load<V>(w0 + d * m.neurons_padded + h + i * W);
    for (int i = 0; i < S; ++i) {
      const V hidden = hyperbolic_tangent<Real>(z[i]), weight = load<V>(w1 + h + i * W);
      const V term = weight * hidden;
      for (int k = 0; k < W; ++k) energy += term[k];
      store(w.neuron + h + i * W, weight * (1 - hidden * hidden));
    }
  });
  in_chunks<4>(m.dim_padded / W, [&](auto size, int block) {
    constexpr int S = decltype(size)::value;
    V sum[S];
    for (int i = 0; i < S; ++i) sum[i] = V{};
    for (int h = 0; h < m.neurons; ++h)
      for (int i = 0; i < S; ++i) sum[i] += w.neuron[h] * load<V>(w0t + h * m.dim_padded + (block + i) * W);
    for (int i = 0; i < S; ++i) store(w.slope_q + (block + i) * W, sum[i]);
  });
  return energy;
}

// Hand the gradients to the centre and its neighbours.
template <class Real>
void scatter(const Tables<Real> &m, const Centre &c, const Workspace<Real> &w) {
  double *__restrict force = c.force;
  double sx = 0, sy = 0, sz = 0;
  int block = 0;
  for (int bucket = 0; bucket < 2 * m.types; ++bucket)
    in_vectors(w, bucket, [&](int slot, int used) {
      const Real *fx = w.fx + block * kLanes<Real>, *fy = w.fy + block * kLanes<Real>, *fz = w.fz + block * kLanes<Real>;
      for (int k = 0; k < used; ++k) {
        double *f = force + 3 * static_cast<size_t>(w.index[slot + k]);
        const double gx = fx[k], gy = fy[k], gz = fz[k];
        f[0] -= gx;
        f[1] -= gy;
        f[2] -= gz;
        sx += gx;
        sy += gy;
        sz += gz;
      }
      if (c.virial || c.atom_virial)
        for (int k = 0; k < used; ++k)
          add_virial(c, w.index[slot + k], w.x[slot + k], w.y[slot + k], w.z[slot + k], fx[k], fy[k], fz[k]);
      ++block;
    });
  double *f = force + 3 * static_cast<size_t>(c.atom);
  f[0] += sx;
  f[1] += sy;
  f[2] += sz;
}

template <class Real>
double add_zbl(const Tables<Real> &m, const Centre &c, int centre_type, const Workspace<Real> &w) {
  const double *centre = c.x + 3 * static_cast<size_t>(c.atom);
  double *force = c.force + 3 * static_cast<size_t>(c.atom);
  double energy = 0;
  // A little more than the cutoff, for the rounding of the stored differences.
  const Real reach2 = static_cast<Real>(m.zbl_outer * m.zbl_outer * 1.001);
  for (int t = 0; t < m.types; ++t)
    for (int k = 2 * t * w.capacity; k < 2 * t * w.capacity + w.filled[2 * t]; ++k) {
      if (w.x[k] * w.x[k] + w.y[k] * w.y[k] + w.z[k] * w.z[k] >= reach2) continue;
      // The wall is so steep that the differences are taken anew in double.
      const double *p = c.x + 3 * static_cast<size_t>(w.index[k]);
      const double x = p[0] - centre[0], y = p[1] - centre[1], z = p[2] - centre[2], r2 = x * x + y * y + z * z;
      if (r2 >= m.zbl_outer * m.zbl_outer) continue;
      double slope;
      energy += zbl(m, centre_type * m.types + t, sqrt(r2), slope);
      double *other = c.force + 3 * static_cast<size_t>(w.index[k]);
      const double gradient[3] = {slope * x, slope * y, slope * z};
      for (int a = 0; a < 3; ++a) {
        force[a] += gradient[a];
        other[a] -= gradient[a];
      }
      add_virial(c, w.index[k], x, y, z, gradient[0], gradient[1], gradient[2]);
    }
  return energy;
}

template <class Real, int L>
double evaluate_l(const Tables<Real> &m, const Centre &c, int centre_type, Workspace<Real> &w) {
  gather(m, c, centre_type, w);
  radial_forward(m, centre_type, w);
  if constexpr (L > 0) angular_forward<Real, L>(m, centre_type, w);
  const double energy = network(m, centre_type, w);
  radial_backward(m, centre_type, w);
  if constexpr (L > 0) {
    moment_slopes<Real, L>(m, w);
    angular_backward<Real, L>(m, w);
  }
  scatter(m, c, w);
  if (c.descriptor)
    for (int d = 0; d < m.dim; ++d) c.descriptor[d] = w.q[d];
  return m.zbl ? energy + add_zbl(m, c, centre_type, w) : energy;
}

template <class Real>
double evaluate(const Tables<Real> &m, const Centre &c, void *workspace) {
  Workspace<Real> w;
  lay_out<Real>(m, c.count, static_cast<char *>(workspace), w);
  const int centre_type = c.type_map[c.type[c.atom]];
  switch (m.l_max) {
    case 0: return evaluate_l<Real, 0>(m, c, centre_type, w);
    case 1: return evaluate_l<Real, 1>(m, c, centre_type, w);
    case 2: return evaluate_l<Real, 2>(m, c, centre_type, w);
    case 3: return evaluate_l<Real, 3>(m, c, centre_type, w);
    case 4: return evaluate_l<Real, 4>(m, c, centre_type, w);
    case 5: return evaluate_l<Real, 5>(m, c, centre_type, w);
    case 6: return evaluate_l<Real, 6>(m, c, centre_type, w);
    case 7: return evaluate_l<Real, 7>(m, c, centre_type, w);
    default: return evaluate_l<Real, 8>(m, c, centre_type, w);
  }
}

}  // namespace

namespace MEGABAR_ISA {
Kernel<double> kernel_double() { return {kLanes<double>, workspace_bytes<double>, evaluate<double>}; }
Kernel<float> kernel_float() { return {kLanes<float>, workspace_bytes<float>, evaluate<float>}; }
}  // namespace MEGABAR_ISA

}  // namespace megabar
