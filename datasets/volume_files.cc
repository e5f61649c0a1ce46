// SPDX-License-Identifier: Apache-2.0
#include "framework/core/error.h"
#include "framework/core/log.h"
#include "framework/core/parallel.h"
#include "framework/core/progress.h"
#include "framework/core/suggest.h"
#include "framework/data/cached_dataset.h"
#include "framework/data/class_config.h"
#include "framework/data/file_entry.h"
#include "framework/data/sample_table.h"
#include "framework/data/splits.h"
#include "framework/data/volume_store.h"

#include <algorithm>
#include <filesystem>
#include <mutex>
#include <set>

namespace triptych {
namespace {

namespace fs = std::filesystem;

struct FilesConfig {
  std::map<std::string, std::string> files;
  std::string manifest;
  std::vector<std::string> label_entries = {"label"};
  std::vector<std::string> vector_entries;
  std::vector<std::string> point_entries;
  std::vector<std::string> optional_entries;
  std::map<std::string, std::string> modality;
  std::map<std::string, std::string> frame;
  std::map<std::string, std::string> target_frame;
  std::vector<ClassConfig> classes;
  std::vector<std::int64_t> ignore_values;
  SplitConfig splits;
  HarmoniseConfig harmonise;
  std::map<std::string, HarmoniseConfig> harmonise_entry;
  std::vector<double> spacing_mm;
  std::string color = "keep";
  std::string memory = "4GB";

  void visit(auto& field) {
    field(
        "files",
        files,
        "entry -> pattern; what * stands for is the sample's id, e.g. {image: 'data/*_t1.nii.gz'}");
    field("manifest",
          manifest,
          "YAML or CSV file with columns sample, split (optional) and one for each entry, instead "
          "of `files`");
    field("label_entries", label_entries, "entries that are label maps");
    field("vector_entries",
          vector_entries,
          "entries that are displacement fields in mm (LPS), three channels");
    field("point_entries",
          point_entries,
          "entries that are tables of landmarks: columns x, y, z in mm (LPS)");
    field("optional_entries", optional_entries, "entries that some samples may lack");
    field("modality", modality, "entry -> modality, e.g. {image: srct}");
    field("frame", frame, "entry -> frame it lies in; world when not named");
    field("target_frame", target_frame, "displacement field -> frame its vectors lead to");
    field("classes", classes, "classes of the label files; the first is the background");
    field("ignore_values", ignore_values, "label values that losses and metrics leave out");
    field("splits", splits, "which samples train, validate and test");
    field("harmonise", harmonise, "voxel size and grey scale that images are brought to");
    field("harmonise_entry",
          harmonise_entry,
          "entry -> grey scale of its own; the voxel size is that of `harmonise`");
    field("spacing_mm",
          spacing_mm,
          "[x, y, z] of files that state no voxel size",
          config::Above{0.0},
          config::Unit{"mm"});
    field("color",
          color,
          "colour images: keep = one channel a component, grey = luma",
          config::OneOf{"keep", "grey"});
    field("memory",
          memory,
          "volumes kept in memory, e.g. 4GB; what does not fit is read again each time");
  }
  void validate(config::Problems& problems) const {
    if (files.empty() == manifest.empty())
      problems.add("files", "either `files` or `manifest` must be given, and not both");
    if (!spacing_mm.empty() && spacing_mm.size() != 3)
      problems.add("spacing_mm", "must be [x, y, z]");
    try {
      bytes_from_text(memory);
    } catch (const ConfigError& error) {
      problems.add("memory", error.what());
    }
    std::set<std::string> names;
    for (const ClassConfig& entry : classes) {
      if (!names.insert(entry.name).second)
        problems.add("classes", fmt::format("lists the name '{}' twice", entry.name));
    }
    for (const auto& [entry, own] : harmonise_entry) {
      if (!own.spacing_mm.empty())
        problems.add("harmonise_entry." + entry + ".spacing_mm",
                     "must be set in `harmonise`, for all entries");
    }
  }
};

LabelIndices label_indices(const ClassTable& classes, const std::vector<std::int64_t>& ignored) {
  LabelIndices indices;
  const auto add = [&](std::int64_t value, std::int64_t index) {
    if (!indices.emplace(value, index).second) {
      throw ConfigError("schema",
                        fmt::format("classes: label value {} is listed twice", value),
                        "see `classes` and `ignore_values`");
    }
  };
  for (std::int64_t i = 0; i < classes.size(); ++i)
    add(classes.classes[static_cast<std::size_t>(i)].value, i);
  for (const std::int64_t value : ignored) add(value, -1);
  return indices;
}

/// The files themselves, read anew each time; VolumeFiles puts a cache before it.
class FileSource final : public Dataset {
 public:
  explicit FileSource(const FilesConfig& config)
      : facts_(std::make_shared<FileFacts>(FileFacts::cache_folder() / "volume_files.tsv")),
        classes_(class_table_of(config.classes)) {
    const SampleTable table = config.manifest.empty()
                                  ? samples_from_patterns(config.files, config.optional_entries)
                                  : samples_from_manifest(config.manifest);
    check_entry_names(config, table.entries);
    std::vector<std::string> ids;
    std::vector<std::string> stated;
    for (const SampleTable::Row& row : table.rows) {
      ids.push_back(row.id);
      stated.push_back(row.split);
    }
    splits_ = split_samples(ids, stated, config.splits);
    warn_of_shared_files(table);
    open(config, table);
  }

