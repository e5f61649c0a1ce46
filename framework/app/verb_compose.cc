// SPDX-License-Identifier: Apache-2.0
#include "framework/app/light_verbs.h"
#include "framework/config/compose.h"
#include "framework/config/yaml_writer.h"
#include "framework/core/error.h"
#include "framework/core/suggest.h"

#include <algorithm>
#include <cstdio>

namespace triptych::app {
namespace {

using config::Composition;
using config::Node;

void print(const std::string& text) { std::fwrite(text.data(), 1, text.size(), stdout); }

Node resolved_with_warnings(const Composition& composition) {
  std::vector<std::string> warnings;
  Node node = config::resolve(composition, &warnings);
  for (const std::string& warning : warnings) fmt::print(stderr, "warning: {}\n", warning);
  return node;
}

void expect_one_of(const char* flag,
                   const std::string& value,
                   const std::vector<std::string>& accepted) {
  if (value.empty() || std::find(accepted.begin(), accepted.end(), value) != accepted.end()) return;
  throw usage_error(fmt::format("{} must be one of {}, got '{}'{}",
                                flag,
                                join(accepted),
                                value,
                                did_you_mean(value, accepted)));
}

/// The steps of the composition as a table, in the order of merging.
std::string defaults_table(const Composition& composition) {
  std::size_t config_width = 6;
  std::size_t package_width = 7;
  for (const config::DefaultsStep& step : composition.steps) {
    config_width = std::max(config_width, step.config.size());
    package_width = std::max(package_width, step.package.size());
  }
  std::string text = fmt::format("{:<{}}  {:<{}}  {:<6}  listed at\n",
                                 "config",
                                 config_width,
                                 "package",
                                 package_width,
                                 "_self_");
  for (const config::DefaultsStep& step : composition.steps) {
    text += fmt::format("{:<{}}  {:<{}}  {:<6}  {}\n",
                        step.config,
                        config_width,
                        step.package,
                        package_width,
                        step.is_self ? "yes" : "no",
                        step.mark.known() ? step.mark.text() : "");
  }
  return text;
}

std::string search_path_table(const config::ComposeRequest& request) {
  std::string text;
  for (const config::SearchEntry& entry : request.search_path) {
    text += fmt::format("{:<20}  {}\n", entry.provider, entry.directory.string());
  }
  return text;
}

int compose_jobs(const CommandLine& command, const config::ComposeRequest& request) {
  Node list = Node::list();
  for (const config::SweepJob& job : config::compose_sweep(request).jobs) {
    Node entry = Node::map();
    Node words = Node::list();
    for (const std::string& word : job.overrides) words.as_list().emplace_back(word);
    entry.set("overrides", std::move(words));
    entry.set("config",
              command.resolve ? resolved_with_warnings(job.composition) : job.composition.config);
    list.as_list().push_back(std::move(entry));
  }
  print(config::to_yaml(list));
  return 0;
}

Node chosen_tree(const CommandLine& command, const Composition& composition) {
  Node tree = command.resolve ? resolved_with_warnings(composition) : composition.config;
  if (command.cfg != "hydra" && command.cfg != "all") return tree;
  Node whole = Node::map();
  whole.set("hydra", composition.hydra);
  if (command.cfg == "all") {
    for (const config::Entry& entry : tree.as_map()) whole.set(entry.key, entry.value);
  }
  return whole;
}

}  // namespace

int compose(const CommandLine& command) {
  expect_one_of("--cfg", command.cfg, {"job", "hydra", "all"});
  expect_one_of("--info", command.info, {"defaults", "searchpath"});
  const config::ComposeRequest request = compose_request(command);
  if (command.info == "searchpath") {
    print(search_path_table(request));
    return 0;
  }
  if (command.multirun) return compose_jobs(command, request);
  const Composition composition = config::compose(request);
  if (command.info == "defaults") {
    print(defaults_table(composition));
  } else if (!command.get.empty()) {
    print(config::to_yaml(config::resolve_at(composition, command.get)));
  } else if (!command.package.empty()) {
    const Node tree = chosen_tree(command, composition);
    print(fmt::format("# @package {}\n", command.package) +
          config::to_yaml(command.package == "_global_" ? tree : tree.at(command.package)));
  } else {
    print(config::to_yaml(chosen_tree(command, composition)));
  }
  return 0;
}

}  // namespace triptych::app
