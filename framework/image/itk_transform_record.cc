// SPDX-License-Identifier: Apache-2.0
#include "framework/image/itk_transform_record.h"

#include "framework/core/error.h"
#include "framework/image/itk_transform_plane.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <ranges>
#include <utility>

#include <ATen/ATen.h>
#include <Eigen/Geometry>
#include <Eigen/LU>

namespace triptych {
namespace {

constexpr std::size_t kFieldNumbers = 18;  ///< size, origin, spacing, direction

/// "AffineTransform" of "AffineTransform_double_3_3".
std::string class_of(const std::string& type) { return type.substr(0, type.find('_')); }

Eigen::Vector3d vector_at(const std::vector<double>& numbers, std::size_t first) {
  return {numbers[first], numbers[first + 1], numbers[first + 2]};
}

/// One record with the checks of its lengths.
class RecordReader {
 public:
  RecordReader(const ItkTransformRecord& record, const std::string& place)
      : record_(record), place_(place) {}

  SpatialTransform::Stage stage() const {
    check_finite();
    const std::string kind = class_of(record_.type);
    if (kind == "DisplacementFieldTransform") return field();
    const auto found = readers().find(kind);
    if (found == readers().end()) {
      throw data_error(
          fmt::format("{}: a transform of type {} is not understood", place_, record_.type),
          "export it as an affine transform or a displacement field");
    }
    return invertible(found->second(*this));
  }

 private:
  using Reader = std::function<AffineMap(const RecordReader&)>;

  static const std::map<std::string, Reader>& readers() {
    static const std::map<std::string, Reader> table = {
        {"IdentityTransform", [](const RecordReader&) { return AffineMap{}; }},
        {"TranslationTransform", [](const RecordReader& r) { return r.translation(); }},
        {"AffineTransform", [](const RecordReader& r) { return r.affine(); }},
        {"MatrixOffsetTransformBase", [](const RecordReader& r) { return r.affine(); }},
        {"ScaleTransform", [](const RecordReader& r) { return r.scale(); }},
        {"Euler3DTransform", [](const RecordReader& r) { return r.euler(); }},
        {"VersorRigid3DTransform", [](const RecordReader& r) { return r.versor(false); }},
        {"Similarity3DTransform", [](const RecordReader& r) { return r.versor(true); }},
        {"QuaternionRigidTransform", [](const RecordReader& r) { return r.quaternion(); }}};
    return table;
  }

  void check_finite() const {
    for (const auto* numbers : {&record_.parameters, &record_.fixed_parameters}) {
      for (const double number : *numbers) {
        if (std::isfinite(number)) continue;
        throw data_error(
            fmt::format("{}: expected finite numbers in {}, got {}", place_, record_.type, number));
      }
    }
  }

  AffineMap invertible(const AffineMap& affine) const {
    if (Eigen::FullPivLU<Eigen::Matrix3d>(affine.matrix).isInvertible()) return affine;
    throw geometry_error(fmt::format(
        "{}: expected a matrix with an inverse in {}, got a singular one", place_, record_.type));
  }

  const std::vector<double>& parameters(std::size_t count) const {
    if (record_.parameters.size() == count) return record_.parameters;
    throw data_error(fmt::format("{}: expected {} parameters of {}, got {}",
                                 place_,
                                 count,
                                 record_.type,
                                 record_.parameters.size()));
  }

  Eigen::Vector3d centre() const {
    const std::vector<double>& fixed = record_.fixed_parameters;
    if (fixed.empty()) return Eigen::Vector3d::Zero();
    if (fixed.size() >= 3) return vector_at(fixed, 0);
    throw data_error(fmt::format(
        "{}: expected a centre of 3 numbers of {}, got {}", place_, record_.type, fixed.size()));
  }

  AffineMap translation() const {
    return {Eigen::Matrix3d::Identity(), vector_at(parameters(3), 0)};
  }

  AffineMap affine() const {
    const std::vector<double>& p = parameters(12);
    Eigen::Matrix3d matrix;
    for (int i = 0; i < 9; ++i) matrix(i / 3, i % 3) = p[static_cast<std::size_t>(i)];
    return AffineMap::about(centre(), matrix, vector_at(p, 9));
  }

  AffineMap scale() const {
    return AffineMap::about(
        centre(), vector_at(parameters(3), 0).asDiagonal(), Eigen::Vector3d::Zero());
  }

  AffineMap euler() const {
    const std::vector<double>& p = parameters(6);
    const auto turn = [](double angle_rad, int axis) {
      return Eigen::AngleAxisd(angle_rad, Eigen::Vector3d::Unit(axis)).toRotationMatrix();
    };
    const Eigen::Matrix3d x = turn(p[0], 0), y = turn(p[1], 1), z = turn(p[2], 2);
    const bool zyx = record_.fixed_parameters.size() > 3 && record_.fixed_parameters[3] != 0.0;
    const Eigen::Matrix3d rotation = zyx ? z * y * x : z * x * y;
    return AffineMap::about(centre(), rotation, vector_at(p, 3));
  }

  /// The vector part of a unit quaternion, a translation, and a scale or none.
  AffineMap versor(bool with_scale) const {
    const std::vector<double>& p = parameters(with_scale ? 7 : 6);
    const Eigen::Vector3d part = vector_at(p, 0);
    const double w = std::sqrt(std::max(0.0, 1.0 - part.squaredNorm()));
    const Eigen::Quaterniond rotation(w, part.x(), part.y(), part.z());
    const double scale = with_scale ? p[6] : 1.0;
    return AffineMap::about(
        centre(), scale * rotation.normalized().toRotationMatrix(), vector_at(p, 3));
  }

