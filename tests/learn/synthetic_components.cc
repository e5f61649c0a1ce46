// SPDX-License-Identifier: Apache-2.0
// Tiny components of every kind, so that the tests of training depend on none that ships.
#include "framework/core/error.h"
#include "framework/core/nn.h"
#include "framework/core/random.h"
#include "framework/learn/schedule.h"
#include "framework/learn/task.h"
#include "framework/learn/weighting.h"
#include "framework/model/backbone.h"
#include "framework/model/head.h"
#include "framework/model/sharing.h"

#include <cmath>
#include <limits>

namespace triptych {
namespace {

/// Noisy blocks: label = which half of W, image = label + noise, clean = label as a number.
class BlocksDataset final : public Dataset {
 public:
  struct Config {
    std::int64_t train = 3;
    std::int64_t validation = 1;
    std::vector<std::int64_t> size = {4, 8, 8};
    std::int64_t nan_sample = -1;
    std::int64_t without_clean = -1;
    std::int64_t without_label = -1;
    bool broken = false;
    void visit(auto& field) {
      field("train", train, "training samples");
      field("validation", validation, "validation samples");
      field("size", size, "voxels", config::Length{3});
      field("nan_sample", nan_sample, "sample whose image is NaN");
      field("without_clean", without_clean, "samples from this one on have no clean image");
      field("without_label", without_label, "samples from this one on have no label");
      field("broken", broken, "cannot be opened");
    }
  };

  explicit BlocksDataset(const Config& config) : config_(config), classes_(numbered_classes(2)) {
    if (config.broken) throw io_error("blocks: cannot be opened");
    Geometry geometry;
    geometry.shape = {config.size[0], config.size[1], config.size[2]};
    for (std::int64_t i = 0; i < config.train + config.validation; ++i) {
      SampleSpec spec{"blocks_" + std::to_string(i), {}};
      spec.entries.push_back({"picture", EntryKind::kIntensity, "xray", "world", "", 1, geometry});
      spec.entries.push_back({"photo", EntryKind::kIntensity, "photo", "world", "", 3, geometry});
      const bool labelled = config.without_label < 0 || i < config.without_label;
      if (labelled)
        spec.entries.push_back({"label", EntryKind::kLabel, "", "world", "", 1, geometry});
      const bool clean = config.without_clean < 0 || i < config.without_clean;
      if (clean)
        spec.entries.push_back({"clean", EntryKind::kIntensity, "xray", "world", "", 1, geometry});
      samples_.push_back(spec);
    }
  }

  const std::vector<SampleSpec>& samples() const override { return samples_; }
  std::vector<std::size_t> split(const std::string& name) const override {
    std::vector<std::size_t> indices;
    for (std::int64_t i = 0; i < config_.train + config_.validation; ++i) {
      if ((name == "train" && i < config_.train) || (name == "validation" && i >= config_.train)) {
        indices.push_back(static_cast<std::size_t>(i));
      }
    }
    return indices;
  }
  Entry read(std::size_t sample, const std::string& name, const Region& region) const override {
    const EntrySpec& spec = *samples_.at(sample).find(name);
    Entry entry;
    entry.kind = spec.kind;
    entry.geometry = spec.geometry.cropped(region);
    entry.modality = spec.modality;
    const at::Tensor columns = torch::arange(config_.size[2]).ge(config_.size[2] / 2);
    const at::Tensor half = columns.expand({1, config_.size[0], config_.size[1], -1});
    if (name == "label") {
      entry.data = half.to(torch::kLong);
    } else {
      entry.data = half.to(torch::kFloat).clone();
      if (name != "clean") add_noise(entry.data, sample);
      if (name == "photo") entry.data = entry.data.repeat({3, 1, 1, 1});
    }
    for (int axis = 0; axis < 3; ++axis)
      entry.data = entry.data.narrow(1 + axis, region.start[axis], region.size[axis]);
    entry.data = entry.data.contiguous();
    return entry;
  }
  const ClassTable& classes() const override { return classes_; }

