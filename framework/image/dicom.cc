// SPDX-License-Identifier: Apache-2.0
// A folder with one DICOM series: slices are ordered by position, never by name, and must be evenly
// spaced.
#include "framework/core/error.h"
#include "framework/core/file.h"
#include "framework/core/suggest.h"
#include "framework/image/byte_stream.h"
#include "framework/image/format.h"
#include "framework/image/location.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include <ATen/ATen.h>
#include <fmt/core.h>

namespace triptych {
namespace {

namespace fs = std::filesystem;

bool has_dicom_mark(const fs::path& file) {
  std::array<char, 4> mark{};
  ByteStream stream(file, 128, Coding::kRaw);
  return stream.read(reinterpret_cast<std::byte*>(mark.data()), 4) == 4 &&
         std::string(mark.data(), 4) == "DICM";
}

bool is_dicom(const fs::directory_entry& entry) {
  const std::string name = entry.path().filename().string();
  if (!entry.is_regular_file() || name.starts_with('.') || name == "DICOMDIR") return false;
  const std::string extension = file_extension(entry.path());
  if (extension == ".dcm" || extension == ".ima") return true;
  // Scanners write names without extension or ending in a number (an instance UID).
  const bool may_be =
      extension.empty() || std::isdigit(static_cast<unsigned char>(name.back())) != 0;
  return may_be && has_dicom_mark(entry.path());
}

struct Slice {
  fs::path file;
  std::unique_ptr<ImageReader> reader;
  double position = 0.0;  ///< mm along the normal

  const Geometry& geometry() const { return reader->header().geometry; }
};

class DicomReader final : public ImageReader {
 public:
  DicomReader(const fs::path& folder, const ReadOptions& options) : folder_(folder) {
    for (const auto& entry : fs::directory_iterator(folder)) {
      if (!is_dicom(entry)) continue;
      if (entry.file_size() == 0)
        throw io_error(fmt::format("{}: expected a slice, got an empty file (0 bytes)",
                                   entry.path().string()));
      slices_.push_back({entry.path(), open_itk_file(entry.path(), options), 0.0});
    }
    check_one_series();
    const auto order = [](const Slice& a, const Slice& b) {
      return a.position != b.position ? a.position < b.position : a.file < b.file;
    };
    const Eigen::Vector3d normal = slices_.front().geometry().direction.col(2);
    for (Slice& slice : slices_) slice.position = normal.dot(slice.geometry().origin);
    std::sort(slices_.begin(), slices_.end(), order);
    header_ = slices_.front().reader->header();
    if (slices_.size() > 1) {
      check_slices();
      set_spacing_between();
    }
    for (const Slice& slice : slices_) {
      if (slice.reader->header().type != header_.type)
        header_.type = at::kFloat;  // each slice has its own slope
    }
    header_.geometry.shape[0] *= static_cast<std::int64_t>(slices_.size());
  }

  at::Tensor read(const Region& region) override {
    if (slices_.size() == 1) return slices_.front().reader->read(region);
    const auto& size = region.size;
    at::Tensor result = at::empty({header_.channels, size[0], size[1], size[2]}, header_.type);
    const Region part{{0, region.start[1], region.start[2]}, {1, size[1], size[2]}};
    for (std::int64_t z = 0; z < size[0]; ++z) {
      result.narrow(1, z, 1).copy_(slices_[region.start[0] + z].reader->read(part));
    }
    return result;
  }

  void check_complete() override {
    for (const Slice& slice : slices_) slice.reader->check_complete();
  }

  std::map<std::string, std::string> metadata() const override {
    return slices_.front().reader->metadata();
  }

 private:
  void check_one_series() const {
    std::map<std::string, int> series;
    for (const Slice& slice : slices_) {
      const auto facts = slice.reader->metadata();
      const auto found = facts.find("dicom_series");
      ++series[found == facts.end() ? "" : found->second];
    }
    if (series.size() < 2) return;
    std::vector<std::string> counts;
    for (const auto& [name, count] : series)
      counts.push_back(fmt::format("{} ({} files)", name, count));
    throw data_error(fmt::format("{}: expected one DICOM series, got {}: {}",
                                 folder_.string(),
                                 series.size(),
                                 join(counts)),
                     "move each series to a folder of its own");
  }

  void check_slices() const {
    const Slice& first = slices_.front();
    const Geometry& expected = first.geometry();
    for (const Slice& slice : slices_) {
      const Geometry& got = slice.geometry();
      const bool same_pixels = got.shape == expected.shape &&
                               slice.reader->header().channels == header_.channels &&
                               (got.spacing - expected.spacing).head<2>().norm() <
                                   1e-3 * expected.spacing.head<2>().norm();
      if (got.shape[0] != 1 || !same_pixels ||
          (got.direction - expected.direction).cwiseAbs().maxCoeff() > 1e-3) {
        throw geometry_error(fmt::format("{}: does not fit the series, expected {} as {}, got {}",
                                         slice.file.string(),
                                         expected.text(),
                                         first.file.filename().string(),
                                         got.text()),
                             "localizers and other views belong into a folder of their own");
      }
    }
  }

  void set_spacing_between() {
    const std::size_t last = slices_.size() - 1;
    const double step = (slices_[last].position - slices_[0].position) / static_cast<double>(last);
    double smallest = slices_[1].position - slices_[0].position;
    for (std::size_t z = 1; z < last; ++z)
      smallest = std::min(smallest, slices_[z + 1].position - slices_[z].position);
    for (std::size_t z = 0; z < last; ++z) {
      const double gap = slices_[z + 1].position - slices_[z].position;
      // Scanners round positions to a hundredth of a millimetre or so.
      if (gap > 1e-4 && gap - smallest <= std::max(0.02 * smallest, 0.02)) continue;
      throw geometry_error(fmt::format("{}: slices are not evenly spaced, expected {:.4g} mm, got "
                                       "{:.4g} mm between {} and {}",
                                       folder_.string(),
                                       smallest > 1e-4 ? smallest : step,
                                       gap,
                                       slices_[z].file.filename().string(),
                                       slices_[z + 1].file.filename().string()),
                           "a slice is missing or there are several at one position");
    }
    const Geometry& first = slices_.front().geometry();
    const Eigen::Vector3d way = slices_.back().geometry().origin - first.origin;
    const Eigen::Vector3d aside = way - first.direction.col(2) * first.direction.col(2).dot(way);
    if (aside.norm() > 0.01 * way.norm()) {
      throw geometry_error(fmt::format("{}: slices are shifted against each other by {:.4g} mm (a "
                                       "tilted gantry), expected a straight stack",
                                       folder_.string(),
                                       aside.norm()),
                           "resample the scan onto an orthogonal grid first");
    }
    header_.geometry.spacing[2] = step;
  }

  fs::path folder_;
  std::vector<Slice> slices_;
};

}  // namespace

bool holds_dicom(const fs::path& folder) {
  const fs::directory_iterator entries(folder);
  return std::any_of(begin(entries), end(entries), is_dicom);
}

std::unique_ptr<ImageReader> open_dicom_series(const fs::path& folder, const ReadOptions& options) {
  return std::make_unique<DicomReader>(folder, options);
}

}  // namespace triptych