  const std::vector<SampleSpec>& samples() const override { return samples_; }
  const ClassTable& classes() const override { return classes_; }

  std::vector<std::size_t> split(const std::string& name) const override {
    const auto found = splits_.find(name);
    if (found == splits_.end())
      throw usage_error(fmt::format("split: expected train, validation or test, got '{}'", name));
    return found->second;
  }

  Entry read(std::size_t sample, const std::string& entry, const Region& region) const override {
    for (const FileEntry* file : files_.at(sample)) {
      if (file->spec().name == entry) return file->read(region);
    }
    throw data_error(fmt::format("sample {}: no entry '{}'", samples_[sample].id, entry));
  }

  std::vector<std::string> verify() const override {
    const auto count = static_cast<std::int64_t>(entries_.size());
    std::vector<std::vector<std::string>> found(entries_.size());
    Progress progress("checking files", count);
    std::mutex mutex;
    std::int64_t done = 0;
    parallel_for(count, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        found[static_cast<std::size_t>(i)] = entries_[static_cast<std::size_t>(i)]->verify();
        const std::scoped_lock lock(mutex);
        progress.update(++done);
      }
    });
    progress.finish();
    facts_->save();
    std::vector<std::string> faults;
    for (auto& list : found) faults.insert(faults.end(), list.begin(), list.end());
    for (std::size_t s = 0; s < samples_.size(); ++s) check_label_grids(s, faults);
    return faults;
  }

 private:
  static void check_entry_names(const FilesConfig& config,
                                const std::vector<std::string>& entries) {
    const auto check = [&](const std::string& key, const std::string& name) {
      if (std::find(entries.begin(), entries.end(), name) != entries.end()) return;
      throw ConfigError("schema",
                        fmt::format("{}: no entry '{}'{}", key, name, did_you_mean(name, entries)),
                        "the entries are: " + join(entries));
    };
    const bool default_label = config.label_entries == std::vector<std::string>{"label"};
    if (!default_label) {  // the default names an entry that need not be there
      for (const std::string& name : config.label_entries) check("label_entries", name);
    }
    for (const std::string& name : config.vector_entries) check("vector_entries", name);
    for (const std::string& name : config.point_entries) check("point_entries", name);
    for (const std::string& name : config.optional_entries) check("optional_entries", name);
    for (const auto& [name, value] : config.modality) check("modality", name);
    for (const auto& [name, value] : config.frame) check("frame", name);
    for (const auto& [name, value] : config.target_frame) check("target_frame", name);
    for (const auto& [name, value] : config.harmonise_entry) check("harmonise_entry", name);
  }

  /// What is in two splits is tested on what was trained on. One file for all samples, such as an
  /// atlas, is meant.
  void warn_of_shared_files(const SampleTable& table) const {
    std::map<std::string, std::set<std::string>> files_of;
    for (const SampleTable::Row& row : table.rows) {
      for (const auto& [entry, file] : row.files) files_of[entry].insert(file);
    }
    std::map<fs::path, std::pair<std::string, std::string>> seen;  // file -> split, sample
    for (const auto& [split, samples] : splits_) {
      for (const std::size_t sample : samples) {
        const SampleTable::Row& row = table.rows[sample];
        for (const auto& [entry, file] : row.files) {
          const auto [known, added] =
              seen.emplace(fs::path(file).lexically_normal(), std::pair(split, row.id));
          const auto& [first_split, first_sample] = known->second;
          if (added || first_split == split || files_of[entry].size() == 1) continue;
          TRIPTYCH_LOG(
              warning,
              "{}: sample '{}' of split '{}' and sample '{}' of split '{}' share this file",
              file,
              first_sample,
              first_split,
              row.id,
              split);
        }
      }
    }
  }

  std::shared_ptr<const FileEntryConfig> entry_config(const FilesConfig& config,
                                                      const std::string& name) const {
    const auto lists = [&](const std::vector<std::string>& names) {
      return std::find(names.begin(), names.end(), name) != names.end();
    };
    const auto text_or = [&](const std::map<std::string, std::string>& map, const char* fallback) {
      const auto found = map.find(name);
      return found == map.end() ? std::string(fallback) : found->second;
    };
    auto result = std::make_shared<FileEntryConfig>();
    result->name = name;
    if (lists(config.label_entries)) result->kind = EntryKind::kLabel;
    if (lists(config.vector_entries)) result->kind = EntryKind::kVectorField;
    if (lists(config.point_entries)) result->kind = EntryKind::kPoints;
    result->modality = text_or(config.modality, "");
    result->frame = text_or(config.frame, "world");
    result->target_frame = text_or(config.target_frame, "");
    result->harmonise = config.harmonise;
    if (const auto own = config.harmonise_entry.find(name); own != config.harmonise_entry.end()) {
      result->harmonise = own->second;
      result->harmonise.spacing_mm = config.harmonise.spacing_mm;
    }
    if (config.color == "grey") result->read.color = ColorMode::kGrey;
    if (!config.spacing_mm.empty())
      result->read.spacing_mm = Eigen::Vector3d(config.spacing_mm.data());
    if (result->kind == EntryKind::kLabel) {
      if (classes_.classes.empty()) {
        throw ConfigError(
            "schema",
            fmt::format("classes: expected the classes of the label entry '{}', got none", name),
            "classes: [{name: background}, {name: bone, value: 1}], or label_entries: []");
      }
      result->labels = label_indices(classes_, config.ignore_values);
    }
    return result;
  }

