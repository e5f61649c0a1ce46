// SPDX-License-Identifier: Apache-2.0
#include "framework/learn/trainer.h"

#include "framework/core/error.h"
#include "framework/core/log.h"
#include "framework/core/nn.h"
#include "framework/core/progress.h"
#include "framework/core/random.h"
#include "framework/core/stop.h"
#include "framework/core/suggest.h"
#include "framework/learn/checkpoint.h"
#include "framework/learn/model_selection.h"
#include "framework/learn/schedule.h"
#include "framework/learn/training_stages.h"
#include "framework/learn/training_step.h"

#include <chrono>
#include <cmath>
#include <csignal>
#include <optional>

namespace triptych {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

using NamedValues = std::vector<std::pair<std::string, double>>;

NamedValues as_pairs(const std::vector<ValidationValue>& values) {
  NamedValues pairs;
  for (const ValidationValue& value : values) pairs.emplace_back(value.name, value.value);
  return pairs;
}

/// Groups of training, whose batches the ranks share.
std::vector<TaskGroup> ranks_groups(const Experiment& experiment,
                                    const DistributedContext& context) {
  std::vector<TaskGroup> groups = make_task_groups(experiment, Phase::kTraining);
  for (TaskGroup& group : groups) {
    group.source.rank = context.rank();
    group.source.ranks = context.ranks();
    if (group.source.batch_size % context.ranks() == 0) continue;
    throw ConfigError(
        "schema",
        fmt::format("tasks.{}.batch_size: expected a multiple of the {} ranks, got {}",
                    experiment.tasks()[group.tasks[0]].key,
                    context.ranks(),
                    group.source.batch_size));
  }
  return groups;
}

}  // namespace

struct Trainer::State {
  /// Sums since the last metric row.
  struct Window {
    double loss = 0.0;
    double seconds = 0.0;
    double waiting = 0.0;
    std::int64_t steps = 0;
  };

  State(Experiment& experiment_in,
        fs::path folder,
        TrainingObserver* observer_in,
        DistributedContext& context_in);

  void start_loaders();
  void train_step();
  double accumulate_gradients(GroupBatches& batches, std::vector<std::string>& ids);
  void check_gradient(double norm, const std::vector<std::string>& ids) const;
  void log_row();
  bool validation_is_due() const;
  void validate_and_select();
  void average_buffers();
  std::vector<std::pair<std::string, NamedTensors>> checkpoint_parts() const;
  void save(const char* name);
  void load(const fs::path& folder);
  double seconds_waiting() const;
  bool finished() const { return progress.step >= config().max_steps || progress.early_stopped; }
  const TrainerConfig& config() const { return experiment.config().trainer; }

  Experiment& experiment;
  fs::path checkpoints;
  TrainingObserver* observer;  ///< null on all ranks but the first
  DistributedContext& context;
  TrainingStages stages;
  Validation validation;
  ModelSelection selection;
  std::shared_ptr<Schedule> schedule;
  Optimizer optimizer;
  GradientStep gradients;
  TrainState progress;
  std::vector<std::unique_ptr<Loader>> loaders;
  bool changed = true;  ///< since checkpoints/last was written

  Window window;
  double step_seconds = 0.0;  ///< of all steps of this run, loading included
  double waited = 0.0;        ///< of these, for the loaders
  double factor = 1.0;
  double gradient_norm = 0.0;
};

Trainer::State::State(Experiment& experiment_in,
                      fs::path folder,
                      TrainingObserver* observer_in,
                      DistributedContext& context_in)
    : experiment(experiment_in),
      checkpoints(std::move(folder) / "checkpoints"),
      observer(context_in.rank() == 0 ? observer_in : nullptr),
      context(context_in),
      stages(experiment, ranks_groups(experiment, context)),
      validation(experiment),
      selection(experiment),
      schedule(ScheduleRegistry::instance().create(experiment.config().schedule,
                                                   experiment.config().trainer.max_steps)),
      optimizer(experiment.config().optimizer, trainable_parameters(experiment)),
      gradients(
          experiment, optimizer.parameters(), experiment.config().trainer.accumulate, context),
      progress(experiment.initial_state()) {
  if (validation.empty())
    TRIPTYCH_LOG(warning, "no data set has validation samples: no validation, no best checkpoint");
}

void Trainer::State::start_loaders() {
  loaders.clear();
  for (const TaskGroup& group : stages.groups()) {
    loaders.push_back(std::make_unique<Loader>(group.source,
                                               config().loader,
                                               progress.step * config().accumulate,
                                               config().max_steps * config().accumulate));
  }
}

double Trainer::State::seconds_waiting() const {
  double sum = 0.0;
  for (const auto& loader : loaders) sum += loader->seconds_waiting();
  return sum;
}

