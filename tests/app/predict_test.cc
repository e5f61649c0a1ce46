// SPDX-License-Identifier: Apache-2.0
#include "framework/core/file.h"
#include "framework/core/random.h"
#include "framework/image/io.h"

#include "tests/app/program.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace triptych {
namespace {
namespace fs = std::filesystem;
using testing::fresh_folder;
using ::testing::HasSubstr;
using testing::run_program;
using testing::tiny_quickstart;

/// One tiny trained run for every test of this file.
class Predict : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = fresh_folder("predict");
    const auto finished = run_program(tiny_quickstart("run"), folder_);
    ASSERT_EQ(finished.code, 0) << finished.err;
    Volume volume{at::rand({1, 20, 26, 22}), {}, "srct", {}};
    volume.geometry.shape = {20, 26, 22};
    volume.geometry.spacing = {0.5, 0.5, 0.5};
    volume.geometry.origin = {-3.0, 7.0, 11.0};
    volume.geometry.direction << 0.8, -0.6, 0.0, 0.6, 0.8, 0.0, 0.0, 0.0, 1.0;
    write_volume((folder_ / "image.nii.gz").string(), volume);
    write_volume((folder_ / "image.mha").string(), volume);
  }
  static std::string failure(const std::vector<std::string>& words, int code) {
    const auto finished = run_program(words, folder_);
    EXPECT_EQ(finished.code, code) << finished.err;
    EXPECT_THAT(finished.err, ::testing::StartsWith("error["));
    return finished.err;
  }
  static fs::path folder_;
};
fs::path Predict::folder_;

TEST_F(Predict, KeepsTheGeometryOfTheInput) {
  const auto finished = run_program(
      {"predict", "run=run", "input.image=image.mha", "output=labels.mha", "infer.planes=3"},
      folder_);
  ASSERT_EQ(finished.code, 0) << finished.err;
  const Volume labels = read_labels((folder_ / "labels.mha").string());
  const VolumeHeader input = read_header((folder_ / "image.mha").string());
  EXPECT_TRUE(same_grid(labels.geometry, input.geometry, 1e-6)) << labels.geometry.text();
  EXPECT_LE(labels.data.max().item<std::int64_t>(), 3);
}

TEST_F(Predict, WritesMapsIntoAFolder) {
  const auto finished = run_program({"predict",
                                     "run=run",
                                     "input.image=image.nii.gz",
                                     "output=maps",
                                     "infer.planes=9",
                                     "infer.outputs=[labels,probabilities,entropy,disagreement]"},
                                    folder_);
  ASSERT_EQ(finished.code, 0) << finished.err;
  const Volume probabilities = read_volume((folder_ / "maps/probabilities.nii.gz").string());
  EXPECT_EQ(probabilities.data.size(0), 4);
  EXPECT_LT((probabilities.data.sum(0) - 1.0).abs().max().item<double>(), 5e-3);
  const at::Tensor entropy = read_volume((folder_ / "maps/entropy.nii.gz").string()).data;
  EXPECT_GE(entropy.min().item<double>(), 0.0);
  EXPECT_LE(entropy.max().item<double>(), 1.0 + 1e-5);
}

TEST_F(Predict, GivesEqualLabelsUnderASmallBudget) {
  for (const char* fusion : {"soft", "majority"}) {
    const std::string words = std::string("infer.fusion=") + fusion;
    ASSERT_EQ(run_program({"predict",
                           "run=run",
                           "input.image=image.mha",
                           "output=large.mha",
                           "infer.planes=9",
                           words},
                          folder_)
                  .code,
              0);
    const auto small = run_program({"predict",
                                    "run=run",
                                    "input.image=image.mha",
                                    "output=small.mha",
                                    "infer.planes=9",
                                    words,
                                    "infer.memory=1KB"},
                                   folder_);
    ASSERT_EQ(small.code, 0) << small.err;
    EXPECT_TRUE(at::equal(read_labels((folder_ / "large.mha").string()).data,
                          read_labels((folder_ / "small.mha").string()).data));
  }
}

TEST_F(Predict, TakesAVolumeSmallerThanTheNetworksStride) {
  write_volume((folder_ / "small_input.mha").string(),
               Volume{at::rand({1, 3, 3, 3}), {.shape = {3, 3, 3}}, "", {}});
  const auto finished = run_program(
      {"predict", "run=run", "input.image=small_input.mha", "output=small_output.mha"}, folder_);
  EXPECT_EQ(finished.code, 0) << finished.err;
}

