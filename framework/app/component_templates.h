// SPDX-License-Identifier: Apache-2.0
#pragma once

// What `triptych new` writes. NAME is the registered name, CLASS the class. Each template builds as
// it is and passes the contract tests of its kind, so that a researcher starts from something that
// works.

namespace triptych::app::templates {

inline constexpr const char* kHead = R"(#include "framework/core/nn.h"
#include "framework/model/head.h"
#include "framework/ops/mish.h"

namespace triptych {
namespace {

/// One line: what the head computes.
/// features of role "image" at level 0 [N, C, D, H, W] -> logits [N, num_classes, D, H, W]; no softmax.
class CLASS final : public Head {
 public:
  struct Config {
    std::int64_t num_classes = 0;
    std::int64_t hidden = 16;
    void visit(auto& field) {
      field("num_classes", num_classes, "classes including background", config::Need::kRequired, config::AtLeast{2});
      field("hidden", hidden, "channels between the two convolutions", config::AtLeast{1});
    }
  };

  CLASS(const Config& config, const PyramidSpec& in)
      : num_classes_(config.num_classes),
        hidden_(register_module("hidden", torch::nn::Conv3d(torch::nn::Conv3dOptions(in.level(0).channels, config.hidden, 1)))),
        logits_(register_module("logits", torch::nn::Conv3d(torch::nn::Conv3dOptions(config.hidden, config.num_classes, 1)))) {}

  Prediction forward(HeadInputs& inputs) override {
    return Prediction::logits(logits_(triptych::mish(hidden_(inputs.features("image").level(0)))));
  }
  std::int64_t out_channels() const override { return num_classes_; }

 private:
  std::int64_t num_classes_;
  torch::nn::Conv3d hidden_;
  torch::nn::Conv3d logits_;
};

}  // namespace
TRIPTYCH_REGISTER_HEAD("NAME", CLASS)
}  // namespace triptych
)";
inline constexpr const char* kHeadRecipe =
    "name: NAME\nnum_classes: ???   # set by the experiment\nhidden: 16\n";

inline constexpr const char* kBackbone = R"(#include "framework/core/nn.h"
#include "framework/model/backbone.h"

namespace triptych {
namespace {

/// One line: what the network computes. As it is: two convolutions of each slice at full resolution.
class CLASS final : public Backbone {
 public:
  struct Config {
    std::int64_t width = 16;
    void visit(auto& field) { field("width", width, "channels of both convolutions", config::AtLeast{1}); }
  };

  CLASS(const Config& config, const BackboneInput& input)
      : width_(config.width), in_channels_(input.channels), stages_{stage("first", 1), stage("second", 0)} {
    layers_.push_back(register_module("first", convolution(in_channels_)));
    layers_.push_back(register_module("second", convolution(width_)));
  }

  const std::vector<StageSpec>& stages() const override { return stages_; }
  void run_stage(std::size_t index, Activations& activations) override {
    activations.current = torch::mish(layers_.at(index)(activations.current));
  }
  std::array<std::int64_t, 3> size_multiple() const override { return {1, 1, 1}; }
  std::int64_t slab() const override { return 1; }
  BackboneCost cost(const std::array<std::int64_t, 3>& size) const override {
    const std::int64_t pixels = size[1] * size[2];
    return {.multiply_adds = 9 * pixels * width_ * (in_channels_ + width_),
            .activation_bytes = 2 * 4 * pixels * width_,
            .bottleneck_receptive_field = {1, 3, 3},
            .output_receptive_field = {1, 5, 5}};
  }

 private:
  StageSpec stage(const char* name, std::int64_t level) const {
    return {.name = name, .channels = width_, .stride = {1, 1, 1}, .pyramid_level = level};
  }
  torch::nn::Conv3d convolution(std::int64_t channels) const {
    return torch::nn::Conv3d(torch::nn::Conv3dOptions(channels, width_, {1, 3, 3}).padding({0, 1, 1}));
  }

  std::int64_t width_;
  std::int64_t in_channels_;
  std::vector<StageSpec> stages_;
  std::vector<torch::nn::Conv3d> layers_;
};

}  // namespace
TRIPTYCH_REGISTER_BACKBONE("NAME", CLASS)
}  // namespace triptych
)";
inline constexpr const char* kBackboneRecipe = "name: NAME\nwidth: 16\n";

inline constexpr const char* kTask = R"(#include <cmath>

#include "framework/core/nn.h"
#include "framework/learn/task.h"

namespace triptych {
namespace {

/// Mean absolute difference over all voxels seen.
class CLASSMetrics final : public MetricAccumulator {
 public:
  void add(const Prediction& prediction, const Batch& batch) override { add_pair(prediction.value, batch.at("target").data); }
  void add_volume(const Prediction& predicted, const Geometry&, const Sample& reference) override {
    add_pair(predicted.value[0], reference.at("target").data);
  }
  std::vector<double> state() const override { return {sum_, static_cast<double>(voxels_)}; }
  void merge(const std::vector<double>& state) override {
    sum_ += state.at(0);
    voxels_ += static_cast<std::int64_t>(state.at(1));
  }
  std::vector<MetricValue> values() const override {
    return {{"mae", voxels_ > 0 ? sum_ / static_cast<double>(voxels_) : std::nan(""), Direction::kLowerIsBetter}};
  }