/// Leaves the last batches in `batches`, and the items of all of them in `ids`.
double Trainer::State::accumulate_gradients(GroupBatches& batches, std::vector<std::string>& ids) {
  double loss = 0.0;
  for (std::int64_t i = 0; i < config().accumulate; ++i) {
    batches.clear();
    for (std::size_t g = 0; g < loaders.size(); ++g) {
      const TaskGroup& group = stages.groups()[g];
      batches.emplace_back(&group, prepared(loaders[g]->next(), experiment, group));
      const Batch& batch = batches.back().second;
      ids.insert(ids.end(), batch.ids.begin(), batch.ids.end());
    }
    loss += gradients.add(batches, progress.step) / static_cast<double>(config().accumulate);
  }
  gradients.finish();
  gradients.adversaries().finish(progress.step);
  return loss;
}

void Trainer::State::train_step() {
  const Clock::time_point start = Clock::now();
  if (stages.enter(progress.step)) start_loaders();
  const double waited_before = seconds_waiting();
  const auto seed = static_cast<std::uint64_t>(experiment.config().seed);
  const std::uint64_t step_seed =
      mix_keys(seed, {hash_name("step"), static_cast<std::uint64_t>(progress.step)}) +
      static_cast<std::uint64_t>(context.rank());
  torch::manual_seed(step_seed);
  GroupBatches batches;
  std::vector<std::string> ids;
  const double loss = accumulate_gradients(batches, ids);
  gradient_norm = optimizer.clip_gradients(config().clip_norm);
  check_gradient(gradient_norm, ids);
  factor = schedule->factor(progress.step);
  optimizer.step(factor);
  optimizer.zero_grad();
  gradients.adversaries().update(factor);
  if (experiment.weighting().looks_back()) {
    torch::manual_seed(step_seed);  // dropout as in the step
    gradients.look_back(batches);
  }
  average_buffers();
  ++progress.step;
  changed = true;

  const double seconds = seconds_since(start);
  step_seconds += seconds;
  window.loss += loss;
  window.seconds += seconds;
  window.waiting += seconds_waiting() - waited_before;
  waited += seconds_waiting() - waited_before;
  ++window.steps;
}

void Trainer::State::check_gradient(double norm, const std::vector<std::string>& ids) const {
  if (std::isfinite(norm)) return;
  for (const auto& [name, parameter] : optimizer.parameters()) {
    if (!parameter.grad().defined() || at::isfinite(parameter.grad()).all().item<bool>()) continue;
    throw numeric_error(
        fmt::format(
            "gradient of '{}' is not finite at step {}, items {}", name, progress.step, join(ids)),
        "checkpoints stay as they were; look at these items, lower optimizer.lr or use "
        "trainer.precision=float32");
  }
  throw numeric_error(
      fmt::format("the gradient's norm overflows at step {}, items {}", progress.step, join(ids)),
      "checkpoints stay as they were; lower optimizer.lr");
}

void Trainer::State::log_row() {
  const auto steps = static_cast<double>(window.steps);
  NamedValues values = {{"loss/train", window.loss / steps}};
  for (auto& term : gradients.take_term_means()) values.push_back(std::move(term));
  values.emplace_back("lr/base", experiment.config().optimizer.lr * factor);
  values.emplace_back("grad/norm", gradient_norm);
  const std::vector<double> weights = experiment.weighting().current_weights();
  if (weights.size() != experiment.tasks().size()) {
    throw model_error(fmt::format("weighting: current_weights: expected {} values, got {}",
                                  experiment.tasks().size(),
                                  weights.size()));
  }
  for (std::size_t t = 0; t < weights.size(); ++t) {
    values.emplace_back("weight/" + experiment.tasks()[t].key, weights[t]);
  }
  for (const auto& [stage, matrix] : experiment.model().sharing().mixing()) {
    for (std::int64_t to = 0; to < matrix.size(0); ++to) {
      for (std::int64_t from = 0; from < matrix.size(1); ++from) {
        const std::string tag = fmt::format("mixing/{}/{}_from_{}",
                                            stage,
                                            experiment.tasks()[static_cast<std::size_t>(to)].key,
                                            experiment.tasks()[static_cast<std::size_t>(from)].key);
        values.emplace_back(tag, matrix[to][from].item<double>());
      }
    }
  }
  values.emplace_back("time/step_ms", 1e3 * window.seconds / steps);
  values.emplace_back("time/wait_fraction",
                      window.seconds > 0.0 ? window.waiting / window.seconds : 0.0);
  if (observer != nullptr) observer->on_metrics(progress.step, "train", values);
  window = {};
}

bool Trainer::State::validation_is_due() const {
  if (validation.empty() || progress.step == 0 || progress.validated_step == progress.step)
    return false;
  return progress.step % config().validate_every == 0 || progress.step >= config().max_steps;
}

void Trainer::State::validate_and_select() {
  const auto show =
      [&](const ExperimentTask& task, const Batch& batch, const at::Tensor& activated) {
        observer->on_predictions(progress.step, task, batch, activated);
      };
  const auto values =
      validation.run(progress.step, observer != nullptr ? PredictionSink(show) : PredictionSink());
  if (!values) return;  // stopped on the way; resuming validates
  const bool better = selection.observe(*values, progress);
  progress.validated_step = progress.step;
  changed = true;
  for (const ValidationValue& value : *values) {
    if (value.name == "loss/val") schedule->observe(progress.step, value.value);
  }
  if (observer != nullptr) {
    NamedValues pairs = as_pairs(*values);
    pairs.emplace_back("monitor", selection.monitored(*values, progress).value);
    observer->on_metrics(progress.step, "validation", pairs);
  }
  if (better) save("best");
}

