// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/ops/projector.h"

#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

namespace triptych {

/// Windows W(f) on the ramp |f|, f in cycles a detector column (at most 1/2).
enum class RampFilter {
  kRamLak,      ///< 1
  kSheppLogan,  ///< sin(pi f) / (pi f)
  kCosine,      ///< cos(pi f)
  kHamming,     ///< 0.54 + 0.46 cos(2 pi f)
  kHann         ///< 0.5 + 0.5 cos(2 pi f)
};
/// "ram_lak", "shepp_logan", "cosine", "hamming" or "hann"; throws usage_error naming these.
RampFilter ramp_filter_from_text(const std::string& text);
std::string ramp_filter_text(RampFilter filter);

/// Weight of each projection in the integral over angles, in radians.
///
/// Parallel beams: half the distance to both neighbours on the circle modulo 180 degrees, so that
/// uneven angles, 180 and 360 degrees work alike; the sum is pi. Fan beams: modulo 360 degrees, and
/// half of it, since a full scan sees every line twice; the sum is pi as well. A gap more than four
/// times the median one is a part that was not scanned, and its two ends count the median.
std::vector<double> angle_weights(const ScanGeometry& scan);

/// Projections ready for back projection: weighted and convolved with the windowed ramp.
///
/// [..., D, A, W] -> the same shape, in 1/cm. The ramp is the band-limited one in space, h(0) = 1/4
/// and h(n) = -1 / (pi n)^2 for odd n (Kak and Slaney 1988, eq. 3.61), zero-padded to a power of
/// two of at least 2 W, so that the mean is right. Fan beams are weighted by the cosine of the
/// ray's angle to the central ray before, and the ramp of a curved detector by (g / sin g)^2
/// (eq. 3.99-3.105). Differentiable.
at::Tensor filter_projections(const at::Tensor& projections,
                              const ScanGeometry& scan,
                              RampFilter filter = RampFilter::kRamLak);

/// Filtered back projection: [..., D, A, W] dimensionless -> [..., D, H, W] in 1/cm.
///
/// Each pixel takes from every filtered projection the linearly interpolated value at its own
/// detector position (zero beyond the outermost columns), weighted by angle_weights and, in fans,
/// by the inverse square of the distance from the source. Fans cover the full circle or, in
/// one piece, at least 180 degrees and the fan: then rays that are measured twice share their
/// weight (parker_weights); else geometry_error. Differentiable: the gradient is the exact adjoint
/// of filter and back projection. float32 on the CPU runs on threads; other tensors take LibTorch's
/// operators.
at::Tensor fbp(const at::Tensor& projections,
               const ScanGeometry& scan,
               const SliceGrid& grid,
               RampFilter filter = RampFilter::kRamLak);

}  // namespace triptych
