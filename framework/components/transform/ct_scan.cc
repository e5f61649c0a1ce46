// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/ct_scan.h"

#include "framework/core/error.h"
#include "framework/data/dense.h"
#include "framework/data/intensity.h"
#include "framework/data/transform.h"

#include <cmath>

#include <ATen/ATen.h>

namespace triptych {
namespace {

using Range = std::vector<double>;

/// Scans an image anew, slice by slice, with the errors of a CT scanner: few views, limited angle,
/// low dose, beam hardening, metal, rings, motion, truncation. Give the same image a second entry
/// that is not in `entries` as the clean target.
///
/// With output: projections the entries become what the scanner measured, [1, D, A, W] as line
/// integrals of the grey value above air over cm, for heads that reconstruct. `metal_output` names
/// entries that become the mask of the metal, labels 0 and 1, whatever they were.
class CtScanTransform final : public Transform {
 public:
  struct Config {
    std::vector<std::string> entries = {"image"};
    std::string output = "image";
    double per_cm = 0.2;
    double air = 0.0;
    double pixel_mm = 0.0;
    std::string beam = "parallel";
    double source_to_axis_mm = 0.0;
    double source_to_detector_mm = 0.0;
    std::int64_t columns = 0;
    double column_spacing_mm = 0.0;
    Range axis_shift = {0.0, 0.0};
    Range views = {0.0, 0.0};
    Range arc_deg = {180.0, 180.0};
    Range detector_share = {1.0, 1.0};
    std::string filter = "ram_lak";
    double peak_kv = 0.0;
    double aluminium_mm = 2.5;
    Range photons = {0.0, 0.0};
    double electronic = 0.0;
    Range gain_deviation = {0.0, 0.0};
    Range motion_mm = {0.0, 0.0};
    std::string metal = "titanium";
    std::string metal_entry;
    Range metal_count = {0.0, 0.0};
    Range metal_radius_mm = {0.5, 2.0};
    std::vector<std::string> metal_output;
    double metal_output_share = 0.5;

    void visit(auto& field) {
      field("entries", entries, "images to scan anew; each of one channel");
      field("output",
            output,
            "what they become: image = reconstructed by filtered back projection; projections",
            config::OneOf{"image", "projections"});
      field("pixel_mm",
            pixel_mm,
            "edge of a pixel for the scanner, of all entries on the same grid; 0 = what the image "
            "says",
            config::AtLeast{0.0});
      field("beam",
            beam,
            "rays; fans need arc_deg [360, 360]",
            config::OneOf{"parallel", "fan_flat", "fan_curved"});
      field("source_to_axis_mm", source_to_axis_mm, "of a fan", config::AtLeast{0.0});
      field("source_to_detector_mm", source_to_detector_mm, "of a fan", config::AtLeast{0.0});
      field("columns",
            columns,
            "of the detector; 0: as many as the slice's diagonal needs",
            config::AtLeast{0});
      field("column_spacing_mm",
            column_spacing_mm,
            "at the detector; 0: what a pixel of the slice makes there",
            config::AtLeast{0.0});
      field("axis_shift",
            axis_shift,
            "[lowest, highest] columns from the detector's middle to the rotation axis");
      field("per_cm",
            per_cm,
            "attenuation in 1/cm at 60 keV of a value 1 above air (water: 0.206)",
            config::AtLeast{1e-6});
      field("air", air, "value of air");
      field("views", views, "[lowest, highest] number of views; 0: as many as the detector needs");
      field("arc_deg",
            arc_deg,
            "[lowest, highest] angle that is scanned; less than 180 leaves a wedge out");
      field("detector_share",
            detector_share,
            "[lowest, highest] share of the slice's diagonal that the detector covers");
      field("filter",
            filter,
            "window on the ramp",
            config::OneOf{"ram_lak", "shepp_logan", "cosine", "hamming", "hann"});
      field("peak_kv",
            peak_kv,
            "voltage of the tube, 20 to 150; 0: one energy, no beam hardening",
            config::Between{0.0, 150.0});
      field("aluminium_mm", aluminium_mm, "filter of the tube", config::AtLeast{0.0});
      field("photons",
            photons,
            "[lowest, highest] photons per detector pixel and view, drawn evenly in the logarithm; "
            "0: no noise");
      field("electronic",
            electronic,
            "standard deviation of the read-out noise, in photons",
            config::AtLeast{0.0});
      field("gain_deviation",
            gain_deviation,
            "[lowest, highest] relative gain error of detector pixels; makes rings");
      field("motion_mm", motion_mm, "[lowest, highest] drift of the object during the scan");
      field("metal",
            metal,
            "material that is put in",
            config::OneOf{"magnesium", "aluminium", "titanium", "iron"});
      field("metal_entry",
            metal_entry,
            "label entry whose voxels other than 0 are metal; empty: none");
      field("metal_count", metal_count, "[fewest, most] metal discs at random places");
      field("metal_radius_mm", metal_radius_mm, "[smallest, largest] radius of these discs");
      field("metal_output", metal_output, "entries that become the mask of the metal");
      field(
          "metal_output_share",
          metal_output_share,
          "share of metal from which a pixel belongs to that mask; a small one covers the rim too",
          config::Between{1e-6, 1.0});
    }
    void validate(config::Problems& problems) const {
      const auto check = [&](const char* key, const Range& range, double lowest) {
        if (range.size() != 2 || !(range[0] >= lowest) || !(range[0] <= range[1]))
          problems.add(key, fmt::format("expects [lo, hi] with {:g} <= lo <= hi", lowest));
      };
      if (entries.empty()) problems.add("entries", "expects at least one image");
      check("views", views, 0.0);
      check("arc_deg", arc_deg, 1.0);
      check("detector_share", detector_share, 0.05);
      check("photons", photons, 0.0);
      check("gain_deviation", gain_deviation, 0.0);
      check("motion_mm", motion_mm, 0.0);
      check("metal_count", metal_count, 0.0);
      check("metal_radius_mm", metal_radius_mm, 1e-6);
      if (photons.size() == 2 && photons[0] == 0.0 && photons[1] > 0.0)
        problems.add("photons", "expects both bounds above 0, or both 0 for none");
      if (peak_kv > 0.0 && peak_kv < 20.0) problems.add("peak_kv", "expects 0, or 20 to 150");
      if (axis_shift.size() != 2 || !(axis_shift[0] <= axis_shift[1]))
        problems.add("axis_shift", "expects [lo, hi] with lo <= hi");
      if (beam != "parallel" && !(source_to_axis_mm > 0.0 && source_to_detector_mm > 0.0))
        problems.add("beam", "a fan expects source_to_axis_mm and source_to_detector_mm above 0");
      if (output == "projections" && air != 0.0)
        problems.add("air", "expects 0 with output: projections");
    }
  };

