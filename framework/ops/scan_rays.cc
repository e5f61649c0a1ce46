// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/scan_rays.h"

#include <cmath>

namespace triptych {
namespace {

constexpr double kMmPerCm = 10.0;

struct Line {
  double x, y;              ///< a point, mm from the rotation axis
  double along_x, along_y;  ///< unit vector
};

Ray sampled(const Line& line, const SliceGrid& grid) {
  const double row_mm = grid.row_spacing_mm, column_mm = grid.column_spacing_mm;
  Ray ray;
  ray.along_rows = std::abs(line.along_y) * column_mm >= std::abs(line.along_x) * row_mm;
  if (ray.along_rows) {
    const double slope = line.along_x / line.along_y;
    const double x = line.x + (-grid.centre_row * row_mm - line.y) * slope;
    ray.start = x / column_mm + grid.centre_column;
    ray.step = slope * row_mm / column_mm;
    ray.length_cm = row_mm / std::abs(line.along_y) / kMmPerCm;
  } else {
    const double slope = line.along_y / line.along_x;
    const double y = line.y + (-grid.centre_column * column_mm - line.x) * slope;
    ray.start = y / row_mm + grid.centre_row;
    ray.step = slope * column_mm / row_mm;
    ray.length_cm = column_mm / std::abs(line.along_x) / kMmPerCm;
  }
  return ray;
}

}  // namespace

ScanView::ScanView(const ScanGeometry& scan, const SliceGrid& grid, double angle_rad)
    : scan_(&scan), grid_(&grid), cosine_(std::cos(angle_rad)), sine_(std::sin(angle_rad)) {}

Ray ScanView::ray(double column) const {
  const double across_mm = (column - scan_->centre_column) * scan_->column_spacing_mm;
  if (scan_->beam == ScanGeometry::Beam::kParallel)
    return sampled({across_mm * cosine_, -across_mm * sine_, sine_, cosine_}, *grid_);
  const double fan_rad = scan_->beam == ScanGeometry::Beam::kFanFlat
                             ? std::atan2(across_mm, scan_->source_to_detector_mm)
                             : across_mm / scan_->source_to_detector_mm;
  const double forward = std::cos(fan_rad), sideways = std::sin(fan_rad);
  return sampled({-scan_->source_to_axis_mm * sine_,
                  -scan_->source_to_axis_mm * cosine_,
                  forward * sine_ + sideways * cosine_,
                  forward * cosine_ - sideways * sine_},
                 *grid_);
}

DetectorSample ScanView::sample(double row, double column) const {
  const double x = (column - grid_->centre_column) * grid_->column_spacing_mm;
  const double y = (row - grid_->centre_row) * grid_->row_spacing_mm;
  const double across = x * cosine_ - y * sine_;
  const double columns_per_mm = 1.0 / scan_->column_spacing_mm;
  if (scan_->beam == ScanGeometry::Beam::kParallel)
    return {scan_->centre_column + across * columns_per_mm, 1.0};
  const double depth = scan_->source_to_axis_mm + x * sine_ + y * cosine_;
  if (scan_->beam == ScanGeometry::Beam::kFanFlat) {
    const double ratio = scan_->source_to_axis_mm / depth;
    return {scan_->centre_column + scan_->source_to_detector_mm * across / depth * columns_per_mm,
            ratio * ratio};
  }
  const double fan_rad = std::atan2(across, depth);
  return {scan_->centre_column + fan_rad * scan_->source_to_detector_mm * columns_per_mm,
          1.0 / (across * across + depth * depth)};
}

}  // namespace triptych
