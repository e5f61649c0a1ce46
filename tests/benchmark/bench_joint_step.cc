// SPDX-License-Identifier: Apache-2.0
// Forward and backward passes of joint training against those of its tasks alone, on the batches of
// experiments/experiment/joint_implant.yaml: what sharing and weighting cost.
#include "framework/config/compose.h"
#include "framework/core/nn.h"
#include "framework/learn/experiment.h"
#include "framework/learn/training_stages.h"
#include "framework/learn/training_step.h"

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <benchmark/benchmark.h>

namespace triptych::benchmarks {
namespace {

/// An experiment and the batches of its first step, which every pass uses again.
class JointStep {
 public:
  explicit JointStep(const std::vector<std::string>& words)
      : experiment_(resolved(words), true),
        stages_(experiment_, make_task_groups(experiment_, Phase::kTraining)),
        parameters_(trainable_parameters(experiment_)),
        gradients_(experiment_, parameters_, 1) {
    stages_.enter(0);
    experiment_.model().train();
    for (const TaskGroup& group : stages_.groups())
      batches_.emplace_back(
          &group,
          make_batch(group.source, group.source.sampler->step_items(0, group.source.batch_size)));
  }

  double pass() {
    for (const auto& [name, parameter] : parameters_) {
      if (parameter.grad().defined()) at::Tensor(parameter).mutable_grad().zero_();
    }
    const double loss = gradients_.add(batches_, 1);
    gradients_.finish();
    return loss;
  }

 private:
  static config::Node resolved(std::vector<std::string> words) {
    config::ComposeRequest request;
    request.search_path = {{TRIPTYCH_EXPERIMENTS, "triptych"}};
    words.insert(words.begin(),
                 {"experiment=joint_implant",
                  "device=cpu",
                  "datasets.phantoms.train=2",
                  "datasets.annotated.train=2",
                  "datasets.pairs.train=2"});
    request.overrides = std::move(words);
    return config::resolve(config::compose(request));
  }

  Experiment experiment_;
  TrainingStages stages_;
  NamedTensors parameters_;
  GradientStep gradients_;
  std::vector<std::pair<const TaskGroup*, Batch>> batches_;
};

void pass(benchmark::State& state, const std::vector<std::string>& words) {
  JointStep step(words);
  step.pass();
  for (auto _ : state) benchmark::DoNotOptimize(step.pass());
}

const std::vector<std::pair<std::string, std::vector<std::string>>> kSides = {
    {"restoration_alone", {"study=single_restoration"}},
    {"segmentation_alone", {"study=single_segmentation"}},
    {"registration_alone", {"study=single_registration"}},
    {"hard_fixed", {"study=fixed"}},
    {"hard_uncertainty", {"study=uncertainty"}},
    {"hard_dynamic_average", {"weighting=dynamic_average"}},
    {"hard_famo", {"weighting=famo"}},
    {"hard_gradnorm", {"study=gradnorm"}},
    {"hard_pcgrad", {"study=pcgrad"}},
    {"hard_cagrad", {"weighting=cagrad"}},
    {"cross_stitch_fixed", {"sharing=cross_stitch"}},
    {"cross_stitch_own_gradients", {"sharing=cross_stitch", "sharing.pass_gradients=false"}},
    {"attention_fixed", {"sharing=attention"}},
    {"soft_fixed", {"sharing=soft"}},
};

const bool kRegistered = [] {
  for (const auto& [name, words] : kSides) {
    benchmark::RegisterBenchmark(name.c_str(),
                                 [words = words](benchmark::State& state) { pass(state, words); })
        ->Unit(benchmark::kMillisecond)
        ->Iterations(3)
        ->MeasureProcessCPUTime()
        ->UseRealTime();
  }
  return true;
}();

}  // namespace
}  // namespace triptych::benchmarks
