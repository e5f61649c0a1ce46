// SPDX-License-Identifier: Apache-2.0
#include "framework/config/compose.h"

#include "framework/config/run_layout.h"
#include "framework/config/yaml_reader.h"
#include "framework/core/error.h"

#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace triptych::config {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class Compose : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "triptych_compose_XXXXXX").string();
    folder_ = mkdtemp(pattern.data());
    write("config.yaml", "defaults:\n- optimizer: adam\n- experiment: null\nseed: 0\n");
    write("optimizer/adam.yaml", "lr: 0.1\n");
    write("optimizer/sgd.yaml", "lr: 0.2\n");
    write("experiment/wrong.yaml", "# @package _global_\ndefaults:\n- override /optimiser: sgd\n");
  }
  void TearDown() override { fs::remove_all(folder_); }

  void write(const std::string& name, const std::string& text) const {
    fs::create_directories((folder_ / name).parent_path());
    std::ofstream(folder_ / name) << text;
  }
  ComposeRequest request(std::vector<std::string> words) const {
    ComposeRequest request;
    request.search_path = {{folder_, "test"}};
    request.overrides = std::move(words);
    request.now = 1706700000;
    return request;
  }
  std::string error_of(std::vector<std::string> words) const {
    try {
      compose(request(std::move(words)));
    } catch (const ConfigError& error) {
      return error.category() + ": " + error.what() + " | " + error.hint();
    }
    return "";
  }

  fs::path folder_;
};

TEST_F(Compose, TellsTheOptionsOfAGroup) {
  EXPECT_THAT(error_of({"seed=1", "optimizer=sdg"}),
              ::testing::AllOf(HasSubstr("config_not_found: command line, word 2: no configuration "
                                         "'optimizer/sdg'; did you mean 'sgd'?"),
                               HasSubstr("Options of 'optimizer': adam, sgd"),
                               HasSubstr("Search path: ")));
}

TEST_F(Compose, TellsFileAndLineOfAnUnusedOverride) {
  EXPECT_THAT(error_of({"experiment=wrong"}),
              ::testing::AllOf(HasSubstr("experiment/wrong.yaml:3:3: 'override /optimiser'"),
                               HasSubstr("did you mean 'optimizer'?")));
}

TEST_F(Compose, TellsTheKeysThereAre) {
  EXPECT_THAT(error_of({"optimizer.lf=1"}),
              HasSubstr("key_not_found: command line, word 1 'optimizer.lf=1': there is no key "
                        "'optimizer.lf'; did you mean 'lr'? "
                        "Known keys of 'optimizer': lr | to add it write +optimizer.lf=1"));
}

TEST_F(Compose, KnowsWhereEachValueComesFrom) {
  const Composition composition = compose(request({"optimizer=sgd", "seed=4"}));
  EXPECT_THAT(composition.config.at("optimizer.lr").mark().text(),
              ::testing::EndsWith("optimizer/sgd.yaml:1:5"));
  EXPECT_EQ(composition.config.at("seed").mark().text(), "command line, word 2");
  EXPECT_EQ(composition.choices.at("optimizer"), "sgd");
}

TEST_F(Compose, NamesRunFoldersAsHydra) {
  const Composition composition =
      compose(request({"seed=4", "hydra.job.config.override_dirname.exclude_keys=[x]"}));
  EXPECT_THAT(run_directory(composition).string(),
              ::testing::MatchesRegex("outputs/2024-01-31/[0-9][0-9]-[0-9][0-9]-00"));
  const Composition named = compose(request(
      {"seed=4", "+a.b=x", "hydra.run.dir=runs/${hydra.job.override_dirname}/${hydra:job.name}"}));
  EXPECT_EQ(run_directory(named), "runs/+a.b=x,seed=4/triptych");
}

TEST_F(Compose, WritesTheFilesOfARun) {
  Composition composition = compose(request({"+x=${seed}", "hydra.verbose=true"}));
  write_run_files(composition, folder_ / "run");
  const Node config = read_yaml_file((folder_ / "run/.hydra/config.yaml").string());
  EXPECT_EQ(config.at("x").as_string(), "${seed}");
  EXPECT_EQ(config.find("hydra"), nullptr);
  EXPECT_TRUE(read_yaml_file((folder_ / "run/.hydra/overrides.yaml").string()) ==
              Node::list({Node("+x=${seed}")}));
  const Node hydra = read_yaml_file((folder_ / "run/.hydra/hydra.yaml").string());
  EXPECT_EQ(hydra.at("hydra.runtime.choices.optimizer").as_string(), "adam");
  EXPECT_EQ(hydra.at("hydra.overrides.hydra.0").as_string(), "hydra.verbose=true");
  EXPECT_EQ(hydra.at("hydra.runtime.output_dir").as_string(), (folder_ / "run").string());
}

