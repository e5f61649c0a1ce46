// SPDX-License-Identifier: Apache-2.0
#include "framework/learn/optimizer_loops.h"

#include <cmath>

namespace triptych {

void adam_update(float* __restrict__ parameter,
                 const float* __restrict__ gradient,
                 float* __restrict__ first_moment,
                 float* __restrict__ second_moment,
                 std::int64_t count,
                 const AdamCoefficients& c) {
  const AdamCoefficients k = c;  // a local copy cannot alias the arrays, so the loop vectorises
  for (std::int64_t i = 0; i < count; ++i) {
    const float weight = parameter[i] * k.shrink;
    const float slope = gradient[i] + k.l2_penalty * weight;
    const float mean = k.beta1 * first_moment[i] + k.rest1 * slope;
    const float square = k.beta2 * second_moment[i] + k.rest2 * slope * slope;
    first_moment[i] = mean;
    second_moment[i] = square;
    parameter[i] =
        weight - k.step_size * mean / (std::sqrt(square) / k.second_correction + k.epsilon);
  }
}

void sgd_update(float* __restrict__ parameter,
                const float* __restrict__ gradient,
                float* __restrict__ buffer,
                std::int64_t count,
                const SgdCoefficients& c) {
  const SgdCoefficients k = c;
  if (buffer == nullptr) {
    for (std::int64_t i = 0; i < count; ++i) {
      parameter[i] -= k.lr * (gradient[i] + k.l2_penalty * parameter[i]);
    }
    return;
  }
  const float kept = k.first ? 0.0F : k.momentum;
  const float own = k.nesterov ? 1.0F : 0.0F;
  const float carried = k.nesterov ? k.momentum : 1.0F;
  for (std::int64_t i = 0; i < count; ++i) {
    const float slope = gradient[i] + k.l2_penalty * parameter[i];
    const float velocity = kept * buffer[i] + slope;
    buffer[i] = velocity;
    parameter[i] -= k.lr * (own * slope + carried * velocity);
  }
}

}  // namespace triptych
