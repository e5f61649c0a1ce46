// SPDX-License-Identifier: Apache-2.0
#include "framework/core/file.h"
#include "framework/learn/checkpoint.h"

#include "tests/app/program.h"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <fstream>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace triptych {
namespace {
namespace fs = std::filesystem;
using testing::fresh_folder;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::run_program;
using testing::tiny_quickstart;

std::vector<std::string> tiny_sweep(std::vector<std::string> more) {
  more.insert(more.begin(), {"-m", "hydra.sweep.dir=sweep"});
  std::vector<std::string> words = tiny_quickstart("unused", more);
  std::erase_if(words, [](const std::string& word) { return word.starts_with("hydra.run.dir"); });
  return words;
}

TEST(Sweep, RunsEveryCombinationAndTabulatesIt) {
  const fs::path folder = fresh_folder("sweep");
  const std::vector<std::string> words =
      tiny_sweep({"seed=1,2", "optimizer.lr=1e-3,1e-2", "--jobs", "2"});
  const auto finished = run_program(words, folder);
  ASSERT_EQ(finished.code, 0) << finished.err;
  EXPECT_TRUE(fs::exists(folder / "sweep/multirun.yaml"));
  for (const char* job : {"0", "1", "2", "3"})
    EXPECT_TRUE(fs::exists(folder / "sweep" / job / ".hydra/overrides.yaml")) << job;
  const std::string table = read_file(folder / "sweep/results.md");
  EXPECT_THAT(table, HasSubstr("seed=2 optimizer.lr=0.01"));
  EXPECT_THAT(table, Not(HasSubstr("experiment=quickstart")))
      << "words that all jobs share say nothing";
  EXPECT_THAT(read_file(folder / "sweep/results.json"), HasSubstr("implant/iou/mean"));

  const auto again = run_program(words, folder);
  EXPECT_EQ(again.code, 0);
  EXPECT_THAT(again.err, HasSubstr("job 3 was done before"));

  const auto other = run_program(tiny_sweep({"seed=3,4", "optimizer.lr=1e-3,1e-2"}), folder);
  EXPECT_EQ(other.code, 2);
  EXPECT_THAT(other.err, HasSubstr("job of other words, expected seed=3, got seed=1"));
}

TEST(Sweep, ComparesTheArmsOfAStudy) {
  const fs::path folder = fresh_folder("sweep_study");
  const auto finished = run_program(
      tiny_sweep(
          {"+study.arm=single,wide", "seed=1,2", "trainer.test=true", "trainer.max_steps=2"}),
      folder);
  ASSERT_EQ(finished.code, 0) << finished.err;
  EXPECT_THAT(finished.out, HasSubstr("Delta_m"));
  const std::string table = read_file(folder / "sweep/comparison.md");
  EXPECT_THAT(table, HasSubstr("implant/iou/mean"));
  EXPECT_THAT(table, HasSubstr("| wide | 2 |"));
  EXPECT_TRUE(fs::exists(folder / "sweep/comparison.html"));
  EXPECT_THAT(read_file(folder / "sweep/0/test.json"), HasSubstr("\"main_metric\": \"iou/mean\""));

  std::ofstream(folder / "sweep/1/test.json") << "{}";
  const auto broken = run_program(
      tiny_sweep(
          {"+study.arm=single,wide", "seed=1,2", "trainer.test=true", "trainer.max_steps=2"}),
      folder);
  EXPECT_EQ(broken.code, 1);
  EXPECT_THAT(broken.err, HasSubstr("1/test.json: expected the scores of a test"));
}

TEST(Sweep, RefusesAReferenceThatNoJobHas) {
  const fs::path folder = fresh_folder("sweep_reference");
  const auto refused = run_program(
      tiny_sweep({"+study.arm=single,wide", "+study.reference=singel", "trainer.test=true"}),
      folder);
  EXPECT_EQ(refused.code, 2);
  EXPECT_THAT(refused.err,
              HasSubstr("study.reference: no job of the sweep has the arm 'singel'; did you mean "
                        "'single'? Arms: single, wide"));
  EXPECT_FALSE(fs::exists(folder / "sweep"));
}

TEST(Sweep, NamesTheArmsWithoutScores) {
  const fs::path folder = fresh_folder("sweep_left_out");
  const std::vector<std::string> words =
      tiny_sweep({"+study.arm=plain,wild", "trainer.test=true", "trainer.max_steps=2"});
  const auto finished = run_program(words, folder);
  EXPECT_THAT(finished.err, HasSubstr("no job of the sweep has the arm 'single'"));
  fs::remove(folder / "sweep/1/test.json");
  const auto again = run_program(words, folder);
  EXPECT_THAT(again.out, HasSubstr("Left out: sweep/1, arm 'wild', which has no scores"));
  EXPECT_THAT(read_file(folder / "sweep/comparison.md"), HasSubstr("arm 'wild'"));
}

TEST(Sweep, GoesOnWhenAJobFailsAndSaysSo) {
  const fs::path folder = fresh_folder("sweep_failure");
  const auto finished = run_program(
      tiny_sweep({"optimizer.lr=1e30,1e-3", "hydra.sweep.subdir=${hydra.job.num}_lr"}), folder);
  EXPECT_EQ(finished.code, 1);
  EXPECT_THAT(finished.err, HasSubstr("job 0 ended with exit code 1: optimizer.lr=1e+30"));
  EXPECT_THAT(finished.err, HasSubstr("job 1 ended with exit code 0"));
  EXPECT_THAT(read_file(folder / "sweep/0_lr/run.json"), HasSubstr("\"failed\""));
}

TEST(Sweep, RefusesWhatWouldRunNothing) {
  const fs::path folder = fresh_folder("sweep_nothing");
  const auto empty = run_program(tiny_sweep({"seed=range(5,5)"}), folder);
  EXPECT_EQ(empty.code, 2);
  EXPECT_THAT(empty.err, HasSubstr("the sweep has no job"));
  const auto jobs = run_program(tiny_quickstart("run", {"--jobs", "2"}), folder);
  EXPECT_EQ(jobs.code, 2);
  EXPECT_THAT(jobs.err, HasSubstr("--multirun is missing"));
  const auto check = run_program(tiny_quickstart("run", {"--check"}), folder);
  EXPECT_EQ(check.code, 2);
  EXPECT_THAT(check.err, HasSubstr("train: --check has no effect"));
  EXPECT_FALSE(fs::exists(folder / "run"));
  EXPECT_FALSE(fs::exists(folder / "sweep"));
}

TEST(Sweep, RefusesJobsThatShareAFolder) {
  const fs::path folder = fresh_folder("sweep_folder");
  const auto finished = run_program(tiny_sweep({"seed=1,2", "hydra.sweep.subdir=all"}), folder);
  EXPECT_EQ(finished.code, 2);
  EXPECT_THAT(finished.err, HasSubstr("jobs 0 and 1 would both write 'sweep/all'"));
  EXPECT_FALSE(fs::exists(folder / "sweep"));
}

TEST(Sweep, FinishesAfterAKillAsIfNothingHadHappened) {
  const fs::path folder = fresh_folder("sweep_kill");
  const std::vector<std::string> words =
      tiny_sweep({"seed=1,2", "trainer.max_steps=60", "trainer.validate_every=60"});
  const pid_t process = testing::start_program(words, folder);
  for (int i = 0; i < 600 && !fs::exists(folder / "sweep/1/checkpoints/last/state.yaml"); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  ::kill(process, SIGKILL);
  if (testing::wait_for(process) == 0) GTEST_SKIP() << "the sweep was faster than the kill";
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  EXPECT_THAT(read_file(folder / "sweep/1/run.json"), Not(HasSubstr("\"done\"")))
      << "a job ends with its sweep";

  const auto again = run_program(words, folder);
  ASSERT_EQ(again.code, 0) << again.err;
  EXPECT_THAT(again.err, HasSubstr("job 0 was done before"));
  EXPECT_THAT(again.err, HasSubstr("continuing sweep/1"));
  ASSERT_EQ(
      run_program(
          tiny_quickstart("whole", {"seed=2", "trainer.max_steps=60", "trainer.validate_every=60"}),
          folder)
          .code,
      0);
  EXPECT_EQ(weights_checksum(folder / "sweep/1/checkpoints/last"),
            weights_checksum(folder / "whole/checkpoints/last"));
}

}  // namespace
}  // namespace triptych
