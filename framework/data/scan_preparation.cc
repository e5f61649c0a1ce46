// SPDX-License-Identifier: Apache-2.0
#include "framework/data/scan_preparation.h"

#include "framework/core/error.h"
#include "framework/core/file.h"
#include "framework/core/log.h"
#include "framework/image/raw_scan_format.h"
#include "framework/ops/flat_field.h"
#include "framework/ops/phase_retrieval.h"
#include "framework/ops/rotation_centre.h"
#include "framework/ops/stripe_removal.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <set>
#include <sstream>
#include <tuple>

#include <ATen/ATen.h>

namespace triptych {
namespace {

constexpr double kMostSaturated = 0.01;    // share of the flats' pixels
constexpr std::int64_t kMostPadding = 10;  // of the columns
constexpr double kBrighter = 1.2;          // than the flats, in transmission
constexpr double kDegrees = 180.0 / std::numbers::pi;

RawScanOptions scan_options(const ScanConfig& config, const ScanFiles& files) {
  RawScanOptions options;
  options.format = config.format;
  const auto& d = config.datasets;
  options.datasets = {d.data, d.flats, d.darks, d.angles, d.image_key, d.pixel_size};
  options.layout = config.layout;
  options.flats = files.flats;
  options.darks = files.darks;
  options.angles_stated = !config.angles.is_null();
  return options;
}

/// Numbers of a text file, in degrees; '#' begins a comment.
std::vector<double> angles_in_file(const std::string& file, std::int64_t projections) {
  std::istringstream lines(read_file(file));
  std::vector<double> values;
  std::int64_t number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    std::istringstream words(line.substr(0, line.find('#')));
    for (std::string word; words >> word;) {
      std::size_t used = 0;
      double value = 0.0;
      try {
        value = std::stod(word, &used);
      } catch (const std::exception&) {
        used = 0;
      }
      if (used != word.size())
        throw data_error(
            fmt::format("{}:{}: expected an angle in degrees, got '{}'", file, number, word));
      values.push_back(value);
    }
  }
  if (static_cast<std::int64_t>(values.size()) != projections) {
    throw data_error(fmt::format("{}: expected {} angles, one for each projection, got {}",
                                 file,
                                 projections,
                                 values.size()));
  }
  return angles_in_radians(values, "degrees", file);
}

/// First and number of what [first, last] chooses of `size`.
std::pair<std::int64_t, std::int64_t> part_of(const std::vector<std::int64_t>& range,
                                              std::int64_t size,
                                              const char* key) {
  if (range.empty()) return {0, size};
  if (range[0] <= range[1] && range[1] < size) return {range[0], range[1] - range[0] + 1};
  throw usage_error(fmt::format("{}: expected [first, last] within 0 to {}, got [{}, {}]",
                                key,
                                size - 1,
                                range[0],
                                range[1]));
}

/// Warns where parallel rays leave a range of directions out, as in a limited-angle scan.
void warn_of_missing_views(std::vector<double> angles_rad) {
  constexpr double kPi = std::numbers::pi;
  for (double& angle : angles_rad) angle = std::fmod(std::fmod(angle, kPi) + kPi, kPi);
  std::sort(angles_rad.begin(), angles_rad.end());
  double widest = angles_rad.front() + kPi - angles_rad.back();
  for (std::size_t i = 1; i < angles_rad.size(); ++i)
    widest = std::max(widest, angles_rad[i] - angles_rad[i - 1]);
  const double even = kPi / static_cast<double>(angles_rad.size());
  if (widest <= std::max(kPi / 18.0, 4.0 * even) && angles_rad.size() > 3) return;
  TRIPTYCH_LOG(warning,
               "{:.0f} of 180 degrees are without a view: edges along these directions are lost",
               widest * kDegrees);
}

void log_sizes(const RawScanHeader& header) {
  TRIPTYCH_LOG(info,
               "{}: {}, {} projections of {} x {} pixels, {} flats, {} darks",
               header.place,
               header.format,
               header.projections,
               header.columns,
               header.rows,
               header.flats,
               header.darks);
}

}  // namespace

