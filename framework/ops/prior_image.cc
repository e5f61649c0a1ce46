// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/prior_image.h"

#include "framework/core/error.h"
#include "framework/core/parallel.h"
#include "framework/core/shape.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <mutex>
#include <numbers>
#include <vector>

#include <ATen/ATen.h>

namespace triptych {
namespace {

constexpr double kLinesPerPixel = 16.0;  ///< parallel rays that are told apart
constexpr std::int64_t kLineGrain = 4;   ///< directions that one thread takes

struct Pixel {
  double row, column;
};

/// What the parallel rays of one direction, and of the opposite one, meet in a slice.
class RayFan {
 public:
  RayFan(std::int64_t rows, std::int64_t columns, double angle_rad)
      : along_{std::sin(angle_rad), std::cos(angle_rad)} {
    const double diagonal = std::hypot(static_cast<double>(rows), static_cast<double>(columns));
    first_ = -diagonal - 1.0;
    const auto lines = static_cast<std::size_t>(std::ceil(2.0 * (diagonal + 1.0) * kLinesPerPixel));
    nearest_.assign(lines, std::numeric_limits<double>::infinity());
    farthest_.assign(lines, -std::numeric_limits<double>::infinity());
  }

  void add_metal(const Pixel& pixel) {
    // A square's half width across the rays.
    const double reach = 0.5 * (std::abs(along_.row) + std::abs(along_.column));
    const double place = position(pixel);
    const std::size_t end = line_of(across(pixel) + reach);
    for (std::size_t line = line_of(across(pixel) - reach); line <= end; ++line) {
      nearest_[line] = std::min(nearest_[line], place);
      farthest_[line] = std::max(farthest_[line], place);
    }
  }

  /// Rays of the two directions, 0 to 2, on which the pixel sees metal.
  int seen_from(const Pixel& pixel) const {
    const std::size_t line = line_of(across(pixel));
    const double place = position(pixel);
    return (farthest_[line] > place ? 1 : 0) + (nearest_[line] < place ? 1 : 0);
  }

 private:
  double position(const Pixel& p) const { return p.row * along_.row + p.column * along_.column; }
  double across(const Pixel& p) const { return p.row * along_.column - p.column * along_.row; }
  std::size_t line_of(double across) const {
    const auto line = static_cast<std::int64_t>((across - first_) * kLinesPerPixel);
    return static_cast<std::size_t>(
        std::clamp<std::int64_t>(line, 0, static_cast<std::int64_t>(nearest_.size()) - 1));
  }

  Pixel along_;
  double first_ = 0.0;                      ///< across the rays, of line 0
  std::vector<double> nearest_, farthest_;  ///< metal on each line, along the rays
};

std::vector<Pixel> metal_pixels(const bool* metal, std::int64_t rows, std::int64_t columns) {
  std::vector<Pixel> pixels;
  for (std::int64_t i = 0; i < rows * columns; ++i) {
    if (metal[i])
      pixels.push_back({static_cast<double>(i / columns), static_cast<double>(i % columns)});
  }
  return pixels;
}

/// Shares of one slice to out [rows * columns], which holds zeros.
void fill_slice(const bool* metal,
                std::int64_t rows,
                std::int64_t columns,
                std::int64_t directions,
                float* out) {
  const std::vector<Pixel> pixels = metal_pixels(metal, rows, columns);
  if (pixels.empty()) return;
  std::vector<std::int32_t> counts(static_cast<std::size_t>(rows * columns), 0);
  std::mutex adding;
  parallel_for(directions / 2, kLineGrain, [&](std::int64_t begin, std::int64_t end) {
    std::vector<std::int32_t> own(counts.size(), 0);
    for (std::int64_t k = begin; k < end; ++k) {
      const double turn = (static_cast<double>(k) + 0.5) / static_cast<double>(directions);
      RayFan fan(rows, columns, 2.0 * std::numbers::pi * turn);
      for (const Pixel& pixel : pixels) fan.add_metal(pixel);
      for (std::int64_t i = 0; i < rows * columns; ++i) {
        own[static_cast<std::size_t>(i)] +=
            fan.seen_from({static_cast<double>(i / columns), static_cast<double>(i % columns)});
      }
    }
    const std::lock_guard lock(adding);  // whole numbers: the order does not matter
    for (std::size_t i = 0; i < counts.size(); ++i) counts[i] += own[i];
  });
  for (std::size_t i = 0; i < counts.size(); ++i) {
    out[i] = metal[i] ? 1.0F : static_cast<float>(counts[i]) / static_cast<float>(directions);
  }
}

}  // namespace

PriorRegulariser::PriorRegulariser(const at::Tensor& image,
                                   const at::Tensor& prior,
                                   const at::Tensor& weights,
                                   const NonLocalMeansOptions& options)
    : weights_(weights) {
  check_shape(image, {kAny, kAny, kAny, kAny}, "image");
  check_shape(prior, {image.size(0), image.size(1), image.size(2), image.size(3)}, "prior image");
  mean_ = non_local_means_of(image, prior, options);
}

double PriorRegulariser::value(const at::Tensor& image) const {
  return 0.5 * (weights_ * (image - mean_).square()).sum(at::kDouble).item<double>();
}

at::Tensor PriorRegulariser::gradient(const at::Tensor& image) const {
  return weights_ * (image - mean_);
}

at::Tensor PriorRegulariser::proximal(const at::Tensor& image, double strength) const {
  const at::Tensor pull = strength * weights_;
  return (image + pull * mean_) / (1.0 + pull);
}

at::Tensor opening_angle_weights(const at::Tensor& metal, std::int64_t directions) {
  TRIPTYCH_ASSERT(directions >= 4 && directions % 2 == 0);
  if (metal.dim() < 3) {
    throw shape_error(
        fmt::format("metal: expected a mask [..., D, H, W], got {} axes", metal.dim()));
  }
  const at::Tensor mask = (metal != 0).to(at::kCPU).contiguous();
  at::Tensor result = at::zeros(mask.sizes(), at::kFloat);
  const std::int64_t rows = mask.size(-2), columns = mask.size(-1);
  const bool* in = mask.data_ptr<bool>();
  float* out = result.data_ptr<float>();
  for (std::int64_t first = 0; first < mask.numel(); first += rows * columns)
    fill_slice(in + first, rows, columns, directions, out + first);
  return result.to(metal.device());
}

}  // namespace triptych
