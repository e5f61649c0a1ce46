// SPDX-License-Identifier: Apache-2.0
#include "framework/learn/loss.h"

#include "framework/core/shape.h"

#include <ATen/ATen.h>

namespace triptych {

at::Tensor counted_voxels(const at::Tensor& labels, const LossContext& context) {
  const at::Tensor labelled = labels != context.ignore_label;
  return context.mask.defined() ? labelled & context.mask.squeeze(1) : labelled;
}

void check_images(const at::Tensor& prediction, const at::Tensor& target, const std::string& loss) {
  check_shape(target, {kAny, kAny, kAny, kAny, kAny}, loss + ": target");
  check_shape(prediction,
              {target.size(0), target.size(1), target.size(2), target.size(3), target.size(4)},
              loss + ": prediction");
}

at::Tensor masked_mean(const at::Tensor& values, const at::Tensor& mask) {
  if (!mask.defined()) return values.mean();
  const at::Tensor counted = mask.expand_as(values).to(values.scalar_type());
  return (values * counted).sum() / counted.sum().clamp_min(1.0);
}

}  // namespace triptych
