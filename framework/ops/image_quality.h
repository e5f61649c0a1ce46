// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/image/io.h"

#include <cstdint>

namespace triptych {

/// What can be said of an image without a reference. For comparing an image with what was made of
/// it: structure counts as noise, as sharpness and as streaks to some degree, so one figure alone
/// says little.
struct ImageQuality {
  std::int64_t voxels = 0;
  double mean = 0.0;                ///< grey values
  double standard_deviation = 0.0;  ///< grey values
  /// Standard deviation of the noise, in grey values: each slice is convolved with [1 -2 1; -2 4
  /// -2; 1 -2 1], which cancels planes (Immerkaer, Computer Vision and Image Understanding 64(2),
  /// 1996); the median of the absolute response over 6 * 0.6745 is robust against edges (Donoho and
  /// Johnstone, Biometrika 81, 1994). Of slices the root mean square. Meant for white noise: that
  /// of filtered back projection, which neighbours share, comes out too low.
  double noise = 0.0;
  /// Root mean square slope of the structure in the slices, per pixel and relative to its standard
  /// deviation: sqrt((mean |gradient|^2 - noise^2) / (variance - noise^2)) with central
  /// differences. A wave of angular frequency k has sin(k); blur lowers it. 0 where noise is all
  /// there is.
  double sharpness = 0.0;
  /// Distance of the means of the two classes of Otsu's threshold over `noise`; infinite without
  /// noise, NaN for a constant image.
  double contrast_to_noise = 0.0;
  /// Shannon entropy of the histogram of 256 bins from the smallest to the largest value, in bits.
  double entropy = 0.0;
  /// How far the texture runs along lines, in [0, 1]: of the structure tensors J of blocks of 8 x 8
  /// pixels, sum of (lambda_1 - lambda_2) over sum of (lambda_1 + lambda_2) (coherence, Bigun and
  /// Granlund, ICCV 1987). 1 for parallel lines, near 0.13 for white noise.
  double streak_index = 0.0;
};

/// Measures every slice [H, W] of every channel, in two passes over `image`, some tens of MB at a
/// time. The result does not depend on the number of threads. Slices need at least 3 x 3 pixels,
/// and grey values have to be finite: data_error otherwise.
ImageQuality image_quality(const VolumeSource& image);

}  // namespace triptych
