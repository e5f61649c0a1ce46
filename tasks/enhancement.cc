// SPDX-License-Identifier: Apache-2.0
#include "framework/core/error.h"
#include "framework/core/nn.h"
#include "framework/core/suggest.h"
#include "framework/data/valid_part.h"
#include "framework/learn/denoising_baselines.h"
#include "framework/learn/image_metrics.h"
#include "framework/learn/loss_list.h"
#include "framework/learn/task.h"
#include "framework/model/reconstruction_problem.h"

#include <algorithm>
#include <span>

namespace triptych {
namespace {

/// Which label classes lie within the mask: [K] of 0 and 1 by class index.
using ClassChoice = std::vector<std::int64_t>;

/// Labels [N, 1, D, H, W] as ImageErrors wants its mask: 1 in the chosen classes, 0 in others, -1
/// where not labelled.
at::Tensor mask_of(const at::Tensor& labels, const ClassChoice& chosen) {
  const at::Tensor inside =
      torch::tensor(chosen, labels.device()).index_select(0, labels.clamp_min(0).flatten());
  return torch::where(labels < 0, torch::full_like(labels, -1), inside.view_as(labels));
}

/// The `depth` central slices of [N, C, D, H, W].
at::Tensor central_slices(const at::Tensor& image, std::int64_t depth) {
  return image.narrow(2, (image.size(2) - depth) / 2, depth);
}

/// An image on the grid of a prediction over the same field of view: trilinear where it is finer.
at::Tensor on_grid_of(const at::Tensor& prediction, const at::Tensor& image) {
  const bool same = image.sizes().slice(2) == prediction.sizes().slice(2);
  return same ? image
              : at::upsample_trilinear3d(
                    image, prediction.sizes().slice(2), /*align_corners=*/false);
}

bool all_items_have(const Batch& batch, const std::string& role) {
  return batch.has(role) && static_cast<std::int64_t>(batch.at(role).items.size()) == batch.size();
}

/// What the prediction is made from, as an image: the role `image`, or the plain reconstruction of
/// the projections.
at::Tensor input_image(const Batch& batch, std::int64_t depth, ScanOperatorCache& operators) {
  if (batch.has("image")) return central_slices(batch.at("image").data, depth);
  const ReconstructionProblem problem(batch, MetalSetup{}, operators);
  return problem.in_own_unit(problem.fbp(problem.measured()));
}

/// Errors of the prediction and, to compare with, of the input image.
class EnhancementMetrics final : public MetricAccumulator {
 public:
  EnhancementMetrics(double data_range,
                     ClassChoice mask_classes,
                     std::shared_ptr<ScanOperatorCache> operators)
      : prediction_(data_range),
        input_(data_range),
        mask_classes_(std::move(mask_classes)),
        operators_(std::move(operators)) {}

  void add(const Prediction& prediction, const Batch& batch) override {
    const BatchEntry& target = batch.at(batch.has("clean") ? "clean" : "noisy");
    const at::Tensor rows = torch::tensor(target.items, target.data.device());
    const auto of_target = [&](const at::Tensor& x) {
      return valid_part(x.index_select(0, rows), target.valid);
    };
    at::Tensor mask;
    if (all_items_have(batch, "mask")) mask = mask_of(batch.at("mask").data, mask_classes_);
    if (!mask.defined() && all_items_have(batch, "metal"))
      mask = (batch.at("metal").data > 0).to(torch::kLong);
    measure(of_target(prediction.value),
            of_target(on_grid_of(prediction.value,
                                 input_image(batch, prediction.value.size(2), *operators_))),
            valid_part(target.data, target.valid),
            mask.defined() ? of_target(mask) : mask);
  }

  void add_volume(const Prediction& predicted,
                  const Geometry& /*grid*/,
                  const Sample& reference) override {
    const Entry* clean = reference.find("clean");
    const Entry* mask = reference.find("mask");
    measure(predicted.value,
            on_grid_of(predicted.value, reference.at("image").data.unsqueeze(0)),
            (clean != nullptr ? *clean : reference.at("noisy")).data.unsqueeze(0),
            mask != nullptr ? mask_of(mask->data.unsqueeze(0), mask_classes_) : at::Tensor());
  }

  std::vector<double> state() const override {
    std::vector<double> numbers = prediction_.state();
    const std::vector<double> input = input_.state();
    numbers.insert(numbers.end(), input.begin(), input.end());
    return numbers;
  }
  void merge(const std::vector<double>& state) override {
    TRIPTYCH_ASSERT(state.size() == 2 * ImageErrors::kStateSize);
    prediction_.merge(std::span(state).first(ImageErrors::kStateSize));
    input_.merge(std::span(state).last(ImageErrors::kStateSize));
  }

