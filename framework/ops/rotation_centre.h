// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

namespace triptych {

/// Detector column of the rotation axis of a parallel beam, and how it was found.
struct RotationCentre {
  double column = 0.0;
  std::string method;          ///< "pairs" or "fourier"
  bool at_search_end = false;  ///< the best column is the first or last that was tried
};

/// Finds the axis from sinograms [D, A, W] of line integrals: the median of what each finds.
///
/// `method` is "pairs", "fourier" or "auto": pairs for scans of more than 180 degrees in which at
/// least an eighth of the views, and eight, have an opposite one; also for fewer than 90 views when
/// one of them has. Angles may be in any order. Throws data_error when the views cover less than
/// 170 degrees, or none has an opposite one for "pairs".
RotationCentre find_rotation_centre(const at::Tensor& sinograms,
                                    const std::vector<double>& angles_rad,
                                    const std::string& method = "auto");

/// From opposite views: p(a, u) = p(a + 180 degrees, 2 c - u). The mean squared difference over the
/// columns that both cover is least at the centre; half columns are tried, at least a quarter of
/// the detector from its ends, and a parabola gives the rest. An opposite view is interpolated
/// between its neighbours.
RotationCentre centre_from_pairs(const at::Tensor& sinogram, const std::vector<double>& angles_rad);

/// From the Fourier transform (Vo, Drakopoulos, Atwood and Reinhard 2014, Optics Express 22:19078):
/// a sinogram of 180 degrees and its mirror about the centre make one of 360 degrees, whose
/// spectrum has least outside of the double wedge when the centre is right. Tried within an eighth
/// of the detector about its middle.
RotationCentre centre_from_spectrum(const at::Tensor& sinogram,
                                    const std::vector<double>& angles_rad);

}  // namespace triptych
