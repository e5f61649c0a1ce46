// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

namespace triptych {

/// A heat map: of counts, made for confusion matrices whose rows are the reference and columns the
/// prediction, or of plain values.
struct MatrixChart {
  std::string title = {};
  std::string row_label = "reference";
  std::string column_label = "prediction";
  std::vector<std::string> row_names = {};
  std::vector<std::string> column_names = {};
  std::vector<double> values = {};  ///< row by row; shares need what is not negative
  bool shares = true;      ///< cells show shares of their row; false: the values, coloured by size
  bool log_colour = true;  ///< colour by the logarithm, so that errors of a percent are seen
};

/// Shares are in percent, with the count as tooltip; a row without counts stays empty. Values have
/// two decimals and the colour of their size beside the largest one.
std::string svg_of(const MatrixChart& chart);

}  // namespace triptych
