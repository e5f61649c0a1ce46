// SPDX-License-Identifier: Apache-2.0
#include "framework/core/csv_table.h"

#include "framework/core/error.h"
#include "framework/core/file.h"

#include <algorithm>
#include <sstream>

namespace triptych {
namespace {

std::string trimmed(const std::string& text) {
  const auto first = text.find_first_not_of(" \t\r");
  if (first == std::string::npos) return "";
  return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

std::vector<std::string> fields_of(const std::string& line, char separator) {
  std::vector<std::string> fields;
  std::string field;
  bool quoted = false;
  bool was_quoted = false;
  const auto finish = [&] {
    fields.push_back(was_quoted ? field : trimmed(field));
    field.clear();
    was_quoted = false;
  };
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (quoted) {
      if (c != '"') {
        field += c;
      } else if (i + 1 < line.size() && line[i + 1] == '"') {
        field += line[++i];
      } else {
        quoted = false;
      }
    } else if (c == '"' && trimmed(field).empty()) {
      field.clear();
      quoted = was_quoted = true;
    } else if (c == separator) {
      finish();
    } else if (!was_quoted || (c != ' ' && c != '\r')) {
      field += c;
    }
  }
  finish();
  return fields;
}

}  // namespace

int CsvTable::column(const std::string& name) const {
  const auto found = std::find(columns.begin(), columns.end(), name);
  return found == columns.end() ? -1 : static_cast<int>(found - columns.begin());
}

CsvTable read_csv(const std::filesystem::path& file) {
  std::string text = read_file(file);
  if (text.starts_with("\xEF\xBB\xBF")) text.erase(0, 3);  // byte order mark of spreadsheets
  std::istringstream stream(text);
  CsvTable table;
  char separator = ',';
  std::string line;
  for (int number = 1; std::getline(stream, line); ++number) {
    if (trimmed(line).empty() || line.starts_with('#')) continue;
    if (table.columns.empty()) {
      for (const char candidate : {'\t', ';', ','}) {
        if (line.find(candidate) != std::string::npos) separator = candidate;
      }
      table.columns = fields_of(line, separator);
      continue;
    }
    table.rows.push_back(fields_of(line, separator));
    table.lines.push_back(number);
    if (table.rows.back().size() != table.columns.size()) {
      throw data_error(fmt::format("{}:{}: expected {} fields as in the first line, got {}",
                                   file.string(),
                                   number,
                                   table.columns.size(),
                                   table.rows.back().size()));
    }
  }
  if (table.columns.empty())
    throw data_error(
        fmt::format("{}: expected a table with a line of column names, got none", file.string()));
  return table;
}

}  // namespace triptych
