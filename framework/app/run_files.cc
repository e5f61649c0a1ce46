// SPDX-License-Identifier: Apache-2.0
#include "framework/app/run_files.h"

#include "framework/config/interpolation.h"
#include "framework/config/merge.h"
#include "framework/config/yaml_reader.h"
#include "framework/core/error.h"
#include "framework/core/file.h"
#include "framework/core/parallel.h"
#include "framework/core/torch_compat.h"
#include "framework/image/location.h"

namespace triptych::app {
namespace fs = std::filesystem;

BuildRecord build_record() {
  BuildRecord build;
  build.version = TRIPTYCH_VERSION;
  build.git_commit = TRIPTYCH_GIT_COMMIT;
  build.git_dirty = TRIPTYCH_GIT_DIRTY;
  build.build_type = TRIPTYCH_BUILD_TYPE;
  build.compiler = fmt::format("gcc {}", __VERSION__);
  build.libraries = {{"libtorch", torch_version()},
                     {"itk", TRIPTYCH_ITK_VERSION},
                     {"hdf5", TRIPTYCH_HDF5_VERSION}};
  return build;
}

void apply_threads(std::int64_t threads) {
  constexpr std::int64_t kMostThreads = 1024;
  if (threads > kMostThreads) {
    throw ConfigError("schema",
                      fmt::format("threads: expected at most {}, got {}", kMostThreads, threads),
                      "0 takes all cores");
  }
  set_num_threads(static_cast<int>(threads));
  set_torch_threads(num_threads());
  set_deterministic();
}

namespace {

/// Whether writing the picture `file` would replace a picture of the folder, or become one of it.
bool is_picture_of(const fs::path& folder, const fs::path& file) {
  std::error_code missing;
  const fs::path parent = file.has_parent_path() ? file.parent_path() : fs::path(".");
  return is_picture_extension(file_extension(file)) && fs::equivalent(folder, parent, missing);
}

}  // namespace

void check_keeps_files(const std::map<std::string, std::string>& files, const std::string& output) {
  if (output.empty()) return;
  const Location target = parse_location(output);
  if (target.kind == Location::Kind::kFolder) return;
  for (const auto& [key, text] : files) {
    if (text.empty()) continue;
    const Location source = parse_location(text);
    std::error_code missing;
    if (source.kind == Location::Kind::kFolder && is_picture_of(source.path, target.path)) {
      throw usage_error(
          fmt::format("output: '{}' lies among the pictures that {} reads", output, key),
          "name another folder");
    }
    if (!fs::equivalent(source.path, target.path, missing)) continue;
    throw usage_error(fmt::format("output: '{}' is what {} reads; it would be lost", output, key),
                      "name another file");
  }
}

void check_keeps_inputs(const std::map<std::string, std::string>& inputs,
                        const std::string& output) {
  std::map<std::string, std::string> files;
  for (const auto& [role, text] : inputs) files["input." + role] = text;
  check_keeps_files(files, output);
}

config::Node read_resolved(const fs::path& folder) {
  const fs::path path = folder / "resolved.yaml";
  if (!fs::exists(path)) {
    throw io_error(
        fmt::format("{}: no run directory, resolved.yaml is missing", folder.string()),
        "name a folder that `triptych train` wrote, such as outputs/2026-01-31/12-00-00");
  }
  const config::Node stored = config::read_yaml_file(path.string());
  if (!stored.is_map() || stored.as_map().empty()) {
    throw io_error(fmt::format("{}: expected the configuration of a run, got {}",
                               path.string(),
                               stored.is_map() ? "an empty file" : stored.kind_name()),
                   "the file is damaged; the words of the run are in .hydra/overrides.yaml");
  }
  return config::resolve(stored);
}

StoredRun open_run(const fs::path& folder, const std::string& which) {
  StoredRun run;
  run.folder = folder;
  run.resolved = read_resolved(folder);
  run.checkpoint = folder / "checkpoints" / which;
  if (!fs::exists(run.checkpoint)) {
    throw io_error(
        fmt::format("{}: the run has no checkpoint '{}' yet", folder.string(), which),
        "wait for the first validation, continue the run with train resume=<dir>, or use "
        "checkpoint=last");
  }
  run.state = read_train_state(run.checkpoint);
  return run;
}

std::unique_ptr<Experiment> load_experiment(const StoredRun& run, const config::Node& changes) {
  config::Node resolved = run.resolved;
  config::merge(resolved, changes, run.resolved);
  Experiment::check(resolved);
  auto experiment = std::make_unique<Experiment>(resolved, false, &run.state);
  load_module(experiment->model(), read_model_state(run.checkpoint), "", run.checkpoint.string());
  experiment->model().to(experiment->device());
  experiment->model().prepare_inference();
  return experiment;
}

}  // namespace triptych::app
