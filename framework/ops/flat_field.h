// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

namespace triptych {

/// Transmissions below this count as none: a single count of a 16-bit detector is more.
inline constexpr double kLowestTransmission = 1e-5;

/// Median over frames [F, D, W] -> [D, W]; the mean of the two middle values where F is even. One
/// frame with a spark or a moved sample does not matter, as it would in a mean.
at::Tensor median_frame(const at::Tensor& frames);

/// Share, in [0, 1], of the pixels of flats [F, D, W] whose median over the frames is at or beyond
/// `saturation`.
double saturated_share(const at::Tensor& flats, double saturation);

/// Transmission (I - dark) / (flat - dark) of projections [A, D, W] for a flat and a dark [D, W].
/// Zero where the flat is not above the dark: such a pixel measures nothing.
at::Tensor flat_field_corrected(const at::Tensor& projections,
                                const at::Tensor& flat,
                                const at::Tensor& dark);

/// Transmission of projections [A, D, W] without flats: each row of each projection is divided by
/// the line through the means of its outermost `margin` columns on both sides, where there must be
/// air. Throws data_error when air is not above zero there.
at::Tensor air_normalised(const at::Tensor& projections, std::int64_t margin);

struct RepairedTransmission {
  at::Tensor values;              ///< at least kLowestTransmission everywhere
  std::int64_t interpolated = 0;  ///< values of short runs, made from their neighbours in the row
  std::int64_t clamped = 0;       ///< values of longer runs, set to kLowestTransmission
};
/// Transmissions [..., W] that have a logarithm. Values below kLowestTransmission (zero and
/// negative counts) come from dead or noisy pixels where up to 5 neighbour each other in a row, and
/// are interpolated linearly along it; longer runs are matter that lets nothing through.
RepairedTransmission repaired_transmission(const at::Tensor& transmission);

/// Line integrals -ln(transmission), dimensionless.
at::Tensor line_integrals(const at::Tensor& transmission);

/// Sinograms [..., W] -> [..., W + 2 * margin] continued by their outermost values, which spares
/// the bright rim where an object is wider than the detector.
at::Tensor extend_columns(const at::Tensor& sinograms, std::int64_t margin);

}  // namespace triptych
