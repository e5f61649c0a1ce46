// SPDX-License-Identifier: Apache-2.0
// Enhancement from the command line: weights of an earlier run, figures of quality, finer grids.
#include "framework/core/file.h"
#include "framework/image/io.h"

#include "tests/app/program.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace triptych {
namespace {
namespace fs = std::filesystem;
using ::testing::HasSubstr;

std::vector<std::string> tiny_enhancement(const std::string& run, std::vector<std::string> more) {
  std::vector<std::string> words = {"train",
                                    "experiment=enhancement_labct",
                                    "hydra.run.dir=" + run,
                                    "device=cpu",
                                    "datasets.phantoms.size=[32,32,32]",
                                    "datasets.phantoms.train=2",
                                    "datasets.phantoms.validation=1",
                                    "tasks.restoration.batch_size=2",
                                    "tasks.restoration.validation_items=2",
                                    "backbone.width=4",
                                    "backbone.depth=2",
                                    "trainer.max_steps=2",
                                    "trainer.validate_every=2",
                                    "trainer.overlays=0"};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

TEST(Transfer, StartsEnhancementFromASegmentationRun) {
  const fs::path folder = testing::fresh_folder("transfer");
  const auto segmentation = testing::run_program(testing::tiny_quickstart("bone"), folder);
  ASSERT_EQ(segmentation.code, 0) << segmentation.err;
  const auto enhancement = testing::run_program(
      tiny_enhancement("labct", {"initialise=[{run: bone, parts: [sharing]}]"}), folder);
  ASSERT_EQ(enhancement.code, 0) << enhancement.err;
  EXPECT_THAT(enhancement.err, HasSubstr("tensors from bone/checkpoints/best"));
  EXPECT_THAT(enhancement.err,
              HasSubstr("as initialised by the seed: 2 (head_restoration.image.bias, "
                        "head_restoration.image.weight)"));
  const std::string report = read_file(folder / "labct/initialised.json");
  EXPECT_THAT(report, HasSubstr("\"sharing.column."));
  EXPECT_THAT(report, HasSubstr("\"head_implant."));
  const std::string record = read_file(folder / "labct/run.json");
  EXPECT_THAT(record, HasSubstr("\"parent_run\": \"bone\""));
  EXPECT_THAT(record, HasSubstr("initialised.json"));

  fs::rename(folder / "bone", folder / "moved");
  const auto resumed = testing::run_program({"train", "resume=labct"}, folder);
  EXPECT_EQ(resumed.code, 0) << "a resumed run does not initialise again: " << resumed.err;
  const auto missing =
      testing::run_program(tiny_enhancement("other", {"initialise=[{run: bone}]"}), folder);
  EXPECT_EQ(missing.code, 1);
  EXPECT_THAT(missing.err, HasSubstr("initialise[0]: 'bone' is no run directory"));
  const auto wider = testing::run_program(
      tiny_enhancement("wider", {"backbone.width=6", "initialise=[{run: moved}]"}), folder);
  EXPECT_EQ(wider.code, 1);
  EXPECT_THAT(wider.err, HasSubstr("fits the model by name and shape"));
}

void write_scan(const fs::path& file) {
  Volume volume{at::rand({1, 10, 24, 22}), {}, "labct", {}};
  volume.geometry.shape = {10, 24, 22};
  volume.geometry.spacing = {0.4, 0.4, 0.4};
  volume.geometry.origin = {1.0, 2.0, 3.0};
  write_volume(file.string(), volume);
}

TEST(Enhancement, WritesFiguresOfQualityAndTheAdversarysScore) {
  const fs::path folder = testing::fresh_folder("quality");
  const auto trained =
      testing::run_program(tiny_enhancement("run",
                                            {"+adversary@tasks.restoration.adversary="
                                             "patch_discriminator",
                                             "tasks.restoration.adversary.width=4",
                                             "tasks.restoration.adversary.layers=2"}),
                           folder);
  ASSERT_EQ(trained.code, 0) << trained.err;
  write_scan(folder / "scan.mha");
  const auto predicted = testing::run_program(
      {"predict", "run=run", "input.image=scan.mha", "output=out.mha"}, folder);
  ASSERT_EQ(predicted.code, 0) << predicted.err;
  const std::string figures = read_file(folder / "out.mha.quality.json");
  for (const char* part :
       {"\"input\"", "\"output\"", "\"noise\"", "\"streak_index\"", "\"adversary_score\""})
    EXPECT_THAT(figures, HasSubstr(part));
  EXPECT_THAT(figures, HasSubstr("\"voxels\": 5280"));
}

TEST(Enhancement, PredictsAFinerGrid) {
  const fs::path folder = testing::fresh_folder("finer");
  const auto trained =
      testing::run_program(tiny_enhancement("run",
                                            {"tasks.restoration.head.upsample=[1,2,2]",
                                             "tasks.restoration.roles={image: labct, "
                                             "clean: srct_clean, mask: label}",
                                             "trainer.overlays=1"}),
                           folder);
  ASSERT_EQ(trained.code, 0) << trained.err;
  write_scan(folder / "scan.mha");
  const std::vector<std::string> words = {
      "predict", "run=run", "input.image=scan.mha", "output=out.mha"};
  const auto refused = testing::run_program(words, folder);
  EXPECT_EQ(refused.code, 2);
  EXPECT_THAT(refused.err, HasSubstr("infer.planes: the task predicts pixels finer"));
  std::vector<std::string> along_slices = words;
  along_slices.emplace_back("infer.planes=1");
  const auto predicted = testing::run_program(along_slices, folder);
  ASSERT_EQ(predicted.code, 0) << predicted.err;
  const Geometry grid = read_header((folder / "out.mha").string()).geometry;
  EXPECT_EQ(grid.shape, (Index3{10, 48, 44}));
  EXPECT_TRUE(grid.spacing.isApprox(Eigen::Vector3d(0.2, 0.2, 0.4)));
  EXPECT_TRUE(grid.origin.isApprox(Eigen::Vector3d(0.9, 1.9, 3.0)));
  const auto evaluated =
      testing::run_program({"evaluate", "run=run", "infer.planes=1", "output=scores"}, folder);
  EXPECT_EQ(evaluated.code, 0) << evaluated.err;
  EXPECT_THAT(evaluated.out, HasSubstr("psnr"));
}

}  // namespace
}  // namespace triptych
