// SPDX-License-Identifier: Apache-2.0
#include "framework/core/error.h"
#include "framework/image/hdf5_file.h"
#include "framework/image/raw_scan_format.h"

#include <array>
#include <map>

#include <ATen/ATen.h>
#include <fmt/core.h>

namespace triptych {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kProjectionKey = 0;  // of NXtomo's image_key
constexpr std::int64_t kFlatKey = 1;
constexpr std::int64_t kDarkKey = 2;

/// An open dataset and the sizes of its axes.
struct OpenDataset {
  Hdf5Handle id;
  std::string place;
  std::vector<std::int64_t> shape;
  bool rows_first = false;  ///< [row, frame, column], as the attribute `axes` says

  std::int64_t frames() const { return shape.size() == 2 ? 1 : shape[rows_first ? 1 : 0]; }
  std::int64_t rows() const { return shape.size() == 2 ? shape[0] : shape[rows_first ? 0 : 1]; }
};

OpenDataset open_numbers(hid_t file, const std::string& place, const std::string& path) {
  OpenDataset dataset;
  dataset.place = fmt::format("{}:{}", place, path);
  dataset.id = Hdf5Handle(H5Dopen2(file, path.c_str(), H5P_DEFAULT), H5Dclose);
  if (!dataset.id.valid())
    throw io_error(fmt::format("{}: cannot be opened: {}", dataset.place, hdf5_reason()));
  const Hdf5Handle type(H5Dget_type(dataset.id), H5Tclose);
  const H5T_class_t kind = H5Tget_class(type);
  if (kind != H5T_INTEGER && kind != H5T_FLOAT)
    throw data_error(fmt::format("{}: expected numbers, got another HDF5 type", dataset.place));
  const Hdf5Handle space(H5Dget_space(dataset.id), H5Sclose);
  std::vector<hsize_t> sizes(std::max(H5Sget_simple_extent_ndims(space), 0));
  if (!sizes.empty()) H5Sget_simple_extent_dims(space, sizes.data(), nullptr);
  dataset.shape.assign(sizes.begin(), sizes.end());
  dataset.rows_first = read_text_attribute(dataset.id, "axes").starts_with("y:");
  return dataset;
}

std::vector<double> all_numbers(const OpenDataset& dataset) {
  std::size_t count = 1;
  for (const std::int64_t size : dataset.shape) count *= static_cast<std::size_t>(size);
  std::vector<double> values(count);
  if (count > 0 &&
      H5Dread(dataset.id, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()) < 0)
    throw io_error(fmt::format("{}: cannot be read: {}", dataset.place, hdf5_reason()));
  return values;
}

std::optional<double> highest_count(hid_t dataset) {
  const Hdf5Handle type(H5Dget_type(dataset), H5Tclose);
  const std::size_t bytes = H5Tget_size(type);
  if (H5Tget_class(type) != H5T_INTEGER || H5Tget_sign(type) == H5T_SGN_2 || bytes > 2) return {};
  return bytes == 1 ? 255.0 : 65535.0;
}

/// Frames of one kind: part of a dataset, in runs of neighbours.
struct FrameList {
  const OpenDataset* dataset = nullptr;
  std::vector<std::pair<std::int64_t, std::int64_t>> runs;  ///< first frame, count
  std::int64_t count = 0;

  void add(std::int64_t frame) {
    if (!runs.empty() && runs.back().first + runs.back().second == frame) {
      ++runs.back().second;
    } else {
      runs.emplace_back(frame, 1);
    }
    ++count;
  }
};

class Hdf5Scan final : public RawScan {
 public:
  Hdf5Scan(const fs::path& path, const RawScanOptions& options) {
    const Hdf5Lock lock;
    header_.place = path.string();
    file_ = open_hdf5_file(path);
    const LocatedScan located = locate_scan(file_, header_.place, options);
    const ScanDatasets& datasets = located.datasets;
    header_.format = located.format;
    data_ = open_numbers(file_, header_.place, datasets.data);
    read_axes();
    std::vector<std::int64_t> keys(data_.frames(), kProjectionKey);
    if (!datasets.image_key.empty()) keys = read_keys(datasets.image_key);
    for (std::size_t frame = 0; frame < keys.size(); ++frame) {
      const auto kind = kind_of(keys[frame]);
      if (kind) list(*kind, data_).add(static_cast<std::int64_t>(frame));
    }
    open_frames(Frames::kFlats, datasets.flats, flats_);
    open_frames(Frames::kDarks, datasets.darks, darks_);
    header_.projections = lists_[Frames::kProjections].count;
    header_.flats = lists_[Frames::kFlats].count;
    header_.darks = lists_[Frames::kDarks].count;
    header_.saturation = highest_count(data_.id);
    if (header_.projections == 0 || header_.rows == 0 || header_.columns == 0)
      throw data_error(fmt::format("{}: expected projections, got none", data_.place));
    if (!options.angles_stated && !datasets.angles.empty()) read_angles(datasets.angles, keys);
    if (!datasets.pixel_size.empty()) read_pixel_size(datasets.pixel_size);
  }
  ~Hdf5Scan() override {
    const Hdf5Lock lock;
    for (OpenDataset* dataset : {&data_, &flats_, &darks_}) dataset->id.close();
    file_.close();
  }

 protected:
  at::Tensor read_rows(Frames kind, std::int64_t first_row, std::int64_t rows) override {
    const Hdf5Lock lock;
    const FrameList& frames = lists_[kind];
    std::vector<at::Tensor> parts;
    for (const auto& [first, count] : frames.runs)
      parts.push_back(read_run(*frames.dataset, first, count, first_row, rows));
    if (parts.empty()) return at::empty({0, rows, header_.columns}, at::kFloat);
    return parts.size() == 1 ? parts.front() : at::cat(parts);
  }

