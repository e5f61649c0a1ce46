// SPDX-License-Identifier: Apache-2.0
// Heads whose prediction lies on a finer grid than the image: reading, training, whole volumes.
#include "framework/core/nn.h"
#include "framework/data/finer_grid.h"
#include "framework/infer/finer_slices.h"
#include "framework/infer/volume_predictor.h"
#include "framework/learn/batch_padding.h"
#include "framework/learn/task_outputs.h"
#include "framework/learn/trainer.h"

#include "tests/learn/synthetic_experiment.h"
#include "tests/support/tensor_matchers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace triptych {
namespace {

using testing::error_message;
using ::testing::HasSubstr;
using testing::RunFolder;
using testing::with;

constexpr Index3 kInPlane{1, 2, 2};

/// Laboratory CT to the synchrotron's grid, which has twice as many voxels along every axis.
config::Node super_resolution() {
  return config::parse_yaml(R"(
seed: 5
device: cpu
datasets:
  phantoms: {name: implant_phantom, size: [40, 40, 40], train: 1, validation: 1, test: 0,
             entries: [labct, srct_clean, label]}
tasks:
  finer: {name: enhancement, dataset: phantoms, losses: [{name: l1}], batch_size: 4, validation_items: 6,
          roles: {image: labct, clean: srct_clean, mask: label},
          head: {name: restoration, upsample: [1, 2, 2]},
          transforms: [{name: cube_symmetry, dimensions: 2}]}
backbone: {name: unet, width: 8, depth: 3}
sharing: {name: hard}
weighting: {name: fixed}
optimizer: {lr: 0.005}
schedule: {name: constant}
trainer: {max_steps: 40, validate_every: 40, checkpoint_every: 40, log_every: 20, overlays: 1, loader: {threads: 0}}
)",
                            "experiment.yaml");
}

at::Tensor trilinear(const at::Tensor& image, const Index3& factor) {
  return at::upsample_trilinear3d(
      image.unsqueeze(0),
      {image.size(1) * factor[0], image.size(2) * factor[1], image.size(3) * factor[2]},
      false)[0];
}

TEST(FinerGrid, KeepsTheFieldOfViewAndItsCorners) {
  Geometry coarse;
  coarse.shape = {4, 6, 5};
  coarse.spacing = {0.5, 0.4, 1.0};
  coarse.origin = {1.0, -2.0, 3.0};
  coarse.direction << 0.0, -1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0;
  const Geometry fine = finer_grid(coarse, {1, 2, 4});
  EXPECT_EQ(fine.shape, (Index3{4, 12, 20}));
  EXPECT_TRUE(fine.spacing.isApprox(Eigen::Vector3d(0.125, 0.2, 1.0)));
  const Eigen::Vector3d corner(-0.5, -0.5, -0.5);
  EXPECT_TRUE(fine.world_from_index(corner).isApprox(coarse.world_from_index(corner)));
  const Eigen::Vector3d far_coarse(4.5, 5.5, 3.5), far_fine(19.5, 11.5, 3.5);
  EXPECT_TRUE(fine.world_from_index(far_fine).isApprox(coarse.world_from_index(far_coarse)));
}

TEST(SampledOn, GivesTheMeanOfTheSlicesOnBothSidesAndEveryPixelItself) {
  const Experiment experiment(super_resolution(), true);
  const Dataset& dataset = *experiment.dataset("phantoms");
  const SampleSpec& sample = dataset.samples()[0];
  const Geometry slice = sample.find("labct")->geometry.cropped(Region{{7, 0, 0}, {1, 20, 20}});
  const EntrySpec& fine = *sample.find("srct_clean");
  const Entry sampled = sampled_on(dataset, 0, fine, finer_grid(slice, kInPlane));
  const at::Tensor whole = dataset.read_all(0, "srct_clean").data;
  EXPECT_TRUE(
      testing::near(sampled.data, 0.5 * (whole.narrow(1, 14, 1) + whole.narrow(1, 15, 1)), 1e-6));
  EXPECT_EQ(sampled.geometry.shape, (Index3{1, 40, 40}));
  const Entry labels = sampled_on(dataset, 0, *sample.find("label"), finer_grid(slice, kInPlane));
  EXPECT_TRUE(at::equal(labels.data, dataset.read_all(0, "label").data.narrow(1, 15, 1)));
  Geometry elsewhere = slice;
  elsewhere.origin += Eigen::Vector3d(100.0, 0.0, 0.0);
  EXPECT_THAT(error_message("geometry", [&] { sampled_on(dataset, 0, fine, elsewhere); }),
              HasSubstr("entry 'srct_clean' lies outside the grid"));
}

TEST(Upsampling, ReadsTargetsOnThePredictionsGridAndPadsThemAlike) {
  Experiment experiment(super_resolution(), true);
  const std::vector<TaskGroup> groups = make_task_groups(experiment, Phase::kTraining);
  ASSERT_EQ(groups.size(), 1U);
  for (const int axis : {0, 1, 2}) {
    Item item;
    item.axis = axis;
    item.region = {{0, 0, 0}, {20, 20, 20}};
    item.region.start[static_cast<std::size_t>(axis)] = 9;
    item.region.size[static_cast<std::size_t>(axis)] = 1;
    const Batch batch = make_batch(groups[0].source, {item});
    EXPECT_EQ(batch.at("image").data.sizes(), (std::vector<std::int64_t>{1, 1, 1, 20, 20}));
    EXPECT_EQ(batch.at("clean").data.sizes(), (std::vector<std::int64_t>{1, 1, 1, 40, 40}));
    const Batch grown = prepared(batch, experiment, groups[0]);
    EXPECT_EQ(grown.at("image").data.size(4), 24);
    EXPECT_EQ(grown.at("clean").data.size(4), 48);
    EXPECT_EQ(grown.at("clean").valid->size, (Index3{1, 40, 40}));
  }
}

