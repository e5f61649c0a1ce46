// SPDX-License-Identifier: Apache-2.0
#include "framework/core/error.h"
#include "framework/core/nn.h"
#include "framework/core/suggest.h"
#include "framework/learn/batch_padding.h"
#include "framework/learn/loss_list.h"
#include "framework/learn/registration_errors.h"
#include "framework/learn/role_kinds.h"
#include "framework/learn/task.h"
#include "framework/ops/field_regulariser.h"
#include "framework/ops/similarity.h"
#include "framework/ops/velocity.h"
#include "framework/ops/warp.h"

#include <algorithm>
#include <optional>

namespace triptych {
namespace {

const std::vector<std::string> kPairRoles = {"fixed",
                                             "moving",
                                             "fixed_label",
                                             "moving_label",
                                             "fixed_points",
                                             "moving_points",
                                             "displacement"};

/// Row of an item in a role's tensors; nothing where the item lacks it.
std::optional<std::int64_t> row_of(const Batch& batch, const std::string& role, std::int64_t item) {
  if (!batch.has(role)) return std::nullopt;
  const std::vector<std::int64_t>& items = batch.at(role).items;
  const auto found = std::find(items.begin(), items.end(), item);
  if (found == items.end()) return std::nullopt;
  return found - items.begin();
}

/// One item of a role, [1, C, D, H, W]; undefined where it lacks it.
at::Tensor pair_item(const Batch& batch, const std::string& role, std::int64_t item) {
  const auto row = row_of(batch, role, item);
  return row ? batch.at(role).data.narrow(0, *row, 1) : at::Tensor();
}

at::Tensor points_of(const Batch& batch, const std::string& role, std::int64_t item) {
  const auto row = row_of(batch, role, item);
  return row ? batch.at(role).points[static_cast<std::size_t>(*row)] : at::Tensor();
}

/// The part of [1, C, D, H, W] that holds data; padding follows it.
at::Tensor without_padding(const at::Tensor& x, const std::optional<Region>& valid) {
  return valid && x.defined() ? unpadded(x, valid->size) : x;
}

/// Labels [1, 1, D, H, W] as one-hot codes [1, K, D, H, W]; unlabelled voxels are 0 in every class.
at::Tensor class_codes(const at::Tensor& labels, std::int64_t classes) {
  const at::Tensor index = torch::arange(classes, labels.options()).view({1, -1, 1, 1, 1});
  return (labels == index).to(torch::kFloat);
}

/// A pair of a batch with its prediction, on the fixed image's grid without padding.
struct Pair {
  at::Tensor displacement;  ///< [1, 3, D, H, W] in mm
  Geometry grid;
  at::Tensor fixed, moving;
  Geometry moving_grid;
  PairTruth truth;
  at::Tensor guidance, backward;  ///< of the head; undefined where it gives none
};

Pair aligned_pair(const Prediction& prediction, const Batch& batch, std::int64_t item) {
  const BatchEntry& fixed = batch.at("fixed");
  const BatchEntry& moving = batch.at("moving");
  const auto row = static_cast<std::size_t>(item);
  const auto extra = [&](const char* name) {
    const auto found = prediction.extra.find(name);
    return found == prediction.extra.end()
               ? at::Tensor()
               : without_padding(found->second.narrow(0, item, 1), fixed.valid);
  };
  const auto on_fixed = [&](const char* role) {
    return without_padding(pair_item(batch, role, item), fixed.valid);
  };
  Pair pair;
  pair.displacement = without_padding(prediction.value.narrow(0, item, 1), fixed.valid);
  pair.grid = fixed.valid ? fixed.geometry[row].cropped(*fixed.valid) : fixed.geometry[row];
  pair.fixed = on_fixed("fixed");
  pair.moving = without_padding(pair_item(batch, "moving", item), moving.valid);
  pair.moving_grid =
      moving.valid ? moving.geometry[row].cropped(*moving.valid) : moving.geometry[row];
  pair.truth.displacement = on_fixed("displacement");
  pair.truth.fixed_label = on_fixed("fixed_label");
  if (const auto label = row_of(batch, "moving_label", item)) {
    const BatchEntry& entry = batch.at("moving_label");
    const Geometry& grid = entry.geometry[static_cast<std::size_t>(*label)];
    pair.truth.moving_label = without_padding(pair_item(batch, "moving_label", item), entry.valid);
    pair.truth.moving_label_grid = entry.valid ? grid.cropped(*entry.valid) : grid;
  }
  pair.truth.fixed_points = points_of(batch, "fixed_points", item);
  pair.truth.moving_points = points_of(batch, "moving_points", item);
  pair.guidance = extra("guidance");
  pair.backward = extra("backward");
  return pair;
}

class RegistrationMetrics final : public MetricAccumulator {
 public:
  explicit RegistrationMetrics(const ClassTable& classes) : errors_(classes) {}

