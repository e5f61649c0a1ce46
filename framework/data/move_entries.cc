// SPDX-License-Identifier: Apache-2.0
#include "framework/data/move_entries.h"

#include "framework/core/error.h"
#include "framework/core/parallel.h"
#include "framework/core/suggest.h"
#include "framework/data/dense.h"
#include "framework/image/smooth.h"

#include <algorithm>
#include <cmath>

#include <ATen/ops/empty.h>

namespace triptych {
namespace {

constexpr double kBorder =
    0.5 + 1e-6;  ///< voxels beyond the outer centres that still belong to the grid

/// Where an output voxel is read: shared by all entries and channels of the frame.
struct Tap {
  std::int64_t base = 0;      ///< of the lower corner
  std::int64_t step[3] = {};  ///< to the upper neighbour along x, y, z; 0 where its weight is 0
  float fraction[3] = {};
  std::int64_t nearest = 0;
  bool inside = true;
};

Tap tap_at(const Eigen::Vector3d& index_xyz, const Index3& shape) {
  Tap tap;
  std::int64_t stride = 1;
  for (int axis = 0; axis < 3; ++axis) {
    const std::int64_t size = shape[static_cast<std::size_t>(2 - axis)];
    const auto last = static_cast<double>(size - 1);
    const double position = index_xyz[axis];
    if (!(position >= -kBorder && position <= last + kBorder)) tap.inside = false;
    const double clamped = std::clamp(position, 0.0, last);
    const double lower = std::floor(clamped);
    tap.fraction[axis] = static_cast<float>(clamped - lower);
    tap.base += static_cast<std::int64_t>(lower) * stride;
    tap.step[axis] = tap.fraction[axis] > 0.0F ? stride : 0;
    // Halves go up, but not beyond the edge; a tolerance keeps exact halves of rotated grids on one
    // side.
    const double rounded = std::clamp(std::floor(position + 0.5 + 1e-9), 0.0, last);
    tap.nearest += static_cast<std::int64_t>(rounded) * stride;
    stride *= size;
  }
  return tap;
}

float linear(const float* voxels, const Tap& tap) {
  const float* p = voxels + tap.base;
  const float fx = tap.fraction[0];
  const auto along_x = [&](const float* q) {
    return tap.step[0] == 0 ? q[0] : q[0] + fx * (q[tap.step[0]] - q[0]);
  };
  const auto along_y = [&](const float* q) {
    const float lower = along_x(q);
    return tap.step[1] == 0 ? lower : lower + tap.fraction[1] * (along_x(q + tap.step[1]) - lower);
  };
  const float lower = along_y(p);
  return tap.step[2] == 0 ? lower : lower + tap.fraction[2] * (along_y(p + tap.step[2]) - lower);
}

/// One entry on its way from the input grid to the output grid.
struct Move {
  Entry* entry;
  at::Tensor from;
  at::Tensor to;
  const GridMap* target = nullptr;  ///< of the target frame of a displacement field
  bool displacement = false;

  void row(const std::vector<Tap>& taps, std::int64_t first, LabelOutside outside) const {
    const std::int64_t channels = from.size(0);
    const std::int64_t input_voxels = from.numel() / channels;
    const std::int64_t output_voxels = to.numel() / channels;
    for (std::int64_t c = 0; c < channels; ++c) {
      if (entry->kind == EntryKind::kLabel) {
        const std::int64_t* source = from.data_ptr<std::int64_t>() + c * input_voxels;
        std::int64_t* destination = to.data_ptr<std::int64_t>() + c * output_voxels + first;
        for (const Tap& tap : taps) {
          *destination++ = tap.inside || outside == LabelOutside::kEdge ? source[tap.nearest] : -1;
        }
      } else {
        const float* source = from.data_ptr<float>() + c * input_voxels;
        float* destination = to.data_ptr<float>() + c * output_voxels + first;
        for (const Tap& tap : taps) *destination++ = linear(source, tap);
      }
    }
  }

