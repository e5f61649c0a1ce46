// SPDX-License-Identifier: Apache-2.0
#include "framework/app/input_volume.h"

#include "framework/config/fields.h"
#include "framework/core/error.h"
#include "framework/core/log.h"
#include "framework/image/slabs.h"

#include <algorithm>
#include <limits>

#include <ATen/ATen.h>

namespace triptych::app {
namespace {

constexpr std::int64_t kSlabSlices = 32;

/// Throws data_error for an image without content, of which a network makes something all the same.
class ValueCheck {
 public:
  explicit ValueCheck(const std::string& location) : location_(location) {}

  void add(const at::Tensor& values) {
    const auto [low, high] = at::aminmax(values);
    lowest_ = std::min(lowest_, low.to(at::kDouble).item<double>());
    highest_ = std::max(highest_, high.to(at::kDouble).item<double>());
    if (at::isfinite(values.sum()).item<bool>() || at::isfinite(values).all().item<bool>()) return;
    throw data_error(fmt::format("{}: expected finite values, got NaN or infinity", location_),
                     "replace them first, for instance by the lowest value of the image");
  }
  void finish() const {
    if (lowest_ < highest_) return;
    throw data_error(
        fmt::format("{}: expected an image, got {:g} in every voxel", location_, lowest_));
  }

 private:
  const std::string& location_;
  double lowest_ = std::numeric_limits<double>::infinity();
  double highest_ = -std::numeric_limits<double>::infinity();
};

bool needs_resampling(const HarmoniseConfig& harmonise, const Geometry& geometry) {
  const auto spacing = harmonise.target_spacing();
  return spacing && !spacing->isApprox(geometry.spacing, 1e-4);
}

std::unique_ptr<VolumeStore> store_of(const Geometry& geometry,
                                      std::int64_t channels,
                                      MemoryBudget& budget,
                                      const std::filesystem::path& scratch) {
  return std::make_unique<VolumeStore>(channels, geometry.shape, at::kFloat, budget, scratch);
}

}  // namespace

std::int64_t slices_at_once(const VolumeHeader& header, std::int64_t memory) {
  if (header.reads_regions) return kSlabSlices;
  const Index3& shape = header.geometry.shape;
  const std::int64_t slice_bytes =
      header.channels * shape[1] * shape[2] * static_cast<std::int64_t>(sizeof(float));
  return std::max(kSlabSlices, memory / 4 / slice_bytes);
}

std::optional<HarmoniseConfig> stored_harmonise(const config::Node& resolved,
                                                const std::string& dataset) {
  std::string path = "datasets." + dataset;
  while (resolved.find(path + ".of") != nullptr) path += ".of";  // pairs of the samples of another
  path += ".harmonise";
  const config::Node* node = resolved.find(path);
  if (node == nullptr || node->is_null()) return {};
  return config::read<HarmoniseConfig>(*node, path);
}

HarmoniseConfig harmonise_of(const config::Node& resolved, const std::string& dataset) {
  HarmoniseConfig none;
  none.mode = "none";
  return stored_harmonise(resolved, dataset).value_or(none);
}

InputVolume read_input(const std::string& location,
                       const ReadOptions& options,
                       const HarmoniseConfig& harmonise_config,
                       std::int64_t channels,
                       MemoryBudget& budget,
                       const std::filesystem::path& scratch) {
  ReadOptions own = options;
  VolumeHeader header = read_header(location, own);
  if (channels == 1 && header.channels > 1) {
    TRIPTYCH_LOG(
        warning, "{}: {} channels are read as their grey value", location, header.channels);
    own.color = ColorMode::kGrey;
    header = read_header(location, own);
  }
  if (header.channels != channels) {
    throw data_error(fmt::format("{}: expected {} channels, as the model was trained with, got {}",
                                 location,
                                 channels,
                                 header.channels));
  }
  InputVolume input{nullptr, header.geometry, header.geometry};
  if (needs_resampling(harmonise_config, header.geometry)) {
    Volume volume = read_volume(location, own);
    ValueCheck check(location);
    check.add(volume.data);
    check.finish();
    const BlockSource whole = [&](const auto& block) { block(volume.data); };
    input.grey_values = measured_intensity_map(whole, harmonise_config, location);
    volume = harmonise(volume, harmonise_config, input.grey_values);
    input.geometry = volume.geometry;
    input.store = store_of(input.geometry, channels, budget, scratch);
    input.store->write({{0, 0, 0}, input.geometry.shape}, volume.data);
    return input;
  }
  const std::int64_t slices = slices_at_once(header, budget.left());
  input.store = store_of(input.geometry, channels, budget, scratch);
  VolumeStore& store = *input.store;
  ValueCheck check(location);
  for (const Region& slab : slabs_of_slices(store.shape(), slices)) {
    const at::Tensor values = read_region(location, slab, own).data;
    check.add(values);
    store.write(slab, values);
  }
  check.finish();
  if (harmonise_config.mode == "none") return input;
  const std::vector<Region> parts = slabs_of_slices(store.shape(), kSlabSlices);
  const BlockSource blocks = [&](const std::function<void(const at::Tensor&)>& block) {
    for (const Region& part : parts) block(store.read(part));
  };
  input.grey_values = measured_intensity_map(blocks, harmonise_config, location);
  for (const Region& part : parts) store.write(part, input.grey_values.apply(store.read(part)));
  return input;
}

}  // namespace triptych::app
