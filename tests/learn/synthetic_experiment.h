// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/config/yaml_reader.h"
#include "framework/learn/experiment.h"

#include <filesystem>
#include <string>

#include <unistd.h>

namespace triptych::testing {

/// One classification task on blocks; made of the components in synthetic_components.cc.
inline config::Node one_task() {
  return config::parse_yaml(R"(
seed: 3
device: cpu
datasets:
  blocks: {name: test_blocks}
tasks:
  halves: {name: test_classify, dataset: blocks, head: {name: test_linear}, batch_size: 3, sampling: {axes: [0]}}
backbone: {name: test_tiny}
sharing: {name: test_one_column}
weighting: {name: test_sum}
optimizer: {lr: 0.02}
schedule: {name: plateau, patience: 2}
trainer: {max_steps: 8, validate_every: 2, checkpoint_every: 2, log_every: 1, loader: {threads: 0}}
)",
                            "experiment.yaml");
}

/// The same with a second task on the same batches.
inline config::Node two_tasks() {
  config::Node node = one_task();
  config::Node restore = *node.find("tasks.halves");
  restore.set("name", config::Node("test_restore"));
  restore.set_path("head.channels", config::Node(1));
  node.set_path("tasks.noise", restore);
  return node;
}

inline config::Node with(config::Node node, const std::string& path, const std::string& yaml) {
  node.set_path(path, config::parse_yaml(yaml, "change.yaml"));
  return node;
}

/// A folder that goes away with the test.
class RunFolder {
 public:
  RunFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "triptych_learn_XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~RunFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  RunFolder(const RunFolder&) = delete;
  RunFolder& operator=(const RunFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

}  // namespace triptych::testing
