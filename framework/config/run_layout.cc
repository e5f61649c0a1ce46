// SPDX-License-Identifier: Apache-2.0
#include "framework/config/run_layout.h"

#include "framework/config/yaml_reader.h"
#include "framework/config/yaml_writer.h"
#include "framework/core/error.h"
#include "framework/core/file.h"
#include "framework/core/suggest.h"

#include <algorithm>

namespace triptych::config {
namespace {

namespace fs = std::filesystem;

std::string setting(const Composition& composition, std::string_view path) {
  const Node value = resolve_hydra(composition, path);
  if (value.is_string() && !value.as_string().empty()) return value.as_string();
  if (value.is_scalar() && !value.is_null() && !value.is_string()) return python_text(value);
  throw ConfigError(
      "schema",
      fmt::format(
          "{}: 'hydra.{}' must be a path, got {}", value.mark().text(), path, value.brief()));
}

/// The words of the command line less those of hydra, as .hydra/overrides.yaml holds them.
Node task_words(const Composition& composition) {
  Node words = Node::list();
  for (const Override& override_word : composition.overrides) {
    if (!override_word.concerns_hydra()) words.as_list().emplace_back(override_word.word);
  }
  return words;
}

/// The words of `list` that `other` lacks.
std::string words_beyond(const Node& list, const Node& other) {
  const Node::List& known = other.as_list();
  std::vector<std::string> words;
  for (const Node& word : list.as_list()) {
    if (std::find(known.begin(), known.end(), word) == known.end())
      words.push_back(word.as_string());
  }
  return join(words, " ", "none");
}

}  // namespace

fs::path run_directory(const Composition& composition) { return setting(composition, "run.dir"); }

fs::path sweep_directory(const Composition& master) { return setting(master, "sweep.dir"); }

fs::path job_directory(const SweepJob& job) {
  return sweep_directory(job.composition) / setting(job.composition, "sweep.subdir");
}

void check_same_words(const SweepJob& job, const fs::path& folder) {
  const Node* subfolder = job.composition.hydra.find("output_subdir");
  if (subfolder == nullptr || subfolder->is_null()) return;
  const fs::path stored = folder / setting(job.composition, "output_subdir") / "overrides.yaml";
  if (!fs::exists(stored)) return;
  const Node words = read_yaml_file(stored.string());
  const Node expected = task_words(job.composition);
  if (!words.is_list() || words == expected) return;
  throw ConfigError(
      "usage",
      fmt::format("{}: holds a job of other words, expected {}, got {}",
                  folder.string(),
                  words_beyond(expected, words),
                  words_beyond(words, expected)),
      "another sweep went there; choose another hydra.sweep.dir or remove the folder");
}

void write_run_files(Composition& composition, const fs::path& folder) {
  composition.hydra.set_path("runtime.output_dir",
                             Node(fs::absolute(folder).lexically_normal().string()));
  fs::create_directories(folder);
  const Node* subfolder = composition.hydra.find("output_subdir");
  if (subfolder == nullptr || subfolder->is_null()) return;
  const fs::path inner = folder / setting(composition, "output_subdir");
  fs::create_directories(inner);
  Node hydra = Node::map();
  hydra.set("hydra", composition.hydra);
  write_file_atomically(inner / "config.yaml", to_yaml(composition.config));
  write_file_atomically(inner / "hydra.yaml", to_yaml(hydra));
  write_file_atomically(inner / "overrides.yaml", to_yaml(task_words(composition)));
}

void write_multirun_file(const Composition& master, const fs::path& folder) {
  Node whole = Node::map();
  whole.set("hydra", master.hydra);
  for (const Entry& entry : master.config.as_map()) whole.set(entry.key, entry.value);
  fs::create_directories(folder);
  write_file_atomically(folder / "multirun.yaml", to_yaml(whole));
}

}  // namespace triptych::config
