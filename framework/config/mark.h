// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace triptych::config {

/// Where a key or value was written: a place in a file, a word of the command line, or nowhere
/// (made by code).
///
/// Lines, columns and words count from 1. Two machine words wide, so that every node can afford
/// one: the file name is interned for the life of the program.
class Mark {
 public:
  Mark() = default;
  static Mark in_file(std::string_view file, int line, int column);
  static Mark at_word(int word);
  /// A named origin without lines, as "default" or "environment".
  static Mark named(std::string_view origin);

  bool known() const { return file_ != nullptr; }
  bool is_word() const { return known() && line_ == 0 && column_ > 0; }
  const std::string& file() const;
  int line() const { return line_; }
  int column() const { return column_; }
  int word() const { return is_word() ? column_ : 0; }

  /// "file.yaml:3:7", "command line, word 2", "default"; "configuration" where nothing is known.
  std::string text() const;

  bool operator==(const Mark&) const = default;

 private:
  const std::string* file_ = nullptr;
  std::int32_t line_ = 0;
  std::int32_t column_ = 0;
};

}  // namespace triptych::config