 private:
  void read_axes() {
    if (data_.shape.size() != 3) {
      throw data_error(
          fmt::format(
              "{}: expected 3 axes [angle, row, column], got {}", data_.place, data_.shape.size()),
          data_.shape.size() == 2
              ? fmt::format("read a single sinogram as input.projections={}", data_.place)
              : "");
    }
    header_.rows = data_.rows();
    header_.columns = data_.shape[2];
  }

  std::vector<std::int64_t> read_keys(const std::string& path) const {
    const OpenDataset dataset = open_numbers(file_, header_.place, path);
    check_one_a_frame(dataset);
    const std::vector<double> values = all_numbers(dataset);
    return {values.begin(), values.end()};
  }

  void check_one_a_frame(const OpenDataset& dataset) const {
    const bool line = dataset.shape.size() == 1;
    if (line && dataset.shape[0] == data_.frames()) return;
    throw data_error(fmt::format("{}: expected {} values, one for each frame of {}, got {}",
                                 dataset.place,
                                 data_.frames(),
                                 data_.place,
                                 line ? std::to_string(dataset.shape[0])
                                      : fmt::format("{} axes", dataset.shape.size())),
                     "state the angles yourself: angles=[first,last]");
  }

  static std::optional<Frames> kind_of(std::int64_t key) {
    if (key == kProjectionKey) return Frames::kProjections;
    if (key == kFlatKey) return Frames::kFlats;
    if (key == kDarkKey) return Frames::kDarks;
    return {};
  }

  FrameList& list(Frames kind, const OpenDataset& dataset) {
    FrameList& frames = lists_[kind];
    frames.dataset = &dataset;
    return frames;
  }

  void open_frames(Frames kind, const std::string& path, OpenDataset& dataset) {
    if (path.empty()) return;
    dataset = open_numbers(file_, header_.place, path);
    const std::size_t axes = dataset.shape.size();
    if ((axes != 2 && axes != 3) || dataset.rows() != header_.rows ||
        dataset.shape.back() != header_.columns) {
      throw geometry_error(
          fmt::format("{}: expected frames of {} rows and {} columns as {}, got {}",
                      dataset.place,
                      header_.rows,
                      header_.columns,
                      data_.place,
                      dataset_names({{path, dataset.shape, true}})));
    }
    lists_[kind] = {};
    for (std::int64_t frame = 0; frame < dataset.frames(); ++frame) list(kind, dataset).add(frame);
  }

  void read_angles(const std::string& path, const std::vector<std::int64_t>& keys) {
    const OpenDataset dataset = open_numbers(file_, header_.place, path);
    check_one_a_frame(dataset);
    const std::vector<double> values = all_numbers(dataset);
    std::vector<double> angles;
    for (std::size_t frame = 0; frame < keys.size(); ++frame)
      if (keys[frame] == kProjectionKey) angles.push_back(values[frame]);
    header_.angles_rad =
        angles_in_radians(angles, read_text_attribute(dataset.id, "units"), dataset.place);
  }

  void read_pixel_size(const std::string& path) {
    const OpenDataset dataset = open_numbers(file_, header_.place, path);
    const std::vector<double> values = all_numbers(dataset);
    if (values.empty()) return;
    header_.pixel_size_mm =
        length_in_mm(values[0], read_text_attribute(dataset.id, "units"), dataset.place);
  }

  /// [frame, row, column] of neighbouring frames.
  at::Tensor read_run(const OpenDataset& dataset,
                      std::int64_t first,
                      std::int64_t count,
                      std::int64_t first_row,
                      std::int64_t rows) const {
    const bool single = dataset.shape.size() == 2;
    std::vector<hsize_t> start{hsize_t(first), hsize_t(first_row), 0};
    std::vector<hsize_t> size{hsize_t(count), hsize_t(rows), hsize_t(header_.columns)};
    if (dataset.rows_first) {
      std::swap(start[0], start[1]);
      std::swap(size[0], size[1]);
    }
    if (single) {
      start = {hsize_t(first_row), 0};
      size = {hsize_t(rows), hsize_t(header_.columns)};
    }
    const Hdf5Handle in_file(H5Dget_space(dataset.id), H5Sclose);
    const Hdf5Handle in_memory(
        H5Screate_simple(static_cast<int>(size.size()), size.data(), nullptr), H5Sclose);
    H5Sselect_hyperslab(in_file, H5S_SELECT_SET, start.data(), nullptr, size.data(), nullptr);
    const bool turned = dataset.rows_first && !single;
    at::Tensor values = turned ? at::empty({rows, count, header_.columns}, at::kFloat)
                               : at::empty({count, rows, header_.columns}, at::kFloat);
    if (H5Dread(dataset.id, H5T_NATIVE_FLOAT, in_memory, in_file, H5P_DEFAULT, values.data_ptr()) <
        0) {
      throw io_error(fmt::format("{}: cannot be read: {}", dataset.place, hdf5_reason()),
                     "the file may be truncated, or its compression filter is not installed");
    }
    return turned ? values.transpose(0, 1) : values;
  }

  Hdf5Handle file_;
  OpenDataset data_, flats_, darks_;
  std::map<Frames, FrameList> lists_;
};

}  // namespace

std::unique_ptr<RawScan> open_hdf5_scan(const fs::path& file, const RawScanOptions& options) {
  return std::make_unique<Hdf5Scan>(file, options);
}

}  // namespace triptych
