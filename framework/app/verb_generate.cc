// SPDX-License-Identifier: Apache-2.0
#include "framework/app/composed.h"
#include "framework/app/engine.h"
#include "framework/app/generated_samples.h"
#include "framework/app/run_files.h"
#include "framework/config/fields.h"
#include "framework/config/interpolation.h"
#include "framework/config/yaml_writer.h"
#include "framework/core/error.h"
#include "framework/core/file.h"
#include "framework/core/folder_lock.h"
#include "framework/core/log.h"
#include "framework/core/progress.h"
#include "framework/core/stop.h"
#include "framework/image/io.h"

#include <cstdio>
#include <filesystem>
#include <set>

#include <ATen/ATen.h>

namespace triptych::app {
namespace fs = std::filesystem;
namespace {

constexpr const char* kRecipeFile = "generate.yaml";
constexpr const char* kManifestFile = "manifest.yaml";
constexpr const char* kDatasetFolder = "dataset";

struct GenerateConfig {
  config::Node dataset;
  std::string output;
  std::string format = ".nii.gz";
  std::vector<std::string> splits = {"train", "validation", "test"};
  std::int64_t limit = 0;
  DrawConfig draw;
  std::int64_t threads = 0;

  void visit(auto& field) {
    field("dataset", dataset, "data set to write (group `dataset`)", config::Need::kRequired);
    field("output",
          output,
          "folder to write to; new, empty, or what the same command left unfinished",
          config::Need::kRequired);
    field("format",
          format,
          "file format of volumes",
          config::OneOf{".nii.gz", ".nii", ".mha", ".nrrd"});
    field("splits", splits, "splits to write", config::OneOf{"train", "validation", "test"});
    field("limit", limit, "samples of each split; 0 = all", config::AtLeast{0});
    field("draw", draw, "items to draw and transform instead");
    field("threads", threads, "threads; 0 = all cores", config::AtLeast{0});
  }
  void validate(config::Problems& problems) const {
    if (output.empty()) problems.add("output", "must be a folder, got ''");
    if (std::set<std::string>(splits.begin(), splits.end()).size() < splits.size())
      problems.add("splits", "names a split twice");
    if (limit > 0 && !draw.items.empty())
      problems.add("limit", "expects 0 with draw.items, which says how many");
    for (std::size_t i = 0; i < draw.transforms.size(); ++i) {
      const auto scope = problems.enter(fmt::format("draw.transforms[{}]", i), draw.transforms[i]);
      TransformRegistry::instance().check(draw.transforms[i], problems);
    }
  }
};

std::string points_csv(const Entry& entry) {
  const at::Tensor points = entry.data.to(at::kDouble).contiguous();
  std::string text = "id,x_lps_mm,y_lps_mm,z_lps_mm\n";
  const auto* values = points.data_ptr<double>();
  for (std::int64_t i = 0; i < points.size(0); ++i) {
    text += fmt::format("{},{},{},{}\n", i, values[3 * i], values[3 * i + 1], values[3 * i + 2]);
  }
  return text;
}

/// The name of the file that an entry is written to.
std::string file_of(const std::string& entry, EntryKind kind, const std::string& format) {
  return entry + (kind == EntryKind::kPoints ? ".csv" : format);
}

/// Projections as a stack of sinograms, one a slice, which `reconstruct layout=sinogram` reads.
Volume stacked_sinograms(const Entry& projections) {
  Volume stack{projections.data, {}, projections.modality, {}};
  stack.geometry.shape = {
      projections.data.size(1), projections.data.size(2), projections.data.size(3)};
  stack.geometry.spacing_known = false;
  return stack;
}

void write_entry(const fs::path& file, const Entry& entry, const ClassTable& classes) {
  const Volume volume{entry.data, entry.geometry, entry.modality, {}};
  if (entry.kind == EntryKind::kPoints) {
    write_file_atomically(file, points_csv(entry));
  } else if (entry.kind == EntryKind::kLabel) {
    write_labels(file.string(), volume, classes);
  } else if (entry.kind == EntryKind::kProjections) {
    write_volume(file.string(), stacked_sinograms(entry));
  } else {
    write_volume(file.string(), volume);
  }
}

/// What the written dataset offers: all but projections, which are read as raw scans.
std::vector<EntrySpec> listed(std::vector<EntrySpec> entries) {
  std::erase_if(entries, [](const auto& entry) { return entry.kind == EntryKind::kProjections; });
  return entries;
}

config::Node class_nodes(const ClassTable& classes) {
  config::Node list = config::Node::list();
  for (std::size_t index = 0; index < classes.classes.size(); ++index) {
    const LabelClass& entry = classes.classes[index];
    config::Node node = config::Node::map();
    node.set("name", config::Node(entry.name));
    node.set("value", config::Node(static_cast<std::int64_t>(index)));
    node.set("color",
             config::Node(fmt::format(
                 "#{:02x}{:02x}{:02x}", entry.color[0], entry.color[1], entry.color[2])));
    list.as_list().push_back(std::move(node));
  }
  return list;
}

/// An option of the group `dataset` that reads the written files: `volume_files` with what files
/// alone do not say.
config::Node recipe(const fs::path& manifest,
                    const ClassTable& classes,
                    const std::vector<std::vector<EntrySpec>>& samples) {
  std::map<std::string, const EntrySpec*> entries;
  std::map<std::string, std::size_t> count;
  for (const std::vector<EntrySpec>& sample : samples) {
    for (const EntrySpec& entry : sample) {
      entries.emplace(entry.name, &entry);
      ++count[entry.name];
    }
  }
  std::map<std::string, config::Node> lists;
  for (const char* key : {"label_entries", "vector_entries", "point_entries", "optional_entries"})
    lists[key] = config::Node::list();
  config::Node modality = config::Node::map();
  config::Node frame = config::Node::map();
  config::Node target_frame = config::Node::map();
  for (const auto& [name, entry] : entries) {
    const auto list = [&](const char* key) { lists[key].as_list().emplace_back(name); };
    if (entry->kind == EntryKind::kLabel) list("label_entries");
    if (entry->kind == EntryKind::kVectorField) list("vector_entries");
    if (entry->kind == EntryKind::kPoints) list("point_entries");
    if (count[name] < samples.size()) list("optional_entries");
    if (!entry->modality.empty()) modality.set(name, config::Node(entry->modality));
    if (entry->frame != "world") frame.set(name, config::Node(entry->frame));
    if (!entry->target_frame.empty()) target_frame.set(name, config::Node(entry->target_frame));
  }
  config::Node node = config::Node::map();
  node.set("name", config::Node("volume_files"));
  node.set("manifest", config::Node(fs::absolute(manifest).lexically_normal().string()));
  node.set("classes", class_nodes(classes));
  for (auto& [key, list] : lists) node.set(key, std::move(list));
  node.set("modality", std::move(modality));
  node.set("frame", std::move(frame));
  node.set("target_frame", std::move(target_frame));
  return node;
}

/// A folder may be new, or hold some of what the same command wrote before it was stopped. The
/// manifest comes last.
void check_new_or_unfinished(const fs::path& output, const std::string& recipe_text) {
  if (!fs::exists(output) || fs::is_empty(output)) return;
  const bool ours = fs::exists(output / kRecipeFile) && !fs::exists(output / kManifestFile);
  if (!ours) {
    throw usage_error(fmt::format("output: '{}' exists and is not empty", output.string()),
                      "name a new folder");
  }
  if (read_file(output / kRecipeFile) == recipe_text) return;
  throw usage_error(
      fmt::format("output: '{}' holds an unfinished data set of another command", output.string()),
      "give that command again to finish it, or name a new folder");
}

/// A sample's folder is named by its id, beside the files and folders that generate writes itself.
void check_folder_name(const std::string& id) {
  const bool plain = !id.empty() && id[0] != '.' && id.find('/') == std::string::npos;
  if (plain && id != kDatasetFolder && id != kManifestFile && id != kRecipeFile) return;
  throw data_error(fmt::format("sample '{}': its name cannot be that of a folder", id),
                   "name the sample otherwise in its manifest");
}

/// Temporary folders of samples that a killed process left.
void remove_half_written(const fs::path& output) {
  std::vector<fs::path> leftovers;
  for (const auto& entry : fs::directory_iterator(output)) {
    if (entry.is_directory() && entry.path().filename().string().starts_with('.'))
      leftovers.push_back(entry.path());
  }
  for (const fs::path& folder : leftovers) fs::remove_all(folder);
}

void write_sample(const fs::path& output,
                  const GeneratedSamples& samples,
                  std::size_t job,
                  const GenerateConfig& config,
                  const ClassTable& classes) {
  const Sample sample = samples.make(job);
  write_folder_atomically(output / samples.jobs()[job].id, [&](const fs::path& folder) {
    for (const auto& [name, entry] : sample.entries)
      write_entry(folder / file_of(name, entry.kind, config.format), entry, classes);
  });
}

}  // namespace

int generate(const CommandLine& command) {
  const config::Node composed = compose_resolved(command);
  const auto config = config::read<GenerateConfig>(composed);
  config::Problems problems;
  {
    const auto scope = problems.enter("dataset", config.dataset);
    DatasetRegistry::instance().check(config.dataset, problems);
  }
  problems.throw_if_any();
  apply_threads(config.threads);
  const fs::path output = config.output;
  const std::string recipe_text = config::to_yaml(config::escape_interpolations(composed));
  check_new_or_unfinished(output, recipe_text);
  write_file_atomically(output / kRecipeFile, recipe_text);
  const FolderLock lock(output);
  remove_half_written(output);
  const std::shared_ptr<const Dataset> dataset = DatasetRegistry::instance().create(config.dataset);
  const auto samples = config.draw.items.empty()
                           ? whole_samples(dataset, config.splits, config.limit)
                           : drawn_items(dataset, config.draw);
  for (const auto& job : samples->jobs()) check_folder_name(job.id);
  if (samples->jobs().empty()) throw data_error("the data set has no samples in these splits");
  config::Node rows = config::Node::list();
  std::vector<std::vector<EntrySpec>> written;
  Progress progress("generate", static_cast<std::int64_t>(samples->jobs().size()));
  for (std::size_t job = 0; job < samples->jobs().size(); ++job) {
    if (const int signal = stop_requested()) {
      TRIPTYCH_LOG(info, "stopped; give the same command again to write the other samples");
      return stop_exit_code(signal);
    }
    const auto& [id, split] = samples->jobs()[job];
    if (!fs::exists(output / id)) write_sample(output, *samples, job, config, dataset->classes());
    written.push_back(listed(samples->entries(job)));
    config::Node row = config::Node::map();
    row.set("sample", config::Node(id));
    row.set("split", config::Node(split));
    for (const EntrySpec& entry : written.back())
      row.set(entry.name, config::Node(id + "/" + file_of(entry.name, entry.kind, config.format)));
    rows.as_list().push_back(std::move(row));
    progress.update(static_cast<std::int64_t>(job) + 1, id);
  }
  progress.finish();
  const config::Node readable = recipe(output / kManifestFile, dataset->classes(), written);
  write_file_atomically(output / kDatasetFolder / "generated.yaml",
                        config::to_yaml(config::escape_interpolations(readable)));
  write_file_atomically(output / kManifestFile, config::to_yaml(rows));
  std::printf("%s\n", (output / kManifestFile).c_str());
  return 0;
}

}  // namespace triptych::app
