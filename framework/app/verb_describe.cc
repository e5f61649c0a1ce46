// SPDX-License-Identifier: Apache-2.0
#include <cstdio>

#include "framework/app/engine.h"
#include "framework/config/component.h"
#include "framework/core/error.h"
#include "framework/core/suggest.h"
#include "framework/learn/experiment.h"
#include "framework/report/table.h"

namespace triptych::app {
namespace {

Table field_table(const std::vector<config::FieldInfo>& fields) {
  Table table({"key", "type", "default", "bounds", "help"});
  for (const config::FieldInfo& field : fields) {
    const std::string standard = field.required ? "(required)" : field.default_text;
    table.add_row({field.name, field.type, standard, field.bounds, field.help});
  }
  return table;
}

void list_everything(bool json) {
  Table table({"kind", "name", "source"});
  for (const config::AnyRegistry* registry : config::AnyRegistry::all()) {
    for (const std::string& name : registry->names()) table.add_row({registry->kind(), name, registry->source_file(name)});
  }
  std::fputs((json ? table.json() + "\n" : table.text()).c_str(), stdout);
  if (!json) std::fputs("\ntriptych describe <kind> <name> shows the fields of one; triptych describe experiment those of the root.\n", stdout);
}

const config::AnyRegistry& registry_of(const std::string& kind) {
  if (const config::AnyRegistry* registry = config::AnyRegistry::of_kind(kind)) return *registry;
  std::vector<std::string> kinds = {"experiment"};
  for (const config::AnyRegistry* registry : config::AnyRegistry::all()) kinds.push_back(registry->kind());
  const std::string meant = did_you_mean(kind, kinds);
  throw usage_error(fmt::format("describe: no kind of component is called '{}'{} Kinds: {}", kind, meant.empty() ? "." : meant, join(kinds)));
}

}  // namespace

int describe(const CommandLine& command) {
  const std::vector<std::string>& words = command.words;
  if (words.size() > 2) throw usage_error("describe: expected at most <kind> <name>");
  if (words.empty()) {
    list_everything(command.json);
    return 0;
  }
  if (words[0] == "experiment") {
    const Table table = field_table(config::describe<ExperimentConfig>());
    std::fputs((command.json ? table.json() + "\n" : table.text()).c_str(), stdout);
    return 0;
  }
  const config::AnyRegistry& registry = registry_of(words[0]);
  if (words.size() == 1) {
    for (const std::string& name : registry.names()) std::printf("%s\n", name.c_str());
    return 0;
  }
  if (!registry.contains(words[1])) {
    const std::string meant = did_you_mean(words[1], registry.names());
    throw usage_error(fmt::format("describe: no {} is called '{}'{} There are: {}", words[0], words[1], meant.empty() ? "." : meant, join(registry.names())));
  }
  const Table table = field_table(registry.describe(words[1]));
  if (command.json) {
    std::printf("%s\n", table.json().c_str());
    return 0;
  }
  std::printf("%s %s (%s)\n\n", words[0].c_str(), words[1].c_str(), registry.source_file(words[1]).c_str());
  std::fputs(table.rows().empty() ? "no fields\n" : table.text().c_str(), stdout);
  return 0;
}

}  // namespace triptych::app
