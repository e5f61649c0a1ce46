// SPDX-License-Identifier: Apache-2.0
#include "framework/config/compose.h"

#include "framework/config/hydra_settings.h"
#include "framework/config/merge.h"
#include "framework/config/override_apply.h"
#include "framework/config/sweep.h"
#include "framework/core/error.h"
#include "framework/core/suggest.h"

#include <algorithm>
#include <cstdlib>

namespace triptych::config {
namespace {

namespace fs = std::filesystem;

/// `hydra.searchpath`, from the command line or the primary configuration, adds folders.
void extend_search_path(ConfigRepository& repository,
                        const ConfigFile* primary,
                        const std::vector<Override>& overrides) {
  Node paths;
  if (primary != nullptr) {
    if (const Node* found = primary->body.find("hydra.searchpath")) paths = *found;
  }
  for (const Override& override_word : overrides) {
    if (override_word.key == "hydra.searchpath" && !override_word.is_sweep())
      paths = override_word.node();
  }
  if (paths.is_null()) return;
  if (!paths.is_list()) {
    throw ConfigError("config_not_found",
                      fmt::format("{}: hydra.searchpath must be a list of texts, got {}",
                                  paths.mark().text(),
                                  paths.brief()));
  }
  for (const Node& path : paths.as_list()) {
    std::string directory = path.as_string();
    if (directory.starts_with("file://")) directory.erase(0, 7);
    const auto same = [&](const SearchEntry& entry) { return entry.directory == directory; };
    const std::vector<SearchEntry>& known = repository.search_path();
    if (std::none_of(known.begin(), known.end(), same))
      repository.append({directory, "hydra.searchpath"});
  }
}

const ConfigFile* load_primary(ConfigRepository& repository, const std::string& name) {
  const ConfigFile* primary = repository.load(name);
  if (primary != nullptr && !primary->body.is_map()) {
    throw ConfigError("primary_not_a_map",
                      fmt::format("{}: the primary configuration must be a map, got {}",
                                  primary->body.mark().text(),
                                  primary->body.brief()));
  }
  return primary;
}

/// Merges the bodies in the order of the steps.
Node merge_steps(const std::vector<DefaultsStep>& steps, ConfigRepository& repository) {
  Node root = Node::map();
  root.set("hydra", hydra_defaults());
  for (const DefaultsStep& step : steps) {
    const ConfigFile* file = repository.load(step.config);
    if (file->body.is_scalar()) {
      throw ConfigError("bad_defaults_item",
                        fmt::format("{}: a configuration must be a map or a list, got {}",
                                    file->body.mark().text(),
                                    file->body.brief()));
    }
    merge(root, embed(file->body, step.package), root);
  }
  return root;
}

Composition compose_with(ConfigRepository& repository, const ComposeRequest& request) {
  Composition composition;
  composition.now = request.now != 0 ? request.now : std::time(nullptr);
  composition.overrides = parse_overrides(request.overrides, request.word_numbers);
  for (const Override& override_word : composition.overrides) {
    if (override_word.key.starts_with("hydra/"))
      throw hydra_group_error(override_word.place(), override_word.key);
  }
  const ConfigFile* primary = load_primary(repository, request.config_name);
  extend_search_path(repository, primary, composition.overrides);
  if (!request.multirun) refuse_sweeps(composition.overrides);
  DefaultsResult defaults =
      expand_defaults(repository, request.config_name, composition.overrides, request.multirun);
  Node root = merge_steps(defaults.steps, repository);
  const ResolveContext context{.hydra = nullptr, .now = composition.now, .warnings = nullptr};
  for (const Override& override_word : defaults.value_overrides)
    apply_override(root, override_word, context);
  composition.steps = std::move(defaults.steps);
  composition.choices = std::move(defaults.choices);
  const Node* hydra = root.child("hydra");
  composition.hydra = hydra != nullptr && hydra->is_map() ? *hydra : hydra_defaults();
  root.erase("hydra");
  composition.config = std::move(root);
  fill_hydra(composition.hydra, request, composition, repository);
  return composition;
}

/// The configuration with `hydra` beside it, as interpolations see it.
Node with_hydra(const Composition& composition) {
  Node root = composition.config;
  root.set("hydra", composition.hydra);
  return root;
}

ResolveContext context_of(const Composition& composition, std::vector<std::string>* warnings) {
  return {.hydra = &composition.hydra, .now = composition.now, .warnings = warnings};
}

fs::path shipped_experiments(const fs::path& executable) {
  std::error_code ignored;
  const fs::path folder = fs::weakly_canonical(executable, ignored).parent_path();
  for (const fs::path& candidate :
       {folder / "../../experiments", folder / "../share/triptych/experiments"}) {
    if (fs::is_regular_file(candidate / "config.yaml", ignored))
      return candidate.lexically_normal();
  }
#ifdef TRIPTYCH_SOURCE_DIR
  return fs::path(TRIPTYCH_SOURCE_DIR) / "experiments";
#else
  return "experiments";
#endif
}

}  // namespace

Composition compose(const ComposeRequest& request) {
  ConfigRepository repository(request.search_path);
  return compose_with(repository, request);
}

Node resolve(const Composition& composition, std::vector<std::string>* warnings) {
  // `hydra` is there for interpolations but not resolved itself: it may be unfinished.
  return resolve_without(with_hydra(composition), "hydra", context_of(composition, warnings));
}

Node resolve_at(const Composition& composition, std::string_view path) {
  return resolve_at(with_hydra(composition), path, context_of(composition, nullptr));
}

Node resolve_hydra(const Composition& composition, std::string_view path) {
  return resolve_at(composition, fmt::format("hydra.{}", path));
}

/// The words that the recipe itself sweeps, `hydra.sweeper.params`, as Hydra's basic sweeper reads
/// them.
std::vector<Override> configured_sweep(const Composition& master) {
  const Node* params = master.hydra.find("sweeper.params");
  if (params == nullptr || params->is_null()) return {};
  if (!params->is_map()) {
    throw ConfigError(
        "schema",
        fmt::format("{}: hydra.sweeper.params expects a map of keys to swept values, got {}",
                    params->mark().text(),
                    params->brief()));
  }
  std::vector<std::string> words;
  for (const auto& [key, values] : params->as_map()) {
    if (!values.is_scalar()) {
      throw ConfigError(
          "schema",
          fmt::format("{}: hydra.sweeper.params.{} expects a text such as '1,2,3', got {}",
                      values.mark().text(),
                      key.text(),
                      values.brief()));
    }
    words.push_back(key.text() + "=" + python_text(values));
  }
  return parse_overrides(words, {});
}

SweepPlan compose_sweep(const ComposeRequest& request) {
  ComposeRequest master = request;
  master.multirun = true;
  if (master.now == 0) master.now = std::time(nullptr);
  ConfigRepository repository(request.search_path);
  SweepPlan plan{compose_with(repository, master), {}};
  plan.master.hydra.set_path("mode", Node("MULTIRUN"));
  std::vector<std::string> hydra_words;
  std::vector<Override> task_words = configured_sweep(plan.master);
  for (const Override& override_word : plan.master.overrides) {
    if (!override_word.concerns_hydra()) {
      task_words.push_back(override_word);
    } else if (override_word.is_sweep()) {
      throw ConfigError("sweep_not_enumerable",
                        fmt::format("{}: the settings of hydra are the same for all jobs",
                                    override_word.place()));
    } else {
      hydra_words.push_back(override_word.word);
    }
  }
  for (std::vector<std::string>& words : expand_sweep(task_words, repository)) {
    ComposeRequest job = master;
    job.multirun = false;
    job.word_numbers.clear();
    job.overrides = hydra_words;
    job.overrides.insert(job.overrides.end(), words.begin(), words.end());
    Composition composition = compose_with(repository, job);
    const auto number = static_cast<std::int64_t>(plan.jobs.size());
    composition.hydra.set_path("job.num", Node(number));
    composition.hydra.set_path("job.id", Node(std::to_string(number)));
    composition.hydra.set_path("mode", Node("MULTIRUN"));
    plan.jobs.push_back({std::move(words), std::move(composition)});
  }
  return plan;
}

std::vector<SearchEntry> default_search_path(const fs::path& config_dir,
                                             const std::string& config_name,
                                             const fs::path& executable) {
  std::vector<SearchEntry> path;
  if (!config_dir.empty()) path.push_back({config_dir, "--config-dir"});
  if (const char* variable = std::getenv("TRIPTYCH_CONFIG_PATH")) {
    std::string_view rest = variable;
    while (!rest.empty()) {
      const std::size_t end = std::min(rest.find(':'), rest.size());
      if (end > 0) path.push_back({fs::path(rest.substr(0, end)), "TRIPTYCH_CONFIG_PATH"});
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
  }
  const bool own_root =
      !config_dir.empty() && ConfigRepository({{config_dir, ""}}).has_config(config_name);
  if (!own_root) path.push_back({shipped_experiments(executable), "triptych"});
  return path;
}

}  // namespace triptych::config
