// SPDX-License-Identifier: Apache-2.0
// ITK's transforms of 2D images. ITK 5, Modules/Core/Transform/include: itkRigid2DTransform.h
// (angle in radians, translation), itkSimilarity2DTransform.h (scale first), fixed parameters the
// centre.
#include "framework/image/itk_transform_plane.h"

#include "framework/core/error.h"

#include <cmath>

namespace triptych {

namespace {

using Numbers = std::vector<double>;

constexpr const char* kAffine = "AffineTransform_double_3_3";
constexpr const char* kField = "DisplacementFieldTransform_double_3_3";
constexpr double kNoTilt = 1e-9;

class PlaneRecord {
 public:
  PlaneRecord(const ItkTransformRecord& record, const std::string& place)
      : record_(record), place_(place) {}

  ItkTransformRecord raised() const {
    const std::string kind = record_.type.substr(0, record_.type.find('_'));
    if (kind == "IdentityTransform" || kind == "CompositeTransform")
      return {kind + "_double_3_3", {}, {}};
    if (kind == "DisplacementFieldTransform") return field();
    if (kind == "TranslationTransform") {
      const Numbers& p = parameters(2);
      return affine({1.0, 0.0, 0.0, 1.0}, p[0], p[1]);
    }
    if (kind == "AffineTransform" || kind == "MatrixOffsetTransformBase") {
      const Numbers& p = parameters(6);
      return affine({p[0], p[1], p[2], p[3]}, p[4], p[5]);
    }
    if (kind == "ScaleTransform") {
      const Numbers& p = parameters(2);
      return affine({p[0], 0.0, 0.0, p[1]}, 0.0, 0.0);
    }
    if (kind == "Euler2DTransform" || kind == "Rigid2DTransform") {
      const Numbers& p = parameters(3);
      return affine(rotation(1.0, p[0]), p[1], p[2]);
    }
    if (kind == "Similarity2DTransform") {
      const Numbers& p = parameters(4);
      return affine(rotation(p[0], p[1]), p[2], p[3]);
    }
    throw data_error(
        fmt::format("{}: a transform of type {} is not understood", place_, record_.type),
        "export it as an affine transform or a displacement field");
  }

 private:
  static Numbers rotation(double scale, double angle_rad) {
    const double c = scale * std::cos(angle_rad), s = scale * std::sin(angle_rad);
    return {c, -s, s, c};
  }

  const Numbers& parameters(std::size_t count) const {
    return checked(record_.parameters, count, "parameters");
  }
  const Numbers& checked(const Numbers& numbers, std::size_t count, const char* what) const {
    if (numbers.size() == count) return numbers;
    throw data_error(fmt::format(
        "{}: expected {} {} of {}, got {}", place_, count, what, record_.type, numbers.size()));
  }

  ItkTransformRecord affine(const Numbers& m, double x, double y) const {
    const Numbers centre = record_.fixed_parameters.empty()
                               ? Numbers{0.0, 0.0}
                               : checked(record_.fixed_parameters, 2, "numbers for the centre");
    return {kAffine,
            {m[0], m[1], 0.0, m[2], m[3], 0.0, 0.0, 0.0, 1.0, x, y, 0.0},
            {centre[0], centre[1], 0.0}};
  }

  ItkTransformRecord field() const {
    const Numbers& f = checked(record_.fixed_parameters, 10, "numbers for the grid");
    ItkTransformRecord raised{kField,
                              {},
                              {f[0],
                               f[1],
                               1.0,
                               f[2],
                               f[3],
                               0.0,
                               f[4],
                               f[5],
                               1.0,  //
                               f[6],
                               f[7],
                               0.0,
                               f[8],
                               f[9],
                               0.0,
                               0.0,
                               0.0,
                               1.0}};
    const Numbers& values = record_.parameters;
    if (values.size() % 2 != 0) checked(values, values.size() + 1, "parameters");
    raised.parameters.reserve(values.size() / 2 * 3);
    for (std::size_t i = 0; i < values.size(); i += 2)
      raised.parameters.insert(raised.parameters.end(), {values[i], values[i + 1], 0.0});
    return raised;
  }

  const ItkTransformRecord& record_;
  const std::string& place_;
};

bool is_zero(const Numbers& numbers, std::initializer_list<std::size_t> indices) {
  for (const std::size_t i : indices)
    if (std::abs(numbers[i]) > kNoTilt) return false;
  return true;
}

Numbers chosen(const Numbers& numbers, std::initializer_list<std::size_t> indices) {
  Numbers result;
  for (const std::size_t i : indices) result.push_back(numbers[i]);
  return result;
}

std::optional<ItkTransformRecord> lowered_affine(const ItkTransformRecord& record) {
  const Numbers& p = record.parameters;
  if (!is_zero(p, {2, 5, 6, 7, 11}) || std::abs(p[8] - 1.0) > kNoTilt) return {};
  return ItkTransformRecord{
      "AffineTransform_double_2_2", chosen(p, {0, 1, 3, 4, 9, 10}), {0.0, 0.0}};
}

std::optional<ItkTransformRecord> lowered_field(const ItkTransformRecord& record) {
  const Numbers& f = record.fixed_parameters;
  const bool in_plane = f[2] == 1.0 && is_zero(f, {5, 11, 14, 15, 16}) && std::abs(f[17]) > 0.5;
  if (!in_plane) return {};
  ItkTransformRecord lowered{
      "DisplacementFieldTransform_double_2_2", {}, chosen(f, {0, 1, 3, 4, 6, 7, 9, 10, 12, 13})};
  const Numbers& values = record.parameters;
  lowered.parameters.reserve(values.size() / 3 * 2);
  for (std::size_t i = 0; i < values.size(); i += 3) {
    if (std::abs(values[i + 2]) > kNoTilt) return {};
    lowered.parameters.insert(lowered.parameters.end(), {values[i], values[i + 1]});
  }
  return lowered;
}

}  // namespace

ItkTransformRecord raised_from_plane(const ItkTransformRecord& record, const std::string& place) {
  return record.type.ends_with("_2_2") ? PlaneRecord(record, place).raised() : record;
}

std::optional<ItkTransformRecord> lowered_to_plane(const ItkTransformRecord& record) {
  if (record.type == kAffine) return lowered_affine(record);
  if (record.type == kField) return lowered_field(record);
  return {};
}

}  // namespace triptych
