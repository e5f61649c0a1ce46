// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/ops/packed_slices.h"

#include <cstdint>
#include <vector>

namespace triptych {

/// The convolution of filter_projections on packed projections (rows = angles), in place.
///
/// Sixteen slices are the real and sixteen the imaginary part of one complex Fourier transform:
/// since the response is real and even, the parts do not mix. Forward transforms leave bit-reversed
/// order, which the inverse takes, so nothing is reordered.
class RampKernel {
 public:
  /// `response` is that of ramp_response, `column_weights` [columns] multiply before it.
  RampKernel(const std::vector<double>& response, const std::vector<double>& column_weights);

  void apply(PackedSlices& projections) const;
  /// The adjoint: the weights multiply after the convolution.
  void apply_adjoint(PackedSlices& projections) const;

 private:
  void convolve(PackedSlices& projections, const float* before, const float* after) const;

  std::int64_t padded_;
  std::vector<float> response_;        ///< [padded], bit-reversed order, divided by padded
  std::vector<float> cosine_, sine_;   ///< [padded / 2], of 2 pi k / padded
  std::vector<float> weights_, ones_;  ///< [columns]
};

}  // namespace triptych
