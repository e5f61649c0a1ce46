// SPDX-License-Identifier: Apache-2.0
#include "framework/core/error.h"
#include "framework/core/nn.h"
#include "framework/core/random.h"
#include "framework/core/suggest.h"
#include "framework/learn/registration_errors.h"
#include "framework/learn/role_kinds.h"
#include "framework/learn/task.h"
#include "framework/ops/mind.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace triptych {
namespace {

const std::vector<std::string> kContrastiveRoles = {"fixed", "moving", "displacement", "label"};

/// Positions of the fixed image and where they are in the moving one.
struct Correspondences {
  at::Tensor fixed, moving;  ///< [P, 3] float64 in mm (LPS)
};

/// One item's images and the true displacement between them.
struct TruePair {
  Geometry fixed_grid, moving_grid;
  at::Tensor displacement;  ///< [1, 3, D, H, W] in mm on the fixed grid
  Index3 usable;            ///< voxels of the fixed grid without padding
};

TruePair true_pair(const Batch& batch, std::int64_t item) {
  const BatchEntry& fixed = batch.at("fixed");
  const BatchEntry& field = batch.at("displacement");
  const auto row = static_cast<std::size_t>(item);
  return {fixed.geometry[row],
          batch.at("moving").geometry[row],
          field.data.narrow(0, item, 1),
          fixed.valid ? fixed.valid->size : fixed.geometry[row].shape};
}

/// At most `count` voxels of the fixed image, drawn evenly, whose place the moving image shows.
Correspondences drawn_places(const TruePair& pair, std::int64_t count, RandomStream random) {
  at::Tensor fixed = torch::empty({count, 3}, torch::kDouble);
  for (std::int64_t i = 0; i < count; ++i) {
    Eigen::Vector3d index;
    for (int axis = 0; axis < 3; ++axis)
      index[axis] =
          static_cast<double>(random.integer(pair.usable[static_cast<std::size_t>(2 - axis)]));
    Eigen::Map<Eigen::Vector3d>(fixed.data_ptr<double>() + 3 * i) =
        pair.fixed_grid.world_from_index(index);
  }
  const at::Tensor moving =
      fixed + values_at(pair.displacement, pair.fixed_grid, fixed).to(torch::kCPU, torch::kDouble);
  const at::Tensor shown = points_within(pair.moving_grid, moving).nonzero().squeeze(1);
  return {fixed.index_select(0, shown), moving.index_select(0, shown)};
}

at::Tensor mutual_distances(const at::Tensor& points) {
  return (points.unsqueeze(1) - points.unsqueeze(0)).square().sum(2).sqrt();
}

/// Places [P, P] that are no negatives of one another: too close, the place itself left out.
at::Tensor too_close(const Correspondences& places, double margin_mm) {
  const at::Tensor self = torch::eye(places.moving.size(0), torch::kBool);
  return (mutual_distances(places.moving) < margin_mm) & ~self;
}

at::Tensor unit(const at::Tensor& x) {
  constexpr double kTiny = 1e-8;
  return x / (x.square().sum(1, true) + kTiny).sqrt();
}

double margin_mm(const Geometry& grid, double margin_voxel) {
  return margin_voxel * grid.spacing.minCoeff();
}

/// How often the right place is the most similar one, and how far away the most similar one is.
struct Matches {
  double right = 0.0, distance_mm = 0.0, places = 0.0;

  /// similarity [P, P]: row = fixed place, column = moving place.
  void add(const at::Tensor& similarity, const Correspondences& common, double margin) {
    const std::int64_t count = similarity.size(0);
    const at::Tensor order = torch::arange(count);
    const at::Tensor rivals =
        similarity.masked_fill(too_close(common, margin), -std::numeric_limits<double>::infinity());
    right += (rivals.argmax(1) == order).sum().item<double>();
    const at::Tensor found = common.moving.index_select(0, similarity.argmax(1));
    distance_mm += (found - common.moving).square().sum(1).sqrt().sum().item<double>();
    places += static_cast<double>(count);
  }
};

/// Matches of the descriptors and, to compare with, of MIND-SSC.
class ContrastiveMetrics final : public MetricAccumulator {
 public:
  ContrastiveMetrics(std::int64_t places, double margin_voxel)
      : places_(places), margin_voxel_(margin_voxel) {}

