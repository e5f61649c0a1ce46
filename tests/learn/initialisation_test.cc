// SPDX-License-Identifier: Apache-2.0
#include "framework/learn/initialisation.h"

#include "framework/learn/trainer.h"

#include "tests/learn/synthetic_experiment.h"
#include "tests/support/tensor_matchers.h"

#include <gtest/gtest.h>
#include <torch/nn.h>

namespace triptych {
namespace {

using Names = std::vector<std::string>;
using testing::error_message;
using testing::one_task;
using testing::RunFolder;
using testing::two_tasks;
using testing::with;

constexpr ImageChannels kOneChannel{1, 1};

/// trunk.{weight [3, 2], bias [3]} and head.{weight [4, 3], bias [4]}, all zero.
struct TwoLayers : torch::nn::Module {
  TwoLayers()
      : trunk(register_module("trunk", torch::nn::Linear(2, 3))),
        head(register_module("head", torch::nn::Linear(3, 4))) {
    const torch::NoGradGuard no_grad;
    for (at::Tensor& parameter : parameters()) parameter.zero_();
  }
  torch::nn::Linear trunk, head;
};

SafeTensors stored_layers() {
  return {{{"old.weight", torch::full({3, 2}, 1.0)},
           {"old.bias", torch::full({3}, 2.0)},
           {"head.weight", torch::full({5, 3}, 3.0)},
           {"head.bias", torch::full({4}, 4.0)},
           {"extra.scale", torch::ones({1})}},
          {}};
}

InitialisationReport initialised(TwoLayers& module,
                                 const Names& parts,
                                 const std::map<std::string, std::string>& rename = {}) {
  InitialiseConfig config;
  config.parts = parts;
  config.rename = rename;
  return initialise_module(module, stored_layers(), config, kOneChannel, "initialise[0]");
}

TEST(Initialisation, TakesTensorsOfEqualNameAndShapeAndTellsOfTheOthers) {
  TwoLayers module;
  const InitialisationReport report = initialised(module, {}, {{"old", "trunk"}});
  EXPECT_EQ(module.trunk->weight.min().item<float>(), 1.0F);
  EXPECT_EQ(module.trunk->bias.min().item<float>(), 2.0F);
  EXPECT_EQ(module.head->bias.min().item<float>(), 4.0F);
  EXPECT_EQ(module.head->weight.abs().max().item<float>(), 0.0F);
  EXPECT_EQ(report.taken, (Names{"trunk.weight", "trunk.bias", "head.bias"}));
  EXPECT_EQ(report.reshaped, Names{"head.weight [5, 3] instead of [4, 3]"});
  EXPECT_EQ(report.unused, Names{"extra.scale"});
  EXPECT_TRUE(report.left_out.empty());
}

TEST(Initialisation, TakesTheChosenPartsOnly) {
  TwoLayers module;
  const InitialisationReport report = initialised(module, {"head.b"});
  EXPECT_EQ(report.taken, Names{"head.bias"});
  EXPECT_EQ(report.left_out, (Names{"old.weight", "old.bias", "head.weight", "extra.scale"}));
  EXPECT_EQ(module.trunk->bias.abs().max().item<float>(), 0.0F);
}

TEST(Initialisation, RenamesByTheLongestBeginning) {
  TwoLayers module;
  const InitialisationReport report =
      initialised(module, {}, {{"old", "nowhere"}, {"old.b", "trunk.b"}});
  EXPECT_EQ(report.taken, (Names{"trunk.bias", "head.bias"}));
  EXPECT_EQ(report.unused, (Names{"extra.scale", "nowhere.weight"}));
}

TEST(Initialisation, RefusesPartsAndNamesThatAreNotStored) {
  TwoLayers module;
  EXPECT_EQ(
      error_message("model", [&] { initialised(module, {"haed"}); }),
      "initialise[0]: 'haed' in `parts` is the beginning of no stored name; did you mean 'head'?");
  EXPECT_EQ(error_message("model",
                          [&] {
                            initialised(module, {}, {{"gone", "x"}});
                          }),
            "initialise[0]: 'gone' in `rename` is the beginning of no stored name");
  EXPECT_EQ(error_message("model",
                          [&] {
                            initialised(module, {}, {{"old", "head"}});
                          }),
            "initialise[0]: two stored tensors become 'head.weight' by `rename`");
}

TEST(Initialisation, ThatMatchesNothingIsAnErrorAndChangesNothing) {
  TwoLayers module;
  const std::string message = error_message("model", [&] {
    initialised(module, {"old", "head.w"});
  });
  EXPECT_EQ(message,
            "initialise[0]: none of 3 stored tensors fits the model by name and shape: stored e.g. "
            "head.weight [5, 3] instead of [4, 3], the model has e.g. trunk.weight [3, 2]");
  EXPECT_EQ(module.head->weight.abs().max().item<float>(), 0.0F);
}

TEST(Initialisation, AdaptsImageChannelsSoThatGreyImagesGiveTheSame) {
  InitialiseConfig adapting;
  adapting.adapt_channels = true;
  for (const auto& [stored_channels, own_channels] : {std::pair{1, 3}, {3, 1}, {2, 5}}) {
    torch::nn::Conv3d from(torch::nn::Conv3dOptions(stored_channels, 4, 3));
    torch::nn::Conv3d to(torch::nn::Conv3dOptions(own_channels, 4, 3));
    const SafeTensors stored{module_tensors(*from, ""), {}};
    const ImageChannels channels{stored_channels, own_channels};
    const InitialisationReport kept = initialise_module(*to, stored, {}, channels, "x");
    EXPECT_EQ(kept.taken, Names{"bias"}) << "only when asked";
    const InitialisationReport report = initialise_module(*to, stored, adapting, channels, "x");
    EXPECT_EQ(report.adapted, Names{"weight"});
    const torch::NoGradGuard no_grad;
    const at::Tensor grey = torch::rand({1, 1, 5, 5, 5});
    EXPECT_TRUE(testing::near(to(grey.expand({1, own_channels, 5, 5, 5})),
                              from(grey.expand({1, stored_channels, 5, 5, 5})),
                              1e-5));
  }
  torch::nn::Conv3d from(torch::nn::Conv3dOptions(8, 4, 3)), to(torch::nn::Conv3dOptions(6, 4, 3));
  const InitialisationReport report = initialise_module(
      *to, SafeTensors{module_tensors(*from, ""), {}}, adapting, ImageChannels{1, 3}, "x");
  EXPECT_EQ(report.reshaped, Names{"weight [4, 8, 3, 3, 3] instead of [4, 6, 3, 3, 3]"})
      << "a layer of features is no first layer";
}

TEST(Initialisation, StartsAnotherTaskFromARun) {
  const RunFolder run;
  {
    Experiment experiment(one_task(), true);
    Trainer(experiment, run.path(), nullptr).run();
  }
  const std::string source = "{run: '" + run.path().string() + "', checkpoint: last";
  const config::Node node =
      with(with(two_tasks(), "seed", "9"), "initialise", "[" + source + ", parts: [sharing]}]");
  Experiment::check(node);
  Experiment experiment(node, true);
  Experiment fresh(with(two_tasks(), "seed", "9"), true);
  const Initialisation done = initialise(experiment);
  ASSERT_EQ(done.sources.size(), 1U);
  EXPECT_EQ(done.sources[0].step, 8);
  EXPECT_EQ(done.sources[0].left_out.size(), 2U) << "the head of the earlier task";

  const SafeTensors saved = read_model_state(run / "checkpoints/last");
  const NamedTensors before = module_tensors(fresh.model(), "");
  const NamedTensors after = module_tensors(experiment.model(), "");
  std::size_t heads = 0;
  for (std::size_t i = 0; i < after.size(); ++i) {
    const auto& [name, tensor] = after[i];
    const bool shared = name.starts_with("sharing");
    EXPECT_TRUE(at::equal(tensor, shared ? saved.find(name) : before[i].second)) << name;
    if (!shared) ++heads;
  }
  EXPECT_EQ(done.untouched.size(), heads);
}

TEST(Initialisation, TakesALaterSourceOverAnEarlierOne) {
  const RunFolder first, second;
  for (const auto& [run, seed] : {std::pair{&first, "1"}, {&second, "2"}}) {
    Experiment experiment(with(one_task(), "seed", seed), true);
    write_checkpoint(*run / "checkpoints/last",
                     {{"model", module_tensors(experiment.model(), "")}},
                     experiment.initial_state());
  }
  const std::string sources = "[{run: '" + first.path().string() + "', checkpoint: last}, {run: '" +
                              second.path().string() + "', checkpoint: last, parts: [head_]}]";
  Experiment experiment(with(one_task(), "initialise", sources), true);
  EXPECT_TRUE(initialise(experiment).untouched.empty());
  for (const auto& [name, tensor] : module_tensors(experiment.model(), "")) {
    const RunFolder& expected = name.starts_with("head_") ? second : first;
    EXPECT_TRUE(at::equal(tensor, read_model_state(expected / "checkpoints/last").find(name)))
        << name;
  }
}

TEST(Initialisation, NamesARunOrACheckpointThatIsNotThere) {
  const RunFolder run;
  const std::string folder = run.path().string();
  Experiment none(with(one_task(), "initialise", "[{run: '" + folder + "'}]"), true);
  EXPECT_EQ(error_message("io", [&] { initialise(none); }),
            "initialise[0]: '" + folder + "' is no run directory, it has no checkpoints");
  std::filesystem::create_directories(run / "checkpoints/last");
  EXPECT_EQ(error_message("io", [&] { initialise(none); }),
            "initialise[0]: '" + folder + "' has no checkpoint 'best'");
}

}  // namespace
}  // namespace triptych