 private:
  void add_pair(const at::Tensor& a, const at::Tensor& b) {
    sum_ += (a.to(torch::kDouble) - b.to(torch::kDouble)).abs().sum().item<double>();
    voxels_ += a.numel();
  }
  double sum_ = 0.0;
  std::int64_t voxels_ = 0;
};

/// One line: what is learned. As it is: the role `target` from the role `image`, voxel by voxel.
class CLASS final : public Task {
 public:
  struct Config {
    std::map<std::string, std::string> roles = {{"image", "image"}, {"target", "target"}};
    void visit(auto& field) { field("roles", roles, "role: entry of the dataset that plays it"); }
    void validate(config::Problems& problems) const {
      for (const char* role : {"image", "target"}) {
        if (!roles.contains(role)) problems.add("roles", fmt::format("expects an entry for the role '{}'", role));
      }
    }
  };

  CLASS(const Config& config, const TaskContext& context) : config_(config), context_(context) {}

  std::vector<RoleBinding> roles() const override {
    return {{"image", config_.roles.at("image"), true}, {"target", config_.roles.at("target"), true, true}};
  }
  std::vector<LossTerm> losses(const Prediction& prediction, const Batch& batch) const override {
    return {{"absolute", (prediction.value - batch.at("target").data).abs().mean()}};
  }
  std::unique_ptr<MetricAccumulator> metrics() const override { return std::make_unique<CLASSMetrics>(); }
  std::string main_metric() const override { return "mae"; }
  VolumePrediction volume_prediction() const override { return VolumePrediction::kPlanes; }
  at::Tensor activate(const Prediction& prediction) const override { return prediction.value; }
  const TaskContext& context() const override { return context_; }

 private:
  Config config_;
  TaskContext context_;
};

}  // namespace
TRIPTYCH_REGISTER_TASK("NAME", CLASS)
}  // namespace triptych
)";
inline constexpr const char* kTaskRecipe =
    "name: NAME\n"
    "dataset: ???\n"
    "roles: {image: image, target: target}\n"
    "weight: 1.0\n"
    "batch_size: 8\n"
    "validation_items: 0\n"
    "reads_from: []\n"
    "sampling: {items: slices, axes: [0, 1, 2], slab: 1}\n"
    "transforms: []\n"
    "validation_transforms: []\n";

inline constexpr const char* kDataset = R"(#include "framework/core/error.h"
#include "framework/core/nn.h"
#include "framework/data/dataset.h"

namespace triptych {
namespace {

/// One line: where the samples come from. As it is: a bright ball in the middle of each volume, and its label.
class CLASS final : public Dataset {
 public:
  struct Config {
    std::int64_t count = 4;
    std::int64_t size = 32;
    void visit(auto& field) {
      field("count", count, "samples of each split", config::AtLeast{1});
      field("size", size, "voxels along each axis", config::AtLeast{8});
    }
  };

  explicit CLASS(const Config& config) : config_(config), classes_(numbered_classes(2)) {
    Geometry geometry;
    geometry.shape = {config.size, config.size, config.size};
    EntrySpec image;
    image.name = "image";
    image.modality = "synthetic";
    image.geometry = geometry;
    EntrySpec label = image;
    label.name = "label";
    label.kind = EntryKind::kLabel;
    label.modality = "label";
    for (std::int64_t i = 0; i < 3 * config.count; ++i) samples_.push_back({"ball_" + std::to_string(i), {image, label}});
  }

  const std::vector<SampleSpec>& samples() const override { return samples_; }
  std::vector<std::size_t> split(const std::string& name) const override {
    const std::vector<std::string> names = {"train", "validation", "test"};
    std::vector<std::size_t> chosen;
    for (std::size_t i = 0; i < samples_.size(); ++i) {
      if (names[i % 3] == name) chosen.push_back(i);
    }
    return chosen;
  }

  /// Thread-safe, without random state: equal arguments give equal bits.
  Entry read(std::size_t sample, const std::string& name, const Region& region) const override {
    const EntrySpec* spec = samples_.at(sample).find(name);
    if (spec == nullptr) throw data_error(samples_[sample].id + ": no entry '" + name + "'");
    const double centre = 0.5 * static_cast<double>(config_.size - 1);
    const double radius = centre * (0.4 + 0.4 * static_cast<double>(sample) / static_cast<double>(samples_.size()));
    at::Tensor square = torch::zeros({region.size[0], region.size[1], region.size[2]}, torch::kDouble);
    for (int axis = 0; axis < 3; ++axis) {
      std::vector<std::int64_t> shape = {1, 1, 1};
      shape[static_cast<std::size_t>(axis)] = -1;
      const auto from = static_cast<double>(region.start[axis]) - centre;
      square = square + (torch::arange(region.size[axis], torch::kDouble) + from).pow(2).view(shape);
    }
    const at::Tensor inside = (square < radius * radius).unsqueeze(0);
    Entry entry;
    entry.kind = spec->kind;
    entry.data = inside.to(spec->kind == EntryKind::kLabel ? torch::kLong : torch::kFloat);
    entry.geometry = spec->geometry.cropped(region);
    entry.modality = spec->modality;
    entry.frame = spec->frame;
    return entry;
  }
  const ClassTable& classes() const override { return classes_; }