  void open(const FilesConfig& config, const SampleTable& table) {
    std::map<std::string, std::shared_ptr<const FileEntryConfig>> configs;
    for (const std::string& name : table.entries) configs[name] = entry_config(config, name);
    std::vector<std::pair<const SampleTable::Row*, std::string>> wanted;
    for (const SampleTable::Row& row : table.rows) {
      for (const auto& [name, location] : row.files) wanted.emplace_back(&row, name);
    }
    entries_.resize(wanted.size());
    parallel_for(
        static_cast<std::int64_t>(wanted.size()), 1, [&](std::int64_t begin, std::int64_t end) {
          for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i) {
            const auto& [row, name] = wanted[i];
            entries_[i] =
                std::make_unique<FileEntry>(row->id, row->files.at(name), configs.at(name), facts_);
          }
        });
    std::size_t next = 0;
    for (const SampleTable::Row& row : table.rows) {
      std::vector<FileEntry*> files;
      for (std::size_t i = 0; i < row.files.size(); ++i) files.push_back(entries_[next++].get());
      mark_points(files);
      SampleSpec& sample = samples_.emplace_back(SampleSpec{row.id, {}});
      for (const FileEntry* file : files) sample.entries.push_back(file->spec());
      files_.emplace_back(files.begin(), files.end());
    }
  }

  /// Points lie on the grid of an image of their frame, which a spatial transform moves them with.
  static void mark_points(const std::vector<FileEntry*>& files) {
    for (FileEntry* points : files) {
      if (points->spec().kind != EntryKind::kPoints) continue;
      for (const FileEntry* image : files) {
        if (image->spec().kind == EntryKind::kIntensity &&
            image->spec().frame == points->spec().frame) {
          points->spec().geometry = image->spec().geometry;
          break;
        }
      }
    }
  }

  /// A label map has to lie on the grid of an image of its frame.
  void check_label_grids(std::size_t sample, std::vector<std::string>& faults) const {
    for (const FileEntry* label : files_[sample]) {
      if (label->spec().kind != EntryKind::kLabel || !label->header_fault().empty()) continue;
      const FileEntry* first = nullptr;
      bool matched = false;
      for (const FileEntry* image : files_[sample]) {
        if (image->spec().kind != EntryKind::kIntensity ||
            image->spec().frame != label->spec().frame)
          continue;
        if (!image->header_fault().empty()) matched = true;  // told already
        if (first == nullptr) first = image;
        matched = matched || same_grid(image->spec().geometry, label->spec().geometry);
      }
      if (first == nullptr || matched) continue;
      try {
        check_same_grid(
            first->spec().geometry, first->location(), label->spec().geometry, label->location());
      } catch (const Error& error) {
        faults.push_back(fmt::format("sample {}: {}", samples_[sample].id, error.what()));
      }
    }
  }

  std::shared_ptr<FileFacts> facts_;
  ClassTable classes_;
  Splits splits_;
  std::vector<std::unique_ptr<FileEntry>> entries_;
  std::vector<std::vector<const FileEntry*>> files_;  ///< of each sample
  std::vector<SampleSpec> samples_;
};

/// Volumes and label maps on disk, in any format that can be read.
///
/// Samples come from patterns (`files`) or from a table (`manifest`) and are split as whole
/// samples. Label values become class indices through `classes`. Images are harmonised as they are
/// read: percentiles are those of the whole volume, found once for each file and remembered between
/// runs.
class VolumeFiles final : public Dataset {
 public:
  using Config = FilesConfig;

  explicit VolumeFiles(const Config& config)
      : cached_(std::make_shared<FileSource>(config), bytes_from_text(config.memory)) {}

  const std::vector<SampleSpec>& samples() const override { return cached_.samples(); }
  std::vector<std::size_t> split(const std::string& name) const override {
    return cached_.split(name);
  }
  const ClassTable& classes() const override { return cached_.classes(); }
  std::vector<std::string> verify() const override { return cached_.verify(); }
  Entry read(std::size_t sample, const std::string& entry, const Region& region) const override {
    return cached_.read(sample, entry, region);
  }

 private:
  CachedDataset cached_;
};

}  // namespace
TRIPTYCH_REGISTER_DATASET("volume_files", VolumeFiles)
}  // namespace triptych
