// SPDX-License-Identifier: Apache-2.0
#include "framework/image/spatial_transform.h"

#include "framework/core/error.h"
#include "framework/core/parallel.h"
#include "framework/core/shape.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include <ATen/ATen.h>
#include <Eigen/LU>

namespace triptych {
namespace {

struct Neighbours {
  std::int64_t low, high;
  double weight;  ///< of `high`
};

/// False outside the voxels of an axis of `size`.
bool find_neighbours(double position, std::int64_t size, Neighbours& out) {
  const auto last = static_cast<double>(size - 1);
  if (!(position >= -0.5 && position <= last + 0.5)) return false;
  const double held = std::clamp(position, 0.0, last);
  out.low = std::min(static_cast<std::int64_t>(held), size - 1);
  out.high = std::min(out.low + 1, size - 1);
  out.weight = held - static_cast<double>(out.low);
  return true;
}

template <class Value>
Eigen::Vector3d interpolate(const DisplacementField& field, const Neighbours (&axes)[3]) {
  const Index3& shape = field.geometry.shape;
  const auto* values = field.displacement_mm.data_ptr<Value>();
  const std::int64_t voxels = field.geometry.voxels();
  Eigen::Vector3d sum = Eigen::Vector3d::Zero();
  for (int corner = 0; corner < 8; ++corner) {
    double weight = 1.0;
    std::int64_t index[3];
    for (int axis = 0; axis < 3; ++axis) {
      const bool high = (corner >> axis & 1) != 0;
      weight *= high ? axes[axis].weight : 1.0 - axes[axis].weight;
      index[axis] = high ? axes[axis].high : axes[axis].low;
    }
    if (weight == 0.0) continue;
    const std::int64_t offset = (index[2] * shape[1] + index[1]) * shape[2] + index[0];
    for (int c = 0; c < 3; ++c) sum[c] += weight * static_cast<double>(values[c * voxels + offset]);
  }
  return sum;
}

DisplacementField checked(DisplacementField field) {
  const Index3& shape = field.geometry.shape;
  check_shape(field.displacement_mm, {3, shape[0], shape[1], shape[2]}, "displacement field");
  check_valid(field.geometry, "displacement field");
  const at::ScalarType type = field.displacement_mm.scalar_type();
  if (!field.displacement_mm.is_cpu() || (type != at::kFloat && type != at::kDouble)) {
    throw shape_error(fmt::format(
        "displacement field: expected float32 or float64 on the CPU, got {}", at::toString(type)));
  }
  field.displacement_mm = field.displacement_mm.contiguous();
  return field;
}

}  // namespace

AffineMap AffineMap::inverse() const {
  const Eigen::FullPivLU<Eigen::Matrix3d> decomposition(matrix);
  if (!decomposition.isInvertible()) {
    throw numeric_error("affine transform: expected a matrix with an inverse, got one of rank " +
                        std::to_string(decomposition.rank()));
  }
  const Eigen::Matrix3d inverted = decomposition.inverse();
  return {inverted, -inverted * offset};
}

AffineMap AffineMap::about(const Eigen::Vector3d& centre_mm,
                           const Eigen::Matrix3d& matrix,
                           const Eigen::Vector3d& translation_mm) {
  return {matrix, centre_mm + translation_mm - matrix * centre_mm};
}

AffineMap compose(const AffineMap& outer, const AffineMap& inner) {
  return {outer.matrix * inner.matrix, outer.map(inner.offset)};
}

Eigen::Vector3d DisplacementField::map(const Eigen::Vector3d& fixed_mm) const {
  const Eigen::Vector3d position = geometry.index_from_world(fixed_mm);
  Neighbours axes[3];
  for (int axis = 0; axis < 3; ++axis) {
    const std::int64_t size = geometry.shape[static_cast<std::size_t>(2 - axis)];
    if (!find_neighbours(position[axis], size, axes[axis])) return fixed_mm;
  }
  return fixed_mm + (displacement_mm.scalar_type() == at::kDouble
                         ? interpolate<double>(*this, axes)
                         : interpolate<float>(*this, axes));
}

SpatialTransform::SpatialTransform(std::vector<Stage> stages) {
  for (Stage& stage : stages) {
    auto* affine = std::get_if<AffineMap>(&stage);
    auto* before = stages_.empty() ? nullptr : std::get_if<AffineMap>(&stages_.back());
    if (affine != nullptr && before != nullptr) {
      *before = triptych::compose(*affine, *before);
    } else if (affine != nullptr) {
      stages_.emplace_back(*affine);
    } else {
      stages_.emplace_back(checked(std::move(std::get<DisplacementField>(stage))));
    }
  }
}

bool SpatialTransform::is_affine() const {
  return std::none_of(stages_.begin(), stages_.end(), [](const Stage& stage) {
    return std::holds_alternative<DisplacementField>(stage);
  });
}

AffineMap SpatialTransform::affine() const {
  if (!is_affine()) {
    throw geometry_error(
        "transform: expected a rigid or affine one, got one with a displacement field");
  }
  return stages_.empty() ? AffineMap{} : std::get<AffineMap>(stages_.front());
}

Eigen::Vector3d SpatialTransform::map(const Eigen::Vector3d& fixed_mm) const {
  Eigen::Vector3d position = fixed_mm;
  for (const Stage& stage : stages_)
    position = std::visit([&](const auto& part) { return part.map(position); }, stage);
  return position;
}

SpatialTransform compose(const SpatialTransform& outer, const SpatialTransform& inner) {
  std::vector<SpatialTransform::Stage> stages = inner.stages();
  stages.insert(stages.end(), outer.stages().begin(), outer.stages().end());
  return SpatialTransform(std::move(stages));
}

at::Tensor displacement_on(const SpatialTransform& transform, const Geometry& grid) {
  check_valid(grid, "grid of a displacement field");
  const Index3& shape = grid.shape;
  at::Tensor result = at::empty({3, shape[0], shape[1], shape[2]}, at::kFloat);
  float* out = result.data_ptr<float>();
  const std::int64_t voxels = grid.voxels();
  parallel_for(shape[0] * shape[1], 16, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t line = begin; line < end; ++line) {
      for (std::int64_t x = 0; x < shape[2]; ++x) {
        const Eigen::Vector3d fixed = grid.world_from_index({static_cast<double>(x),
                                                             static_cast<double>(line % shape[1]),
                                                             static_cast<double>(line / shape[1])});
        const Eigen::Vector3d u = transform.map(fixed) - fixed;
        for (int c = 0; c < 3; ++c)
          out[c * voxels + line * shape[2] + x] = static_cast<float>(u[c]);
      }
    }
  });
  return result;
}

}  // namespace triptych