TEST_F(Compose, NumbersTheJobsOfASweep) {
  const SweepPlan plan = compose_sweep(request(
      {"optimizer=adam,sgd", "hydra.sweep.subdir=${hydra.job.num}_${hydra.job.override_dirname}"}));
  ASSERT_EQ(plan.jobs.size(), 2U);
  EXPECT_THAT(job_directory(plan.jobs[1]).string(),
              ::testing::MatchesRegex("multirun/2024-01-31/.*/1_optimizer=sgd"));
  write_multirun_file(plan.master, folder_ / "sweep");
  EXPECT_EQ(read_yaml_file((folder_ / "sweep/multirun.yaml").string()).at("hydra.mode").as_string(),
            "MULTIRUN");
}

TEST_F(Compose, SweepsWhatTheRecipeNames) {
  write("experiment/study.yaml",
        "# @package _global_\nhydra:\n  sweeper:\n    params:\n      seed: 0,1\n      optimizer: "
        "adam,sgd\n");
  const auto words_of = [&](std::vector<std::string> words) {
    std::vector<std::string> jobs;
    for (const SweepJob& job : compose_sweep(request(std::move(words))).jobs) {
      std::string text;
      for (const std::string& word : job.overrides) text += word + " ";
      jobs.push_back(text);
    }
    return jobs;
  };
  EXPECT_THAT(words_of({"experiment=study"}),
              ::testing::ElementsAre("seed=0 optimizer=adam experiment=study ",
                                     "seed=0 optimizer=sgd experiment=study ",
                                     "seed=1 optimizer=adam experiment=study ",
                                     "seed=1 optimizer=sgd experiment=study "));
  EXPECT_THAT(words_of({"experiment=study", "seed=7", "optimizer=sgd"}),
              ::testing::ElementsAre("seed=7 optimizer=sgd experiment=study "))
      << "words of the command line win";
  EXPECT_EQ(compose(request({"experiment=study"})).config.at("seed").as_int(), 0)
      << "a single run sweeps nothing";
  write("experiment/study.yaml",
        "# @package _global_\nhydra: {sweeper: {params: {seed: [0, 1]}}}\n");
  EXPECT_THROW(compose_sweep(request({"experiment=study"})), ConfigError);
}

TEST_F(Compose, TellsTheJobsOfOneSweepFromThoseOfAnother) {
  SweepPlan plan = compose_sweep(request({"optimizer=adam,sgd", "seed=1"}));
  const fs::path folder = folder_ / "job";
  EXPECT_NO_THROW(check_same_words(plan.jobs[0], folder)) << "nothing is there yet";
  write_run_files(plan.jobs[0].composition, folder);
  EXPECT_NO_THROW(check_same_words(plan.jobs[0], folder));
  try {
    check_same_words(plan.jobs[1], folder);
    FAIL();
  } catch (const ConfigError& error) {
    EXPECT_THAT(error.what(), HasSubstr("expected optimizer=sgd, got optimizer=adam"));
  }
}

TEST_F(Compose, RefusesGroupsOfHydraItself) {
  write("experiment/launcher.yaml",
        "# @package _global_\ndefaults:\n- override /hydra/launcher: joblib\n");
  for (const char* word : {"hydra/launcher=joblib", "+hydra/sweeper=ax", "experiment=launcher"}) {
    try {
      compose(request({word}));
      FAIL() << word;
    } catch (const ConfigError& error) {
      EXPECT_EQ(error.category(), "group_not_found");
      EXPECT_THAT(error.what(), HasSubstr("Hydra's own groups"));
    }
  }
}

TEST_F(Compose, SearchesAStoredRunAlone) {
  EXPECT_EQ(default_search_path(folder_, "config", "/nowhere/bin/triptych").size(), 1U);
  EXPECT_EQ(default_search_path(folder_, "other", "/nowhere/bin/triptych").size(), 2U);
}

}  // namespace
}  // namespace triptych::config
