// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/ops/cpu_dispatch.h"

#include <cstdint>

namespace triptych {

/// e^x for -87 <= x <= 20: x = k ln 2 + r, |r| <= ln 2 / 2, Taylor in r (relative error 1e-7),
/// times 2^k by bits. Loops over it vectorise.
TRIPTYCH_ALWAYS_INLINE float bounded_exp(float x) {
  constexpr float kRound =
      12582912.0F;  // 1.5 * 2^23: adding it leaves the nearest integer in the low bits
  const float k = (x * 1.44269504F + kRound) - kRound;
  const float r = (x - k * 0.693359375F) + k * 2.12194440e-4F;
  float p = 1.0F / 720.0F;
  p = p * r + 1.0F / 120.0F;
  p = p * r + 1.0F / 24.0F;
  p = p * r + 1.0F / 6.0F;
  p = p * r + 0.5F;
  p = p * r + 1.0F;
  p = p * r + 1.0F;
  // The built-in, since std::bit_cast compiled without optimisation would be called, and no loop
  // vectorised.
  return p * __builtin_bit_cast(float, (static_cast<std::int32_t>(k) + 127) << 23);
}

}  // namespace triptych
