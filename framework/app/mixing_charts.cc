// SPDX-License-Identifier: Apache-2.0
#include "framework/app/mixing_charts.h"

#include "framework/report/matrix_chart.h"

#include <limits>
#include <set>
#include <string_view>
#include <utility>

namespace triptych::app {
namespace {

constexpr std::string_view kPrefix = "mixing/";
constexpr std::string_view kFrom = "_from_";

/// Values by receiving and giving task.
using Mixing = std::map<std::pair<std::string, std::string>, double>;

MatrixChart chart_of(const std::string& stage, const Mixing& mixing) {
  std::set<std::string> tasks;
  for (const auto& [pair, value] : mixing) tasks.insert(pair.first);
  MatrixChart chart{
      .title = stage, .row_label = "receives", .column_label = "gives", .shares = false};
  chart.row_names.assign(tasks.begin(), tasks.end());
  chart.column_names = chart.row_names;
  for (const std::string& row : tasks) {
    for (const std::string& column : tasks) {
      const auto found = mixing.find({row, column});
      chart.values.push_back(found == mixing.end() ? std::numeric_limits<double>::quiet_NaN()
                                                   : found->second);
    }
  }
  return chart;
}

}  // namespace

std::map<std::string, std::string> mixing_charts(const std::map<std::string, double>& metrics) {
  std::map<std::string, Mixing> stages;
  for (const auto& [tag, value] : metrics) {
    const std::size_t slash = tag.rfind('/'), from = tag.rfind(kFrom);
    if (!tag.starts_with(kPrefix) || slash < kPrefix.size() || from == std::string::npos ||
        from < slash)
      continue;
    const std::string stage = tag.substr(kPrefix.size(), slash - kPrefix.size());
    stages[stage][{tag.substr(slash + 1, from - slash - 1), tag.substr(from + kFrom.size())}] =
        value;
  }
  std::map<std::string, std::string> charts;
  for (const auto& [stage, mixing] : stages)
    charts["mixing_" + stage + ".svg"] = svg_of(chart_of(stage, mixing));
  return charts;
}

}  // namespace triptych::app
