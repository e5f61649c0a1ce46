// SPDX-License-Identifier: Apache-2.0
#include "framework/data/harmonise.h"

#include "framework/core/error.h"
#include "framework/data/dense.h"
#include "framework/data/intensity.h"
#include "framework/image/resample.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <map>

namespace triptych {
namespace {

constexpr std::size_t kHalf = std::size_t{1} << 16;

/// Unsigned integers in the order of the floats they come from.
std::uint32_t ordered_bits(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  return (bits & 0x80000000U) != 0 ? ~bits : bits | 0x80000000U;
}

float from_ordered_bits(std::uint32_t bits) {
  return std::bit_cast<float>((bits & 0x80000000U) != 0 ? bits & 0x7fffffffU : ~bits);
}

template <class Visit>
void for_each_finite(const at::Tensor& block, Visit visit) {
  const at::Tensor values = dense_float(block);
  const float* value = values.data_ptr<float>();
  for (std::int64_t i = 0; i < values.numel(); ++i) {
    if (std::isfinite(value[i])) visit(value[i]);
  }
}

/// Values at given ranks of all values: the bin of the upper 16 bits is known after the first pass,
/// the second counts the lower 16 bits inside the few bins that hold a wanted rank.
std::map<std::int64_t, double> values_at_ranks(const BlockSource& blocks,
                                               const std::vector<std::int64_t>& upper,
                                               const std::vector<std::int64_t>& ranks) {
  std::map<std::uint32_t, std::vector<std::int64_t>> lower;
  std::map<std::int64_t, std::pair<std::uint32_t, std::int64_t>>
      places;  // rank -> bin, rank inside the bin
  for (const std::int64_t rank : ranks) {
    std::int64_t before = 0;
    std::uint32_t bin = 0;
    while (before + upper[bin] <= rank) before += upper[bin++];
    places[rank] = {bin, rank - before};
    lower.try_emplace(bin, kHalf, 0);
  }
  std::vector<std::vector<std::int64_t>*> counts(kHalf, nullptr);
  for (auto& [bin, histogram] : lower) counts[bin] = &histogram;
  blocks([&](const at::Tensor& block) {
    for_each_finite(block, [&](float value) {
      const std::uint32_t bits = ordered_bits(value);
      if (auto* histogram = counts[bits >> 16]) ++(*histogram)[bits & 0xffffU];
    });
  });
  std::map<std::int64_t, double> result;
  for (const auto& [rank, place] : places) {
    const auto& histogram = lower.at(place.first);
    std::int64_t before = 0;
    std::uint32_t bin = 0;
    while (before + histogram[bin] <= place.second) before += histogram[bin++];
    result[rank] = static_cast<double>(from_ordered_bits(place.first << 16 | bin));
  }
  return result;
}

}  // namespace

IntensityStatistics measure_intensities(const BlockSource& blocks,
                                        double low_percentile,
                                        double high_percentile) {
  IntensityStatistics result;
  std::vector<std::int64_t> upper(kHalf, 0);
  double sum = 0.0;
  double squares = 0.0;
  double shift = 0.0;  // sums around the first value lose less to cancellation
  std::int64_t total = 0;
  blocks([&](const at::Tensor& block) {
    total += block.numel();
    for_each_finite(block, [&](float single) {
      const auto value = static_cast<double>(single);
      if (result.count++ == 0) {
        shift = result.minimum = result.maximum = value;
      }
      result.minimum = std::min(result.minimum, value);
      result.maximum = std::max(result.maximum, value);
      sum += value - shift;
      squares += (value - shift) * (value - shift);
      ++upper[ordered_bits(single) >> 16];
    });
  });
  result.not_finite = total - result.count;
  if (result.count == 0) return result;
  const auto count = static_cast<double>(result.count);
  result.mean = shift + sum / count;
  result.deviation = std::sqrt(std::max(0.0, squares / count - (sum / count) * (sum / count)));
  std::array<double, 2> places{};
  std::vector<std::int64_t> ranks;
  for (std::size_t i = 0; i < 2; ++i) {
    places[i] = (i == 0 ? low_percentile : high_percentile) / 100.0 * (count - 1.0);
    ranks.push_back(static_cast<std::int64_t>(std::floor(places[i])));
    ranks.push_back(static_cast<std::int64_t>(std::ceil(places[i])));
  }
  const auto values = values_at_ranks(blocks, upper, ranks);
  const auto interpolated = [&](std::size_t i) {
    const double lower = values.at(ranks[2 * i]);
    return lower + (values.at(ranks[2 * i + 1]) - lower) * (places[i] - std::floor(places[i]));
  };
  result.low = interpolated(0);
  result.high = interpolated(1);
  return result;
}

IntensityStatistics measure_intensities(const at::Tensor& values,
                                        double low_percentile,
                                        double high_percentile) {
  return measure_intensities(
      [&](const auto& block) { block(values); }, low_percentile, high_percentile);
}

at::Tensor IntensityMap::apply(const at::Tensor& values) const {
  return mapped_values(values, [this](float* value, std::int64_t count) {
    for (std::int64_t i = 0; i < count; ++i) {
      value[i] =
          static_cast<float>(std::clamp(static_cast<double>(value[i]), low, high) * scale + offset);
    }
  });
}

void HarmoniseConfig::validate(config::Problems& problems) const {
  if (low_percentile >= high_percentile)
    problems.add("high_percentile", "must be above low_percentile");
  if (mode == "window" && (window.size() != 2 || !(window[0] < window[1]))) {
    problems.add("window", "must be [low, high] with low < high for mode window");
  }
  if (mode != "window" && !window.empty())
    problems.add("window", "has no effect unless mode is window");
  if (spacing_mm.size() != 0 && spacing_mm.size() != 1 && spacing_mm.size() != 3) {
    problems.add("spacing_mm", "must be [], [s] or [x, y, z]");
  }
}

std::optional<Eigen::Vector3d> HarmoniseConfig::target_spacing() const {
  if (spacing_mm.empty()) return std::nullopt;
  if (spacing_mm.size() == 1) return Eigen::Vector3d::Constant(spacing_mm[0]);
  return Eigen::Vector3d(spacing_mm.at(0), spacing_mm.at(1), spacing_mm.at(2));
}

IntensityMap fit_intensities(const IntensityStatistics& statistics,
                             const HarmoniseConfig& config,
                             const std::string& name) {
  const auto flat = [&](const std::string& what) {
    return data_error(fmt::format("{}: expected an image with contrast, got {}", name, what),
                      "leave the file out, or set harmonise.mode to none");
  };
  IntensityMap map;
  if (config.mode == "window") {
    map.low = config.window[0];
    map.high = config.window[1];
  } else if (config.mode == "percentile") {
    map.low = statistics.low;
    map.high = statistics.high;
    if (!(map.low < map.high)) {
      // Sparse images may be flat between the percentiles and still have contrast.
      map.low = statistics.minimum;
      map.high = statistics.maximum;
    }
    if (!(map.low < map.high)) throw flat(fmt::format("{} everywhere", statistics.minimum));
  } else if (config.mode == "zscore") {
    if (!(statistics.deviation > 0.0)) throw flat(fmt::format("{} everywhere", statistics.minimum));
    map.scale = 1.0 / statistics.deviation;
    map.offset = -statistics.mean / statistics.deviation;
    return map;
  } else {
    return map;
  }
  map.scale = 1.0 / (map.high - map.low);
  map.offset = -map.low * map.scale;
  return map;
}

IntensityMap measured_intensity_map(const BlockSource& blocks,
                                    const HarmoniseConfig& config,
                                    const std::string& name) {
  IntensityStatistics statistics;
  if (config.needs_statistics())
    statistics = measure_intensities(blocks, config.low_percentile, config.high_percentile);
  return fit_intensities(statistics, config, name);
}

Volume harmonise(const Volume& volume, const HarmoniseConfig& config, const std::string& name) {
  const BlockSource whole = [&](const auto& block) { block(volume.data); };
  return harmonise(volume, config, measured_intensity_map(whole, config, name));
}

Volume harmonise(const Volume& volume, const HarmoniseConfig& config, const IntensityMap& map) {
  // Grey values first, by the voxels as measured: interpolation would narrow the percentiles, and
  // beyond the field of view the resampled volume is 0, the low end of the new scale.
  Volume result = volume;
  result.data = map.is_identity() ? dense_float(volume.data) : map.apply(volume.data);
  if (const auto spacing = config.target_spacing()) {
    Volume resampled = resample_to_spacing(result, *spacing, Interpolation::kLinear);
    result.data = std::move(resampled.data);
    result.geometry = resampled.geometry;
  }
  return result;
}

}  // namespace triptych
