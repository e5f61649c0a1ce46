// SPDX-License-Identifier: Apache-2.0
// Reads NIfTI, MetaImage, NRRD, VTK, PNG, JPEG and single DICOM files. ITK reads the headers and so
// decides about orientation; voxels are read by read_stored where the header tells where they lie,
// by ITK elsewhere.
#include "framework/core/error.h"
#include "framework/image/file_end.h"
#include "framework/image/format.h"
#include "framework/image/itk_session.h"
#include "framework/image/stored_voxels.h"

#include <algorithm>
#include <cstring>

#include <ATen/ATen.h>
#include <Eigen/Dense>  // all of it before ITK, whose own older copy must not mix with it
#include <fmt/core.h>
#include <itkGDCMImageIO.h>
#include <itkMetaDataObject.h>

namespace triptych {
namespace {

namespace fs = std::filesystem;
using Component = itk::IOComponentEnum;

VoxelType voxel_type_of(const itk::ImageIOBase& io, const fs::path& file) {
  const auto bytes = static_cast<std::int64_t>(io.GetComponentSize());
  switch (io.GetComponentType()) {
    case Component::UCHAR:
    case Component::USHORT:
    case Component::UINT:
    case Component::ULONG:
    case Component::ULONGLONG:
      return integer_type(bytes, false);
    case Component::CHAR:
    case Component::SHORT:
    case Component::INT:
    case Component::LONG:
    case Component::LONGLONG:
      return integer_type(bytes, true);
    case Component::FLOAT:
      return VoxelType::kFloat32;
    case Component::DOUBLE:
      return VoxelType::kFloat64;
    default:
      throw data_error(
          fmt::format("{}: expected integer or float voxels, got {}",
                      file.string(),
                      itk::ImageIOBase::GetComponentTypeAsString(io.GetComponentType())));
  }
}

/// Geometry of the axes of space; those that a 2D file lacks are identity.
Geometry geometry_of(const itk::ImageIOBase& io) {
  Geometry geometry;
  const int axes = std::min<int>(io.GetNumberOfDimensions(), 3);
  for (int axis = 0; axis < axes; ++axis) {
    geometry.shape[2 - axis] = static_cast<std::int64_t>(io.GetDimensions(axis));
    geometry.spacing[axis] = io.GetSpacing(axis);
    geometry.origin[axis] = io.GetOrigin(axis);
    const auto column = io.GetDirection(axis);
    for (int world = 0; world < axes; ++world) geometry.direction(world, axis) = column[world];
  }
  return geometry;
}

/// Channels of a file: components of a voxel, or the fourth axis.
std::int64_t channels_of(const itk::ImageIOBase& io, const fs::path& file) {
  const auto components = static_cast<std::int64_t>(io.GetNumberOfComponents());
  const unsigned axes = io.GetNumberOfDimensions();
  std::int64_t further = 1;
  for (unsigned axis = 3; axis < axes; ++axis)
    further *= static_cast<std::int64_t>(io.GetDimensions(axis));
  if (axes < 2 || (axes > 4 && further > 1) || (components > 1 && further > 1)) {
    throw data_error(fmt::format("{}: expected 2 or 3 axes and at most one of channels or time, "
                                 "got {} axes with {} components",
                                 file.string(),
                                 axes,
                                 components),
                     "split the file first");
  }
  return components * further;
}

bool states_spacing(const itk::ImageIOBase& io) {
  const auto& dictionary = io.GetMetaDataDictionary();
  // Pixel Spacing, Imager Pixel Spacing, and the per-frame groups of enhanced DICOM objects.
  return dictionary.HasKey("0028|0030") || dictionary.HasKey("0018|1164") ||
         io.GetDimensions(2) > 1;
}

class ItkReader final : public ImageReader {
 public:
  ItkReader(const fs::path& file, const ReadOptions& options)
      : file_(file), apply_rescale_(options.apply_rescale) {
    prepare_itk();
    header_.format = itk_format(file);
    HeaderFacts facts = header_facts();
    stored_ = facts.voxels;
    if (stored_) check_stated_size(*stored_);
    io_ = create_itk_io(header_.format);
    guarded([&] {
      io_->SetFileName(file.string());
      if (!stored_ && !io_->CanReadFile(file.c_str())) throw not_readable("not such a file");
      io_->ReadImageInformation();
    });
    header_.geometry = geometry_of(*io_);
    header_.geometry.spacing_known = facts.spacing_known;
    if (stored_) {
      header_.geometry.shape = stored_->shape;
      header_.channels = stored_->channels;
      header_.type = scaled_type(stored_->type, stored_->slope, stored_->intercept);
      header_.reads_regions = stored_->coding == Coding::kRaw;
      return;
    }
    header_.channels = channels_of(*io_, file);
    type_ = voxel_type_of(*io_, file);
    read_dicom_facts();
    header_.type = scaled_type(type_, slope_, intercept_);
  }