  void add(const Prediction& prediction, const Batch& batch) override {
    const Batch read = batch.to(torch::kCPU);
    const at::Tensor fixed = prediction.value.to(torch::kCPU);
    const at::Tensor moving = prediction.extra.at("moving").to(torch::kCPU);
    for (std::int64_t item = 0; item < read.size(); ++item) {
      const TruePair pair = true_pair(read, item);
      const Correspondences common = drawn_places(
          pair, places_, RandomStream(hash_name(read.ids[static_cast<std::size_t>(item)])));
      if (common.fixed.size(0) == 0) continue;
      const auto matched = [&](const at::Tensor& f, const at::Tensor& m, bool lengths) {
        const at::Tensor a = values_at(f, pair.fixed_grid, common.fixed).to(torch::kDouble);
        const at::Tensor b = values_at(m, pair.moving_grid, common.moving).to(torch::kDouble);
        return lengths ? -torch::cdist(a, b) : torch::matmul(unit(a), unit(b).t());
      };
      const double margin = margin_mm(pair.fixed_grid, margin_voxel_);
      own_.add(matched(fixed.narrow(0, item, 1), moving.narrow(0, item, 1), false), common, margin);
      const auto mind = [&](const char* role) {
        return mind_ssc(read.at(role).data.narrow(0, item, 1).narrow(1, 0, 1));
      };
      mind_.add(matched(mind("fixed"), mind("moving"), true), common, margin);
    }
  }

  /// A whole prediction holds the descriptors of the fixed image alone: nothing to compare.
  void add_volume(const Prediction&, const Geometry&, const Sample&) override {}

  std::vector<double> state() const override {
    return {
        own_.right, own_.distance_mm, own_.places, mind_.right, mind_.distance_mm, mind_.places};
  }
  void merge(const std::vector<double>& state) override {
    TRIPTYCH_ASSERT(state.size() == 6);
    const double* number = state.data();
    for (Matches* matches : {&own_, &mind_}) {
      matches->right += *number++;
      matches->distance_mm += *number++;
      matches->places += *number++;
    }
  }
  std::vector<MetricValue> values() const override {
    std::vector<MetricValue> rows;
    for (const auto& [prefix, matches] : {std::pair{"", &own_}, {"trivial/mind_", &mind_}}) {
      rows.push_back({std::string(prefix) + "top1", matches->right / matches->places});
      rows.push_back({std::string(prefix) + "distance_mm",
                      matches->distance_mm / matches->places,
                      Direction::kLowerIsBetter});
    }
    return rows;
  }

 private:
  std::int64_t places_;
  double margin_voxel_;
  Matches own_, mind_;
};

/// Descriptors of the same place that agree in two images of different contrast, and differ from
/// those of other places: InfoNCE (van den Oord et al., Representation learning with contrastive
/// predictive coding, 2018) over places of one pair, both ways, as Pielawski et al. (CoMIR, NeurIPS
/// 2020) learn registration features.
///
/// Roles `fixed`, `moving` and, from the data set or from the transform own_frame, `displacement`;
/// `label` is for transforms (label_contrast). Metrics: `top1`, the share of places whose partner
/// is the most similar of all drawn ones, and the distance of the most similar one in mm;
/// trivial/mind_ of MIND-SSC descriptors on the same places.
class ContrastiveTask final : public Task {
 public:
  struct Config {
    std::map<std::string, std::string> roles = {{"fixed", "fixed"}, {"moving", "moving"}};
    std::int64_t places = 512;
    double temperature = 0.07;
    double margin = 4.0;

    void visit(auto& field) {
      field("roles",
            roles,
            "role: entry of the dataset that plays it. fixed, moving; displacement, where no "
            "transform makes it; label, for transforms");
      field("places", places, "drawn in a pair", config::Between{2, 16384});
      field("temperature", temperature, "of the softmax over the places", config::Above{0.0});
      field("margin",
            margin,
            "places nearer than this are no negatives",
            config::AtLeast{0.0},
            config::Unit{"voxels"});
    }
    void validate(config::Problems& problems) const {
      for (const char* role : {"fixed", "moving"}) {
        if (!roles.contains(role))
          problems.add("roles", fmt::format("expects an entry for the role '{}'", role));
      }
      for (const auto& [role, entry] : roles) {
        if (std::find(kContrastiveRoles.begin(), kContrastiveRoles.end(), role) !=
            kContrastiveRoles.end())
          continue;
        problems.add("roles",
                     fmt::format("knows the roles {}, got '{}'{}",
                                 join(kContrastiveRoles),
                                 role,
                                 did_you_mean(role, kContrastiveRoles)));
      }
    }
  };

