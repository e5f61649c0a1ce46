// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace triptych {

/// A small table of results (IoU x class x method) for terminal, Markdown, CSV and JSON.
///
/// A column that holds numbers only is aligned to the right. Text and Markdown round to the
/// column's digits; CSV and JSON keep every digit. An empty cell stands for "does not apply";
/// not-a-number is printed as nan.
class Table {
 public:
  /// monostate is the empty cell.
  using Cell = std::variant<std::monostate, std::string, double, std::int64_t>;

  struct Column {
    std::string name;
    int decimals = 3;  ///< of doubles in text and Markdown
  };

  explicit Table(const std::vector<std::string>& names, int decimals = 3);
  void set_decimals(std::size_t column, int decimals);

  /// As many cells as columns.
  void add_row(std::vector<Cell> cells);

  const std::vector<Column>& columns() const { return columns_; }
  const std::vector<std::vector<Cell>>& rows() const { return rows_; }
  /// Whether all cells of a column are numbers or empty, and one is a number.
  bool is_numeric(std::size_t column) const;
  /// A cell as text and Markdown show it; an empty one is "-".
  std::string shown(std::size_t row, std::size_t column) const;

  /// Aligned columns, two spaces apart, a rule below the header.
  std::string text() const;
  std::string markdown() const;
  std::string csv() const;
  /// An array with one object a row; an empty cell is null, not-a-number and infinities are strings
  /// as in metrics.jsonl.
  std::string json() const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<Cell>> rows_;
};

/// Number of characters that a UTF-8 text shows (its code points).
std::size_t shown_width(std::string_view utf8);

}  // namespace triptych
