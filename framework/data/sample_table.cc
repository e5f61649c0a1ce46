// SPDX-License-Identifier: Apache-2.0
#include "framework/data/sample_table.h"

#include "framework/config/yaml_reader.h"
#include "framework/core/csv_table.h"
#include "framework/core/error.h"
#include "framework/core/file.h"
#include "framework/core/suggest.h"

#include <algorithm>
#include <filesystem>
#include <set>

namespace triptych {
namespace {

namespace fs = std::filesystem;

struct Match {
  std::string id;
  std::string location;
};

/// What `*` stands for when `name` fits `pattern`, which holds one star; false when it does not
/// fit.
bool fits(const std::string& name, const std::string& pattern, std::string& captured) {
  const auto star = pattern.find('*');
  const std::string before = pattern.substr(0, star);
  const std::string after = pattern.substr(star + 1);
  if (name.size() <= before.size() + after.size() || !name.starts_with(before) ||
      !name.ends_with(after))
    return false;
  captured = name.substr(before.size(), name.size() - before.size() - after.size());
  return true;
}

/// A pattern taken apart at its folders.
struct Pattern {
  std::vector<std::string> parts;
  std::string dataset;  ///< ":/path" behind an HDF5 file
  bool folder = false;
};

void collect(const Pattern& pattern,
             std::size_t part,
             const fs::path& folder,
             const std::vector<std::string>& captured,
             std::vector<Match>& matches) {
  if (part == pattern.parts.size()) {
    if (captured.empty()) return;
    const bool equal = std::all_of(captured.begin(), captured.end(), [&](const auto& text) {
      return text == captured.front();
    });
    const std::string id = equal ? captured.front() : join(captured, "_");
    matches.push_back({id, folder.string() + (pattern.folder ? "/" : "") + pattern.dataset});
    return;
  }
  const std::string& wanted = pattern.parts[part];
  const bool last = part + 1 == pattern.parts.size();
  std::error_code ignored;
  if (wanted.find('*') == std::string::npos) {
    const fs::path next = folder.empty() ? fs::path(wanted) : folder / wanted;
    if (fs::exists(next, ignored)) collect(pattern, part + 1, next, captured, matches);
    return;
  }
  for (const fs::directory_entry& found :
       fs::directory_iterator(folder.empty() ? fs::path(".") : folder, ignored)) {
    std::string text;
    if (!fits(found.path().filename().string(), wanted, text)) continue;
    if ((!last || pattern.folder) && !found.is_directory(ignored)) continue;
    std::vector<std::string> now = captured;
    now.push_back(text);
    const fs::path next =
        folder.empty() ? found.path().filename() : folder / found.path().filename();
    collect(pattern, part + 1, next, now, matches);
  }
}

std::vector<Match> expand(const std::string& entry, const std::string& text) {
  Pattern pattern;
  std::string path = text;
  if (const auto colon = path.find(":/"); colon != std::string::npos) {
    pattern.dataset = path.substr(colon);
    path.resize(colon);
  }
  pattern.folder = path.ends_with('/');
  for (const fs::path& part : fs::path(path)) {
    const std::string word = part.string();
    if (word.empty()) continue;
    if (std::count(word.begin(), word.end(), '*') > 1) {
      throw ConfigError(
          "schema",
          fmt::format("files.{}: '{}': expected at most one '*' between two slashes", entry, text),
          "use a manifest when file names follow no simple pattern");
    }
    pattern.parts.push_back(word);
  }
  std::vector<Match> matches;
  if (path.find('*') == std::string::npos) {  // one sample, named by its file
    const fs::path file = pattern.folder ? fs::path(path).parent_path() : fs::path(path);
    const std::string name = file.filename().string();
    matches.push_back({name.substr(0, name.size() - file_extension(file).size()), text});
    return matches;
  }
  collect(pattern, 0, {}, {}, matches);
  std::sort(matches.begin(), matches.end(), [](const Match& a, const Match& b) {
    return a.location < b.location;
  });
  return matches;
}

std::string from_manifest_folder(const fs::path& manifest, const std::string& location) {
  if (location.empty() || fs::path(location).is_absolute()) return location;
  return (manifest.parent_path() / location).string();
}

/// Columns without a name are what spreadsheets leave behind, and may be empty.
void check_columns(const fs::path& path, const std::vector<std::string>& columns) {
  std::set<std::string> names;
  for (const std::string& name : columns) {
    if (!name.empty() && !names.insert(name).second)
      throw data_error(fmt::format("{}: the column '{}' occurs twice", path.string(), name));
  }
}

SampleTable rows_of_csv(const fs::path& path) {
  const CsvTable csv = read_csv(path);
  const int id = csv.column("sample");
  if (id < 0)
    throw data_error(
        fmt::format("{}: expected a column 'sample', got: {}", path.string(), join(csv.columns)));
  const int split = csv.column("split");
  check_columns(path, csv.columns);
  SampleTable table;
  for (std::size_t r = 0; r < csv.rows.size(); ++r) {
    const std::vector<std::string>& fields = csv.rows[r];
    SampleTable::Row row{fields[static_cast<std::size_t>(id)],
                         split < 0 ? "" : fields[static_cast<std::size_t>(split)],
                         {}};
    const std::string place = fmt::format("{}:{}", path.string(), csv.lines[r]);
    if (row.id.empty())
      throw data_error(fmt::format("{}: expected a name in the column 'sample', got none", place));
    for (std::size_t i = 0; i < fields.size(); ++i) {
      if (static_cast<int>(i) == id || static_cast<int>(i) == split || fields[i].empty()) continue;
      if (csv.columns[i].empty()) {
        throw data_error(
            fmt::format("{}: '{}' stands in a column without a name", place, fields[i]));
      }
      row.files[csv.columns[i]] = from_manifest_folder(path, fields[i]);
    }
    table.rows.push_back(std::move(row));
  }
  return table;
}

/// A sample's id may be written as a number: what counts is its text.
std::string scalar_text(const config::Node& node, const std::string& place) {
  if (node.is_null()) return "";
  if (!node.is_scalar())
    throw data_error(fmt::format("{}: expected text, got {}", place, node.kind_name()));
  return node.is_string() ? node.as_string() : config::python_text(node);
}

SampleTable rows_of_yaml(const fs::path& path) {
  const config::Node root = config::read_yaml_file(path.string());
  const config::Node* list = root.is_map() ? root.child("samples") : &root;
  if (list == nullptr || !list->is_list()) {
    throw data_error(fmt::format("{}: expected a list of samples, or a map with the key 'samples'",
                                 path.string()),
                     "samples: [{sample: a, image: a.nii.gz, label: a_seg.nii.gz}]");
  }
  SampleTable table;
  for (const config::Node& node : list->as_list()) {
    const std::string place = node.mark().text();
    if (!node.is_map())
      throw data_error(fmt::format(
          "{}: expected a map with 'sample' and files, got {}", place, node.kind_name()));
    SampleTable::Row row;
    for (const config::Entry& item : node.as_map()) {
      const std::string key = item.key.text();
      const std::string value =
          scalar_text(item.value, fmt::format("{}: '{}'", item.value.mark().text(), key));
      if (key == "sample") {
        row.id = value;
      } else if (key == "split") {
        row.split = value;
      } else if (!value.empty()) {
        row.files[key] = from_manifest_folder(path, value);
      }
    }
    if (row.id.empty()) throw data_error(fmt::format("{}: expected the key 'sample'", place));
    table.rows.push_back(std::move(row));
  }
  return table;
}

void check_rows(const fs::path& path, SampleTable& table) {
  std::vector<std::string> faults;
  std::set<std::string> ids;
  std::set<std::string> entries;
  std::map<std::map<std::string, std::string>, std::string> seen;
  for (const SampleTable::Row& row : table.rows) {
    if (!ids.insert(row.id).second)
      faults.push_back(fmt::format("sample '{}' is listed twice", row.id));
    if (row.files.empty()) faults.push_back(fmt::format("sample '{}' has no files", row.id));
    std::map<std::string, std::string> files;
    for (const auto& [entry, file] : row.files) files[entry] = fs::path(file).lexically_normal();
    const auto [first, added] = seen.emplace(std::move(files), row.id);
    if (!added && first->second != row.id) {
      faults.push_back(
          fmt::format("samples '{}' and '{}' are the same files", first->second, row.id));
    }
    for (const auto& [entry, file] : row.files) entries.insert(entry);
  }
  if (table.rows.empty()) faults.push_back("no samples");
  throw_faults(path.string(), faults);
  table.entries.assign(entries.begin(), entries.end());
}

}  // namespace

void throw_faults(const std::string& what, const std::vector<std::string>& faults) {
  if (faults.empty()) return;
  constexpr std::size_t kShown = 20;
  std::string text;
  for (std::size_t i = 0; i < std::min(kShown, faults.size()); ++i) {
    text += fmt::format("{}{}: {}", i == 0 ? "" : "\n", what, faults[i]);
  }
  if (faults.size() > kShown)
    text += fmt::format("\n{}: and {} more faults", what, faults.size() - kShown);
  throw data_error(text);
}

SampleTable samples_from_patterns(const std::map<std::string, std::string>& patterns,
                                  const std::vector<std::string>& optional) {
  std::map<std::string, SampleTable::Row> rows;
  std::vector<std::string> faults;
  SampleTable table;
  const bool single = std::all_of(patterns.begin(), patterns.end(), [](const auto& p) {
    return p.second.find('*') == std::string::npos;
  });
  std::string single_id;
  for (const auto& [entry, pattern] : patterns) {
    table.entries.push_back(entry);
    const std::vector<Match> matches = expand(entry, pattern);
    if (matches.empty())
      faults.push_back(fmt::format("files.{}: no file matches '{}'", entry, pattern));
    for (const Match& match : matches) {
      if (single && single_id.empty()) single_id = match.id;
      SampleTable::Row& row = rows[single ? single_id : match.id];
      const auto [known, added] = row.files.emplace(entry, match.location);
      if (!added) {
        faults.push_back(fmt::format("files.{}: sample '{}' has two files, '{}' and '{}'",
                                     entry,
                                     match.id,
                                     known->second,
                                     match.location));
      }
    }
  }
  for (auto& [id, row] : rows) {
    row.id = id;
    for (const std::string& entry : table.entries) {
      if (row.files.contains(entry) ||
          std::find(optional.begin(), optional.end(), entry) != optional.end())
        continue;
      faults.push_back(fmt::format("sample '{}': no file for '{}' ('{}'), but for '{}': {}",
                                   id,
                                   entry,
                                   patterns.at(entry),
                                   row.files.begin()->first,
                                   row.files.begin()->second));
    }
    table.rows.push_back(std::move(row));
  }
  throw_faults("volume_files", faults);
  return table;
}

SampleTable samples_from_manifest(const std::string& path) {
  const std::string extension = file_extension(path);
  SampleTable table;
  if (extension == ".csv" || extension == ".tsv") {
    table = rows_of_csv(path);
  } else if (extension == ".yaml" || extension == ".yml") {
    table = rows_of_yaml(path);
  } else {
    throw ConfigError("schema",
                      fmt::format("manifest: '{}': expected a .yaml, .csv or .tsv file", path));
  }
  check_rows(path, table);
  return table;
}

}  // namespace triptych
