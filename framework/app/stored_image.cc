// SPDX-License-Identifier: Apache-2.0
#include "framework/app/stored_image.h"

#include "framework/app/class_legend.h"
#include "framework/app/input_volume.h"
#include "framework/core/error.h"
#include "framework/image/slabs.h"

#include <algorithm>
#include <functional>
#include <limits>

#include <ATen/ATen.h>

namespace triptych::app {
namespace {

StoredImage stored(const std::string& location,
                   const ReadOptions& options,
                   const ImageKeeping& keeping,
                   at::ScalarType type,
                   const std::function<void(const at::Tensor&)>& check) {
  StoredImage image{location, read_header(location, options), nullptr};
  image.header.type = type == at::ScalarType::Undefined ? image.header.type : type;
  const std::int64_t slices = slices_at_once(image.header, keeping.budget.left());
  image.store = std::make_unique<VolumeStore>(image.header.channels,
                                              image.geometry().shape,
                                              image.header.type,
                                              keeping.budget,
                                              keeping.scratch);
  image.lowest = std::numeric_limits<double>::infinity();
  image.highest = -image.lowest;
  for (const Region& slab : slabs_of_slices(image.geometry().shape, slices)) {
    const at::Tensor values = read_region(location, slab, options).data;
    check(values);
    const auto [low, high] = at::aminmax(values);
    image.lowest = std::min(image.lowest, low.to(at::kDouble).item<double>());
    image.highest = std::max(image.highest, high.to(at::kDouble).item<double>());
    image.store->write(slab, values);
  }
  return image;
}

}  // namespace

void check_finite(const at::Tensor& values, const std::string& location) {
  if (!values.is_floating_point() || at::isfinite(values).all().item<bool>()) return;
  throw data_error(fmt::format("{}: expected finite values, got NaN or infinity", location),
                   "replace them first, for instance by the lowest value of the image");
}

std::filesystem::path scratch_folder(const std::string& key) {
  return key.empty() ? std::filesystem::temp_directory_path() : std::filesystem::path(key);
}

VolumeSource StoredImage::source() const {
  return {header.geometry,
          header.channels,
          header.type,
          [&store = *store](std::int64_t channel, const Region& region) {
            return store.read(region, channel);
          }};
}

StoredImage store_image(const std::string& location,
                        const ReadOptions& options,
                        const ImageKeeping& keeping) {
  return stored(
      location, options, keeping, at::ScalarType::Undefined, [&](const at::Tensor& values) {
        check_finite(values, location);
      });
}

StoredImage store_labels(const std::string& location,
                         const ReadOptions& options,
                         const ImageKeeping& keeping) {
  const VolumeHeader header = read_header(location, options);
  if (header.channels != 1) {
    throw data_error(
        fmt::format("{}: expected one channel in a label map, got {}", location, header.channels),
        "colour pictures and 4D series are no label maps");
  }
  const at::ScalarType type = c10::isFloatingType(header.type) ? at::kShort : header.type;
  return stored(location, options, keeping, type, [&](const at::Tensor& values) {
    check_finite(values, location);
    if (values.is_floating_point() && !values.eq(values.round()).all().item<bool>()) {
      throw data_error(
          fmt::format("{}: expected whole numbers in a label map, got fractions", location),
          "is this an image instead of a label map?");
    }
    check_label_range(values, location);
  });
}

}  // namespace triptych::app
