// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/image_quality.h"

#include "framework/core/error.h"
#include "framework/core/parallel.h"
#include "framework/image/slabs.h"
#include "framework/ops/otsu.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <limits>
#include <span>
#include <vector>

#include <ATen/ATen.h>

namespace triptych {
namespace {

constexpr std::int64_t kSlabVoxels = 1 << 22;
constexpr std::int64_t kBlock = 8;  ///< pixels along an edge of a block with one structure tensor
constexpr std::size_t kBins = 256;
constexpr double kMaskNorm = 6.0;           ///< of Immerkaer's mask
constexpr double kMedianOfNormal = 0.6745;  ///< of |x| for x of the standard normal distribution

using Histogram = std::array<double, kBins>;

/// A slice [height, width], row by row.
struct Slice {
  const float* pixels;
  std::int64_t height, width;
  double at(std::int64_t y, std::int64_t x) const {
    return static_cast<double>(pixels[y * width + x]);
  }
};

/// Calls body(slice, its number) for all slices of all channels, in parallel within a slab.
void for_each_slice(const VolumeSource& image,
                    const std::function<void(const Slice&, std::size_t)>& body) {
  const Index3& shape = image.geometry.shape;
  const std::int64_t pixels = shape[1] * shape[2];
  for (std::int64_t channel = 0; channel < image.channels; ++channel) {
    for (const Region& slab :
         slabs_of_slices(shape, std::max<std::int64_t>(1, kSlabVoxels / pixels))) {
      const at::Tensor values = image.read(channel, slab).to(at::kFloat).contiguous();
      const float* data = values.data_ptr<float>();
      const std::int64_t first = channel * shape[0] + slab.start[0];
      parallel_for(slab.size[0], 1, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i)
          body({data + i * pixels, shape[1], shape[2]}, static_cast<std::size_t>(first + i));
      });
    }
  }
}

/// Sums over one slice.
struct SliceSums {
  double sum = 0.0, squares = 0.0;
  double low = std::numeric_limits<double>::infinity(), high = -low;
  double noise = 0.0;          ///< standard deviation
  double slope_squares = 0.0;  ///< over the pixels inside
  double coherent = 0.0, energy = 0.0;
};

void add_values(const Slice& slice, SliceSums& sums) {
  for (std::int64_t i = 0; i < slice.height * slice.width; ++i) {
    const auto value = static_cast<double>(slice.pixels[i]);
    sums.sum += value;
    sums.squares += value * value;
    sums.low = std::min(sums.low, value);
    sums.high = std::max(sums.high, value);
  }
}

double slice_noise(const Slice& slice) {
  std::vector<float> response;
  response.reserve(static_cast<std::size_t>((slice.height - 2) * (slice.width - 2)));
  for (std::int64_t y = 1; y + 1 < slice.height; ++y) {
    for (std::int64_t x = 1; x + 1 < slice.width; ++x) {
      const auto along_x = [&](std::int64_t row) {
        return slice.at(row, x - 1) - 2.0 * slice.at(row, x) + slice.at(row, x + 1);
      };
      const double second = along_x(y - 1) - 2.0 * along_x(y) + along_x(y + 1);
      response.push_back(static_cast<float>(std::abs(second)));
    }
  }
  const auto middle = response.begin() + static_cast<std::ptrdiff_t>(response.size() / 2);
  std::nth_element(response.begin(), middle, response.end());
  return static_cast<double>(*middle) / (kMaskNorm * kMedianOfNormal);
}

/// Slopes of the pixels inside, block by block.
void add_slopes(const Slice& slice, SliceSums& sums) {
  for (std::int64_t top = 1; top + 1 < slice.height; top += kBlock) {
    for (std::int64_t left = 1; left + 1 < slice.width; left += kBlock) {
      double xx = 0.0, yy = 0.0, xy = 0.0;
      for (std::int64_t y = top; y < std::min(top + kBlock, slice.height - 1); ++y) {
        for (std::int64_t x = left; x < std::min(left + kBlock, slice.width - 1); ++x) {
          const double dx = 0.5 * (slice.at(y, x + 1) - slice.at(y, x - 1));
          const double dy = 0.5 * (slice.at(y + 1, x) - slice.at(y - 1, x));
          xx += dx * dx;
          yy += dy * dy;
          xy += dx * dy;
        }
      }
      sums.slope_squares += xx + yy;
      sums.energy += xx + yy;
      sums.coherent += std::hypot(xx - yy, 2.0 * xy);
    }
  }
}

