// SPDX-License-Identifier: Apache-2.0
#include "framework/app/engine.h"
#include "framework/config/component.h"
#include "framework/config/config_repository.h"
#include "framework/config/yaml_writer.h"
#include "framework/core/error.h"
#include "framework/core/suggest.h"
#include "framework/learn/experiment.h"
#include "framework/report/table.h"

#include <algorithm>
#include <cstdio>

#include <nlohmann/json.hpp>

namespace triptych::app {
namespace {

using config::AnyRegistry;
using config::FieldInfo;
using nlohmann::ordered_json;

Table field_table(const std::vector<FieldInfo>& fields) {
  Table table({"key", "type", "default", "bounds", "help"});
  for (const FieldInfo& field : fields) {
    const std::string standard = field.required ? "(required)" : field.default_text;
    table.add_row({field.name, field.type, standard, field.bounds, field.help});
  }
  return table;
}

void print_fields(const std::string& title, const std::vector<FieldInfo>& fields) {
  std::printf("%s\n\n", title.c_str());
  std::fputs(fields.empty() ? "no fields\n" : field_table(fields).text().c_str(), stdout);
}

ordered_json json_of(const Table& table) { return ordered_json::parse(table.json()); }

/// What the search path offers and what is registered, as one list of kinds: "head" is both, "loss"
/// has no group (losses stand in lists), "optimizer" no components (its fields are keys of the
/// root).
class Catalogue {
 public:
  explicit Catalogue(const config::ConfigRepository& repository) : repository_(repository) {
    for (const std::string& group : repository.groups()) {
      if (!repository.options(group).empty()) kinds_.push_back(group);
    }
    for (const AnyRegistry* registry : AnyRegistry::all()) {
      if (std::find(kinds_.begin(), kinds_.end(), registry->kind()) == kinds_.end())
        kinds_.push_back(registry->kind());
    }
    std::sort(kinds_.begin(), kinds_.end());
  }

  const std::vector<std::string>& kinds() const { return kinds_; }
  std::vector<std::string> options(const std::string& kind) const {
    return repository_.options(kind);
  }

  void require(const std::string& kind) const {
    if (std::find(kinds_.begin(), kinds_.end(), kind) != kinds_.end()) return;
    const std::string meant = did_you_mean(kind, kinds_);
    throw usage_error(
        fmt::format("describe: no group and no kind of component is called '{}'{} There are: {}",
                    kind,
                    meant.empty() ? "." : meant,
                    join(kinds_)));
  }

  /// Keys of the root that a group without components fills, named below it: "optimizer" -> "lr",
  /// ...; all for "experiment".
  static std::vector<FieldInfo> root_fields(const std::string& group) {
    std::vector<FieldInfo> fields;
    for (FieldInfo field : config::describe<ExperimentConfig>()) {
      if (group != "experiment" && !field.name.starts_with(group + ".")) continue;
      if (group != "experiment") field.name.erase(0, group.size() + 1);
      fields.push_back(std::move(field));
    }
    return fields;
  }

