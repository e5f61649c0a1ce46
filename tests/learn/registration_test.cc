// SPDX-License-Identifier: Apache-2.0
// The tasks `registration` and `contrastive`, their heads and metrics.
#include "framework/core/nn.h"
#include "framework/learn/registration_errors.h"
#include "framework/model/head.h"

#include "tests/learn/moved_block.h"
#include "tests/learn/synthetic_experiment.h"
#include "tests/support/tensor_matchers.h"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/optim/adam.h>

namespace triptych {
namespace {

using testing::block;
using testing::cube;
using testing::error_message;
using ::testing::HasSubstr;
using testing::kAllRoles;
using testing::kEdge;
using testing::kSpacing;
using testing::metric_of;
using testing::moved_block;
using testing::near;
using testing::pair_entry;
using testing::task_of;
using testing::term;
using testing::translation;

TEST(ValuesAt, InterpolateAsTheWarpDoes) {
  const Geometry grid = cube();
  const at::Tensor image = torch::rand({1, 2, kEdge, kEdge, kEdge});
  const Eigen::Vector3d between = grid.world_from_index({3.25, 7.5, 11.0});
  const at::Tensor point = torch::tensor({{between[0], between[1], between[2]}}, torch::kDouble);
  const auto at = [&](int x, int y, int z) {
    return image[0].select(3, x).select(2, y).select(1, z);
  };
  const at::Tensor expected =
      0.5 * (0.75 * (at(3, 7, 11) + at(3, 8, 11)) + 0.25 * (at(4, 7, 11) + at(4, 8, 11)));
  EXPECT_TRUE(near(values_at(image, grid, point)[0], expected, 1e-5));
  const at::Tensor far = torch::tensor({{-100.0, -100.0, 100.0}}, torch::kDouble);
  EXPECT_TRUE(near(values_at(image, grid, far)[0], at(0, 0, kEdge - 1), 1e-6));
  EXPECT_FALSE(points_within(grid, far).item<bool>());
  EXPECT_TRUE(points_within(grid, point).item<bool>());
}

TEST(RegistrationErrors, AreThoseOfTheFormulas) {
  const auto metrics =
      task_of("{name: registration, " + kAllRoles + ", weights: {dice: 1}}")->metrics();
  metrics->add(Prediction::displacement(translation(2.0 * kSpacing, 0.3, 0.4)), moved_block());
  const std::vector<MetricValue> values = metrics->values();
  EXPECT_NEAR(metric_of(values, "epe_mm/mean"), 0.5, 1e-6);
  EXPECT_NEAR(metric_of(values, "trivial/epe_mm/mean"), 2.0 * kSpacing, 1e-6);
  EXPECT_NEAR(metric_of(values, "tre_mm/mean"), 0.5, 1e-6);
  EXPECT_NEAR(metric_of(values, "tre_mm/worst_30"), 0.5, 1e-6);
  EXPECT_NEAR(metric_of(values, "trivial/tre_mm/mean"), 2.0 * kSpacing, 1e-6);
  EXPECT_NEAR(metric_of(values, "trivial/dice/mean"), 4.0 / 6.0, 1e-6);
  EXPECT_NEAR(metric_of(values, "folded_share"), 0.0, 1e-9);
  EXPECT_NEAR(metric_of(values, "log_jacobian_sd"), 0.0, 1e-5);
}

TEST(RegistrationErrors, OfTheTrueDisplacementAreNone) {
  const auto task = task_of("{name: registration, " + kAllRoles + ", weights: {dice: 1}}");
  const auto metrics = task->metrics();
  const Batch batch = moved_block();
  Sample sample;
  for (const auto& [role, entry] : batch.entries) {
    const bool points = entry.kind == EntryKind::kPoints;
    sample.entries[role] = {
        entry.kind, points ? entry.points[0] : entry.data[0], cube(), "", "", "", nullptr};
  }
  metrics->add_volume(
      Prediction::displacement(translation(2.0 * kSpacing, 0.0, 0.0)), cube(), sample);
  const std::vector<MetricValue> values = metrics->values();
  EXPECT_NEAR(metric_of(values, "epe_mm/mean"), 0.0, 1e-6);
  EXPECT_NEAR(metric_of(values, "dice/mean"), 1.0, 1e-9);
  EXPECT_NEAR(metric_of(values, "hd95_mm/mean"), 0.0, 1e-9);
  EXPECT_NEAR(metric_of(values, "trivial/hd95_mm/mean"), 2.0 * kSpacing, 1e-6);
}

TEST(RegistrationErrors, CountFoldsAndMerge) {
  const auto task = task_of("{name: registration, " + kAllRoles + ", weights: {dice: 1}}");
  const auto whole = task->metrics(), first = task->metrics(), second = task->metrics();
  at::Tensor turned = translation(0.0, 0.0, 0.0);  // x + u(x) = -x: every voxel folds
  turned.select(1, 0).copy_(-2.0 * kSpacing *
                            torch::arange(kEdge).expand({1, kEdge, kEdge, kEdge}));
  const Batch batch = moved_block();
  whole->add(Prediction::displacement(turned), batch);
  EXPECT_NEAR(metric_of(whole->values(), "folded_share"), 1.0, 1e-9);
  whole->add(Prediction::displacement(translation(0.1, 0.0, 0.0)), batch);
  first->add(Prediction::displacement(turned), batch);
  second->add(Prediction::displacement(translation(0.1, 0.0, 0.0)), batch);
  first->merge(second->state());
  const std::vector<MetricValue> expected = whole->values(), merged = first->values();
  ASSERT_EQ(merged.size(), expected.size());
  for (std::size_t i = 0; i < merged.size(); ++i)
    EXPECT_NEAR(merged[i].value, expected[i].value, 1e-12) << merged[i].name;
}

TEST(RegistrationTask, LossesVanishAtTheTrueDisplacementAndGrowAwayFromIt) {
  const auto task =
      task_of("{name: registration, " + kAllRoles +
              ", losses: [{name: l2}, {name: mind}], weights: {mutual_information: 1, "
              "dice: 2, landmarks: 3, displacement: 4, diffusion: 1, bending: 1, "
              "folding: 1}}");
  const Batch batch = moved_block();
  const auto right =
      task->losses(Prediction::displacement(translation(2.0 * kSpacing, 0.0, 0.0)), batch);
  const auto wrong = task->losses(Prediction::displacement(translation(0.0, 0.0, 0.0)), batch);
  for (const char* name : {"l2", "mind", "dice", "landmarks", "displacement"}) {
    EXPECT_NEAR(term(right, name), 0.0, 1e-5) << name;
    EXPECT_GT(term(wrong, name), 1e-3) << name;
  }
  EXPECT_LT(term(right, "mutual_information"), term(wrong, "mutual_information"));
  EXPECT_NEAR(term(wrong, "dice"), 2.0 * (1.0 - 4.0 / 6.0), 1e-5);
  EXPECT_NEAR(term(wrong, "landmarks"), 3.0 * 2.0 * kSpacing, 1e-5);
  EXPECT_NEAR(term(wrong, "displacement"), 4.0 * 2.0 * kSpacing, 1e-5);
  for (const char* name : {"diffusion", "bending", "folding"})
    EXPECT_NEAR(term(right, name), 0.0, 1e-9) << name;
}

TEST(RegistrationTask, LeavesOutWhatAPairLacksAndWhatIsPadding) {
  const auto task = task_of("{name: registration, " + kAllRoles +
                            ", weights: {displacement: 1, dice: 1, landmarks: 1}}");
  Batch batch = moved_block();
  for (const char* role : {"fixed_label", "moving_points"}) batch.entries.erase(role);
  at::Tensor predicted = translation(2.0 * kSpacing, 0.0, 0.0).clone();
  predicted.narrow(4, 12, 4).fill_(9.0);
  for (const char* role : {"fixed", "displacement"})
    batch.entries.at(role).valid = Region{{0, 0, 0}, {kEdge, kEdge, 12}};
  const auto terms = task->losses(Prediction::displacement(predicted), batch);
  ASSERT_EQ(terms.size(), 1U);
  EXPECT_NEAR(terms[0].value.item<double>(), 0.0, 1e-5);
}

TEST(RegistrationTask, MeasuresInverseConsistencyWhereAHeadPredictsBothWays) {
  const auto task =
      task_of("{name: registration, losses: [{name: mind}], weights: {inverse_consistency: 1}}");
  Prediction prediction = Prediction::displacement(translation(1.0, 0.0, 0.0));
  const Batch batch = moved_block();
  EXPECT_THAT(error_message("model", [&] { task->losses(prediction, batch); }),
              HasSubstr("one way only"));
  prediction.extra["backward"] = translation(-1.0, 0.0, 0.0);
  EXPECT_NEAR(term(task->losses(prediction, batch), "inverse_consistency"), 0.0, 1e-5);
  prediction.extra["backward"] = translation(-0.5, 0.0, 0.0);
  EXPECT_NEAR(term(task->losses(prediction, batch), "inverse_consistency"), 0.5, 1e-5);
}

TEST(RegistrationTask, IsGuidedByTheProbabilitiesOfTheFixedImage) {
  const auto task = task_of(
      "{name: registration, roles: {fixed: a, moving: b, moving_label: c}, weights: "
      "{guidance: 1}}");
  Prediction prediction = Prediction::displacement(translation(2.0 * kSpacing, 0.0, 0.0));
  const Batch batch = moved_block();
  EXPECT_THAT(error_message("model", [&] { task->losses(prediction, batch); }),
              HasSubstr("gives no probabilities"));
  const at::Tensor inside = block(4).to(torch::kFloat);
  prediction.extra["guidance"] = torch::cat({1.0 - inside, inside}, 1);
  EXPECT_NEAR(term(task->losses(prediction, batch), "guidance"), 0.0, 1e-5);
}

TEST(RegistrationTask, NamesWhatItsConfigurationLacks) {
  const auto problem = [](const std::string& yaml) {
    config::Problems problems;
    TaskRegistry::instance().check(config::parse_yaml(yaml, "task.yaml"), problems);
    return error_message("schema", [&] { problems.throw_if_any(); });
  };
  EXPECT_THAT(problem("{name: registration}"), HasSubstr("expects a similarity"));
  EXPECT_THAT(problem("{name: registration, weights: {dice: 1}}"), HasSubstr("'fixed_label'"));
  EXPECT_THAT(problem("{name: registration, losses: [{name: mind}], roles: {fixed: a, movin: b}}"),
              HasSubstr("did you mean 'moving'"));
}

/// One level of features for both images.
class PairInputs final : public HeadInputs {
 public:
  PairInputs(at::Tensor fixed, at::Tensor moving) {
    batch_.ids = {"pair"};
    for (const auto& [role, features] :
         {std::pair{"fixed", fixed}, {"moving", moving}, {"image", fixed}}) {
      batch_.entries[role] = pair_entry(features.narrow(1, 0, 1));
      pyramids_[role].levels = {features};
    }
  }
  const FeaturePyramid& features(const std::string& role) override { return pyramids_.at(role); }
  FeaturePyramid encode(const at::Tensor&, const std::string&) override { return {}; }
  const Batch& batch() const override { return batch_; }
  const Prediction& output_of(const std::string&) override { throw model_error("no other task"); }

