// SPDX-License-Identifier: Apache-2.0
#include "framework/app/engine.h"
#include "framework/app/learned_alignment.h"
#include "framework/app/register_config.h"
#include "framework/app/registration_pictures.h"
#include "framework/app/registration_record.h"
#include "framework/app/registration_start.h"
#include "framework/app/run_files.h"
#include "framework/core/error.h"
#include "framework/core/file.h"
#include "framework/core/log.h"
#include "framework/core/stop.h"
#include "framework/core/suggest.h"
#include "framework/image/transform_io.h"
#include "framework/registration/pair_registration.h"
#include "framework/registration/warped_image.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <tuple>

#include <ATen/ATen.h>
#include <unistd.h>

namespace triptych::app {
namespace fs = std::filesystem;

void RegisterKeys::validate(config::Problems& problems) const {
  const std::vector<std::string> roles(kPairInputs.begin(), kPairInputs.end());
  for (const auto& [role, file] : input) {
    if (std::find(roles.begin(), roles.end(), role) == roles.end())
      problems.add("input",
                   fmt::format("reads no input.{}{} It reads: {}",
                               role,
                               did_you_mean(role, roles).empty() ? "." : did_you_mean(role, roles),
                               join(roles)));
  }
  for (const char* role : {"fixed", "moving"}) {
    if (!input.contains(role)) problems.add("input", fmt::format("expects input.{}=<image>", role));
  }
  if (input.contains("moving_landmarks") && !input.contains("fixed_landmarks"))
    problems.add("input", "expects input.fixed_landmarks= with input.moving_landmarks=");
  if (input.contains("fixed_labels") && !input.contains("moving_labels"))
    problems.add("input", "expects input.moving_labels= with input.fixed_labels=");
  const std::tuple<const char*, std::string, bool> of_a_run[] = {
      {"task", task, !task.empty()},
      {"features", features, features == "learned" || features == "both"},
      {"checkpoint", checkpoint, checkpoint != "best"}};
  for (const auto& [key, value, needs_run] : of_a_run) {
    if (run.empty() && needs_run)
      problems.add(key, fmt::format("expects run=<trained> with {}", value));
  }
  for (const char* kind : {"landmarks", "labels"}) {
    const bool both = input.contains(fmt::format("fixed_{}", kind)) &&
                      input.contains(fmt::format("moving_{}", kind));
    if (start_from == kind && !both)
      problems.add("start_from",
                   fmt::format("expects input.fixed_{0}= and input.moving_{0}= with {0}", kind));
  }
  if (start_from == "canonical" && run.empty())
    problems.add("start_from", "expects run=<trained> with canonical");
  if (!initial.empty() && start_from != "images")
    problems.add("initial", fmt::format("expects no start_from={} beside it", start_from));
  if (output.empty()) problems.add("output", "must be a folder");
  if (!spacing.empty() && spacing.size() != 3)
    problems.add("spacing", "expects three values [x, y, z] in mm");
}

namespace {

struct RegisterConfig : RegisterKeys {
  PairRegistrationOptions alignment;

  void visit(auto& field) {
    RegisterKeys::visit(field);
    alignment.visit(field);
  }
  void validate(config::Problems& problems) const {
    RegisterKeys::validate(problems);
    if (start_from != "images" && alignment.start.model == "none")
      problems.add("start_from", fmt::format("{} expects a start.model", start_from));
  }
};

void warn_of_labels(const PairScores& scores) {
  const bool none = std::all_of(
      scores.dice.begin(), scores.dice.end(), [](const auto& dice) { return dice.second == 0.0; });
  if (scores.dice.empty() || !none) return;
  TRIPTYCH_LOG(warning, "no label overlaps: do both label maps number the same things alike?");
}

class StageClock {
 public:
  /// Seconds since the last call.
  double lap() {
    const auto now = std::chrono::steady_clock::now();
    const double seconds = std::chrono::duration<double>(now - last_).count();
    last_ = now;
    return seconds;
  }