 private:
  void add_noise(at::Tensor& image, std::size_t sample) const {
    RandomStream random(1, {sample});
    float* values = image.data_ptr<float>();
    for (std::int64_t i = 0; i < image.numel(); ++i)
      values[i] += static_cast<float>(0.3 * random.normal());
    if (static_cast<std::int64_t>(sample) == config_.nan_sample)
      image.fill_(std::numeric_limits<float>::quiet_NaN());
  }

  Config config_;
  ClassTable classes_;
  std::vector<SampleSpec> samples_;
};
TRIPTYCH_REGISTER_DATASET("test_blocks", BlocksDataset)

/// One convolution with batch norm at full resolution; asks for multiples of 2.
class TinyBackbone final : public Backbone {
 public:
  struct Config {
    bool normalise = true;
    void visit(auto& field) { field("normalise", normalise, "batch norm"); }
  };
  TinyBackbone(const Config& config, const BackboneInput& input)
      : config_(config),
        convolution_(register_module(
            "convolution",
            torch::nn::Conv3d(torch::nn::Conv3dOptions(input.channels, 4, 3).padding(1)))),
        norm_(register_module("norm", torch::nn::BatchNorm3d(4))) {}
  const std::vector<StageSpec>& stages() const override { return stages_; }
  void run_stage(std::size_t, Activations& a) override {
    a.current = convolution_(a.current);
    if (config_.normalise) a.current = norm_(a.current);
    a.current = torch::relu(a.current);
  }
  std::array<std::int64_t, 3> size_multiple() const override { return {1, 2, 2}; }
  std::int64_t slab() const override { return 1; }
  BackboneCost cost(const std::array<std::int64_t, 3>&) const override { return {}; }

 private:
  Config config_;
  std::vector<StageSpec> stages_ = {{"all", 4, {1, 1, 1}, 0}};
  torch::nn::Conv3d convolution_;
  torch::nn::BatchNorm3d norm_;
};
TRIPTYCH_REGISTER_BACKBONE("test_tiny", TinyBackbone)

class OneColumn final : public Sharing {
 public:
  struct Config {
    void visit(auto&) {}
  };
  OneColumn(const Config&, const std::vector<std::string>&, const BackboneFactory& make)
      : column_(register_module("column", make())) {}
  std::map<std::string, FeaturePyramid> forward(const at::Tensor& image,
                                                const std::vector<std::string>& tasks) override {
    const FeaturePyramid pyramid = column_->forward(image);
    std::map<std::string, FeaturePyramid> pyramids;
    for (const std::string& task : tasks) pyramids.emplace(task, pyramid);
    return pyramids;
  }
  const Backbone& column() const override { return *column_; }
  std::int64_t column_passes(std::int64_t tasks) const override { return tasks; }
  void fold() override {}

 private:
  std::shared_ptr<Backbone> column_;
};
TRIPTYCH_REGISTER_SHARING("test_one_column", OneColumn)

class LinearHead final : public Head {
 public:
  struct Config {
    std::int64_t channels = 2;
    double dropout = 0.2;
    bool intensity = false;
    void visit(auto& field) {
      field("channels", channels, "output channels", config::AtLeast{1});
      field("dropout", dropout, "dropout", config::Between{0.0, 1.0});
      field("intensity", intensity, "the output is an image");
    }
  };
  LinearHead(const Config& config, const PyramidSpec& in)
      : config_(config),
        linear_(register_module("linear",
                                torch::nn::Conv3d(in.level(0).channels, config.channels, 1))) {}
  Prediction forward(HeadInputs& inputs) override {
    const at::Tensor value =
        linear_(torch::dropout(inputs.features("image").level(0), config_.dropout, is_training()));
    return config_.intensity ? Prediction::intensity(value) : Prediction::logits(value);
  }
  std::int64_t out_channels() const override { return config_.channels; }

