// SPDX-License-Identifier: Apache-2.0
#include "framework/learn/initialisation.h"

#include "framework/core/error.h"
#include "framework/core/nn.h"
#include "framework/core/suggest.h"
#include "framework/learn/checkpoint.h"
#include "framework/learn/experiment.h"

#include <algorithm>
#include <set>
#include <utility>

namespace triptych {
namespace {

namespace fs = std::filesystem;

using TensorsByName = std::map<std::string, at::Tensor>;

/// "sharing" of "sharing.column.stem.weight", each once.
std::vector<std::string> first_words(const SafeTensors& stored) {
  std::set<std::string> words;
  for (const auto& [name, tensor] : stored.tensors) words.insert(name.substr(0, name.find('.')));
  return {words.begin(), words.end()};
}

void check_fits_something(const SafeTensors& stored,
                          const std::string& beginning,
                          const char* key,
                          const std::string& place) {
  for (const auto& [name, tensor] : stored.tensors)
    if (name.starts_with(beginning)) return;
  const std::vector<std::string> words = first_words(stored);
  throw model_error(fmt::format("{}: '{}' in `{}` is the beginning of no stored name{}",
                                place,
                                beginning,
                                key,
                                did_you_mean(beginning.substr(0, beginning.find('.')), words)),
                    "stored names begin with: " + join(words));
}

bool is_wanted(const std::string& name, const std::vector<std::string>& parts) {
  return parts.empty() || std::any_of(parts.begin(), parts.end(), [&](const std::string& part) {
           return name.starts_with(part);
         });
}

std::string renamed(const std::string& name, const std::map<std::string, std::string>& rename) {
  const std::pair<const std::string, std::string>* longest = nullptr;
  for (const auto& rule : rename) {
    const bool longer = longest == nullptr || rule.first.size() > longest->first.size();
    if (name.starts_with(rule.first) && longer) longest = &rule;
  }
  return longest == nullptr ? name : longest->second + name.substr(longest->first.size());
}

/// The stored tensors that are wanted, by the name that they get.
TensorsByName chosen_tensors(const SafeTensors& stored,
                             const InitialiseConfig& config,
                             const std::string& place,
                             InitialisationReport& report) {
  for (const std::string& part : config.parts) check_fits_something(stored, part, "parts", place);
  for (const auto& [from, to] : config.rename) check_fits_something(stored, from, "rename", place);
  TensorsByName chosen;
  for (const auto& [name, tensor] : stored.tensors) {
    if (!is_wanted(name, config.parts)) {
      report.left_out.push_back(name);
      continue;
    }
    const std::string target = renamed(name, config.rename);
    if (!chosen.emplace(target, tensor).second) {
      throw model_error(
          fmt::format("{}: two stored tensors become '{}' by `rename`", place, target),
          "leave one of them out with `parts`");
    }
  }
  return chosen;
}

/// A convolution [out, in, D, H, W] whose only difference is that it reads image channels.
bool differs_in_image_channels(const at::Tensor& stored,
                               const at::Tensor& own,
                               const ImageChannels& channels) {
  if (stored.dim() != 5 || own.dim() != 5) return false;
  if (stored.size(1) != channels.stored || own.size(1) != channels.own) return false;
  return stored.size(0) == own.size(0) && stored.sizes().slice(2) == own.sizes().slice(2);
}

at::Tensor with_channels(const at::Tensor& stored, std::int64_t channels) {
  return (stored.sum(1, /*keepdim=*/true) / static_cast<double>(channels))
      .expand({-1, channels, -1, -1, -1});
}

[[noreturn]] void throw_nothing_matched(const TensorsByName& chosen,
                                        const InitialisationReport& report,
                                        const NamedTensors& own,
                                        const std::string& place) {
  const std::string stored_example = !report.reshaped.empty() ? report.reshaped.front()
                                     : chosen.empty()         ? "nothing"
                                                              : chosen.begin()->first;
  throw model_error(
      fmt::format("{}: none of {} stored tensors fits the model by name and shape: stored e.g. {}, "
                  "the model has e.g. {} {}",
                  place,
                  chosen.size(),
                  stored_example,
                  own.front().first,
                  shape_text(own.front().second)),
      "give the backbone the width and depth of that run, or map names with `rename`");
}

std::int64_t most_channels(const std::map<std::string, std::int64_t>& channels) {
  std::int64_t most = 1;
  for (const auto& [modality, count] : channels) most = std::max(most, count);
  return most;
}

void check_is_there(const InitialiseConfig& config, const std::string& place) {
  if (!fs::exists(fs::path(config.run) / "checkpoints")) {
    throw io_error(
        fmt::format("{}: '{}' is no run directory, it has no checkpoints", place, config.run),
        "name a folder that `triptych train` wrote, such as outputs/2026-01-31/12-00-00");
  }
  if (!fs::exists(config.folder())) {
    throw io_error(
        fmt::format("{}: '{}' has no checkpoint '{}'", place, config.run, config.checkpoint),
        "set checkpoint to best or last, whichever the run saved");
  }
}

}  // namespace

InitialisationReport initialise_module(torch::nn::Module& module,
                                       const SafeTensors& stored,
                                       const InitialiseConfig& config,
                                       const ImageChannels& channels,
                                       const std::string& place) {
  InitialisationReport report;
  TensorsByName chosen = chosen_tensors(stored, config, place, report);
  const NamedTensors own = module_tensors(module, "");
  std::vector<std::pair<at::Tensor, at::Tensor>> copies;
  for (const auto& [name, tensor] : own) {
    const auto found = chosen.find(name);
    if (found == chosen.end()) continue;
    const bool adapts =
        config.adapt_channels && differs_in_image_channels(found->second, tensor, channels);
    if (found->second.sizes() == tensor.sizes()) {
      copies.emplace_back(tensor, found->second);
    } else if (adapts) {
      copies.emplace_back(tensor, with_channels(found->second, tensor.size(1)));
      report.adapted.push_back(name);
    } else {
      report.reshaped.push_back(
          fmt::format("{} {} instead of {}", name, shape_text(found->second), shape_text(tensor)));
      continue;
    }
    report.taken.push_back(name);
  }
  // Counters of batch norms fit every network.
  const bool any_weight = std::any_of(copies.begin(), copies.end(), [](const auto& copy) {
    return copy.first.is_floating_point();
  });
  if (!any_weight) throw_nothing_matched(chosen, report, own, place);
  const torch::NoGradGuard no_grad;
  for (auto& [target, source] : copies) target.copy_(source);
  for (const auto& [name, tensor] : own) chosen.erase(name);
  for (const auto& [name, tensor] : chosen) report.unused.push_back(name);
  return report;
}

Initialisation initialise(Experiment& experiment) {
  Initialisation result;
  std::set<std::string> untouched;
  for (const auto& [name, tensor] : module_tensors(experiment.model(), "")) untouched.insert(name);
  const std::vector<InitialiseConfig>& sources = experiment.config().initialise;
  for (std::size_t i = 0; i < sources.size(); ++i) {
    const std::string place = fmt::format("initialise[{}]", i);
    check_is_there(sources[i], place);
    const fs::path folder = sources[i].folder();
    const TrainState state = read_train_state(folder);
    const ImageChannels channels{most_channels(state.channels),
                                 most_channels(experiment.channels())};
    InitialisationReport report = initialise_module(experiment.model(),
                                                    read_model_state(folder),
                                                    sources[i],
                                                    channels,
                                                    place + ": " + folder.string());
    report.source = folder.string();
    report.step = state.step;
    for (const std::string& name : report.taken) untouched.erase(name);
    result.sources.push_back(std::move(report));
  }
  result.untouched.assign(untouched.begin(), untouched.end());
  return result;
}

}  // namespace triptych
