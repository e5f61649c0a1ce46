// SPDX-License-Identifier: Apache-2.0
#include "framework/report/run_record.h"

#include "framework/core/error.h"
#include "framework/core/file.h"
#include "framework/report/machine.h"

#include "tests/report/scratch.h"

#include <cstdlib>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace triptych {
namespace {

using nlohmann::json;
using testing::MatchesRegex;

RunSetup sample_setup() {
  RunSetup setup;
  setup.build = {.version = "0.1.0",
                 .git_commit = "0123abc",
                 .git_dirty = true,
                 .build_type = "Release",
                 .compiler = "GNU 12.2.0",
                 .libraries = {{"itk", "5.2.1"}, {"torch", "1.13.1"}}};
  setup.command_line = {"triptych", "train", "experiment=quickstart"};
  setup.threads = 2;
  setup.seed = 18446744073709551615u;
  setup.config_sha256 = "aa";
  return setup;
}

json read_json(const std::filesystem::path& path) { return json::parse(read_file(path)); }

TEST(RunRecord, SaysWhereWithWhatAndSinceWhenItRuns) {
  const ScratchFolder scratch;
  const RunRecord record(scratch / "run/run.json", sample_setup());
  const json content = read_json(scratch / "run/run.json");
  EXPECT_EQ(content["schema_version"], RunRecord::kSchemaVersion);
  EXPECT_EQ(content["status"], "running");
  EXPECT_TRUE(content["end"].is_null());
  EXPECT_THAT(content["start"].get<std::string>(),
              MatchesRegex("[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z"));
  EXPECT_EQ(content["command_line"][1], "train");
  EXPECT_EQ(content["seed"].get<std::uint64_t>(), 18446744073709551615u);
  EXPECT_EQ(content["build"]["libraries"]["torch"], "1.13.1");
  EXPECT_EQ(content["build"]["git_dirty"], true);
  EXPECT_GE(content["machine"]["usable_cores"], 1);
  EXPECT_GT(content["machine"]["memory_bytes"].get<std::uint64_t>(), 1u << 20);
  EXPECT_GT(content["peak_memory_bytes"].get<std::uint64_t>(), 1u << 20);
  EXPECT_TRUE(content["parent_run"].is_null());
}

TEST(RunRecord, RecordsDataFilesAndOutputsOnce) {
  const ScratchFolder scratch;
  std::ofstream(scratch / "volume.nii") << "12345";
  RunRecord record(scratch / "run.json", sample_setup());
  for (int repeat = 0; repeat < 2; ++repeat) {
    record.add_data_file("bones", scratch / "volume.nii", "feed");
    record.add_output(scratch / "checkpoints/best");
    record.add_output("/somewhere/else.nii");
  }
  record.note("gpu", "none");
  record.write();
  const json content = read_json(scratch / "run.json");
  ASSERT_EQ(content["data_files"].size(), 1u);
  EXPECT_EQ(content["data_files"][0]["size"], 5);
  EXPECT_EQ(content["data_files"][0]["sha256"], "feed");
  EXPECT_EQ(content["outputs"], (json{"checkpoints/best", "/somewhere/else.nii"}));
  EXPECT_EQ(content["notes"]["gpu"], "none");
}

TEST(RunRecord, MissingDataFileIsAnError) {
  const ScratchFolder scratch;
  RunRecord record(scratch / "run.json", sample_setup());
  EXPECT_THROW(record.add_data_file("bones", scratch / "none.nii"), Error);
}

TEST(RunRecord, FinishSaysHowItEnded) {
  const ScratchFolder scratch;
  {
    RunRecord record(scratch / "run.json", sample_setup());
    record.finish(RunStatus::kStopped, 75, "SIGTERM");
  }
  const json content = read_json(scratch / "run.json");
  EXPECT_EQ(content["status"], "stopped");
  EXPECT_EQ(content["exit_code"], 75);
  EXPECT_EQ(content["message"], "SIGTERM");
  EXPECT_GE(content["duration_s"].get<double>(), 0);
}

TEST(RunRecord, AnExceptionOnTheWayLeavesFailed) {
  const ScratchFolder scratch;
  try {
    const RunRecord record(scratch / "run.json", sample_setup());
    throw data_error("broken");
  } catch (const Error&) {
  }
  EXPECT_EQ(read_json(scratch / "run.json")["status"], "failed");
}

TEST(RunRecord, ResumingKeepsEarlierAttemptsAndOutputs) {
  const ScratchFolder scratch;
  for (int attempt = 0; attempt < 3; ++attempt) {
    RunRecord record(scratch / "run.json", sample_setup(), /*resume=*/true);
    record.add_output(scratch / ("file" + std::to_string(attempt)));
    record.finish(RunStatus::kStopped, 75);
  }
  const json content = read_json(scratch / "run.json");
  ASSERT_EQ(content["earlier_attempts"].size(), 2u);
  EXPECT_EQ(content["earlier_attempts"][0]["status"], "stopped");
  EXPECT_EQ(content["earlier_attempts"][0]["git_commit"], "0123abc");
  EXPECT_EQ(content["outputs"].size(), 3u);
}

TEST(RunRecord, ResumingOverAForeignFileIsAnError) {
  const ScratchFolder scratch;
  std::ofstream(scratch / "run.json") << "[1, 2]";
  EXPECT_THROW(RunRecord(scratch / "run.json", sample_setup(), /*resume=*/true), Error);
  EXPECT_EQ(read_file(scratch / "run.json"), "[1, 2]");
}

TEST(Machine, PicksTheVariablesOfTheBatchSystem) {
  ::setenv("SLURM_JOB_ID", "4711", 1);
  ::setenv("SLURM_UNRELATED", "x", 1);
  const auto environment = batch_environment();
  ::unsetenv("SLURM_JOB_ID");
  ::unsetenv("SLURM_UNRELATED");
  EXPECT_EQ(environment.at("SLURM_JOB_ID"), "4711");
  EXPECT_FALSE(environment.contains("SLURM_UNRELATED"));
}

TEST(Rfc3339, AgreesWithKnownInstants) {
  EXPECT_EQ(rfc3339(0), "1970-01-01T00:00:00.000Z");
  EXPECT_EQ(rfc3339(1709210096.75), "2024-02-29T12:34:56.750Z");
}

}  // namespace
}  // namespace triptych
