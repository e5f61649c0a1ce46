// SPDX-License-Identifier: Apache-2.0
#include "framework/image/transform_io.h"

#include "tests/app/registered_pair.h"

namespace triptych {
namespace {
using ::testing::HasSubstr;

/// Runs of a few steps: whether the verb uses what they learned, not whether it is good.
class RegisterLearned : public RegisteredPair {
 protected:
  static void SetUpTestSuite() {
    RegisteredPair::SetUpTestSuite();
    train("features", {"experiment=registration_features", "backbone.dimensions=3"});
    train("velocity", {"experiment=registration_labels"});
    train("poses",
          {"experiment=canonical_frame",
           "tasks.pose.head.points=8",
           "tasks.pose.head.spacing_mm=1.0"});
  }
  static void train(const std::string& name, const std::vector<std::string>& more) {
    std::vector<std::string> words = {"train",
                                      "device=cpu",
                                      "threads=1",
                                      "hydra.run.dir=" + path(name),
                                      "datasets.labels.size=[16,16,16]",
                                      "datasets.labels.train=2",
                                      "datasets.labels.validation=1",
                                      "datasets.labels.test=1",
                                      "backbone.width=4",
                                      "backbone.depth=1",
                                      "optimizer.lr=0.02",
                                      "trainer.max_steps=4",
                                      "trainer.validate_every=4",
                                      "trainer.checkpoint_every=4",
                                      "trainer.overlays=0"};
    words.insert(words.end(), more.begin(), more.end());
    const auto finished = run(words);
    ASSERT_EQ(finished.code, 0) << finished.err;
  }
  /// The mean landmark error in mm and the displacement of a registration.
  struct Aligned {
    double error = 0.0;
    at::Tensor displacement;
  };
  static Aligned aligned(const std::string& output, std::vector<std::string> more) {
    more.insert(more.end(),
                {"output=" + output,
                 "threads=1",
                 "start.model=none",
                 "pictures=false",
                 "input.fixed_landmarks=fixed.csv",
                 "input.moving_landmarks=moving.csv"});
    const auto finished = align(more);
    EXPECT_EQ(finished.code, 0) << finished.err;
    return {record(output)["stages"].back()["tre"]["mean"].get<double>(),
            read_volume(path(output + "/displacement.nii.gz")).data};
  }
};

TEST_F(RegisterLearned, ComparesTheDescriptorsOfARun) {
  const double before = kSpacing * kShiftVoxels.norm();
  const Aligned mind = aligned("mind", {});
  const Aligned both = aligned("both", {"run=features"});
  const Aligned learned = aligned("learned", {"run=features", "features=learned"});
  EXPECT_LT(both.error, 0.5 * before);
  EXPECT_LT(learned.error, 0.7 * before);
  EXPECT_GT((both.displacement - mind.displacement).abs().max().item<double>(), 0.02);
  EXPECT_GT((both.displacement - learned.displacement).abs().max().item<double>(), 0.02);
  EXPECT_TRUE(at::equal(aligned("again", {"run=features", "features=both"}).displacement,
                        both.displacement));
}

TEST_F(RegisterLearned, StartsTheDescentFromARunsDisplacement) {
  const Aligned kept = aligned(
      "kept", {"run=velocity", "deformation.iterations=0", "deformation.fine_iterations=0"});
  const auto predicted = run({"predict",
                              "run=velocity",
                              "input.fixed=fixed.nii.gz",
                              "input.moving=moving.nii.gz",
                              "output=predicted.nii.gz"});
  ASSERT_EQ(predicted.code, 0) << predicted.err;
  const at::Tensor field = read_volume(path("predicted.nii.gz")).data;
  ASSERT_GT(field.abs().max().item<double>(), 1e-3);
  // What is kept has passed a grid of voxels of two and its smoothing.
  EXPECT_LT((kept.displacement - field).abs().mean().item<double>(),
            0.5 * field.abs().mean().item<double>());
  EXPECT_LT(aligned("descended", {"run=velocity"}).error, 0.5 * kSpacing * kShiftVoxels.norm());
}

TEST_F(RegisterLearned, StartsFromTheCanonicalFrame) {
  const auto finished = align({"output=posed",
                               "threads=1",
                               "start_from=canonical",
                               "run=poses",
                               "start.model=rigid",
                               "deformation.enabled=false",
                               "pictures=false",
                               "input.fixed_landmarks=fixed.csv",
                               "input.moving_landmarks=moving.csv"});
  ASSERT_EQ(finished.code, 0) << finished.err;
  // Hardly trained, it gives both images nearly the same pose, which the refinement mends.
  EXPECT_LT(record("posed")["stages"].back()["tre"]["mean"].get<double>(), 0.5 * kSpacing);
  EXPECT_THAT(pair_failure("fixed.nii.gz",
                           "moving.nii.gz",
                           {"start_from=canonical", "run=velocity", "features=mind"}),
              HasSubstr("expected a run with the head canonical_pose, got registration_svf"));
  EXPECT_THAT(failure({"register",
                       "input.fixed=fixed.nii.gz",
                       "input.moving=moving.nii.gz",
                       "output=never",
                       "start_from=canonical"},
                      2),
              HasSubstr("expects run=<trained> with canonical"));
}

TEST_F(RegisterLearned, SaysWhatARunCannotDo) {
  EXPECT_THAT(pair_failure("fixed.nii.gz", "moving.nii.gz", {"run=nowhere"}),
              HasSubstr("nowhere: no run directory"));
  EXPECT_THAT(failure({"register",
                       "input.fixed=fixed.nii.gz",
                       "input.moving=moving.nii.gz",
                       "output=never",
                       "features=both"},
                      2),
              HasSubstr("expects run=<trained> with both"));
  EXPECT_THAT(failure({"register",
                       "input.fixed=fixed.nii.gz",
                       "input.moving=moving.nii.gz",
                       "output=never",
                       "run=velocity",
                       "features=learned"},
                      1),
              HasSubstr("the head registration_svf gives no features"));
  EXPECT_THAT(failure({"register",
                       "input.fixed=fixed.nii.gz",
                       "input.moving=moving.nii.gz",
                       "output=never",
                       "run=features",
                       "task=feature"},
                      2),
              HasSubstr("did you mean 'features'"));
  const auto segmentation =
      run(testing::tiny_quickstart(path("segmentation"), {"trainer.max_steps=2"}));
  ASSERT_EQ(segmentation.code, 0) << segmentation.err;
  EXPECT_THAT(pair_failure("fixed.nii.gz", "moving.nii.gz", {"run=segmentation"}),
              HasSubstr("expected a run with one of the heads descriptor, registration_svf, "
                        "registration_convex, got segmentation"));
  Volume slice = read_volume(path("fixed.nii.gz"));
  slice.data = slice.data.narrow(1, 10, 1).contiguous();
  slice.geometry.shape[0] = 1;
  write_volume(path("slice.nii.gz"), slice);
  EXPECT_THAT(pair_failure("slice.nii.gz", "slice.nii.gz", {"run=features"}),
              HasSubstr("expected a backbone of slices for these images, got one of volumes"));
}

}  // namespace
}  // namespace triptych
