// SPDX-License-Identifier: Apache-2.0
// Writes NIfTI volumes slab by slab.
#include "framework/core/error.h"
#include "framework/core/file.h"
#include "framework/image/format.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <utility>

#include <ATen/ATen.h>
#include <fmt/core.h>
#include <zlib.h>

namespace triptych {
namespace {

namespace fs = std::filesystem;

/// Header and the four bytes that say that no extension follows (nifti1.h).
constexpr std::size_t kHeaderBytes = 352;
/// Byte positions of dim[0], the number of axes, and of dim[3], the number of slices.
constexpr std::size_t kAxes = 40, kSlices = 46;

/// A file that is compressed when its name ends in .gz.
class CompressedFile {
 public:
  CompressedFile(const fs::path& file, std::string place)
      : place_(std::move(place)),
        file_(gzopen(file.c_str(), file.extension() == ".gz" ? "wb" : "wbT")) {
    check(file_ != nullptr);
  }
  ~CompressedFile() {
    if (file_ != nullptr) gzclose(file_);
  }
  CompressedFile(const CompressedFile&) = delete;
  CompressedFile& operator=(const CompressedFile&) = delete;

  void write(const void* bytes, std::int64_t count) {
    constexpr std::int64_t kMost = 1 << 30;  // zlib counts with int
    for (std::int64_t done = 0; done < count;) {
      const std::int64_t now = std::min(kMost, count - done);
      check(gzwrite(file_,
                    static_cast<const std::byte*>(bytes) + done,
                    static_cast<unsigned>(now)) == now);
      done += now;
    }
  }
  void close() { check(gzclose(std::exchange(file_, nullptr)) == Z_OK); }

 private:
  void check(bool success) const {
    if (success) return;
    throw io_error(fmt::format("{}: cannot be written: {}", place_, std::strerror(errno)),
                   "check the free space and the permissions of its folder");
  }

  std::string place_;
  gzFile file_;
};

/// ITK writes the header of the first slice alone; then it is told how many there are.
std::string header_of(const fs::path& target, const WriteRequest& request) {
  Geometry slice = request.source.geometry;
  slice.shape[0] = 1;
  fs::path name = target.filename();
  name += ".header.nii";
  const AtomicFile file(target.parent_path() / name);  // never committed: removed in the end
  const Region region{{0, 0, 0}, slice.shape};
  std::vector<at::Tensor> channels;
  for (std::int64_t channel = 0; channel < request.source.channels; ++channel)
    channels.push_back(encoded_piece(request, channel, region, target.string()));
  write_with_itk(file.temporary(), target, slice, request, at::stack(channels, 3));
  std::string header = read_file(file.temporary()).substr(0, kHeaderBytes);
  TRIPTYCH_ASSERT(header.size() == kHeaderBytes);
  const auto put = [&](std::size_t position, std::int64_t value) {
    const auto number = static_cast<std::int16_t>(value);
    std::memcpy(header.data() + position, &number, sizeof(number));
  };
  put(kAxes, request.source.channels > 1 ? 5 : 3);
  put(kSlices, request.source.geometry.shape[0]);
  return header;
}

}  // namespace

void write_nifti(const fs::path& target, const WriteRequest& request) {
  const VolumeSource& source = request.source;
  constexpr std::int64_t kLongest = std::numeric_limits<std::int16_t>::max();
  for (const std::int64_t size : source.geometry.shape) {
    if (size <= kLongest) continue;
    throw shape_error(
        fmt::format("{}: expected at most {} voxels along an axis of a NIfTI file, got {}",
                    target.string(),
                    kLongest,
                    size),
        "write .mha, .tif or .h5");
  }
  const std::string header = header_of(target, request);
  AtomicFile file(target);
  CompressedFile stream(file.temporary(), target.string());
  stream.write(header.data(), static_cast<std::int64_t>(header.size()));
  for (std::int64_t channel = 0; channel < source.channels; ++channel) {
    for (const Region& slab : slabs_of(source.geometry.shape, bytes_of(request.type))) {
      const at::Tensor voxels = encoded_piece(request, channel, slab, target.string());
      stream.write(voxels.data_ptr(), static_cast<std::int64_t>(voxels.nbytes()));
    }
  }
  stream.close();
  file.commit();
}

}  // namespace triptych