TEST_F(Predict, EvaluatesFilesAndRuns) {
  ASSERT_EQ(
      run_program({"predict", "run=run", "input.image=image.mha", "output=labels.mha"}, folder_)
          .code,
      0);
  const auto files = run_program(
      {"evaluate", "input.prediction=labels.mha", "input.reference=labels.mha", "output=same"},
      folder_);
  ASSERT_EQ(files.code, 0) << files.err;
  EXPECT_THAT(files.out, HasSubstr("1.0000"));
  EXPECT_TRUE(fs::exists(folder_ / "same/metrics.json"));
  const auto run = run_program({"evaluate", "run=run", "compare=true", "output=scores"}, folder_);
  ASSERT_EQ(run.code, 0) << run.err;
  for (const char* method :
       {"otsu", "rc", "pc", "pr", "soft-3", "majority-3", "soft-9", "majority-9"})
    EXPECT_THAT(run.out, HasSubstr(method));
}

TEST_F(Predict, RendersPictures) {
  const auto finished =
      run_program({"render", "input.image=image.mha", "output=picture.png"}, folder_);
  ASSERT_EQ(finished.code, 0) << finished.err;
  EXPECT_TRUE(read_file(folder_ / "picture.png").starts_with("\x89PNG"));
}

TEST_F(Predict, SaysInOneLineWhatIsWrongWithTheInput) {
  EXPECT_THAT(failure({"predict", "run=run", "input.image=absent.mha", "output=x.mha"}, 1),
              HasSubstr("absent.mha"));
  write_file_atomically(folder_ / "empty.nii.gz", "");
  EXPECT_THAT(failure({"predict", "run=run", "input.image=empty.nii.gz", "output=x.mha"}, 1),
              HasSubstr("empty"));
  const std::string whole = read_file(folder_ / "image.nii.gz");
  write_file_atomically(folder_ / "cut.nii.gz", whole.substr(0, whole.size() / 2));
  EXPECT_THAT(failure({"predict", "run=run", "input.image=cut.nii.gz", "output=x.mha"}, 1),
              HasSubstr("cut.nii.gz"));
  EXPECT_FALSE(fs::exists(folder_ / "x.mha"));
  EXPECT_THAT(
      failure({"predict", "run=run", "input.image=image.mha", "output=x.mha", "task=implnt"}, 2),
      HasSubstr("did you mean 'implant'"));
  EXPECT_THAT(
      failure({"predict", "run=run", "input.image=image.mha", "output=x.mha", "infer.planse=9"}, 2),
      HasSubstr("did you mean 'planes'"));
  EXPECT_THAT(failure({"predict", "run=absent", "input.image=image.mha", "output=x.mha"}, 1),
              HasSubstr("resolved.yaml is missing"));
  EXPECT_THAT(failure({"predict", "run=run", "output=x.mha"}, 2), HasSubstr("input"));
}

TEST_F(Predict, RefusesNanImages) {
  Volume volume{at::rand({1, 8, 8, 8}), {.shape = {8, 8, 8}}, "", {}};
  volume.data[0][1][2][3] = std::nan("");
  write_volume((folder_ / "nan.mha").string(), volume);
  EXPECT_THAT(failure({"predict", "run=run", "input.image=nan.mha", "output=x.mha"}, 1),
              HasSubstr("NaN"));
}

TEST_F(Predict, RefusesConstantImages) {
  Volume volume{at::full({1, 8, 8, 8}, 7.0), {.shape = {8, 8, 8}}, "", {}};
  write_volume((folder_ / "constant.mha").string(), volume);
  EXPECT_THAT(failure({"predict", "run=run", "input.image=constant.mha", "output=x.mha"}, 1),
              HasSubstr("expected an image, got 7 in every voxel"));
}

TEST_F(Predict, RefusesAnOutputItCannotWriteBeforeItReads) {
  EXPECT_THAT(failure({"predict", "run=run", "input.image=absent.mha", "output=x.mhaa"}, 1),
              HasSubstr("did you mean '.mha'"));
}

TEST_F(Predict, DrawsNoLabelsBelowZero) {
  Volume labels{at::full({1, 20, 26, 22}, -3, at::kShort), {}, "", {}};
  labels.geometry = read_header((folder_ / "image.mha").string()).geometry;
  write_volume((folder_ / "negative.mha").string(), labels);
  EXPECT_THAT(
      failure({"render", "input.image=image.mha", "input.label=negative.mha", "output=x.png"}, 1),
      HasSubstr("expected labels from 0 to 4095, got -3"));
}

TEST_F(Predict, RefusesAnisotropicVolumesForSeveralPlanes) {
  Volume volume{at::rand({1, 8, 16, 16}), {.shape = {8, 16, 16}}, "", {}};
  volume.geometry.spacing = {0.5, 0.5, 3.0};
  write_volume((folder_ / "thick.mha").string(), volume);
  EXPECT_THAT(
      failure({"predict", "run=run", "input.image=thick.mha", "output=x.mha", "infer.planes=3"}, 1),
      HasSubstr("error[geometry]"));
  const auto single = run_program(
      {"predict", "run=run", "input.image=thick.mha", "output=thick_labels.mha", "infer.planes=1"},
      folder_);
  EXPECT_EQ(single.code, 0) << single.err;
}

