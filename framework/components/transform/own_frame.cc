// SPDX-License-Identifier: Apache-2.0
#include "framework/core/error.h"
#include "framework/core/suggest.h"
#include "framework/data/transform.h"

#include <algorithm>

#include <ATen/ATen.h>

namespace triptych {
namespace {

/// Makes a pair of one sample: the named entries get a frame of their own, and `displacement`
/// becomes the field that leads from the reference's frame to it, zero on the reference's grid.
///
/// Later transforms with `frames` then move the two apart, and the field follows: it stays what a
/// registration of the two has to find. So any data set gives pairs with a known displacement.
class OwnFrame final : public Transform {
 public:
  struct Config {
    std::vector<std::string> entries;
    std::string frame = "moving";
    std::string displacement = "displacement";

    void visit(auto& field) {
      field("entries",
            entries,
            "entries that get the frame, e.g. [moving, moving_label]",
            config::Need::kRequired);
      field("frame", frame, "name of the frame");
      field("displacement",
            displacement,
            "entry that becomes the displacement field to it, whatever it was; '' = none");
    }
    void validate(config::Problems& problems) const {
      if (entries.empty()) problems.add("entries", "expects at least one entry, got none");
      if (frame.empty()) problems.add("frame", "expects a name, got ''");
    }
  };

  explicit OwnFrame(const Config& config) : config_(config) {}

  TransformParameters draw(const Sample&, RandomStream&) const override { return {}; }

  void apply(Sample& sample, const TransformParameters&) const override {
    for (const std::string& name : config_.entries) sample.at(name).frame = config_.frame;
    if (config_.displacement.empty()) return;
    const Entry& reference = reference_of(sample);
    Entry field;
    field.kind = EntryKind::kVectorField;
    field.geometry = reference.geometry;
    field.frame = reference.frame;
    field.target_frame = config_.frame;
    const auto [depth, height, width] = reference.geometry.shape;
    field.data = at::zeros({3, depth, height, width});
    sample.entries[config_.displacement] = std::move(field);
  }

 private:
  /// What the field starts from: the sample's reference or, where none is named, an entry that
  /// stays.
  const Entry& reference_of(const Sample& sample) const {
    for (const auto& [name, entry] : sample.entries) {
      const bool stays = entry.frame != config_.frame && name != config_.displacement;
      if (stays && entry.kind != EntryKind::kPoints &&
          (sample.reference.empty() || name == sample.reference))
        return entry;
    }
    throw data_error(
        fmt::format("sample {}: transform 'own_frame': expected the reference entry '{}' to stay "
                    "in its frame, but `entries` are {}",
                    sample.id,
                    sample.reference,
                    join(config_.entries)),
        "leave the fixed image out of `entries`");
  }

  Config config_;
};

}  // namespace
TRIPTYCH_REGISTER_TRANSFORM("own_frame", OwnFrame)
}  // namespace triptych
