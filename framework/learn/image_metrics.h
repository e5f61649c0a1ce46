// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

namespace triptych {

/// Sums over the voxels of one region, from which the metrics of images follow. Values of a region
/// without voxels are NaN.
struct ImageErrorSums {
  double squared = 0.0;  ///< squared differences
  double voxels = 0.0;
  double similarity = 0.0;  ///< structural similarities, at voxels whose window fits
  double similarity_voxels = 0.0;

  double rmse() const;
  /// 20 log10(data_range / rmse), in dB; infinite for equal images.
  double psnr(double data_range) const;
  double ssim() const;
};

/// Errors of images against their references: over all voxels, and inside and outside of a mask.
///
/// Metrics are of everything seen, not means over images. The structural similarity is that of Wang
/// et al. (2004) in the slices [H, W], with a Gaussian window of 11 voxels and sigma 1.5, K1 =
/// 0.01, K2 = 0.03.
class ImageErrors {
 public:
  /// Numbers in state().
  static constexpr std::size_t kStateSize = 12;

  /// `data_range`: largest minus smallest possible grey value of the references, > 0.
  explicit ImageErrors(double data_range) : data_range_(data_range) {}

  /// image, reference: [N, C, D, H, W] of one shape; mask: undefined, or labels [N, 1, D, H, W]
  /// int64 that are 1 inside, 0 outside and -1 in neither.
  void add(const at::Tensor& image, const at::Tensor& reference, const at::Tensor& mask);

  const ImageErrorSums& all() const { return sums_[0]; }
  const ImageErrorSums& inside() const { return sums_[1]; }
  const ImageErrorSums& outside() const { return sums_[2]; }
  double data_range() const { return data_range_; }

  /// The sums, and their addition.
  std::vector<double> state() const;
  void merge(std::span<const double> state);

 private:
  void add_planes(const at::Tensor& image, const at::Tensor& reference, const at::Tensor& mask);

  double data_range_;
  std::array<ImageErrorSums, 3> sums_;
};

}  // namespace triptych
