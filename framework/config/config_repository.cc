// SPDX-License-Identifier: Apache-2.0
#include "framework/config/config_repository.h"

#include "framework/config/hydra_settings.h"
#include "framework/config/interpolation.h"
#include "framework/config/yaml_reader.h"
#include "framework/core/error.h"
#include "framework/core/file.h"
#include "framework/core/suggest.h"

#include <algorithm>
#include <set>

namespace triptych::config {
namespace {

namespace fs = std::filesystem;

ConfigError bad_item(Mark mark, const std::string& what) {
  return ConfigError("bad_defaults_item",
                     fmt::format("{}: {}", mark.text(), what),
                     "an entry of a defaults list is `config`, `group: option` or `_self_`");
}

std::vector<std::string> words_of(std::string_view line) {
  std::vector<std::string> words;
  for (std::size_t i = 0; i < line.size();) {
    const std::size_t end = std::min(line.find(' ', i), line.size());
    if (end > i) words.emplace_back(line.substr(i, end - i));
    i = end + 1;
  }
  return words;
}

std::string_view trimmed(std::string_view line) {
  const std::size_t first = line.find_first_not_of(" \t\r");
  if (first == std::string_view::npos) return {};
  return line.substr(first, line.find_last_not_of(" \t\r") - first + 1);
}

/// The package of the header; only blank lines and other `# @` lines may stand before it.
std::optional<std::string> parse_header(std::string_view text, const std::string& file) {
  std::optional<std::string> package;
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  for (int number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = trimmed(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty()) continue;
    if (!line.starts_with('#')) break;
    const std::string_view inner = trimmed(line.substr(1));
    if (!inner.starts_with('@')) break;
    const std::vector<std::string> words = words_of(inner.substr(1));
    if (words.size() != 2) {
      throw ConfigError("bad_header",
                        fmt::format("{}: expected '# @package <package>', got '{}'",
                                    Mark::in_file(file, number, 1).text(),
                                    line));
    }
    if (words[0] == "package") package = words[1];
  }
  return package;
}

/// Splits `path@package`; a rename `a:b` in the package keeps its first part, as Hydra does.
void split_package(const std::string& text, DefaultsItem& item) {
  const std::size_t at = text.find('@');
  item.path = text.substr(0, at);
  if (at == std::string::npos) return;
  const std::string package = text.substr(at + 1);
  item.package = package.substr(0, package.find(':'));
}

void read_group_key(const std::string& key, DefaultsItem& item) {
  split_package(key, item);
  const std::vector<std::string> words = words_of(item.path);
  if (words.empty()) throw bad_item(item.mark, "an entry without a group");
  for (std::size_t i = 0; i + 1 < words.size(); ++i) {
    if (words[i] == "optional") {
      item.optional = true;
    } else if (words[i] == "override") {
      item.overrides = true;
    } else {
      throw bad_item(item.mark,
                     fmt::format("unknown word '{}' before group '{}'; known: optional, override",
                                 words[i],
                                 words.back()));
    }
  }
  item.path = words.back();
}

DefaultsItem parse_group(const Node& node) {
  DefaultsItem item;
  item.kind = DefaultsItem::Kind::kGroup;
  item.mark = node.mark();
  if (node.size() != 1) {
    throw bad_item(node.mark(), fmt::format("expected one `group: option`, got {}", node.brief()));
  }
  const Entry& entry = node.as_map().front();
  item.mark = entry.key.mark();
  if (!entry.key.is_string()) {
    throw bad_item(item.mark, fmt::format("group '{}' is no text", entry.key.text()));
  }
  read_group_key(entry.key.text(), item);
  const Node& value = entry.value;
  if (value.is_string()) {
    item.option = value.as_string();
  } else if (value.is_list()) {
    item.is_list = true;
    for (const Node& element : value.as_list()) {
      if (!element.is_string()) {
        throw bad_item(
            element.mark(),
            fmt::format("an option of '{}' must be text, got {}", item.path, element.brief()));
      }
      item.options.push_back(element.as_string());
    }
  } else if (!value.is_null()) {
    throw bad_item(
        value.mark(),
        fmt::format(
            "the option of '{}' must be text, a list of texts or null, got {}{}",
            item.path,
            value.brief(),
            value.is_bool() ? "; quote it (YAML reads on, off, yes and no as booleans)" : ""));
  }
  return item;
}

DefaultsItem parse_item(const Node& node) {
  if (node.is_map()) return parse_group(node);
  DefaultsItem item;
  item.mark = node.mark();
  if (!node.is_string())
    throw bad_item(node.mark(),
                   fmt::format("expected text or `group: option`, got {}", node.brief()));
  split_package(node.as_string(), item);
  if (item.path == "_self_") {
    if (item.package) throw bad_item(node.mark(), "_self_ takes no package");
    return item;
  }
  if (item.path.empty()) throw bad_item(node.mark(), "an entry without a name");
  item.kind = DefaultsItem::Kind::kConfig;
  return item;
}

}  // namespace

ConfigFile parse_config(std::string_view text, const std::string& file) {
  ConfigFile config;
  config.file = file;
  config.header = parse_header(text, file);
  config.body = parse_yaml(text, file);
  if (config.body.is_null()) config.body = Node::map(Mark::in_file(file, 1, 1));
  check_interpolation_syntax(config.body);
  if (const Node* defaults = config.body.child("defaults")) {
    if (!defaults->is_list()) {
      throw bad_item(defaults->mark(),
                     fmt::format("'defaults' must be a list, got {}", defaults->brief()));
    }
    for (const Node& node : defaults->as_list()) {
      const DefaultsItem& item = config.defaults.emplace_back(parse_item(node));
      const std::string path = item.path.starts_with('/') ? item.path.substr(1) : item.path;
      if (path.starts_with("hydra/")) throw hydra_group_error(item.mark.text(), path);
    }
    config.body.erase("defaults");
  }
  return config;
}

ConfigRepository::ConfigRepository(std::vector<SearchEntry> search_path)
    : search_path_(std::move(search_path)) {}

std::optional<fs::path> ConfigRepository::find(const std::string& config) const {
  for (const SearchEntry& entry : search_path_) {
    const bool has_suffix = config.ends_with(".yaml") || config.ends_with(".yml");
    const fs::path path = entry.directory / (has_suffix ? config : config + ".yaml");
    std::error_code ignored;
    if (fs::is_regular_file(path, ignored)) return path;
  }
  return std::nullopt;
}

const ConfigFile* ConfigRepository::load(const std::string& config) {
  const auto known = loaded_.find(config);
  if (known != loaded_.end()) return known->second.get();
  std::unique_ptr<ConfigFile> file;
  if (const std::optional<fs::path> path = find(config)) {
    const std::string name = path->lexically_normal().string();
    file = std::make_unique<ConfigFile>(parse_config(read_file(*path), name));
  }
  return (loaded_[config] = std::move(file)).get();
}

bool ConfigRepository::has_config(const std::string& config) const {
  return find(config).has_value();
}

bool ConfigRepository::has_group(const std::string& group) const {
  return std::any_of(search_path_.begin(), search_path_.end(), [&](const SearchEntry& entry) {
    std::error_code ignored;
    return fs::is_directory(entry.directory / group, ignored);
  });
}

std::vector<std::string> ConfigRepository::options(const std::string& group) const {
  std::set<std::string> names;
  for (const SearchEntry& entry : search_path_) {
    std::error_code ignored;
    for (const fs::directory_entry& file :
         fs::directory_iterator(entry.directory / group, ignored)) {
      const std::string extension = file.path().extension().string();
      if (!file.is_directory(ignored) && (extension == ".yaml" || extension == ".yml")) {
        names.insert(file.path().stem().string());
      }
    }
  }
  return {names.begin(), names.end()};
}

std::vector<std::string> ConfigRepository::groups() const {
  std::set<std::string> names;
  for (const SearchEntry& entry : search_path_) {
    std::error_code ignored;
    for (const fs::directory_entry& file :
         fs::recursive_directory_iterator(entry.directory, ignored)) {
      if (file.is_directory(ignored))
        names.insert(fs::relative(file.path(), entry.directory).generic_string());
    }
  }
  return {names.begin(), names.end()};
}

std::string ConfigRepository::search_path_text() const {
  std::vector<std::string> texts;
  for (const SearchEntry& entry : search_path_) {
    texts.push_back(fmt::format("{} ({})", entry.directory.string(), entry.provider));
  }
  return join(texts, ", ", "empty");
}

}  // namespace triptych::config