  explicit CtScanTransform(const Config& config) : config_(config) {}

  TransformParameters draw(const Sample& sample, RandomStream& random) const override {
    const auto drawn = [&](const Range& range) { return random.uniform(range[0], range[1]); };
    const auto whole = [&](const Range& range) {
      return std::floor(random.uniform(range[0], range[1] + 1.0));
    };
    TransformParameters parameters;
    parameters["views"] = {whole(config_.views)};
    parameters["arc_deg"] = {drawn(config_.arc_deg)};
    parameters["detector_share"] = {drawn(config_.detector_share)};
    const bool noisy = config_.photons[0] > 0.0;
    parameters["photons"] = {
        noisy ? std::exp(random.uniform(std::log(config_.photons[0]), std::log(config_.photons[1])))
              : 0.0};
    parameters["gain_deviation"] = {drawn(config_.gain_deviation)};
    parameters["motion_mm"] = {drawn(config_.motion_mm)};
    Geometry grid = sample.at(config_.entries.front()).geometry;
    set_pixel(grid);
    const auto discs = static_cast<int>(whole(config_.metal_count));
    for (int disc = 0; disc < discs; ++disc) {
      auto& list = parameters["metal_mm"];  // y, x, radius of each disc
      list.push_back(random.uniform(0.2, 0.8) * static_cast<double>(grid.shape[1]) *
                     grid.spacing[1]);
      list.push_back(random.uniform(0.2, 0.8) * static_cast<double>(grid.shape[2]) *
                     grid.spacing[0]);
      list.push_back(drawn(config_.metal_radius_mm));
    }
    if (config_.axis_shift != Range{0.0, 0.0})
      parameters["axis_shift"] = {drawn(config_.axis_shift)};
    parameters["seed"] = {static_cast<double>(random.bits() >> 12)};
    return parameters;
  }

