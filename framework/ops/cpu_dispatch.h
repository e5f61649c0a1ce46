// SPDX-License-Identifier: Apache-2.0
#pragma once

// Loops compiled for several processors, chosen when the program runs. (g++'s target_clones with
// arch= compares the exact model, so a newer processor than the one named would get the slowest
// version.)
//
//   TRIPTYCH_ALWAYS_INLINE void scale_body(float* x, std::int64_t n) { for (...) ... }
//   TRIPTYCH_VECTOR_KERNEL(scale, (float* x, std::int64_t n), (x, n))
//
// defines scale(x, n) from scale_body. The file also sets `#pragma GCC optimize("O3")` before the
// body, because builds at -O2 and below do not vectorise loops of unknown length.

#if defined(__GNUC__)
#define TRIPTYCH_ALWAYS_INLINE __attribute__((always_inline)) inline
#else
#define TRIPTYCH_ALWAYS_INLINE inline
#endif

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)

namespace triptych {

enum class VectorLevel { kBaseline, kAvx2, kAvx512 };

inline VectorLevel vector_level() {
  static const VectorLevel level = [] {
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl")) {
      return VectorLevel::kAvx512;
    }
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? VectorLevel::kAvx2
                                                                           : VectorLevel::kBaseline;
  }();
  return level;
}

}  // namespace triptych

#define TRIPTYCH_VECTOR_KERNEL(name, parameters, arguments)                                  \
  __attribute__((target("avx512f,avx512dq,avx512vl,avx2,fma,prefer-vector-width=512"))) void \
      name##_avx512 parameters {                                                             \
    name##_body arguments;                                                                   \
  }                                                                                          \
  __attribute__((target("avx2,fma"))) void name##_avx2 parameters { name##_body arguments; } \
  void name##_baseline parameters { name##_body arguments; }                                 \
  void name parameters {                                                                     \
    switch (vector_level()) {                                                                \
      case VectorLevel::kAvx512:                                                             \
        return name##_avx512 arguments;                                                      \
      case VectorLevel::kAvx2:                                                               \
        return name##_avx2 arguments;                                                        \
      case VectorLevel::kBaseline:                                                           \
        return name##_baseline arguments;                                                    \
    }                                                                                        \
  }

#else

#define TRIPTYCH_VECTOR_KERNEL(name, parameters, arguments) \
  void name parameters { name##_body arguments; }

#endif
