// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/config/fields.h"
#include "framework/data/sample.h"
#include "framework/image/volume.h"

#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <vector>

namespace triptych {

/// What a whole volume's values look like; percentiles are exact order statistics with linear
/// interpolation between them.
struct IntensityStatistics {
  std::int64_t count = 0;       ///< finite values
  std::int64_t not_finite = 0;  ///< NaN and infinite values, left out of everything else
  double minimum = 0.0;
  double maximum = 0.0;
  double mean = 0.0;
  double deviation = 0.0;
  double low = 0.0;   ///< the lower percentile asked for
  double high = 0.0;  ///< the upper percentile asked for
};

/// Gives a volume block by block: calls its argument once for every block, the same blocks at every
/// call.
using BlockSource = std::function<void(const std::function<void(const at::Tensor&)>& block)>;

/// Statistics of a volume that need not fit in memory: two passes over its blocks (a histogram of
/// the upper and of the lower half of each float's ordered bit pattern finds any order statistic
/// exactly).
IntensityStatistics measure_intensities(const BlockSource& blocks,
                                        double low_percentile,
                                        double high_percentile);
IntensityStatistics measure_intensities(const at::Tensor& values,
                                        double low_percentile,
                                        double high_percentile);

/// clamp(value, low, high) * scale + offset.
struct IntensityMap {
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
  double scale = 1.0;
  double offset = 0.0;

  bool is_identity() const {
    return scale == 1.0 && offset == 0.0 && !(low > -1e300) && !(high < 1e300);
  }
  /// A new float32 tensor.
  at::Tensor apply(const at::Tensor& values) const;
};

/// Brings volumes of different devices to one voxel size and one grey scale. The defaults follow
/// the published working data: clip to the 0.5 % and 99.9 % percentiles of the whole volume, scale
/// linearly to [0, 1].
struct HarmoniseConfig {
  std::string mode = "percentile";
  double low_percentile = 0.5;
  double high_percentile = 99.9;
  std::vector<double> window;
  std::vector<double> spacing_mm;

  void visit(auto& field) {
    field("mode",
          mode,
          "grey values: percentile = clip and scale to [0, 1]; window = a fixed window to [0, 1]; "
          "zscore = mean 0 and deviation 1; none",
          config::OneOf{"percentile", "window", "zscore", "none"});
    field("low_percentile",
          low_percentile,
          "lower percentile of the whole volume",
          config::Between{0.0, 100.0},
          config::Unit{"%"});
    field("high_percentile",
          high_percentile,
          "upper percentile of the whole volume",
          config::Between{0.0, 100.0},
          config::Unit{"%"});
    field("window", window, "[low, high] grey values that become 0 and 1, for mode window");
    field("spacing_mm",
          spacing_mm,
          "voxel size to resample to: one number, or [x, y, z]; [] keeps each volume's own",
          config::Above{0.0},
          config::Unit{"mm"});
  }
  void validate(config::Problems& problems) const;

  /// True when the grey values depend on statistics of the volume.
  bool needs_statistics() const { return mode == "percentile" || mode == "zscore"; }
  std::optional<Eigen::Vector3d> target_spacing() const;
};

/// The grey-value map of a volume with these statistics; `name` is for the error of a volume
/// without contrast (data_error).
IntensityMap fit_intensities(const IntensityStatistics& statistics,
                             const HarmoniseConfig& config,
                             const std::string& name);

/// The same from the voxels, which are measured only if the mode asks for it.
IntensityMap measured_intensity_map(const BlockSource& blocks,
                                    const HarmoniseConfig& config,
                                    const std::string& name);

/// Everything for one volume in memory: grey values by `map`, and resampling; float32.
Volume harmonise(const Volume& volume, const HarmoniseConfig& config, const IntensityMap& map);
/// The same with the map of the volume's own voxels.
Volume harmonise(const Volume& volume, const HarmoniseConfig& config, const std::string& name);

}  // namespace triptych
