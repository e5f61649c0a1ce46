// SPDX-License-Identifier: Apache-2.0
#include "framework/learn/weighting.h"

#include <stdexcept>

namespace triptych {

at::Tensor Weighting::aggregate(const at::Tensor&, const at::Tensor&, const at::Tensor&) {
  throw std::logic_error("aggregate() called on a weighting that combines losses");
}

}  // namespace triptych
