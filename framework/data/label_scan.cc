// SPDX-License-Identifier: Apache-2.0
#include "framework/data/label_scan.h"

#include "framework/core/error.h"
#include "framework/core/parallel.h"
#include "framework/core/progress.h"
#include "framework/core/random.h"
#include "framework/data/dense.h"
#include "framework/image/slabs.h"

#include <algorithm>
#include <cmath>
#include <mutex>

namespace triptych {
namespace {

/// Keeps a uniform random subset of a stream of unknown length: Algorithm L (Li, 1994), which draws
/// random numbers only for the elements that it takes.
class Reservoir {
 public:
  Reservoir(std::size_t capacity, RandomStream random) : capacity_(capacity), random_(random) {}

  void offer(const Index3& voxel) {
    if (kept_.size() < capacity_) {
      kept_.push_back(voxel);
      if (kept_.size() == capacity_) skip_ahead();
    } else if (seen_ == next_) {
      kept_[static_cast<std::size_t>(random_.integer(static_cast<std::int64_t>(capacity_)))] =
          voxel;
      skip_ahead();
    }
    ++seen_;
  }
  std::vector<Index3> take() { return std::move(kept_); }

 private:
  void skip_ahead() {
    weight_ *= std::exp(std::log(1.0 - random_.uniform()) / static_cast<double>(capacity_));
    const double skipped = std::floor(std::log(1.0 - random_.uniform()) / std::log1p(-weight_));
    next_ = seen_ + 1 + static_cast<std::int64_t>(std::min(skipped, 0x1.0p62));
  }

  std::size_t capacity_;
  RandomStream random_;
  std::vector<Index3> kept_;
  std::int64_t seen_ = 0;
  std::int64_t next_ = 0;
  double weight_ = 1.0;
};

class SampleScan {
 public:
  SampleScan(const SampleSpec& sample,
             const Index3& shape,
             std::int64_t classes,
             std::size_t capacity,
             RandomStream random)
      : sample_(sample), classes_(classes) {
    for (std::size_t axis = 0; axis < 3; ++axis) {
      summary_.foreground[axis].assign(static_cast<std::size_t>(shape[axis]), 0);
      summary_.present[axis].assign(static_cast<std::size_t>(shape[axis] * classes), 0);
    }
    for (std::int64_t c = 0; c < classes; ++c) {
      reservoirs_.emplace_back(capacity, random.derive(static_cast<std::uint64_t>(c)));
    }
  }

  /// `block` is the int64 label [1, d, H, W] of the slices from `first` on.
  void add(const at::Tensor& block, std::int64_t first) {
    const std::int64_t* value = block.data_ptr<std::int64_t>();
    for (std::int64_t d = 0; d < block.size(1); ++d) {
      for (std::int64_t h = 0; h < block.size(2); ++h) {
        for (std::int64_t w = 0; w < block.size(3); ++w, ++value) {
          if (*value > 0) add_voxel(*value, {first + d, h, w});
        }
      }
    }
  }

  LabelSummary finish() {
    for (Reservoir& reservoir : reservoirs_) summary_.voxels.push_back(reservoir.take());
    return std::move(summary_);
  }

 private:
  void add_voxel(std::int64_t value, const Index3& voxel) {
    if (value >= classes_) {
      throw data_error(
          fmt::format("sample {}: label at [{}, {}, {}]: expected a class index below {}, got {}",
                      sample_.id,
                      voxel[0],
                      voxel[1],
                      voxel[2],
                      classes_,
                      value),
          "list every value of the label files under `classes`");
    }
    for (std::size_t axis = 0; axis < 3; ++axis) {
      ++summary_.foreground[axis][static_cast<std::size_t>(voxel[axis])];
      summary_.present[axis][static_cast<std::size_t>(voxel[axis] * classes_ + value)] = 1;
    }
    reservoirs_[static_cast<std::size_t>(value)].offer(voxel);
  }

  const SampleSpec& sample_;
  std::int64_t classes_;
  std::vector<Reservoir> reservoirs_;
  LabelSummary summary_;
};

LabelSummary scan_sample(const Dataset& dataset,
                         std::size_t sample,
                         const EntrySpec& label,
                         std::size_t voxels_per_class,
                         std::uint64_t seed) {
  constexpr std::int64_t kScannedVoxels = std::int64_t{1} << 24;  // 128 MB of int64
  const Index3& shape = label.geometry.shape;
  SampleScan scan(dataset.samples()[sample],
                  shape,
                  dataset.classes().size(),
                  voxels_per_class,
                  RandomStream(seed, {hash_name("label scan"), sample}));
  const std::int64_t block =
      std::clamp<std::int64_t>(kScannedVoxels / (shape[1] * shape[2]), 1, shape[0]);
  for (const Region& slab : slabs_of_slices(shape, block))
    scan.add(dense_int64(dataset.read(sample, label.name, slab).data), slab.start[0]);
  return scan.finish();
}

}  // namespace

std::vector<LabelSummary> scan_labels(const Dataset& dataset,
                                      const std::vector<std::size_t>& samples,
                                      const std::string& label,
                                      std::size_t voxels_per_class,
                                      std::uint64_t seed) {
  if (dataset.classes().size() < 2) {
    throw data_error("class-balanced sampling: the data set names no classes",
                     "list them under `classes`");
  }
  const auto count = static_cast<std::int64_t>(samples.size());
  std::vector<LabelSummary> summaries(samples.size());
  Progress progress("scanning labels", count);
  std::mutex mutex;
  std::int64_t done = 0;
  parallel_for(count, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::size_t sample = samples[static_cast<std::size_t>(i)];
      if (const EntrySpec* spec = dataset.samples()[sample].find(label)) {
        summaries[static_cast<std::size_t>(i)] =
            scan_sample(dataset, sample, *spec, voxels_per_class, seed);
      }
      const std::scoped_lock lock(mutex);
      progress.update(++done);
    }
  });
  progress.finish();
  return summaries;
}

}  // namespace triptych
