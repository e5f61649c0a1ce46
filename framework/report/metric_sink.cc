// SPDX-License-Identifier: Apache-2.0
#include "framework/report/metric_sink.h"

#include "framework/core/error.h"
#include "framework/core/file.h"
#include "framework/report/csv.h"
#include "framework/report/json_text.h"

#include <algorithm>
#include <charconv>
#include <functional>

#include <nlohmann/json.hpp>

namespace triptych {
namespace fs = std::filesystem;
namespace {

constexpr const char* kFixedColumns[] = {"step", "epoch", "phase"};

// A metric that takes the name of a fixed column would make two columns of one name.
void check_names(const MetricRow& row) {
  for (const auto& [name, value] : row.values) {
    const bool fixed = std::find(std::begin(kFixedColumns), std::end(kFixedColumns), name) !=
                       std::end(kFixedColumns);
    if (fixed || name.empty() || name.find('\n') != std::string::npos) {
      throw data_error(fmt::format(
          "metric '{}': expected a name on one line other than step, epoch, phase", name));
    }
  }
}

using StepOfLine = std::function<std::optional<std::int64_t>(const std::string& line)>;

/// The lines of `path` up to and including `last_step`. Unreadable lines at the end were torn by a
/// crash and go; unreadable lines followed by readable ones mean that somebody else wrote into the
/// file.
std::vector<std::string> lines_until(const fs::path& path,
                                     std::int64_t last_step,
                                     const StepOfLine& step_of) {
  const std::string bytes = read_file(path);
  std::vector<std::string> kept;
  std::size_t torn_line = 0;
  std::size_t number = 0;
  for (std::size_t begin = 0; begin < bytes.size();) {
    const std::size_t end = bytes.find('\n', begin);
    if (end == std::string::npos) break;  // no line end: the last row was torn
    std::string line = bytes.substr(begin, end - begin);
    begin = end + 1;
    ++number;
    const std::optional<std::int64_t> step = step_of(line);
    if (!step) {
      if (torn_line == 0) torn_line = number;
      continue;
    }
    if (torn_line != 0) {
      throw data_error(
          fmt::format(
              "{}:{}: expected a row of metrics, got something else", path.string(), torn_line),
          "remove that line, or move the file away to begin a new one");
    }
    if (*step <= last_step) kept.push_back(std::move(line));
  }
  return kept;
}

std::optional<std::int64_t> step_of_json(const std::string& line) {
  const auto object = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object() || !object.contains("step") || !object["step"].is_number_integer())
    return {};
  return object["step"].get<std::int64_t>();
}

std::optional<std::int64_t> step_of_csv(const std::string& line) {
  std::int64_t step = 0;
  const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), step);
  if (error != std::errc() || end == line.data() + line.size() || *end != ',') return {};
  return step;
}

std::string joined_lines(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + '\n';
  return text;
}

fs::path begin_jsonl(fs::path path, std::optional<std::int64_t> resume_step) {
  const bool continues = resume_step && fs::exists(path);
  write_file_atomically(
      path, continues ? joined_lines(lines_until(path, *resume_step, step_of_json)) : "");
  return path;
}

std::string csv_header(const std::vector<std::string>& columns) {
  std::string line = "step,epoch,phase";
  for (const std::string& column : columns) line += ',' + csv_cell(column);
  return line;
}

}  // namespace

JsonlSink::JsonlSink(fs::path path, std::optional<std::int64_t> resume_step)
    : file_(begin_jsonl(std::move(path), resume_step)) {}

void JsonlSink::write(const MetricRow& row) {
  check_names(row);
  std::string line = fmt::format(R"({{"step": {}, "epoch": {}, "phase": {})",
                                 row.step,
                                 json_number(row.epoch),
                                 json_string(row.phase));
  for (const auto& [name, value] : row.values)
    line += ", " + json_string(name) + ": " + json_number(value);
  file_.append(line + "}\n");
}

void JsonlSink::flush() { file_.sync(); }

CsvSink::CsvSink(fs::path path, std::optional<std::int64_t> resume_step) : path_(std::move(path)) {
  std::vector<std::string> rows;
  if (resume_step && fs::exists(path_)) {
    const std::string bytes = read_file(path_);
    const std::string header = bytes.substr(0, bytes.find('\n'));
    columns_ = csv_cells(header);
    if (columns_.size() < 3 ||
        !std::equal(std::begin(kFixedColumns), std::end(kFixedColumns), columns_.begin())) {
      throw data_error(fmt::format(
          "{}:1: expected columns step, epoch, phase, ..., got '{}'", path_.string(), header));
    }
    columns_.erase(columns_.begin(), columns_.begin() + 3);
    bool is_header = true;
    rows = lines_until(path_, *resume_step, [&](const std::string& line) {
      return std::exchange(is_header, false) ? *resume_step + 1 : step_of_csv(line);
    });
  }
  write_file_atomically(path_, csv_header(columns_) + '\n' + joined_lines(rows));
  file_ = std::make_unique<AppendFile>(path_);
}

void CsvSink::write(const MetricRow& row) {
  check_names(row);
  std::vector<std::string> missing;
  for (const auto& [name, value] : row.values) {
    const bool known = std::find(columns_.begin(), columns_.end(), name) != columns_.end();
    if (!known && std::find(missing.begin(), missing.end(), name) == missing.end())
      missing.push_back(name);
  }
  if (!missing.empty()) add_columns(missing);

  std::string line = fmt::format("{},{},{}", row.step, row.epoch, csv_cell(row.phase));
  for (const std::string& column : columns_) {
    const auto found = std::find_if(row.values.begin(), row.values.end(), [&](const auto& value) {
      return value.first == column;
    });
    line += found == row.values.end() ? "," : fmt::format(",{}", found->second);
  }
  file_->append(line + '\n');
}

void CsvSink::add_columns(const std::vector<std::string>& names) {
  columns_.insert(columns_.end(), names.begin(), names.end());
  const std::string empty_cells(names.size(), ',');
  const std::string bytes = read_file(path_);
  std::string text = csv_header(columns_) + '\n';
  for (std::size_t begin = bytes.find('\n') + 1; begin < bytes.size();) {
    const std::size_t end = bytes.find('\n', begin);
    text += bytes.substr(begin, end - begin) + empty_cells + '\n';
    begin = end + 1;
  }
  file_.reset();  // its descriptor would go on writing to the replaced file
  write_file_atomically(path_, text);
  file_ = std::make_unique<AppendFile>(path_);
}

void CsvSink::flush() { file_->sync(); }

void MultiSink::write(const MetricRow& row) {
  for (const auto& sink : sinks_) sink->write(row);
}

void MultiSink::flush() {
  for (const auto& sink : sinks_) sink->flush();
}

void MultiSink::write_picture(std::int64_t step, const std::string& tag, const Picture& picture) {
  for (const auto& sink : sinks_) sink->write_picture(step, tag, picture);
}

void MultiSink::write_text(std::int64_t step, const std::string& tag, const std::string& markdown) {
  for (const auto& sink : sinks_) sink->write_text(step, tag, markdown);
}

}  // namespace triptych