  at::Tensor read(const Region& region) override {
    if (stored_) {
      const at::Tensor values = read_stored(*stored_, region);
      return apply_rescale_ ? rescaled(values, stored_->slope, stored_->intercept) : values;
    }
    check_complete();
    const auto& start = region.start;
    const auto& size = region.size;
    return read_all()
        .narrow(1, start[0], size[0])
        .narrow(2, start[1], size[1])
        .narrow(3, start[2], size[2])
        .contiguous();
  }

  void check_complete() override {
    if (stored_) return check_stored(*stored_);
    if (header_.format == "dicom") check_dicom_pixels(file_);
    if (header_.format == "vtk")
      check_vtk_size(file_, header_.geometry.voxels() * header_.channels * bytes_of(type_));
  }

  std::map<std::string, std::string> metadata() const override {
    std::map<std::string, std::string> result;
    if (header_.format != "dicom") return result;
    for (const auto& [tag, name] : {std::pair{"0008|0060", "dicom_modality"},
                                    {"0020|000e", "dicom_series"},
                                    {"0008|103e", "dicom_series_description"}}) {
      std::string value;
      if (!itk::ExposeMetaData<std::string>(io_->GetMetaDataDictionary(), tag, value)) continue;
      value.erase(value.find_last_not_of(std::string(" \0", 2)) + 1);
      result[name] = value;
    }
    return result;
  }

 private:
  HeaderFacts header_facts() const {
    if (header_.format == "nifti") return nifti_facts(file_);
    if (header_.format == "metaimage") return metaimage_facts(file_);
    if (header_.format == "nrrd") return nrrd_facts(file_);
    if (header_.format == "png") check_png_marks(file_);
    if (header_.format == "jpeg") check_jpeg_marks(file_);
    HeaderFacts facts;
    facts.spacing_known = header_.format == "vtk" || header_.format == "dicom";
    return facts;
  }

  void read_dicom_facts() {
    if (!header_.geometry.spacing_known) header_.geometry.spacing.setOnes();
    const auto* dicom = dynamic_cast<const itk::GDCMImageIO*>(io_.GetPointer());
    if (dicom == nullptr) return;
    slope_ = dicom->GetRescaleSlope();
    intercept_ = dicom->GetRescaleIntercept();
    header_.geometry.spacing_known = states_spacing(*io_);
  }

  at::ScalarType scaled_type(VoxelType type, double slope, double intercept) const {
    return apply_rescale_ && (slope != 1.0 || intercept != 0.0) ? at::kFloat : tensor_type(type);
  }

  Error not_readable(const std::string& reason) const {
    return io_error(
        fmt::format("{}: cannot be read as {}: {}", file_.string(), header_.format, reason),
        "the file may be truncated or have the wrong extension");
  }

  template <typename Body>
  void guarded(const Body& body) const {
    try {
      body();
    } catch (const itk::ExceptionObject& problem) {
      const std::string reason = one_line(problem.GetDescription());
      if (reason.find("orthonormal") != std::string::npos) {
        throw geometry_error(
            fmt::format("{}: expected axes at right angles, got a sheared or singular affine",
                        file_.string()),
            "resample the image onto an orthogonal grid first");
      }
      throw not_readable(reason);
    }
  }

  at::Tensor read_all() {
    const auto& shape = header_.geometry.shape;
    std::vector<std::byte> buffer(io_->GetImageSizeInBytes());
    itk::ImageIORegion whole(io_->GetNumberOfDimensions());
    for (unsigned axis = 0; axis < io_->GetNumberOfDimensions(); ++axis)
      whole.SetSize(axis, io_->GetDimensions(axis));
    io_->SetIORegion(whole);
    guarded([&] { io_->Read(buffer.data()); });
    const std::byte* next = buffer.data();
    const auto source = [&](std::byte* destination, std::int64_t count) {
      std::memcpy(destination, next, count);
      next += count;
    };
    const auto components = static_cast<std::int64_t>(io_->GetNumberOfComponents());
    at::Tensor values = decode_values(
        source, type_, false, header_.channels * header_.geometry.voxels(), file_.string());
    values = values.view({header_.channels / components, shape[0], shape[1], shape[2], components})
                 .permute({0, 4, 1, 2, 3})
                 .reshape({header_.channels, shape[0], shape[1], shape[2]});
    if (slope_ == 1.0 && intercept_ == 0.0) return values;
    if (apply_rescale_) return values.to(at::kFloat);  // GDCM has applied slope and intercept
    return values.to(at::kDouble).sub_(intercept_).div_(slope_).round_().to(tensor_type(type_));
  }

  fs::path file_;
  bool apply_rescale_ = true;
  itk::ImageIOBase::Pointer io_;
  std::optional<StoredVoxels> stored_;
  VoxelType type_ = VoxelType::kUInt8;
  double slope_ = 1.0;
  double intercept_ = 0.0;
};

}  // namespace

std::unique_ptr<ImageReader> open_itk_file(const fs::path& file, const ReadOptions& options) {
  return std::make_unique<ItkReader>(file, options);
}

}  // namespace triptych
