// SPDX-License-Identifier: Apache-2.0
#include "framework/report/table.h"

#include "framework/core/error.h"
#include "framework/report/csv.h"
#include "framework/report/json_text.h"

#include <algorithm>

namespace triptych {
namespace {

bool is_number(const Table::Cell& cell) {
  return std::holds_alternative<double>(cell) || std::holds_alternative<std::int64_t>(cell);
}

std::string exact(const Table::Cell& cell) {
  if (const auto* text = std::get_if<std::string>(&cell)) return *text;
  if (const auto* real = std::get_if<double>(&cell)) return fmt::format("{}", *real);
  if (const auto* integer = std::get_if<std::int64_t>(&cell)) return fmt::format("{}", *integer);
  return "";
}

std::string as_json(const Table::Cell& cell) {
  if (const auto* text = std::get_if<std::string>(&cell)) return json_string(*text);
  if (const auto* real = std::get_if<double>(&cell)) return json_number(*real);
  if (const auto* integer = std::get_if<std::int64_t>(&cell)) return fmt::format("{}", *integer);
  return "null";
}

std::string padded(const std::string& text, std::size_t width, bool to_the_right) {
  const std::string space(width - std::min(width, shown_width(text)), ' ');
  return to_the_right ? space + text : text + space;
}

std::string without_trailing_space(std::string line) {
  line.erase(line.find_last_not_of(' ') + 1);
  return line;
}

// A pipe would end the cell, a line break the row.
std::string markdown_cell(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '|') escaped += '\\';
    escaped += c == '\n' ? ' ' : c;
  }
  return escaped;
}

}  // namespace

Table::Table(const std::vector<std::string>& names, int decimals) {
  for (const std::string& name : names) columns_.push_back({name, decimals});
}

void Table::set_decimals(std::size_t column, int decimals) {
  columns_.at(column).decimals = decimals;
}

void Table::add_row(std::vector<Cell> cells) {
  TRIPTYCH_ASSERT(cells.size() == columns_.size());
  rows_.push_back(std::move(cells));
}

bool Table::is_numeric(std::size_t column) const {
  bool any = false;
  for (const auto& row : rows_) {
    if (std::holds_alternative<std::string>(row[column])) return false;
    any = any || is_number(row[column]);
  }
  return any;
}

std::string Table::shown(std::size_t row, std::size_t column) const {
  const Cell& cell = rows_[row][column];
  if (const auto* real = std::get_if<double>(&cell))
    return fmt::format("{:.{}f}", *real, columns_[column].decimals);
  return std::holds_alternative<std::monostate>(cell) ? "-" : exact(cell);
}

std::string Table::text() const {
  std::vector<std::size_t> widths;
  std::size_t total = 0;
  for (std::size_t c = 0; c < columns_.size(); ++c) {
    widths.push_back(shown_width(columns_[c].name));
    for (std::size_t r = 0; r < rows_.size(); ++r)
      widths[c] = std::max(widths[c], shown_width(shown(r, c)));
    total += widths[c] + (c == 0 ? 0 : 2);
  }
  const auto line_of = [&](const auto& cell_text) {
    std::string line;
    for (std::size_t c = 0; c < columns_.size(); ++c) {
      line += (c == 0 ? "" : "  ") + padded(cell_text(c), widths[c], is_numeric(c));
    }
    return without_trailing_space(line) + '\n';
  };
  std::string text =
      line_of([&](std::size_t c) { return columns_[c].name; }) + std::string(total, '-') + '\n';
  for (std::size_t r = 0; r < rows_.size(); ++r) {
    text += line_of([&](std::size_t c) { return shown(r, c); });
  }
  return text;
}

std::string Table::markdown() const {
  std::string text = "|";
  std::string rule = "|";
  for (std::size_t c = 0; c < columns_.size(); ++c) {
    text += ' ' + markdown_cell(columns_[c].name) + " |";
    rule += is_numeric(c) ? " ---: |" : " --- |";
  }
  text += '\n' + rule + '\n';
  for (std::size_t r = 0; r < rows_.size(); ++r) {
    text += '|';
    for (std::size_t c = 0; c < columns_.size(); ++c)
      text += ' ' + markdown_cell(shown(r, c)) + " |";
    text += '\n';
  }
  return text;
}

std::string Table::csv() const {
  std::string text;
  for (const Column& column : columns_)
    text += (&column == columns_.data() ? "" : ",") + csv_cell(column.name);
  text += '\n';
  for (const auto& row : rows_) {
    for (const Cell& cell : row) text += (&cell == row.data() ? "" : ",") + csv_cell(exact(cell));
    text += '\n';
  }
  return text;
}

std::string Table::json() const {
  std::string text = "[";
  for (std::size_t r = 0; r < rows_.size(); ++r) {
    text += r == 0 ? "\n  {" : ",\n  {";
    for (std::size_t c = 0; c < columns_.size(); ++c) {
      text += (c == 0 ? "" : ", ") + json_string(columns_[c].name) + ": " + as_json(rows_[r][c]);
    }
    text += '}';
  }
  return text + (rows_.empty() ? "]\n" : "\n]\n");
}

std::size_t shown_width(std::string_view utf8) {
  return static_cast<std::size_t>(
      std::count_if(utf8.begin(), utf8.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

}  // namespace triptych
