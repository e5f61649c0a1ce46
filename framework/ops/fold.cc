// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/fold.h"

#include "framework/core/error.h"

#include <vector>

#include <ATen/ATen.h>

namespace triptych {

ConvolutionWeights fold_batch_norm(const at::Tensor& weight,
                                   const at::Tensor& bias,
                                   const BatchNormStatistics& norm) {
  const at::Tensor factor =
      norm.scale.to(at::kDouble) / (norm.variance.to(at::kDouble) + norm.epsilon).sqrt();
  std::vector<std::int64_t> per_channel(static_cast<std::size_t>(weight.dim()), 1);
  per_channel[0] = -1;
  at::Tensor shift = norm.shift.to(at::kDouble) - norm.mean.to(at::kDouble) * factor;
  if (bias.defined()) shift = shift + bias.to(at::kDouble) * factor;
  return {(weight.to(at::kDouble) * factor.view(per_channel)).to(weight.scalar_type()),
          shift.to(weight.scalar_type())};
}

ConvolutionWeights pointwise_from_transposed(const at::Tensor& weight, const at::Tensor& bias) {
  const std::int64_t axes = weight.dim() - 2;
  const std::int64_t blocks = std::int64_t{1} << axes;
  std::vector<std::int64_t> order;  // [in, out, b...] -> [b..., out, in]
  for (std::int64_t axis = 0; axis < axes; ++axis) order.push_back(2 + axis);
  order.push_back(1);
  order.push_back(0);
  std::vector<std::int64_t> shape(static_cast<std::size_t>(weight.dim()), 1);
  shape[0] = blocks * weight.size(1);
  shape[1] = weight.size(0);
  return {weight.permute(order).reshape(shape), bias.repeat({blocks})};
}

at::Tensor spread_blocks(const at::Tensor& x, std::int64_t channels) {
  const std::int64_t n = x.size(0);
  if (x.dim() == 4) {
    const std::int64_t h = x.size(2), w = x.size(3);
    return x.permute({0, 2, 3, 1})
        .reshape({n, h, w, 2, 2, channels})
        .permute({0, 1, 3, 2, 4, 5})
        .reshape({n, 2 * h, 2 * w, channels})
        .permute({0, 3, 1, 2});
  }
  TRIPTYCH_ASSERT(x.dim() == 5);
  const std::int64_t d = x.size(2), h = x.size(3), w = x.size(4);
  return x.permute({0, 2, 3, 4, 1})
      .reshape({n, d, h, w, 2, 2, 2, channels})
      .permute({0, 1, 4, 2, 5, 3, 6, 7})
      .reshape({n, 2 * d, 2 * h, 2 * w, channels})
      .permute({0, 4, 1, 2, 3});
}

}  // namespace triptych
