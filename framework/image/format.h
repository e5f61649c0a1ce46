// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/image/class_table.h"
#include "framework/image/io.h"
#include "framework/image/voxel_type.h"

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

/// What a file format implements; io.cc chooses the format and does the rest (checks, spacing,
/// colour, cropping).
namespace triptych {

/// An open image. Reading one region must not need more memory than that region where the format
/// allows it.
class ImageReader {
 public:
  virtual ~ImageReader() = default;

  /// As the file states it, before ReadOptions::spacing_mm.
  const VolumeHeader& header() const { return header_; }
  /// Voxels [C, D, H, W] of a region inside the geometry's shape.
  virtual at::Tensor read(const Region& region) = 0;
  /// Checks without reading voxels what opening did not: that all data are there, that all slices
  /// fit.
  virtual void check_complete() {}
  /// What the file says about its origin, such as the DICOM modality.
  virtual std::map<std::string, std::string> metadata() const { return {}; }

 protected:
  VolumeHeader header_;
};

std::unique_ptr<ImageReader> open_itk_file(const std::filesystem::path& file,
                                           const ReadOptions& options);
std::unique_ptr<ImageReader> open_dicom_series(const std::filesystem::path& folder,
                                               const ReadOptions& options);
std::unique_ptr<ImageReader> open_tiff(const std::filesystem::path& file,
                                       const ReadOptions& options);
std::unique_ptr<ImageReader> open_slice_stack(const std::filesystem::path& folder,
                                              const ReadOptions& options);
std::unique_ptr<ImageReader> open_hdf5(const std::filesystem::path& file,
                                       const std::string& dataset,
                                       const ReadOptions& options);
/// A file by its extension, not a folder.
std::unique_ptr<ImageReader> open_file(const std::filesystem::path& file,
                                       const ReadOptions& options);

/// True for a folder that holds DICOM files.
bool holds_dicom(const std::filesystem::path& folder);

/// What is written: voxels, their type in the file, and for label maps their classes.
struct WriteRequest {
  const VolumeSource& source;
  VoxelType type;
  bool labels = false;
  const ClassTable* classes = nullptr;
};

/// Voxels of a region of one channel as they lie in the file; contiguous.
at::Tensor encoded_piece(const WriteRequest& request,
                         std::int64_t channel,
                         const Region& region,
                         const std::string& place);
/// All voxels as they lie in the file, the channels of a voxel together: [D, H, W, C], contiguous.
at::Tensor encoded_voxels(const WriteRequest& request, const std::string& place);
/// Cuts a volume along D into pieces of a few MB, at least one slice each.
std::vector<Region> slabs_of(const Index3& shape, std::int64_t bytes_per_voxel);

void write_itk_file(const std::filesystem::path& target, const WriteRequest& request);
/// Lets ITK write `voxels` of `geometry` to `file`; `target` is named in messages.
void write_with_itk(const std::filesystem::path& file,
                    const std::filesystem::path& target,
                    const Geometry& geometry,
                    const WriteRequest& request,
                    const at::Tensor& voxels);
/// .nii or .nii.gz of two slices or more.
void write_nifti(const std::filesystem::path& target, const WriteRequest& request);
/// Grey, grey and alpha, RGB or RGBA of 8 or 16 bits; [C, 1, H, W] of uint8 or uint16 values.
void write_png(const std::filesystem::path& target, const at::Tensor& data, VoxelType type);
/// Grey or RGB of 8 bits; [C, 1, H, W] of uint8 values. Lossy, quality 95.
void write_jpeg(const std::filesystem::path& target, const at::Tensor& data);
void write_tiff(const std::filesystem::path& target, const WriteRequest& request);
void write_slice_stack(const std::filesystem::path& folder, const WriteRequest& request);
void write_hdf5(const std::filesystem::path& target,
                const std::string& dataset,
                const WriteRequest& request);

/// Slicer's segmentation fields for the header of a `.seg.nrrd` from labels [1, D, H, W], as key
/// and value.
std::vector<std::pair<std::string, std::string>> segment_fields(const at::Tensor& labels,
                                                                const ClassTable& classes);

}  // namespace triptych
