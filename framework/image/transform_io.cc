// SPDX-License-Identifier: Apache-2.0
#include "framework/image/transform_io.h"

#include "framework/core/error.h"
#include "framework/core/file.h"
#include "framework/image/io.h"
#include "framework/image/itk_transform_record.h"

#include <utility>

#include <ATen/ATen.h>
#include <fmt/core.h>

namespace triptych {
namespace {

enum class TransformFormat { kText, kHdf5, kImage };

TransformFormat format_of(const std::string& file) {
  const std::string extension = file_extension(file);
  if (extension == ".tfm" || extension == ".txt") return TransformFormat::kText;
  if (extension == ".h5" || extension == ".hdf5") return TransformFormat::kHdf5;
  if (is_image_location(file)) return TransformFormat::kImage;
  throw io_error(
      fmt::format("{}: expected a transform (.h5, .tfm, .txt) or a displacement image, got '{}'",
                  file,
                  extension),
      extension == ".mat" ? "of ANTs: ConvertTransformFile 3 in.mat out.tfm" : "");
}

bool is_nifti(const std::string& file) {
  const std::string extension = file_extension(file);
  return extension == ".nii" || extension == ".nii.gz";
}

DisplacementField read_field(const std::string& file) {
  Volume volume = read_volume(file);
  if (volume.data.size(0) == 2 && volume.geometry.is_2d())
    volume.data = at::cat({volume.data, at::zeros_like(volume.data).narrow(0, 0, 1)});
  if (volume.data.size(0) != 3) {
    throw data_error(
        fmt::format("{}: expected a displacement field of three components x, y, z, "
                    "got {}",
                    file,
                    volume.data.size(0)));
  }
  // NIfTI says so of images whose lengths are pixels; other files leave the spacing out.
  if (!volume.geometry.spacing_known && !is_nifti(file)) {
    throw geometry_error(
        fmt::format("{}: the file states no spacing, so that displacements have no place", file));
  }
  if (!at::isfinite(volume.data).all().item<bool>()) {
    throw data_error(fmt::format("{}: expected finite displacements, got NaN or infinity", file));
  }
  return {volume.geometry, volume.data.to(at::kFloat)};
}

void write_field(const std::string& file, const SpatialTransform& transform) {
  const auto* field = transform.stages().size() == 1
                          ? std::get_if<DisplacementField>(&transform.stages().front())
                          : nullptr;
  if (field == nullptr) {
    throw geometry_error(
        fmt::format("{}: an image holds a displacement field alone, got another transform", file),
        "write .h5 or .tfm, or put the transform on a grid first");
  }
  write_volume(file, Volume{field->displacement_mm.to(at::kFloat), field->geometry, "", {}});
}

}  // namespace

SpatialTransform read_transform(const std::string& file, TransformSpace* space) {
  const auto of_records = [&](const std::vector<ItkTransformRecord>& records) {
    const bool plane = !records.empty() && records.front().type.ends_with("_2_2");
    if (space != nullptr) *space = plane ? TransformSpace::kPlane : TransformSpace::kVolume;
    return transform_of(records, file);
  };
  switch (format_of(file)) {
    case TransformFormat::kText:
      return of_records(read_text_records(file));
    case TransformFormat::kHdf5:
      return of_records(read_hdf5_records(file));
    case TransformFormat::kImage:
      break;
  }
  DisplacementField field = read_field(file);
  if (space != nullptr)
    *space = field.geometry.is_2d() ? TransformSpace::kPlane : TransformSpace::kVolume;
  std::vector<SpatialTransform::Stage> stages;
  stages.emplace_back(std::move(field));
  return SpatialTransform(std::move(stages));
}

void write_transform(const std::string& file,
                     const SpatialTransform& transform,
                     TransformSpace space) {
  switch (format_of(file)) {
    case TransformFormat::kText:
      return write_text_records(file, records_of(transform, space));
    case TransformFormat::kHdf5:
      return write_hdf5_records(file, records_of(transform, space));
    case TransformFormat::kImage:
      return write_field(file, transform);
  }
}

}  // namespace triptych
