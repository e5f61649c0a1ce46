// SPDX-License-Identifier: Apache-2.0
#include "framework/core/error.h"
#include "framework/data/dataset.h"
#include "framework/data/synthetic_splits.h"
#include "framework/ops/entry_cache.h"
#include "framework/ops/implant_scene.h"

#include <algorithm>

#include <ATen/ATen.h>
#include <fmt/core.h>

namespace triptych {
namespace {

constexpr const char* kFollowup = "followup";
const std::string kFollowupPrefix = "followup_";

/// Grids of a sample's entries.
enum class Grid { kSrct, kLabct, kMri };

struct EntryKindRow {
  const char* name;  // without the prefix of the second time point
  EntryKind kind;
  const char* modality;
  Grid grid;
  bool followup;  // exists at the second time point, too
};
constexpr EntryKindRow kEntryTable[] = {
    {"srct", EntryKind::kIntensity, "srct", Grid::kSrct, true},
    {"srct_clean", EntryKind::kIntensity, "srct", Grid::kSrct, true},
    {"srct_repeat", EntryKind::kIntensity, "srct", Grid::kSrct, true},
    {"label", EntryKind::kLabel, "srct", Grid::kSrct, true},
    {"labct", EntryKind::kIntensity, "labct", Grid::kLabct, true},
    {"labct_clean", EntryKind::kIntensity, "labct", Grid::kLabct, true},
    {"labct_repeat", EntryKind::kIntensity, "labct", Grid::kLabct, true},
    {"labct_label", EntryKind::kLabel, "labct", Grid::kLabct, true},
    {"mri", EntryKind::kIntensity, "mri", Grid::kMri, true},
    {"mri_clean", EntryKind::kIntensity, "mri", Grid::kMri, true},
    {"mri_repeat", EntryKind::kIntensity, "mri", Grid::kMri, true},
    {"mri_label", EntryKind::kLabel, "mri", Grid::kMri, true},
    {"landmarks", EntryKind::kPoints, "srct", Grid::kSrct, true},
    {"displacement", EntryKind::kVectorField, "srct", Grid::kSrct, false},
};

struct NamedEntry {
  const EntryKindRow* row = nullptr;
  bool followup = false;
};

/// The entry a name stands for; row is null when there is none.
NamedEntry find_entry(const std::string& name) {
  const bool followup = name.starts_with(kFollowupPrefix);
  const std::string base = followup ? name.substr(kFollowupPrefix.size()) : name;
  for (const EntryKindRow& row : kEntryTable) {
    if (base == row.name && (row.followup || !followup)) return {&row, followup};
  }
  return {};
}

std::vector<std::string> all_entries() {
  std::vector<std::string> names;
  for (const bool followup : {false, true}) {
    for (const EntryKindRow& row : kEntryTable) {
      if (row.followup || !followup) names.push_back((followup ? kFollowupPrefix : "") + row.name);
    }
  }
  return names;
}

/// Synthetic bone with a degrading magnesium screw in three modalities and at two time points.
///
/// Every sample is a function of (seed, split, number) alone. Entries of the first time point lie
/// in frame "world", those of the second in frame "followup"; `displacement` is moving_from_fixed:
/// x_followup = x_world + u(x_world), in mm. `*_clean` is the scan without artifacts, `*_repeat` a
/// second scan with artifacts of its own.
class ImplantPhantom final : public Dataset {
 public:
  struct Config {
    std::int64_t seed = 0;
    std::int64_t train = 8;
    std::int64_t validation = 2;
    std::int64_t test = 4;
    std::array<std::int64_t, 3> size{64, 64, 64};
    double spacing_mm = 0.005;
    std::vector<std::string> entries = all_entries();
    SceneOptions scene;
    SrctScan srct;
    LabctScan labct;
    MriScan mri;
    double followup_degradation = 1.5;
    MotionOptions motion;
    std::int64_t landmarks = 32;
    double cache_mb = 512.0;