  ContrastiveTask(const Config& config, const TaskContext& context)
      : config_(config), context_(context) {}

  std::vector<RoleBinding> roles() const override {
    std::vector<RoleBinding> bindings;
    for (const std::string& role : kContrastiveRoles) {
      const auto found = config_.roles.find(role);
      if (found == config_.roles.end()) continue;
      const bool image = role == "fixed" || role == "moving";
      bindings.push_back({.role = role,
                          .entry = found->second,
                          .required = image,
                          .target = !image,
                          .extent = role == "moving" ? RoleBinding::Extent::kWorldBox
                                                     : RoleBinding::Extent::kRegion});
    }
    return bindings;
  }
  std::string reference_role() const override { return "fixed"; }

  std::vector<LossTerm> losses(const Prediction& prediction, const Batch& batch) const override {
    check_role_kinds(batch, context_.key);
    const auto moving = prediction.extra.find("moving");
    const bool known =
        batch.has("displacement") &&
        static_cast<std::int64_t>(batch.at("displacement").items.size()) == batch.size();
    if (moving == prediction.extra.end() || !known) {
      throw model_error(
          fmt::format("tasks.{}: expected descriptors of both images and a displacement between "
                      "them in every item",
                      context_.key),
          "use the head `descriptor`, and the role `displacement` or the transform own_frame, also "
          "in validation_transforms");
    }
    std::vector<at::Tensor> values;
    for (std::int64_t item = 0; item < batch.size(); ++item) {
      const at::Tensor value = contrast(prediction.value.narrow(0, item, 1),
                                        moving->second.narrow(0, item, 1),
                                        true_pair(batch, item));
      if (value.defined()) values.push_back(value);
    }
    if (values.empty()) return {};
    return {{"info_nce", torch::stack(values).mean()}};
  }

  std::unique_ptr<MetricAccumulator> metrics() const override {
    return std::make_unique<ContrastiveMetrics>(config_.places, config_.margin);
  }
  std::string main_metric() const override { return "top1"; }
  VolumePrediction volume_prediction() const override { return VolumePrediction::kGlobal; }
  at::Tensor activate(const Prediction& prediction) const override { return prediction.value; }
  const TaskContext& context() const override { return context_; }
  PictureRoles picture_roles() const override { return {.image = "fixed", .reference = "moving"}; }

 private:
  /// Undefined where the two images show fewer than two common places.
  at::Tensor contrast(const at::Tensor& fixed,
                      const at::Tensor& moving,
                      const TruePair& pair) const {
    const auto seed = static_cast<std::uint64_t>(
        torch::randint(std::numeric_limits<std::int32_t>::max(), {1}, torch::kLong)
            .item<std::int64_t>());
    const Correspondences common = drawn_places(pair, config_.places, RandomStream(seed));
    if (common.fixed.size(0) < 2) return {};
    const at::Tensor a = values_at(fixed, pair.fixed_grid, common.fixed);
    const at::Tensor b = unit(values_at(moving, pair.moving_grid, common.moving));
    const at::Tensor close =
        too_close(common, margin_mm(pair.fixed_grid, config_.margin)).to(a.device());
    const at::Tensor logits = (torch::matmul(a, b.t()) / config_.temperature)
                                  .masked_fill(close, -std::numeric_limits<float>::infinity());
    const at::Tensor partner =
        torch::arange(a.size(0), torch::device(a.device()).dtype(torch::kLong));
    return 0.5 * (torch::nll_loss(torch::log_softmax(logits, 1), partner) +
                  torch::nll_loss(torch::log_softmax(logits, 0).t(), partner));
  }

  Config config_;
  TaskContext context_;
};

}  // namespace
TRIPTYCH_REGISTER_TASK("contrastive", ContrastiveTask)
}  // namespace triptych
