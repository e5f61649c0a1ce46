// SPDX-License-Identifier: Apache-2.0
#include "framework/data/file_entry.h"

#include "framework/core/error.h"
#include "framework/core/suggest.h"
#include "framework/data/dense.h"
#include "framework/image/landmarks.h"
#include "framework/image/resample.h"
#include "framework/image/slabs.h"

#include <algorithm>
#include <cmath>
#include <sstream>

#include <ATen/ops/empty.h>

namespace triptych {
namespace {

constexpr std::int64_t kBlockVoxels = std::int64_t{1} << 24;

std::string statistics_text(const IntensityStatistics& s) {
  return fmt::format("{} {} {:.17g} {:.17g} {:.17g} {:.17g} {:.17g} {:.17g}",
                     s.count,
                     s.not_finite,
                     s.minimum,
                     s.maximum,
                     s.mean,
                     s.deviation,
                     s.low,
                     s.high);
}

std::optional<IntensityStatistics> statistics_from_text(const std::string& text) {
  std::istringstream stream(text);
  IntensityStatistics s;
  stream >> s.count >> s.not_finite >> s.minimum >> s.maximum >> s.mean >> s.deviation >> s.low >>
      s.high;
  if (!stream) return std::nullopt;
  return s;
}

/// Any real tensor as whole numbers; names the first value that is none.
at::Tensor whole_numbers(const at::Tensor& values, const std::string& location) {
  if (!values.is_floating_point()) return dense_int64(values);
  const at::Tensor source = dense_float(values);
  at::Tensor result = at::empty(source.sizes(), source.options().dtype(at::kLong));
  const float* from = source.data_ptr<float>();
  std::int64_t* to = result.data_ptr<std::int64_t>();
  for (std::int64_t i = 0; i < source.numel(); ++i) {
    if (!(std::floor(from[i]) == from[i]) || std::isinf(from[i])) {
      throw data_error(
          fmt::format("{}: expected labels that are whole numbers, got {}", location, from[i]));
    }
    to[i] = static_cast<std::int64_t>(from[i]);
  }
  return result;
}

/// Source voxels that resampling to the grid `target` needs: its corners, and what smoothing and
/// interpolation reach.
Region source_region(const Geometry& source, const Geometry& target) {
  Eigen::Vector3d low = Eigen::Vector3d::Constant(1e300);
  Eigen::Vector3d high = -low;
  for (int corner = 0; corner < 8; ++corner) {
    Eigen::Vector3d index;
    for (int axis = 0; axis < 3; ++axis) {
      index[axis] = (corner >> axis & 1) != 0
                        ? static_cast<double>(target.shape[static_cast<std::size_t>(2 - axis)] - 1)
                        : 0.0;
    }
    const Eigen::Vector3d position = source.index_from_world(target.world_from_index(index));
    low = low.cwiseMin(position);
    high = high.cwiseMax(position);
  }
  Region region;
  for (int axis = 0; axis < 3; ++axis) {
    const auto a = static_cast<std::size_t>(2 - axis);
    const double factor = std::max(1.0, target.spacing[axis] / source.spacing[axis]);
    const double halo = 2.0 + std::ceil(4.0 * 0.5 * std::sqrt(factor * factor - 1.0));
    const auto last = static_cast<double>(source.shape[a] - 1);
    region.start[a] =
        static_cast<std::int64_t>(std::clamp(std::floor(low[axis] - halo), 0.0, last));
    region.size[a] =
        static_cast<std::int64_t>(std::clamp(std::ceil(high[axis] + halo), 0.0, last)) -
        region.start[a] + 1;
  }
  return region;
}

}  // namespace

FileEntry::FileEntry(std::string sample,
                     std::string location,
                     std::shared_ptr<const FileEntryConfig> config,
                     std::shared_ptr<FileFacts> facts)
    : sample_(std::move(sample)),
      location_(std::move(location)),
      config_(std::move(config)),
      facts_(std::move(facts)) {
  spec_.name = config_->name;
  spec_.kind = config_->kind;
  spec_.modality = config_->modality;
  spec_.frame = config_->frame;
  spec_.target_frame = config_->target_frame;
  if (config_->kind == EntryKind::kPoints) return;
  try {
    read_spec();
  } catch (const Error& error) {
    // Kept for verify(), which tells the faults of all files at once.
    header_fault_ = error.what();
  }
}

void FileEntry::read_spec() {
  const VolumeHeader header = read_header(location_, config_->read);
  spec_.channels = header.channels;
  spec_.geometry = stored_ = header.geometry;
  reads_regions_ = header.reads_regions;
  if (config_->kind == EntryKind::kLabel && header.channels != 1) {
    throw data_error(fmt::format(
        "{}: expected a label map of one channel, got {} channels", location_, header.channels));
  }
  if (config_->kind == EntryKind::kVectorField && header.channels != 3) {
    throw data_error(fmt::format("{}: expected vectors of three channels x, y, z, got {} channels",
                                 location_,
                                 header.channels));
  }
  if (const auto spacing = config_->harmonise.target_spacing()) {
    if (!stored_.spacing_known) {
      throw geometry_error(
          fmt::format("{}: the file states no spacing, so it cannot be resampled to millimetres",
                      location_),
          "set spacing_mm of the data set");
    }
    spec_.geometry = stored_.resampled_to(*spacing);
  }
}

at::Tensor FileEntry::read_stored(const Region& region) const {
  if (config_->kind == EntryKind::kLabel && !reads_regions_ &&
      region == Region{{0, 0, 0}, stored_.shape}) {
    return read_labels(location_, config_->read).data;
  }
  const at::Tensor data = read_region(location_, region, config_->read).data;
  return config_->kind == EntryKind::kLabel ? whole_numbers(data, location_) : dense_float(data);
}

Entry FileEntry::read(const Region& region) const {
  if (!header_fault_.empty()) throw data_error(header_fault_);
  if (config_->kind == EntryKind::kPoints) return read_points();
  if (config_->harmonise.target_spacing()) return read_resampled(region);
  Entry entry{spec_.kind,
              {},
              stored_.cropped(region),
              spec_.modality,
              spec_.frame,
              spec_.target_frame,
              nullptr};
  entry.data = read_stored(region);
  if (spec_.kind == EntryKind::kLabel) entry.data = to_indices(entry.data);
  if (spec_.kind == EntryKind::kIntensity && !intensity_map().is_identity())
    entry.data = intensity_map().apply(entry.data);
  return entry;
}

Entry FileEntry::read_resampled(const Region& region) const {
  const Geometry target = spec_.geometry.cropped(region);
  const Region needed = source_region(stored_, target);
  Volume volume{read_stored(needed), stored_.cropped(needed), spec_.modality, {}};
  const bool label = spec_.kind == EntryKind::kLabel;
  double fill = 0.0;  // beyond the file's field of view
  if (label) {
    volume.data = to_indices(volume.data);
    fill = -1.0;
  } else if (spec_.kind == EntryKind::kIntensity && !intensity_map().is_identity()) {
    volume.data = intensity_map().apply(volume.data);
  }
  Volume resampled =
      resample(volume, target, label ? Interpolation::kNearest : Interpolation::kLinear, fill);
  const at::Tensor data = label ? dense_int64(resampled.data) : dense_float(resampled.data);
  return {spec_.kind, data, target, spec_.modality, spec_.frame, spec_.target_frame, nullptr};
}

Entry FileEntry::read_points() const {
  const Landmarks landmarks = read_landmark_table(location_);
  at::Tensor points =
      at::empty({static_cast<std::int64_t>(landmarks.size()), 3}, at::TensorOptions(at::kDouble));
  double* value = points.data_ptr<double>();
  for (const Landmark& landmark : landmarks) {
    for (const double coordinate : landmark.position_mm) *value++ = coordinate;
  }
  return {EntryKind::kPoints,
          points,
          spec_.geometry,
          spec_.modality,
          spec_.frame,
          spec_.target_frame,
          nullptr};
}

at::Tensor FileEntry::to_indices(const at::Tensor& values) const {
  at::Tensor result = at::empty(values.sizes(), values.options());
  const std::int64_t* from = values.data_ptr<std::int64_t>();
  std::int64_t* to = result.data_ptr<std::int64_t>();
  // Neighbours mostly have the same label: look a value up only when it changes.
  std::optional<std::pair<std::int64_t, std::int64_t>> last;
  for (std::int64_t i = 0; i < values.numel(); ++i) {
    if (!last || last->first != from[i]) {
      const auto found = config_->labels.find(from[i]);
      if (found == config_->labels.end()) {
        throw data_error(fmt::format("{}: label value {} is in no class", location_, from[i]),
                         "list it under `classes`, or under `ignore_values`");
      }
      last.emplace(*found);
    }
    to[i] = last->second;
  }
  return result;
}

void FileEntry::for_each_block(const std::function<void(const at::Tensor&)>& block) const {
  const Index3& shape = stored_.shape;
  const std::int64_t slices =
      reads_regions_ ? std::clamp<std::int64_t>(kBlockVoxels / (shape[1] * shape[2]), 1, shape[0])
                     : shape[0];
  for (const Region& slab : slabs_of_slices(shape, slices)) block(read_stored(slab));
}

IntensityStatistics FileEntry::statistics() const {
  const HarmoniseConfig& harmonise = config_->harmonise;
  const std::string question =
      fmt::format("intensity {:.17g} {:.17g} {} {}",
                  harmonise.low_percentile,
                  harmonise.high_percentile,
                  config_->read.color == ColorMode::kGrey ? "grey" : "channels",
                  config_->read.apply_rescale ? "rescaled" : "stored");
  if (const auto known = facts_->find(location_, question)) {
    if (const auto parsed = statistics_from_text(*known)) return *parsed;
  }
  at::Tensor whole;  // a small volume, or a format without regions, is read once for both passes
  if (!reads_regions_ || stored_.voxels() <= kBlockVoxels)
    whole = read_stored({{0, 0, 0}, stored_.shape});
  const auto blocks = [&](const std::function<void(const at::Tensor&)>& block) {
    if (whole.defined()) {
      block(whole);
    } else {
      for_each_block(block);
    }
  };
  const IntensityStatistics result =
      measure_intensities(blocks, harmonise.low_percentile, harmonise.high_percentile);
  facts_->remember(location_, question, statistics_text(result));
  return result;
}

const IntensityMap& FileEntry::intensity_map() const {
  std::call_once(map_fitted_, [this] {
    if (config_->harmonise.mode == "none") return;
    IntensityStatistics known;
    if (config_->harmonise.needs_statistics()) known = statistics();
    map_ = fit_intensities(known, config_->harmonise, location_);
  });
  return map_;
}

std::map<std::int64_t, std::int64_t> FileEntry::label_counts() const {
  std::map<std::int64_t, std::int64_t> counts;
  if (const auto known = facts_->find(location_, "labels")) {
    std::istringstream stream(*known);
    std::int64_t value = 0;
    std::int64_t count = 0;
    while (stream >> value >> count) counts[value] = count;
    if (!counts.empty()) return counts;
  }
  for_each_block([&](const at::Tensor& block) {
    const std::int64_t* value = block.data_ptr<std::int64_t>();
    auto last = counts.end();
    for (std::int64_t i = 0; i < block.numel(); ++i) {
      if (last == counts.end() || last->first != value[i])
        last = counts.try_emplace(value[i], 0).first;
      ++last->second;
    }
  });
  std::string text;
  for (const auto& [value, count] : counts)
    text += fmt::format("{}{} {}", text.empty() ? "" : " ", value, count);
  facts_->remember(location_, "labels", text);
  return counts;
}

std::vector<std::string> FileEntry::verify() const {
  if (!header_fault_.empty()) return {fmt::format("sample {}: {}", sample_, header_fault_)};
  std::vector<std::string> faults;
  const auto fault = [&](const std::string& text) {
    faults.push_back(fmt::format("sample {}: {}", sample_, text));
  };
  try {
    if (config_->kind == EntryKind::kPoints) {
      read_points();
    } else if (config_->kind == EntryKind::kLabel) {
      std::vector<std::string> known;
      for (const auto& [value, index] : config_->labels) known.push_back(std::to_string(value));
      for (const auto& [value, count] : label_counts()) {
        if (config_->labels.contains(value)) continue;
        fault(fmt::format("{}: expected label values {}, got {} ({} voxels)",
                          location_,
                          join(known),
                          value,
                          count));
      }
    } else {
      const IntensityStatistics found = statistics();
      if (found.not_finite > 0) {
        fault(fmt::format("{}: expected finite values, got {} NaN or infinite ones",
                          location_,
                          found.not_finite));
      }
      const bool constant = found.count > 0 && found.minimum == found.maximum;
      if (constant && config_->kind == EntryKind::kIntensity) {
        fault(fmt::format(
            "{}: expected an image with contrast, got {} everywhere", location_, found.minimum));
      }
    }
  } catch (const Error& error) {
    fault(error.what());
  }
  return faults;
}

}  // namespace triptych
