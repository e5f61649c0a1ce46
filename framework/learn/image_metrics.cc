// SPDX-License-Identifier: Apache-2.0
#include "framework/learn/image_metrics.h"

#include "framework/core/error.h"
#include "framework/core/shape.h"
#include "framework/ops/ssim.h"

#include <algorithm>
#include <cmath>

#include <ATen/ATen.h>

namespace triptych {
namespace {

/// Planes measured at a time: bounds the memory of the similarity's windows.
constexpr std::int64_t kPlanes = 16;

struct CountedSum {
  double sum = 0.0;
  double count = 0.0;
};

/// Sum of `values` [N, C, ...] where `chosen` [N, 1, ...] holds (undefined: everywhere).
CountedSum sum_where(const at::Tensor& values, const at::Tensor& chosen) {
  if (!chosen.defined())
    return {values.sum(at::kDouble).item<double>(), static_cast<double>(values.numel())};
  const double voxels = chosen.sum(at::kDouble).item<double>();
  return {(values * chosen).sum(at::kDouble).item<double>(),
          voxels * static_cast<double>(values.size(1))};
}

/// The voxels of `x` at which a similarity is known.
at::Tensor within_margin(at::Tensor x, const std::array<std::int64_t, 3>& margin) {
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const auto dim = static_cast<std::int64_t>(2 + axis);
    x = x.narrow(dim, margin[axis], x.size(dim) - 2 * margin[axis]);
  }
  return x;
}

}  // namespace

double ImageErrorSums::rmse() const {
  return voxels > 0.0 ? std::sqrt(squared / voxels) : std::nan("");
}

double ImageErrorSums::psnr(double data_range) const {
  return 20.0 * std::log10(data_range / rmse());
}

double ImageErrorSums::ssim() const {
  return similarity_voxels > 0.0 ? similarity / similarity_voxels : std::nan("");
}

void ImageErrors::add(const at::Tensor& image,
                      const at::Tensor& reference,
                      const at::Tensor& mask) {
  check_shape(reference, {kAny, kAny, kAny, kAny, kAny}, "reference");
  const auto n = reference.size(0), d = reference.size(2), h = reference.size(3),
             w = reference.size(4);
  check_shape(image, {n, reference.size(1), d, h, w}, "image to be measured");
  if (mask.defined()) check_shape(mask, {n, 1, d, h, w}, "mask");
  for (std::int64_t first = 0; first < d; first += kPlanes) {
    const std::int64_t planes = std::min(kPlanes, d - first);
    add_planes(image.narrow(2, first, planes).to(at::kFloat),
               reference.narrow(2, first, planes).to(at::kFloat),
               mask.defined() ? mask.narrow(2, first, planes) : mask);
  }
}

void ImageErrors::add_planes(const at::Tensor& image,
                             const at::Tensor& reference,
                             const at::Tensor& mask) {
  const SsimOptions options{.data_range = data_range_};
  const at::Tensor squared = (image - reference).square();
  const at::Tensor similarity = ssim_map(image, reference, options);
  const std::array<std::int64_t, 3> margin = ssim_margin(image, options);
  for (std::size_t region = 0; region < sums_.size(); ++region) {
    if (region > 0 && !mask.defined()) break;
    const at::Tensor chosen = region == 0 ? at::Tensor() : mask == (region == 1 ? 1 : 0);
    const CountedSum error = sum_where(squared, chosen);
    const CountedSum alike =
        sum_where(similarity, chosen.defined() ? within_margin(chosen, margin) : chosen);
    sums_[region].squared += error.sum;
    sums_[region].voxels += error.count;
    sums_[region].similarity += alike.sum;
    sums_[region].similarity_voxels += alike.count;
  }
}

std::vector<double> ImageErrors::state() const {
  std::vector<double> numbers;
  for (const ImageErrorSums& sums : sums_)
    numbers.insert(numbers.end(),
                   {sums.squared, sums.voxels, sums.similarity, sums.similarity_voxels});
  return numbers;
}

void ImageErrors::merge(std::span<const double> state) {
  TRIPTYCH_ASSERT(state.size() == kStateSize);
  for (std::size_t region = 0; region < sums_.size(); ++region) {
    const double* numbers = state.data() + 4 * region;
    sums_[region].squared += numbers[0];
    sums_[region].voxels += numbers[1];
    sums_[region].similarity += numbers[2];
    sums_[region].similarity_voxels += numbers[3];
  }
}

}  // namespace triptych