void Trainer::State::average_buffers() {
  if (context.ranks() == 1) return;
  const torch::NoGradGuard no_grad;
  std::vector<at::Tensor> buffers;
  const auto collect = [&](const torch::nn::Module& module) {
    for (const at::Tensor& buffer : module.buffers()) {
      if (buffer.is_floating_point()) buffers.push_back(buffer);
    }
  };
  collect(experiment.model());
  for (const ExperimentTask& task : experiment.tasks()) {
    if (task.adversary != nullptr) collect(*task.adversary);
  }
  context.average(buffers);
}

std::vector<std::pair<std::string, NamedTensors>> Trainer::State::checkpoint_parts() const {
  auto parts = gradients.adversaries().state();
  parts.emplace_back("model", module_tensors(experiment.model(), ""));
  parts.emplace_back("weighting", module_tensors(experiment.weighting(), ""));
  parts.emplace_back("optimizer", optimizer.state());
  return parts;
}

void Trainer::State::load(const fs::path& folder) {
  load_module(
      experiment.model(), read_model_state(folder), "", (folder / "model.safetensors").string());
  load_module(experiment.weighting(),
              read_checkpoint_part(folder, "weighting"),
              "",
              (folder / "weighting.safetensors").string());
  optimizer.load(read_checkpoint_part(folder, "optimizer"));
  gradients.adversaries().load(folder);
}

void Trainer::State::save(const char* name) {
  if (context.rank() != 0) return;
  progress.schedule = schedule->state();
  const fs::path folder = checkpoints / name;
  const bool best = std::string_view(name) == "best";
  write_checkpoint(folder, checkpoint_parts(), progress);
  if (!best) changed = false;
  if (observer != nullptr) observer->on_checkpoint(progress.step, folder, best);
}

Trainer::Trainer(Experiment& experiment,
                 fs::path folder,
                 TrainingObserver* observer,
                 DistributedContext& context)
    : state_(std::make_unique<State>(experiment, std::move(folder), observer, context)) {}

Trainer::~Trainer() = default;

std::int64_t Trainer::resume() {
  State& s = *state_;
  const fs::path last = s.checkpoints / "last";
  if (s.context.rank() == 0) {
    recover_checkpoint(s.checkpoints / "best");
    recover_checkpoint(last);
  }
  s.context.any(false);  // until rank 0 is done
  if (!fs::exists(last)) {
    throw io_error(fmt::format("{}: there is no checkpoint to resume from", last.string()),
                   "give the folder of a run that saved one, or start a new run");
  }
  TrainState saved = read_train_state(last);
  s.load(last);
  s.schedule->load(saved.schedule);
  const TrainState fresh = s.experiment.initial_state();
  saved.classes = fresh.classes;
  saved.channels = fresh.channels;
  s.progress = std::move(saved);
  s.changed = false;
  return s.progress.step;
}

TrainingOutcome Trainer::run() {
  State& s = *state_;
  const Clock::time_point start = Clock::now();
  const std::int64_t first_step = s.progress.step;
  s.experiment.model().train();
  s.experiment.weighting().train();
  for (const ExperimentTask& task : s.experiment.tasks()) {
    if (task.adversary != nullptr) task.adversary->train();
  }
  s.loaders.clear();
  std::optional<Progress> line;
  if (s.context.rank() == 0) line.emplace("train", s.config().max_steps, s.progress.step);
  while (true) {
    // First what is due at this step, then the next one: so a resumed run makes up for a validation
    // that a stop cut off.
    if (s.validation_is_due() && stop_requested() == 0) s.validate_and_select();
    const bool stops = s.context.any(stop_requested() != 0);
    const bool ends = s.finished() || stops;
    const bool due = s.progress.step > 0 && s.progress.step % s.config().checkpoint_every == 0;
    if ((ends || due) && s.changed) s.save("last");
    if (ends) break;
    s.train_step();
    if (line)
      line->update(s.progress.step,
                   fmt::format("loss {:.4g}", s.window.loss / static_cast<double>(s.window.steps)));
    if (s.progress.step % s.config().log_every == 0 || s.finished()) s.log_row();
  }
  if (line) line->finish();
  const int stop_signal = stop_requested() != 0 ? stop_requested() : SIGTERM;  // or another rank's
  s.loaders.clear();
  return {.first_step = first_step,
          .step = s.progress.step,
          .stop_signal = s.finished() && !s.validation_is_due() ? 0 : stop_signal,
          .early_stopped = s.progress.early_stopped,
          .best_name = s.selection.name(),
          .best_value = s.progress.best_value,
          .best_step = s.progress.best_step,
          .wait_fraction = s.step_seconds > 0.0 ? s.waited / s.step_seconds : 0.0,
          .seconds = seconds_since(start)};
}

std::vector<std::pair<std::string, double>> Trainer::validate() {
  const auto values = state_->validation.run(state_->progress.step, {});
  return values ? as_pairs(*values) : NamedValues{};
}

}  // namespace triptych
