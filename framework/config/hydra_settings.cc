// SPDX-License-Identifier: Apache-2.0
#include "framework/config/hydra_settings.h"

#include "framework/config/yaml_reader.h"
#include "framework/core/suggest.h"

#include <algorithm>

namespace triptych::config {

Node hydra_defaults() {
  static const Node defaults = parse_yaml(R"(
mode: null
searchpath: []
run:
  dir: outputs/${now:%Y-%m-%d}/${now:%H-%M-%S}
sweep:
  dir: multirun/${now:%Y-%m-%d}/${now:%H-%M-%S}
  subdir: ${hydra.job.num}
sweeper:
  params: null
output_subdir: .hydra
overrides:
  hydra: []
  task: []
job:
  name: ???
  chdir: false
  override_dirname: ''
  id: ???
  num: ???
  config_name: ???
  env_set: {}
  env_copy: []
  config:
    override_dirname:
      kv_sep: '='
      item_sep: ','
      exclude_keys: []
runtime:
  version: ???
  version_base: '1.3'
  cwd: ???
  config_sources: []
  output_dir: ???
  choices: {}
verbose: false
)",
                                          "hydra");
  return defaults;
}

ConfigError hydra_group_error(const std::string& place, const std::string& group) {
  return ConfigError("group_not_found",
                     fmt::format("{}: '{}' cannot be chosen: Hydra's own groups (launchers, "
                                 "sweepers, logging) do not exist here",
                                 place,
                                 group),
                     "train -m --jobs N runs jobs at once; hydra.run.dir, hydra.sweep.dir and "
                     "other settings can be changed");
}

std::string override_dirname(const Node& hydra, const std::vector<Override>& overrides) {
  const Node& settings = hydra.at("job.config.override_dirname");
  std::vector<std::string> excluded;
  for (const Node& key : settings.at("exclude_keys").as_list()) excluded.push_back(key.as_string());
  std::vector<std::string> words;
  for (const Override& override_word : overrides) {
    const bool skip =
        std::find(excluded.begin(), excluded.end(), override_word.key) != excluded.end();
    if (!override_word.concerns_hydra() && !skip) words.push_back(override_word.word);
  }
  std::sort(words.begin(), words.end());
  std::string name;
  for (const char c : join(words, settings.at("item_sep").as_string(), "")) {
    name += c == '=' ? settings.at("kv_sep").as_string() : std::string(1, c);
  }
  return name;
}

void fill_hydra(Node& hydra,
                const ComposeRequest& request,
                const Composition& composition,
                const ConfigRepository& repository) {
  Node hydra_words = Node::list();
  Node task_words = Node::list();
  for (const Override& override_word : composition.overrides) {
    (override_word.concerns_hydra() ? hydra_words : task_words)
        .as_list()
        .emplace_back(override_word.word);
  }
  // Words are texts, not configuration: nothing in them is interpolated.
  hydra.set_path("overrides.hydra", escape_interpolations(hydra_words));
  hydra.set_path("overrides.task", escape_interpolations(task_words));
  if (hydra.at("job.name").is_missing()) hydra.set_path("job.name", Node(request.job_name));
  if (hydra.at("mode").is_null())
    hydra.set_path("mode", Node(request.multirun ? "MULTIRUN" : "RUN"));
  hydra.set_path("job.config_name", Node(request.config_name));
  hydra.set_path("job.override_dirname",
                 escape_interpolations(Node(override_dirname(hydra, composition.overrides))));
  hydra.set_path("runtime.cwd", Node(std::filesystem::current_path().string()));
#ifdef TRIPTYCH_VERSION
  hydra.set_path("runtime.version", Node(TRIPTYCH_VERSION));
#endif
  Node sources = Node::list();
  for (const SearchEntry& entry : repository.search_path()) {
    Node source = Node::map();
    source.set("path",
               Node(std::filesystem::absolute(entry.directory).lexically_normal().string()));
    source.set("schema", Node("file"));
    source.set("provider", Node(entry.provider));
    sources.as_list().push_back(std::move(source));
  }
  hydra.set_path("runtime.config_sources", std::move(sources));
  Node choices = Node::map();
  for (const auto& [key, option] : composition.choices) choices.set(key, Node(option));
  hydra.set_path("runtime.choices", std::move(choices));
}

}  // namespace triptych::config
