// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

namespace triptych {

/// A heat map of counts, made for confusion matrices: rows are the reference, columns the
/// prediction.
struct MatrixChart {
  std::string title = {};
  std::string row_label = "reference";
  std::string column_label = "prediction";
  std::vector<std::string> row_names = {};
  std::vector<std::string> column_names = {};
  std::vector<double> values = {};  ///< row by row, not negative
  bool log_colour = true;  ///< colour by the logarithm, so that errors of a percent are seen
};

/// Cells show the share of their row in percent, tooltips the count. A row without counts stays
/// empty.
std::string svg_of(const MatrixChart& chart);

}  // namespace triptych
