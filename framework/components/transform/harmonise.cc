// SPDX-License-Identifier: Apache-2.0
#include "framework/data/harmonise.h"

#include "framework/core/error.h"
#include "framework/data/intensity.h"
#include "framework/data/transform.h"
#include "framework/image/resample.h"

namespace triptych {
namespace {

/// Harmonisation of whole volumes as a transform, for items that are volumes. Percentiles have to
/// come from the whole volume: for slices and patches use the `harmonise` block of the data set
/// instead.
class Harmonise final : public Transform {
 public:
  struct Config : HarmoniseConfig {
    std::vector<std::string> entries;

    void visit(auto& field) {
      HarmoniseConfig::visit(field);
      field("entries",
            entries,
            "intensity entries to change; [] = all; resampling moves labels and vectors of all "
            "frames too");
    }
  };

  explicit Harmonise(const Config& config) : config_(config) {}

  TransformParameters draw(const Sample&, RandomStream&) const override { return {}; }

  void apply(Sample& sample, const TransformParameters&) const override {
    HarmoniseConfig values = config_;
    values.spacing_mm.clear();
    // Grey values first, on the voxels as measured: interpolation would narrow the percentiles.
    for_each_intensity(
        sample, config_.entries, "harmonise", [&](const std::string& name, Entry& entry) {
          const Volume volume{entry.data, entry.geometry, entry.modality, {}};
          entry.data =
              harmonise(volume, values, fmt::format("sample {}: '{}'", sample.id, name)).data;
        });
    const auto spacing = config_.target_spacing();
    if (!spacing) return;
    for (auto& [name, entry] : sample.entries) {
      if (entry.kind == EntryKind::kProjections) {
        throw data_error(
            fmt::format("sample {}: transform 'harmonise' cannot resample the projections '{}'",
                        sample.id,
                        name));
      }
      if (entry.kind == EntryKind::kPoints) continue;
      const auto method =
          entry.kind == EntryKind::kLabel ? Interpolation::kNearest : Interpolation::kLinear;
      const double beyond = entry.kind == EntryKind::kLabel ? -1.0 : 0.0;
      Volume resampled = resample(Volume{entry.data, entry.geometry, entry.modality, {}},
                                  entry.geometry.resampled_to(*spacing),
                                  method,
                                  beyond);
      entry.data = std::move(resampled.data);
      entry.geometry = resampled.geometry;
    }
  }

 private:
  Config config_;
};

}  // namespace
TRIPTYCH_REGISTER_TRANSFORM("harmonise", Harmonise)
}  // namespace triptych
