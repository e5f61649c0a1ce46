// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/report/append_file.h"
#include "framework/report/picture.h"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace triptych {

/// What was measured at one optimiser step.
///
/// Value names are complete tags, unique over all phases, grouped by slashes and without spaces:
/// `loss/train`, `loss/<task>/<term>`, `metric/<task>/<name>/<class>`, `lr/<group>`,
/// `weight/<task>`, `time/step_ms`.
struct MetricRow {
  std::int64_t step = 0;
  double epoch = 0;
  std::vector<std::pair<std::string, double>> values = {};
  std::string phase = {};  ///< "train", "validation", "test"
};

/// Where measurements go. A sink never changes or reorders rows; write throws io_error when the
/// disk is full.
///
/// `resume_step` of the file sinks: without it, a file of that name is replaced by an empty one.
/// With it, the file is continued after that step: later rows, and a last row torn by a crash, are
/// dropped.
class MetricSink {
 public:
  virtual ~MetricSink() = default;
  virtual void write(const MetricRow& row) = 0;
  /// Waits until everything written is on the disk.
  virtual void flush() = 0;

  /// Pictures and texts go only to sinks that can show them.
  virtual void write_picture(std::int64_t /*step*/, const std::string& /*tag*/, const Picture&) {}
  virtual void write_text(std::int64_t /*step*/,
                          const std::string& /*tag*/,
                          const std::string& /*markdown*/) {}
};

/// One JSON object a line: {"step": 10, "epoch": 0.5, "phase": "train", "loss/train": 0.25}.
///
/// JSON has no NaN and no infinity; they are written as the strings "NaN", "Infinity" and
/// "-Infinity" (the convention of Protocol Buffers; Python's float() reads them). Other numbers
/// have as many digits as reading them back needs.
class JsonlSink final : public MetricSink {
 public:
  explicit JsonlSink(std::filesystem::path path, std::optional<std::int64_t> resume_step = {});
  void write(const MetricRow& row) override;
  void flush() override;

 private:
  AppendFile file_;
};

/// A table with the columns step, epoch, phase, then one per value name in order of appearance (RFC
/// 4180, LF).
///
/// A name that is new adds a column: the whole file is rewritten and renamed. A value that a row
/// lacks is an empty cell. Not-a-number and infinities read nan, inf, -inf.
class CsvSink final : public MetricSink {
 public:
  explicit CsvSink(std::filesystem::path path, std::optional<std::int64_t> resume_step = {});
  void write(const MetricRow& row) override;
  void flush() override;

 private:
  void add_columns(const std::vector<std::string>& names);

  std::filesystem::path path_;
  std::vector<std::string> columns_;  ///< value names, without step, epoch and phase
  std::unique_ptr<AppendFile> file_;
};

/// Hands everything to several sinks, in order.
class MultiSink final : public MetricSink {
 public:
  void add(std::unique_ptr<MetricSink> sink) { sinks_.push_back(std::move(sink)); }
  void write(const MetricRow& row) override;
  void flush() override;
  void write_picture(std::int64_t step, const std::string& tag, const Picture& picture) override;
  void write_text(std::int64_t step, const std::string& tag, const std::string& markdown) override;

 private:
  std::vector<std::unique_ptr<MetricSink>> sinks_;
};

}  // namespace triptych