  /// Turns the vectors of one row after they were interpolated.
  void turn_row(const GridMap& map, const Index3& output_row) const {
    const std::int64_t width = to.size(3);
    const std::int64_t voxels = to.numel() / 3;
    float* vector = to.data_ptr<float>() + (output_row[0] * to.size(2) + output_row[1]) * width;
    for (std::int64_t w = 0; w < width; ++w, ++vector) {
      const Eigen::Vector3d index(static_cast<double>(w),
                                  static_cast<double>(output_row[1]),
                                  static_cast<double>(output_row[0]));
      const Eigen::Vector3d u(vector[0], vector[voxels], vector[2 * voxels]);
      Eigen::Vector3d turned;
      if (displacement) {
        const Eigen::Vector3d x = map.input.world_from_index(map.input_from_output(index));
        const Eigen::Vector3d end =
            target != nullptr ? target->output_world(x + u) : Eigen::Vector3d(x + u);
        turned = end - map.output.world_from_index(index);
      } else {
        turned = map.world_jacobian(index) * u;
      }
      for (int i = 0; i < 3; ++i) vector[i * voxels] = static_cast<float>(turned[i]);
    }
  }
};

/// A map that takes whole voxels to whole voxels: axes exchanged, mirrored and shifted.
bool moves_whole_voxels(const GridMap& map) {
  if (map.elastic) return false;
  for (int row = 0; row < 3; ++row) {
    int entries = 0;
    for (int column = 0; column < 3; ++column) {
      const double value = map.matrix(row, column);
      if (value != 0.0 && std::abs(value) != 1.0) return false;
      entries += value != 0.0 ? 1 : 0;
    }
    if (entries != 1 || map.offset[row] != std::floor(map.offset[row])) return false;
  }
  return true;
}

/// The taps of one output row of such a map: one input axis runs along the row, the others stay.
void fill_whole_taps(const GridMap& map, std::int64_t d, std::int64_t h, std::vector<Tap>& taps) {
  const Eigen::Vector3d start =
      map.matrix * Eigen::Vector3d(0.0, static_cast<double>(h), static_cast<double>(d)) +
      map.offset;
  std::int64_t fixed = 0;
  bool fixed_inside = true;
  std::int64_t run_stride = 0, run_first = 0, run_step = 0, run_last = 0;
  std::int64_t stride = 1;
  for (int axis = 0; axis < 3; ++axis) {
    const std::int64_t size = map.input.shape[static_cast<std::size_t>(2 - axis)];
    const auto first = static_cast<std::int64_t>(start[axis]);
    if (map.matrix(axis, 0) != 0.0) {
      run_stride = stride, run_first = first, run_last = size - 1;
      run_step = static_cast<std::int64_t>(map.matrix(axis, 0));
    } else {
      const std::int64_t clamped = std::clamp<std::int64_t>(first, 0, size - 1);
      fixed += clamped * stride;
      fixed_inside = fixed_inside && clamped == first;
    }
    stride *= size;
  }
  for (std::size_t w = 0; w < taps.size(); ++w) {
    const std::int64_t place = run_first + static_cast<std::int64_t>(w) * run_step;
    const std::int64_t clamped = std::clamp<std::int64_t>(place, 0, run_last);
    taps[w].base = taps[w].nearest = fixed + clamped * run_stride;
    taps[w].inside = fixed_inside && clamped == place;
  }
}

void fill_taps(const GridMap& map,
               std::int64_t d,
               std::int64_t h,
               std::vector<Eigen::Vector3d>& bend,
               std::vector<Tap>& taps) {
  const auto y = static_cast<double>(h);
  const auto z = static_cast<double>(d);
  if (map.elastic && !map.elastic_place) map.elastic->row(y, z, bend);
  for (std::size_t w = 0; w < taps.size(); ++w) {
    Eigen::Vector3d index(static_cast<double>(w), y, z);
    if (map.elastic) index += map.elastic_place ? map.bend(index) : bend[w];
    taps[w] = tap_at(map.matrix * index + map.offset, map.input.shape);
  }
}

void move_grid_entries(const GridMap& map, std::vector<Move>& moves, LabelOutside outside) {
  const Index3& shape = map.output.shape;
  for (Move& move : moves) {
    const bool label = move.entry->kind == EntryKind::kLabel;
    move.from = label ? dense_int64(move.entry->data) : dense_float(move.entry->data);
    if (move.entry->kind == EntryKind::kIntensity) {
      for (int axis = 0; axis < 3; ++axis) {
        const double sigma = map.smoothing_sigma[static_cast<std::size_t>(axis)];
        if (sigma > 0.0) move.from = smooth_axis(move.from, axis + 1, sigma);
      }
    }
    move.to = at::empty({move.from.size(0), shape[0], shape[1], shape[2]}, move.from.options());
  }
  const bool whole_voxels = moves_whole_voxels(map);
  parallel_for(shape[0] * shape[1],
               std::max<std::int64_t>(1, 65536 / shape[2]),
               [&](std::int64_t begin, std::int64_t end) {
                 std::vector<Tap> taps(static_cast<std::size_t>(shape[2]));
                 std::vector<Eigen::Vector3d> bend;
                 for (std::int64_t row = begin; row < end; ++row) {
                   const std::int64_t d = row / shape[1];
                   const std::int64_t h = row % shape[1];
                   if (whole_voxels) {
                     fill_whole_taps(map, d, h, taps);
                   } else {
                     fill_taps(map, d, h, bend, taps);
                   }
                   for (const Move& move : moves) {
                     move.row(taps, row * shape[2], outside);
                     if (move.entry->kind == EntryKind::kVectorField) move.turn_row(map, {d, h, 0});
                   }
                 }
               });
  for (Move& move : moves) {
    move.entry->data = move.to;
    move.entry->geometry = map.output;
  }
}

void move_points(const GridMap& map, Entry& entry) {
  at::Tensor points = at::empty(entry.data.sizes(), entry.data.options());
  copy_dense(entry.data, points.data_ptr());
  double* point = points.data_ptr<double>();
  for (std::int64_t i = 0; i < points.size(0); ++i, point += 3) {
    Eigen::Map<Eigen::Vector3d> position(point);
    position = map.output_world(position).eval();
  }
  entry.data = points;
  entry.geometry = map.output;
}

/// Entries of one frame on one grid.
struct GridMoves {
  const GridMap* frame_map;
  GridMap map;
  std::vector<Move> entries;
};

GridMoves& moves_on_grid(std::vector<GridMoves>& moves,
                         const GridMap& frame_map,
                         const Geometry& grid) {
  for (GridMoves& group : moves) {
    if (group.frame_map == &frame_map && same_grid(group.map.input, grid)) return group;
  }
  const bool same = same_grid(frame_map.input, grid);
  return moves.emplace_back(GridMoves{&frame_map, same ? frame_map : on_grid(frame_map, grid), {}});
}

const GridMap* map_of(const std::map<std::string, GridMap>& maps, const std::string& frame) {
  const auto found = maps.find(frame);
  return found == maps.end() ? nullptr : &found->second;
}

}  // namespace

LabelOutside label_outside_from_text(const std::string& text) {
  if (text == "ignore") return LabelOutside::kIgnore;
  if (text == "edge") return LabelOutside::kEdge;
  throw ConfigError("schema",
                    fmt::format("label_outside: expected ignore or edge, got '{}'", text));
}

bool moves_frame(const std::vector<std::string>& frames, const std::string& frame) {
  return frames.empty() || std::find(frames.begin(), frames.end(), frame) != frames.end();
}

std::map<std::string, Geometry> frame_grids(const Sample& sample,
                                            const std::vector<std::string>& frames,
                                            const std::string& transform) {
  std::map<std::string, Geometry> grids;
  std::map<std::string, Geometry> point_grids;
  for (const auto& [name, entry] : sample.entries) {
    if (!moves_frame(frames, entry.frame)) continue;
    if (entry.kind == EntryKind::kProjections) {
      throw data_error(fmt::format("sample {}: transform '{}' cannot move the projections '{}'",
                                   sample.id,
                                   transform,
                                   name),
                       "list the frames to move under `frames`");
    }
    if (entry.kind == EntryKind::kPoints) {
      point_grids.emplace(entry.frame, entry.geometry);
    } else if (name == sample.reference) {
      grids.insert_or_assign(entry.frame, entry.geometry);
    } else {
      grids.emplace(entry.frame, entry.geometry);
    }
  }
  grids.merge(
      point_grids);  // a frame that holds only points moves with the grid that they were marked on
  for (const std::string& frame : frames) {
    if (grids.contains(frame)) continue;
    std::vector<std::string> known;
    for (const auto& [name, entry] : sample.entries) {
      if (std::find(known.begin(), known.end(), entry.frame) == known.end())
        known.push_back(entry.frame);
    }
    throw data_error(fmt::format("sample {}: transform '{}': no entry lies in frame '{}'{}",
                                 sample.id,
                                 transform,
                                 frame,
                                 did_you_mean(frame, known)),
                     "the frames are: " + join(known));
  }
  return grids;
}

void move_entries(Sample& sample,
                  const std::map<std::string, GridMap>& maps,
                  LabelOutside outside) {
  std::vector<GridMoves> moves;
  for (auto& [name, entry] : sample.entries) {
    const GridMap* map = map_of(maps, entry.frame);
    if (entry.kind == EntryKind::kPoints) {
      if (map != nullptr) move_points(*map, entry);
      continue;
    }
    Move move{&entry, {}, {}};
    if (entry.kind == EntryKind::kVectorField && !entry.target_frame.empty()) {
      move.displacement = true;
      move.target = map_of(maps, entry.target_frame);
    }
    if (map != nullptr) {
      moves_on_grid(moves, *map, entry.geometry).entries.push_back(move);
    } else if (move.target != nullptr) {
      // Only the far ends of the vectors move: an identity on the field's own grid.
      std::vector<Move> alone{move};
      GridMap identity;
      identity.input = identity.output = entry.geometry;
      move_grid_entries(identity, alone, outside);
    }
  }
  for (GridMoves& group : moves) move_grid_entries(group.map, group.entries, outside);
}

}  // namespace triptych