  void add(const Prediction& prediction, const Batch& batch) override {
    Prediction local = prediction;
    local.value = local.value.to(torch::kCPU);
    const Batch read = batch.to(torch::kCPU);
    for (std::int64_t item = 0; item < batch.size(); ++item) {
      const Pair pair = aligned_pair(local, read, item);
      errors_.add(pair.displacement, pair.grid, pair.truth, false);
    }
  }

  void add_volume(const Prediction& predicted,
                  const Geometry& grid,
                  const Sample& reference) override {
    PairTruth truth;
    const auto data = [&](const char* role) {
      const Entry* entry = reference.find(role);
      if (entry == nullptr) return at::Tensor();
      return entry->kind == EntryKind::kPoints ? entry->data : entry->data.unsqueeze(0);
    };
    truth.displacement = data("displacement");
    truth.fixed_label = data("fixed_label");
    truth.moving_label = data("moving_label");
    if (truth.moving_label.defined())
      truth.moving_label_grid = reference.at("moving_label").geometry;
    truth.fixed_points = data("fixed_points");
    truth.moving_points = data("moving_points");
    errors_.add(predicted.value, grid, truth, true);
  }

  std::vector<double> state() const override { return errors_.state(); }
  void merge(const std::vector<double>& state) override { errors_.merge(state); }
  std::vector<MetricValue> values() const override { return errors_.values(); }

 private:
  RegistrationErrors errors_;
};

/// Weights of the loss terms that are no comparison of images; 0 leaves one out.
struct TermWeights {
  double mutual_information = 0.0;
  double dice = 0.0;
  double guidance = 0.0;
  double landmarks = 0.0;
  double displacement = 0.0;
  double diffusion = 0.0;
  double bending = 0.0;
  double folding = 0.0;
  double inverse_consistency = 0.0;

  void visit(auto& field) {
    const auto weight = [&](const char* name, double& member, const char* help) {
      field(name, member, help, config::AtLeast{0.0});
    };
    weight("mutual_information",
           mutual_information,
           "of 2 minus the normalised mutual information of fixed and warped image");
    weight("dice", dice, "of 1 minus the Dice overlap of fixed and warped moving labels");
    weight("guidance",
           guidance,
           "of 1 minus the overlap of the warped moving labels with what the head's `guided_by` "
           "sees in the fixed image");
    weight("landmarks", landmarks, "of the landmarks' mean distance in mm");
    weight("displacement", displacement, "of the mean distance to the true displacement in mm");
    weight("diffusion", diffusion, "of the mean squared first derivatives, dimensionless");
    weight("bending", bending, "of the mean squared second derivatives in 1/mm^2");
    weight("folding", folding, "of the mean of max(0, -det J)");
    weight("inverse_consistency",
           inverse_consistency,
           "of the mean distance in mm that is left after going there and back; needs a head that "
           "predicts both ways");
  }
  bool supervises() const {
    return mutual_information + dice + guidance + landmarks + displacement > 0.0;
  }
};

/// Alignment of two images: the role `moving` is brought onto `fixed` by a displacement in mm
/// (LPS), moving_from_fixed, on the fixed grid.
///
/// Unsupervised by similarities of the warped moving and the fixed image (`losses`: local_ncc,
/// mind, for one modality also l1 or l2; mutual information), weakly by labels and landmarks, fully
/// by the true displacement, and any sum of these with regularisers (`weights`). What a pair lacks,
/// it does not contribute. Metrics: endpoint error, TRE, Dice, folds, SDlogJ; on whole volumes
/// HD95.
class RegistrationTask final : public Task {
 public:
  struct Config {
    std::map<std::string, std::string> roles = {{"fixed", "fixed"}, {"moving", "moving"}};
    std::vector<config::Node> losses;
    TermWeights weights;
    std::string moving_extent = "whole";

