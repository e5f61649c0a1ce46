// SPDX-License-Identifier: Apache-2.0
#include "framework/core/file.h"

#include "tests/app/program.h"

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

}  // namespace
}  // namespace triptych