 private:
  std::map<std::string, FeaturePyramid> pyramids_;
  Batch batch_;
};

/// Smooth random features and the same ones 4 voxels further along W.
PairInputs shifted_features() {
  const at::Tensor wide = at::upsample_trilinear3d(
      torch::randn({1, 4, 6, 6, 7}), {kEdge, kEdge, kEdge + 4}, /*align_corners=*/true);
  return {wide.narrow(4, 4, kEdge).contiguous(), wide.narrow(4, 0, kEdge).contiguous()};
}

std::shared_ptr<Head> head_of(const std::string& yaml) {
  return HeadRegistry::instance().create(config::parse_yaml(yaml, "head.yaml"),
                                         PyramidSpec{{{4, {1, 1, 1}}}});
}

/// Without the faces, where the search sees beyond the images.
at::Tensor inner(const at::Tensor& displacement) {
  return displacement.narrow(2, 4, 8).narrow(3, 4, 8).narrow(4, 2, 8);
}

TEST(RegistrationConvexHead, FindsATranslationOfDistinctFeatures) {
  PairInputs inputs = shifted_features();
  const auto head = head_of(
      "{name: registration_convex, channels: 4, grid_spacing: 2, half_width: 3, sharpness: 100, "
      "couplings: [0.01, 0.03], backward: true}");
  {
    const torch::NoGradGuard no_grad;
    auto parameters = head->named_parameters();
    parameters["descriptor.weight"].copy_(torch::eye(4).view({4, 4, 1, 1, 1}));
    parameters["descriptor.bias"].zero_();
  }
  const Prediction prediction = head->forward(inputs);
  const at::Tensor found = inner(prediction.value).mean({0, 2, 3, 4});
  EXPECT_TRUE(near(found, torch::tensor({4.0 * kSpacing, 0.0, 0.0}), 0.25 * kSpacing)) << found;
  const at::Tensor back = prediction.extra.at("backward").narrow(2, 4, 8).narrow(3, 4, 8);
  EXPECT_NEAR(
      back.narrow(4, 7, 7).select(1, 0).mean().item<double>(), -4.0 * kSpacing, 0.25 * kSpacing);
}

TEST(RegistrationConvexHead, RefusesAGridThatTheLevelDoesNotFit) {
  const std::string message = error_message("schema", [] {
    HeadRegistry::instance().create(
        config::parse_yaml("{name: registration_convex, grid_spacing: 3}", "head.yaml"),
        PyramidSpec{{{4, {2, 2, 2}}}});
  });
  EXPECT_THAT(message, HasSubstr("multiple of the stride 2"));
}

TEST(RegistrationSvfHead, StartsAtRestAndLearnsATranslation) {
  PairInputs inputs = shifted_features();
  const auto head = head_of("{name: registration_svf, finest_level: 0, width: 8}");
  EXPECT_LT(head->forward(inputs).value.abs().max().item<double>(), 0.01 * kSpacing);
  torch::optim::Adam adam(head->parameters(), torch::optim::AdamOptions(0.02));
  const at::Tensor truth = translation(4.0 * kSpacing, 0.0, 0.0);
  double error = 0.0;
  for (int step = 0; step < 60; ++step) {
    adam.zero_grad();
    const at::Tensor loss = (inner(head->forward(inputs).value) - inner(truth)).square().mean();
    loss.backward();
    adam.step();
    error = std::sqrt(3.0 * loss.item<double>());
  }
  EXPECT_LT(error, 0.25 * 4.0 * kSpacing);
}

TEST(LandmarksHead, GivesTheWorldPositionOfThePeak) {
  const auto head = head_of("{name: landmarks, points: 4}");
  {
    const torch::NoGradGuard no_grad;
    auto parameters = head->named_parameters();
    parameters["heat.weight"].copy_(torch::eye(4).view({4, 4, 1, 1, 1}));
    parameters["heat.bias"].zero_();
  }
  at::Tensor features = torch::zeros({1, 4, kEdge, kEdge, kEdge});
  features[0][2][3][5][9] = 50.0;  // D, H, W
  PairInputs inputs(features, features);
  const at::Tensor points = head->forward(inputs).value;
  const Eigen::Vector3d place = cube().world_from_index({9.0, 5.0, 3.0});
  const Eigen::Vector3d centre = cube().world_from_index({7.5, 7.5, 7.5});
  EXPECT_TRUE(near(points[0][2], torch::tensor({place[0], place[1], place[2]}), 1e-4));
  EXPECT_TRUE(near(points[0][0], torch::tensor({centre[0], centre[1], centre[2]}), 1e-4));
}

TEST(RegistrationTask, NamesTheRoleThatReadsAnotherKindOfEntry) {
  const auto task = task_of("{name: registration, " + kAllRoles + ", weights: {landmarks: 1}}");
  for (const char* role : {"fixed_points", "moving_label", "displacement"}) {
    Batch batch = moved_block();
    batch.entries[role] = batch.entries.at("fixed");
    EXPECT_THAT(
        error_message(
            "data",
            [&] { task->losses(Prediction::displacement(translation(0.0, 0.0, 0.0)), batch); }),
        HasSubstr(std::string(role) + ": expected an entry of kind"));
  }
}

TEST(LandmarksTask, MeasuresDistancesAndRefusesOtherNumbers) {
  const auto task = task_of("{name: landmarks, roles: {image: a, points: b}}");
  Batch batch = moved_block();
  batch.entries["points"] = batch.entries.at("fixed_points");
  const at::Tensor truth = batch.at("points").points[0].to(torch::kFloat);
  const at::Tensor off = torch::tensor({{0.3, 0.0, 0.4}, {0.0, 0.0, 0.0}}, torch::kFloat);
  const Prediction prediction = Prediction::points((truth + off).unsqueeze(0));
  EXPECT_NEAR(task->losses(prediction, batch)[0].value.item<double>(), 0.25, 1e-5);
  const auto metrics = task->metrics();
  metrics->add(prediction, batch);
  EXPECT_NEAR(metric_of(metrics->values(), "error_mm/mean"), 0.25, 1e-5);
  EXPECT_NEAR(metric_of(metrics->values(), "error_mm/largest"), 0.5, 1e-5);
  const Prediction fewer = Prediction::points(truth.narrow(0, 0, 1).unsqueeze(0));
  EXPECT_THAT(error_message("data", [&] { task->losses(fewer, batch); }),
              HasSubstr("expected 1 landmarks"));
}

}  // namespace
}  // namespace triptych
