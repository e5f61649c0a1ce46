// SPDX-License-Identifier: Apache-2.0
#include "framework/data/volume_store.h"

#include "framework/core/error.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>

#include <ATen/ATen.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

namespace triptych {
namespace {

/// Bytes that the kernel gives as zeros, from memory or from an unlinked file.
class Mapping {
 public:
  Mapping(std::size_t bytes, int file) : bytes_(bytes), file_(file) {
    const int flags = file < 0 ? MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE : MAP_SHARED;
    data_ = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, flags, file, 0);
    if (data_ == MAP_FAILED) {
      const int reason = errno;
      if (file_ >= 0) ::close(file_);
      throw io_error(
          fmt::format("volume store: {} bytes cannot be mapped: {}", bytes, std::strerror(reason)));
    }
  }
  ~Mapping() {
    munmap(data_, bytes_);
    if (file_ >= 0) ::close(file_);
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  void* data() const { return data_; }

  void release_pages() const {
    if (file_ < 0) return;
    // Start writing dirty pages now, so that the kernel can drop them later without waiting for the
    // disk.
    sync_file_range(file_, 0, 0, SYNC_FILE_RANGE_WRITE);
    madvise(data_, bytes_, MADV_DONTNEED);
  }

 private:
  std::size_t bytes_;
  int file_;
  void* data_ = nullptr;
};

constexpr std::int64_t kTouchedBytes = std::int64_t{64} << 20;

at::Tensor part_of(const at::Tensor& array, const Region& region) {
  at::Tensor part = array;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    part = part.narrow(static_cast<std::int64_t>(axis) - 3, region.start[axis], region.size[axis]);
  }
  return part;
}

/// An open file without a name: it vanishes with the process, however that ends.
int open_unlinked(const std::filesystem::path& folder) {
  const int file = ::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (file >= 0) return file;
  std::string name =
      (folder / "triptych-scratch-XXXXXX").string();  // file systems without O_TMPFILE
  const int named = ::mkostemp(name.data(), O_CLOEXEC);
  if (named < 0) {
    throw io_error(
        fmt::format("{}: no scratch file can be made: {}", folder.string(), std::strerror(errno)),
        "choose a folder that exists and can be written to");
  }
  ::unlink(name.c_str());
  return named;
}

std::shared_ptr<Mapping> map_scratch_file(std::int64_t bytes, const std::filesystem::path& folder) {
  const int file = open_unlinked(folder);
  // Reserving now turns a full disk into an error here instead of a SIGBUS at some later write.
  const int failure = posix_fallocate(file, 0, bytes);
  if (failure != 0) {
    ::close(file);
    throw io_error(fmt::format("{}: a scratch file of {:.1f} MB cannot be made: {}",
                               folder.string(),
                               static_cast<double>(bytes) / 1e6,
                               std::strerror(failure)),
                   "free disk space, choose another scratch folder, or allow more memory");
  }
  return std::make_shared<Mapping>(static_cast<std::size_t>(bytes), file);
}

}  // namespace

struct VolumeStore::State {
  std::int64_t channels;
  Index3 shape;
  std::int64_t bytes;
  at::ScalarType type;
  MemoryBudget* budget;  ///< the budget that paid, nullptr for a scratch file
  std::shared_ptr<Mapping> mapping;
};

bool MemoryBudget::take(std::int64_t bytes) {
  if (bytes > left_) return false;
  left_ -= bytes;
  return true;
}

void MemoryBudget::give_back(std::int64_t bytes) { left_ += bytes; }

VolumeStore::VolumeStore(std::int64_t channels,
                         const Index3& shape,
                         at::ScalarType type,
                         MemoryBudget& budget,
                         const std::filesystem::path& scratch_folder) {
  TRIPTYCH_ASSERT(channels >= 1 && shape[0] >= 1 && shape[1] >= 1 && shape[2] >= 1);
  std::int64_t bytes = static_cast<std::int64_t>(c10::elementSize(type));
  for (const std::int64_t factor : {channels, shape[0], shape[1], shape[2]}) {
    if (__builtin_mul_overflow(bytes, factor, &bytes))
      throw io_error("volume store: the volume has more than 2^63 bytes");
  }
  state_ = std::make_unique<State>(State{channels, shape, bytes, type, nullptr, nullptr});
  if (budget.take(bytes)) {
    state_->budget = &budget;
    try {
      state_->mapping = std::make_shared<Mapping>(static_cast<std::size_t>(bytes), -1);
    } catch (...) {
      budget.give_back(bytes);
      throw;
    }
  } else {
    state_->mapping = map_scratch_file(bytes, scratch_folder);
  }
}

