// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/image/geometry.h"

#include <filesystem>
#include <memory>

#include <ATen/core/Tensor.h>

namespace triptych {

/// A budget of memory shared by several stores, in bytes.
class MemoryBudget {
 public:
  explicit MemoryBudget(std::int64_t bytes) : left_(bytes) {}
  /// True and takes the bytes when they are left.
  bool take(std::int64_t bytes);
  void give_back(std::int64_t bytes);
  std::int64_t left() const { return left_; }

 private:
  std::int64_t left_;
};

/// A [C, D, H, W] array that may be larger than memory: in memory while the budget lasts, else in
/// an unlinked scratch file that is mapped (the kernel writes pages back, so resident memory stays
/// bounded by what is being touched). Values start at zero. Reading and writing give the same bits
/// in both places.
class VolumeStore {
 public:
  /// Throws io_error naming the folder when the scratch file cannot have its size (disk full).
  VolumeStore(std::int64_t channels,
              const Index3& shape,
              at::ScalarType type,
              MemoryBudget& budget,
              const std::filesystem::path& scratch_folder);
  ~VolumeStore();
  VolumeStore(const VolumeStore&) = delete;
  VolumeStore& operator=(const VolumeStore&) = delete;

  std::int64_t channels() const;
  const Index3& shape() const;
  bool in_memory() const;

  /// A copy of a region of every channel, [C, d, h, w], or of one channel, [d, h, w]; contiguous.
  at::Tensor read(const Region& region) const;
  at::Tensor read(const Region& region, std::int64_t channel) const;
  /// Stores values [C, d, h, w] of any type. Neither reading nor writing keeps pages of a mapped
  /// file in memory.
  void write(const Region& region, const at::Tensor& values);

  /// A tensor over the whole array without a copy: [C, D, H, W], contiguous. For passes that touch
  /// voxels in an order of their own; they call release_pages() themselves.
  at::Tensor tensor() const;
  /// Takes the pages of a mapped file that were touched out of the process (no effect in memory).
  /// The kernel may keep them as its cache while memory lasts.
  void release_pages() const;

 private:
  /// Copies [d, h, w] to or from this store, a few slices at a time.
  void copy(const at::Tensor& from, const at::Tensor& to) const;

  struct State;
  std::unique_ptr<State> state_;
};

/// Reads "512MB", "2GB", "1.5GiB" or a number of bytes; throws ConfigError.
std::int64_t bytes_from_text(const std::string& text);

}  // namespace triptych
