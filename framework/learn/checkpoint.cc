// SPDX-License-Identifier: Apache-2.0
#include "framework/learn/checkpoint.h"

#include "framework/config/fields.h"
#include "framework/config/yaml_reader.h"
#include "framework/config/yaml_writer.h"
#include "framework/core/error.h"
#include "framework/core/file.h"
#include "framework/core/nn.h"
#include "framework/core/suggest.h"

#include <algorithm>
#include <utility>

namespace triptych {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSuffix = ".safetensors";
constexpr const char* kStateFile = "state.yaml";
constexpr std::int64_t kFormat = 1;

/// The layout of state.yaml; doubles are written with as many digits as reading them back exactly
/// needs.
struct StoredClass {
  std::int64_t value = 0;
  std::string name;
  std::string color;
  void visit(auto& field) {
    field("value", value, "grey value in label files", config::Need::kRequired);
    field("name", name, "name", config::Need::kRequired);
    field("color", color, "#rrggbb", config::Need::kRequired);
  }
};
struct StoredState {
  std::int64_t format = kFormat;
  std::int64_t step = 0;
  std::int64_t validated_step = -1;
  double best_value = 0.0;
  std::int64_t best_step = -1;
  bool early_stopped = false;
  std::map<std::string, double> first_metrics;
  std::map<std::string, double> schedule;
  std::map<std::string, std::vector<StoredClass>> classes;
  std::map<std::string, std::int64_t> channels;
  void visit(auto& field) {
    field("format",
          format,
          "version of this layout",
          config::Need::kRequired,
          config::Between{kFormat, kFormat});
    field("step", step, "optimiser steps done", config::Need::kRequired, config::AtLeast{0});
    field("validated_step", validated_step, "step of the last validation", config::Need::kRequired);
    field("best_value", best_value, "best monitored value", config::Need::kRequired);
    field("best_step", best_step, "its step", config::Need::kRequired);
    field("early_stopped", early_stopped, "patience ran out", config::Need::kRequired);
    field(
        "first_metrics", first_metrics, "metrics of the first validation", config::Need::kRequired);
    field("schedule", schedule, "state of the schedule", config::Need::kRequired);
    field("classes", classes, "classes of each task", config::Need::kRequired);
    field("channels", channels, "channels of each modality", config::Need::kRequired);
  }
};

std::string color_text(const LabelClass& entry) {
  return fmt::format("#{:02x}{:02x}{:02x}", entry.color[0], entry.color[1], entry.color[2]);
}

std::string state_text(const TrainState& state) {
  StoredState stored{.step = state.step,
                     .validated_step = state.validated_step,
                     .best_value = state.best_value,
                     .best_step = state.best_step,
                     .early_stopped = state.early_stopped,
                     .first_metrics = state.first_metrics,
                     .schedule = state.schedule,
                     .classes = {},
                     .channels = state.channels};
  for (const auto& [task, table] : state.classes) {
    auto& rows = stored.classes[task];
    for (const LabelClass& entry : table.classes)
      rows.push_back({entry.value, entry.name, color_text(entry)});
  }
  return config::to_yaml(config::write(stored));
}

/// Temporary names of write_folder_atomically: ".<process>.<folder>" and the same with ".previous".
bool is_debris(const std::string& name, const std::string& folder, bool previous) {
  const std::string tail = "." + folder + (previous ? ".previous" : "");
  if (name.size() <= tail.size() + 1 || name[0] != '.' || !name.ends_with(tail)) return false;
  const std::string process = name.substr(1, name.size() - tail.size() - 1);
  return std::all_of(process.begin(), process.end(), [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

std::string some_of(std::vector<std::string> names) {
  constexpr std::size_t kShown = 5;
  const std::size_t count = names.size();
  if (count > kShown) names.resize(kShown);
  return join(names) + (count > kShown ? fmt::format(" and {} more", count - kShown) : "");
}

std::string shape_text(const at::Tensor& tensor) {
  std::vector<std::string> sizes;
  for (const std::int64_t size : tensor.sizes()) sizes.push_back(std::to_string(size));
  return "[" + join(sizes, ", ", "") + "]";
}

NamedTensors module_tensors(const torch::nn::Module& module, const std::string& prefix) {
  NamedTensors result;
  for (const auto& item : module.named_parameters())
    result.emplace_back(prefix + item.key(), item.value());
  for (const auto& item : module.named_buffers())
    result.emplace_back(prefix + item.key(), item.value());
  return result;
}

void write_checkpoint(const fs::path& folder,
                      const std::vector<std::pair<std::string, NamedTensors>>& parts,
                      const TrainState& state) {
  write_folder_atomically(folder, [&](const fs::path& temporary) {
    const std::map<std::string, std::string> metadata = {{"step", std::to_string(state.step)}};
    for (const auto& [name, tensors] : parts)
      write_safetensors(temporary / (name + kSuffix), tensors, metadata);
    write_file_atomically(temporary / kStateFile, state_text(state));
  });
}

bool recover_checkpoint(const fs::path& folder) {
  std::error_code code;
  std::vector<fs::path> previous, unfinished;
  for (const auto& entry : fs::directory_iterator(folder.parent_path(), code)) {
    const std::string name = entry.path().filename().string();
    if (is_debris(name, folder.filename().string(), true)) previous.push_back(entry.path());
    if (is_debris(name, folder.filename().string(), false)) unfinished.push_back(entry.path());
  }
  if (!fs::exists(folder) && !previous.empty()) {
    // More than one can only be there after several kills; the latest step is the one to keep.
    const auto step_of = [](const fs::path& path) { return read_train_state(path).step; };
    const auto latest = std::max_element(
        previous.begin(), previous.end(), [&](const fs::path& a, const fs::path& b) {
          return step_of(a) < step_of(b);
        });
    fs::rename(*latest, folder);
    previous.erase(latest);
  }
  for (const auto* leftovers : {&previous, &unfinished}) {
    for (const fs::path& path : *leftovers) fs::remove_all(path, code);
  }
  return fs::exists(folder);
}

TrainState read_train_state(const fs::path& folder) {
  const fs::path path = folder / kStateFile;
  StoredState stored;
  try {
    stored = config::read<StoredState>(config::read_yaml_file(path.string()));
  } catch (const ConfigError& error) {
    throw io_error(
        fmt::format("{}: is no state of a training run: {}", path.string(), error.what()),
        "the checkpoint is damaged or was written by another version");
  }
  TrainState state{.step = stored.step,
                   .validated_step = stored.validated_step,
                   .best_value = stored.best_value,
                   .best_step = stored.best_step,
                   .first_metrics = stored.first_metrics,
                   .schedule = stored.schedule,
                   .classes = {},
                   .channels = stored.channels,
                   .early_stopped = stored.early_stopped};
  for (const auto& [task, rows] : stored.classes) {
    auto& classes = state.classes[task].classes;
    for (const StoredClass& row : rows)
      classes.push_back({row.value, row.name, color_from_text(row.color)});
  }
  return state;
}

SafeTensors read_checkpoint_part(const fs::path& folder, const std::string& name) {
  return read_safetensors(folder / (name + kSuffix));
}
SafeTensors read_model_state(const fs::path& folder) {
  return read_checkpoint_part(folder, "model");
}

void load_module(torch::nn::Module& module,
                 const SafeTensors& tensors,
                 const std::string& prefix,
                 const std::string& place) {
  std::map<std::string, at::Tensor> given;
  for (const auto& [name, tensor] : tensors.tensors) {
    if (name.starts_with(prefix)) given[name.substr(prefix.size())] = tensor;
  }
  std::vector<std::string> missing, unknown, reshaped;
  std::vector<std::pair<at::Tensor, at::Tensor>> copies;
  for (const auto& [name, target] : module_tensors(module, "")) {
    const auto found = given.find(name);
    if (found == given.end()) {
      missing.push_back(name);
      continue;
    }
    if (found->second.sizes() == target.sizes()) {
      copies.emplace_back(target, found->second);
    } else {
      reshaped.push_back(
          fmt::format("{} {} instead of {}", name, shape_text(found->second), shape_text(target)));
    }
    given.erase(found);
  }
  for (const auto& [name, tensor] : given) unknown.push_back(name);

  std::vector<std::string> faults;
  if (!missing.empty()) faults.push_back("missing " + some_of(missing));
  if (!unknown.empty()) faults.push_back("unknown " + some_of(unknown));
  if (!reshaped.empty()) faults.push_back("of another shape " + some_of(reshaped));
  if (!faults.empty()) {
    throw model_error(
        fmt::format("{}: the weights do not fit the model: {}", place, join(faults, "; ")),
        "the checkpoint is of another model; compare its configuration with this one");
  }
  const torch::NoGradGuard no_grad;
  for (auto& [target, source] : copies) target.copy_(source);
}

std::string weights_checksum(const fs::path& folder) {
  const SafeTensors saved = read_model_state(folder);
  const std::map<std::string, at::Tensor> sorted(saved.tensors.begin(), saved.tensors.end());
  std::string bytes;
  for (const auto& [name, tensor] : sorted) {
    bytes +=
        fmt::format("{} {} {}\n", name, static_cast<int>(tensor.scalar_type()), shape_text(tensor));
    bytes.append(static_cast<const char*>(tensor.data_ptr()), tensor.nbytes());
  }
  return sha256(bytes);
}

}  // namespace triptych