 private:
  const config::ConfigRepository& repository_;
  std::vector<std::string> kinds_;
};

Table overview(const Catalogue& catalogue) {
  Table table({"group or kind", "options (group=option)", "components (name: ...)"});
  for (const std::string& kind : catalogue.kinds()) {
    const AnyRegistry* registry = AnyRegistry::of_kind(kind);
    table.add_row({kind,
                   join(catalogue.options(kind), ", ", "-"),
                   registry == nullptr ? "-" : join(registry->names())});
  }
  return table;
}

/// Text of an option as its file has it, without the defaults list.
int print_option(config::ConfigRepository& repository,
                 const std::string& group,
                 const std::string& option) {
  const config::ConfigFile* file = repository.load(group + "/" + option);
  if (file == nullptr) {
    const std::vector<std::string> options = repository.options(group);
    const std::string meant = did_you_mean(option, options);
    throw usage_error(fmt::format("describe: no {} is called '{}'{} There are: {}",
                                  group,
                                  option,
                                  meant.empty() ? "." : meant,
                                  join(options)));
  }
  std::printf("%s %s (%s)\n\n%s",
              group.c_str(),
              option.c_str(),
              file->file.c_str(),
              config::to_yaml(file->body).c_str());
  return 0;
}

ordered_json component_json(const AnyRegistry& registry, const std::string& name) {
  return {{"kind", registry.kind()},
          {"name", name},
          {"source", registry.source_file(name)},
          {"fields", json_of(field_table(registry.describe(name)))}};
}

ordered_json kind_json(const Catalogue& catalogue, const std::string& kind) {
  ordered_json json = {
      {"kind", kind}, {"options", catalogue.options(kind)}, {"components", ordered_json::array()}};
  if (const AnyRegistry* registry = AnyRegistry::of_kind(kind)) {
    for (const std::string& name : registry->names())
      json["components"].push_back(component_json(*registry, name));
  } else {
    json["fields"] = json_of(field_table(Catalogue::root_fields(kind)));
  }
  if (kind == "task")
    json["fields_of_every_task"] = json_of(field_table(config::describe<TaskSetup>()));
  return json;
}

void print_json(const ordered_json& json) { std::printf("%s\n", json.dump(2).c_str()); }

void print_component(const AnyRegistry& registry, const std::string& name) {
  print_fields(fmt::format("{} {} ({})", registry.kind(), name, registry.source_file(name)),
               registry.describe(name));
}

void print_task_keys() {
  std::puts("");
  print_fields("keys of every task, beside those of its component", config::describe<TaskSetup>());
}

int describe_everything(const Catalogue& catalogue, bool json) {
  if (!json) {
    std::fputs(overview(catalogue).text().c_str(), stdout);
    std::fputs(
        "\ntriptych describe KIND explains every key of a group and its components, describe KIND "
        "NAME one of them.\n",
        stdout);
    return 0;
  }
  ordered_json all = ordered_json::array();
  for (const std::string& kind : catalogue.kinds()) all.push_back(kind_json(catalogue, kind));
  print_json(all);
  return 0;
}

int describe_kind(const Catalogue& catalogue, const std::string& kind, bool json) {
  if (json) {
    print_json(kind_json(catalogue, kind));
    return 0;
  }
  const AnyRegistry* registry = AnyRegistry::of_kind(kind);
  std::printf("%s\n", kind.c_str());
  if (const auto options = catalogue.options(kind); !options.empty())
    std::printf("options: %s\n", join(options).c_str());
  if (registry == nullptr) {
    std::puts("");
    print_fields(kind == "experiment" ? "keys of an experiment" : fmt::format("keys of '{}'", kind),
                 Catalogue::root_fields(kind));
    return 0;
  }
  for (const std::string& name : registry->names()) {
    std::puts("");
    print_component(*registry, name);
  }
  if (kind == "task") print_task_keys();
  return 0;
}

int describe_component(const AnyRegistry& registry, const std::string& name, bool json) {
  if (!registry.contains(name)) {
    const std::string meant = did_you_mean(name, registry.names());
    throw usage_error(fmt::format("describe: no {} is called '{}'{} There are: {}",
                                  registry.kind(),
                                  name,
                                  meant.empty() ? "." : meant,
                                  join(registry.names())));
  }
  if (json) {
    print_json(component_json(registry, name));
    return 0;
  }
  print_component(registry, name);
  if (registry.kind() == "task") print_task_keys();
  return 0;
}

}  // namespace

int describe(const CommandLine& command) {
  const std::vector<std::string>& words = command.words;
  if (words.size() > 2) throw usage_error("describe: expected at most <kind> <name>");
  config::ConfigRepository repository(compose_request(command).search_path);
  const Catalogue catalogue(repository);
  if (words.empty()) return describe_everything(catalogue, command.json);
  catalogue.require(words[0]);
  if (words.size() == 1) return describe_kind(catalogue, words[0], command.json);
  const AnyRegistry* registry = AnyRegistry::of_kind(words[0]);
  const bool is_component =
      registry != nullptr &&
      (registry->contains(words[1]) || !repository.has_config(words[0] + "/" + words[1]));
  return is_component ? describe_component(*registry, words[1], command.json)
                      : print_option(repository, words[0], words[1]);
}

}  // namespace triptych::app
