// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/data/batch.h"
#include "framework/data/sampler.h"
#include "framework/data/transform.h"

#include <memory>
#include <string>
#include <vector>

namespace triptych {

/// Which dataset entry plays which role of a task, and what of it an item gets.
struct RoleBinding {
  enum class Extent {
    kRegion,    ///< the item's region; the entry lies on the reference grid, projections give their
                ///< detector rows
    kWorldBox,  ///< the voxels of the entry's own grid over the region's box in the world
    kWhole,     ///< everything, e.g. the moving image of a pair
  };
  std::string role;   ///< e.g. "image"
  std::string entry;  ///< e.g. "srct"
  bool required = true;
  bool target = false;  ///< what the prediction is compared with: of a slab, the central slice
  Extent extent = Extent::kRegion;
  /// kRegion, along the item's axes [D, H, W]: so many voxels for each of the region's. The entry,
  /// whatever its own grid, is sampled at their centres.
  Index3 upsampling{1, 1, 1};

  bool upsampled() const { return upsampling != Index3{1, 1, 1}; }
  bool operator==(const RoleBinding&) const = default;
};

/// Position in `roles` of the first whose entry has a grid (anything but points); that one carries
/// the item's region. roles.size() when none has.
std::size_t reference_role(const SampleSpec& sample, const std::vector<RoleBinding>& roles);

/// Reads the entries of an item, turned so that the slicing axis is D (of a world box: the entry's
/// axis that runs along it). Its region is meant in the grid of the reference role. Points are read
/// whole. Where a region sticks out, slabs repeat their edge slice; patches repeat the edge of
/// images and mark labels -1. Targets are as thick as the slab: see keep_central_slices. Throws
/// geometry_error for a kRegion entry on another grid and for a world box outside its grid.
Sample read_item(const Dataset& dataset,
                 const Item& item,
                 const std::vector<RoleBinding>& roles,
                 std::int64_t slab);

/// Cuts the targets of a slab down to its central slice. After the transforms, which move images
/// and targets on one grid.
void keep_central_slices(Sample& sample, const std::vector<RoleBinding>& roles);

/// Produces batches in step order from worker threads through a bounded queue.
///
/// The batches do not depend on the number of threads: item random streams are RandomStream(seed,
/// {draw}). With zero threads items are made on the calling thread. An exception in a worker
/// reaches the caller of next() at its step.
class Loader {
 public:
  struct Config {
    std::int64_t threads = 1;
    std::int64_t queue = 4;

    void visit(auto& field) {
      field("threads",
            threads,
            "loader threads; 0 = load on the training thread",
            config::Between{0, 64});
      field("queue", queue, "batches prepared ahead", config::Between{1, 64});
    }
  };

  struct Source {
    std::shared_ptr<const Dataset> dataset;
    std::shared_ptr<const Sampler> sampler;
    std::shared_ptr<const TransformChain> transforms;
    std::vector<RoleBinding> roles;
    std::int64_t slab = 1;
    std::int64_t batch_size = 1;
    std::uint64_t seed = 0;
    std::int64_t rank = 0;   ///< of `ranks` processes that share every batch
    std::int64_t ranks = 1;  ///< divides batch_size
  };

  /// Batches (with several ranks: this rank's slice of them) of steps first_step, first_step + 1,
  /// ... up to (not including) last_step.
  Loader(Source source, Config config, std::int64_t first_step, std::int64_t last_step);
  ~Loader();
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  Batch next();
  /// Seconds that next() spent waiting for workers, since construction.
  double seconds_waiting() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// The batch of given items, made on the calling thread (validation).
Batch make_batch(const Loader::Source& source, const std::vector<Item>& items);

}  // namespace triptych
