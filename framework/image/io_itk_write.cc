// SPDX-License-Identifier: Apache-2.0
// Writes NIfTI, MetaImage, NRRD, VTK, PNG and JPEG files.
#include "framework/core/error.h"
#include "framework/core/file.h"
#include "framework/image/format.h"
#include "framework/image/itk_session.h"
#include "framework/image/stored_voxels.h"

#include <fstream>

#include <ATen/ATen.h>
#include <fmt/core.h>
#include <itkImageIOBase.h>
#include <itkMetaDataObject.h>

namespace triptych {
namespace {

namespace fs = std::filesystem;
using Component = itk::IOComponentEnum;

Component component_of(VoxelType type) {
  switch (type) {
    case VoxelType::kUInt8:
      return Component::UCHAR;
    case VoxelType::kInt8:
      return Component::CHAR;
    case VoxelType::kUInt16:
      return Component::USHORT;
    case VoxelType::kInt16:
      return Component::SHORT;
    case VoxelType::kUInt32:
      return Component::UINT;
    case VoxelType::kInt32:
      return Component::INT;
    case VoxelType::kUInt64:
      return Component::ULONGLONG;
    case VoxelType::kInt64:
      return Component::LONGLONG;
    case VoxelType::kFloat32:
      return Component::FLOAT;
    default:
      return Component::DOUBLE;
  }
}

/// True when the third axis of a single slice says nothing that a 2D file could not.
bool writes_as_2d(const Geometry& geometry) {
  const Eigen::Vector3d z = Eigen::Vector3d::UnitZ();
  return geometry.is_2d() && geometry.spacing[2] == 1.0 && geometry.origin[2] == 0.0 &&
         geometry.direction.col(2) == z && geometry.direction.row(2).transpose() == z;
}

void set_geometry(itk::ImageIOBase& io, const Geometry& geometry, unsigned axes) {
  io.SetNumberOfDimensions(axes);
  itk::ImageIORegion region(axes);
  for (unsigned axis = 0; axis < axes; ++axis) {
    io.SetDimensions(axis, geometry.shape[2 - axis]);
    io.SetSpacing(axis, geometry.spacing[axis]);
    io.SetOrigin(axis, geometry.origin[axis]);
    std::vector<double> column(axes);
    for (unsigned world = 0; world < axes; ++world) column[world] = geometry.direction(world, axis);
    io.SetDirection(axis, column);
    region.SetSize(axis, geometry.shape[2 - axis]);
  }
  io.SetIORegion(region);
}

void set_fields(itk::ImageIOBase& io,
                const std::string& format,
                const fs::path& target,
                const WriteRequest& request) {
  auto& dictionary = io.GetMetaDataDictionary();
  const auto set = [&](const std::string& key, const std::string& value) {
    itk::EncapsulateMetaData<std::string>(dictionary, key, value);
  };
  if (!request.source.geometry.spacing_known) {
    set(format == "nifti" ? "aux_file" : kSpacingKey, kSpacingUnknown);
  }
  if (file_extension(target) != ".seg.nrrd" || request.classes == nullptr) return;
  for (const auto& [key, value] : segment_fields(all_voxels(request.source), *request.classes))
    set(key, value);
}

void check_writable(const std::string& format,
                    const fs::path& target,
                    const WriteRequest& request) {
  const Geometry& geometry = request.source.geometry;
  const bool picture = format == "png" || format == "jpeg";
  if (picture && !geometry.is_2d()) {
    throw shape_error(
        fmt::format("{}: expected a 2D image, got {} slices", target.string(), geometry.shape[0]),
        "write a volume as .nii.gz, .mha, .nrrd, .tif or .h5");
  }
  if (format == "jpeg" && request.labels) {
    throw data_error(fmt::format("{}: JPEG changes values and cannot hold labels", target.string()),
                     "write .png or .nii.gz");
  }
  if (format == "vtk" && geometry.direction != Eigen::Matrix3d::Identity()) {
    throw geometry_error(fmt::format("{}: legacy VTK files hold no direction, expected LPS, got {}",
                                     target.string(),
                                     geometry.orientation()),
                         "write .mha, .nrrd or .nii.gz");
  }
}

/// PNG and JPEG know unsigned integers only.
VoxelType picture_type(const std::string& format, const fs::path& target, const at::Tensor& data) {
  if (data.is_floating_point()) {
    throw data_error(fmt::format("{}: expected whole numbers of 8 or 16 bits, got {}",
                                 target.string(),
                                 name_of(file_type(data.scalar_type()))),
                     "scale the image to 0..255 first or write .tif");
  }
  const double highest = data.numel() > 0 ? data.max().item<double>() : 0.0;
  return format == "png" && highest > 255.0 ? VoxelType::kUInt16 : VoxelType::kUInt8;
}

itk::IOPixelEnum pixel_of(const std::string& format, VoxelType type, std::int64_t channels) {
  const bool color = format != "nifti" && type == VoxelType::kUInt8;
  if (channels == 1) return itk::IOPixelEnum::SCALAR;
  if (color && channels == 3) return itk::IOPixelEnum::RGB;
  if (color && channels == 4) return itk::IOPixelEnum::RGBA;
  return itk::IOPixelEnum::VECTOR;
}

/// The file that holds the voxels: for .mhd and .nhdr one beside the header, named by it.
fs::path data_file(const fs::path& header, const std::string& format) {
  if (format != "metaimage" && format != "nrrd") return header;
  const HeaderFacts facts = format == "nrrd" ? nrrd_facts(header) : metaimage_facts(header);
  return facts.voxels ? facts.voxels->file : header;
}

/// Moves the data file to its final name before the header that is corrected to name it, so that at
/// no time a header stands without data.
void commit_pair(AtomicFile& header, const fs::path& target, const fs::path& data) {
  const std::string temporary_stem = header.temporary().stem().string();
  const std::string name = data.filename().string();
  TRIPTYCH_ASSERT(name.starts_with(temporary_stem));
  const std::string final_name = target.stem().string() + name.substr(temporary_stem.size());
  AtomicFile final_data(target.parent_path() / final_name);
  if (final_data.temporary() != data) fs::rename(data, final_data.temporary());
  std::string text = read_file(header.temporary());
  text.replace(text.find(name), name.size(), final_name);
  write_file_atomically(header.temporary(), text);
  final_data.commit();
  header.commit();
}

/// Removes what a failed write of a header with a data file left beside the temporary header.
void remove_data_files(const fs::path& header) {
  for (const char* extension : {".raw", ".zraw", ".raw.gz"}) {
    fs::path data = header;
    std::error_code ignored;
    fs::remove(data.replace_extension(extension), ignored);
  }
}

/// ITK's writers do not all notice a full disk, so the file is checked before it gets its name.
void finish(AtomicFile& file, const fs::path& target, const std::string& format) {
  fs::path data;
  try {
    data = data_file(file.temporary(), format);
    open_itk_file(file.temporary(), {})->check_complete();
  } catch (const Error&) {
    remove_data_files(file.temporary());
    throw io_error(fmt::format("{}: cannot be written completely", target.string()),
                   "check the free space of its disk");
  }
  if (data == file.temporary()) {
    file.commit();
  } else {
    commit_pair(file, target, data);
  }
}

void write_picture(const fs::path& target, const std::string& format, const VolumeSource& source) {
  const at::Tensor data = all_voxels(source);
  const VoxelType type = picture_type(format, target, data);
  if (format == "png") return write_png(target, data, type);
  write_jpeg(target, data);
}

}  // namespace

void write_with_itk(const fs::path& file,
                    const fs::path& target,
                    const Geometry& geometry,
                    const WriteRequest& request,
                    const at::Tensor& voxels) {
  const std::string format = itk_format(target);
  const auto io = create_itk_io(format);
  const bool flat = writes_as_2d(request.source.geometry) && file_extension(target) != ".seg.nrrd";
  set_geometry(*io, geometry, flat ? 2 : 3);
  set_fields(*io, format, target, request);
  io->SetFileName(file.string());
  io->SetComponentType(component_of(request.type));
  io->SetNumberOfComponents(request.source.channels);
  io->SetPixelType(pixel_of(format, request.type, request.source.channels));
  io->SetFileTypeToBinary();
  io->SetUseCompression(true);
  try {
    io->WriteImageInformation();
    io->Write(voxels.data_ptr());
  } catch (const itk::ExceptionObject& problem) {
    remove_data_files(file);
    throw io_error(
        fmt::format(
            "{}: cannot be written: {}", target.string(), one_line(problem.GetDescription())),
        "check the free space and the permissions of its folder");
  }
}

void write_itk_file(const fs::path& target, const WriteRequest& request) {
  prepare_itk();
  const std::string format = itk_format(target);
  check_writable(format, target, request);
  if (format == "png" || format == "jpeg") return write_picture(target, format, request.source);
  const std::string extension = file_extension(target);
  const bool one_nifti_file = extension == ".nii" || extension == ".nii.gz";
  if (one_nifti_file && !request.source.geometry.is_2d()) return write_nifti(target, request);
  AtomicFile file(target);
  write_with_itk(file.temporary(),
                 target,
                 request.source.geometry,
                 request,
                 encoded_voxels(request, target.string()));
  finish(file, target, format);
}

}  // namespace triptych