 private:
  Config config_;
  torch::nn::Conv3d linear_;
};
TRIPTYCH_REGISTER_HEAD("test_linear", LinearHead)

/// As test_linear, from the finest features of the image and of the clean image.
class PairHead final : public Head {
 public:
  struct Config {
    void visit(auto&) {}
  };
  PairHead(const Config&, const PyramidSpec& in)
      : linear_(register_module("linear", torch::nn::Conv3d(2 * in.level(0).channels, 1, 1))) {}
  Prediction forward(HeadInputs& inputs) override {
    return Prediction::intensity(linear_(
        torch::cat({inputs.features("image").level(0), inputs.features("clean").level(0)}, 1)));
  }
  std::int64_t out_channels() const override { return 1; }
  std::vector<std::string> roles() const override { return {"image", "clean"}; }

 private:
  torch::nn::Conv3d linear_;
};
TRIPTYCH_REGISTER_HEAD("test_pair", PairHead)

/// Scales the first channel of another task's output.
class FollowingHead final : public Head {
 public:
  struct Config {
    std::string source;
    void visit(auto& field) { field("source", source, "task read from", config::Need::kRequired); }
  };
  FollowingHead(const Config& config, const PyramidSpec&) : config_(config) {
    scale_ = register_parameter("scale", torch::ones({1}));
  }
  Prediction forward(HeadInputs& inputs) override {
    return Prediction::intensity(scale_ * inputs.output_of(config_.source).value.narrow(1, 0, 1));
  }
  std::int64_t out_channels() const override { return 1; }

 private:
  Config config_;
  at::Tensor scale_;
};
TRIPTYCH_REGISTER_HEAD("test_following", FollowingHead)

/// Mean of a number per item.
class MeanMetric final : public MetricAccumulator {
 public:
  using Measure = std::function<double(const Prediction&, const Batch&)>;
  MeanMetric(std::string name, Direction direction, Measure measure)
      : name_(std::move(name)), direction_(direction), measure_(std::move(measure)) {}
  void add(const Prediction& prediction, const Batch& batch) override {
    sum_ += measure_(prediction, batch) * static_cast<double>(batch.size());
    count_ += batch.size();
  }
  void add_volume(const Prediction&, const Geometry&, const Sample&) override {}
  std::vector<double> state() const override { return {sum_, static_cast<double>(count_)}; }
  void merge(const std::vector<double>& state) override {
    sum_ += state.at(0);
    count_ += static_cast<std::int64_t>(state.at(1));
  }
  std::vector<MetricValue> values() const override {
    return {{name_, count_ > 0 ? sum_ / static_cast<double>(count_) : std::nan(""), direction_}};
  }

 private:
  std::string name_;
  Direction direction_;
  Measure measure_;
  double sum_ = 0.0;
  std::int64_t count_ = 0;
};

class ClassifyTask final : public Task {
 public:
  struct Config {
    std::string picture = "picture";
    void visit(auto& field) { field("picture", picture, "entry of the image"); }
  };
  ClassifyTask(const Config& config, const TaskContext& context)
      : config_(config), context_(context) {}
  std::vector<RoleBinding> roles() const override {
    return {{"image", config_.picture}, {"label", "label", true, true}};
  }
  std::vector<LossTerm> losses(const Prediction& prediction, const Batch& batch) const override {
    const auto options = torch::nn::functional::CrossEntropyFuncOptions().ignore_index(-1);
    return {{"entropy",
             torch::nn::functional::cross_entropy(
                 prediction.value, batch.at("label").data.squeeze(1), options)}};
  }
  std::unique_ptr<MetricAccumulator> metrics() const override {
    return std::make_unique<MeanMetric>(
        "accuracy", Direction::kHigherIsBetter, [](const Prediction& p, const Batch& b) {
          const at::Tensor label = b.at("label").data.squeeze(1);
          return p.value.argmax(1)
              .eq(label)
              .masked_select(label.ge(0))
              .to(torch::kDouble)
              .mean()
              .item<double>();
        });
  }
  std::string main_metric() const override { return "accuracy"; }
  VolumePrediction volume_prediction() const override { return VolumePrediction::kPlanes; }
  at::Tensor activate(const Prediction& prediction) const override {
    return torch::softmax(prediction.value, 1);
  }
  const TaskContext& context() const override { return context_; }

