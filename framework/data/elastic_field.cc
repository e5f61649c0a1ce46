// SPDX-License-Identifier: Apache-2.0
#include "framework/data/elastic_field.h"

#include "framework/core/error.h"

#include <algorithm>
#include <cmath>

namespace triptych {
namespace {

Index3 control_points(const Index3& cells) {
  Index3 points;
  for (std::size_t i = 0; i < 3; ++i) points[i] = cells[i] == 0 ? 1 : cells[i] + 3;
  return points;
}

}  // namespace

ElasticField::ElasticField(const Index3& grid,
                           const Index3& cells,
                           std::vector<double> coefficients)
    : grid_(grid),
      cells_(cells),
      points_(control_points(cells)),
      coefficients_(std::move(coefficients)) {
  if (coefficients_.size() != coefficient_count(cells)) {
    throw shape_error(fmt::format("elastic field: expected {} coefficients, got {}",
                                  coefficient_count(cells),
                                  coefficients_.size()));
  }
}

std::size_t ElasticField::coefficient_count(const Index3& cells) {
  const Index3 points = control_points(cells);
  return static_cast<std::size_t>(3 * points[0] * points[1] * points[2]);
}

ElasticField::Taps ElasticField::taps(int axis, double position) const {
  const auto a = static_cast<std::size_t>(axis);
  Taps result;
  if (cells_[a] == 0) return result;
  const auto cells = static_cast<double>(cells_[a]);
  const double t = std::clamp((position + 0.5) / static_cast<double>(grid_[a]) * cells, 0.0, cells);
  const double cell = std::min(std::floor(t), cells - 1.0);
  const double f = t - cell;
  const double g = 1.0 - f;
  result.first = static_cast<std::int64_t>(cell);
  result.count = 4;
  result.weight[0] = g * g * g / 6.0;
  result.weight[1] = (3.0 * f * f * f - 6.0 * f * f + 4.0) / 6.0;
  result.weight[2] = (3.0 * g * g * g - 6.0 * g * g + 4.0) / 6.0;
  result.weight[3] = f * f * f / 6.0;
  return result;
}

std::vector<Eigen::Vector3d> ElasticField::contracted(double y, double z) const {
  const Taps in_z = taps(0, z);
  const Taps in_y = taps(1, y);
  std::vector<Eigen::Vector3d> line(static_cast<std::size_t>(points_[2]), Eigen::Vector3d::Zero());
  for (int component = 0; component < 3; ++component) {
    for (int i = 0; i < in_z.count; ++i) {
      for (int j = 0; j < in_y.count; ++j) {
        const double weight = in_z.weight[i] * in_y.weight[j];
        const double* control = &coefficients_[static_cast<std::size_t>(
            ((component * points_[0] + in_z.first + i) * points_[1] + in_y.first + j) *
            points_[2])];
        for (std::size_t x = 0; x < line.size(); ++x) line[x][component] += weight * control[x];
      }
    }
  }
  return line;
}

Eigen::Vector3d ElasticField::at(const Eigen::Vector3d& index_xyz) const {
  const std::vector<Eigen::Vector3d> line = contracted(index_xyz[1], index_xyz[2]);
  const Taps in_x = taps(2, index_xyz[0]);
  Eigen::Vector3d result = Eigen::Vector3d::Zero();
  for (int i = 0; i < in_x.count; ++i)
    result += in_x.weight[i] * line[static_cast<std::size_t>(in_x.first + i)];
  return result;
}

void ElasticField::row(double y, double z, std::vector<Eigen::Vector3d>& result) const {
  const std::vector<Eigen::Vector3d> line = contracted(y, z);
  result.resize(static_cast<std::size_t>(grid_[2]));
  for (std::size_t x = 0; x < result.size(); ++x) {
    const Taps in_x = taps(2, static_cast<double>(x));
    result[x].setZero();
    for (int i = 0; i < in_x.count; ++i)
      result[x] += in_x.weight[i] * line[static_cast<std::size_t>(in_x.first + i)];
  }
}

}  // namespace triptych
