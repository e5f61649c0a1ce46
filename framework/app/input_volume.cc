// SPDX-License-Identifier: Apache-2.0
#include "framework/app/input_volume.h"

#include "framework/config/fields.h"
#include "framework/core/error.h"
#include "framework/core/log.h"

#include <algorithm>

#include <ATen/ATen.h>

namespace triptych::app {
namespace {

constexpr std::int64_t kSlabSlices = 32;

/// Reads slabs of a location in order; each slab is [C, d, H, W] float32.
void for_each_slab(const std::string& location,
                   const ReadOptions& options,
                   const VolumeHeader& header,
                   const std::function<void(std::int64_t first, const at::Tensor&)>& use) {
  if (!header.reads_regions) {
    use(0, read_volume(location, options).data.to(at::kFloat));
    return;
  }
  const Index3& shape = header.geometry.shape;
  for (std::int64_t first = 0; first < shape[0]; first += kSlabSlices) {
    const Region region{{first, 0, 0},
                        {std::min(kSlabSlices, shape[0] - first), shape[1], shape[2]}};
    use(first, read_region(location, region, options).data.to(at::kFloat));
  }
}

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

HarmoniseConfig harmonise_of(const config::Node& resolved, const std::string& dataset) {
  HarmoniseConfig none;
  none.mode = "none";
  const config::Node* node = resolved.find("datasets." + dataset + ".harmonise");
  return node == nullptr || node->is_null()
             ? none
             : config::read<HarmoniseConfig>(*node, "datasets." + dataset + ".harmonise");
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
    const Volume volume = harmonise(read_volume(location, own), harmonise_config, location);
    input.geometry = volume.geometry;
    input.store = store_of(input.geometry, channels, budget, scratch);
    input.store->tensor().copy_(volume.data);
    return input;
  }
  input.store = store_of(input.geometry, channels, budget, scratch);
  for_each_slab(location, own, header, [&](std::int64_t first, const at::Tensor& slab) {
    input.store->tensor().narrow(1, first, slab.size(1)).copy_(slab);
    input.store->release_pages();
  });
  if (harmonise_config.mode == "none") return input;
  const at::Tensor values = input.store->tensor();
  const BlockSource blocks = [&](const std::function<void(const at::Tensor&)>& block) {
    for (std::int64_t first = 0; first < values.size(1); first += kSlabSlices) {
      block(values.narrow(1, first, std::min(kSlabSlices, values.size(1) - first)).contiguous());
    }
  };
  const IntensityStatistics statistics = measure_intensities(
      blocks, harmonise_config.low_percentile, harmonise_config.high_percentile);
  const IntensityMap map = fit_intensities(statistics, harmonise_config, location);
  for (std::int64_t first = 0; first < values.size(1); first += kSlabSlices) {
    at::Tensor slab = values.narrow(1, first, std::min(kSlabSlices, values.size(1) - first));
    slab.copy_(map.apply(slab.contiguous()));
    input.store->release_pages();
  }
  return input;
}

}  // namespace triptych::app
