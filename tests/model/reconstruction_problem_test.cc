// SPDX-License-Identifier: Apache-2.0
#include "framework/model/reconstruction_problem.h"

#include "framework/core/nn.h"
#include "framework/ops/ct_scan.h"

#include "tests/support/reconstruction_batch.h"
#include "tests/support/tensor_matchers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace triptych {
namespace {

using testing::disc_with_metal;
using testing::error_message;
using testing::near;
using testing::reconstruction_batch;
using testing::ScanOf;

double rms(const at::Tensor& x) { return x.square().mean().sqrt().item<double>(); }

TEST(ReconstructionProblem, GivesImagesInTheUnitOfTheProjections) {
  ScanOperatorCache cache;
  const ScanOf scan{.views = 90};
  const ReconstructionProblem problem(reconstruction_batch({scan}), {}, cache);
  const at::Tensor image = problem.in_own_unit(problem.fbp(problem.measured()));
  EXPECT_NEAR(image[0][0][0][16][16].item<double>(), 0.2, 0.01);
  // A disc of 0.2 / cm and 24 pixels of 1 mm with a spot; 0.92 of its attenuation, 0.85 of its
  // longest line integral.
  EXPECT_NEAR((image / problem.fbp(problem.measured())).mean().item<double>(), 0.2, 0.03);
  EXPECT_NEAR(problem.relative(problem.measured()).max().item<double>(), 1.2, 0.15);
  EXPECT_TRUE(
      near(problem.absolute(problem.relative(problem.measured())), problem.measured(), 1e-5));
  EXPECT_TRUE(near(problem.scaled(image), problem.fbp(problem.measured()), 1e-5));
}

TEST(ReconstructionProblem, IsTheSameProblemInAnotherUnit) {
  ScanOperatorCache cache;
  const Batch batch = reconstruction_batch({ScanOf{.views = 30}});
  Batch larger = batch;
  larger.entries.at("projections").data = batch.at("projections").data * 1000.0;
  const ReconstructionProblem a(batch, {}, cache), b(larger, {}, cache);
  EXPECT_TRUE(near(a.measured(), b.measured(), 1e-6, 1e-5));
  const at::Tensor image = at::rand({1, 1, 1, 32, 32});
  EXPECT_TRUE(near(a.in_own_unit(image) * 1000.0, b.in_own_unit(image), 1e-3, 1e-5));
}

TEST(ReconstructionProblem, HasTheSameScaleWhateverAirSurroundsTheObject) {
  ScanOperatorCache cache;
  const Batch batch = reconstruction_batch({ScanOf{.views = 30}});
  Batch wide = batch;
  BatchEntry& entry = wide.entries.at("projections");
  entry.data = at::constant_pad_nd(entry.data, {20, 20});
  ScanGeometry scan = *entry.scans[0];
  scan.centre_column += 20.0;
  entry.scans[0] = std::make_shared<const ScanGeometry>(scan);
  entry.geometry[0].shape = {1, 64, 64};
  const at::Tensor one = at::ones({1, 1, 1, 1, 1});
  EXPECT_TRUE(near(ReconstructionProblem(batch, {}, cache).scaled(one),
                   ReconstructionProblem(wide, {}, cache).scaled(one),
                   1e-4));
}

TEST(ReconstructionProblem, StepsAgainstTheResidualLowerIt) {
  ScanOperatorCache cache;
  const ReconstructionProblem problem(reconstruction_batch({ScanOf{.views = 60}}), {}, cache);
  at::Tensor image = at::zeros({1, 1, 1, 32, 32});
  const double first = rms(problem.residual(image));
  for (int i = 0; i < 30; ++i) image = image - problem.step(problem.residual(image));
  EXPECT_LT(rms(problem.residual(image)), 0.05 * first);
}

TEST(ReconstructionProblem, TakesEveryItemByItsOwnScan) {
  ScanOperatorCache cache;
  const ScanOf early{.views = 24}, late{.views = 24, .first_deg = 3.0};
  const ReconstructionProblem both(reconstruction_batch({early, late}), {}, cache);
  const at::Tensor images = both.in_own_unit(both.fbp(both.measured()));
  int item = 0;
  for (const ScanOf& scan : {early, late}) {
    const ReconstructionProblem alone(reconstruction_batch({scan}), {}, cache);
    EXPECT_TRUE(
        near(images.narrow(0, item++, 1), alone.in_own_unit(alone.fbp(alone.measured())), 1e-5));
  }
}

TEST(ReconstructionProblem, CompletesWhatIsBehindMetalAndTrustsTheRest) {
  ScanOperatorCache cache;
  const ScanOf scan{.views = 90, .metal = true};
  const Batch batch = reconstruction_batch({scan});
  const ReconstructionProblem none(batch, {}, cache);
  const at::Tensor clean = disc_with_metal(false), outside = batch.at("metal").data == 0;
  const auto error = [&](const ReconstructionProblem& problem) {
    const at::Tensor image = problem.in_own_unit(problem.fbp(problem.completed()));
    return rms((image - clean).masked_select(outside));
  };
  for (const char* way : {"li", "nmar"}) {
    const ReconstructionProblem problem(batch, MetalSetup{way, 0.2}, cache);
    EXPECT_LT(error(problem), 0.5 * error(none)) << way;
    const at::Tensor trusted = problem.trust() > 0.5;
    EXPECT_TRUE(near(problem.in_own_unit(problem.completed()).masked_select(trusted),
                     none.in_own_unit(none.measured()).masked_select(trusted),
                     1e-5));
    const at::Tensor image = at::rand({1, 1, 1, 32, 32});
    EXPECT_EQ(rms(problem.residual(image).masked_select(trusted.logical_not())), 0.0);
    EXPECT_EQ(rms(problem.residual_behind_metal(image).masked_select(trusted)), 0.0);
    const at::Tensor seen =
        problem.with_metal_seen(image, problem.metal_artifacts(problem.fbp(problem.completed())));
    EXPECT_TRUE(at::equal(seen.narrow(1, 0, 1), image));
    EXPECT_LE(seen.narrow(1, 1, 1).abs().max().item<double>(), 1.0);
    EXPECT_TRUE(at::equal(seen.narrow(1, 2, 1), batch.at("metal").data.to(at::kFloat)));
    // Metal itself lost all of its rays, and the rim of the disc, which the metal hides from a few
    // sides only, the fewest.
    const at::Tensor lost = problem.lost_share();
    EXPECT_TRUE(near(lost.masked_select(outside.logical_not()).min(), at::ones({}), 1e-4));
    EXPECT_LE(lost.max().item<double>(), 1.0 + 1e-5);
    EXPECT_GE(lost.min().item<double>(), 0.0);
    EXPECT_LT(lost[0][0][0][16][27].item<double>(), 0.7);
    // With the right prior NMAR gives what would have been measured without metal.
    const at::Tensor ideal = problem.completed_with(problem.scaled(clean));
    EXPECT_TRUE(
        near(problem.in_own_unit(ideal), none.in_own_unit(none.project(none.scaled(clean))), 0.06));
  }
}

TEST(ReconstructionProblem, TakesTheMaskOfAPaddedBatchOnTheSlicesOwnGrid) {
  ScanOperatorCache cache;
  const Batch batch = reconstruction_batch({ScanOf{.views = 20, .metal = true}});
  Batch padded = batch;
  BatchEntry& mask = padded.entries.at("metal");
  mask.data = at::constant_pad_nd(mask.data, {0, 8, 0, 4}, -1);
  mask.valid = Region{{0, 0, 0}, {1, 32, 32}};
  const ReconstructionProblem plain(batch, {"nmar"}, cache), grown(padded, {"nmar"}, cache);
  EXPECT_TRUE(at::equal(grown.completed(), plain.completed()));
  EXPECT_TRUE(at::equal(grown.trust(), plain.trust()));
}

TEST(ReconstructionProblem, RefusesImagesAndMasksOfAnotherSize) {
  ScanOperatorCache cache;
  Batch images = reconstruction_batch({ScanOf{.views = 10}});
  images.entries.at("projections").kind = EntryKind::kIntensity;
  EXPECT_THAT(error_message("data", [&] { const ReconstructionProblem made(images, {}, cache); }),
              ::testing::HasSubstr("needs projections of one channel"));
  Batch masked = reconstruction_batch({ScanOf{.views = 10, .metal = true}});
  masked.entries.at("metal").data = at::zeros({1, 1, 1, 31, 32}, at::kLong);
  error_message("shape", [&] { const ReconstructionProblem made(masked, {"li"}, cache); });
}

TEST(ScanOperatorCache, KeepsTheLastScans) {
  ScanOperatorCache cache;
  const Batch batch = reconstruction_batch({ScanOf{.views = 10}});
  const auto get = [&](double shift) {
    ScanGeometry scan = *batch.at("projections").scans[0];
    scan.centre_column += shift;
    return cache.get(
        scan, batch.at("projections").data.size(-1), SliceGrid::centred(32, 32), at::kCPU);
  };
  const auto first = get(0.0);
  EXPECT_EQ(first, get(0.0));
  for (int i = 1; i < 5; ++i) get(0.1 * i);
  EXPECT_NE(first, get(0.0));
}

}  // namespace
}  // namespace triptych