  std::vector<MetricValue> values() const override {
    std::vector<MetricValue> rows;
    const bool masked = prediction_.inside().voxels + prediction_.outside().voxels > 0.0;
    for (const auto& [prefix, errors] : {std::pair{"", &prediction_}, {"trivial/", &input_}}) {
      add_region(rows, prefix, "", errors->all());
      if (!masked) continue;
      add_region(rows, prefix, "/inside", errors->inside());
      add_region(rows, prefix, "/outside", errors->outside());
    }
    return rows;
  }

 private:
  void measure(const at::Tensor& prediction,
               const at::Tensor& image,
               const at::Tensor& target,
               const at::Tensor& mask) {
    prediction_.add(prediction, target, mask);
    if (image.sizes() == target.sizes()) input_.add(image, target, mask);
  }

  void add_region(std::vector<MetricValue>& rows,
                  const std::string& prefix,
                  const std::string& suffix,
                  const ImageErrorSums& sums) const {
    rows.push_back({prefix + "psnr" + suffix, sums.psnr(prediction_.data_range())});
    rows.push_back({prefix + "ssim" + suffix, sums.ssim()});
    rows.push_back({prefix + "rmse" + suffix, sums.rmse(), Direction::kLowerIsBetter});
  }

  ImageErrors prediction_, input_;
  ClassChoice mask_classes_;
  std::shared_ptr<ScanOperatorCache> operators_;
};

/// Regression of a better image: less noise, fewer artifacts. From the role `image`, or from the
/// role `projections` (with the optional `metal`, a mask) by a head that reconstructs.
///
/// The losses compare with the role `clean`, or, where that is not to be had, with `noisy`: a
/// second scan of the same object with noise of its own (Lehtinen et al., Noise2Noise, ICML 2018),
/// which under `l2` has the same minimum. Metrics compare with `clean` wherever an item has it. The
/// labels of the optional role `mask` (by itself the role `metal`) part them into inside
/// (`mask_classes`, e.g. metal) and outside. Losses leave out the metal. `consistency_weight` adds
/// the mean squared difference between the prediction's projections and the measured ones, relative
/// to the typical line integral, as the term `sinogram`; `iterates_weight` the losses of
/// intermediate images, as `iterates` (deep supervision). All grey values are those that the data
/// set gives.
class EnhancementTask final : public Task {
 public:
  struct Config {
    std::vector<config::Node> losses;
    std::map<std::string, std::string> roles = {{"image", "image"}, {"clean", "clean"}};
    std::vector<std::string> mask_classes;
    double data_range = 1.0;
    double consistency_weight = 0.0;
    double iterates_weight = 0.0;

    void visit(auto& field) {
      field("losses",
            losses,
            "weighted losses, e.g. [{name: l1}, {name: ssim, weight: 0.1}]",
            config::Need::kRequired);
      field("roles",
            roles,
            "role: entry of the dataset that plays it. image, or projections (and metal, a mask); "
            "clean and noisy (a second scan with other noise, trained with when named), one at "
            "least; mask (labels)");
      field("mask_classes", mask_classes, "classes inside the mask; [] = all but the background");
      field("data_range",
            data_range,
            "largest minus smallest possible grey value of the target, for PSNR and SSIM",
            config::Above{0.0});
      field("consistency_weight",
            consistency_weight,
            "weight of the difference to the measured projections",
            config::AtLeast{0.0});
      field("iterates_weight",
            iterates_weight,
            "weight of the same losses on the mean of the head's iterates",
            config::AtLeast{0.0});
    }
    void validate(config::Problems& problems) const {
      LossList::check(losses, problems);
      if (roles.contains("image") == roles.contains("projections"))
        problems.add("roles", "expects an entry for one of the roles 'image' and 'projections'");
      if (!roles.contains("projections") && (roles.contains("metal") || consistency_weight > 0.0))
        problems.add("roles", "metal and consistency_weight expect the role 'projections'");
      if (!roles.contains("clean") && !roles.contains("noisy"))
        problems.add("roles", "expects an entry for the role 'clean' or 'noisy'");
      const std::vector<std::string> known = {
          "image", "projections", "metal", "clean", "noisy", "mask"};
      for (const auto& [role, entry] : roles) {
        if (std::find(known.begin(), known.end(), role) != known.end()) continue;
        problems.add(
            "roles",
            fmt::format(
                "knows the roles {}, got '{}'{}", join(known), role, did_you_mean(role, known)));
      }
    }
  };

  EnhancementTask(const Config& config, const TaskContext& context)
      : config_(config),
        context_(context),
        losses_(config.losses),
        mask_classes_(chosen_classes(config, context)) {}

