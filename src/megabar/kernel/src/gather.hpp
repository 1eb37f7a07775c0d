// Included by centre.cpp only, inside its anonymous namespace.

#ifdef __AVX512VL__

// Eight neighbours at a time: what belongs to a bucket is packed to the front of a vector and stored whole; the next
// store, or the padding, overwrites what lies behind.
inline void pack(float *out, __mmask8 keep, __m512d v) {
  _mm256_storeu_ps(out, _mm256_maskz_compress_ps(keep, _mm512_maskz_cvtpd_ps(255, v)));
}
inline void pack(double *out, __mmask8 keep, __m512d v) { _mm512_storeu_pd(out, _mm512_maskz_compress_pd(keep, v)); }

template <class Real>
void sort_neighbours(const Tables<Real> &m, const Centre &c, int centre_type, Workspace<Real> &w) {
  const double *centre = c.x + 3 * static_cast<size_t>(c.atom);
  const __m512d cx = _mm512_set1_pd(centre[0]), cy = _mm512_set1_pd(centre[1]), cz = _mm512_set1_pd(centre[2]);
  const double *cutoff2 = m.cutoff2_radial + centre_type * m.types;
  const double *angular2 = m.cutoff2_angular + centre_type * m.types;
  const __m256i mask = _mm256_set1_epi32(c.mask), none = _mm256_set1_epi32(-1);
  const __m512d zero = _mm512_setzero_pd();
  for (int n = 0; n < c.count; n += 8) {
    const __mmask8 lanes = static_cast<__mmask8>(c.count - n < 8 ? (1 << (c.count - n)) - 1 : 255);
    const __m256i j = _mm256_and_si256(_mm256_maskz_loadu_epi32(lanes, c.neighbours + n), mask);
    const __m256i at = _mm256_add_epi32(j, _mm256_add_epi32(j, j));
    const __m512d dx = _mm512_sub_pd(_mm512_mask_i32gather_pd(zero, lanes, at, c.x, 8), cx);
    const __m512d dy = _mm512_sub_pd(_mm512_mask_i32gather_pd(zero, lanes, at, c.x + 1, 8), cy);
    const __m512d dz = _mm512_sub_pd(_mm512_mask_i32gather_pd(zero, lanes, at, c.x + 2, 8), cz);
    const __m512d r2 = _mm512_fmadd_pd(dz, dz, _mm512_fmadd_pd(dy, dy, _mm512_mul_pd(dx, dx)));
    const __m256i type = _mm256_mmask_i32gather_epi32(none, lanes, _mm256_mmask_i32gather_epi32(none, lanes, j, c.type, 4),
                                                      c.type_map, 4);
    for (int t = 0; t < m.types; ++t) {
      const __mmask8 inside = _mm512_mask_cmp_pd_mask(_mm256_mask_cmpeq_epi32_mask(lanes, type, _mm256_set1_epi32(t)), r2,
                                                      _mm512_set1_pd(cutoff2[t]), _CMP_LT_OQ);
      const __mmask8 near = _mm512_mask_cmp_pd_mask(inside, r2, _mm512_set1_pd(angular2[t]), _CMP_LT_OQ);
      const __mmask8 keep[2] = {near, static_cast<__mmask8>(inside & ~near)};
      for (int far = 0; far < 2; ++far) {
        const int bucket = 2 * t + far, slot = bucket * w.capacity + w.filled[bucket];
        _mm256_storeu_si256(reinterpret_cast<__m256i *>(w.index + slot), _mm256_maskz_compress_epi32(keep[far], j));
        pack(w.x + slot, keep[far], dx);
        pack(w.y + slot, keep[far], dy);
        pack(w.z + slot, keep[far], dz);
        w.filled[bucket] += __builtin_popcount(keep[far]);
      }
    }
  }
}

#else

template <class Real>
void sort_neighbours(const Tables<Real> &m, const Centre &c, int centre_type, Workspace<Real> &w) {
  const double *centre = c.x + 3 * static_cast<size_t>(c.atom);
  const double cx = centre[0], cy = centre[1], cz = centre[2];
  const double *cutoff2 = m.cutoff2_radial + centre_type * m.types;
  const double *angular2 = m.cutoff2_angular + centre_type * m.types;
  int *__restrict filled = w.filled, *__restrict index = w.index;
  Real *__restrict x = w.x, *__restrict y = w.y, *__restrict z = w.z;
  const int capacity = w.capacity, mask = c.mask;
  for (int n = 0; n < c.count; ++n) {
    const int j = c.neighbours[n] & mask;
    const double *p = c.x + 3 * static_cast<size_t>(j);
    const double dx = p[0] - cx, dy = p[1] - cy, dz = p[2] - cz;
    const double r2 = dx * dx + dy * dy + dz * dz;
    const int mapped = c.type_map[c.type[j]];
    const int type = mapped < 0 ? 0 : mapped;
    // Written always and kept when inside: a branch here would be mispredicted half of the time.
    const int bucket = 2 * type + static_cast<int>(r2 >= angular2[type]);
    const int slot = bucket * capacity + filled[bucket];
    index[slot] = j;
    x[slot] = static_cast<Real>(dx);
    y[slot] = static_cast<Real>(dy);
    z[slot] = static_cast<Real>(dz);
    filled[bucket] += static_cast<int>(mapped >= 0) & static_cast<int>(r2 < cutoff2[type]);
  }
}

#endif

// Sort the neighbours within the cutoff into their buckets.
template <class Real>
void gather(const Tables<Real> &m, const Centre &c, int centre_type, Workspace<Real> &w) {
  constexpr int W = kLanes<Real>;
  for (int b = 0; b < 2 * m.types; ++b) w.filled[b] = 0;
  sort_neighbours(m, c, centre_type, w);
  // Padding sits at 1 A; used_lanes takes away its weight.
  for (int b = 0; b < 2 * m.types; ++b)
    for (int n = w.filled[b]; n % W; ++n) {
      w.x[b * w.capacity + n] = 1;
      w.y[b * w.capacity + n] = w.z[b * w.capacity + n] = 0;
    }
}
