// SPDX-License-Identifier: Apache-2.0
#include "framework/app/registration_record.h"

#include "framework/app/run_files.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <nlohmann/json.hpp>

namespace triptych::app {
namespace {

using nlohmann::ordered_json;

ordered_json finite_or_null(double value) {
  if (std::isfinite(value)) return value;
  return nullptr;
}

ordered_json by_label(const std::map<std::int64_t, double>& values) {
  ordered_json result = ordered_json::object();
  for (const auto& [label, value] : values) result[std::to_string(label)] = finite_or_null(value);
  return result;
}

ordered_json as_json(const config::Node& node) {
  if (node.is_bool()) return node.as_bool();
  if (node.is_int()) return node.as_int();
  if (node.is_double()) return finite_or_null(node.as_double());
  if (node.is_string()) return node.as_string();
  ordered_json result = nullptr;
  if (node.is_list()) {
    result = ordered_json::array();
    for (const config::Node& item : node.as_list()) result.push_back(as_json(item));
  } else if (node.is_map()) {
    result = ordered_json::object();
    for (const config::Entry& entry : node.as_map())
      result[entry.key.text()] = as_json(entry.value);
  }
  return result;
}

ordered_json as_json(const BuildRecord& build) {
  ordered_json result = {{"triptych", build.version},
                         {"git_commit", build.git_commit},
                         {"build_type", build.build_type},
                         {"compiler", build.compiler}};
  for (const auto& [library, version] : build.libraries) result[library] = version;
  return result;
}

ordered_json as_json(const PairScores& scores, const RegistrationInputs& inputs) {
  ordered_json result = {{"stage", scores.stage},
                         {"seconds", scores.seconds},
                         {"overlap", finite_or_null(scores.overlap)},
                         {"local_ncc", finite_or_null(scores.local_ncc)},
                         {"mutual_information", finite_or_null(scores.mutual_information)}};
  if (inputs.has_label_pair()) {
    result["dice_mean"] = finite_or_null(mean_of(scores.dice));
    result["dice"] = by_label(scores.dice);
    if (!scores.hd95.empty()) {
      result["hd95_mean"] = finite_or_null(mean_of(scores.hd95));
      result["hd95"] = by_label(scores.hd95);
    }
  }
  if (!scores.landmark_errors.empty()) {
    const ErrorSummary summary = summarise(scores.landmark_errors);
    result["tre"] = {{"mean", summary.mean},
                     {"median", summary.median},
                     {"worst_30_percent", summary.worst_30},
                     {"largest", summary.largest}};
    for (std::size_t i = 0; i < scores.landmark_errors.size(); ++i)
      result["tre_of"][inputs.landmarks->labels[i]] = scores.landmark_errors[i];
  }
  if (scores.reference) {
    result["reference"] = {{"mean", scores.reference->mean},
                           {"largest", scores.reference->largest},
                           {"centre", scores.reference->centre},
                           {"rotation_deg", finite_or_null(scores.reference->rotation_deg)}};
  }
  return result;
}

}  // namespace

Table stage_table(const RegistrationRecord& record) {
  const bool labels = record.inputs.has_label_pair();
  const bool landmarks = record.inputs.landmarks.has_value();
  const std::string unit = record.inputs.fixed.geometry.spacing_known ? "_mm" : "_px";
  std::vector<std::string> names = {"stage", "seconds", "overlap", "local_ncc", "mutual_info"};
  if (labels) names.insert(names.end(), {"dice", "hd95" + unit});
  if (landmarks) names.insert(names.end(), {"tre" + unit, "median", "worst_30%"});
  if (record.inputs.reference) names.push_back("reference" + unit);
  Table table(names, 3);
  for (const PairScores& stage : record.stages) {
    std::vector<Table::Cell> cells = {
        stage.stage, stage.seconds, stage.overlap, stage.local_ncc, stage.mutual_information};
    if (labels) {
      cells.emplace_back(mean_of(stage.dice));
      cells.push_back(stage.hd95.empty() ? Table::Cell() : Table::Cell(mean_of(stage.hd95)));
    }
    if (landmarks) {
      const ErrorSummary summary = summarise(stage.landmark_errors);
      cells.insert(cells.end(), {summary.mean, summary.median, summary.worst_30});
    }
    if (stage.reference) cells.emplace_back(stage.reference->mean);
    table.add_row(std::move(cells));
  }
  return table;
}

std::string json_of(const RegistrationRecord& record) {
  const RegistrationInputs& inputs = record.inputs;
  ordered_json json = {{"unit", inputs.fixed.geometry.spacing_known ? "mm" : "px"},
                       {"fixed_grid", inputs.fixed_header.geometry.text()},
                       {"moving_grid", inputs.moving_image.geometry().text()},
                       {"working_grid", inputs.fixed.geometry.text()},
                       {"fill", record.fill}};
  for (const PairScores& stage : record.stages) json["stages"].push_back(as_json(stage, inputs));
  json["deformation"] = {{"folded_share", finite_or_null(record.regularity.folded_share)},
                         {"sd_log_jacobian", finite_or_null(record.regularity.log_deviation)},
                         {"smallest_jacobian", finite_or_null(record.regularity.smallest)},
                         {"largest_jacobian", finite_or_null(record.regularity.largest)}};
  if (inputs.landmarks) {
    json["landmarks"] = {{"pairs", inputs.landmarks->labels.size()},
                         {"only_fixed", inputs.landmarks->only_fixed},
                         {"only_moving", inputs.landmarks->only_moving}};
  }
  json["settings"] = as_json(record.settings);
  json["versions"] = as_json(build_record());
  return json.dump(2) + "\n";
}

}  // namespace triptych::app