  std::vector<RoleBinding> roles() const override {
    const bool pairs_of_noise = config_.roles.contains("noisy");
    std::vector<RoleBinding> bindings;
    for (const char* input : {"image", "projections", "metal"}) {
      const auto found = config_.roles.find(input);
      if (found != config_.roles.end()) bindings.push_back({input, found->second, true});
    }
    const auto add_target = [&](const char* role, bool required) {
      const auto found = config_.roles.find(role);
      if (found != config_.roles.end()) bindings.push_back({role, found->second, required, true});
    };
    add_target("clean", !pairs_of_noise);
    add_target("noisy", pairs_of_noise);
    add_target("mask", false);
    return bindings;
  }

  std::vector<LossTerm> losses(const Prediction& prediction, const Batch& batch) const override {
    const BatchEntry& target = batch.at(batch.has("noisy") ? "noisy" : "clean");
    LossContext context;
    if (batch.has("metal")) context.mask = valid_part(batch.at("metal").data == 0, target.valid);
    std::vector<LossTerm> terms = losses_(
        valid_part(prediction.value, target.valid), valid_part(target.data, target.valid), context);
    if (config_.consistency_weight > 0.0)
      terms.push_back({"sinogram", config_.consistency_weight * inconsistency(prediction, batch)});
    if (config_.iterates_weight > 0.0) add_iterates(prediction, target, terms);
    return terms;
  }

  std::unique_ptr<MetricAccumulator> metrics() const override {
    return std::make_unique<EnhancementMetrics>(config_.data_range, mask_classes_, operators_);
  }
  std::string main_metric() const override { return "psnr"; }
  VolumePrediction volume_prediction() const override {
    return reconstructs() ? VolumePrediction::kGlobal : VolumePrediction::kPlanes;
  }
  at::Tensor activate(const Prediction& prediction) const override { return prediction.value; }
  const TaskContext& context() const override { return context_; }
  PictureRoles picture_roles() const override {
    return {.image = reconstructs() ? target_role() : "image", .reference = target_role()};
  }
  std::vector<Baseline> baselines(const std::vector<Sample>& training) const override {
    if (reconstructs()) return {};
    return denoising_baselines(training, "image", target_role(), config_.data_range);
  }
  bool keeps_grey_values() const override { return true; }

 private:
  bool reconstructs() const { return config_.roles.contains("projections"); }

  /// Adds `iterates`: the losses of what the head calls iterate_*, metal included.
  void add_iterates(const Prediction& prediction,
                    const BatchEntry& target,
                    std::vector<LossTerm>& terms) const {
    std::vector<at::Tensor> losses;
    double images = 0.0;
    for (const auto& [name, image] : prediction.extra) {
      if (!name.starts_with("iterate_")) continue;
      images += 1.0;
      for (const LossTerm& term : losses_(valid_part(image, target.valid),
                                          valid_part(target.data, target.valid),
                                          LossContext{}))
        losses.push_back(term.value);
    }
    if (losses.empty()) return;
    terms.push_back({"iterates", config_.iterates_weight / images * torch::stack(losses).sum()});
  }

  at::Tensor inconsistency(const Prediction& prediction, const Batch& batch) const {
    const MetalSetup metal{batch.has("metal") ? "li" : "none"};
    const ReconstructionProblem problem(batch, metal, *operators_);
    return problem.relative(problem.residual(problem.scaled(prediction.value))).square().mean();
  }

  std::string target_role() const { return config_.roles.contains("clean") ? "clean" : "noisy"; }

  static ClassChoice chosen_classes(const Config& config, const TaskContext& context) {
    const std::vector<std::string> names = context.classes.names();
    ClassChoice chosen(names.size(), config.mask_classes.empty() ? 1 : 0);
    if (!chosen.empty()) chosen[0] = 0;
    for (const std::string& name : config.mask_classes) {
      const auto found = std::find(names.begin(), names.end(), name);
      if (found == names.end()) {
        throw ConfigError("schema",
                          fmt::format("tasks.{}.mask_classes: the dataset has no class '{}'{}",
                                      context.key,
                                      name,
                                      did_you_mean(name, names)),
                          "its classes: " + join(names));
      }
      chosen[static_cast<std::size_t>(found - names.begin())] = 1;
    }
    return chosen;
  }

  Config config_;
  TaskContext context_;
  LossList losses_;
  ClassChoice mask_classes_;
  std::shared_ptr<ScanOperatorCache> operators_ = std::make_shared<ScanOperatorCache>();
};

}  // namespace
TRIPTYCH_REGISTER_TASK("enhancement", EnhancementTask)
}  // namespace triptych
