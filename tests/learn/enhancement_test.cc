// SPDX-License-Identifier: Apache-2.0
// The task `enhancement`, the head `restoration`, their losses, metrics and baselines.
#include "framework/core/nn.h"
#include "framework/learn/denoising_baselines.h"
#include "framework/learn/image_metrics.h"
#include "framework/learn/loss.h"
#include "framework/learn/trainer.h"
#include "framework/learn/validation.h"

#include "tests/learn/synthetic_experiment.h"
#include "tests/support/reconstruction_batch.h"
#include "tests/support/tensor_matchers.h"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/optim/adam.h>

namespace triptych {
namespace {

using testing::error_message;
using ::testing::HasSubstr;
using testing::one_task;
using testing::RunFolder;
using testing::with;

config::Node enhancement_config(const std::string& more = "") {
  return config::parse_yaml("{name: enhancement, losses: [{name: l1}]" + more + "}", "task.yaml");
}

std::shared_ptr<Task> enhancement(const std::string& more = "") {
  return TaskRegistry::instance().create(enhancement_config(more),
                                         TaskContext{"denoise", numbered_classes(3), 1});
}

double value_of(const MetricAccumulator& metrics, const std::string& name) {
  for (const MetricValue& value : metrics.values()) {
    if (value.name == name) return value.value;
  }
  ADD_FAILURE() << "no metric " << name;
  return std::nan("");
}

BatchEntry entry_of(const at::Tensor& data, EntryKind kind = EntryKind::kIntensity) {
  BatchEntry entry;
  entry.kind = kind;
  entry.data = data;
  for (std::int64_t i = 0; i < data.size(0); ++i) entry.items.push_back(i);
  entry.geometry.resize(static_cast<std::size_t>(data.size(0)));
  return entry;
}

Batch batch_of(const at::Tensor& image, const at::Tensor& clean) {
  Batch batch;
  batch.ids.resize(static_cast<std::size_t>(image.size(0)));
  batch.entries["image"] = entry_of(image);
  batch.entries["clean"] = entry_of(clean);
  return batch;
}

TEST(EnhancementMetrics, FollowTheFormulas) {
  const auto metrics = enhancement(", data_range: 2.0")->metrics();
  const at::Tensor clean = torch::rand({2, 1, 1, 16, 16});
  metrics->add(Prediction::intensity(clean + 0.1), batch_of(clean - 0.4, clean));
  EXPECT_NEAR(value_of(*metrics, "rmse"), 0.1, 1e-5);
  EXPECT_NEAR(value_of(*metrics, "psnr"), 20.0 * std::log10(2.0 / 0.1), 1e-3);
  EXPECT_NEAR(value_of(*metrics, "trivial/rmse"), 0.4, 1e-5);
  EXPECT_GT(value_of(*metrics, "ssim"), value_of(*metrics, "trivial/ssim"));
  EXPECT_EQ(metrics->values()[2].direction, Direction::kLowerIsBetter);
}

TEST(EnhancementMetrics, PartInsideAndOutsideOfTheMask) {
  const auto task = enhancement(", roles: {image: a, clean: b, mask: c}, mask_classes: [class_2]");
  const auto metrics = task->metrics();
  const at::Tensor clean = torch::rand({1, 1, 1, 16, 16});
  at::Tensor labels = torch::zeros({1, 1, 1, 16, 16}, torch::kLong);
  labels.narrow(3, 0, 4).fill_(2);
  labels.narrow(3, 4, 4).fill_(1);
  labels.narrow(3, 8, 4).fill_(-1);
  at::Tensor predicted = clean.clone();
  predicted.narrow(3, 0, 4) += 0.3;
  predicted.narrow(3, 4, 4) += 0.1;
  predicted.narrow(3, 8, 4) += 9.0;
  Batch batch = batch_of(clean, clean);
  batch.entries["mask"] = entry_of(labels, EntryKind::kLabel);
  metrics->add(Prediction::intensity(predicted), batch);
  EXPECT_NEAR(value_of(*metrics, "rmse/inside"), 0.3, 1e-5);
  EXPECT_NEAR(value_of(*metrics, "rmse/outside"), 0.1 / std::sqrt(2.0), 1e-5);
  EXPECT_GT(value_of(*metrics, "rmse"), 4.0);
}

TEST(EnhancementMetrics, LeavePaddingOut) {
  const auto metrics = enhancement()->metrics();
  const at::Tensor clean = torch::rand({1, 1, 1, 16, 16});
  at::Tensor predicted = clean.clone();
  predicted.narrow(4, 14, 2) += 5.0;
  Batch batch = batch_of(clean, clean);
  batch.entries["clean"].valid = Region{{0, 0, 0}, {1, 16, 14}};
  metrics->add(Prediction::intensity(predicted), batch);
  EXPECT_NEAR(value_of(*metrics, "rmse"), 0.0, 1e-6);
  EXPECT_NEAR(value_of(*metrics, "ssim"), 1.0, 1e-5);
}

TEST(EnhancementMetrics, MergedVolumesGiveTheValuesOfAll) {
  const auto task = enhancement();
  const auto whole = task->metrics(), first = task->metrics(), second = task->metrics();
  for (int i = 0; i < 3; ++i) {
    Sample reference;
    reference.entries["image"].data = torch::rand({1, 20, 14, 15});
    reference.entries["clean"].data = torch::rand({1, 20, 14, 15});
    const Prediction predicted = Prediction::intensity(torch::rand({1, 1, 20, 14, 15}));
    whole->add_volume(predicted, {}, reference);
    (i == 0 ? first : second)->add_volume(predicted, {}, reference);
  }
  first->merge(second->state());
  const auto expected = whole->values(), merged = first->values();
  ASSERT_EQ(merged.size(), expected.size());
  for (std::size_t i = 0; i < merged.size(); ++i)
    EXPECT_NEAR(merged[i].value, expected[i].value, 1e-12) << merged[i].name;
}

TEST(EnhancementTask, TrainsOnASecondScanAndMeasuresAgainstTheCleanImage) {
  const auto task = enhancement(", roles: {image: a, clean: b, noisy: c}");
  std::map<std::string, bool> required;
  for (const RoleBinding& role : task->roles()) required[role.role] = role.required;
  EXPECT_EQ(required,
            (std::map<std::string, bool>{{"image", true}, {"clean", false}, {"noisy", true}}));
  const at::Tensor image = torch::rand({2, 1, 1, 12, 12});
  Batch batch = batch_of(image, image + 0.5);
  batch.entries["noisy"] = entry_of(image + 0.25);
  const Prediction predicted = Prediction::intensity(image);
  EXPECT_NEAR(task->losses(predicted, batch)[0].value.item<double>(), 0.25, 1e-6);
  const auto metrics = task->metrics();
  metrics->add(predicted, batch);
  EXPECT_NEAR(value_of(*metrics, "rmse"), 0.5, 1e-6);
  batch.entries.erase("clean");
  const auto without = task->metrics();
  without->add(predicted, batch);
  EXPECT_NEAR(value_of(*without, "rmse"), 0.25, 1e-6);
}

TEST(EnhancementTask, NamesWrongRolesAndClasses) {
  const auto problem = [](const std::string& more) {
    return error_message("schema", [&] {
      config::Node node = with(one_task(), "tasks.halves.losses", "[{name: l1}]");
      node.set_path("tasks.halves.name", config::Node("enhancement"));
      Experiment::check(with(node, "tasks.halves.roles", more));
    });
  };
  EXPECT_THAT(problem("{clean: clean}"),
              HasSubstr("expects an entry for one of the roles 'image' and 'projections'"));
  EXPECT_THAT(problem("{image: picture}"), HasSubstr("the role 'clean' or 'noisy'"));
  EXPECT_THAT(problem("{image: picture, clean: clean, masks: label}"),
              HasSubstr("got 'masks'; did you mean 'mask'?"));
  EXPECT_THAT(error_message("schema", [] { enhancement(", mask_classes: [class_4]"); }),
              HasSubstr("tasks.denoise.mask_classes: the dataset has no class 'class_4'"));
}

TEST(ImageLosses, CountMaskedVoxelsOnly) {
  const at::Tensor target = torch::rand({1, 2, 1, 12, 14});
  at::Tensor predicted = target + 0.5;
  predicted.narrow(4, 12, 2).fill_(100.0);
  LossContext context;
  context.mask = torch::ones({1, 1, 1, 12, 14}, torch::kBool);
  context.mask.narrow(4, 12, 2).fill_(false);
  const auto value = [&](const char* name) {
    const auto loss = LossRegistry::instance().create(
        config::parse_yaml(fmt::format("{{name: {}}}", name), "loss.yaml"));
    return (*loss)(predicted, target, context).item<double>();
  };
  EXPECT_NEAR(value("l1"), 0.5, 1e-5);
  EXPECT_NEAR(value("l2"), 0.25, 1e-5);
  EXPECT_NEAR(value("gradient"), 0.0, 1e-5);
  EXPECT_GT(value("ssim"), 0.1);
  EXPECT_LT(value("ssim"), 0.9);
}

TEST(ImageLosses, RefuseShapesThatWouldBeBroadcast) {
  const auto loss = LossRegistry::instance().create(config::parse_yaml("{name: l2}", "loss.yaml"));
  EXPECT_THAT(
      error_message("shape",
                    [&] {
                      (*loss)(torch::rand({2, 1, 1, 8, 8}), torch::rand({2, 3, 1, 8, 8}), {});
                    }),
      HasSubstr("l2: prediction: expected shape [2, 3, 1, 8, 8], got [2, 1, 1, 8, 8]"));
}

TEST(DenoisingBaselines, TakeTheBestOfTheirGrids) {
  Sample sample;
  const at::Tensor clean = torch::full({1, 12, 12, 12}, 0.5);
  sample.entries["image"].data = clean + 0.1 * torch::randn({1, 12, 12, 12});
  sample.entries["clean"].data = clean;
  const auto baselines = denoising_baselines({sample}, "image", "clean", 1.0);
  std::vector<std::string> names;
  for (const Baseline& baseline : baselines) names.push_back(baseline.name);
  EXPECT_EQ(names, (std::vector<std::string>{"input", "median 2", "tv 0.16", "nlm 0.32"}))
      << "of a constant, the strongest is the best";
  const auto error = [&](const Baseline& baseline) {
    return (baseline.predict(sample).value[0] - clean).square().mean().item<double>();
  };
  for (std::size_t i = 1; i < baselines.size(); ++i)
    EXPECT_LT(error(baselines[i]), 0.1 * error(baselines[0])) << baselines[i].name;
}

/// Blocks with noise to blocks without; made of components that ship.
config::Node restoring_blocks(const std::string& head = "{name: restoration}") {
  config::Node node = with(one_task(), "tasks.halves.name", "enhancement");
  node = with(node, "tasks.halves.losses", "[{name: l1}, {name: ssim, weight: 0.1}]");
  node = with(node, "tasks.halves.roles", "{image: picture, clean: clean, mask: label}");
  return with(node, "tasks.halves.head", head);
}

TEST(RestorationHead, StartsAsTheIdentityAndOfASlabAsItsCentre) {
  for (const std::int64_t slab : {1, 3}) {
    config::Node node = restoring_blocks();
    node =
        with(node, "backbone", fmt::format("{{name: unet, width: 4, depth: 1, slab: {}}}", slab));
    node = with(node, "tasks.halves.sampling", fmt::format("{{slab: {}}}", slab));
    Experiment experiment(node, true);
    experiment.model().eval();
    Batch batch;
    batch.ids = {"a"};
    batch.entries["image"] = entry_of(torch::rand({1, 1, slab, 8, 8}));
    batch.entries["image"].modality = "xray";
    const Prediction predicted = experiment.model().forward(batch, "halves");
    EXPECT_EQ(predicted.kind, Prediction::Kind::kIntensity);
    EXPECT_TRUE(at::equal(predicted.value, batch.at("image").data.narrow(2, slab / 2, 1)));
  }
}

TEST(RestorationHead, RefusesAResidualOfOtherChannels) {
  const config::Node node = restoring_blocks("{name: restoration, channels: 2}");
  Experiment experiment(node, true);
  const RunFolder run;
  EXPECT_THAT(error_message("model", [&] { Trainer(experiment, run.path(), nullptr).run(); }),
              HasSubstr("a residual of 2 channels cannot be added to images of 1"));
}

TEST(Enhancement, LearnsToRemoveNoise) {
  config::Node node = with(restoring_blocks(), "trainer.max_steps", "60");
  node = with(node, "trainer.validate_every", "60");
  Experiment experiment(node, true);
  const RunFolder run;
  Trainer(experiment, run.path(), nullptr).run();
  const auto validated = Validation(experiment).run(60, {});
  ASSERT_TRUE(validated.has_value());
  std::map<std::string, double> values;
  for (const ValidationValue& value : *validated) values[value.name] = value.value;
  EXPECT_GT(values.at("halves/psnr"), values.at("halves/trivial/psnr") + 2.0);
  EXPECT_TRUE(values.contains("halves/rmse/inside"));
}

TEST(PatchDiscriminator, LearnsToTellImagesApartUnderBothLosses) {
  for (const char* loss : {"hinge", "wgan_gp"}) {
    const auto adversary = AdversaryRegistry::instance().create(
        config::parse_yaml(
            fmt::format("{{name: patch_discriminator, loss: {}, width: 8, layers: 2}}", loss),
            "adversary.yaml"),
        TaskContext{"halves", {}, 1});
    const Batch batch = batch_of(torch::zeros({4, 1, 1, 16, 16}), torch::rand({4, 1, 1, 16, 16}));
    const Prediction made = Prediction::intensity(torch::full({4, 1, 1, 16, 16}, 0.5));
    torch::optim::Adam optimizer(adversary->parameters(), torch::optim::AdamOptions(1e-3));
    const double before = adversary->own_loss(made, batch).item<double>();
    for (int step = 0; step < 60; ++step) {
      optimizer.zero_grad();
      adversary->own_loss(made, batch).backward();
      optimizer.step();
    }
    EXPECT_LT(adversary->own_loss(made, batch).item<double>(), before - 0.3) << loss;
    const Prediction real = Prediction::intensity(batch.at("clean").data);
    EXPECT_LT(adversary->generator_loss(real, batch).item<double>(),
              adversary->generator_loss(made, batch).item<double>())
        << loss << ": what looks real costs less";
  }
}

TEST(PatchDiscriminator, TrainsBesideANetworkAndNamesImagesThatAreTooSmall) {
  const auto run_with = [](const char* adversary) {
    Experiment experiment(with(restoring_blocks(), "tasks.halves.adversary", adversary), true);
    const RunFolder run;
    return Trainer(experiment, run.path(), nullptr).run().step;
  };
  EXPECT_EQ(run_with("{name: patch_discriminator, layers: 2, width: 4, loss: wgan_gp}"), 8);
  EXPECT_THAT(error_message("model", [&] { run_with("{name: patch_discriminator, layers: 4}"); }),
              HasSubstr("expected images of at least 16 voxels along axis H, got 8"));
}

std::shared_ptr<Task> reconstruction(const std::string& more = "") {
  return enhancement(", roles: {projections: a, clean: b}" + more);
}

/// A scan with metal of the disc, and the disc without it.
Batch scan_batch() {
  Batch batch = testing::reconstruction_batch({{.views = 60, .metal = true}});
  batch.entries["clean"] = entry_of(testing::disc_with_metal(false));
  return batch;
}

TEST(EnhancementOfProjections, ComparesWithThePlainReconstruction) {
  const auto metrics = reconstruction()->metrics();
  const Batch batch = scan_batch();
  metrics->add(Prediction::intensity(batch.at("clean").data), batch);
  EXPECT_NEAR(value_of(*metrics, "rmse"), 0.0, 1e-6);
  EXPECT_GT(value_of(*metrics, "trivial/rmse/outside"), 0.01);
  EXPECT_GT(value_of(*metrics, "trivial/rmse/inside"), value_of(*metrics, "trivial/rmse/outside"));
}

TEST(EnhancementOfProjections, LosesNothingWithinTheMetal) {
  Batch batch = scan_batch();
  const auto task = reconstruction();
  at::Tensor wrong = batch.at("clean").data.clone();
  wrong.masked_fill_(batch.at("metal").data > 0, 7.0);
  EXPECT_EQ(task->losses(Prediction::intensity(wrong), batch)[0].value.item<double>(), 0.0);
  batch.entries.erase("metal");
  EXPECT_GT(task->losses(Prediction::intensity(wrong), batch)[0].value.item<double>(), 0.0);
}

TEST(EnhancementOfProjections, PenalisesWhatTheScannerDidNotMeasure) {
  const Batch batch = testing::reconstruction_batch({{.views = 60}});
  Batch with_target = batch;
  with_target.entries["clean"] = entry_of(testing::disc_with_metal(false));
  const auto task = reconstruction(", consistency_weight: 2.0");
  const auto term = [&](const at::Tensor& image) {
    const auto terms = task->losses(Prediction::intensity(image), with_target);
    EXPECT_EQ(terms.back().name, "sinogram");
    return terms.back().value;
  };
  const at::Tensor right = testing::disc_with_metal(false);
  EXPECT_NEAR(term(right).item<double>(), 0.0, 1e-9);
  const at::Tensor wrong = (right * 1.1).requires_grad_();
  const at::Tensor value = term(wrong);
  // A tenth too much everywhere, relative to sum p^2 / sum p.
  const at::Tensor p = batch.at("projections").data.to(at::kDouble);
  const double typical = (p.square().sum() / p.sum()).item<double>();
  EXPECT_NEAR(value.item<double>(),
              2.0 * 0.01 * p.square().mean().item<double>() / (typical * typical),
              1e-5);
  value.backward();
  EXPECT_GT(wrong.grad().sum().item<double>(), 0.0);
}

TEST(EnhancementOfProjections, ComparesTheIteratesWhereAsked) {
  const Batch batch = scan_batch();
  const at::Tensor clean = batch.at("clean").data;
  Prediction prediction = Prediction::intensity(clean);
  prediction.extra = {{"iterate_0", clean + 0.2}, {"iterate_1", clean + 0.4}, {"velocity", clean}};
  EXPECT_EQ(reconstruction()->losses(prediction, batch).size(), 1U);
  const auto terms = reconstruction(", iterates_weight: 0.5")->losses(prediction, batch);
  EXPECT_EQ(terms.back().name, "iterates");
  EXPECT_NEAR(terms.back().value.item<double>(), 0.5 * 0.3, 1e-5);
}

TEST(EnhancementOfProjections, SaysWhichRolesItExpects) {
  EXPECT_THAT(error_message("schema", [] { enhancement(", roles: {clean: b}"); }),
              HasSubstr("one of the roles 'image' and 'projections'"));
  EXPECT_THAT(
      error_message("schema",
                    [] { enhancement(", roles: {image: a, clean: b}, consistency_weight: 1.0"); }),
      HasSubstr("expect the role 'projections'"));
}

}  // namespace
}  // namespace triptych
