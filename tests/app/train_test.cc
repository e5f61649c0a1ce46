// SPDX-License-Identifier: Apache-2.0
#include "framework/core/file.h"
#include "framework/core/suggest.h"
#include "framework/learn/checkpoint.h"

#include "tests/app/program.h"
#include "tests/support/scan_files.h"

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <thread>

#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace triptych {
namespace {
namespace fs = std::filesystem;
using testing::fresh_folder;
using ::testing::HasSubstr;
using testing::run_program;
using testing::tiny_quickstart;

std::string checksum(const fs::path& run) { return weights_checksum(run / "checkpoints" / "last"); }

TEST(Train, LeavesACompleteRunDirectory) {
  const fs::path folder = fresh_folder("train_complete");
  const auto finished = run_program(tiny_quickstart("run", {"trainer.overlays=2"}), folder);
  ASSERT_EQ(finished.code, 0) << finished.err;
  for (const char* file : {".hydra/config.yaml",
                           ".hydra/overrides.yaml",
                           ".hydra/hydra.yaml",
                           "resolved.yaml",
                           "run.json",
                           "train.log",
                           "metrics.jsonl",
                           "metrics.csv",
                           "curves.svg",
                           "metrics.svg",
                           "report.html",
                           "result.json",
                           "checkpoints/last/model.safetensors",
                           "checkpoints/last/optimizer.safetensors",
                           "checkpoints/last/state.yaml",
                           "checkpoints/best/model.safetensors",
                           "pictures/implant"}) {
    EXPECT_TRUE(fs::exists(folder / "run" / file)) << file;
  }
  EXPECT_THAT(read_file(folder / "run" / "run.json"), HasSubstr("\"done\""));
  EXPECT_THAT(finished.err, HasSubstr("waiting for the loader"));

  std::vector<std::string> pictures;
  for (const auto& file : fs::directory_iterator(folder / "run/pictures/implant"))
    pictures.push_back(file.path().filename().string());
  EXPECT_EQ(pictures.size(), 4U) << "two items at each of two validations";
  EXPECT_THAT(pictures,
              ::testing::Each(::testing::MatchesRegex(
                  "step_000000[24]_validation_0000_axis[012]_[0-9]+\\.png")));

  const std::string report = read_file(folder / "run" / "report.html");
  for (const char* part :
       {"train_complete/run</title>", "<figcaption>implant: validation_0000_axis"}) {
    EXPECT_NE(report.find(part), std::string::npos) << part;
  }

  const std::string result = read_file(folder / "run" / "result.json");
  EXPECT_THAT(result, HasSubstr("implant/iou/mean"));
  ASSERT_EQ(run_program({"train", "resume=run"}, folder).code, 0);
  EXPECT_EQ(read_file(folder / "run" / "result.json"), result) << "nothing was left to train";
}

TEST(Train, GivesTheSameWeightsForAnyNumberOfLoaderThreads) {
  const fs::path folder = fresh_folder("train_threads");
  std::vector<std::string> sums;
  for (const char* threads : {"0", "1", "4"}) {
    const auto finished =
        run_program(tiny_quickstart(std::string("run") + threads,
                                    {std::string("trainer.loader.threads=") + threads}),
                    folder);
    ASSERT_EQ(finished.code, 0) << finished.err;
    sums.push_back(checksum(folder / (std::string("run") + threads)));
  }
  EXPECT_EQ(sums[0], sums[1]);
  EXPECT_EQ(sums[0], sums[2]);
}

TEST(Train, RepeatsARunFromItsResolvedConfiguration) {
  const fs::path folder = fresh_folder("train_repeat");
  ::setenv("TRIPTYCH_TEST_SEED", "41", 1);
  const std::vector<std::string> words =
      tiny_quickstart("first",
                      {"seed='${oc.decode:${oc.env:TRIPTYCH_TEST_SEED}}'",
                       "+infer.scratch='/tmp/${now:%H%M%S}_\\${text}'"});
  const auto first = run_program(words, folder);
  ::unsetenv("TRIPTYCH_TEST_SEED");
  ASSERT_EQ(first.code, 0) << first.err;
  const auto again = run_program(
      {"train", "--config-dir", "first", "--config-name", "resolved", "hydra.run.dir=second"},
      folder);
  ASSERT_EQ(again.code, 0) << again.err;
  EXPECT_EQ(checksum(folder / "first"), checksum(folder / "second"));
  const auto value_of = [&](const char* run, const std::string& key) {
    const std::string text = read_file(folder / run / "resolved.yaml");
    const std::size_t begin = text.find("\n" + key);
    return text.substr(begin, text.find('#', begin) - begin);
  };
  EXPECT_THAT(value_of("first", "seed:"), HasSubstr("41"));
  EXPECT_EQ(value_of("first", "  scratch:"), value_of("second", "  scratch:"));
}

TEST(Train, GoesOnBitForBitAfterAKill) {
  const fs::path folder = fresh_folder("train_kill");
  const std::vector<std::string> longer = {
      "trainer.max_steps=60", "trainer.validate_every=20", "trainer.checkpoint_every=5"};
  ASSERT_EQ(run_program(tiny_quickstart("whole", longer), folder).code, 0);

  const pid_t process = testing::start_program(tiny_quickstart("killed", longer), folder);
  const fs::path checkpoint = folder / "killed" / "checkpoints" / "last" / "state.yaml";
  for (int i = 0; i < 600 && !fs::exists(checkpoint); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  ::kill(process, SIGKILL);
  const int code = testing::wait_for(process);
  if (code == 0) GTEST_SKIP() << "the run was faster than the kill";
  const auto resumed = run_program({"train", "resume=killed"}, folder);
  ASSERT_EQ(resumed.code, 0) << resumed.err;
  EXPECT_EQ(checksum(folder / "whole"), checksum(folder / "killed"));
}

TEST(Train, SavesAndAsksToBeQueuedAgainOnSigterm) {
  const fs::path folder = fresh_folder("train_term");
  const pid_t process = testing::start_program(
      tiny_quickstart("run", {"trainer.max_steps=100000", "trainer.checkpoint_every=5"}), folder);
  for (int i = 0; i < 600 && !fs::exists(folder / "run/checkpoints/last/state.yaml"); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  const auto beside = run_program({"train", "resume=run"}, folder);
  EXPECT_EQ(beside.code, 1);
  EXPECT_THAT(beside.err, HasSubstr("run: another process is writing to this folder"));
  ::kill(process, SIGTERM);
  EXPECT_EQ(testing::wait_for(process), 75);
  EXPECT_THAT(read_file(folder / "background.log"), HasSubstr("resume=run"));
  EXPECT_THAT(read_file(folder / "run" / "run.json"), HasSubstr("\"stopped\""));
  const auto again = run_program(tiny_quickstart("run"), folder);
  EXPECT_EQ(again.code, 2);
  EXPECT_THAT(again.err, HasSubstr("holds a run already"));
}

TEST(Train, KeepsTheResultsOfAFinishedRunThatIsResumed) {
  const fs::path folder = fresh_folder("train_finished");
  ASSERT_EQ(run_program(tiny_quickstart("run"), folder).code, 0);
  const std::string result = read_file(folder / "run/result.json");
  EXPECT_THAT(result, HasSubstr("implant/iou/mean"));
  ASSERT_EQ(run_program({"train", "resume=run/"}, folder).code, 0);
  EXPECT_EQ(read_file(folder / "run/result.json"), result);
  EXPECT_THAT(read_file(folder / "run/report.html"), HasSubstr("train_finished/run</title>"));

  // Killed between the two renames that replace a checkpoint.
  fs::remove_all(folder / "run/checkpoints/best");
  fs::rename(folder / "run/checkpoints/last", folder / "run/checkpoints/.7.last.previous");
  EXPECT_THAT(run_program(tiny_quickstart("run"), folder).err, HasSubstr("holds a run already"));
  write_file_atomically(folder / "run/resolved.yaml", "");
  EXPECT_THAT(run_program({"train", "resume=run"}, folder).err,
              HasSubstr("run/resolved.yaml: expected the configuration of a run"));
}

TEST(Train, GoesOnWhenNobodyReadsItsMessages) {
  const fs::path folder = fresh_folder("train_unread");
  const auto shell = [&](const char* run, const std::string& redirection) {
    const std::string command = fmt::format("cd '{}' && '{}' '{}' {}",
                                            folder.string(),
                                            TRIPTYCH_PROGRAM,
                                            join(tiny_quickstart(run), "' '", ""),
                                            redirection);
    return WEXITSTATUS(std::system(command.c_str()));
  };
  EXPECT_EQ(shell("closed", ">&- 2>&-"), 0);
  EXPECT_EQ(read_file(folder / "closed/.lock"), "") << "messages went into the first file";
  EXPECT_EQ(shell("piped", "2>&1 | true"), 0);
  EXPECT_THAT(read_file(folder / "piped/run.json"), HasSubstr("\"done\""));
  EXPECT_EQ(shell("full", ">/dev/full"), 1);
}

/// A scan of noise: 24 projections of 4 rows of 32 pixels.
void write_scan_of_noise(const fs::path& file) {
  testing::ScanFile scan(file.string());
  scan.dataset("/exchange/data", at::rand({24, 4, 32}) * 200.0 + 400.0);
  scan.dataset("/exchange/data_white", at::full({2, 4, 32}, 1000.0F));
  scan.dataset("/exchange/data_dark", at::zeros({2, 4, 32}));
  scan.dataset("/exchange/theta", at::arange(24, at::kDouble).mul_(7.5));
}

TEST(Train, RunsEveryRecipeForTwoSteps) {
  const fs::path folder = fresh_folder("train_recipes");
  ASSERT_EQ(run_program({"generate",
                         "dataset.size=[24,24,24]",
                         "dataset.train=2",
                         "dataset.validation=1",
                         "dataset.test=1",
                         "output=data"},
                        folder)
                .code,
            0);
  for (const auto& file :
       fs::directory_iterator(fs::path(TRIPTYCH_SOURCE_DIR) / "experiments" / "experiment")) {
    const std::string name = file.path().stem().string();
    std::vector<std::string> words = {"train",
                                      "experiment=" + name,
                                      "hydra.run.dir=" + name,
                                      "trainer.max_steps=2",
                                      "trainer.validate_every=2",
                                      "trainer.precision=float32",
                                      "backbone.width=4",
                                      "backbone.depth=2"};
    if (name == "quickstart") words.push_back("datasets.phantoms.size=[24,24,24]");
    if (name == "enhancement_labct")
      words.insert(words.end(),
                   {"datasets.phantoms.size=[32,32,32]",
                    "tasks.restoration.batch_size=2",
                    "tasks.restoration.validation_items=4"});
    if (name == "reconstruction_sparse")
      words.insert(words.end(), {"datasets.shapes.size=[1,32,32]", "datasets.shapes.validation=1"});
    if (name == "metal_reduction")
      words.insert(words.end(), {"datasets.slices.size=[1,32,32]", "datasets.slices.validation=1"});
    if (name == "metal_reduction_ct")
      words.insert(words.end(),
                   {"+datasets.slices.files.image=data/*/srct.nii.gz",
                    "datasets.slices.splits.validation_fraction=0.25",
                    "tasks.reconstruction.batch_size=2"});
    if (name == "noise2inverse_scan") {
      write_scan_of_noise(folder / "scan.h5");
      words.insert(words.end(),
                   {"datasets.scan.scans=[{projections: scan.h5, rows: [0, 2]}, {projections: "
                    "scan.h5, rows: [3, 3], split: validation}]",
                    "datasets.scan.centre=15.5"});
    }
    if (name == "srct_baseline")
      words.insert(words.end(),
                   {"datasets.samples.size=[16,32,32]",
                    "tasks.implant.transforms.0.size=[32,32]",
                    "tasks.implant.batch_size=2"});
    if (name == "volume_segmentation") {
      words.insert(words.end(),
                   {"--config-dir",
                    "data",
                    "dataset@datasets.volumes=generated",
                    "tasks.segmentation.head.num_classes=4",
                    "tasks.segmentation.roles.image=srct",
                    "tasks.segmentation.batch_size=2"});
    }
    if (name == "registration_phantom")
      words.insert(words.end(), {"datasets.phantoms.size=[16,16,16]", "datasets.phantoms.train=2"});
    if (name == "joint_implant")  // a moving image on a grid of its own; studies take lab-CT
      words.insert(words.end(),
                   {"tasks.registration.roles.moving=followup_mri",
                    "tasks.registration.roles.moving_label=followup_mri_label"});
    if (name == "registration_labels" || name == "registration_features" ||
        name == "canonical_frame")
      words.insert(words.end(),
                   {"datasets.labels.size=[16,16,16]", "datasets.labels.validation=1"});
    if (name == "canonical_frame_labels")  // images in place of the label maps
      words.insert(words.end(),
                   {"dataset@datasets.labels=random_labels",
                    "~datasets.labels.files",
                    "~datasets.labels.label_entries",
                    "~datasets.labels.splits",
                    "~datasets.labels.harmonise",
                    "datasets.labels.size=[16,16,16]",
                    "datasets.labels.train=2",
                    "datasets.labels.validation=1"});
    if (name == "joint_brain_structures")
      words.insert(words.end(),
                   {"dataset@datasets.others=random_labels",
                    "~datasets.others.files",
                    "~datasets.others.splits",
                    "~datasets.others.harmonise",
                    "datasets.others.classes=4",
                    "datasets.others.size=[2,16,16]",
                    "datasets.others.train=1",
                    "datasets.others.validation=1",
                    "datasets.others.test=1",
                    "tasks.structures.sampling.axes=[0]",
                    "tasks.structures.head.num_classes=4"});
    if (name.starts_with("joint_brain") || name == "study_brain")
      words.insert(words.end(),
                   {"dataset@datasets.subjects=random_labels",
                    "~datasets.subjects.files",
                    "~datasets.subjects.splits",
                    "~datasets.subjects.harmonise",
                    "datasets.subjects.classes=3",
                    "datasets.subjects.size=[2,16,16]",
                    "datasets.subjects.train=2",
                    "datasets.subjects.validation=1",
                    "datasets.subjects.test=1",
                    "tasks.segmentation.sampling.axes=[0]",
                    "tasks.registration.sampling.axes=[0]",
                    "tasks.segmentation.head.num_classes=3"});
    if (name == "registration_slabs")
      words.insert(words.end(),
                   {"dataset@datasets.pairs.of=random_labels",
                    "~datasets.pairs.of.files",
                    "~datasets.pairs.of.splits",
                    "~datasets.pairs.of.harmonise",
                    "datasets.pairs.of.classes=3",
                    "datasets.pairs.of.size=[8,16,16]",
                    "datasets.pairs.of.train=2",
                    "datasets.pairs.of.validation=1"});
    const auto finished = run_program(words, folder);
    EXPECT_EQ(finished.code, 0) << name << ": " << finished.err;
  }
}

TEST(Train, LearnsToFitOneSample) {
  const fs::path folder = fresh_folder("train_overfit");
  const auto finished = run_program(tiny_quickstart("run",
                                                    {"datasets.phantoms.train=1",
                                                     "tasks.implant.transforms=[]",
                                                     "tasks.implant.batch_size=8",
                                                     "backbone.width=8",
                                                     "trainer.max_steps=150",
                                                     "trainer.validate_every=150",
                                                     "optimizer.lr=5e-3"}),
                                    folder);
  ASSERT_EQ(finished.code, 0) << finished.err;
  std::ifstream csv(folder / "run" / "metrics.csv");
  std::string header, line, first, last;
  std::getline(csv, header);
  ASSERT_TRUE(header.starts_with("step,epoch,phase,loss/train")) << header;
  const auto loss_of = [](const std::string& row) {
    std::size_t comma = 0;
    for (int i = 0; i < 3; ++i) comma = row.find(',', comma) + 1;
    return std::stod(row.substr(comma));
  };
  while (std::getline(csv, line)) {
    if (line.find("train") == std::string::npos) continue;
    if (first.empty()) first = line;
    last = line;
  }
  EXPECT_LT(loss_of(last), 0.5 * loss_of(first));
}

}  // namespace
}  // namespace triptych
