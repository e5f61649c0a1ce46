// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace triptych {

/// Sixteen floats that the compiler keeps in as few registers as the processor allows. Reading it
/// through a float pointer is allowed and needs no alignment.
typedef float Vector16 __attribute__((vector_size(64), aligned(4), may_alias));

inline constexpr int kVectorFloats = 16;

}  // namespace triptych