VolumeStore::~VolumeStore() {
  if (state_->budget != nullptr) state_->budget->give_back(state_->bytes);
}

std::int64_t VolumeStore::channels() const { return state_->channels; }
const Index3& VolumeStore::shape() const { return state_->shape; }
bool VolumeStore::in_memory() const { return state_->budget != nullptr; }

at::Tensor VolumeStore::read(const Region& region) const {
  const auto& [depth, height, width] = region.size;
  at::Tensor values = at::empty({state_->channels, depth, height, width}, state_->type);
  for (std::int64_t channel = 0; channel < state_->channels; ++channel)
    copy(part_of(tensor()[channel], region), values[channel]);
  return values;
}

at::Tensor VolumeStore::read(const Region& region, std::int64_t channel) const {
  at::Tensor values = at::empty(region.size, state_->type);
  copy(part_of(tensor()[channel], region), values);
  return values;
}

void VolumeStore::write(const Region& region, const at::Tensor& values) {
  TRIPTYCH_ASSERT(values.size(0) == state_->channels);
  for (std::int64_t channel = 0; channel < state_->channels; ++channel)
    copy(values[channel], part_of(tensor()[channel], region));
}

void VolumeStore::copy(const at::Tensor& from, const at::Tensor& to) const {
  TRIPTYCH_ASSERT(from.sizes() == to.sizes());
  // A row that is touched brings its whole page, so whole slices are counted.
  const std::int64_t slice_bytes = state_->shape[1] * state_->shape[2] *
                                   static_cast<std::int64_t>(c10::elementSize(state_->type));
  const std::int64_t slices =
      in_memory() ? from.size(0) : std::max<std::int64_t>(1, kTouchedBytes / slice_bytes);
  for (std::int64_t first = 0; first < from.size(0); first += slices) {
    const std::int64_t count = std::min(slices, from.size(0) - first);
    to.narrow(0, first, count).copy_(from.narrow(0, first, count));
    release_pages();
  }
}

at::Tensor VolumeStore::tensor() const {
  // The tensor shares the mapping, so it stays valid even when it outlives the store.
  const auto& [depth, height, width] = state_->shape;
  return at::from_blob(
      state_->mapping->data(),
      {state_->channels, depth, height, width},
      [mapping = state_->mapping](void*) {},
      at::TensorOptions().dtype(state_->type));
}

void VolumeStore::release_pages() const { state_->mapping->release_pages(); }

std::int64_t bytes_from_text(const std::string& text) {
  const auto fail = [&]() -> ConfigError {
    return ConfigError("schema",
                       fmt::format("'{}': expected a number of bytes", text),
                       "for example 512MB, 2GB or 1.5GiB");
  };
  const char* start = text.c_str();
  char* end = nullptr;
  const double number = std::strtod(start, &end);
  if (end == start || !(number >= 0.0)) throw fail();
  std::string unit(end);
  std::erase(unit, ' ');
  constexpr std::pair<const char*, double> kUnits[] = {{"", 1.0},
                                                       {"B", 1.0},
                                                       {"kB", 1e3},
                                                       {"KB", 1e3},
                                                       {"MB", 1e6},
                                                       {"GB", 1e9},
                                                       {"TB", 1e12},
                                                       {"KiB", 0x1.0p10},
                                                       {"MiB", 0x1.0p20},
                                                       {"GiB", 0x1.0p30},
                                                       {"TiB", 0x1.0p40}};
  for (const auto& [name, factor] : kUnits) {
    if (unit != name) continue;
    const double bytes = number * factor;
    if (bytes >= 0x1.0p63) throw fail();
    return static_cast<std::int64_t>(bytes);
  }
  throw fail();
}

}  // namespace triptych