  void apply(Sample& sample, const TransformParameters& parameters) const override {
    CtScan scan;
    scan.beam = beam_from_text(config_.beam);
    scan.source_to_axis_mm = config_.source_to_axis_mm;
    scan.source_to_detector_mm = config_.source_to_detector_mm;
    scan.columns = config_.columns;
    scan.column_spacing_mm = config_.column_spacing_mm;
    const auto shift = parameters.find("axis_shift");
    scan.axis_shift = shift == parameters.end() ? 0.0 : shift->second[0];
    scan.views = static_cast<std::int64_t>(parameters.at("views")[0]);
    scan.arc_deg = parameters.at("arc_deg")[0];
    scan.detector_share = parameters.at("detector_share")[0];
    scan.filter = ramp_filter_from_text(config_.filter);
    scan.peak_kv = config_.peak_kv;
    scan.aluminium_mm = config_.aluminium_mm;
    scan.photons = parameters.at("photons")[0];
    scan.electronic = config_.electronic;
    scan.gain_deviation = parameters.at("gain_deviation")[0];
    scan.motion_mm = parameters.at("motion_mm")[0];
    scan.metal = x_ray_material(config_.metal);
    const RandomStream stream(static_cast<std::uint64_t>(parameters.at("seed")[0]));
    const Geometry before = sample.at(config_.entries.front()).geometry;
    at::Tensor metal;
    for_each_intensity(
        sample, config_.entries, "ct_scan", [&](const std::string& name, Entry& entry) {
          if (entry.data.size(0) != 1) {
            throw data_error(fmt::format(
                "sample {}: transform 'ct_scan': expected one channel in entry '{}', got {}",
                sample.id,
                name,
                entry.data.size(0)));
          }
          set_pixel(entry.geometry);
          const at::Tensor values = dense_float(entry.data)[0];
          const ScannedObject object{((values - config_.air) * config_.per_cm).clamp_min(0.0),
                                     metal_in(sample, entry, parameters)};
          const SliceGrid grid = slice_grid_of(entry.geometry);
          if (!config_.metal_output.empty()) metal = object.metal;
          if (config_.output == "image") {
            const at::Tensor scanned = simulate_ct_scan(object, grid, scan, stream.derive(name));
            entry.data = (scanned / config_.per_cm + config_.air).unsqueeze(0);
            return;
          }
          SimulatedScan measured = simulate_projections(object, grid, scan, stream.derive(name));
          entry.kind = EntryKind::kProjections;
          entry.data = (measured.projections / config_.per_cm).unsqueeze(0);
          entry.scan = std::make_shared<const ScanGeometry>(std::move(measured.geometry));
        });
    for (const std::string& name : config_.metal_output) write_mask(sample, name, metal);
    for (auto& [name, entry] : sample.entries) {
      if (entry.kind != EntryKind::kPoints && same_grid(entry.geometry, before))
        set_pixel(entry.geometry);  // what the scan is compared with
    }
  }

 private:
  void set_pixel(Geometry& geometry) const {
    if (config_.pixel_mm == 0.0) return;
    geometry.spacing[0] = geometry.spacing[1] = config_.pixel_mm;
    geometry.spacing_known = true;
  }

  /// Labels 1 where at least `metal_output_share` of a voxel is metal.
  void write_mask(Sample& sample, const std::string& name, const at::Tensor& metal) const {
    Entry& entry = sample.at(name);
    const Index3& shape = entry.geometry.shape;
    entry.kind = EntryKind::kLabel;
    entry.data = metal.defined() ? (metal >= config_.metal_output_share).to(at::kLong).unsqueeze(0)
                                 : at::zeros({1, shape[0], shape[1], shape[2]}, at::kLong);
    entry.scan = nullptr;
    set_pixel(entry.geometry);
  }

  /// Share of metal in every voxel of `image`, [D, H, W], or undefined.
  at::Tensor metal_in(const Sample& sample,
                      const Entry& image,
                      const TransformParameters& parameters) const {
    at::Tensor metal;
    if (!config_.metal_entry.empty()) {
      const Entry& mask = sample.at(config_.metal_entry);
      if (mask.data.sizes() != image.data.sizes()) {
        throw geometry_error(
            fmt::format("sample {}: transform 'ct_scan': the metal in entry '{}' has another size "
                        "than the image",
                        sample.id,
                        config_.metal_entry));
      }
      metal = mask.data[0].ne(0).to(at::kFloat);
    }
    const auto discs = parameters.find("metal_mm");
    if (discs == parameters.end()) return metal;
    const Geometry& grid = image.geometry;
    const at::Tensor y = at::arange(grid.shape[1], at::kFloat).view({1, -1, 1}) * grid.spacing[1];
    const at::Tensor x = at::arange(grid.shape[2], at::kFloat).view({1, 1, -1}) * grid.spacing[0];
    const double pixel = std::min(grid.spacing[0], grid.spacing[1]);
    for (std::size_t i = 0; i < discs->second.size(); i += 3) {
      const at::Tensor distance =
          ((y - discs->second[i]).square() + (x - discs->second[i + 1]).square()).sqrt();
      const at::Tensor disc = ((discs->second[i + 2] - distance) / pixel + 0.5).clamp(0.0, 1.0);
      metal = metal.defined() ? at::max(metal, disc)
                              : disc.expand({grid.shape[0], grid.shape[1], grid.shape[2]});
    }
    return metal;
  }

  Config config_;
};

}  // namespace
TRIPTYCH_REGISTER_TRANSFORM("ct_scan", CtScanTransform)
}  // namespace triptych
