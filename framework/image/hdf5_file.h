// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <hdf5.h>

namespace triptych {

/// Owns one HDF5 identifier and closes it with the function of its kind.
class Hdf5Handle {
 public:
  using Close = herr_t (*)(hid_t);
  Hdf5Handle() = default;
  Hdf5Handle(hid_t id, Close closer) : id_(id), close_(closer) {}
  ~Hdf5Handle() { close(); }
  Hdf5Handle(Hdf5Handle&& other) noexcept
      : id_(std::exchange(other.id_, -1)), close_(other.close_) {}
  Hdf5Handle& operator=(Hdf5Handle&& other) noexcept {
    std::swap(id_, other.id_);
    std::swap(close_, other.close_);
    return *this;
  }

  operator hid_t() const {
    return id_;
  }  // NOLINT(google-explicit-constructor): handed to the C API everywhere
  bool valid() const { return id_ >= 0; }
  /// False when closing fails, which is where a full disk may show.
  bool close() { return id_ < 0 || close_(std::exchange(id_, -1)) >= 0; }

 private:
  hid_t id_ = -1;
  Close close_ = nullptr;
};

/// Held around every use of the library, which is not thread-safe in every build; also keeps its
/// messages off the terminal, a setting of each thread.
class Hdf5Lock {
 public:
  Hdf5Lock();

 private:
  std::lock_guard<std::recursive_mutex> lock_;
};

/// Opens for reading; throws io_error naming the file.
Hdf5Handle open_hdf5_file(const std::filesystem::path& file);

/// The innermost message of the failed call.
std::string hdf5_reason();

struct Hdf5Dataset {
  std::string path;
  std::vector<std::int64_t> shape;
  bool numeric = false;

  /// 2 to 4 axes of numbers.
  bool is_image() const { return numeric && shape.size() >= 2 && shape.size() <= 4; }
};

std::vector<Hdf5Dataset> list_datasets(hid_t file);
/// "/a [10, 20, 30], /b [5]".
std::string dataset_names(const std::vector<Hdf5Dataset>& datasets);

/// Numbers of an attribute; empty when there is none.
std::vector<double> read_attribute(hid_t object, const char* name);
/// Text of an attribute, of fixed or variable length; "" when there is none.
std::string read_text_attribute(hid_t object, const char* name);
void write_attribute(hid_t object,
                     const char* name,
                     const std::vector<double>& values,
                     const std::vector<hsize_t>& shape);
void write_attribute(hid_t object, const char* name, const std::string& text);

}  // namespace triptych