SliceSums measured(const Slice& slice) {
  SliceSums sums;
  add_values(slice, sums);
  if (!std::isfinite(sums.squares)) return sums;  // NaN cannot be sorted
  sums.noise = slice_noise(slice);
  add_slopes(slice, sums);
  return sums;
}

SliceSums total(const std::vector<SliceSums>& slices) {
  SliceSums all;
  double noise_squares = 0.0;
  for (const SliceSums& slice : slices) {
    all.sum += slice.sum;
    all.squares += slice.squares;
    all.low = std::min(all.low, slice.low);
    all.high = std::max(all.high, slice.high);
    all.slope_squares += slice.slope_squares;
    all.coherent += slice.coherent;
    all.energy += slice.energy;
    noise_squares += slice.noise * slice.noise;
  }
  all.noise = std::sqrt(noise_squares / static_cast<double>(slices.size()));
  return all;
}

/// Counts by bin, from the smallest to the largest value of the image.
Histogram histogram_of(const VolumeSource& image, double low, double high) {
  const auto slices = static_cast<std::size_t>(image.channels * image.geometry.shape[0]);
  std::vector<std::array<std::uint32_t, kBins>> counts(slices);
  const double scale = static_cast<double>(kBins) / (high - low);
  for_each_slice(image, [&](const Slice& slice, std::size_t number) {
    for (std::int64_t i = 0; i < slice.height * slice.width; ++i) {
      const double bin = (static_cast<double>(slice.pixels[i]) - low) * scale;
      ++counts[number][std::min(kBins - 1, static_cast<std::size_t>(std::max(0.0, bin)))];
    }
  });
  Histogram histogram{};
  for (const auto& slice : counts) {
    for (std::size_t bin = 0; bin < kBins; ++bin) histogram[bin] += slice[bin];
  }
  return histogram;
}

double entropy_bits(const Histogram& histogram, double voxels) {
  double bits = 0.0;
  for (const double count : histogram) {
    if (count > 0.0) bits -= count / voxels * std::log2(count / voxels);
  }
  return bits;
}

/// Distance of the means of Otsu's two classes, in bins.
double otsu_distance(const Histogram& histogram) {
  const std::size_t cut = otsu_cuts(std::span<const double>(histogram), 2).front();
  std::array<double, 2> sum{}, count{};
  for (std::size_t bin = 0; bin < kBins; ++bin) {
    const std::size_t side = bin < cut ? 0 : 1;
    sum[side] += histogram[bin] * static_cast<double>(bin);
    count[side] += histogram[bin];
  }
  return sum[1] / count[1] - sum[0] / count[0];
}

void check_measurable(const VolumeSource& image) {
  const Index3& shape = image.geometry.shape;
  if (shape[1] >= 3 && shape[2] >= 3) return;
  throw data_error(fmt::format(
      "image quality: expected slices of at least 3 x 3 pixels, got {} x {}", shape[1], shape[2]));
}

}  // namespace

ImageQuality image_quality(const VolumeSource& image) {
  check_measurable(image);
  const Index3& shape = image.geometry.shape;
  std::vector<SliceSums> slices(static_cast<std::size_t>(image.channels * shape[0]));
  for_each_slice(image,
                 [&](const Slice& slice, std::size_t number) { slices[number] = measured(slice); });
  const SliceSums all = total(slices);
  if (!std::isfinite(all.squares)) {
    throw data_error("image quality: expected finite grey values, got NaN or infinite ones");
  }
  ImageQuality quality;
  quality.voxels = image.channels * image.geometry.voxels();
  const auto voxels = static_cast<double>(quality.voxels);
  const double inside =
      static_cast<double>(image.channels * shape[0] * (shape[1] - 2) * (shape[2] - 2));
  quality.mean = all.sum / voxels;
  const double variance = std::max(0.0, all.squares / voxels - quality.mean * quality.mean);
  quality.standard_deviation = std::sqrt(variance);
  quality.noise = all.noise;
  const double slope = all.slope_squares / inside - all.noise * all.noise;
  const double structure = variance - all.noise * all.noise;
  if (slope > 0.0 && structure > 0.0) quality.sharpness = std::sqrt(slope / structure);
  if (all.energy > 0.0) quality.streak_index = all.coherent / all.energy;
  if (all.high <= all.low) {
    quality.contrast_to_noise = std::numeric_limits<double>::quiet_NaN();
    return quality;
  }
  const Histogram histogram = histogram_of(image, all.low, all.high);
  quality.entropy = entropy_bits(histogram, voxels);
  quality.contrast_to_noise =
      otsu_distance(histogram) * (all.high - all.low) / static_cast<double>(kBins) / all.noise;
  return quality;
}

}  // namespace triptych
