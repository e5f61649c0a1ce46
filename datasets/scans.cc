// SPDX-License-Identifier: Apache-2.0
#include "framework/core/error.h"
#include "framework/data/cached_dataset.h"
#include "framework/data/scan_preparation.h"
#include "framework/data/splits.h"
#include "framework/data/volume_store.h"

#include <filesystem>
#include <mutex>

namespace triptych {
namespace {

/// A raw scan, or some of its detector rows.
struct ScanItem {
  std::string sample, split, projections, flats, darks;
  std::vector<std::int64_t> rows;
  void visit(auto& field) {
    field("sample", sample, "name; empty = that of the file, and the rows");
    field("split", split, "train, validation or test; empty = train");
    field(
        "projections", projections, "file.h5, folder, stack or sinogram", config::Need::kRequired);
    field("flats", flats, "images of the beam without sample, where they lie apart");
    field("darks", darks, "images without beam, where they lie apart");
    field("rows", rows, "detector rows [first, last], both included; empty = all");
  }
};

std::string split_of(const ScanItem& item) { return item.split.empty() ? "train" : item.split; }

/// Whether [first, last] of both have a row in common; empty = all rows.
bool share_rows(const std::vector<std::int64_t>& a, const std::vector<std::int64_t>& b) {
  return a.empty() || b.empty() || (a[0] <= b[1] && b[0] <= a[1]);
}

struct ScansConfig : ScanConfig {
  std::vector<ScanItem> scans;
  std::string memory = "4GB";
  void visit(auto& field) {
    field("scans",
          scans,
          "raw scans, or rows of them, e.g. [{projections: a.h5, rows: [0, 511]}, {projections: "
          "a.h5, rows: [512, 575], split: validation}]",
          config::Need::kRequired);
    ScanConfig::visit(field);
    field("memory", memory, "prepared projections kept, where all of them fit; e.g. 4GB");
  }
  void validate(config::Problems& problems) const {
    ScanConfig::validate(problems);
    if (scans.empty()) problems.add("scans", "expects at least one scan");
    if (rows.empty() || rows.size() == 2) check_scans(problems);
    try {
      bytes_from_text(memory);
    } catch (const ConfigError& error) {
      problems.add("memory", error.what());
    }
  }
  const std::vector<std::int64_t>& rows_of(const ScanItem& item) const {
    return item.rows.empty() ? rows : item.rows;
  }

 private:
  /// Rows are [first, last], and no row is in two splits.
  void check_scans(config::Problems& problems) const {
    for (std::size_t i = 0; i < scans.size(); ++i) {
      const ScanItem& item = scans[i];
      const auto& own = item.rows;
      if (!own.empty() && (own.size() != 2 || own[0] < 0 || own[1] < own[0])) {
        problems.add(fmt::format("scans[{}].rows", i), "expects [first, last] from 0");
        return;
      }
      for (std::size_t k = 0; k < i; ++k) {
        const ScanItem& other = scans[k];
        if (item.projections != other.projections || split_of(item) == split_of(other) ||
            !share_rows(rows_of(item), rows_of(other)))
          continue;
        problems.add(fmt::format("scans[{}].rows", i),
                     fmt::format("expects rows of '{}' that are not in scans[{}] too, which is of "
                                 "the split {}",
                                 item.projections,
                                 k,
                                 split_of(other)));
      }
    }
  }
};

/// One scan. PreparedScan counts what it repairs, so one thread at a time uses it.
class OpenScan {
 public:
  OpenScan(const ScanConfig& config, const ScanFiles& files)
      : scan_(config, files), geometry_(std::make_shared<const ScanGeometry>(scan_.geometry())) {
    grid_ = scan_.slices_geometry();
    grid_.spacing_known = true;
  }

  const Geometry& grid() const { return grid_; }
  std::int64_t bytes() const {
    const auto angles = static_cast<std::int64_t>(geometry_->angles_rad.size());
    return scan_.rows() * angles * scan_.columns() * static_cast<std::int64_t>(sizeof(float));
  }