 private:
  Config config_;
  ClassTable classes_;
  std::vector<SampleSpec> samples_;
};

}  // namespace
TRIPTYCH_REGISTER_DATASET("NAME", CLASS)
}  // namespace triptych
)";
inline constexpr const char* kDatasetRecipe = "name: NAME\ncount: 4\nsize: 32\n";

inline constexpr const char* kWeighting = R"(#include "framework/core/nn.h"
#include "framework/learn/weighting.h"

namespace triptych {
namespace {

/// One line: the formula and its source. As it is: the mean of the weighted losses of the tasks present.
class CLASS final : public Weighting {
 public:
  struct Config {
    double scale = 1.0;
    void visit(auto& field) { field("scale", scale, "factor on the mean", config::Above{0.0}); }
  };

  CLASS(const Config& config, const WeightingTasks& tasks) : config_(config), values_(tasks.weights) {
    weights_ = register_buffer("weights", torch::tensor(tasks.weights, torch::kFloat));
  }

  /// losses [T], present [T] -> scalar. where(), not a product: an absent task's loss may be anything, NaN included.
  at::Tensor combine(const at::Tensor& losses, const at::Tensor& present) override {
    const at::Tensor weighted = torch::where(present, losses * weights_, torch::zeros_like(losses));
    return config_.scale * weighted.sum() / present.sum().clamp_min(1);
  }
  std::vector<double> current_weights() const override { return values_; }

 private:
  Config config_;
  std::vector<double> values_;
  at::Tensor weights_;
};

}  // namespace
TRIPTYCH_REGISTER_WEIGHTING("NAME", CLASS)
}  // namespace triptych
)";
inline constexpr const char* kWeightingRecipe = "name: NAME\nscale: 1.0\n";

inline constexpr const char* kSharing = R"(#include "framework/core/nn.h"
#include "framework/model/sharing.h"

namespace triptych {
namespace {

/// One line: what the tasks share, and the source. As it is: nothing, a network for each task.
class CLASS final : public Sharing {
 public:
  struct Config {
    void visit(auto&) {}
  };

  CLASS(const Config&, const std::vector<std::string>& tasks, const BackboneFactory& make_backbone) {
    for (const std::string& task : tasks) columns_[task] = register_module("column_" + task, make_backbone());
  }

  std::map<std::string, FeaturePyramid> forward(const at::Tensor& image, const std::vector<std::string>& tasks) override {
    std::map<std::string, FeaturePyramid> pyramids;
    for (const std::string& task : tasks) pyramids.emplace(task, columns_.at(task)->forward(image));
    return pyramids;
  }
  const Backbone& column() const override { return *columns_.begin()->second; }
  std::int64_t column_passes(std::int64_t tasks) const override { return tasks; }
  void fold() override {
    for (auto& [task, column] : columns_) {
      if (auto folded = column->folded()) column = replace_module("column_" + task, std::move(folded));
    }
  }

 private:
  std::map<std::string, std::shared_ptr<Backbone>> columns_;
};

}  // namespace
TRIPTYCH_REGISTER_SHARING("NAME", CLASS)
}  // namespace triptych
)";
inline constexpr const char* kSharingRecipe = "name: NAME\n";

inline constexpr const char* kLoss = R"(#include "framework/core/nn.h"
#include "framework/learn/loss.h"

namespace triptych {
namespace {

/// One line: the formula and its source. As it is: mean of sqrt(d^2 + epsilon^2) - epsilon over the voxels that count.
class CLASS final : public Loss {
 public:
  struct Config {
    double epsilon = 0.001;
    void visit(auto& field) { field("epsilon", epsilon, "rounds the corner at zero", config::Above{0.0}); }
  };
  explicit CLASS(const Config& config) : config_(config) {}

  at::Tensor operator()(const at::Tensor& prediction, const at::Tensor& target, const LossContext& context) const override {
    const at::Tensor difference = prediction.to(torch::kFloat) - target.to(torch::kFloat);
    const at::Tensor value = (difference.pow(2) + config_.epsilon * config_.epsilon).sqrt() - config_.epsilon;
    if (!context.mask.defined()) return value.mean();
    const at::Tensor mask = context.mask.expand_as(value).to(value.scalar_type());
    return (value * mask).sum() / mask.sum().clamp_min(1);
  }
  bool is_classification() const override { return false; }

 private:
  Config config_;
};

}  // namespace
TRIPTYCH_REGISTER_LOSS("NAME", CLASS)
}  // namespace triptych
)";

}  // namespace triptych::app::templates
