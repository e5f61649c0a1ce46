// SPDX-License-Identifier: Apache-2.0
#include "framework/app/registration_inputs.h"

#include "framework/app/transform_coverage.h"
#include "framework/core/error.h"
#include "framework/core/log.h"
#include "framework/core/suggest.h"
#include "framework/image/transform_io.h"
#include "framework/ops/convex_search.h"
#include "framework/registration/working_resolution.h"

#include <algorithm>

#include <ATen/ATen.h>

namespace triptych::app {
namespace {

/// Bytes that the alignment needs for a voxel of the working grid: features of both images, costs
/// and optimiser state.
constexpr std::int64_t kBytesPerWorkingVoxel = 400;
/// The same beside it for the descriptors of a run.
constexpr std::int64_t kBytesPerDescribedVoxel = 240;
/// Voxels along an axis below which there is nothing to align along it.
constexpr std::int64_t kFewestVoxels = 4;

const std::string* file_of(const RegisterKeys& keys, const std::string& role) {
  const auto found = keys.input.find(role);
  return found == keys.input.end() ? nullptr : &found->second;
}

void check_size(const VolumeHeader& header, const std::string& location) {
  const Index3& shape = header.geometry.shape;
  const std::size_t first = header.geometry.is_2d() ? 1 : 0;
  if (*std::min_element(shape.begin() + static_cast<std::ptrdiff_t>(first), shape.end()) >=
      kFewestVoxels)
    return;
  throw geometry_error(
      fmt::format("{}: expected at least {} voxels along every axis of a volume, or a 2D image of "
                  "one slice along z, got {}",
                  location,
                  kFewestVoxels,
                  header.geometry.text()));
}

void check_pair(const VolumeHeader& fixed,
                const VolumeHeader& moving,
                const std::string& fixed_file,
                const std::string& moving_file) {
  check_size(fixed, fixed_file);
  check_size(moving, moving_file);
  if (moving.geometry.is_2d() && !fixed.geometry.is_2d()) {
    throw shape_error(
        fmt::format("{} and {}: expected two 2D images, two volumes, or a 2D image and a volume, "
                    "got {} and {}",
                    fixed_file,
                    moving_file,
                    fixed.geometry.text(),
                    moving.geometry.text()),
        "a section that is looked for in a volume is the fixed image");
  }
  if (fixed.geometry.spacing_known != moving.geometry.spacing_known) {
    throw geometry_error(
        fmt::format("{} and {}: expected both spacings to be known or neither, got {} and {}",
                    fixed_file,
                    moving_file,
                    fixed.geometry.text(),
                    moving.geometry.text()),
        "state the missing one with spacing=[x,y,z]");
  }
}

/// A label map that must lie on the grid of an image.
StoredImage labels_on(const StoredImage& image,
                      const std::string& file,
                      const OptionsOf& options,
                      const ImageKeeping& keeping) {
  check_same_grid(
      read_header(file, options(file)).geometry, file, image.geometry(), image.location);
  return store_labels(file, options(file), keeping);
}

/// 1 where at least half of a working voxel is marked.
std::optional<Volume> working_mask(const RegisterKeys& keys,
                                   const std::string& role,
                                   const StoredImage& image,
                                   const OptionsOf& options,
                                   const ImageKeeping& keeping,
                                   const Index3& factors) {
  const std::string* file = file_of(keys, role);
  if (file == nullptr) return {};
  const StoredImage mask = labels_on(image, *file, options, keeping);
  VolumeSource marked = mask.source();
  marked.read = [read = marked.read](std::int64_t channel, const Region& region) {
    return read(channel, region).gt(0);
  };
  Volume volume = pooled(marked, factors);
  volume.data = volume.data.ge(0.5);
  return volume;
}

RegistrationImage working_image(const RegisterKeys& keys,
                                const std::string& role,
                                const StoredImage& image,
                                const OptionsOf& options,
                                const ImageKeeping& keeping,
                                std::int64_t most_voxels) {
  const Index3 factors = pooling_factors(image.geometry(), most_voxels);
  const Geometry grid = pooled_grid(image.geometry(), factors);
  if (factors != Index3{1, 1, 1})
    TRIPTYCH_LOG(info, "{}: aligned at a resolution of {}", image.location, grid.text());
  if (grid.voxels() > most_voxels) {
    TRIPTYCH_LOG(warning,
                 "{}: memory={} is too little for {} voxels, and a coarser grid would show nothing",
                 image.location,
                 keys.memory,
                 grid.voxels());
  }
  return registration_image(pooled(image.source(), factors),
                            working_mask(keys, role + "_mask", image, options, keeping, factors),
                            image.location);
}

std::optional<StoredImage> labels_of(const RegisterKeys& keys,
                                     const std::string& role,
                                     const OptionsOf& options,
                                     const ImageKeeping& keeping,
                                     const StoredImage& image) {
  const std::string* file = file_of(keys, role);
  if (file == nullptr) return {};
  return labels_on(image, *file, options, keeping);
}

/// Coordinates in RAS, of another image or in other units are the usual reason.
void warn_of_points_outside(const Landmarks& points,
                            const Geometry& image,
                            const std::string& file,
                            const std::string& image_file) {
  const auto outside = std::count_if(points.begin(), points.end(), [&](const Landmark& point) {
    return !contains(image, point.position_mm);
  });
  if (outside == 0) return;
  TRIPTYCH_LOG(
      warning,
      "{}: {} of {} landmarks lie outside of {}{}",
      file,
      outside,
      points.size(),
      image_file,
      image.spacing_known ? ": coordinates in mm are LPS (x to the left, y to the back)" : "");
}

void read_points(const RegisterKeys& keys,
                 const Geometry& fixed,
                 const Geometry& moving,
                 RegistrationInputs& inputs) {
  const std::string* fixed_file = file_of(keys, "fixed_landmarks");
  const std::string* moving_file = file_of(keys, "moving_landmarks");
  if (fixed_file != nullptr) {
    inputs.fixed_landmarks = read_landmarks(*fixed_file, fixed);
    warn_of_points_outside(*inputs.fixed_landmarks, fixed, *fixed_file, keys.input.at("fixed"));
  }
  if (moving_file == nullptr) return;
  const Landmarks moving_points = read_landmarks(*moving_file, moving);
  warn_of_points_outside(moving_points, moving, *moving_file, keys.input.at("moving"));
  inputs.landmarks =
      match_landmarks(*inputs.fixed_landmarks, moving_points, *fixed_file, *moving_file);
  const auto note = [](const std::vector<std::string>& labels, const std::string& file) {
    if (!labels.empty())
      TRIPTYCH_LOG(warning, "{}: landmarks without a partner: {}", file, join(labels));
  };
  note(inputs.landmarks->only_fixed, *fixed_file);
  note(inputs.landmarks->only_moving, *moving_file);
}

}  // namespace

OptionsOf read_options(const std::vector<double>& spacing, const std::vector<std::string>& files) {
  if (spacing.empty()) return [](const std::string&) { return ReadOptions{}; };
  const auto states = [](const std::string& file) {
    return read_header(file).geometry.spacing_known;
  };
  const bool all_state = std::all_of(files.begin(), files.end(), states);
  ReadOptions stated;
  stated.spacing_mm = Eigen::Vector3d(spacing[0], spacing[1], spacing[2]);
  return
      [=](const std::string& file) { return all_state || !states(file) ? stated : ReadOptions{}; };
}

RegistrationInputs read_registration_inputs(const RegisterKeys& keys, const ImageKeeping& keeping) {
  const std::string& fixed_file = keys.input.at("fixed");
  const std::string& moving_file = keys.input.at("moving");
  const OptionsOf options = read_options(keys.spacing, {fixed_file, moving_file});
  RegistrationInputs inputs;
  inputs.fixed_header = read_header(fixed_file, options(fixed_file));
  check_pair(
      inputs.fixed_header, read_header(moving_file, options(moving_file)), fixed_file, moving_file);
  const std::int64_t most_voxels =
      keeping.budget.left() /
      (kBytesPerWorkingVoxel + (keys.run.empty() ? 0 : kBytesPerDescribedVoxel));
  {
    const StoredImage fixed = store_image(fixed_file, options(fixed_file), keeping);
    inputs.fixed = working_image(keys, "fixed", fixed, options, keeping, most_voxels);
    inputs.fixed_labels = labels_of(keys, "fixed_labels", options, keeping, fixed);
  }
  inputs.moving_image = store_image(moving_file, options(moving_file), keeping);
  inputs.moving = working_image(keys, "moving", inputs.moving_image, options, keeping, most_voxels);
  inputs.moving_labels = labels_of(keys, "moving_labels", options, keeping, inputs.moving_image);
  if (!keys.reference.empty()) {
    inputs.reference = read_transform(keys.reference);
    check_covers(*inputs.reference, lattice_of(inputs.fixed_header.geometry), keys.reference);
  }
  read_points(keys, inputs.fixed_header.geometry, inputs.moving_image.geometry(), inputs);
  return inputs;
}

}  // namespace triptych::app
