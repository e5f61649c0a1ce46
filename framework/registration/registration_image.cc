// SPDX-License-Identifier: Apache-2.0
#include "framework/registration/registration_image.h"

#include "framework/core/error.h"
#include "framework/image/resample.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

namespace triptych {

namespace {

at::Tensor one_channel(const Volume& volume, const std::string& name) {
  const at::Tensor data = volume.data.to(at::kFloat);
  if (data.size(0) == 1) return data.unsqueeze(0);
  if (data.size(0) != 3) {
    throw shape_error(
        fmt::format("{}: expected 1 channel, or 3 of RGB, got {}", name, data.size(0)),
        "choose a channel before registering");
  }
  return (0.299 * data[0] + 0.587 * data[1] + 0.114 * data[2]).unsqueeze(0).unsqueeze(0);
}

}  // namespace

RegistrationImage registration_image(const Volume& volume,
                                     const std::optional<Volume>& mask,
                                     const std::string& name) {
  check_volume(volume, name);
  check_valid(volume.geometry, name);
  RegistrationImage image{one_channel(volume, name).contiguous(), volume.geometry, {}};
  if (!at::isfinite(image.values).all().item<bool>())
    throw data_error(name + " has values that are no numbers", "replace NaN and infinity first");
  if (mask) {
    check_same_grid(mask->geometry, "the mask of " + name, volume.geometry, name);
    image.mask = (mask->data.narrow(0, 0, 1) > 0).to(at::kFloat).unsqueeze(0).contiguous();
    if (!image.mask.any().item<bool>())
      throw data_error("the mask of " + name + " marks no voxel",
                       "mark what counts with values > 0");
  }
  const at::Tensor counted =
      image.mask.defined() ? image.values.masked_select(image.mask > 0) : image.values;
  if (counted.min().item<float>() == counted.max().item<float>())
    throw data_error(name + " has one grey value only" + (mask ? " within its mask" : ""),
                     "a constant image cannot be aligned");
  return image;
}

RegistrationImage coarser(const RegistrationImage& image, const Eigen::Vector3d& spacing_mm) {
  Eigen::Vector3d spacing = image.geometry.spacing.cwiseMax(spacing_mm);
  if (image.geometry.is_2d()) spacing.z() = image.geometry.spacing.z();
  if (spacing == image.geometry.spacing) return image;
  Geometry stated = image.geometry;
  stated.spacing_known = true;  // pixels are as good a unit here
  Geometry grid = stated.resampled_to(spacing);
  grid.spacing_known = image.geometry.spacing_known;
  const auto onto_grid = [&](const at::Tensor& tensor) {
    const Volume volume{tensor[0], image.geometry, "", {}};
    return resample(volume, grid, Interpolation::kLinear).data.unsqueeze(0);
  };
  RegistrationImage result{onto_grid(image.values), grid, {}};
  if (image.mask.defined()) result.mask = (onto_grid(image.mask) >= 0.5F).to(at::kFloat);
  return result;
}

}  // namespace triptych