    void visit(auto& field) {
      field("seed", seed, "all samples follow from it", config::AtLeast{0});
      field("train", train, "number of training samples", config::Between{0, 100000});
      field("validation", validation, "number of validation samples", config::Between{0, 100000});
      field("test", test, "number of test samples", config::Between{0, 100000});
      field("size",
            size,
            "voxels along D, H, W of the finest grid (srct)",
            config::Between{16, 2048});
      field("spacing_mm",
            spacing_mm,
            "edge of a voxel of the finest grid",
            config::Above{0.0},
            config::Unit{"mm"});
      field("entries",
            entries,
            "entries to offer; computed only when read",
            config::OneOf(all_entries()));
      field("scene", scene, "shape of the screw, its degradation and the specimen");
      field("srct", srct, "synchrotron micro-CT");
      field("labct", labct, "laboratory CT");
      field("mri", mri, "magnetic resonance imaging");
      field("followup_degradation",
            followup_degradation,
            "depth of the degradation at the second time point, relative to the first",
            config::Between{1.0, 4.0});
      field("motion", motion, "displacement between the time points");
      field("landmarks",
            landmarks,
            "number of corresponding points on tissue borders",
            config::Between{1, 100000});
      field("cache_mb",
            cache_mb,
            "memory for generated samples; srct and label take 5 bytes a voxel, and what does not "
            "fit is made again",
            config::AtLeast{0.0},
            config::Unit{"MB"});
    }
    void validate(config::Problems& problems) const;
  };

  explicit ImplantPhantom(const Config& config);

  const std::vector<SampleSpec>& samples() const override { return samples_; }
  std::vector<std::size_t> split(const std::string& name) const override {
    return splits_.split(name);
  }
  Entry read(std::size_t sample, const std::string& entry, const Region& region) const override;
  const ClassTable& classes() const override { return classes_; }

 private:
  Geometry grid(Grid which) const;
  void add_sample(const std::string& id);
  double field_of_view_mm() const;
  RandomStream stream(std::size_t sample) const;
  SmoothRigidDeformation deformation(std::size_t sample) const;

  std::shared_ptr<const TissueGrid> tissue(std::size_t sample, bool followup) const;
  std::shared_ptr<const ScalarGrid> image(std::size_t sample, const std::string& entry) const;
  ScalarGrid make_image(std::size_t sample, const std::string& entry) const;
  std::shared_ptr<const LabelGrid> labels(std::size_t sample, const std::string& entry) const;
  at::Tensor landmarks(std::size_t sample, bool followup) const;

