// SPDX-License-Identifier: Apache-2.0
#include "framework/core/error.h"
#include "framework/data/transform.h"
#include "framework/ops/filtered_back_projection.h"
#include "framework/ops/iterative_reconstruction.h"
#include "framework/ops/metal_artifact.h"
#include "framework/ops/scan_views.h"

#include <ATen/ATen.h>

namespace triptych {
namespace {

/// Makes an image of projections by a classical method, for networks that correct it. `target`
/// becomes the image, on the grid of the projections and in their unit, whatever it was; it may be
/// the projections themselves. `metal` completes what lies behind the mask `metal_entry` first.
class Reconstruct final : public Transform {
 public:
  struct Config {
    std::string input = "projections";
    std::string target = "image";
    std::string method = "fbp";
    std::string filter = "ram_lak";
    std::int64_t iterations = 100;
    double tv_weight = 0.01;
    std::int64_t views_between = 0;
    std::string metal = "none";
    std::string metal_entry = "metal";
    double water = 0.2;

    void visit(auto& field) {
      field("input", input, "entry with the projections");
      field("target", target, "entry that becomes the image");
      field("method", method, "how", config::OneOf{"fbp", "sirt", "tv"});
      field("filter",
            filter,
            "window on the ramp of fbp",
            config::OneOf{"ram_lak", "shepp_logan", "cosine", "hamming", "hann"});
      field("iterations", iterations, "of sirt and tv", config::AtLeast{1});
      field("tv_weight", tv_weight, "weight of the total variation in tv", config::AtLeast{0.0});
      field("views_between",
            views_between,
            "views that sirt or tv give between neighbouring measured ones, for a filtered back "
            "projection of all",
            config::AtLeast{0});
      field("metal",
            metal,
            "what projections behind metal become: interpolated (li), normalised and interpolated "
            "(nmar)",
            config::OneOf{"none", "li", "nmar"});
      field("metal_entry", metal_entry, "label entry with the mask of the metal");
      field("water", water, "value of water in the image, for nmar", config::Above{0.0});
    }
    void validate(config::Problems& problems) const {
      if (views_between > 0 && method == "fbp")
        problems.add("views_between", "expects method sirt or tv");
    }
  };

  explicit Reconstruct(const Config& config) : config_(config) {}

  TransformParameters draw(const Sample&, RandomStream&) const override { return {}; }

  void apply(Sample& sample, const TransformParameters&) const override {
    const Entry& input = sample.at(config_.input);
    if (input.kind != EntryKind::kProjections) {
      throw data_error(
          fmt::format("sample {}: transform 'reconstruct': expected projections in entry '{}', got "
                      "{}",
                      sample.id,
                      config_.input,
                      kind_text(input.kind)),
          "projections come from a dataset of scans, or from the transform ct_scan before this "
          "one");
    }
    at::Tensor slices = reconstructed(sample, input);
    const Geometry grid = input.geometry;
    Entry& image = sample.at(config_.target);
    image.kind = EntryKind::kIntensity;
    image.geometry = grid;
    image.scan = nullptr;
    image.data = std::move(slices);
  }

 private:
  /// [C, D, H, W].
  at::Tensor reconstructed(const Sample& sample, const Entry& input) const {
    const SliceGrid grid = slice_grid_of(input.geometry);
    const ScanGeometry& scan = *input.scan;
    const at::Tensor projections =
        config_.metal == "none"
            ? input.data
            : complete_trace(input.data,
                             sample.at(config_.metal_entry).data.gt(0),
                             {config_.metal == "nmar", PriorTissues::of_water(config_.water)},
                             scan,
                             grid);
    const RampFilter filter = ramp_filter_from_text(config_.filter);
    if (config_.method == "fbp") return fbp(projections, scan, grid, filter);
    IterativeOptions options;
    options.iterations = static_cast<int>(config_.iterations);
    options.tv_weight = config_.tv_weight;
    const at::Tensor image =
        (config_.method == "sirt" ? sirt : tv)(projections, scan, grid, options).image;
    if (config_.views_between == 0) return image;
    const ViewsOfScan all =
        with_views_between({projections, scan}, image, config_.views_between, grid);
    return fbp(all.projections, all.scan, grid, filter);
  }

  Config config_;
};

}  // namespace
TRIPTYCH_REGISTER_TRANSFORM("reconstruct", Reconstruct)
}  // namespace triptych