PreparedScan::PreparedScan(const ScanConfig& config, const ScanFiles& files)
    : config_(config), scan_(open_raw_scan(files.projections, scan_options(config, files))) {
  const RawScanHeader& header = scan_->header();
  log_sizes(header);
  if (config.values == "counts" && header.flats == 0 && config.air_margin == 0) {
    throw data_error(
        fmt::format("{}: expected flats to divide the counts by, got none", header.place),
        "input.flats=<images> or datasets.flats=/path; air_margin=<columns of air on both sides>; "
        "or "
        "values=transmission or values=line_integrals if the division is done");
  }
  pixel_size_mm_ = config.pixel_size_mm ? config.pixel_size_mm : header.pixel_size_mm;
  if (retrieves_phase() && !pixel_size_mm_) {
    throw data_error(
        fmt::format("{}: phase retrieval needs the pixel size, which the scan does not "
                    "state",
                    header.place),
        "pixel_size_mm=<size>");
  }
  if (config.beam != "parallel" && !pixel_size_mm_) {
    throw data_error(fmt::format("{}: a fan beam needs the pixel size, which the scan does not "
                                 "state",
                                 header.place),
                     "pixel_size_mm=<size on the detector>");
  }
  choose_part();
  const std::vector<double> all_angles = angles();
  for (const std::int64_t view : views_)
    geometry_.angles_rad.push_back(all_angles[static_cast<std::size_t>(view)]);
  geometry_.beam = beam_from_text(config.beam);
  geometry_.source_to_axis_mm = config.source_to_axis_mm;
  geometry_.source_to_detector_mm = config.source_to_detector_mm;
  geometry_.column_spacing_mm = geometry_.row_spacing_mm = pixel_size_mm_.value_or(1.0);
  find_centre();
  if (geometry_.beam == ScanGeometry::Beam::kParallel) warn_of_missing_views(geometry_.angles_rad);
  if (config.flip_columns) {
    const std::int64_t last = columns_ + 2 * config.pad - 1;
    geometry_.centre_column = static_cast<double>(last) - geometry_.centre_column;
  }
  check(geometry_, views(), columns_ + 2 * config.pad);
}

void PreparedScan::choose_part() {
  const std::vector<std::int64_t> ends(config_.views.begin(),
                                       config_.views.begin() + (config_.views.empty() ? 0 : 2));
  const auto [first_view, count] = part_of(ends, scan_->header().projections, "views");
  const std::int64_t step = config_.views.size() == 3 ? config_.views[2] : 1;
  for (std::int64_t i = 0; i < count; i += step) views_.push_back(first_view + i);
  std::tie(first_row_, rows_) = part_of(config_.rows, scan_->header().rows, "rows");
  std::tie(first_column_, columns_) = part_of(config_.columns, scan_->header().columns, "columns");
  if (2 * config_.air_margin > columns_) {
    throw usage_error(fmt::format("air_margin: expected at most half of the {} columns, got {}",
                                  columns_,
                                  config_.air_margin));
  }
  if (config_.pad > kMostPadding * columns_) {
    throw usage_error(fmt::format("pad: expected at most {} times the {} columns, got {}",
                                  kMostPadding,
                                  columns_,
                                  config_.pad));
  }
}

at::Tensor PreparedScan::chosen_views(const at::Tensor& frames) const {
  if (views() == frames.size(0)) return frames;
  return frames.index_select(0, at::tensor(views_, at::kLong));
}

std::vector<double> PreparedScan::angles() const {
  const RawScanHeader& header = scan_->header();
  if (config_.angles.is_string())
    return angles_in_file(config_.angles.as_string(), header.projections);
  if (config_.angles.is_null()) {
    if (!header.angles_rad.empty()) return header.angles_rad;
    throw data_error(fmt::format("{}: expected an angle for each of the {} projections, got none",
                                 header.place,
                                 header.projections),
                     "angles=[0,180] for evenly spaced ones (first and last, in degrees), "
                     "angles=<text file>, or datasets.angles=/path");
  }
  const double first = config_.angles.as_list()[0].as_double();
  const double last = config_.angles.as_list()[1].as_double();
  const double steps = static_cast<double>(std::max<std::int64_t>(header.projections - 1, 1));
  std::vector<double> result;
  for (std::int64_t i = 0; i < header.projections; ++i)
    result.push_back((first + (last - first) * static_cast<double>(i) / steps) / kDegrees);
  return result;
}

void PreparedScan::find_centre() {
  const double cropped = static_cast<double>(config_.pad - first_column_);
  if (geometry_.beam != ScanGeometry::Beam::kParallel && config_.centre.is_string()) {
    geometry_.centre_column = 0.5 * static_cast<double>(scan_->header().columns - 1) + cropped;
    TRIPTYCH_LOG(
        info,
        "fan beam: rotation axis taken to be in the detector's middle; centre= says otherwise");
    return;
  }
  if (!config_.centre.is_string()) {
    const double column = config_.centre.as_double();
    if (column < 0.0 || column > static_cast<double>(scan_->header().columns - 1)) {
      throw usage_error(fmt::format("centre: expected a detector column from 0 to {}, got {}",
                                    scan_->header().columns - 1,
                                    column));
    }
    geometry_.centre_column = column + cropped;
    return;
  }
  std::vector<at::Tensor> rows;
  RepairTally uncounted;
  for (const std::int64_t row : std::set<std::int64_t>{rows_ / 4, rows_ / 2, 3 * rows_ / 4})
    rows.push_back(line_integrals_of(row, 1, uncounted));
  const RotationCentre centre =
      find_rotation_centre(at::cat(rows), geometry_.angles_rad, config_.centre.as_string());
  const double column = centre.column + static_cast<double>(first_column_);
  TRIPTYCH_LOG(info, "rotation axis at detector column {:.2f} ({})", column, centre.method);
  if (centre.at_search_end) {
    TRIPTYCH_LOG(
        warning,
        "the rotation axis may lie further out than was searched; check the slices, or set "
        "centre=<column>");
  }
  geometry_.centre_column = column + cropped;
}

