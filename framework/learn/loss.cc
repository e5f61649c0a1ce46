// SPDX-License-Identifier: Apache-2.0
#include "framework/learn/loss.h"

#include <ATen/ATen.h>

namespace triptych {

at::Tensor counted_voxels(const at::Tensor& labels, const LossContext& context) {
  const at::Tensor labelled = labels != context.ignore_label;
  return context.mask.defined() ? labelled & context.mask.squeeze(1) : labelled;
}

}  // namespace triptych