TEST(Upsampling, TurnsImageAndFinerTargetAlike) {
  // Symmetries keep the image in step with its target: the target's 2 x 2 means are near the image.
  config::Node node =
      with(super_resolution(), "datasets.phantoms.entries", "[labct_clean, srct_clean]");
  node = with(node, "tasks.finer.roles", "{image: labct_clean, clean: srct_clean}");
  Experiment experiment(node, true);
  const std::vector<TaskGroup> groups = make_task_groups(experiment, Phase::kTraining);
  Loader loader(groups[0].source, {.threads = 0}, 0, 6);
  for (int step = 0; step < 6; ++step) {
    const Batch batch = loader.next();
    const at::Tensor image = batch.at("image").data;
    const at::Tensor coarse = at::avg_pool3d(batch.at("clean").data, {1, 2, 2});
    const double error = (coarse - image).square().mean().sqrt().item<double>();
    const double turned = (coarse - image.flip({3})).square().mean().sqrt().item<double>();
    EXPECT_LT(error, 0.8 * turned);
  }
}

TEST(Upsampling, StartsAsTheInterpolatedImageAndLaysChannelsSideBySide) {
  Experiment experiment(super_resolution(), true);
  experiment.model().eval();
  const torch::NoGradGuard no_grad;
  Batch batch;
  batch.ids = {"a"};
  BatchEntry& image = batch.entries["image"];
  image.data = torch::rand({1, 1, 1, 8, 16});
  image.items = {0};
  image.geometry.resize(1);
  image.modality = "labct";
  const at::Tensor start = trilinear(image.data[0], kInPlane);
  EXPECT_TRUE(testing::near(experiment.model().forward(batch, "finer").value[0], start, 1e-6));
  for (const auto& item : experiment.model().head("finer").named_parameters()) {
    if (item.key() == "image.bias") item.value().copy_(torch::tensor({0.0, 1.0, 2.0, 3.0}));
  }
  const at::Tensor added = experiment.model().forward(batch, "finer").value[0] - start;
  EXPECT_TRUE(testing::near(
      added[0][0].narrow(0, 2, 2).narrow(1, 6, 2), torch::tensor({{0.0, 1.0}, {2.0, 3.0}}), 1e-5));
}

TEST(Upsampling, LearnsMoreThanInterpolation) {
  const config::Node node = super_resolution();
  Experiment::check(node);
  Experiment experiment(node, true);
  const RunFolder run;
  Trainer trainer(experiment, run.path(), nullptr);
  trainer.run();
  std::map<std::string, double> values;
  for (const auto& [name, value] : trainer.validate()) values[name] = value;
  EXPECT_GT(values.at("finer/psnr"), values.at("finer/trivial/psnr"));
  EXPECT_TRUE(values.contains("finer/rmse/inside"));
}

TEST(Upsampling, IsRefusedAlongTheSlicesOfA2DNetwork) {
  const config::Node node = with(super_resolution(), "tasks.finer.head.upsample", "[2, 2, 2]");
  EXPECT_EQ(error_message("schema", [&] { Experiment(node, true); }),
            "tasks.finer.head: the backbone predicts single slices: expected no upsampling along "
            "D, got 2");
}

TEST(FinerSlices, PutWholeVolumesTogetherAlongEachAxis) {
  Experiment experiment(super_resolution(), true);
  experiment.model().prepare_inference();
  const std::shared_ptr<Task> task = experiment.task("finer").task;
  const VolumeNetwork network =
      volume_network(experiment.model(), "finer", "labct", c10::kCPU, [&](const Prediction& p) {
        return task->activate(p);
      });
  const std::filesystem::path scratch = std::filesystem::temp_directory_path();
  const at::Tensor volume = torch::rand({1, 9, 11, 14});
  Geometry geometry;
  geometry.shape = {9, 11, 14};
  for (const std::int64_t memory : {std::int64_t{1} << 26, std::int64_t{1}}) {
    MemoryBudget budget(memory);
    VolumeStore input(1, geometry.shape, at::kFloat, budget, scratch);
    input.tensor().copy_(volume);
    for (const int axis : {0, 1, 2}) {
      InferConfig infer;
      infer.planes = 1;
      infer.axis = axis;
      const VolumePredictor predictor(network, infer);
      const Index3 factor = volume_factor(kInPlane, axis);
      EXPECT_EQ(predictor.upsampling(geometry.shape), factor);
      EXPECT_EQ(factor[static_cast<std::size_t>(axis)], 1);
      // Untrained it interpolates; beyond the padded border the two cannot differ.
      EXPECT_TRUE(
          testing::near(predictor.predict(input, geometry, budget, scratch).values->tensor(),
                        trilinear(volume, factor),
                        1e-6));
    }
    EXPECT_THAT(
        error_message(
            "usage",
            [&] { VolumePredictor(network, {}).predict(input, geometry, budget, scratch); }),
        HasSubstr("infer.planes: the task predicts pixels finer"));
  }
}

}  // namespace
}  // namespace triptych