 private:
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

/// Throws before the work rather than after it when the folder cannot be made.
void check_parent(const fs::path& folder) {
  std::error_code missing;
  fs::path parent = fs::absolute(folder).lexically_normal().parent_path();
  while (!fs::exists(parent, missing) && parent.has_relative_path()) parent = parent.parent_path();
  if (fs::is_directory(parent, missing) && ::access(parent.c_str(), W_OK) == 0) return;
  throw io_error(fmt::format("{}: cannot be written: {} is no folder that may be written to",
                             folder.string(),
                             parent.string()));
}

/// An earlier registration may be replaced if that is asked for; anything else in the way stays.
void check_output(const RegisterKeys& keys) {
  check_keeps_inputs(keys.input, keys.output);
  const fs::path folder = keys.output;
  std::error_code missing;
  check_parent(folder);
  if (!fs::exists(folder, missing)) return;
  if (!fs::is_directory(folder, missing))
    throw io_error(fmt::format("{}: expected a folder to write, got a file", keys.output));
  if (fs::is_empty(folder, missing)) return;
  if (!fs::exists(folder / "registration.json", missing)) {
    throw io_error(
        fmt::format("{}: the folder holds other files, which would be lost", keys.output),
        "name a folder that does not exist");
  }
  if (!keys.overwrite) {
    throw io_error(fmt::format("{}: the folder holds a registration already", keys.output),
                   "name another folder, or replace it with overwrite=true");
  }
  std::map<std::string, std::string> files{{"initial", keys.initial},
                                           {"reference", keys.reference}};
  for (const auto& [role, file] : keys.input) files["input." + role] = file;
  for (const auto& [key, file] : files) {
    if (file.empty()) continue;
    const fs::path inside = fs::weakly_canonical(file, missing)
                                .lexically_relative(fs::weakly_canonical(folder, missing));
    if (inside.empty() || *inside.begin() == "..") continue;
    throw usage_error(
        fmt::format("output: '{}' holds what {} reads; it would be lost", keys.output, key),
        "name another folder");
  }
}

/// Extension of what is written beside a fixed image of this format.
std::string extension_for(const VolumeHeader& fixed, const VolumeHeader& written) {
  const bool picture = written.type == at::kByte || written.format == "png";
  if (fixed.format == "png" || fixed.format == "jpeg") return picture ? ".png" : ".tif";
  if (fixed.format == "metaimage") return ".mha";
  if (fixed.format == "nrrd") return ".nrrd";
  if (fixed.format == "tiff" || fixed.format == "slices") return ".tif";
  if (fixed.format == "hdf5") return ".h5";
  return ".nii.gz";
}

/// The whole chain at every voxel of the fixed image, made piece by piece.
VolumeSource displacement_source(const SpatialTransform& transform, const Geometry& grid) {
  return {grid, 3, at::kFloat, [=](std::int64_t channel, const Region& region) {
            return displacement_on(transform, grid.cropped(region))[channel];
          }};
}

void write_images(const fs::path& folder,
                  const RegistrationInputs& inputs,
                  const RegisterKeys& keys,
                  const SpatialTransform& transform,
                  double fill) {
  const Geometry& grid = inputs.fixed_header.geometry;
  const VolumeSource moving = inputs.moving_image.source();
  const auto file = [&](const char* name, const VolumeHeader& header) {
    return (folder / (name + extension_for(inputs.fixed_header, header))).string();
  };
  write_volume(
      file("warped", inputs.moving_image.header),
      warped_image(moving, transform, grid, {sample_interpolation(keys.interpolation), fill}));
  if (inputs.moving_labels) {
    const StoredImage& labels = *inputs.moving_labels;
    const auto classes = static_cast<std::int64_t>(labels.highest) + 1;
    write_labels(
        file("warped_labels", labels.header),
        warped_image(labels.source(), transform, grid, {SampleInterpolation::kNearest, 0.0}),
        numbered_classes(classes));
  }
  if (keys.displacement)
    write_volume((folder / "displacement.nii.gz").string(), displacement_source(transform, grid));
}

void write_warped_landmarks(const fs::path& file,
                            const Landmarks& fixed,
                            const SpatialTransform& transform) {
  Landmarks warped;
  for (const Landmark& landmark : fixed)
    warped.push_back({landmark.label, transform.map(landmark.position_mm)});
  write_landmarks(file.string(), warped);
}

}  // namespace

int register_images(const CommandLine& command) {
  const auto config = config::read<RegisterConfig>(words_to_node(command));
  check_output(config);
  apply_threads(config.threads);
  const at::NoGradGuard no_grad;
  MemoryBudget budget(bytes_from_text(config.memory));
  const RegistrationInputs inputs =
      read_registration_inputs(config, {budget, scratch_folder(config.scratch)});
  if (config.fill) check_fill(*config.fill, inputs.moving_image.header.type);
  const DeformationGuide guide = alignment_guide(config, inputs.fixed.geometry.is_2d());

  StageClock clock;
  RegistrationRecord record{inputs, config::write(config), {}, {}, 0.0};
  record.fill = config.fill.value_or(inputs.moving_image.lowest);
  const auto finish_stage = [&](const char* name, const SpatialTransform& transform, bool last) {
    check_not_stopped("registration");
    const double seconds = clock.lap();
    record.stages.push_back(score(inputs, transform, name, last));
    record.stages.back().seconds = seconds;
    clock.lap();
  };
  finish_stage("before", AffineMap{}, false);
  const AffineMap start = first_alignment(inputs, config, config.alignment.start);
  finish_stage("start", start, !config.alignment.deformation.enabled);
  SpatialTransform transform(start);
  if (config.alignment.deformation.enabled) {
    transform = register_pair(inputs.fixed, inputs.moving, start, guide, config.alignment)
                    .moving_from_fixed;
    finish_stage("deformation", transform, true);
  }
  warn_of_labels(record.stages.back());
  const SpatialTransform deformation = compose(start.inverse(), transform);
  const at::Tensor determinant = jacobian_determinant(deformation, inputs.fixed.geometry);
  record.regularity = jacobian_statistics(determinant);

  write_folder_atomically(config.output, [&](const fs::path& folder) {
    write_transform(
        (folder / "transform.h5").string(),
        transform,
        inputs.moving.geometry.is_2d() ? TransformSpace::kPlane : TransformSpace::kVolume);
    write_images(folder, inputs, config, transform, record.fill);
    if (inputs.fixed_landmarks)
      write_warped_landmarks(folder / "warped_landmarks.csv", *inputs.fixed_landmarks, transform);
    if (config.pictures)
      write_pictures(folder, {inputs.fixed, inputs.moving, start, transform, determinant});
    write_file_atomically(folder / "registration.json", json_of(record));
  });
  std::fputs((command.json ? json_of(record) : stage_table(record).text()).c_str(), stdout);
  TRIPTYCH_LOG(info,
               "folded voxels {:.3g} %, standard deviation of log J {:.3g}; all files in {}",
               100.0 * record.regularity.folded_share,
               record.regularity.log_deviation,
               config.output);
  return 0;
}

}  // namespace triptych::app
