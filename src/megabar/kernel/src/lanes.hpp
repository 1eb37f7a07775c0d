// SIMD lanes and the elementary functions on them. Included by centre.cpp only, inside its anonymous namespace.

constexpr double kPi = 3.14159265358979323846;

template <class Real>
constexpr int kLanes = MEGABAR_VECTOR_BYTES / static_cast<int>(sizeof(Real));

template <class Real, int W>
struct VectorOf {
  typedef Real type __attribute__((vector_size(W * sizeof(Real))));
};
template <class Real>
using Vector = typename VectorOf<Real, kLanes<Real>>::type;

template <class V>
inline V load(const void *p) {
  V v;
  memcpy(&v, p, sizeof(V));
  return v;
}
template <class V>
inline void store(void *p, V v) {
  memcpy(p, &v, sizeof(V));
}
template <class V>
inline V fill(double value) {
  return V{} + static_cast<decltype(V{}[0] + 0)>(value);
}

template <class Real, int W>
inline Real lane_sum(typename VectorOf<Real, W>::type v) {
  if constexpr (W == 1) {
    return v[0];
  } else {
    typename VectorOf<Real, W / 2>::type half[2];
    memcpy(half, &v, sizeof(v));
    return lane_sum<Real, W / 2>(half[0] + half[1]);
  }
}

template <class Real>
inline Vector<Real> square_root(Vector<Real> v) {
  for (int i = 0; i < kLanes<Real>; ++i) v[i] = sizeof(Real) == 4 ? sqrtf(static_cast<float>(v[i])) : sqrt(v[i]);
  return v;
}

// sin and cos of t in [-pi/4, pi/4] by Taylor series; the remainder is below the rounding of Real.
template <class Real>
inline void sine_cosine(Vector<Real> t, Vector<Real> &sine, Vector<Real> &cosine) {
  constexpr double s[] = {1.0, -1.0 / 6, 1.0 / 120, -1.0 / 5040, 1.0 / 362880, -1.0 / 39916800, 1.0 / 6227020800,
                          -1.0 / 1307674368000};
  constexpr double c[] = {1.0, -1.0 / 2, 1.0 / 24, -1.0 / 720, 1.0 / 40320, -1.0 / 3628800, 1.0 / 479001600,
                          -1.0 / 87178291200, 1.0 / 20922789888000};
  constexpr int last = sizeof(Real) == 4 ? 4 : 8;
  using V = Vector<Real>;
  const V u = t * t;
  V a = fill<V>(s[last - 1]), b = fill<V>(c[last]);
  for (int i = last - 2; i >= 0; --i) a = a * u + Real(s[i]);
  for (int i = last - 1; i >= 0; --i) b = b * u + Real(c[i]);
  sine = a * t;
  cosine = b;
}

// f_c = (1 + cos(pi u)) / 2 and its derivative with respect to u, 0 <= u <= 1.
template <class Real>
inline void cutoff_function(Vector<Real> u, Vector<Real> &fc, Vector<Real> &slope) {
  Vector<Real> s, c;
  sine_cosine<Real>((u - Real(0.5)) * Real(kPi / 2), s, c);
  fc = Real(0.5) - s * c;                                // cos(pi u) = -2 s c
  slope = Real(-kPi / 2) * (c - s) * (c + s);            // sin(pi u) = c^2 - s^2
}

template <class Real>
struct Bits;
template <>
struct Bits<float> {
  typedef int type;
  static constexpr int mantissa = 23, bias = 127, order = 7;
  static constexpr double bound = 43.0;
};
template <>
struct Bits<double> {
  typedef long long type;
  static constexpr int mantissa = 52, bias = 1023, order = 13;
  static constexpr double bound = 300.0;
};

// tanh by exp: 1 - 2 / (exp(2x) + 1), with exp from 2^n times a Taylor series.
template <class Real>
inline Vector<Real> hyperbolic_tangent(Vector<Real> x) {
  using V = Vector<Real>;
  typedef typename VectorOf<typename Bits<Real>::type, kLanes<Real>>::type Integers;
  const V bound = fill<V>(Bits<Real>::bound);
  V y = 2 * x;
  y = y > bound ? bound : y;
  y = y < -bound ? -bound : y;
  // Adding and taking away 1.5 * 2^mantissa rounds to a whole number.
  const Real magic = Real(1.5) * Real(1LL << Bits<Real>::mantissa);
  const V n = (y * Real(1.4426950408889634) + magic) - magic;
  // ln 2 in two parts keeps the reduced argument exact.
  const V r = (y - n * Real(0.693145751953125)) - n * Real(1.42860682030941723212e-6);
  V e = fill<V>(1);
  for (int k = Bits<Real>::order; k >= 1; --k) e = e * r * Real(1.0 / k) + Real(1);
  const Integers power = (__builtin_convertvector(n, Integers) + Bits<Real>::bias) << Bits<Real>::mantissa;
  V scale;
  memcpy(&scale, &power, sizeof(scale));
  return 1 - 2 / (e * scale + 1);
}

// Calls f(Size<n>{}, start) over [0, count) in chunks of at most Chunk, whose sizes the compiler knows.
template <int N>
struct Size {
  static constexpr int value = N;
};
template <int Chunk, class F>
inline void in_chunks(int count, F f) {
  int start = 0;
  for (; start + Chunk <= count; start += Chunk) f(Size<Chunk>{}, start);
  if constexpr (Chunk > 1) {
    const int rest = count - start;
    if constexpr (Chunk > 3)
      if (rest == 3) f(Size<3>{}, start);
    if constexpr (Chunk > 2)
      if (rest == 2) f(Size<2>{}, start);
    if (rest == 1) f(Size<1>{}, start);
  }
}