  /// Projections of the rows that the region's D axis names, see detector_rows.
  Entry read(const Region& region) {
    const bool by_rows = geometry_->beam == ScanGeometry::Beam::kParallel;
    const Region rows = by_rows ? region : Region{{0, 0, 0}, grid_.shape};
    Entry entry;
    entry.kind = EntryKind::kProjections;
    entry.modality = "ct";
    entry.scan = geometry_;
    entry.geometry =
        grid_.cropped({{rows.start[0], 0, 0}, {rows.size[0], grid_.shape[1], grid_.shape[2]}});
    const std::scoped_lock lock(mutex_);
    entry.data = scan_.sinograms(rows.start[0], rows.size[0]).unsqueeze(0);
    return entry;
  }

 private:
  PreparedScan scan_;
  std::shared_ptr<const ScanGeometry> geometry_;
  Geometry grid_;
  std::mutex mutex_;
};

class ScanSource final : public Dataset {
 public:
  explicit ScanSource(const ScansConfig& config) {
    std::vector<std::string> ids, stated;
    for (const ScanItem& item : config.scans) {
      ScanConfig own = config;
      own.rows = config.rows_of(item);
      scans_.push_back(
          std::make_unique<OpenScan>(own, ScanFiles{item.projections, item.flats, item.darks}));
      ids.push_back(item.sample.empty() ? name_of(item) : item.sample);
      stated.push_back(split_of(item));
      add_sample(ids.back(), scans_.back()->grid());
    }
    splits_ = split_samples(ids, stated, {});
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
    if (samples_.at(sample).find(entry) == nullptr) {
      throw data_error(
          fmt::format("sample {}: no entry '{}'", samples_[sample].id, entry),
          "a raw scan has projections alone; transforms such as split_views and reconstruct make "
          "images of them");
    }
    return scans_[sample]->read(region);
  }

  std::vector<std::string> verify() const override {
    std::vector<std::string> faults;
    for (std::size_t i = 0; i < scans_.size(); ++i) {
      for (std::int64_t row = 0; row < scans_[i]->grid().shape[0]; ++row) {
        try {
          scans_[i]->read({{row, 0, 0}, {1, 1, 1}});
        } catch (const Error& error) {
          faults.push_back(fmt::format("sample {}: {}", samples_[i].id, error.what()));
          break;
        }
      }
    }
    return faults;
  }

  std::int64_t bytes() const {
    std::int64_t sum = 0;
    for (const auto& scan : scans_) sum += scan->bytes();
    return sum;
  }

 private:
  static std::string name_of(const ScanItem& item) {
    const std::string stem = std::filesystem::path(item.projections).stem().string();
    return item.rows.size() == 2 ? fmt::format("{}_{}_{}", stem, item.rows[0], item.rows[1]) : stem;
  }

  void add_sample(const std::string& id, const Geometry& grid) {
    EntrySpec entry;
    entry.name = "projections";
    entry.kind = EntryKind::kProjections;
    entry.modality = "ct";
    entry.geometry = grid;
    samples_.push_back({id, {entry}});
  }

  std::vector<SampleSpec> samples_;
  std::vector<std::unique_ptr<OpenScan>> scans_;  ///< of each sample
  Splits splits_;
  ClassTable classes_;
};

/// Raw scans, prepared as `reconstruct` does: entry `projections` [1, rows, angles, columns], line
/// integrals in the unit of its slices' grid (lengths in pixels where the pixel size is unknown).
/// Rows are the D axis, so that an item of one slice is one detector row of a parallel beam.
class Scans final : public Dataset {
 public:
  using Config = ScansConfig;

  explicit Scans(const Config& config) {
    auto source = std::make_shared<ScanSource>(config);
    const std::int64_t memory = bytes_from_text(config.memory);
    if (source->bytes() <= memory)
      dataset_ = std::make_shared<CachedDataset>(source, memory);
    else
      dataset_ = source;
  }

  const std::vector<SampleSpec>& samples() const override { return dataset_->samples(); }
  const ClassTable& classes() const override { return dataset_->classes(); }
  std::vector<std::size_t> split(const std::string& name) const override {
    return dataset_->split(name);
  }
  Entry read(std::size_t sample, const std::string& entry, const Region& region) const override {
    return dataset_->read(sample, entry, region);
  }
  std::vector<std::string> verify() const override { return dataset_->verify(); }

 private:
  std::shared_ptr<const Dataset> dataset_;
};

}  // namespace
TRIPTYCH_REGISTER_DATASET("scans", Scans)
}  // namespace triptych