at::Tensor PreparedScan::transmission(std::int64_t first_row, std::int64_t rows) {
  using Frames = RawScan::Frames;
  const RawScanHeader& header = scan_->header();
  const auto read = [&](Frames kind) {
    return scan_->read(kind, first_row, rows).narrow(2, first_column_, columns_);
  };
  const at::Tensor counts = chosen_views(read(Frames::kProjections));
  if (config_.values == "transmission") return counts;
  const at::Tensor dark = header.darks > 0 ? median_frame(read(Frames::kDarks))
                                           : at::zeros({rows, columns_}, at::kFloat);
  if (header.flats == 0) return air_normalised(counts - dark, config_.air_margin);
  const at::Tensor flats = read(Frames::kFlats);
  const std::optional<double> limit = config_.saturation ? config_.saturation : header.saturation;
  if (const double share = limit ? saturated_share(flats, *limit) : 0.0; share > kMostSaturated) {
    throw data_error(
        fmt::format("{}: {:.1f} % of the flats' pixels are saturated, expected less than {} counts "
                    "in all but {:.0f} %",
                    header.place,
                    100.0 * share,
                    *limit,
                    100.0 * kMostSaturated),
        "take flats with a shorter exposure, use air_margin=, or correct saturation=");
  }
  const at::Tensor flat = median_frame(flats);
  if ((flat - dark).median().item<float>() <= 0.0F) {
    throw data_error(fmt::format("{}: expected flats brighter than darks, got medians of {} and {}",
                                 header.place,
                                 flat.median().item<float>(),
                                 dark.median().item<float>()),
                     "flats and darks may be exchanged");
  }
  const at::Tensor corrected = flat_field_corrected(counts, flat, dark);
  return config_.air_margin > 0 ? air_normalised(corrected, config_.air_margin) : corrected;
}

at::Tensor PreparedScan::line_integrals_of(std::int64_t first,
                                           std::int64_t count,
                                           RepairTally& tally) {
  if (config_.values == "line_integrals") {
    return chosen_views(scan_->read(RawScan::Frames::kProjections, first_row_ + first, count))
        .narrow(2, first_column_, columns_)
        .transpose(0, 1);
  }
  PhaseSetup phase{config_.phase.delta_beta,
                   config_.phase.energy_kev,
                   config_.phase.distance_mm,
                   pixel_size_mm_.value_or(1.0)};
  const std::int64_t halo = retrieves_phase() ? phase_halo_rows(phase) : 0;
  const std::int64_t begin = std::max<std::int64_t>(first_row_ + first - halo, 0);
  const std::int64_t end = std::min(first_row_ + first + count + halo, scan_->header().rows);
  RepairedTransmission repaired = repaired_transmission(transmission(begin, end - begin));
  tally.interpolated += repaired.interpolated;
  tally.clamped += repaired.clamped;
  tally.brighter += repaired.values.gt(kBrighter).sum().item<std::int64_t>();
  tally.values += repaired.values.numel();
  if (retrieves_phase()) repaired.values = retrieve_phase(repaired.values, phase);
  return line_integrals(repaired.values.narrow(1, first_row_ + first - begin, count))
      .transpose(0, 1);
}

std::int64_t PreparedScan::bytes_per_row() const {
  constexpr std::int64_t kCopies = 5;  // counts, transmission, line integrals, sorted, filtered
  return kCopies * scan_->header().projections * (columns_ + 2 * config_.pad) *
         static_cast<std::int64_t>(sizeof(float));
}

at::Tensor PreparedScan::sinograms(std::int64_t first, std::int64_t count) {
  at::Tensor integrals = line_integrals_of(first, count, repaired_);
  if (config_.stripes == "sorting")
    integrals = remove_stripes_by_sorting(integrals, config_.stripe_window);
  integrals = extend_columns(integrals, config_.pad);
  return config_.flip_columns ? integrals.flip(-1) : integrals.contiguous();
}

SliceGrid PreparedScan::grid() const {
  const bool fan = geometry_.beam != ScanGeometry::Beam::kParallel;
  const double at_axis =
      geometry_.column_spacing_mm *
      (fan ? geometry_.source_to_axis_mm / geometry_.source_to_detector_mm : 1.0);
  const std::int64_t size = config_.size > 0 ? config_.size : columns_;
  return SliceGrid::centred(size, size, config_.voxel_mm > 0.0 ? config_.voxel_mm : at_axis);
}

Geometry PreparedScan::slices_geometry() const {
  const SliceGrid pixels = grid();
  const double row_mm = pixel_size_mm_.value_or(1.0);
  Geometry geometry;
  geometry.shape = {rows_, pixels.rows, pixels.columns};
  geometry.spacing_known = pixel_size_mm_.has_value();
  geometry.spacing = {pixels.column_spacing_mm, pixels.row_spacing_mm, row_mm};
  geometry.origin = {-pixels.centre_column * pixels.column_spacing_mm,
                     -pixels.centre_row * pixels.row_spacing_mm,
                     static_cast<double>(first_row_) * row_mm};
  return geometry;
}

}  // namespace triptych
