// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/scan_artifacts.h"

#include "framework/core/parallel.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace triptych {
namespace {

float f(double value) { return static_cast<float>(value); }

/// Parallel-beam projections of one slice; one unit of length is a pixel.
class SliceScan {
 public:
  SliceScan(std::int64_t height, std::int64_t width, double views_per_pixel)
      : height_(height),
        width_(width),
        columns_(static_cast<std::int64_t>(std::ceil(std::hypot(height, width))) + 3),
        views_(std::max<std::int64_t>(
            8, std::llround(views_per_pixel * static_cast<double>(columns_)))) {
    // Ram-Lak in space (Kak and Slaney, 1988, eq. 3.29): 1/4, 0 for even, -1 / (pi n)^2 for odd
    // distances.
    for (std::int64_t n = 0; n < columns_; ++n) {
      const double odd = -1.0 / std::pow(std::numbers::pi * static_cast<double>(n), 2);
      filter_.push_back(n == 0 ? 0.25F : (n % 2 == 0 ? 0.0F : f(odd)));
    }
  }

  std::int64_t views() const { return views_; }
  std::int64_t columns() const { return columns_; }
  std::size_t size() const { return static_cast<std::size_t>(views_ * columns_); }

  /// Adds each pixel to the two nearest detector columns of each view.
  void project(const float* image, std::vector<float>& sinogram) const {
    for (std::int64_t view = 0; view < views_; ++view) {
      float* bins = sinogram.data() + view * columns_;
      for (std::int64_t y = 0; y < height_; ++y) {
        const auto [first, step] = track(view, y);
        for (std::int64_t x = 0; x < width_; ++x) {
          const float value = image[y * width_ + x];
          const float position = first + step * f(static_cast<double>(x));
          const auto low = static_cast<std::int64_t>(position);
          const float part = position - f(static_cast<double>(low));
          bins[low] += value * (1.0F - part);
          bins[low + 1] += value * part;
        }
      }
    }
  }

  void filter(std::vector<float>& sinogram) const {
    std::vector<float> filtered(static_cast<std::size_t>(columns_));
    for (std::int64_t view = 0; view < views_; ++view) {
      float* bins = sinogram.data() + view * columns_;
      std::fill(filtered.begin(), filtered.end(), 0.0F);
      for (std::int64_t i = 0; i < columns_; ++i) {
        for (std::int64_t j = 0; j < columns_; ++j)
          filtered[i] += filter_[std::abs(i - j)] * bins[j];
      }
      std::copy(filtered.begin(), filtered.end(), bins);
    }
  }

  /// Adds the backprojection of a filtered sinogram.
  void backproject(const std::vector<float>& sinogram, float* image) const {
    const float weight = f(std::numbers::pi / static_cast<double>(views_));
    for (std::int64_t view = 0; view < views_; ++view) {
      const float* bins = sinogram.data() + view * columns_;
      for (std::int64_t y = 0; y < height_; ++y) {
        const auto [first, step] = track(view, y);
        for (std::int64_t x = 0; x < width_; ++x) {
          const float position = first + step * f(static_cast<double>(x));
          const auto low = static_cast<std::int64_t>(position);
          const float part = position - f(static_cast<double>(low));
          image[y * width_ + x] += weight * (bins[low] + (bins[low + 1] - bins[low]) * part);
        }
      }
    }
  }

 private:
  // Detector position of a row's first pixel, and the step from pixel to pixel.
  std::pair<float, float> track(std::int64_t view, std::int64_t y) const {
    const double angle = std::numbers::pi * static_cast<double>(view) / static_cast<double>(views_);
    const double centre_x = 0.5 * static_cast<double>(width_ - 1);
    const double up = static_cast<double>(y) - 0.5 * static_cast<double>(height_ - 1);
    const double centre = 0.5 * static_cast<double>(columns_ - 1);
    return {f(centre - centre_x * std::cos(angle) + up * std::sin(angle)), f(std::cos(angle))};
  }

  std::int64_t height_, width_, columns_, views_;
  std::vector<float> filter_;
};

// The difference between what the scanner measures and the true line integrals, in units of pixels.
void replace_by_errors(std::vector<float>& sinogram,
                       const std::vector<float>& metal,
                       const BeamErrors& errors,
                       double integral_per_pixel,
                       double ray_noise,
                       std::uint64_t key) {
  const auto integral = [&](std::size_t i) {
    return std::max(0.0, integral_per_pixel * sinogram[i]);
  };
  const auto with_metal = [&](std::size_t i) {
    return integral(i) + errors.metal_factor * integral_per_pixel * metal[i];
  };
  const auto lost = [&](std::size_t i) { return errors.hardening * with_metal(i) * with_metal(i); };
  // The scanner is calibrated: the loss that is proportional to p (least squares) has been made up
  // for.
  double loss = 0.0;
  double square = 1e-12;
  for (std::size_t i = 0; i < sinogram.size(); ++i) {
    loss += lost(i) * integral(i);
    square += integral(i) * integral(i);
  }
  const double gain = loss / square;
  for (std::size_t i = 0; i < sinogram.size(); ++i) {
    // Photon counts fall by exp(-p), so the noise of their logarithm grows by exp(p / 2).
    const double growth = std::exp(0.5 * std::min(with_metal(i), 8.0));
    const double noise = ray_noise * growth * hashed_normal(key, i);
    sinogram[i] = f((noise - lost(i) + gain * integral(i)) / integral_per_pixel);
  }
}

}  // namespace