    void visit(auto& field) {
      field("roles",
            roles,
            "role: entry of the dataset that plays it. fixed, moving; where known fixed_label, "
            "moving_label, fixed_points, moving_points, displacement");
      field("losses",
            losses,
            "weighted losses of the warped moving against the fixed image, e.g. [{name: mind}]");
      field("weights", weights, "of the other terms");
      field("moving_extent",
            moving_extent,
            "what an item gets of the moving image: whole = all of it, box = the part over the "
            "fixed one's region in the world",
            config::OneOf{"whole", "box"});
    }
    void validate(config::Problems& problems) const;
  };

  RegistrationTask(const Config& config, const TaskContext& context)
      : config_(config), context_(context) {
    if (!config.losses.empty()) similarities_.emplace(config.losses);
    if (context.head_channels != 3 && context.head_channels != context.classes.size()) {
      throw ConfigError(
          "schema",
          fmt::format("tasks.{}.head: expected a head that predicts displacements", context.key),
          "registration_svf and registration_convex do");
    }
  }

  std::vector<RoleBinding> roles() const override {
    using Extent = RoleBinding::Extent;
    const Extent moving = config_.moving_extent == "box" ? Extent::kWorldBox : Extent::kWhole;
    std::vector<RoleBinding> bindings;
    for (const std::string& role : kPairRoles) {
      const auto found = config_.roles.find(role);
      if (found == config_.roles.end()) continue;
      const bool image = role == "fixed" || role == "moving";
      bindings.push_back({.role = role,
                          .entry = found->second,
                          .required = image,
                          .target = !image,
                          .extent = role.starts_with("moving") ? moving : Extent::kRegion});
    }
    return bindings;
  }
  std::string reference_role() const override { return "fixed"; }

  std::vector<LossTerm> losses(const Prediction& prediction, const Batch& batch) const override {
    check_role_kinds(batch, context_.key);
    std::map<std::string, std::vector<at::Tensor>> values;
    for (std::int64_t item = 0; item < batch.size(); ++item)
      add_terms(aligned_pair(prediction, batch, item), values);
    std::vector<LossTerm> terms;
    for (const auto& [name, items] : values) terms.push_back({name, torch::stack(items).mean()});
    return terms;
  }

  std::unique_ptr<MetricAccumulator> metrics() const override {
    return std::make_unique<RegistrationMetrics>(context_.classes);
  }
  std::string main_metric() const override {
    if (config_.roles.contains("displacement")) return "epe_mm/mean";
    if (config_.roles.contains("fixed_points")) return "tre_mm/mean";
    return config_.roles.contains("fixed_label") ? "dice/mean" : "loss/val";
  }
  VolumePrediction volume_prediction() const override { return VolumePrediction::kGlobal; }
  at::Tensor activate(const Prediction& prediction) const override { return prediction.value; }
  const TaskContext& context() const override { return context_; }
  PictureRoles picture_roles() const override { return {.image = "fixed", .reference = "moving"}; }

 private:
  using Terms = std::map<std::string, std::vector<at::Tensor>>;

  /// Adds a pair's weighted terms by name.
  void add_terms(const Pair& pair, Terms& terms) const {
    const auto add = [&](const char* name, double weight, const auto& value) {
      if (weight > 0.0) terms[name].push_back(weight * value());
    };
    const TermWeights& weights = config_.weights;
    if (similarities_ || weights.mutual_information > 0.0) add_similarities(pair, terms);
    add_labels(pair, terms);
    if (pair.truth.fixed_points.defined() && pair.truth.moving_points.defined())
      add("landmarks", weights.landmarks, [&] { return landmark_distance(pair); });
    if (pair.truth.displacement.defined()) {
      add("displacement", weights.displacement, [&] {
        return lengths(pair.displacement - pair.truth.displacement).mean();
      });
    }
    add("diffusion", weights.diffusion, [&] {
      return diffusion_energy(pair.displacement, pair.grid);
    });
    add("bending", weights.bending, [&] { return bending_energy(pair.displacement, pair.grid); });
    add("folding", weights.folding, [&] { return folding_penalty(pair.displacement, pair.grid); });
    add("inverse_consistency", weights.inverse_consistency, [&] { return inconsistency(pair); });
  }

