// SPDX-License-Identifier: Apache-2.0
#include "framework/infer/plane_fusion.h"

#include "framework/core/parallel.h"
#include "framework/core/stop.h"
#include "framework/infer/vote_accumulator.h"

#include "tests/infer/analytic_volume.h"
#include "tests/support/tensor_matchers.h"

#include <csignal>

#include <gtest/gtest.h>

namespace triptych {
namespace {

using testing::intensity_classifier;
using testing::smooth_volume;
using testing::stored;
using testing::threshold_classifier;

const std::filesystem::path kScratch = std::filesystem::temp_directory_path();

struct Settings {
  int planes = 9;
  std::int64_t slab = 1;
  std::int64_t window_bytes = std::int64_t{64} << 20;
  std::int64_t budget_bytes = std::int64_t{1} << 30;
};

/// Labels, probabilities and votes of a whole run, copied out of their stores.
struct Result {
  at::Tensor labels, probabilities, votes;
  bool in_memory = false;
};

Result fuse(const at::Tensor& volume,
            const SliceFunction& classify,
            const Settings& settings,
            const char* rule = "soft") {
  MemoryBudget budget(settings.budget_bytes);
  const auto input = stored(volume, budget);
  VoteAccumulator fusion(
      {.shape = input->shape(), .classes = 2, .max_predictions = settings.planes, .votes = true},
      budget,
      kScratch);
  VolumeAccumulator* const receivers[] = {&fusion};
  const PlanePass pass{
      .input = *input, .slab = settings.slab, .window_bytes = settings.window_bytes};
  for (const PlaneSet& planes : make_plane_sets(input->shape(), settings.planes))
    run_plane_set(pass, planes, classify, receivers);
  const FusedVolume fused = fusion.finish(rule, {.probabilities = true, .votes = true});
  return {fused.labels->tensor().clone(),
          fused.probabilities->tensor().to(at::kFloat),
          fused.votes->tensor().clone(),
          input->in_memory()};
}

class PlaneFusionShapes : public ::testing::TestWithParam<Index3> {};

TEST_P(PlaneFusionShapes, ThresholdLabelsComeBackAwayFromTheInterface) {
  const at::Tensor volume = smooth_volume(GetParam());
  const at::Tensor truth = (volume > 0.5).to(at::kByte), clear = (volume - 0.5).abs() > 0.15;
  for (const int planes : {1, 3, 9}) {
    for (const char* rule : {"soft", "majority"}) {
      const Result result = fuse(volume, threshold_classifier, {.planes = planes}, rule);
      EXPECT_FALSE(((result.labels != truth) & clear).any().item<bool>()) << planes << " " << rule;
      if (planes == 9) continue;
      EXPECT_TRUE(at::equal(result.labels, truth)) << planes << " " << rule;
    }
  }
}

TEST_P(PlaneFusionShapes, IntensityComesBackWithinInterpolationError) {
  const at::Tensor volume = smooth_volume(GetParam());
  for (const int planes : {1, 3, 9}) {
    const Result result = fuse(volume, intensity_classifier, {.planes = planes});
    // Rounding alone for the aligned sets; two trilinear interpolations of waves of 31 voxels and
    // more for the others.
    EXPECT_TRUE(
        testing::near(result.probabilities.narrow(0, 1, 1), volume, planes == 9 ? 0.02 : 5e-4))
        << planes;
    EXPECT_TRUE(testing::near(result.probabilities.sum(0, true), at::ones_like(volume), 2e-3));
  }
}

INSTANTIATE_TEST_SUITE_P(PlaneFusion,
                         PlaneFusionShapes,
                         ::testing::Values(Index3{24, 24, 24},
                                           Index3{13, 20, 31},
                                           Index3{2, 3, 40},
                                           Index3{1, 9, 9},
                                           Index3{1, 1, 1}));

TEST(PlaneFusion, AlignedSetsVoteEverywhereObliqueOnesWhereTheirSupportIsInside) {
  const Result result = fuse(smooth_volume({16, 16, 16}), intensity_classifier, {.planes = 9});
  const at::Tensor count = result.votes.sum(0);
  EXPECT_GE(count.min().item<std::int64_t>(), 3);
  EXPECT_EQ(count.max().item<std::int64_t>(), 9);
  EXPECT_EQ(count.slice(0, 3, 13).slice(1, 3, 13).slice(2, 3, 13).min().item<std::int64_t>(), 9);
  EXPECT_EQ(count[0][0][0].item<std::int64_t>(), 3);
}

TEST(PlaneFusion, OutsideTheVolumeNothingVotesSoABrightRimStaysBright) {
  const at::Tensor bright = at::ones({1, 12, 14, 16});
  const Result result = fuse(bright, intensity_classifier, {.planes = 9});
  EXPECT_TRUE(testing::near(result.probabilities.narrow(0, 1, 1), bright, 1e-3));
}

TEST(PlaneFusion, BudgetWindowAndThreadsDoNotChangeABit) {
  const at::Tensor volume = smooth_volume({11, 14, 19}) + 0.01 * at::rand({1, 11, 14, 19});
  const Result reference = fuse(volume, intensity_classifier, {.planes = 9});
  EXPECT_TRUE(reference.in_memory);
  for (const Settings& settings : {Settings{.budget_bytes = 0},
                                   Settings{.window_bytes = 0},
                                   Settings{.window_bytes = 9000},
                                   Settings{.window_bytes = 3000, .budget_bytes = 0}}) {
    for (const int threads : {1, 3}) {
      set_num_threads(threads);
      const Result result = fuse(volume, intensity_classifier, settings);
      EXPECT_EQ(result.in_memory, settings.budget_bytes > 0);
      EXPECT_TRUE(at::equal(result.labels, reference.labels));
      EXPECT_TRUE(at::equal(result.probabilities, reference.probabilities));
      EXPECT_TRUE(at::equal(result.votes, reference.votes));
    }
  }
}

TEST(PlaneFusion, SlabsHoldTheirNeighbours) {
  // Slope along the slab: zero would mean that neighbours were the central slice; the classifier's
  // mean sees both sides.
  const at::Tensor ramp =
      (at::arange(20) / 20.0).view({1, -1, 1, 1}).expand({1, 20, 8, 8}).contiguous().to(at::kFloat);
  const auto mean = [](const at::Tensor& slab) {
    EXPECT_EQ(slab.size(2), 3);
    const at::Tensor p = slab.mean(2, true);
    return at::cat({1.0 - p, p}, 1);
  };
  const Result result = fuse(ramp, mean, {.planes = 1, .slab = 3});
  EXPECT_TRUE(testing::near(
      result.probabilities.narrow(0, 1, 1).slice(1, 1, 19), ramp.slice(1, 1, 19), 5e-4));
  EXPECT_NEAR(result.probabilities[1][0][0][0].item<float>(), 1.0 / 60.0, 5e-4);
}

TEST(PlaneFusion, SeveralReceiversGetEachSetFromOnePass) {
  const at::Tensor volume = smooth_volume({9, 10, 11});
  MemoryBudget budget(1 << 30);
  const auto input = stored(volume, budget);
  VoteAccumulator three(
      {.shape = input->shape(), .classes = 2, .max_predictions = 3, .votes = true},
      budget,
      kScratch);
  int calls = 0;
  const auto counting = [&](const at::Tensor& slab) {
    ++calls;
    return intensity_classifier(slab);
  };
  for (const PlaneSet& planes : make_plane_sets(input->shape(), 3)) {
    VoteAccumulator single(
        {.shape = input->shape(), .classes = 2, .max_predictions = 1, .votes = false},
        budget,
        kScratch);
    VolumeAccumulator* const receivers[] = {&three, &single};
    run_plane_set({.input = *input}, planes, counting, receivers);
    EXPECT_TRUE(at::equal(single.labels("soft")->tensor(), (volume > 0.5).to(at::kByte)));
  }
  EXPECT_EQ(calls, 9 + 10 + 11);
  EXPECT_TRUE(at::equal(three.labels("soft")->tensor(), three.labels("majority")->tensor()));
}

TEST(PlaneFusion, WrongShapesAndNanAreNamed) {
  const at::Tensor volume = smooth_volume({3, 4, 5});
  const std::string shape = testing::error_message(
      "shape", [&] { fuse(volume, [](const at::Tensor& slab) { return slab; }, {.planes = 1}); });
  EXPECT_EQ(shape,
            "prediction of slice 0 along rc: expected shape [1, 2, 1, 4, 5], got [1, 1, 1, 4, 5]");
  const std::string nan = testing::error_message("numeric", [&] {
    fuse(volume,
         [](const at::Tensor& slab) { return intensity_classifier(slab) * NAN; },
         {.planes = 1});
  });
  EXPECT_NE(nan.find("slice 0 along rc"), std::string::npos) << nan;
}

TEST(PlaneFusion, AStopRequestEndsTheRun) {
  install_stop_signals();
  const auto stopping = [](const at::Tensor& slab) {
    std::raise(SIGTERM);
    return intensity_classifier(slab);
  };
  testing::error_message("stopped", [&] {
    fuse(smooth_volume({5, 6, 7}), stopping, {.planes = 1});
  });
  clear_stop_request();
}

}  // namespace
}  // namespace triptych
