// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/learn/trainer.h"
#include "framework/report/metric_sink.h"

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace triptych::app {

/// Turns what the trainer tells into files of the run directory: metrics.jsonl, metrics.csv,
/// TensorBoard events (tb/), pictures/<task>/step_<step>_<item>.png of validation items,
/// curves.svg.
class RunObserver final : public TrainingObserver {
 public:
  /// `resume_step`: keep rows up to that step.
  RunObserver(std::filesystem::path folder, std::optional<std::int64_t> resume_step);

  void on_metrics(std::int64_t step,
                  const std::string& phase,
                  const std::vector<std::pair<std::string, double>>& values) override;
  void on_predictions(std::int64_t step,
                      const ExperimentTask& task,
                      const Batch& batch,
                      const at::Tensor& activated) override;
  void on_checkpoint(std::int64_t step, const std::filesystem::path& folder, bool best) override;

  /// Draws the curves once more, flushes, and writes result.json: the values of the last
  /// validation.
  void finish();
  /// SVG texts by file name.
  const std::map<std::string, std::string>& charts() const { return charts_; }
  const std::vector<std::pair<std::string, double>>& last_validation() const {
    return last_validation_;
  }
  /// By task and item.
  const std::map<std::pair<std::string, std::string>, Picture>& last_pictures() const {
    return pictures_;
  }

 private:
  /// What metrics.jsonl already holds of a resumed run.
  void read_earlier_rows();
  /// Takes a row to the curves and, unless it is of training, as the last validation.
  void keep(double step,
            const std::string& phase,
            const std::vector<std::pair<std::string, double>>& values);
  void draw_curves();
  /// A name for the picture of an item that no other picture of this task and step has.
  std::string picture_name(std::int64_t step, const std::string& task, const std::string& id);

  std::filesystem::path folder_;
  MultiSink sinks_;
  std::map<std::string, std::pair<std::vector<double>, std::vector<double>>> curves_;
  std::map<std::string, std::string> charts_;
  std::vector<std::pair<std::string, double>> last_validation_;
  std::int64_t pictures_step_ = -1;
  std::map<std::pair<std::string, std::string>, Picture> pictures_;  ///< of that step
};

}  // namespace triptych::app
