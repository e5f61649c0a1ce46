// SPDX-License-Identifier: Apache-2.0
#include "framework/core/error.h"
#include "framework/data/transform.h"
#include "framework/ops/filtered_back_projection.h"
#include "framework/ops/scan_views.h"

#include <ATen/ATen.h>

namespace triptych {
namespace {

/// Parts the views of one scan into what a network sees and what it is compared with, so that no
/// clean image is needed. The views are dealt out to `parts` interleaved parts.
///
/// noise2inverse (Hendriksen, Pelt and Batenburg 2020, IEEE Trans. Comput. Imaging 6:1320): the
/// target is the filtered back projection of one part, drawn at random, and `input` keeps all other
/// views; the noise of the two is independent, so that only the object can be predicted. sparse:
/// `input` keeps the first part, and the target is the filtered back projection of all views, noise
/// included.
class SplitViews final : public Transform {
 public:
  struct Config {
    std::string input = "projections";
    std::string target = "noisy";
    std::string way = "noise2inverse";
    std::int64_t parts = 3;

    void visit(auto& field) {
      field("input", input, "entry with the projections, which keeps what the network sees");
      field("target", target, "entry that becomes the target image, whatever it was");
      field("way", way, "what becomes the target", config::OneOf{"noise2inverse", "sparse"});
      field("parts", parts, "interleaved parts of the views", config::Between{2, 64});
    }
  };

  explicit SplitViews(const Config& config) : config_(config) {}

  TransformParameters draw(const Sample&, RandomStream& random) const override {
    if (is_sparse()) return {};
    return {{"part", {static_cast<double>(random.integer(config_.parts))}}};
  }

  void apply(Sample& sample, const TransformParameters& parameters) const override {
    Entry& input = sample.at(config_.input);
    check(sample.id, input);
    // Equal numbers of views in every part, so that items of different parts can be stacked.
    const std::int64_t used = input.data.size(2) / config_.parts * config_.parts;
    const ViewsOfScan all =
        kept_views({input.data, *input.scan}, [&](std::int64_t view) { return view < used; });
    const std::int64_t part = is_sparse() ? 0 : static_cast<std::int64_t>(parameters.at("part")[0]);
    const auto in_part = [&](std::int64_t view) { return view % config_.parts == part; };
    const auto in_rest = [&](std::int64_t view) { return !in_part(view); };
    const ViewsOfScan target = is_sparse() ? all : kept_views(all, in_part);
    ViewsOfScan seen = is_sparse() ? kept_views(all, in_part) : kept_views(all, in_rest);
    Entry& image = sample.at(config_.target);
    image.kind = EntryKind::kIntensity;
    image.geometry = input.geometry;
    image.scan = nullptr;
    image.data = fbp(target.projections, target.scan, slice_grid_of(input.geometry));
    input.data = seen.projections;
    input.scan = std::make_shared<const ScanGeometry>(std::move(seen.scan));
  }

 private:
  bool is_sparse() const { return config_.way == "sparse"; }

  void check(const std::string& sample, const Entry& entry) const {
    const bool projections = entry.kind == EntryKind::kProjections;
    if (projections && entry.data.size(2) >= 2 * config_.parts) return;
    throw data_error(
        fmt::format(
            "sample {}: transform 'split_views': expected projections of at least {} views "
            "in entry '{}', got {}",
            sample,
            2 * config_.parts,
            config_.input,
            projections ? fmt::format("{} views", entry.data.size(2)) : kind_text(entry.kind)),
        "projections come from a dataset of scans, or from the transform ct_scan before this one");
  }

  Config config_;
};

}  // namespace
TRIPTYCH_REGISTER_TRANSFORM("split_views", SplitViews)
}  // namespace triptych
