// SPDX-License-Identifier: Apache-2.0
#include "framework/core/error.h"
#include "framework/core/nn.h"
#include "framework/core/suggest.h"
#include "framework/learn/denoising_baselines.h"
#include "framework/learn/image_metrics.h"
#include "framework/learn/loss_list.h"
#include "framework/learn/task.h"

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

/// The part of [N, C, D, H, W] that holds data; nothing = all of it.
at::Tensor valid_part(at::Tensor x, const std::optional<Region>& valid) {
  if (!valid) return x;
  for (std::size_t axis = 0; axis < 3; ++axis)
    x = x.narrow(static_cast<std::int64_t>(2 + axis), valid->start[axis], valid->size[axis]);
  return x;
}

/// Errors of the prediction and, to compare with, of the input image.
class EnhancementMetrics final : public MetricAccumulator {
 public:
  EnhancementMetrics(double data_range, ClassChoice mask_classes)
      : prediction_(data_range), input_(data_range), mask_classes_(std::move(mask_classes)) {}

  void add(const Prediction& prediction, const Batch& batch) override {
    const BatchEntry& target = batch.at(batch.has("clean") ? "clean" : "noisy");
    const at::Tensor rows = torch::tensor(target.items, target.data.device());
    const auto of_target = [&](const at::Tensor& x) {
      return valid_part(x.index_select(0, rows), target.valid);
    };
    const bool masked = batch.has("mask") &&
                        static_cast<std::int64_t>(batch.at("mask").items.size()) == batch.size();
    measure(of_target(prediction.value),
            of_target(on_grid_of(prediction.value,
                                 central_slices(batch.at("image").data, prediction.value.size(2)))),
            valid_part(target.data, target.valid),
            masked ? of_target(batch.at("mask").data) : at::Tensor());
  }

  void add_volume(const Prediction& predicted,
                  const Geometry& /*grid*/,
                  const Sample& reference) override {
    const Entry* clean = reference.find("clean");
    const Entry* mask = reference.find("mask");
    measure(predicted.value,
            on_grid_of(predicted.value, reference.at("image").data.unsqueeze(0)),
            (clean != nullptr ? *clean : reference.at("noisy")).data.unsqueeze(0),
            mask != nullptr ? mask->data.unsqueeze(0) : at::Tensor());
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
    add_region(rows, "", "", prediction_.all());
    if (prediction_.inside().voxels + prediction_.outside().voxels > 0.0) {
      add_region(rows, "", "/inside", prediction_.inside());
      add_region(rows, "", "/outside", prediction_.outside());
    }
    add_region(rows, "trivial/", "", input_.all());
    return rows;
  }

 private:
  void measure(const at::Tensor& prediction,
               const at::Tensor& image,
               const at::Tensor& target,
               const at::Tensor& labels) {
    const at::Tensor mask = labels.defined() ? mask_of(labels, mask_classes_) : labels;
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
};

/// Regression of a better image from the role `image`: less noise, fewer artifacts.
///
/// The losses compare with the role `clean`, or, where that is not to be had, with `noisy`: a
/// second scan of the same object with noise of its own (Lehtinen et al., Noise2Noise, ICML 2018),
/// which under `l2` has the same minimum. Metrics compare with `clean` wherever an item has it. The
/// labels of the optional role `mask` part them into inside (`mask_classes`, e.g. metal) and
/// outside. All grey values are those that the data set gives.
class EnhancementTask final : public Task {
 public:
  struct Config {
    std::vector<config::Node> losses;
    std::map<std::string, std::string> roles = {{"image", "image"}, {"clean", "clean"}};
    std::vector<std::string> mask_classes;
    double data_range = 1.0;

    void visit(auto& field) {
      field("losses",
            losses,
            "weighted losses, e.g. [{name: l1}, {name: ssim, weight: 0.1}]",
            config::Need::kRequired);
      field("roles",
            roles,
            "role: entry of the dataset that plays it. image; clean and noisy (a second scan with "
            "other noise, trained with when named), one at least; mask (labels)");
      field("mask_classes", mask_classes, "classes inside the mask; [] = all but the background");
      field("data_range",
            data_range,
            "largest minus smallest possible grey value of the target, for PSNR and SSIM",
            config::Above{0.0});
    }
    void validate(config::Problems& problems) const {
      LossList::check(losses, problems);
      if (!roles.contains("image")) problems.add("roles", "expects an entry for the role 'image'");
      if (!roles.contains("clean") && !roles.contains("noisy"))
        problems.add("roles", "expects an entry for the role 'clean' or 'noisy'");
      const std::vector<std::string> known = {"image", "clean", "noisy", "mask"};
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
    std::vector<RoleBinding> bindings = {{"image", config_.roles.at("image"), true}};
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
    context.mask = target.mask();
    return losses_(prediction.value, target.data, context);
  }

  std::unique_ptr<MetricAccumulator> metrics() const override {
    return std::make_unique<EnhancementMetrics>(config_.data_range, mask_classes_);
  }
  std::string main_metric() const override { return "psnr"; }
  VolumePrediction volume_prediction() const override { return VolumePrediction::kPlanes; }
  at::Tensor activate(const Prediction& prediction) const override { return prediction.value; }
  const TaskContext& context() const override { return context_; }
  PictureRoles picture_roles() const override { return {.reference = target_role()}; }
  std::vector<Baseline> baselines(const std::vector<Sample>& training) const override {
    return denoising_baselines(training, "image", target_role(), config_.data_range);
  }
  bool keeps_grey_values() const override { return true; }

 private:
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
};

}  // namespace
TRIPTYCH_REGISTER_TASK("enhancement", EnhancementTask)
}  // namespace triptych
