// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace triptych {

/// A table in a text file: fields separated by commas (or by tabs or semicolons, whichever the
/// first line has), quoted with
/// `"` where they hold a separator. The first line names the columns; empty lines and lines
/// starting with # are skipped.
struct CsvTable {
  std::vector<std::string> columns;
  std::vector<std::vector<std::string>> rows;  ///< as many fields as columns
  std::vector<int> lines;                      ///< line number of each row, from 1

  /// Index of a column, or -1.
  int column(const std::string& name) const;
};

/// Throws io_error when the file cannot be read, data_error naming file and line when a row has
/// another number of fields.
CsvTable read_csv(const std::filesystem::path& file);

}  // namespace triptych