  Config config_;
  ClassTable classes_;
  SyntheticSplits splits_;
  std::vector<SampleSpec> samples_;
  mutable EntryCache cache_;
};

void ImplantPhantom::Config::validate(config::Problems& problems) const {
  if (entries.empty()) problems.add("entries", "expected at least one entry, got none");
}

ImplantPhantom::ImplantPhantom(const Config& config)
    : config_(config),
      splits_("implant_phantom", config.train, config.validation, config.test),
      cache_(static_cast<std::size_t>(config.cache_mb * 1e6)) {
  classes_.classes = {{0, "background", {0, 0, 0}},
                      {1, "bone", {240, 228, 66}},
                      {2, "degradation_layer", {213, 94, 0}},
                      {3, "residual_material", {0, 114, 178}}};
  for (const std::string& id : splits_.ids()) add_sample(id);
}

void ImplantPhantom::add_sample(const std::string& id) {
  SampleSpec sample;
  sample.id = id;
  for (const std::string& name : config_.entries) {
    const NamedEntry named = find_entry(name);
    EntrySpec entry;
    entry.name = name;
    entry.kind = named.row->kind;
    entry.modality = named.row->modality;
    entry.geometry = grid(named.row->grid);
    if (named.followup) entry.frame = kFollowup;
    if (entry.kind == EntryKind::kVectorField) {
      entry.target_frame = kFollowup;
      entry.channels = 3;
    }
    sample.entries.push_back(entry);
  }
  samples_.push_back(std::move(sample));
}

Geometry ImplantPhantom::grid(Grid which) const {
  Geometry fine;
  fine.shape = config_.size;
  fine.spacing.setConstant(config_.spacing_mm);
  const Eigen::Vector3d last(config_.size[2] - 1, config_.size[1] - 1, config_.size[0] - 1);
  fine.origin =
      -0.5 * config_.spacing_mm * last;  // the field of view is centred on the world's origin
  if (which == Grid::kLabct) return labct_grid(fine, config_.labct);
  if (which == Grid::kMri) return mri_grid(fine, config_.mri);
  return fine;
}

double ImplantPhantom::field_of_view_mm() const {
  return config_.spacing_mm *
         static_cast<double>(*std::min_element(config_.size.begin(), config_.size.end()));
}

RandomStream ImplantPhantom::stream(std::size_t sample) const {
  return RandomStream(static_cast<std::uint64_t>(config_.seed),
                      {hash_name("implant_phantom"), splits_.stream_index(sample)});
}

SmoothRigidDeformation ImplantPhantom::deformation(std::size_t sample) const {
  return SmoothRigidDeformation(deformation_parameters(config_.motion, field_of_view_mm()),
                                stream(sample).derive("motion"));
}

std::shared_ptr<const TissueGrid> ImplantPhantom::tissue(std::size_t sample, bool followup) const {
  const std::string key = fmt::format("{}/{}tissue", sample, followup ? kFollowupPrefix : "");
  return cache_.get<TissueGrid>(key, [&] {
    const ImplantScene scene(config_.scene, field_of_view_mm(), stream(sample).derive("scene"));
    const SmoothRigidDeformation motion = deformation(sample);
    const double progress = followup ? config_.followup_degradation : 1.0;
    auto made = std::make_shared<TissueGrid>(
        scene.sample(grid(Grid::kSrct), progress, followup ? &motion : nullptr));
    const std::size_t bytes = made->tissue.size() * (sizeof(std::uint8_t) + 2 * sizeof(float));
    return EntryCache::Made{std::move(made), bytes};
  });
}

std::shared_ptr<const ScalarGrid> ImplantPhantom::image(std::size_t sample,
                                                        const std::string& entry) const {
  return cache_.get<ScalarGrid>(fmt::format("{}/{}", sample, entry), [&] {
    auto made = std::make_shared<ScalarGrid>(make_image(sample, entry));
    const std::size_t bytes = made->values.size() * sizeof(float);
    return EntryCache::Made{std::move(made), bytes};
  });
}

// Kept apart from the tissue, which is nine times as large and not needed once the images are made.
std::shared_ptr<const LabelGrid> ImplantPhantom::labels(std::size_t sample,
                                                        const std::string& entry) const {
  return cache_.get<LabelGrid>(fmt::format("{}/{}", sample, entry), [&] {
    const NamedEntry named = find_entry(entry);
    const auto source = tissue(sample, named.followup);
    auto made = std::make_shared<LabelGrid>(labels_on(grid(named.row->grid), *source));
    const std::size_t bytes = made->labels.size();
    return EntryCache::Made{std::move(made), bytes};
  });
}

ScalarGrid ImplantPhantom::make_image(std::size_t sample, const std::string& entry) const {
  const NamedEntry named = find_entry(entry);
  const auto source = tissue(sample, named.followup);
  const bool clean = entry.ends_with("_clean");
  const std::string scan = std::string(named.followup ? "followup " : "") +
                           (entry.ends_with("_repeat") ? "second scan" : "scan");
  const RandomStream noise = stream(sample).derive(scan).derive(named.row->modality);
  ScalarGrid result;
  switch (named.row->grid) {
    case Grid::kSrct:
      result = srct_image(*source, config_.srct);
      if (!clean) corrupt_srct(result, config_.srct, noise);
      break;
    case Grid::kLabct:
      result = labct_image(*source, config_.labct);
      if (!clean) corrupt_labct(result, *source, config_.labct, noise);
      break;
    case Grid::kMri:
      result = mri_image(*source, config_.mri);
      if (!clean) corrupt_mri(result, *source, config_.mri, noise);
      break;
  }
  return result;
}

// A region of a whole grid as [1, D, H, W] of type T.
template <class T>
at::Tensor cut(const Index3& shape, const Region& region, const auto& values) {
  const auto [planes, lines, length] = region.size;
  at::Tensor result = at::empty({1, planes, lines, length}, c10::CppTypeToScalarType<T>::value);
  T* out = result.data_ptr<T>();
  for (std::int64_t d = region.start[0]; d < region.start[0] + planes; ++d) {
    for (std::int64_t h = region.start[1]; h < region.start[1] + lines; ++h) {
      const auto row = values.begin() + (d * shape[1] + h) * shape[2] + region.start[2];
      out = std::copy(row, row + length, out);
    }
  }
  return result;
}

at::Tensor ImplantPhantom::landmarks(std::size_t sample, bool followup) const {
  const SmoothRigidDeformation motion = deformation(sample);
  const Geometry whole = grid(Grid::kSrct);
  const auto seen_later = [&](const Eigen::Vector3d& fixed) {
    return within_grid(whole, motion.map(fixed));
  };
  const RandomStream draw = stream(sample).derive("landmarks");
  std::vector<Eigen::Vector3d> points =
      border_points(*labels(sample, "label"), config_.landmarks, seen_later, draw);
  if (points.empty()) {
    throw data_error(fmt::format("{}: found fewer than {} landmarks that both time points show",
                                 samples_[sample].id,
                                 config_.landmarks),
                     "lower motion.translation or motion.rotation_deg");
  }
  at::Tensor result = at::empty({config_.landmarks, 3}, at::kDouble);
  double* out = result.data_ptr<double>();
  for (const Eigen::Vector3d& fixed : points) {
    const Eigen::Vector3d point = followup ? motion.map(fixed) : fixed;
    out = std::copy(point.data(), point.data() + 3, out);
  }
  return result;
}

Entry ImplantPhantom::read(std::size_t sample,
                           const std::string& entry,
                           const Region& region) const {
  TRIPTYCH_ASSERT(sample < samples_.size());
  const EntrySpec* spec = samples_[sample].find(entry);
  if (spec == nullptr) {
    throw data_error(fmt::format("{}: no entry '{}' is offered", samples_[sample].id, entry),
                     "add it to the dataset's entries");
  }
  Entry result;
  result.kind = spec->kind;
  result.modality = spec->modality;
  result.frame = spec->frame;
  result.target_frame = spec->target_frame;
  result.geometry = spec->geometry;
  const NamedEntry named = find_entry(entry);
  if (spec->kind == EntryKind::kPoints) {
    result.data = landmarks(sample, named.followup);
    return result;
  }
  for (std::size_t axis = 0; axis < 3; ++axis) {
    if (region.start[axis] < 0 || region.size[axis] < 1 ||
        region.start[axis] + region.size[axis] > spec->geometry.shape[axis]) {
      throw data_error(
          fmt::format("{}: region of '{}' along axis {}: expected a part of [0, {}), got [{}, {})",
                      samples_[sample].id,
                      entry,
                      axis,
                      spec->geometry.shape[axis],
                      region.start[axis],
                      region.start[axis] + region.size[axis]));
    }
  }
  result.geometry = spec->geometry.cropped(region);
  if (spec->kind == EntryKind::kLabel) {
    const auto whole = labels(sample, entry);
    result.data = cut<std::int64_t>(whole->geometry.shape, region, whole->labels);
  } else if (spec->kind == EntryKind::kVectorField) {
    result.data = displacement_field(deformation(sample), result.geometry);
  } else {
    const auto whole = image(sample, entry);
    result.data = cut<float>(whole->geometry.shape, region, whole->values);
  }
  return result;
}

}  // namespace

TRIPTYCH_REGISTER_DATASET("implant_phantom", ImplantPhantom)

}  // namespace triptych