  void add_similarities(const Pair& pair, Terms& terms) const {
    const WarpOptions edge{WarpInterpolation::kLinear, WarpPadding::kEdge};
    const at::Tensor warped =
        warp(pair.moving, pair.moving_grid, pair.displacement, pair.grid, edge);
    if (similarities_) {
      for (LossTerm& term : (*similarities_)(warped, pair.fixed, LossContext{}))
        terms[term.name].push_back(term.value);
    }
    const double weight = config_.weights.mutual_information;
    if (weight > 0.0) {
      const at::Tensor histogram = joint_histogram(pair.fixed, warped);
      terms["mutual_information"].push_back(weight *
                                            (2.0 - normalised_mutual_information(histogram)));
    }
  }

  void add_labels(const Pair& pair, Terms& terms) const {
    const bool dice = config_.weights.dice > 0.0 && pair.truth.fixed_label.defined();
    const bool guidance = config_.weights.guidance > 0.0;
    if (guidance && !pair.guidance.defined())
      throw model_error("task registration: weights.guidance: the head gives no probabilities",
                        "set the head's guided_by and guide_classes, and the task's reads_from");
    if (!pair.truth.moving_label.defined() || (!dice && !guidance)) return;
    const std::int64_t classes = context_.classes.size();
    const at::Tensor carried = warp(class_codes(pair.truth.moving_label, classes),
                                    pair.truth.moving_label_grid,
                                    pair.displacement,
                                    pair.grid);
    if (dice) {
      const at::Tensor& label = pair.truth.fixed_label;
      const at::Tensor labelled = (label >= 0).to(torch::kFloat);
      terms["dice"].push_back(
          config_.weights.dice *
          (1.0 - soft_label_dice(carried * labelled, class_codes(label, classes))));
    }
    if (guidance) {
      terms["guidance"].push_back(config_.weights.guidance *
                                  (1.0 - soft_label_dice(carried, pair.guidance)));
    }
  }

  /// [1, 3, D, H, W] -> [1, D, H, W], smooth at 0.
  static at::Tensor lengths(const at::Tensor& field) {
    constexpr double kTinyMm2 = 1e-12;
    return (field.square().sum(1) + kTinyMm2).sqrt();
  }

  static at::Tensor landmark_distance(const Pair& pair) {
    const at::Tensor inside =
        points_within(pair.grid, pair.truth.fixed_points).nonzero().squeeze(1);
    if (inside.numel() == 0) return pair.displacement.sum() * 0.0;
    const at::Tensor fixed = pair.truth.fixed_points.to(torch::kCPU).index_select(0, inside);
    const at::Tensor needed =
        pair.truth.moving_points.to(torch::kCPU).index_select(0, inside) - fixed;
    const at::Tensor found = values_at(pair.displacement, pair.grid, fixed);
    return (found - needed.to(found.options())).square().sum(1).add(1e-12).sqrt().mean();
  }

  static at::Tensor inconsistency(const Pair& pair) {
    if (!pair.backward.defined())
      throw model_error(
          "task registration: weights.inverse_consistency: the head predicts one way only",
          "registration_convex with backward: true predicts both; registration_svf is invertible "
          "as it is");
    return lengths(compose_displacements(pair.backward, pair.grid, pair.displacement, pair.grid))
        .mean();
  }

  Config config_;
  TaskContext context_;
  std::optional<LossList> similarities_;
};

void RegistrationTask::Config::validate(config::Problems& problems) const {
  if (!losses.empty()) LossList::check(losses, problems);
  if (losses.empty() && !weights.supervises())
    problems.add("losses", "expects a similarity, or one of the supervising `weights`");
  for (const auto& [role, entry] : roles) {
    if (std::find(kPairRoles.begin(), kPairRoles.end(), role) != kPairRoles.end()) continue;
    problems.add("roles",
                 fmt::format("knows the roles {}, got '{}'{}",
                             join(kPairRoles),
                             role,
                             did_you_mean(role, kPairRoles)));
  }
  const auto needs = [&](const char* key, double weight, std::vector<std::string> needed) {
    for (const std::string& role : needed) {
      if (weight > 0.0 && !roles.contains(role))
        problems.add("roles", fmt::format("expects the role '{}' for {}", role, key));
    }
  };
  needs("every registration", 1.0, {"fixed", "moving"});
  needs("weights.dice", weights.dice, {"fixed_label", "moving_label"});
  needs("weights.guidance", weights.guidance, {"moving_label"});
  needs("weights.landmarks", weights.landmarks, {"fixed_points", "moving_points"});
}

}  // namespace
TRIPTYCH_REGISTER_TASK("registration", RegistrationTask)
}  // namespace triptych
