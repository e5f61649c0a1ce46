// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace triptych {

/// Numbers of one Adam update, the same for all elements of a parameter.
struct AdamCoefficients {
  float beta1 = 0.0F;
  float beta2 = 0.0F;
  float rest1 =
      1.0F;  ///< 1 - beta1; taken in double, because 1.0F - 0.999F is wrong in the fifth digit
  float rest2 = 1.0F;  ///< 1 - beta2
  float epsilon = 0.0F;
  float step_size = 0.0F;          ///< lr / (1 - beta1^t)
  float second_correction = 1.0F;  ///< sqrt(1 - beta2^t)
  float l2_penalty = 0.0F;         ///< added to the gradient as l2_penalty * parameter (Adam)
  float shrink = 1.0F;  ///< factor on the parameter before the update, 1 - lr * decay (AdamW)
};

/// Numbers of one SGD update.
struct SgdCoefficients {
  float lr = 0.0F;
  float momentum = 0.0F;
  float l2_penalty = 0.0F;
  bool nesterov = false;
  bool first = false;  ///< the momentum buffer takes the gradient as it is
};

/// Each element is read and written once: an update costs the memory traffic of its tensors and no
/// temporary. All pointers address `count` floats in one order; none may overlap.
void adam_update(float* parameter,
                 const float* gradient,
                 float* first_moment,
                 float* second_moment,
                 std::int64_t count,
                 const AdamCoefficients& c);

/// `buffer` may be null when momentum is 0.
void sgd_update(float* parameter,
                const float* gradient,
                float* buffer,
                std::int64_t count,
                const SgdCoefficients& c);

}  // namespace triptych