void add_white_noise(ScalarGrid& grid, double deviation, RandomStream stream) {
  if (deviation == 0.0) return;
  const std::uint64_t key = stream.bits();
  for_each_row(grid.geometry, [&](const GridRow& row) {
    for (std::int64_t i = row.offset; i < row.offset + row.length; ++i) {
      grid.values[i] += f(deviation) * hashed_normal(key, static_cast<std::uint64_t>(i));
    }
  });
}

void make_rician(ScalarGrid& grid, double deviation, RandomStream stream) {
  const std::uint64_t real_key = stream.bits();
  const std::uint64_t imaginary_key = stream.bits();
  for_each_row(grid.geometry, [&](const GridRow& row) {
    for (std::int64_t i = row.offset; i < row.offset + row.length; ++i) {
      const float real =
          grid.values[i] + f(deviation) * hashed_normal(real_key, static_cast<std::uint64_t>(i));
      const float imaginary =
          f(deviation) * hashed_normal(imaginary_key, static_cast<std::uint64_t>(i));
      grid.values[i] = std::hypot(real, imaginary);
    }
  });
}

void add_rings(ScalarGrid& grid, double deviation, RandomStream stream) {
  if (deviation == 0.0) return;
  const std::uint64_t steady_key = stream.bits();
  const std::uint64_t row_key = stream.bits();
  const std::uint64_t strong_key = stream.bits();
  const auto [planes, lines, length] = grid.geometry.shape;
  const double centre_h = 0.5 * static_cast<double>(lines - 1);
  const double centre_w = 0.5 * static_cast<double>(length - 1);
  const auto radii = static_cast<std::int64_t>(std::hypot(centre_h, centre_w)) + 3;
  const std::int64_t radius_count = radii;
  const auto strength = [&](std::int64_t plane, std::int64_t radius) {
    const auto column = static_cast<std::uint64_t>(radius);
    const float steady = hashed_normal(steady_key, column);
    const float changing =
        hashed_normal(row_key, static_cast<std::uint64_t>(plane * radius_count + radius));
    const float gain = std::abs(hashed_normal(strong_key, column)) > 1.96F ? 4.0F : 1.0F;
    return f(deviation) * gain * (steady + changing) * std::numbers::sqrt2_v<float> * 0.5F;
  };
  for_each_row(grid.geometry, [&](const GridRow& row) {
    const double up = static_cast<double>(row.line) - centre_h;
    for (std::int64_t w = 0; w < row.length; ++w) {
      const float radius = f(std::hypot(up, static_cast<double>(w) - centre_w));
      const auto low = static_cast<std::int64_t>(radius);
      const float part = radius - f(static_cast<double>(low));
      grid.values[row.offset + w] +=
          std::lerp(strength(row.plane, low), strength(row.plane, low + 1), part);
    }
  });
}

void apply_bias_field(ScalarGrid& grid, double deviation, RandomStream stream) {
  if (deviation == 0.0) return;
  const Geometry& g = grid.geometry;
  const Eigen::Vector3d extent =
      g.spacing.cwiseProduct(Eigen::Vector3d(g.shape[2], g.shape[1], g.shape[0]).cast<double>());
  const NoiseField field(stream, 0.9 * extent.maxCoeff());
  for_each_row(g, [&](const GridRow& row) {
    for (std::int64_t w = 0; w < row.length; ++w) {
      grid.values[row.offset + w] *= std::exp(f(deviation) * field.at(row.at(w)));
    }
  });
}

void add_beam_errors(ScalarGrid& grid,
                     const std::vector<float>& metal,
                     const BeamErrors& errors,
                     RandomStream stream) {
  if (errors.noise == 0.0 && errors.hardening == 0.0) return;
  const std::uint64_t key = stream.bits();
  const auto [planes, height, width] = grid.geometry.shape;
  const SliceScan scan(height, width, errors.views_per_pixel);
  const double integral_per_pixel = errors.density / static_cast<double>(std::max(height, width));
  // White noise of variance v in the sinogram gives pi^2 v / (12 views) in the image, two thirds of
  // it after linear interpolation.
  const double ray_noise = errors.noise * integral_per_pixel *
                           std::sqrt(18.0 * static_cast<double>(scan.views())) / std::numbers::pi;
  const std::int64_t pixels = height * width;
  parallel_for(planes, 1, [&](std::int64_t begin, std::int64_t end) {
    std::vector<float> sinogram;
    std::vector<float> metal_sinogram;
    for (std::int64_t plane = begin; plane < end; ++plane) {
      sinogram.assign(scan.size(), 0.0F);
      metal_sinogram.assign(scan.size(), 0.0F);
      scan.project(grid.values.data() + plane * pixels, sinogram);
      if (!metal.empty()) scan.project(metal.data() + plane * pixels, metal_sinogram);
      const std::uint64_t plane_key = mix_keys(key, {static_cast<std::uint64_t>(plane)});
      replace_by_errors(sinogram, metal_sinogram, errors, integral_per_pixel, ray_noise, plane_key);
      scan.filter(sinogram);
      scan.backproject(sinogram, grid.values.data() + plane * pixels);
    }
  });
}

}  // namespace triptych