TEST_F(Predict, RefusesACheckpointOfAnotherModel) {
  fs::copy(folder_ / "run", folder_ / "other", fs::copy_options::recursive);
  std::string resolved = read_file(folder_ / "other/resolved.yaml");
  const auto width = resolved.find("width: 4");
  ASSERT_NE(width, std::string::npos);
  write_file_atomically(folder_ / "other/resolved.yaml", resolved.replace(width, 8, "width: 8"));
  EXPECT_THAT(failure({"predict", "run=other", "input.image=image.mha", "output=x.mha"}, 1),
              HasSubstr("error[model]"));
}

TEST_F(Predict, RefusesGeometriesAndDimensionsThatDiffer) {
  const auto shape = [](std::int64_t d) {
    return Volume{at::zeros({1, d, 8, 8}, at::kByte), {.shape = {d, 8, 8}}, "", {}};
  };
  write_volume((folder_ / "a.mha").string(), shape(8));
  write_volume((folder_ / "b.mha").string(), shape(6));
  Volume moved = shape(8);
  moved.geometry.origin = {5.0, 0.0, 0.0};
  write_volume((folder_ / "c.mha").string(), moved);
  EXPECT_THAT(failure({"evaluate", "input.prediction=a.mha", "input.reference=b.mha"}, 1),
              HasSubstr("error[geometry]"));
  EXPECT_THAT(failure({"evaluate", "input.prediction=a.mha", "input.reference=c.mha"}, 1),
              HasSubstr("origin"));
}

/// Noisy and clean images with grey values from 1000 to 3000, and a network that changes next to
/// nothing.
TEST(PredictImages, GoBackToTheGreyValuesOfTheFileAndAreComparedWithBaselines) {
  const fs::path folder = fresh_folder("predict_images");
  Volume image{{}, {.shape = {16, 18, 20}}, "ct", {}};
  for (const char* name : {"a", "b"}) {
    const at::Tensor clean = 1500.0 + 1000.0 * at::rand({1, 16, 18, 20}).ge(0.5).to(at::kFloat);
    image.data = clean;
    write_volume((folder / (std::string(name) + "_clean.mha")).string(), image);
    image.data = (clean + 100.0 * at::randn_like(clean)).clamp(1001.0, 2999.0);
    write_volume((folder / (std::string(name) + "_image.mha")).string(), image);
  }
  const auto trained = run_program({"train",
                                    "experiment=enhancement_labct",
                                    "hydra.run.dir=run",
                                    "dataset@datasets.phantoms=volume_files",
                                    "~datasets.phantoms.size",
                                    "+datasets.phantoms.files.image=*_image.mha",
                                    "+datasets.phantoms.files.clean=*_clean.mha",
                                    "datasets.phantoms.splits.validation=[b]",
                                    "datasets.phantoms.harmonise.mode=window",
                                    "datasets.phantoms.harmonise.window=[1000,3000]",
                                    "tasks.restoration.roles.image=image",
                                    "tasks.restoration.roles.clean=clean",
                                    "~tasks.restoration.roles.mask",
                                    "tasks.restoration.mask_classes=[]",
                                    "tasks.restoration.batch_size=2",
                                    "backbone.width=4",
                                    "backbone.depth=2",
                                    "optimizer.lr=1e-9",
                                    "trainer.max_steps=2",
                                    "trainer.validate_every=2"},
                                   folder);
  ASSERT_EQ(trained.code, 0) << trained.err;
  const auto predicted =
      run_program({"predict", "run=run", "input.image=b_image.mha", "output=restored.mha"}, folder);
  ASSERT_EQ(predicted.code, 0) << predicted.err;
  const Volume restored = read_volume((folder / "restored.mha").string());
  EXPECT_TRUE(same_grid(restored.geometry, image.geometry));
  EXPECT_LT((restored.data - image.data).abs().max().item<double>(), 1.0);

  const auto evaluated =
      run_program({"evaluate", "run=run", "split=validation", "compare=true"}, folder);
  ASSERT_EQ(evaluated.code, 0) << evaluated.err;
  for (const char* method : {"input ", "median ", "tv ", "nlm ", "prediction "})
    EXPECT_THAT(evaluated.out, HasSubstr(method));
  EXPECT_THAT(evaluated.out, HasSubstr("psnr"));
}

}  // namespace
}  // namespace triptych
