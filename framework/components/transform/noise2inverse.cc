// SPDX-License-Identifier: Apache-2.0
#include "framework/core/error.h"
#include "framework/data/transform.h"
#include "framework/ops/filtered_back_projection.h"

#include <ATen/ATen.h>

namespace triptych {
namespace {

/// Pairs for training without clean targets (Noise2Inverse; Hendriksen, Pelt and Batenburg 2020,
/// IEEE Trans. Comput. Imaging 6:1320). The views of a scan are dealt out to `splits` interleaved
/// parts; the entry `target`, which must hold the same projections, becomes the filtered back
/// projection of one part, drawn at random, and the entry `input` keeps the views of all others.
/// Noise of the two is independent, so that what a network can predict is the object.
class Noise2Inverse final : public Transform {
 public:
  struct Config {
    std::string input = "projections";
    std::string target = "noisy";
    std::int64_t splits = 3;

    void visit(auto& field) {
      field("input", input, "entry with the projections that the network sees");
      field("target", target, "entry with the same projections, which becomes the target image");
      field("splits", splits, "parts of the views; one is the target", config::Between{2, 16});
    }
  };

  explicit Noise2Inverse(const Config& config) : config_(config) {}

  TransformParameters draw(const Sample&, RandomStream& random) const override {
    return {{"part", {static_cast<double>(random.integer(config_.splits))}}};
  }

  void apply(Sample& sample, const TransformParameters& parameters) const override {
    const auto part = static_cast<std::int64_t>(parameters.at("part")[0]);
    const auto is_target = [&](std::int64_t view) { return view % config_.splits == part; };
    Entry& target = projections(sample, config_.target);
    // Equal numbers of views, so that items of different parts can be stacked.
    const std::int64_t most = target.data.size(2) / config_.splits * config_.splits;
    keep_views(target, [&](std::int64_t view) { return view < most && is_target(view); });
    keep_views(projections(sample, config_.input),
               [&](std::int64_t view) { return view < most && !is_target(view); });
    target.data = fbp(target.data, *target.scan, slice_grid_of(target.geometry));
    target.kind = EntryKind::kIntensity;
    target.scan = nullptr;
  }

 private:
  Entry& projections(Sample& sample, const std::string& name) const {
    Entry& entry = sample.at(name);
    if (entry.kind == EntryKind::kProjections && entry.data.size(2) >= 2 * config_.splits)
      return entry;
    throw data_error(
        fmt::format("sample {}: transform 'noise2inverse': expected projections of at least {} "
                    "views in entry '{}', got {}",
                    sample.id,
                    2 * config_.splits,
                    name,
                    entry.kind == EntryKind::kProjections
                        ? fmt::format("{} views", entry.data.size(2))
                        : kind_text(entry.kind)),
        "projections come from a dataset of scans, or from the transform ct_scan before this one");
  }

  static void keep_views(Entry& entry, const auto& keeps) {
    std::vector<std::int64_t> kept;
    ScanGeometry scan = *entry.scan;
    scan.angles_rad.clear();
    for (std::int64_t view = 0; view < entry.data.size(2); ++view) {
      if (!keeps(view)) continue;
      kept.push_back(view);
      scan.angles_rad.push_back(entry.scan->angles_rad[static_cast<std::size_t>(view)]);
    }
    entry.data = entry.data.index_select(2, at::tensor(kept, at::kLong));
    entry.scan = std::make_shared<const ScanGeometry>(std::move(scan));
  }

  Config config_;
};

}  // namespace
TRIPTYCH_REGISTER_TRANSFORM("noise2inverse", Noise2Inverse)
}  // namespace triptych
