// SPDX-License-Identifier: Apache-2.0
#include "framework/core/error.h"
#include "framework/data/channel_grids.h"
#include "framework/data/intensity.h"
#include "framework/data/transform.h"
#include "framework/image/distance_map.h"
#include "framework/ops/scan_artifacts.h"

#include <algorithm>
#include <cmath>

#include <ATen/ATen.h>

namespace triptych {
namespace {

using Range = std::vector<double>;

/// Susceptibility artifact of metal in magnetic resonance imaging: signal is lost about the metal,
/// and a bright rim may lie beyond (see SignalVoid). The metal is a label entry's voxels, or a ball
/// at a random place. Lengths are relative to the shortest side of the item.
class SignalVoidTransform final : public Transform {
 public:
  struct Config {
    std::string label_entry;
    std::vector<std::int64_t> classes;
    Range radius = {0.02, 0.08};
    Range reach = {0.02, 0.08};
    double rim = 0.35;
    double probability = 1.0;
    std::vector<std::string> entries;

    void visit(auto& field) {
      field("label_entry", label_entry, "labels whose voxels are metal; empty: a ball");
      field("classes", classes, "classes in label_entry that are metal; [] = all but 0");
      field("radius", radius, "[smallest, largest] radius of the ball");
      field("reach", reach, "[smallest, largest] distance over which signal is lost");
      field("rim", rim, "relative signal gained in the rim; 0: none", config::Between{0.0, 5.0});
      field("probability", probability, "of a void", config::Between{0.0, 1.0});
      field("entries", entries, "entries to change; [] = all intensities");
    }
    void validate(config::Problems& problems) const {
      const auto check = [&](const char* key, const Range& range) {
        if (range.size() != 2 || !(range[0] >= 0.0) || !(range[0] <= range[1]) || range[1] > 1.0)
          problems.add(key, "expects [lo, hi] with 0 <= lo <= hi <= 1");
      };
      check("radius", radius);
      check("reach", reach);
      if (label_entry.empty() && !classes.empty())
        problems.add("classes", "expects a label_entry that has these classes");
    }
  };

  explicit SignalVoidTransform(const Config& config) : config_(config) {}

  TransformParameters draw(const Sample&, RandomStream& random) const override {
    if (!random.bernoulli(config_.probability)) return {};
    const auto drawn = [&](const Range& range) { return random.uniform(range[0], range[1]); };
    TransformParameters parameters;
    parameters["reach"] = {drawn(config_.reach)};
    parameters["radius"] = {drawn(config_.radius)};
    for (int axis = 0; axis < 3; ++axis)
      parameters["centre"].push_back(random.uniform(0.2, 0.8));  // D, H, W, parts of the sides
    parameters["seed"] = {static_cast<double>(random.bits() >> 12)};
    return parameters;
  }

  void apply(Sample& sample, const TransformParameters& parameters) const override {
    if (parameters.empty()) return;
    const RandomStream stream(static_cast<std::uint64_t>(parameters.at("seed")[0]));
    for_each_intensity(
        sample, config_.entries, "signal_void", [&](const std::string& name, Entry& entry) {
          const std::vector<float> distance = config_.label_entry.empty()
                                                  ? distance_to_ball(entry.geometry, parameters)
                                                  : distance_to_label(sample, name);
          if (distance.empty()) return;
          const double side_mm = field_of_view_mm(entry.geometry);
          SignalVoid signal_void;
          signal_void.reach_mm = parameters.at("reach")[0] * side_mm;
          signal_void.structure_mm = 0.3 * side_mm;
          signal_void.rim = config_.rim;
          entry.data = mapped_channels(entry, [&](ScalarGrid& grid, std::int64_t) {
            add_signal_void(grid, distance, signal_void, stream);
          });
        });
  }

 private:
  static std::vector<float> distance_to_ball(const Geometry& grid,
                                             const TransformParameters& parameters) {
    const double radius_mm = parameters.at("radius")[0] * field_of_view_mm(grid);
    const std::vector<double>& centre = parameters.at("centre");
    const auto [planes, lines, columns] = grid.shape;
    // Squared distance in mm along one axis.
    const auto along = [&](std::int64_t index, std::size_t axis) {
      const double middle = centre[axis] * static_cast<double>(grid.shape[axis] - 1);
      const double mm =
          (static_cast<double>(index) - middle) * grid.spacing[2 - static_cast<Eigen::Index>(axis)];
      return mm * mm;
    };
    std::vector<float> result;
    result.reserve(static_cast<std::size_t>(grid.voxels()));
    for (std::int64_t d = 0; d < planes; ++d) {
      for (std::int64_t h = 0; h < lines; ++h) {
        for (std::int64_t w = 0; w < columns; ++w) {
          const double mm = std::sqrt(along(d, 0) + along(h, 1) + along(w, 2));
          result.push_back(static_cast<float>(std::max(0.0, mm - radius_mm)));
        }
      }
    }
    return result;
  }

  /// Empty where the label has no metal.
  std::vector<float> distance_to_label(const Sample& sample, const std::string& image) const {
    const Entry& label = sample.at(config_.label_entry);
    const Geometry& grid = sample.at(image).geometry;
    if (label.kind != EntryKind::kLabel || label.geometry.shape != grid.shape) {
      throw data_error(
          fmt::format("sample {}: transform 'signal_void': expected labels of the size of '{}' in "
                      "entry '{}'",
                      sample.id,
                      image,
                      config_.label_entry));
    }
    at::Tensor metal = label.data[0] > 0;
    if (!config_.classes.empty()) {
      metal = at::zeros_like(metal);
      for (const std::int64_t index : config_.classes) metal.logical_or_(label.data[0].eq(index));
    }
    if (!metal.any().item<bool>()) return {};
    const at::Tensor distance =
        distance_to(metal, {grid.spacing[0], grid.spacing[1], grid.spacing[2]}).contiguous();
    const float* first = distance.data_ptr<float>();
    return {first, first + distance.numel()};
  }

  Config config_;
};

}  // namespace
TRIPTYCH_REGISTER_TRANSFORM("signal_void", SignalVoidTransform)
}  // namespace triptych
