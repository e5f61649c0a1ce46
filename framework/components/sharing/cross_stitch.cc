// SPDX-License-Identifier: Apache-2.0
#include "framework/core/nn.h"
#include "framework/model/sharing.h"

#include <algorithm>

namespace triptych {
namespace {

/// Cross-stitch networks (Misra et al., 2016): a column per task; after every stage the columns'
/// features are mixed, x_i' = sum_j a_ij x_j, with learned a near the identity. Every image passes
/// all columns.
///
/// optimizer.rates={sharing.stitch: 100} gives the mixing a learning rate of its own. Columns run
/// one by one: a convolution of all of them with a group each takes as long (docs/benchmarks.md).
class CrossStitchSharing final : public Sharing {
 public:
  struct Config {
    double own = 0.9;
    std::string per = "channel";
    bool encoder = true;
    bool decoder = true;
    bool pass_gradients = true;
    void visit(auto& field) {
      field("own",
            own,
            "start value for a task's own features; the other tasks share the rest",
            config::Between{0.0, 1.0});
      field("per",
            per,
            "one mixing matrix for every channel of a stage, or for the whole stage",
            config::OneOf{"channel", "stage"});
      field("encoder", encoder, "mix after the encoder's stages and the bottleneck");
      field("decoder", decoder, "mix after the decoder's stages");
      field("pass_gradients",
            pass_gradients,
            "whether a task's loss trains the other columns too; without, it takes their features "
            "as they are");
    }
  };

  CrossStitchSharing(const Config& config,
                     const std::vector<std::string>& tasks,
                     const BackboneFactory& make_backbone)
      : tasks_(tasks), pass_gradients_(config.pass_gradients) {
    for (const std::string& task : tasks)
      columns_.push_back(register_module("column_" + task, make_backbone()));
    const auto count = static_cast<std::int64_t>(tasks.size());
    const double others = count > 1 ? (1.0 - config.own) / static_cast<double>(count - 1) : 0.0;
    for (const StageSpec& stage : column().stages()) {
      stitches_.emplace_back();
      const bool decodes = stage.name.starts_with("decoder");
      if (count == 1 || !(decodes ? config.decoder : config.encoder)) continue;
      const at::Tensor identity = torch::eye(count);
      const at::Tensor start = identity * config.own + (1.0 - identity) * others;
      const std::int64_t channels = config.per == "channel" ? stage.channels : 1;
      stitches_.back() =
          register_parameter("stitch_" + stage.name, start.unsqueeze(2).repeat({1, 1, channels}));
    }
  }

  std::map<std::string, FeaturePyramid> forward(const at::Tensor& image,
                                                const std::vector<std::string>& tasks) override {
    column().check_input(image);
    std::vector<bool> learns(columns_.size(), pass_gradients_);
    for (const std::string& task : tasks) learns[index_of(task)] = true;
    std::vector<Activations> activations(columns_.size(), Activations{image, {}});
    std::vector<FeaturePyramid> pyramids(columns_.size());
    for (FeaturePyramid& pyramid : pyramids)
      pyramid.levels.resize(static_cast<std::size_t>(column().levels().size()));
    for (std::size_t stage = 0; stage < stitches_.size(); ++stage) {
      for (std::size_t t = 0; t < columns_.size(); ++t) {
        const at::AutoGradMode gradients(learns[t] && at::GradMode::is_enabled());
        columns_[t]->run_stage(stage, activations[t]);
      }
      mix(stage, learns, activations);
      const std::int64_t level = column().stages()[stage].pyramid_level;
      for (std::size_t t = 0; level >= 0 && t < columns_.size(); ++t)
        pyramids[t].levels[static_cast<std::size_t>(level)] = activations[t].current;
    }
    std::map<std::string, FeaturePyramid> asked;
    for (const std::string& task : tasks) asked.emplace(task, pyramids[index_of(task)]);
    return asked;
  }

  const Backbone& column() const override { return *columns_.front(); }
  std::int64_t column_passes(std::int64_t tasks) const override {
    return tasks * static_cast<std::int64_t>(columns_.size());
  }
  std::vector<std::pair<std::string, at::Tensor>> mixing() const override {
    std::vector<std::pair<std::string, at::Tensor>> matrices;
    for (std::size_t stage = 0; stage < stitches_.size(); ++stage) {
      if (stitches_[stage].defined())
        matrices.emplace_back(column().stages()[stage].name,
                              stitches_[stage].detach().mean(2).cpu());
    }
    return matrices;
  }
  void fold() override {
    for (std::size_t t = 0; t < columns_.size(); ++t) {
      if (auto folded = columns_[t]->folded())
        columns_[t] = replace_module("column_" + tasks_[t], std::move(folded));
    }
  }

 private:
  void mix(std::size_t stage,
           const std::vector<bool>& learns,
           std::vector<Activations>& activations) const {
    if (!stitches_[stage].defined()) return;
    const std::int64_t count = stitches_[stage].size(0);
    std::vector<at::Tensor> mixed;
    for (std::int64_t to = 0; to < count; ++to) {
      const at::AutoGradMode gradients(learns[static_cast<std::size_t>(to)] &&
                                       at::GradMode::is_enabled());
      at::Tensor sum;
      for (std::int64_t from = 0; from < count; ++from) {
        const at::Tensor weight = stitches_[stage][to][from].view({1, -1, 1, 1, 1});
        const at::Tensor features = activations[static_cast<std::size_t>(from)].current;
        const at::Tensor part =
            weight * (from == to || pass_gradients_ ? features : features.detach());
        sum = sum.defined() ? sum + part : part;
      }
      mixed.push_back(sum);
    }
    for (std::size_t t = 0; t < mixed.size(); ++t) activations[t].current = mixed[t];
  }

  std::size_t index_of(const std::string& task) const {
    return static_cast<std::size_t>(std::find(tasks_.begin(), tasks_.end(), task) - tasks_.begin());
  }

  std::vector<std::string> tasks_;
  bool pass_gradients_;
  std::vector<std::shared_ptr<Backbone>> columns_;  ///< one a task
  std::vector<at::Tensor> stitches_;  ///< by stage: [T, T, C] or [T, T, 1]; undefined = no mixing
};

}  // namespace
TRIPTYCH_REGISTER_SHARING("cross_stitch", CrossStitchSharing)
}  // namespace triptych