 private:
  Config config_;
  TaskContext context_;
};
TRIPTYCH_REGISTER_TASK("test_classify", ClassifyTask)

/// What a prediction of the clean image misses, where that holds data.
at::Tensor residual(const Prediction& prediction, const Batch& batch) {
  const BatchEntry& clean = batch.at("clean");
  const at::Tensor difference = prediction.value - clean.data;
  return clean.mask().defined() ? difference.masked_select(clean.mask()) : difference;
}

class RestoreTask final : public Task {
 public:
  struct Config {
    std::string picture = "picture";
    void visit(auto& field) { field("picture", picture, "entry of the image"); }
  };
  RestoreTask(const Config& config, const TaskContext& context)
      : config_(config), context_(context) {}
  std::vector<RoleBinding> roles() const override {
    return {{"image", config_.picture}, {"clean", "clean", true, true}};
  }
  std::vector<LossTerm> losses(const Prediction& prediction, const Batch& batch) const override {
    const at::Tensor difference = residual(prediction, batch);
    return {{"square", difference.square().mean()}, {"absolute", difference.abs().mean()}};
  }
  std::unique_ptr<MetricAccumulator> metrics() const override {
    return std::make_unique<MeanMetric>(
        "mae", Direction::kLowerIsBetter, [](const Prediction& p, const Batch& b) {
          return residual(p, b).abs().mean().item<double>();
        });
  }
  std::string main_metric() const override { return "mae"; }
  VolumePrediction volume_prediction() const override { return VolumePrediction::kPlanes; }
  at::Tensor activate(const Prediction& prediction) const override { return prediction.value; }
  const TaskContext& context() const override { return context_; }

 private:
  Config config_;
  TaskContext context_;
};
TRIPTYCH_REGISTER_TASK("test_restore", RestoreTask)

/// Sum of the losses present; `jacobian` does the same by way of gradients, `trainable` holds a
/// parameter.
class SumWeighting final : public Weighting {
 public:
  struct Config {
    bool jacobian = false;
    bool trainable = false;
    bool reads_values = false;
    bool looks_back = false;
    void visit(auto& field) {
      field("looks_back", looks_back, "show the losses after a step as the weights");
      field("jacobian", jacobian, "aggregate gradients");
      field("trainable", trainable, "learn log variances");
      field("reads_values", reads_values, "weights are the inverse losses of the step before");
    }
  };
  SumWeighting(const Config& config, const WeightingTasks& tasks)
      : config_(config), count_(tasks.keys.size()) {
    if (config.trainable)
      scale_ = register_parameter("scale", torch::zeros({static_cast<std::int64_t>(count_)}));
  }
  bool reads_loss_values() const override { return config_.reads_values; }
  at::Tensor combine(const at::Tensor& losses, const at::Tensor& present) override {
    if (config_.reads_values) {
      const at::Tensor weights = at::tensor(weights_).to(torch::kFloat);
      for (std::size_t t = 0; t < count_; ++t)
        weights_[t] = 1.0 / (1.0 + losses[static_cast<std::int64_t>(t)].item<double>());
      return torch::where(present, weights * losses, torch::zeros_like(losses)).sum();
    }
    const at::Tensor terms = config_.trainable ? torch::exp(-scale_) * losses + scale_ : losses;
    return torch::where(present, terms, torch::zeros_like(terms)).sum();
  }
  bool looks_back() const override { return config_.looks_back; }
  void look_back(const at::Tensor& losses, const at::Tensor&) override {
    weights_ = as_doubles(losses);
  }
  bool needs_jacobian() const override { return config_.jacobian; }
  at::Tensor aggregate(const at::Tensor& jacobian,
                       const at::Tensor&,
                       const at::Tensor& present) override {
    return jacobian.index({present}).sum(0);
  }
  std::vector<double> current_weights() const override { return weights_; }

 private:
  Config config_;
  std::size_t count_;
  std::vector<double> weights_ = std::vector<double>(count_, 1.0);
  at::Tensor scale_;
};
TRIPTYCH_REGISTER_WEIGHTING("test_sum", SumWeighting)

}  // namespace
}  // namespace triptych