  AffineMap quaternion() const {
    const std::vector<double>& p = parameters(7);
    const Eigen::Quaterniond rotation(p[3], p[0], p[1], p[2]);
    return AffineMap::about(centre(), rotation.normalized().toRotationMatrix(), vector_at(p, 4));
  }

  DisplacementField field() const {
    const std::vector<double>& fixed = record_.fixed_parameters;
    if (fixed.size() != kFieldNumbers) {
      throw data_error(fmt::format("{}: expected {} numbers for the grid of {}, got {}",
                                   place_,
                                   kFieldNumbers,
                                   record_.type,
                                   fixed.size()));
    }
    DisplacementField result;
    for (std::size_t axis = 0; axis < 3; ++axis) {
      if (!(fixed[axis] >= 1.0 && fixed[axis] < 1e9)) {
        throw data_error(fmt::format("{}: expected sizes of at least 1 for the grid of {}, got {}",
                                     place_,
                                     record_.type,
                                     fixed[axis]));
      }
      result.geometry.shape[2 - axis] = std::llround(fixed[axis]);
    }
    result.geometry.origin = vector_at(fixed, 3);
    result.geometry.spacing = vector_at(fixed, 6);
    for (int i = 0; i < 9; ++i)
      result.geometry.direction(i / 3, i % 3) = fixed[9 + static_cast<std::size_t>(i)];
    check_valid(result.geometry, place_);
    const Index3& shape = result.geometry.shape;
    const std::vector<double>& numbers =
        parameters(3 * static_cast<std::size_t>(result.geometry.voxels()));
    result.displacement_mm = at::empty({3, shape[0], shape[1], shape[2]}, at::kFloat);
    float* out = result.displacement_mm.data_ptr<float>();
    const auto voxels = static_cast<std::size_t>(result.geometry.voxels());
    for (std::size_t i = 0; i < numbers.size(); ++i)
      out[i % 3 * voxels + i / 3] = static_cast<float>(numbers[i]);
    return result;
  }

  const ItkTransformRecord& record_;
  const std::string& place_;
};

void check_dimensions(const std::string& type, const std::string& place) {
  if (type.ends_with("_3_3") || type.ends_with("_2_2")) return;
  throw data_error(
      fmt::format("{}: expected a transform in two or three dimensions, got {}", place, type));
}

ItkTransformRecord record_of(const AffineMap& affine) {
  ItkTransformRecord record{"AffineTransform_double_3_3", {}, {0.0, 0.0, 0.0}};
  for (int i = 0; i < 9; ++i) record.parameters.push_back(affine.matrix(i / 3, i % 3));
  for (int i = 0; i < 3; ++i) record.parameters.push_back(affine.offset[i]);
  return record;
}

ItkTransformRecord record_of(const DisplacementField& field) {
  const Geometry& geometry = field.geometry;
  ItkTransformRecord record{"DisplacementFieldTransform_double_3_3", {}, {}};
  auto& fixed = record.fixed_parameters;
  for (std::size_t axis = 0; axis < 3; ++axis)
    fixed.push_back(static_cast<double>(geometry.shape[2 - axis]));
  fixed.insert(fixed.end(), geometry.origin.begin(), geometry.origin.end());
  fixed.insert(fixed.end(), geometry.spacing.begin(), geometry.spacing.end());
  for (int i = 0; i < 9; ++i) fixed.push_back(geometry.direction(i / 3, i % 3));
  const at::Tensor values = field.displacement_mm.to(at::kDouble).flatten(1).t().contiguous();
  const double* first = values.data_ptr<double>();
  record.parameters.assign(first, first + values.numel());
  return record;
}

}  // namespace

SpatialTransform transform_of(const std::vector<ItkTransformRecord>& records,
                              const std::string& place) {
  std::vector<SpatialTransform::Stage> stages;
  for (std::size_t i = 0; i < records.size(); ++i) {
    check_dimensions(records[i].type, place);
    if (i == 0 && class_of(records[i].type) == "CompositeTransform") continue;
    const ItkTransformRecord record = raised_from_plane(records[i], place);
    stages.push_back(RecordReader(record, place).stage());
  }
  if (records.empty()) throw data_error(fmt::format("{}: expected a transform, got none", place));
  const bool composite = class_of(records.front().type) == "CompositeTransform";
  if (!composite && records.size() > 1) {
    throw data_error(fmt::format("{}: expected one transform, got {}", place, records.size()),
                     "store them as one composite transform, so that their order is known");
  }
  // The part that was added last is applied first.
  std::reverse(stages.begin(), stages.end());
  return SpatialTransform(std::move(stages));
}

namespace {

/// The records in two dimensions where all of them leave z as it is; else as they are.
std::vector<ItkTransformRecord> lowered_if_flat(const std::vector<ItkTransformRecord>& records) {
  std::vector<ItkTransformRecord> result;
  for (const ItkTransformRecord& record : records) {
    const auto lowered = lowered_to_plane(record);
    if (!lowered) return records;
    result.push_back(*lowered);
  }
  return result;
}

}  // namespace

std::vector<ItkTransformRecord> records_of(const SpatialTransform& transform,
                                           TransformSpace space) {
  std::vector<ItkTransformRecord> records;
  for (const auto& stage : std::views::reverse(transform.stages()))
    records.push_back(std::visit([](const auto& part) { return record_of(part); }, stage));
  if (records.empty()) records.push_back(record_of(AffineMap{}));
  if (space == TransformSpace::kPlane) records = lowered_if_flat(records);
  if (records.size() > 1) {
    const char* type = records.front().type.ends_with("_2_2") ? "CompositeTransform_double_2_2"
                                                              : "CompositeTransform_double_3_3";
    records.insert(records.begin(), {type, {}, {}});
  }
  return records;
}

}  // namespace triptych
